//! A stanza that goes on, with a warning its readers cannot miss.
//!
//! The notice comes first, so that it shows in previews and cannot be pushed out of sight. Character ranges that
//! point into the body (XEP-0428, XEP-0372) move along with the text; a marker that would hide the whole body, and
//! markup shown in its place (XEP-0071, XEP-0394), are removed.

use bytes::Bytes;

use super::{put, speakable};
use crate::xmpp::Parsed;
use crate::xmpp::hear::flatten;
use crate::xmpp::ns;
use crate::xmpp::tree::Element;
use crate::xmpp::write::{Edit, escape_text, rewrite};

/// The stanza with a notice on its own line before the text: each body, a room's new subject, an invitation's
/// reason, a status. A message or presence without any gets a body or status of its own, inside the wrapper when it
/// is a carbon or archive result. An iq has no place for a notice and stays as it is; text that is end-to-end
/// encrypted cannot carry one either, so the notice stands in the cleartext beside it.
pub fn warned(stanza: Element<'_>, notice: &str) -> Vec<u8> {
    let mark = format!("[!] {}", speakable(notice));
    let prefix = format!("{mark}\n\n");
    let shift = prefix.chars().count();
    let chain = chain(stanza);
    let shown = chain.last().copied().unwrap_or(stanza);
    let lacks = lacks(shown);
    let texts = texts(&chain);
    let ranges = ranges(&chain);
    let mut out = Vec::with_capacity(1024);
    rewrite(&mut out, stanza, &mut |element| {
        let own = || texts.binary_search(&element.index()).is_ok();
        match (element.ns(), element.name()) {
            (ns::XHTML_IM, _) | (ns::MARKUP, _) => Edit::Drop,
            (ns::CLIENT, "body" | "status") if own() => Edit::Text(format!("{prefix}{}", flatten(element))),
            (ns::CLIENT, "subject") if own() => Edit::Text(format!("{mark} {}", flatten(element))),
            (ns::MUC_USER, "reason") => Edit::Text(format!("{prefix}{}", flatten(element))),
            (ns::CONFERENCE, "x") => match element.attr("reason") {
                Some(reason) => Edit::SetAttr("reason", format!("{mark} {reason}")),
                None => Edit::Keep,
            },
            (ns::FALLBACK, "fallback") if hides_all(element) => Edit::Drop,
            _ if ranges.binary_search(&element.index()).is_ok() => moved(element, &["start", "begin"], shift),
            _ if element.index() == shown.index() => match lacks {
                Some(name) => {
                    let mut text = Vec::new();
                    put(&mut text, &["<", name, ">"]);
                    escape_text(&mut text, &mark);
                    put(&mut text, &["</", name, ">"]);
                    Edit::Append(text)
                }
                None => Edit::Keep,
            },
            _ => Edit::Keep,
        }
    });
    if ranges.is_empty() {
        return out;
    }
    move_ends(out, shift)
}

/// One element takes one edit, so the far ends of ranges move in a second pass.
fn move_ends(bytes: Vec<u8>, shift: usize) -> Vec<u8> {
    let bytes = Bytes::from(bytes);
    let Ok(parsed) = Parsed::new(bytes.clone()) else { return bytes.into() };
    let stanza = parsed.stanza().root;
    let ranges = ranges(&chain(stanza));
    let mut out = Vec::with_capacity(bytes.len() + 16);
    rewrite(&mut out, stanza, &mut |element| {
        if ranges.binary_search(&element.index()).is_ok() { moved(element, &["end"], shift) } else { Edit::Keep }
    });
    out
}

/// The first of the named attributes that the element has, as a number moved by so much.
fn moved(element: Element<'_>, names: &[&'static str], shift: usize) -> Edit {
    let Some((name, value)) = names.iter().find_map(|&name| Some((name, element.attr(name)?))) else {
        return Edit::Keep;
    };
    match value.trim().parse::<usize>() {
        Ok(at) => Edit::SetAttr(name, at.saturating_add(shift).to_string()),
        Err(_) => Edit::DropAttr(name),
    }
}

/// The stanza and, inside a carbon or archive result, the message that is shown: outermost first.
fn chain(stanza: Element<'_>) -> Vec<Element<'_>> {
    let wraps = |e: &Element<'_>| {
        matches!((e.ns(), e.name()), (ns::CARBONS, "sent" | "received") | (ns::MAM | ns::MAM1, "result"))
    };
    let mut chain = vec![stanza];
    if stanza.is(ns::CLIENT, "message") {
        let mut wrapped = stanza.elements().filter(wraps);
        chain.extend(wrapped.find_map(|w| w.child(ns::FORWARD, "forwarded")?.child(ns::CLIENT, "message")));
    }
    chain
}

/// The element that a notice needs and the shown stanza does not have.
fn lacks(shown: Element<'_>) -> Option<&'static str> {
    let name = match shown.name() {
        "message" => "body",
        "presence" => "status",
        _ => return None,
    };
    let has =
        shown.child(ns::CLIENT, name).is_some() || is_subject_change(shown) || shown.attr("type") == Some("error");
    (!has).then_some(name)
}

/// A room's subject changes by a message with a subject and no body (XEP-0045 section 8.1); a body would undo that.
fn is_subject_change(message: Element<'_>) -> bool {
    message.attr("type") == Some("groupchat")
        && message.child(ns::CLIENT, "body").is_none()
        && message.child(ns::CLIENT, "subject").is_some()
}

/// The texts that take the notice, in order: bodies and statuses of the chain, and the subject that changes.
fn texts(chain: &[Element<'_>]) -> Vec<u32> {
    let mut found = Vec::new();
    for stanza in chain {
        let subject = is_subject_change(*stanza);
        let takes = |e: &Element<'_>| match e.name() {
            "body" | "status" => e.ns() == ns::CLIENT,
            "subject" => subject && e.ns() == ns::CLIENT,
            _ => false,
        };
        found.extend(stanza.elements().filter(takes).map(Element::index));
    }
    found.sort_unstable();
    found
}

/// Elements whose character ranges point into a body that moves, in order.
fn ranges(chain: &[Element<'_>]) -> Vec<u32> {
    let mut found = Vec::new();
    for child in chain.iter().flat_map(|message| message.elements()) {
        match (child.ns(), child.name()) {
            (ns::REFERENCE, "reference") if child.attr("begin").or(child.attr("end")).is_some() => {
                found.push(child.index());
            }
            (ns::FALLBACK, "fallback") => found.extend(
                child
                    .elements()
                    .filter(|e| e.name() == "body" && e.attr("start").or(e.attr("end")).is_some())
                    .map(|e| e.index()),
            ),
            _ => {}
        }
    }
    found.sort_unstable();
    found
}

/// Whether a reader that honours the marker would show nothing of the body, and so not the notice.
fn hides_all(fallback: Element<'_>) -> bool {
    let mut parts = fallback.elements().filter(|e| e.name() == "body").peekable();
    let none = fallback.elements().next().is_none();
    none || parts.any(|body| body.attr("start").is_none())
}
