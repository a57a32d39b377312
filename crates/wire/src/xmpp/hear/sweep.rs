//! Hearing elements by their shape alone: unknown extensions, and known ones that are nothing but fields.

use std::borrow::Cow;

use model::Place;

use super::heard::{Heard, How, is_blank};
use crate::xmpp::ns;
use crate::xmpp::tree::{Element, Node};

impl<'a> Heard<'a> {
    /// Hears all text of an element, and attribute values that look like links; extensions found inside go back to
    /// the table. A password is left out, unless it could be followed.
    pub(super) fn sweep(&mut self, element: Element<'a>, place: Place) {
        if element.name() == "password" {
            return self.sweep_secret(element);
        }
        self.linked_attrs(element);
        let text = element.text();
        if matches!(element.name(), "uri" | "url") && looks_like_link(&text) {
            self.say(Place::Url, element, How::Whole, text);
        } else {
            self.loose_text(element, place);
        }
        for child in element.elements() {
            if child.ns() == element.ns() {
                self.sweep(child, place);
            } else {
                self.payload(child);
            }
        }
    }

    /// For elements whose text no reader shows (a delay's reason, a thread id): only what looks like a link.
    pub(super) fn sweep_links(&mut self, element: Element<'a>) {
        self.linked_attrs(element);
        for node in element.children() {
            match node {
                Node::Text(text) if looks_like_link(text) => {
                    self.say(Place::Unknown, element, How::Whole, Cow::Borrowed(text));
                }
                Node::Text(_) => {}
                Node::Element(child) => self.sweep_links(child),
            }
        }
    }

    /// For passwords and other values that are nobody's to read: the links inside, each alone, never what stands
    /// beside them.
    pub(super) fn sweep_secret(&mut self, element: Element<'a>) {
        for value in element.attrs().map(|attr| attr.value).chain(std::iter::once(&*element.text())) {
            for link in value.split(BESIDE_LINKS).filter_map(link_within).filter(|link| !is_protocol_name(link)) {
                self.say(Place::Url, element, How::Whole, Cow::Borrowed(link));
            }
        }
        element.elements().for_each(|child| self.sweep_secret(child));
    }

    /// For what machines tell each other about archives, clocks and uploads: text that is more than an id, a number
    /// or a date, and links.
    pub(super) fn sweep_machine(&mut self, element: Element<'a>, place: Place) {
        self.linked_attrs(element);
        let text = element.text();
        if !is_id(&text) {
            self.loose_text(element, place);
        }
        for child in element.elements() {
            match child.ns() {
                ns::DATA => self.payload(child),
                _ => self.sweep_machine(child, place),
            }
        }
    }

    /// For keys, signatures, hashes and numbers: nothing, unless it holds what cannot be one.
    pub(super) fn sweep_opaque(&mut self, element: Element<'a>) {
        for node in element.children() {
            match node {
                Node::Text(text) if !is_opaque(text) => {
                    self.say(Place::Unknown, element, How::Whole, Cow::Borrowed(text));
                }
                Node::Text(_) => {}
                Node::Element(child) => self.sweep_opaque(child),
            }
        }
    }

    /// Hears the texts directly inside an element.
    pub(super) fn loose_text(&mut self, element: Element<'a>, place: Place) {
        let text = element.text();
        if !is_blank(&text) {
            let only = element.elements().next().is_none();
            self.say(place, element, if only { How::Text } else { How::Whole }, text);
        }
    }

    /// Hears attribute values that look like links.
    pub(super) fn linked_attrs(&mut self, element: Element<'a>) {
        for attr in element.attrs() {
            if looks_like_link(attr.value) && !is_protocol_name(attr.value) {
                self.say(Place::Unknown, element, How::Whole, Cow::Borrowed(attr.value));
            }
        }
    }
}

/// Whether a value could be something to follow; generous, since it only decides that detectors look at it.
fn looks_like_link(value: &str) -> bool {
    const SCHEMES: [&str; 4] = ["data:", "mailto:", "javascript:", "magnet:"];
    let value = value.trim_start();
    let starts = |prefix: &str| value.get(..prefix.len()).is_some_and(|v| v.eq_ignore_ascii_case(prefix));
    if value.len() < 5 {
        return false;
    }
    let schemed = memchr::memchr(b':', value.as_bytes()).is_some();
    starts("www.") || schemed && (value.contains("://") || SCHEMES.into_iter().any(starts))
}

/// What may stand before and after a link in running text.
const BESIDE_LINKS: [char; 9] = [' ', '\t', '\r', '\n', '"', '\'', '<', '>', ','];

/// The end of a word from where a link begins in it.
fn link_within(word: &str) -> Option<&str> {
    const BEGINNINGS: [&str; 9] =
        ["http://", "https://", "ftp://", "www.", "data:", "mailto:", "javascript:", "magnet:", "xmpp:"];
    let lower = word.to_ascii_lowercase();
    let start = BEGINNINGS.iter().filter_map(|beginning| lower.find(beginning)).min()?;
    word.get(start..)
}

/// Whether text is one id, number or date: a single word that can't be followed.
fn is_id(text: &str) -> bool {
    let word = text.trim();
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'-' | b'_' | b':');
    // A date may have fractions of a second; a name with dots could be followed.
    let dated = || word.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b':' | b'.' | b'T' | b'Z' | b'+'));
    !word.contains("//") && (word.bytes().all(plain) || dated())
}

/// Names of protocols look like links to jabber.org and are none.
fn is_protocol_name(value: &str) -> bool {
    ["http://jabber.org/", "http://www.w3.org/", "http://etherx.jabber.org/"].iter().any(|p| value.starts_with(p))
}

/// Whether text can only be base64, hexadecimal digits, a number or a date.
pub(super) fn is_opaque(text: &str) -> bool {
    text.bytes().all(|b| {
        b.is_ascii_alphanumeric() || b.is_ascii_whitespace() || matches!(b, b'+' | b'/' | b'=' | b'-' | b'_' | b':')
    })
}
