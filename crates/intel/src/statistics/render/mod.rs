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

use super::Figure;

/// A number of per cent for people: signed, without a needless decimal.
fn percent(value: f64) -> String {
    match value {
        _ if value.fract() == 0.0 => format!("{value:+.0} %"),
        _ => format!("{value:+.1} %"),
    }
}

/// A number of per cent as the press would say it.
fn said(value: f64) -> String {
    format!("{} %", if value.fract() == 0.0 { format!("{value:+.0}") } else { format!("{value:+}") })
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
