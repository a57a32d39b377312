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

#[test]
fn running_totals_follow_from_the_months_next_to_them() {
    let rows = akonix("2006-09", "2006-12", Step::Month);
    let totals: Vec<&Value> = rows.iter().map(|row| &row["year"]["im"]).collect();
    assert_eq!(totals, [&json!(240), &json!(328), &json!(369), &json!(406)]);
    assert_eq!(rows[0]["year"]["how"]["im"], "328 to October - 88");
}

#[test]
fn the_catalogue_is_counted_by_first_sight() {
    let report = from_catalogue(Catalogue::bundled(), span("2001", "2003", Step::Year));
    let rows = render::json(&report);
    has(&rows[0], &json!({"period": "2001", "im": {"new": 3, "basis": {"new": "counted"}}, "p2p": {"new": null}}));
    has(&rows[1], &json!({"im": {"previous": 3}, "p2p": {"new": 1}, "by": {"kind": {"p2p-malware": 1}}}));
    let months = from_catalogue(Catalogue::bundled(), span("2002-01", "2002-12", Step::Month));
    let rows = render::json(&months);
    has(&rows[1], &json!({"im": {"new": 1}, "by": {"of": 1, "technique": {"T1189": 1}}}));
    has(&rows[2], &json!({"im": {"new": null}, "by": {"of": 0}}));
    assert!(
        months.notes.iter().any(|note| note.contains("of 2002 are known by their year only")),
        "{:?}",
        months.notes
    );
}

/// A report whose every text wants to be something else.
fn hostile() -> Report {
    let bad = "<script>alert(1)</script>\"'&\u{202e}\u{1b}[31m";
    let text = format!(
        "vendor = {0:?}\nabout = {0:?}\n[[count]]\nperiod = \"2008-04\"\nim = {{ new = 1, basis = \"computed\", how = {0:?} }}\n\
         shares = {{ {0:?} = 5 }}\nnotes = [{0:?}, \"=cmd()\"]\n\
         sources = [{{ by = {0:?}, url = \"javascript:alert(1)\" }}, {{ by = \"x\", url = \"https://x/{1}\" }}]\n",
        bad.replace(['\u{202e}', '\u{1b}'], ""),
        "\\\"><img src=x>"
    )
    .replace("\\'", "'");
    let mut vendor = Vendor::read("t", &text).unwrap();
    vendor.about = bad.to_owned();
    let mut threat = Catalogue::bundled().get("hello").unwrap().clone();
    threat.family = Some(bad.to_owned());
    threat.first_seen = crate::When::parse("2008-04");
    let mut other = threat.clone();
    other.id = "other".to_owned();
    let catalogue = Catalogue::new([threat, other]);
    from_counts(&vendor, &[], &catalogue, span("2008-03", "2008-05", Step::Month))
}

#[test]
fn a_page_has_no_scripts_and_no_text_becomes_markup() {
    let page = render::html(&hostile(), jiff::civil::date(2026, 11, 23));
    for forbidden in ["<script", "<img", "javascript:", "\u{202e}", "\u{1b}", " onload", "http://", "src="] {
        let found = page.match_indices(forbidden).find(|(at, _)| !page[..*at].ends_with("&lt;img "));
        assert!(found.is_none(), "{forbidden}: {:?}", found.map(|(at, _)| &page[at..(at + 60).min(page.len())]));
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(page.contains("How figures were computed"));
    assert!(page.contains("<svg") && page.contains("@media print"));
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
}

#[test]
fn a_terminal_is_not_steered_by_what_is_shown() {
    let report = hostile();
    let dull = render::table(&report, render::Look { colour: false, width: 80 });
    assert!(!dull.contains('\u{1b}') && !dull.contains('\u{202e}'), "{dull}");
    assert!(dull.lines().count() > 8);
    let coloured = render::table(&report, render::Look { colour: true, width: 80 });
    assert!(coloured.contains("\u{1b}[1m") && !coloured.contains("\u{1b}[31m\u{1b}"), "{coloured}");
}

#[test]
fn csv_has_as_many_cells_in_every_line_and_nothing_for_the_unknown() {
    let vendor = Vendor::named("akonix").unwrap();
    let report = from_counts(vendor, &[], Catalogue::bundled(), span("2008-02", "2008-04", Step::Month));
    let csv = render::csv(&report);
    let lines: Vec<&str> = csv.split("\r\n").collect();
    assert!(lines[1].starts_with("2008-02,counts,Akonix,,unknown,,,,,,,,34,computed,,unknown,,14,"), "{}", lines[1]);
    assert!(
        lines[3].starts_with("2008-04,counts,Akonix,21,counted,,8,162.5,162,,,,63,computed,18,counted,,16,12.5,13,"),
        "{}",
        lines[3]
    );
    let commas = |line: &str| line.split('"').step_by(2).map(|plain| plain.matches(',').count()).sum::<usize>();
    assert!(lines.iter().filter(|line| !line.is_empty()).all(|line| commas(line) == commas(lines[0])), "{csv}");
}
