//! What a verdict does to a stanza: pure functions from a stanza to canonical bytes.
//!
//! All of them keep one stanza one stanza, so that stream management counts stay exact, and none of them lets an
//! offending word through because it stood in an unexpected place: what cannot be edited exactly is removed whole.

mod redact;
mod replace;
mod warn;

use jiff::Timestamp;

pub use redact::redacted;
pub use replace::replaced;
pub use warn::warned;

use super::ns;
use super::tree::Element;
use super::write::{Edit, escape_attr, escape_text, rewrite};

/// What the sender of a refused stanza may do about it (RFC 6120 section 8.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorType {
    /// Provide credentials and try again.
    Auth,
    /// Do not try again.
    Cancel,
    /// Go on: it was a warning.
    Continue,
    /// Change the data and try again.
    Modify,
    /// Wait and try again.
    Wait,
}

impl ErrorType {
    /// The value on the wire.
    pub fn name(self) -> &'static str {
        match self {
            ErrorType::Auth => "auth",
            ErrorType::Cancel => "cancel",
            ErrorType::Continue => "continue",
            ErrorType::Modify => "modify",
            ErrorType::Wait => "wait",
        }
    }
}

/// The longest id that is repeated in an answer.
const ID_BYTES: usize = 1_024;
/// The longest full JID (RFC 7622 section 3).
const ADDRESS_BYTES: usize = 3_071;

/// The stanza error that answers a stanza (RFC 6120 section 8.3): addresses swapped, same id, nothing of the refused
/// content. It comes from where the stanza was sent to, so that a room's occupant gets it from the room.
///
/// What is too long to be an address is not repeated, nor is an id of more than 1 KiB (an answer must not cost more
/// than the question); an iq with such an id gets no answer, since none would be recognised.
///
/// `condition` is a defined condition's name (`policy-violation`); anything that is no such name becomes
/// `undefined-condition`. `None` where a reply is forbidden: to errors, iq results, and what is no stanza.
pub fn error_reply(stanza: Element<'_>, kind: ErrorType, condition: &str, text: Option<&str>) -> Option<Vec<u8>> {
    let answers = match (stanza.name(), stanza.attr("type")) {
        _ if stanza.ns() != ns::CLIENT => false,
        ("message" | "presence", kind) => kind != Some("error"),
        ("iq", kind) => matches!(kind, Some("get" | "set")),
        _ => false,
    };
    let id = stanza.attr("id").filter(|id| id.len() <= ID_BYTES);
    let unknowable = stanza.name() == "iq" && id.is_none() && stanza.attr("id").is_some();
    if !answers || unknowable {
        return None;
    }
    let address = |name| stanza.attr(name).filter(|address| address.len() <= ADDRESS_BYTES);
    let mut out = Vec::with_capacity(256);
    put(&mut out, &["<", stanza.name()]);
    for (name, value) in [("to", address("from")), ("from", address("to")), ("id", id)] {
        if let Some(value) = value {
            attribute(&mut out, name, value);
        }
    }
    put(&mut out, &[" type='error'>"]);
    error_element(&mut out, kind.name(), condition, text);
    put(&mut out, &["</", stanza.name(), ">"]);
    Some(out)
}

/// The stanza with a delay stamp (XEP-0203): it was held by `from_domain` since `time`.
pub fn stamped(stanza: Element<'_>, from_domain: &str, time: Timestamp) -> Vec<u8> {
    let mut delay = Vec::with_capacity(128);
    put(&mut delay, &["<delay xmlns='", ns::DELAY, "'"]);
    attribute(&mut delay, "from", from_domain);
    attribute(&mut delay, "stamp", &time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    put(&mut delay, &["/>"]);
    let root = stanza.index();
    let mut delay = Some(delay);
    let mut out = Vec::with_capacity(512);
    rewrite(&mut out, stanza, &mut |element| match delay.take_if(|_| element.index() == root) {
        Some(delay) => Edit::Append(delay),
        None => Edit::Keep,
    });
    out
}

/// Writes an error element of a stanza.
fn error_element(out: &mut Vec<u8>, kind: &str, condition: &str, text: Option<&str>) {
    let defined = !condition.is_empty() && condition.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    let condition = if defined { condition } else { "undefined-condition" };
    put(out, &["<error"]);
    attribute(out, "type", kind);
    put(out, &["><", condition, " xmlns='", ns::STANZA_ERRORS, "'/>"]);
    if let Some(text) = text {
        put(out, &["<text xmlns='", ns::STANZA_ERRORS, "' xml:lang='en'>"]);
        escape_text(out, &speakable(text));
        put(out, &["</text>"]);
    }
    put(out, &["</error>"]);
}

/// Text from outside the stream without the characters that XML forbids.
fn speakable(text: &str) -> String {
    text.chars().filter(|&c| matches!(c, '\t' | '\n') || (c >= ' ' && !matches!(c, '\u{FFFE}' | '\u{FFFF}'))).collect()
}

fn put(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

fn attribute(out: &mut Vec<u8>, name: &str, value: &str) {
    put(out, &[" ", name, "='"]);
    escape_attr(out, value);
    out.push(b'\'');
}
