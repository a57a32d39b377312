//! Colours, where a terminal shows them.

use std::io::IsTerminal;
use std::sync::OnceLock;

/// Something good: green.
pub(crate) fn good(text: &str) -> String {
    paint("32", text)
}

/// Something bad: red.
pub(crate) fn bad(text: &str) -> String {
    paint("31", text)
}

/// A heading: bold.
pub(crate) fn head(text: &str) -> String {
    paint("1", text)
}

/// Something beside the point: dim.
pub(crate) fn dim(text: &str) -> String {
    paint("2", text)
}

fn paint(code: &str, text: &str) -> String {
    static COLOURS: OnceLock<bool> = OnceLock::new();
    let colours = *COLOURS.get_or_init(|| std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    if colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}
