//! A stanza whose content may not be seen, replaced in place by a notice.
//!
//! The replacement is built up from what is known to be needed, never by taking away what is known to be bad: the
//! addresses, id, type and language of the stanza, its delay and archive ids, the wrappers of carbons and archive
//! results, a room's status codes. Everything else is gone.

use super::{attribute, error_element, put, speakable};
use crate::xmpp::ns;
use crate::xmpp::tree::Element;
use crate::xmpp::write::escape_text;

/// The same envelope with a notice as content, for a stanza that arrives at a client and may not be read there.
///
/// | stanza | becomes |
/// | --- | --- |
/// | message | the same with one `<body/>`; inside a carbon or archive result, the inner message, so that paging works |
/// | subject change of a room | the same with the notice as subject, since clients wait for one when they enter |
/// | pubsub event without a body | the same items without their payloads |
/// | presence | the same without status, nick and pictures; the notice as status if it had one |
/// | error | the same condition without its text |
/// | iq result | an iq error with the same id: whoever asked must get an answer |
/// | iq get or set | a headline message from the same sender: the client must not see the request, one stanza stays one stanza, and nothing answers or archives a headline. The requester is answered with [`error_reply`](super::error_reply) |
///
/// A nick that is part of an address stays: it is what the client knows the occupant by. What is no stanza yields
/// nothing.
pub fn replaced(stanza: Element<'_>, notice: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    if stanza.ns() != ns::CLIENT {
        return out;
    }
    let notice = speakable(notice);
    match stanza.name() {
        "message" => message(&mut out, stanza, ns::CLIENT, &notice),
        "presence" => presence(&mut out, stanza, &notice),
        "iq" => iq(&mut out, stanza, &notice),
        _ => {}
    }
    out
}

/// Attributes of a stanza (RFC 6120 section 8.1).
const STANZA: &[&str] = &["to", "from", "id", "type"];

fn message(out: &mut Vec<u8>, message: Element<'_>, outside: &str, notice: &str) {
    open(out, message, outside, STANZA);
    out.push(b'>');
    let (mut wraps, mut event, mut subject, mut body) = (false, false, false, false);
    for child in message.elements() {
        match (child.ns(), child.name()) {
            (ns::CLIENT, "body") => body = true,
            (ns::CLIENT, "subject") => subject = true,
            (ns::CARBONS, "sent" | "received") => wraps |= wrapper(out, child, &[], notice),
            (ns::MAM | ns::MAM1, "result") => wraps |= wrapper(out, child, &["id", "queryid"], notice),
            (ns::PUBSUB_EVENT, "event") => {
                event = true;
                pubsub_event(out, child);
            }
            (ns::MUC_USER, "x") => occupant(out, child),
            _ => stamp(out, child),
        }
    }
    let is = |kind| message.attr("type") == Some(kind);
    if is("error") {
        error(out, message);
    } else if is("groupchat") && subject && !body {
        element(out, "subject", notice);
    } else if body || !(wraps || event) {
        element(out, "body", notice);
    }
    put(out, &["</message>"]);
}

/// A carbon or archive result around a message; whether there was one.
fn wrapper(out: &mut Vec<u8>, wrapper: Element<'_>, attrs: &[&str], notice: &str) -> bool {
    let Some(forwarded) = wrapper.child(ns::FORWARD, "forwarded") else { return false };
    let Some(inner) = forwarded.child(ns::CLIENT, "message") else { return false };
    open(out, wrapper, ns::CLIENT, attrs);
    out.push(b'>');
    open(out, forwarded, wrapper.ns(), &[]);
    out.push(b'>');
    if let Some(delay) = forwarded.child(ns::DELAY, "delay") {
        stamp(out, delay);
    }
    message(out, inner, ns::FORWARD, notice);
    put(out, &["</forwarded></", wrapper.name(), ">"]);
    true
}

/// Times and ids that archives, rooms and servers put on a stanza.
fn stamp(out: &mut Vec<u8>, child: Element<'_>) {
    let attrs: &[&str] = match (child.ns(), child.name()) {
        (ns::DELAY, "delay") => &["from", "stamp"],
        (ns::DELAY_OLD, "x") => &["from", "stamp"],
        (ns::SID, "stanza-id" | "origin-id") => &["id", "by"],
        (ns::OCCUPANT_ID, "occupant-id") => &["id"],
        (ns::IDLE, "idle") => &["since"],
        _ => return,
    };
    // Always with its own declaration: the place may be inside any wrapper.
    open(out, child, "", attrs);
    put(out, &["/>"]);
}

/// An event with its nodes and item ids, so that a client still knows that something changed.
fn pubsub_event(out: &mut Vec<u8>, event: Element<'_>) {
    open(out, event, ns::CLIENT, &[]);
    out.push(b'>');
    for items in event.elements().filter(|e| e.is(ns::PUBSUB_EVENT, "items")) {
        open(out, items, ns::PUBSUB_EVENT, &["node"]);
        out.push(b'>');
        for item in items.elements().filter(|e| e.ns() == ns::PUBSUB_EVENT && matches!(e.name(), "item" | "retract")) {
            open(out, item, ns::PUBSUB_EVENT, &["id", "publisher"]);
            put(out, &["/>"]);
        }
        put(out, &["</items>"]);
    }
    put(out, &["</event>"]);
}

/// What a room says of an occupant (XEP-0045): role, affiliation and status codes, without reasons.
fn occupant(out: &mut Vec<u8>, x: Element<'_>) {
    open(out, x, ns::CLIENT, &[]);
    out.push(b'>');
    for child in x.elements().filter(|e| e.ns() == ns::MUC_USER) {
        let attrs: &[&str] = match child.name() {
            "item" => &["affiliation", "role", "jid", "nick"],
            "status" => &["code"],
            _ => continue,
        };
        open(out, child, ns::MUC_USER, attrs);
        put(out, &["/>"]);
    }
    put(out, &["</x>"]);
}

fn presence(out: &mut Vec<u8>, presence: Element<'_>, notice: &str) {
    open(out, presence, ns::CLIENT, STANZA);
    out.push(b'>');
    let mut status = false;
    for child in presence.elements() {
        match (child.ns(), child.name()) {
            (ns::CLIENT, "status") => status = true,
            (ns::CLIENT, "show") if matches!(&*child.text(), "away" | "chat" | "dnd" | "xa") => {
                element(out, "show", &child.text());
            }
            (ns::CLIENT, "priority") if child.text().trim().parse::<i8>().is_ok() => {
                element(out, "priority", child.text().trim());
            }
            (ns::CAPS, "c") => {
                open(out, child, ns::CLIENT, &["hash", "node", "ver"]);
                put(out, &["/>"]);
            }
            (ns::MUC_USER, "x") => occupant(out, child),
            _ => stamp(out, child),
        }
    }
    if presence.attr("type") == Some("error") {
        error(out, presence);
    } else if status {
        element(out, "status", notice);
    }
    put(out, &["</presence>"]);
}

fn iq(out: &mut Vec<u8>, iq: Element<'_>, notice: &str) {
    match iq.attr("type") {
        Some("error") => {
            open(out, iq, ns::CLIENT, STANZA);
            out.push(b'>');
            error(out, iq);
            put(out, &["</iq>"]);
        }
        Some("result") => {
            open(out, iq, ns::CLIENT, &["to", "from", "id"]);
            put(out, &[" type='error'>"]);
            error_element(out, "cancel", "policy-violation", Some(notice));
            put(out, &["</iq>"]);
        }
        _ => {
            put(out, &["<message"]);
            for name in ["to", "from", "id"] {
                if let Some(value) = iq.attr(name) {
                    attribute(out, name, value);
                }
            }
            put(out, &[" type='headline'>"]);
            element(out, "body", notice);
            put(out, &["</message>"]);
        }
    }
}

/// The error of an error stanza: its condition, without text or anything else.
fn error(out: &mut Vec<u8>, stanza: Element<'_>) {
    let error = stanza.child(ns::CLIENT, "error");
    let known = ["auth", "cancel", "continue", "modify", "wait"];
    let kind = error.and_then(|e| e.attr("type")).filter(|kind| known.contains(kind)).unwrap_or("cancel");
    let condition = error
        .and_then(|e| e.elements().find(|c| c.ns() == ns::STANZA_ERRORS && c.name() != "text"))
        .map_or("undefined-condition", |c| c.name());
    error_element(out, kind, condition, None);
}

/// Writes a start tag up to before its end, with those attributes it has of the ones named, and its language.
fn open(out: &mut Vec<u8>, element: Element<'_>, outside: &str, attrs: &[&str]) {
    put(out, &["<", element.name()]);
    if element.ns() != outside {
        attribute(out, "xmlns", element.ns());
    }
    for attr in element.attrs() {
        if attr.ns.is_empty() && attrs.contains(&attr.name) {
            attribute(out, attr.name, attr.value);
        } else if attr.ns == ns::XML && attr.name == "lang" {
            attribute(out, "xml:lang", attr.value);
        }
    }
}

/// Writes an element of the parent's namespace with text.
fn element(out: &mut Vec<u8>, name: &str, text: &str) {
    put(out, &["<", name, ">"]);
    escape_text(out, text);
    put(out, &["</", name, ">"]);
}
