//! A cached decision is the decision: random rules, random subjects.

use jiff::Timestamp;
use model::{Direction, Finding, Kind, Party, PartyKind, Protocol, Sealing, Side};
use policy::{Policy, Subject};
use proptest::prelude::*;
use proptest::sample::select;

use crate::symbols::{finding, party, table};

/// Every form of condition the analysis knows, and some it does not.
fn condition() -> impl Strategy<Value = String> {
    let symbol = select(vec!["link", "link.indicator", "link.indicator.phishing", "file", "pattern.local.project"]);
    let who = select(vec!["principal", "resource"]);
    let group = select(vec!["staff", "partners", "none"]);
    let domain = select(vec!["example", "partner.example", "eu.partner.example", "example.org"]);
    let account = select(vec!["a@example.org", "b@eu.partner.example", "a", "room@x.example.org"]);
    let text = select(vec!["account", "domain"]);
    let number = select(vec!["0.0", "1.0", "1.5", "2.0", "7.25"]);
    let compare = select(vec!["lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual"]);
    let date =
        select(vec!["2026-01-05", "2026-01-05T12:00:00Z", "2026-01-05T12:00:00.500Z", "2026-01-06T01:00:00+0100"]);
    let order = select(vec!["<", "<=", ">", ">=", "==", "!="]);
    let sealing = select(vec!["omemo", "otr"]);
    prop_oneof![
        symbol.clone().prop_map(|s| format!(r#"context.symbols.contains(Symbol::"{s}")"#)),
        (symbol.clone(), symbol.clone())
            .prop_map(|(a, b)| format!(r#"context.symbols.containsAny([Symbol::"{a}", Symbol::"{b}"])"#)),
        (symbol.clone(), symbol.clone())
            .prop_map(|(a, b)| format!(r#"context.symbols.containsAll([Symbol::"{a}", Symbol::"{b}"])"#)),
        symbol.clone().prop_map(|s| format!(r#"[Symbol::"{s}", Symbol::"file"].containsAll(context.symbols)"#)),
        symbol.prop_map(|s| format!(r#"context.symbols == [Symbol::"{s}"]"#)),
        Just("context.symbols.isEmpty()".to_owned()),
        (who.clone(), group.clone()).prop_map(|(w, g)| format!(r#"{w} in Group::"{g}""#)),
        (who.clone(), group.clone()).prop_map(|(w, g)| format!(r#"{w} in [Group::"{g}", Group::"staff"]"#)),
        (who.clone(), group.clone()).prop_map(|(w, g)| format!(r#"{w} is Party in Group::"{g}""#)),
        group.clone().prop_map(|g| format!(r#"(if context has sealed then principal else resource) in Group::"{g}""#)),
        (who.clone(), domain.clone()).prop_map(|(w, d)| format!(r#"{w} in Domain::"{d}""#)),
        (who.clone(), account.clone()).prop_map(|(w, a)| format!(r#"{w} == Party::"{a}""#)),
        (who.clone(), account.clone()).prop_map(|(w, a)| format!(r#"Party::"{a}" != {w}"#)),
        (who.clone(), account.clone()).prop_map(|(w, a)| format!(r#"[{w}].contains(Party::"{a}")"#)),
        (who.clone(), text.clone(), account).prop_map(|(w, t, a)| format!(r#"{w}.{t} == "{a}""#)),
        (who.clone(), text.clone(), domain.clone()).prop_map(|(w, t, d)| format!(r#"{w}.{t} like "*{d}""#)),
        (who.clone(), text.clone()).prop_map(|(w, t)| format!(r#"{w}.{t} like "*a*.*""#)),
        (who.clone(), text, domain).prop_map(|(w, t, d)| format!(r#"["{d}", "x"].contains({w}.{t})"#)),
        Just("principal.domain == resource.domain".to_owned()),
        Just("principal == resource".to_owned()),
        Just("[principal].contains(resource)".to_owned()),
        Just("principal has person && resource has person && principal.person == resource.person".to_owned()),
        (who.clone(), group).prop_map(|(w, g)| format!(r#"{w} has person && {w}.person like "{g}*""#)),
        who.clone().prop_map(|w| format!(r#"{w}.side == Side::"external""#)),
        who.clone().prop_map(|w| format!(r#"[PartyKind::"room", PartyKind::"service"].contains({w}.kind)"#)),
        who.prop_map(|w| format!(r#"{w} has person"#)),
        (number.clone(), compare.clone()).prop_map(|(n, c)| format!(r#"context.score.{c}(decimal("{n}"))"#)),
        (number.clone(), compare).prop_map(|(n, c)| format!(r#"decimal("{n}").{c}(context.score)"#)),
        number.prop_map(|n| format!(r#"[decimal("{n}")].contains(context.score)"#)),
        (date.clone(), order.clone()).prop_map(|(d, o)| format!(r#"context.time {o} datetime("{d}")"#)),
        date.prop_map(|d| format!(r#"context.time.durationSince(datetime("{d}")) > duration("1h")"#)),
        order.clone().prop_map(|o| format!("context.hour {o} 12")),
        order.prop_map(|o| format!("context.hour * 768614336404564651 {o} 12")),
        Just(r#"[Weekday::"monday", Weekday::"sunday"].contains(context.weekday)"#.to_owned()),
        Just("context has sealed".to_owned()),
        sealing.prop_map(|s| format!(r#"context has sealed && context.sealed == Sealing::"{s}""#)),
        Just(r#"context.direction == Direction::"to_client""#.to_owned()),
        Just(r#"context.protocol != Protocol::"xmpp""#.to_owned()),
        Just(r#"context.file_kinds.contains("pe")"#.to_owned()),
        Just(r#"context.file_kinds.containsAll(["pe", "zip"])"#.to_owned()),
        Just(r#"["pe", "zip"].containsAll(context.file_kinds)"#.to_owned()),
        Just(r#"action == Action::"file""#.to_owned()),
        Just(r#"action in [Action::"file", Action::"message"]"#.to_owned()),
    ]
}

fn rule() -> impl Strategy<Value = String> {
    let scope = select(vec![
        "principal, action, resource",
        "principal in Group::\"staff\", action, resource",
        "principal, action == Action::\"message\", resource in Domain::\"partner.example\"",
        "principal == Party::\"a@example.org\", action, resource",
        "principal is Party in Domain::\"example\", action in [Action::\"file\", Action::\"call\"], resource is Party",
    ]);
    let head = select(vec![
        ("forbid", "quarantine"),
        ("forbid", "block"),
        ("forbid", "disconnect"),
        ("permit", "warn"),
        ("permit", "redact"),
        ("permit", "allow"),
    ]);
    let glue = select(vec!["&&", "||"]);
    (head, scope, condition(), glue, condition(), any::<bool>(), any::<bool>()).prop_map(
        |((effect, verdict), scope, one, glue, two, unless, observe)| {
            let clause = if unless { "unless" } else { "when" };
            let mode = if observe { "@mode(\"observe\")" } else { "" };
            format!("@verdict(\"{verdict}\") {mode}\n{effect} ({scope}) {clause} {{ ({one}) {glue} ({two}) }};\n")
        },
    )
}

#[derive(Clone, Debug)]
struct Said {
    kind: Kind,
    direction: Direction,
    protocol: Protocol,
    from: Party,
    to: Party,
    findings: Vec<Finding>,
    score: f32,
    sealed: Option<Sealing>,
    file_kinds: Vec<&'static str>,
    time: Timestamp,
}

impl Said {
    fn subject(&self) -> Subject<'_> {
        Subject {
            kind: self.kind,
            direction: self.direction,
            protocol: self.protocol,
            from: &self.from,
            to: &self.to,
            findings: &self.findings,
            score: self.score,
            sealed: self.sealed,
            file_kinds: &self.file_kinds,
            time: self.time,
        }
    }
}

fn someone() -> impl Strategy<Value = Party> {
    let account = select(vec![
        "a@example.org",
        "A@example.org",
        "b@eu.partner.example",
        "a",
        "room@x.example.org",
        "x@xpartner.example",
        "",
    ]);
    let side = select(vec![Side::Internal, Side::External]);
    let kind = select(vec![PartyKind::Person, PartyKind::Room, PartyKind::Service]);
    let groups = select(vec![&[][..], &["staff"], &["partners", "staff"], &["others"]]);
    let person = select(vec![None, Some("staff-1"), Some("p")]);
    (account, side, kind, groups, person).prop_map(|(account, side, kind, groups, person)| {
        let mut party = party(account, side, groups);
        party.kind = kind;
        party.person = person.map(Into::into);
        party
    })
}

fn said() -> impl Strategy<Value = Said> {
    let symbol = select(vec![
        "link.raw_ip",
        "link.indicator.phishing",
        "file.bomb",
        "pattern.local.project",
        "pattern.local.unknown",
        "unknown",
    ]);
    let findings = prop::collection::vec(symbol.prop_map(finding), 0..3);
    let score = select(vec![0.0, 1.0, 1.49999, 1.5, 2.0, 7.25, f32::NAN, f32::MAX, -3.0]);
    let sealed = select(vec![None, Some(Sealing::Omemo), Some(Sealing::Otr)]);
    let kinds = prop::collection::vec(select(vec!["pe", "zip", "elf"]), 0..3);
    let time = select(vec![0, 1_767_571_200_000, 1_767_614_400_000, 1_767_614_400_500, 1_767_657_600_000, -5]);
    let how = (
        select(Kind::ALL.to_vec()),
        select(vec![Direction::FromClient, Direction::ToClient]),
        select(vec![Protocol::Xmpp, Protocol::Sip]),
    );
    (how, someone(), someone(), findings, score, sealed, kinds, time).prop_map(
        |((kind, direction, protocol), from, to, findings, score, sealed, file_kinds, time)| Said {
            kind,
            direction,
            protocol,
            from,
            to,
            findings,
            score,
            sealed,
            file_kinds,
            time: Timestamp::from_millisecond(time).unwrap(),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_cached_decision_is_the_decision(
        rules in prop::collection::vec(rule(), 1..6),
        subjects in prop::collection::vec(said(), 24..48),
    ) {
        let text = format!("permit (principal, action, resource);\n{}", rules.concat());
        let policy = match Policy::load(&[("p.cedar", &text)], table()) {
            Ok(policy) => policy,
            Err(problems) => panic!("{text}\n{problems:?}"),
        };
        for said in &subjects {
            let subject = said.subject();
            prop_assert_eq!(policy.decide(&subject), policy.decide_uncached(&subject), "{}", text);
        }
    }
}
