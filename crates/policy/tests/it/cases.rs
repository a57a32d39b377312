//! The default policy against its table of cases, and the table's own errors.

use model::{Party, Side};
use policy::{Policy, cases};

use crate::fixture;
use crate::symbols::table;

#[test]
fn the_default_policy_does_what_its_cases_say() {
    let policy = Policy::load(&[("default.cedar", Policy::default_text())], table()).unwrap();
    assert_eq!(policy.warnings(), []);
    let cases = cases::parse("default.cases.toml", &fixture("default.cases.toml"), &table()).unwrap();
    let stranger = |_, address, kind| Party::stranger(address, kind, Side::External);
    let outcomes = cases::run(&policy, &cases, |case| Ok(case.stage(stranger, Vec::new())));
    let failed: Vec<String> = outcomes.iter().filter(|o| !o.passed()).map(ToString::to_string).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn every_default_rule_that_stops_or_marks_tells_people_why() {
    let policy = Policy::load(&[("default.cedar", Policy::default_text())], table()).unwrap();
    for rule in policy.rules().iter().filter(|rule| &*rule.id != "base") {
        let notice = rule.notice.as_deref().unwrap_or_default();
        assert!(notice.len() > 30 && notice.ends_with('.'), "{}: {notice:?}", rule.id);
    }
}

#[test]
fn every_default_rule_has_a_case() {
    let policy = Policy::load(&[("default.cedar", Policy::default_text())], table()).unwrap();
    let cases = fixture("default.cases.toml");
    for rule in policy.rules().iter().filter(|rule| &*rule.id != "base") {
        assert!(cases.contains(&format!("\"{}\"", rule.id)), "no case names rule {}", rule.id);
    }
}

#[test]
fn a_case_says_what_went_wrong() {
    let policy = Policy::load(&[("p", "@id(\"base\") permit (principal, action, resource);")], table()).unwrap();
    let text = "[[case]]\nname = \"x\"\nfrom = \"a@b\"\nto = \"c@d\"\nexpect = \"block\"\nrules = [\"r\"]\n";
    let cases = cases::parse("c.toml", text, &table()).unwrap();
    let stranger = |_, address, kind| Party::stranger(address, kind, Side::External);
    let outcomes = cases::run(&policy, &cases, |case| Ok(case.stage(stranger, Vec::new())));
    assert_eq!(outcomes[0].to_string(), "FAIL  x (line 1): expected block by [r], got allow by []");
    let outcomes = cases::run(&policy, &cases, |_| Err("the text could not be inspected".to_owned()));
    assert!(outcomes[0].to_string().ends_with("but the text could not be inspected"));
}

#[test]
fn a_broken_table_is_refused_with_places_and_hints() {
    let broken = |text: &str| -> Vec<String> {
        cases::parse("c.toml", text, &table()).unwrap_err().iter().map(ToString::to_string).collect()
    };
    let row = "[[case]]\nfrom = \"a@b\"\nto = \"c@d\"\n";
    for (text, want) in [
        ("".to_owned(), "c.toml:1:1: no cases - write `[[case]]`, then `from`, `to` and `expect`"),
        (format!("{row}expect = \"blok\"\n"), "c.toml:4:10: unknown verdict `blok` - did you mean `block`?"),
        (
            format!("{row}expect = \"block\"\nsymbols = [\n  \"link.raw_pi\"]\n"),
            "c.toml:6:3: unknown symbol `link.raw_pi` - did you mean `link.raw_ip`?",
        ),
        (format!("{row}expect = \"block\"\nform_side = \"internal\"\n"), "c.toml:5:1: unknown field `form_side`"),
        (format!("{row}expect = \"block\"\nkind = \"massage\"\n"), "c.toml:5:8: unknown variant `massage`"),
        (format!("{row}expect = \"block\"\ntime = \"noon\"\n"), "c.toml:5:8: `noon` is not a time"),
    ] {
        let problems = broken(&text);
        assert!(problems.iter().any(|p| p.starts_with(want)), "{text}\n{problems:?}");
    }
    assert!(
        broken(&format!("{row}expect = \"block\"\nform_side = \"internal\"\n"))[0]
            .ends_with("did you mean `from_side`?")
    );
}

#[test]
fn the_reference_names_everything_a_rule_may_say() {
    let text = policy::reference(&table());
    for name in
        ["`@expires`", "`quarantine`", "`Action::\"file\"`", "`file_kinds`", "`Weekday`", "**`link.indicator`**"]
    {
        assert!(text.contains(name), "{name}");
    }
    assert!(text.contains("| `link.raw_ip` | 1 | a test |"));
    assert!(text.contains("| `pattern.local.project` |  | an expression of this installation |"));
}
