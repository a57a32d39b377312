//! A report for programs (JSON, CSV) and for people (table, HTML). Each is a function from the report to text.

mod chart;
mod csv;
mod html;
mod json;
mod spark;
mod style;
mod table;

pub use csv::csv;
pub use html::html;
pub use json::json;
pub use table::{Look, table};

use super::report::{Other, Report, Row};
use super::{Figure, Side};

/// A number of per cent for people: signed, without a needless decimal.
fn percent(value: f64) -> String {
    match value {
        0.0 => "0 %".to_owned(),
        _ if value.fract() == 0.0 => format!("{} %", signed(format!("{value:+.0}"))),
        _ => format!("{} %", signed(format!("{value:+.1}"))),
    }
}

/// A number of per cent as the press would say it.
fn said(value: f64) -> String {
    format!("{} %", signed(format!("{value:+}")))
}

/// With a minus in place of a hyphen.
fn signed(number: String) -> String {
    number.replacen('-', "−", 1)
}

/// A row's figures of one medium, and its running total.
type Of = fn(&Row) -> (&Side, &Figure);

/// The media of which a report knows anything, with their names.
fn media(report: &Report) -> Vec<(&'static str, Of)> {
    let media: [(&str, Of); 3] = [
        ("Instant messaging", |row| (&row.im, &row.year.im)),
        ("Peer-to-peer", |row| (&row.p2p, &row.year.p2p)),
        ("IM, P2P and chat together", |row| (&row.all, &row.year.all)),
    ];
    let known = |of: &Of| report.rows.iter().any(|row| of(row).0.is_known());
    // A report of which nothing is known says so of instant messaging.
    media
        .into_iter()
        .enumerate()
        .filter(|(number, (_, of))| *number == 0 || known(of))
        .map(|(_, medium)| medium)
        .collect()
}

/// A medium in two or three letters, for small places.
fn short(name: &str) -> &str {
    match name {
        "Instant messaging" => "IM",
        "Peer-to-peer" => "P2P",
        _ => "All together",
    }
}

/// What another vendor counted, in a sentence.
fn other(other: &Other) -> String {
    format!("{} counted {} {}.", other.vendor, figure(&other.new), other.what.name())
}

/// A figure for people: an asterisk where it is computed, a dash where it is unknown.
fn figure(figure: &Figure) -> String {
    use super::Basis;
    match (figure.value, figure.more_than) {
        (Some(value), _) => format!("{value}{}", if figure.basis == Basis::Computed { "*" } else { "" }),
        (None, Some(bound)) => format!(">{bound}"),
        (None, None) => "–".to_owned(),
    }
}

/// Text without control and bidirectional characters, which a terminal or a page would obey.
fn plain(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().map(|c| if hidden(c) { '\u{fffd}' } else { c }).collect()
}
