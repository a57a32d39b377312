//! A report as CSV (RFC 4180): one line a period, empty where unknown.

use super::super::figure::{Basis, Figure, Side};
use super::super::report::{Report, Row};

/// The report as CSV with a header. Text that a spreadsheet would take for a formula is marked as text.
pub fn csv(report: &Report) -> String {
    let mut out = String::from("period,source,vendor");
    for side in ["im", "p2p", "all"] {
        for column in [
            "new",
            "new_basis",
            "more_than",
            "previous",
            "change_pct",
            "change_said_pct",
            "year_before",
            "change_year_pct",
            "change_year_said_pct",
            "year_to_date",
            "year_to_date_basis",
        ] {
            out.push_str(&format!(",{side}_{column}"));
        }
    }
    out.push_str(",attacks_stopped,attacks_released,people,people_reached,rooms,senders,notes\r\n");
    for row in &report.rows {
        out.push_str(&line(report, row).join(","));
        out.push_str("\r\n");
    }
    out
}

fn line(report: &Report, row: &Row) -> Vec<String> {
    let vendor = report.vendor.as_deref().unwrap_or_default();
    let mut cells = vec![row.period.to_string(), report.source.as_str().to_owned(), text(vendor)];
    for (side, total) in [(&row.im, &row.year.im), (&row.p2p, &row.year.p2p), (&row.all, &row.year.all)] {
        cells.extend(columns(side, total));
    }
    match row.attacks {
        Some(a) => cells
            .extend([a.stopped, a.released, a.people, a.reached, a.rooms, a.senders].map(|count| count.to_string())),
        None => cells.extend([const { String::new() }; 6]),
    }
    cells.push(text(&row.notes.join(" ")));
    cells
}

fn columns(side: &Side, total: &Figure) -> [String; 11] {
    let number = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
    let change = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let basis = |basis: Basis| basis.as_str().to_owned();
    [
        number(side.new.value),
        basis(side.new.basis),
        number(side.new.more_than),
        number(side.previous.value),
        change(side.change_pct()),
        change(side.said),
        number(side.year_before.value),
        change(side.change_year_pct()),
        change(side.said_year),
        number(total.value),
        basis(total.basis),
    ]
}

/// A cell of text.
fn text(text: &str) -> String {
    let mark = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    let text = format!("{mark}{text}");
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    #[test]
    fn cells_are_neither_split_nor_run() {
        for (given, want) in [
            ("plain", "plain"),
            ("a, b", "\"a, b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("=1+1", "'=1+1"),
            ("@sum, x", "\"'@sum, x\""),
        ] {
            assert_eq!(super::text(given), want);
        }
    }
}
