//! A report as JSON: one object a period. What is unknown is `null`.

use serde_json::{Map, Value, json};

use super::super::breakdown::Breakdown;
use super::super::figure::{Basis, Figure, Side};
use super::super::report::{Report, Row, YearToDate};
use super::super::{Source, Step};

/// The report as an array of objects, one a period.
pub fn json(report: &Report) -> Value {
    Value::Array(report.rows.iter().map(|row| one(report, row)).collect())
}

fn one(report: &Report, row: &Row) -> Value {
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| _ = object.insert(key.to_owned(), value);
    let period = row.period.to_string();
    match row.period.step {
        Step::Month => put("month", period.clone().into()),
        Step::Quarter => put("quarter", period.clone().into()),
        Step::Year => {}
    }
    put("period", period.into());
    put("source", report.source.as_str().into());
    if let Some(vendor) = &report.vendor {
        put("vendor", vendor.as_str().into());
    }
    put("im", side(&row.im));
    put("p2p", side(&row.p2p));
    if row.all.is_known() {
        put("all", side(&row.all));
    }
    put("year", year(&row.year, row.all.is_known()));
    if let Some(attacks) = row.attacks {
        put(
            "attacks",
            json!({
                "seen": attacks.seen, "stopped": attacks.stopped, "released": attacks.released, "people": attacks.people,
                "reached": attacks.reached, "rooms": attacks.rooms, "senders": attacks.senders,
            }),
        );
    }
    put("by", by(report.source, &row.breakdown));
    if !row.shares.is_empty() {
        let shares: Map<String, Value> =
            row.shares.iter().map(|(name, share)| (name.clone(), number(*share))).collect();
        put("shares_pct", shares.into());
    }
    if !row.others.is_empty() {
        let other = |other: &super::super::report::Other| {
            json!({
                "vendor": other.vendor, "what": other.what.as_str(), "new": other.new.value, "more_than": other.new.more_than,
                "basis": other.new.basis,
            })
        };
        put("others", row.others.iter().map(other).collect());
    }
    put("notes", json!(row.notes));
    put("sources", json!(row.sources));
    Value::Object(object)
}

/// A medium: the figures, how each is known, and for computed ones from what.
fn side(side: &Side) -> Value {
    let figures = [("new", &side.new), ("previous", &side.previous), ("year_before", &side.year_before)];
    let mut object = with_basis(&figures);
    let changes = [
        ("change_pct", side.change_pct(), "said", side.said),
        ("change_year_pct", side.change_year_pct(), "said_year", side.said_year),
    ];
    for (key, change, said_key, said) in changes {
        object.insert(key.to_owned(), change.map_or(Value::Null, number));
        object.insert(said_key.to_owned(), said.map_or(Value::Null, number));
        let basis = if change.is_some() { Basis::Computed } else { Basis::Unknown };
        if let Some(Value::Object(bases)) = object.get_mut("basis") {
            bases.insert(key.to_owned(), json!(basis));
        }
    }
    if let Some(bound) = side.new.more_than {
        object.insert("more_than".to_owned(), bound.into());
    }
    Value::Object(object)
}

fn year(year: &YearToDate, all: bool) -> Value {
    let mut figures = vec![("im", &year.im), ("p2p", &year.p2p)];
    if all {
        figures.push(("all", &year.all));
    }
    Value::Object(with_basis(&figures))
}

fn with_basis(figures: &[(&str, &Figure)]) -> Map<String, Value> {
    let mut object = Map::new();
    let (mut basis, mut how) = (Map::new(), Map::new());
    for (key, figure) in figures {
        object.insert((*key).to_owned(), figure.value.map_or(Value::Null, Value::from));
        basis.insert((*key).to_owned(), json!(figure.basis));
        if let Some(why) = &figure.how {
            how.insert((*key).to_owned(), why.as_str().into());
        }
    }
    object.insert("basis".to_owned(), basis.into());
    if !how.is_empty() {
        object.insert("how".to_owned(), how.into());
    }
    object
}

/// How the period's attacks divide, and what these are: the catalogue's entries, or the journal's messages.
fn by(source: Source, breakdown: &Breakdown) -> Value {
    let of = if source == Source::Journal { "journal" } else { "catalogue" };
    let mut object = Map::new();
    object.insert("from".to_owned(), of.into());
    object.insert("of".to_owned(), breakdown.of.into());
    for dimension in &breakdown.dimensions {
        let items: Map<String, Value> =
            dimension.items.iter().map(|item| (item.id.clone(), item.count.into())).collect();
        object.insert(dimension.name.to_owned(), items.into());
    }
    Value::Object(object)
}

/// Whole numbers without a decimal point.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9e15 { Value::from(value as i64) } else { Value::from(value) }
}
