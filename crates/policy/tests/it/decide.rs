//! Which verdict comes out of which rules.

use std::sync::Arc;

use model::{Effect, Kind, OnFault, PartyKind, Sealing, Side, Verdict};
use policy::{Policy, Reload, Subject, reload};

use crate::symbols::{finding, party, subject, table};

const BASE: &str = "@id(\"base\") permit (principal, action, resource);\n";

fn policy(rules: &str) -> Policy {
    Policy::load(&[("t.cedar", &format!("{BASE}{rules}"))], table()).unwrap_or_else(|p| panic!("{p:?}"))
}

/// Decides for `rules` beside a base permit, twice: the second time from the cache.
fn decide(rules: &str, subject: &Subject<'_>) -> Arc<Verdict> {
    let policy = policy(rules);
    let first = policy.decide(subject).unwrap();
    assert_eq!(policy.decide(subject).unwrap(), first);
    assert_eq!(policy.decide_uncached(subject).unwrap(), first);
    first
}

fn ids(ids: &[Arc<str>]) -> Vec<&str> {
    ids.iter().map(|id| &**id).collect()
}

#[test]
fn the_strongest_forbid_wins_and_its_notice_is_shown() {
    let rules = r#"
        @id("q") @verdict("quarantine") @notice("held") forbid (principal, action, resource);
        @id("w") @verdict("redact") @notice("blanked") permit (principal, action, resource);
        @id("b1") @verdict("block") forbid (principal, action, resource);
        @id("b2") @verdict("block") @notice("stopped") forbid (principal, action, resource);
    "#;
    let (from, to) = (party("a@x", Side::Internal, &[]), party("b@y", Side::External, &[]));
    let verdict = decide(rules, &subject(&from, &to, &[]));
    assert_eq!(verdict.effect, Effect::Block);
    assert_eq!(ids(&verdict.rules), ["b1", "b2"]);
    assert_eq!(verdict.notice.as_deref(), Some("stopped"));
}

#[test]
fn among_permits_the_strongest_counts_and_allow_names_no_rule() {
    let rules = r#"
        @id("w") @verdict("warn") @notice("careful") permit (principal, action, resource)
        when { context.symbols.contains(Symbol::"link") };
        @id("r") @verdict("redact") @notice("blanked") permit (principal, action, resource)
        when { context.symbols.contains(Symbol::"pattern.card") };
    "#;
    let (from, to) = (party("a@x", Side::Internal, &[]), party("b@y", Side::External, &[]));
    for (symbols, effect, rules_that_decide) in [
        (vec![], Effect::Allow, vec![]),
        (vec!["link.raw_ip"], Effect::Warn, vec!["w"]),
        (vec!["link.raw_ip", "pattern.card"], Effect::Redact, vec!["r"]),
    ] {
        let findings: Vec<_> = symbols.iter().map(|s| finding(s)).collect();
        let verdict = decide(rules, &subject(&from, &to, &findings));
        assert_eq!((verdict.effect, ids(&verdict.rules)), (effect, rules_that_decide), "{symbols:?}");
    }
}

#[test]
fn what_no_rule_permits_is_blocked() {
    let policy =
        Policy::load(&[("t", "@id(\"files\") permit (principal, action == Action::\"file\", resource);")], table())
            .unwrap();
    let (from, to) = (party("a@x", Side::Internal, &[]), party("b@y", Side::External, &[]));
    let message = subject(&from, &to, &[]);
    assert_eq!(policy.decide(&message).unwrap().effect, Effect::Block);
    assert_eq!(policy.decide(&Subject { kind: Kind::File, ..message }).unwrap().effect, Effect::Allow);
    assert!(policy.warnings()[0].message.contains("no base permit"));
}

#[test]
fn observe_mode_only_records_what_would_have_been_otherwise() {
    let rules = r#"
        @id("try-block") @verdict("block") @mode("observe") forbid (principal, action, resource);
        @id("try-warn") @verdict("warn") @mode("observe") permit (principal, action, resource);
        @id("try-allow") @mode("observe") permit (principal, action, resource);
        @id("hold") @verdict("quarantine") forbid (principal, action, resource)
        when { context.symbols.contains(Symbol::"file.bomb") };
    "#;
    let (from, to) = (party("a@x", Side::Internal, &[]), party("b@y", Side::External, &[]));
    let verdict = decide(rules, &subject(&from, &to, &[]));
    assert_eq!((verdict.effect, ids(&verdict.observed)), (Effect::Allow, vec!["try-block", "try-warn"]));
    let verdict = decide(rules, &subject(&from, &to, &[finding("file.bomb")]));
    assert_eq!((verdict.effect, ids(&verdict.observed)), (Effect::Quarantine, vec!["try-block"]));
}

#[test]
fn rules_from_elsewhere_can_be_loaded_to_observe_only() {
    let own = ("own", "@id(\"base\") permit (principal, action, resource);");
    let theirs = ("theirs", "@id(\"try\") @mode(\"enforce\") forbid (principal, action, resource);");
    let (from, to) = (party("a@x", Side::Internal, &[]), party("b@y", Side::External, &[]));
    let message = subject(&from, &to, &[]);
    let observing = Policy::load_observing(&[own], &[theirs], table()).unwrap();
    let verdict = observing.decide(&message).unwrap();
    assert_eq!((verdict.effect, ids(&verdict.observed)), (Effect::Allow, vec!["try"]));
    let enforcing = Policy::load(&[own, theirs], table()).unwrap();
    assert_eq!(enforcing.decide(&message).unwrap().effect, Effect::Block);
    assert_ne!(observing.version(), enforcing.version());
    let twins = Policy::load_observing(&[own], &[("theirs", own.1)], table()).unwrap_err();
    assert!(twins[0].message.contains("a second rule with the id `base`"), "{twins:?}");
}

#[test]
fn a_quarantine_is_silent_only_when_every_rule_that_decides_is() {
    let silent = r#"@id("s") @verdict("quarantine") @silent("true") forbid (principal, action, resource);"#;
    let loud = r#"@id("l") @verdict("quarantine") forbid (principal, action, resource) when { context.sealed == Sealing::"otr" };"#;
    let loud = loud.replace("when { ", "when { context has sealed && ");
    let (from, to) = (party("a@x", Side::Internal, &[]), party("b@y", Side::External, &[]));
    let open = subject(&from, &to, &[]);
    let rules = format!("{silent}\n{loud}");
    assert!(decide(&rules, &open).silent);
    assert!(!decide(&rules, &Subject { sealed: Some(Sealing::Otr), ..open }).silent);
}

/// Rule condition, and whether it holds for the subject built below.
const CONDITIONS: &[(&str, bool)] = &[
    (r#"principal in Group::"contractors""#, true),
    (r#"principal in [Group::"staff", Group::"contractors"]"#, true),
    (r#"resource in Group::"contractors""#, false),
    (r#"principal in Domain::"partner.example""#, true),
    (r#"principal in Domain::"example""#, true),
    (r#"principal in Domain::"ner.example""#, false),
    (r#"principal == Party::"carol@eu.partner.example""#, true),
    (r#"principal.account == "carol@eu.partner.example""#, true),
    (r#"principal.domain like "*.partner.example""#, true),
    (r#"principal.domain == resource.domain"#, false),
    (r#"principal.side == Side::"external" && resource.side == Side::"internal""#, true),
    (r#"resource.kind == PartyKind::"room""#, true),
    (r#"principal has person && principal.person == "p-7""#, true),
    (r#"resource has person"#, false),
    (r#"action in [Action::"message", Action::"correction"]"#, true),
    (r#"action == Action::"file""#, false),
    (r#"context.symbols.contains(Symbol::"link")"#, true),
    (r#"context.symbols.contains(Symbol::"link.indicator")"#, true),
    (r#"context.symbols.contains(Symbol::"link.indicator.phishing")"#, true),
    (r#"context.symbols.contains(Symbol::"link.indicator.malware")"#, false),
    (r#"context.symbols.containsAny([Symbol::"file", Symbol::"pattern.local.project"])"#, true),
    (r#"context.symbols.containsAll([Symbol::"link", Symbol::"file"])"#, false),
    (r#"context.symbols.isEmpty()"#, false),
    (r#"context.score.greaterThan(decimal("1.9"))"#, true),
    (r#"context.score.greaterThan(decimal("2.0"))"#, false),
    (r#"context.score == decimal("2.0")"#, true),
    (r#"context.file_kinds.contains("pe")"#, true),
    (r#"context.file_kinds == ["pe", "zip"]"#, true),
    (r#"context has sealed"#, true),
    (r#"context has sealed && context.sealed == Sealing::"omemo""#, true),
    (r#"context.direction == Direction::"to_client""#, false),
    (r#"context.protocol == Protocol::"xmpp""#, true),
    (r#"context.hour >= 8 && context.hour < 18"#, true),
    (r#"[Weekday::"saturday", Weekday::"sunday"].contains(context.weekday)"#, false),
    (r#"context.weekday == Weekday::"monday""#, true),
    (r#"context.time < datetime("2026-02-01")"#, true),
    (r#"context.time == datetime("2026-01-05T12:00:00Z")"#, true),
    (r#"context.time.toTime() == duration("12h")"#, true),
];

#[test]
fn conditions_read_what_they_say() {
    let mut from = party("carol@eu.partner.example", Side::External, &["contractors", "partners"]);
    from.person = Some("p-7".into());
    let mut to = party("room@conference.example.org", Side::Internal, &[]);
    to.kind = PartyKind::Room;
    let findings = [finding("link.indicator.phishing"), finding("pattern.local.project")];
    let subject =
        Subject { sealed: Some(Sealing::Omemo), file_kinds: &["zip", "pe", "zip"], ..subject(&from, &to, &findings) };
    for (condition, holds) in CONDITIONS {
        let rule =
            format!("@id(\"r\") @verdict(\"block\") forbid (principal, action, resource) when {{ {condition} }};");
        let want = if *holds { Effect::Block } else { Effect::Allow };
        assert_eq!(decide(&rule, &subject).effect, want, "{condition}");
    }
}

#[test]
fn a_symbol_that_the_table_lacks_still_counts_for_its_families() {
    let rules = r#"@id("r") @verdict("block") forbid (principal, action, resource)
                   when { context.symbols.contains(Symbol::"pattern.local") };"#;
    let (from, to) = (party("a@x", Side::Internal, &[]), party("b@y", Side::External, &[]));
    assert_eq!(decide(rules, &subject(&from, &to, &[finding("pattern.local.new")])).effect, Effect::Block);
}

#[test]
fn one_account_is_one_party() {
    let rules = r#"@id("r") @verdict("block") forbid (principal, action, resource) when { principal == resource };"#;
    let (from, to) = (party("a@x", Side::Internal, &["g"]), party("a@x", Side::External, &[]));
    assert_eq!(decide(rules, &subject(&from, &to, &[])).effect, Effect::Block);
}

#[test]
fn a_rule_that_fails_goes_to_on_fault_unless_a_stronger_one_decided() {
    // Overflows for every hour but midnight.
    let broken = r#"@id("broken") @verdict("block") forbid (principal, action, resource)
                    when { context.hour * 9223372036854775807 > 0 };"#;
    let (from, to) = (party("a@x", Side::Internal, &[]), party("b@y", Side::External, &[]));
    let open = subject(&from, &to, &[]);
    let fault = policy(broken).decide(&open).unwrap_err();
    assert_eq!(ids(&fault.rules), ["broken"]);
    assert!(fault.to_string().starts_with("rule broken could not be evaluated: "), "{fault}");
    for (on_fault, effect) in
        [(OnFault::Pass, Effect::Allow), (OnFault::Quarantine, Effect::Quarantine), (OnFault::Refuse, Effect::Block)]
    {
        assert_eq!(fault.resolve(on_fault).effect, effect);
    }

    let held = format!("{broken}\n@id(\"held\") @verdict(\"quarantine\") forbid (principal, action, resource);");
    let fault = policy(&held).decide(&open).unwrap_err();
    assert_eq!(fault.resolve(OnFault::Pass).effect, Effect::Quarantine, "a fault never weakens what is sure");
    assert_eq!(fault.resolve(OnFault::Refuse).effect, Effect::Block);

    let stopped = format!("{broken}\n@id(\"stop\") @verdict(\"block\") forbid (principal, action, resource);");
    assert_eq!(policy(&stopped).decide(&open).unwrap().effect, Effect::Block, "no fault could change it");

    let tried = policy(&broken.replace("@id", "@mode(\"observe\") @id"));
    assert_eq!(tried.decide(&open).unwrap().effect, Effect::Allow);
    assert_eq!(tried.statistics().observe_faults, 1);
}

#[test]
fn a_broken_new_text_leaves_the_old_in_force() {
    let old = policy("");
    assert!(matches!(reload(&old, &[("t.cedar", BASE)], table()), Reload::Same));
    assert!(matches!(reload(&old, &[("t.cedar", BASE)], table().with_local(["pattern.local.new"])), Reload::New(_)));
    let Reload::New(new) = reload(&old, &[("t.cedar", "permit (principal, action, resource);")], table()) else {
        panic!("not loaded")
    };
    assert!(matches!(reload(&new, &[("other", "permit (principal, action, resource);")], table()), Reload::Same));
    assert_ne!(old.version(), new.version());
    let Reload::Kept(problems) = reload(&new, &[("t.cedar", "permit (principal, action);")], table()) else {
        panic!("loaded")
    };
    assert!(!problems.is_empty());
}

/// Conditions under which the same account in another group, or as another person, is decided anew.
#[test]
fn a_change_in_the_directory_changes_the_decision_at_once() {
    for condition in [
        r#"principal in Group::"staff""#,
        r#"principal in [Group::"staff", Group::"none"]"#,
        r#"principal is Party in Group::"staff""#,
        r#"(if context has sealed then resource else principal) in Group::"staff""#,
        r#"principal has person && principal.person == "p-7""#,
        r#"principal has person"#,
        r#"(if context has sealed then resource else principal) has person"#,
        r#"(if context has sealed then resource else principal).side == Side::"internal""#,
    ] {
        let rule =
            format!("@id(\"r\") @verdict(\"block\") forbid (principal, action, resource) when {{ {condition} }};");
        let policy = policy(&rule);
        let to = party("b@y", Side::External, &[]);
        let before = party("a@x", Side::External, &["others"]);
        let mut after = party("a@x", Side::Internal, &["others", "staff"]);
        after.person = Some("p-7".into());
        for _ in 0..2 {
            assert_eq!(policy.decide(&subject(&before, &to, &[])).unwrap().effect, Effect::Allow, "{condition}");
            assert_eq!(policy.decide(&subject(&after, &to, &[])).unwrap().effect, Effect::Block, "{condition}");
        }
        assert_eq!(policy.statistics().hits, 2, "{condition}");
    }
}
