//! The historical figures, and what reports make of the unknown.

use serde_json::{Value, json};

use super::*;
use crate::Catalogue;

fn span(from: &str, to: &str, step: Step) -> Span {
    Span::new(Period::parse(from).unwrap(), Period::parse(to).unwrap(), step).unwrap()
}

fn akonix(from: &str, to: &str, step: Step) -> Vec<Value> {
    let vendor = Vendor::named("akonix").unwrap();
    let report = from_counts(vendor, Vendor::bundled(), Catalogue::bundled(), span(from, to, step));
    match render::json(&report) {
        Value::Array(rows) => rows,
        other => panic!("{other}"),
    }
}

/// That an object has these members, whatever else it has.
fn has(object: &Value, members: &Value) {
    for (key, want) in members.as_object().unwrap() {
        match want {
            Value::Object(_) => has(&object[key], want),
            _ => assert_eq!(&object[key], want, "{key} of {object}"),
        }
    }
}

#[test]
fn bundled_counts_are_sound() {
    assert_eq!(Vendor::bundled().len(), counts::FILES.len());
    for (file, text) in counts::FILES {
        assert!(text.starts_with("# "), "{file} begins with what it is about");
        let vendor = Vendor::read(file, text).unwrap_or_else(|problem| panic!("{problem}"));
        assert!(!vendor.counts.is_empty() && !vendor.about.is_empty(), "{file}");
    }
}

#[test]
fn april_2008_is_as_it_was() {
    let rows = akonix("2008-01", "2008-05", Step::Month);
    let months: Vec<&str> = rows.iter().map(|row| row["month"].as_str().unwrap()).collect();
    assert_eq!(months, ["2008-01", "2008-02", "2008-03", "2008-04", "2008-05"]);
    has(
        &rows[3],
        &json!({
            "im": {
                "new": 21, "previous": 8, "change_pct": 162.5, "said": 162,
                "basis": {"new": "counted", "previous": "computed", "change_pct": "computed"},
            },
            "p2p": {
                "new": 18, "previous": 16, "change_pct": 12.5, "said": 13,
                "basis": {"new": "counted", "previous": "computed"},
            },
            "year": {"im": 63, "p2p": null, "basis": {"im": "computed", "p2p": "unknown"}},
        }),
    );
    assert_eq!(rows[3]["year"]["how"]["im"], "73 to May - 10");
    has(
        &rows[4],
        &json!({"im": {"new": 10, "previous": 21}, "p2p": {"new": 21, "change_pct": 16.7, "said": 17}, "year": {"im": 73}}),
    );
}

#[test]
fn what_was_not_found_is_null_and_never_0() {
    let rows = akonix("2008-01", "2008-05", Step::Month);
    has(
        &rows[0],
        &json!({"im": {"new": null, "basis": {"new": "unknown"}}, "p2p": {"new": 14}, "year": {"im": null, "p2p": 14}}),
    );
    has(
        &rows[1],
        &json!({"im": {"new": null, "change_pct": null}, "p2p": {"new": null}, "year": {"im": 34, "p2p": null}}),
    );
    has(
        &rows[2],
        &json!({"im": {"new": 8, "previous": null, "change_pct": null, "year_before": null}, "year": {"im": 42}}),
    );
    // A figure of one of two months is neither's.
    for row in akonix("2007-09", "2007-10", Step::Month) {
        has(&row, &json!({"im": {"new": null}, "p2p": {"new": null}}));
        assert!(row["notes"][0].as_str().unwrap().contains("22 IM threats"), "{row}");
    }
}

#[test]
fn years_are_as_they_were() {
    let rows = akonix("2005", "2008", Step::Year);
    has(&rows[0], &json!({"period": "2005", "im": {"new": 347, "basis": {"new": "computed"}}}));
    has(&rows[1], &json!({"im": {"new": 406, "previous": 347, "change_pct": 17, "said": 15}}));
    has(
        &rows[2],
        &json!({"im": {"new": 346, "previous": 406, "year_before": 406, "change_pct": -14.8, "basis": {"new": "counted"}}, "year": {"im": 346}}),
    );
    has(&rows[3], &json!({"im": {"new": null, "previous": 346}}));
    let contradiction = rows[1]["notes"].to_string();
    assert!(contradiction.contains("make 410, but 406 was said for the year: they differ by 4"), "{contradiction}");
}

#[test]
fn quarters_follow_from_months_and_running_totals() {
    let rows = akonix("2006", "2008", Step::Quarter);
    let of = |period: &str| rows.iter().find(|row| row["quarter"] == period).unwrap();
    has(of("2006-Q4"), &json!({"im": {"new": 170, "basis": {"new": "computed"}, "how": {"new": "88 + 41 + 41"}}}));
    has(of("2008-Q1"), &json!({"im": {"new": 42}, "year": {"im": 42}}));
    has(of("2007-Q1"), &json!({"im": {"new": null}}));
    let facetime = Vendor::named("FaceTime").unwrap();
    let report = from_counts(facetime, &[], Catalogue::bundled(), span("2007-Q1", "2007-Q2", Step::Quarter));
    let rows = render::json(&report);
    has(&rows[0], &json!({"all": {"new": 301, "basis": {"new": "computed"}}, "im": {"new": 74}}));
    has(&rows[1], &json!({"all": {"new": 317, "previous": 301, "change_pct": 5.3, "said": 5}, "year": {"all": 618}}));
}

#[test]
fn other_vendors_are_shown_beside_and_never_mixed_in() {
    let rows = akonix("2005-10", "2005-11", Step::Month);
    has(&rows[0], &json!({"im": {"new": 19}}));
    has(&rows[0]["others"][0], &json!({"vendor": "IMlogic", "what": "im", "new": 292}));
    has(&rows[1], &json!({"im": {"new": null}}));
    has(&rows[1]["others"][0], &json!({"new": null, "more_than": 300}));
}

#[test]
fn a_count_says_what_is_wrong_with_it() {
    let head = "vendor = \"X\"\nabout = \"y\"\n";
    for (text, message) in [
        ("[[count]]\nperiod = \"2008-13\"", "t:4: `2008-13` is no period"),
        ("[[count]]\nperiod = \"2008\"\nim = { nwe = 1 }", "t:5: unknown field `nwe`"),
        ("[[count]]\nperiod = \"2008\"\nim = { new = 1 }", "2008: no source"),
        ("[[count]]\nperiod = \"2008\"\nim = { new = 1, basis = \"computed\" }", "says from what"),
        ("[[count]]\nperiod = \"2008\"\n[[count]]\nperiod = \"2008\"", "2008 stands here twice"),
    ] {
        let problem = Vendor::read("t", &format!("{head}{text}\n")).unwrap_err();
        assert!(problem.to_string().contains(message), "{problem}");
    }
}
