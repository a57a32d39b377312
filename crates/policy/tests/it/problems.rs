//! What is said of a policy that is wrong: where, what, and what to do.

use policy::{Policy, Severity, Surroundings, check};

use crate::fixture;
use crate::symbols::table;

/// Each fixture ends with what is found in it: `//: LINE:COLUMN severity: message | hint`.
#[test]
fn every_fixture_is_refused_as_it_says() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/policies/problems");
    let mut names: Vec<String> =
        std::fs::read_dir(root).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert!(!names.is_empty());
    for name in names {
        let text = fixture(&format!("problems/{name}"));
        let expected: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("//: ")).collect();
        let surroundings = Surroundings {
            today: Some("2026-11-23".parse().unwrap()),
            groups: Some(&["contractors", "staff"]),
            file_kinds: Some(&["pe", "zip"]),
        };
        let found: Vec<String> = check(&[(&name, &text)], table(), surroundings)
            .into_iter()
            .map(|p| {
                let severity = if p.severity == Severity::Error { "error" } else { "warning" };
                let hint = p.hint.map(|h| format!(" | {h}")).unwrap_or_default();
                format!("{}:{} {severity}: {}{hint}", p.line, p.column, p.message)
            })
            .collect();
        assert_eq!(found, expected, "{name}\n//: {}\n", found.join("\n//: "));
    }
}

#[test]
fn the_default_policy_has_nothing_to_complain_of() {
    assert_eq!(check(&[("default.cedar", Policy::default_text())], table(), Surroundings::default()), []);
}

#[test]
fn two_files_can_not_share_an_id() {
    let rule = "@id(\"x\") permit (principal, action, resource);";
    let problems = Policy::load(&[("a.cedar", rule), ("b.cedar", rule)], table()).unwrap_err();
    let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        ["b.cedar:1:1: a second rule with the id `x` - the first is at a.cedar:1; records need to tell them apart"]
    );
}
