//! Elements back to bytes, canonically: one spelling for one infoset, in a form
//! that every reader reads alike ([`Form::Verbatim`](super::Form::Verbatim)).
//!
//! Elements carry no prefix and declare their namespace where it is not their
//! parent's; attributes with a namespace get a generated prefix; `'` quotes
//! values. Only a first-level element of the stream's own namespace keeps the
//! prefix `stream`, since there are clients that look for `stream:features`.
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

use super::fault::Fault;
use super::ns;
use super::tree::{Attr, Children, Element, Node};

/// Writes text content: `&`, `<`, `>` and CR as references.
pub fn escape_text(out: &mut Vec<u8>, s: &str) {
    escape(out, s, |byte| match byte {
        b'&' => Some(b"&amp;"),
        b'<' => Some(b"&lt;"),
        b'>' => Some(b"&gt;"),
        b'\r' => Some(b"&#13;"),
        _ => None,
    });
}

/// Writes an attribute value for either quote: markup, quotes and tab, LF, CR as references.
pub fn escape_attr(out: &mut Vec<u8>, s: &str) {
    escape(out, s, |byte| match byte {
        b'&' => Some(b"&amp;"),
        b'<' => Some(b"&lt;"),
        b'>' => Some(b"&gt;"),
        b'\'' => Some(b"&apos;"),
        b'"' => Some(b"&quot;"),
        b'\t' => Some(b"&#9;"),
        b'\n' => Some(b"&#10;"),
        b'\r' => Some(b"&#13;"),
        _ => None,
    });
}

fn escape(out: &mut Vec<u8>, s: &str, replacement: impl Fn(u8) -> Option<&'static [u8]>) {
    let mut rest = s.as_bytes();
    while let Some((at, text)) = rest.iter().enumerate().find_map(|(at, &b)| Some((at, replacement(b)?))) {
        let (before, after) = rest.split_at(at);
        out.extend_from_slice(before);
        out.extend_from_slice(text);
        rest = after.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// Writes an element as a child of a stream whose default namespace is
/// `jabber:client` and whose prefix `stream` is the stream's own.
pub fn canonical(out: &mut Vec<u8>, element: Element<'_>) {
    rewrite(out, element, &mut |_| Edit::Keep);
}

/// What becomes of an element on the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Written as it is; its children are asked about next.
    Keep,
    /// Left out with all it contains.
    Drop,
    /// The same element and attributes with this text as only content.
    Text(String),
    /// These bytes instead: canonical, in the default namespace of the parent.
    Raw(Vec<u8>),
    /// Kept, with these bytes as last child: canonical, in the element's own namespace by default.
    Append(Vec<u8>),
    /// Kept without this attribute (one that has no namespace).
    DropAttr(&'static str),
    /// Kept with this attribute (one that has no namespace) set to a value.
    SetAttr(&'static str, String),
}

/// [`canonical`], with an edit applied to each element on the way down.
pub fn rewrite(out: &mut Vec<u8>, element: Element<'_>, edit: &mut dyn FnMut(Element<'_>) -> Edit) {
    let mut writer = Writer { out, edit, open: Vec::new(), prefixes: Vec::new(), next_prefix: 0 };
    writer.begin(element, ns::CLIENT);
    while let Some(open) = writer.open.last_mut() {
        let default = open.default;
        match open.children.as_mut().and_then(Children::next) {
            Some(Node::Text(text)) => escape_text(writer.out, text),
            Some(Node::Element(child)) => writer.begin(child, default),
            None => writer.end(),
        }
    }
}

/// Writes the stream error that tells a fault, without the end of the stream.
pub fn stream_error(out: &mut Vec<u8>, fault: &Fault) {
    let name = fault.condition.name();
    for part in ["<stream:error><", name, " xmlns='", ns::STREAM_ERRORS, "'/><text xmlns='", ns::STREAM_ERRORS] {
        out.extend_from_slice(part.as_bytes());
    }
    out.extend_from_slice(b"' xml:lang='en'>");
    escape_text(out, fault.text);
    out.extend_from_slice(b"</text></stream:error>");
}

struct Writer<'o, 'e, 'a> {
    out: &'o mut Vec<u8>,
    edit: &'e mut dyn FnMut(Element<'_>) -> Edit,
    open: Vec<Open<'a>>,
    /// Prefixes generated and still in scope: URI and number.
    prefixes: Vec<(&'a str, usize)>,
    /// Numbers are never reused, so that no prefix is bound twice in one stanza.
    next_prefix: usize,
}

struct Open<'a> {
    prefix: &'static str,
    name: &'a str,
    /// Default namespace of what is inside.
    default: &'a str,
    /// Absent when the content was replaced.
    children: Option<Children<'a>>,
    tail: Vec<u8>,
    /// How many generated prefixes were in scope outside.
    prefixes: usize,
}

impl<'a> Writer<'_, '_, 'a> {
    fn begin(&mut self, element: Element<'a>, default: &'a str) {
        let mut open = Open {
            prefix: "",
            name: element.name(),
            default: element.ns(),
            children: Some(element.children()),
            tail: Vec::new(),
            prefixes: self.prefixes.len(),
        };
        let (mut dropped, mut set) = (None, None);
        match (self.edit)(element) {
            Edit::Keep => {}
            Edit::Drop => return,
            Edit::Raw(bytes) => return self.out.extend_from_slice(&bytes),
            Edit::Text(text) => {
                open.children = None;
                escape_text(&mut open.tail, &text);
            }
            Edit::Append(bytes) => open.tail = bytes,
            Edit::DropAttr(name) => dropped = Some(name),
            Edit::SetAttr(name, value) => {
                dropped = Some(name);
                set = Some((name, value));
            }
        }
        if open.default == ns::XML {
            (open.prefix, open.default) = ("xml:", default);
        } else if open.default == ns::STREAMS && self.open.is_empty() {
            (open.prefix, open.default) = ("stream:", default);
        }
        self.out.push(b'<');
        self.out.extend_from_slice(open.prefix.as_bytes());
        self.out.extend_from_slice(open.name.as_bytes());
        if open.default != default {
            self.attribute(&["xmlns"], open.default);
        }
        for attr in element.attrs() {
            if !(attr.ns.is_empty() && dropped == Some(attr.name)) {
                self.qualified(attr);
            }
        }
        if let Some((name, value)) = set {
            self.attribute(&[name], &value);
        }
        let empty = open.tail.is_empty() && open.children.as_ref().is_none_or(|c| c.clone().next().is_none());
        if empty {
            self.out.extend_from_slice(b"/>");
            self.prefixes.truncate(open.prefixes);
            return;
        }
        self.out.push(b'>');
        self.open.push(open);
    }

    fn end(&mut self) {
        let Some(open) = self.open.pop() else { return };
        self.out.extend_from_slice(&open.tail);
        for part in ["</", open.prefix, open.name, ">"] {
            self.out.extend_from_slice(part.as_bytes());
        }
        self.prefixes.truncate(open.prefixes);
    }

    fn qualified(&mut self, attr: Attr<'a>) {
        match attr.ns {
            "" => self.attribute(&[attr.name], attr.value),
            ns::XML => self.attribute(&["xml:", attr.name], attr.value),
            ns::STREAMS => self.attribute(&["stream:", attr.name], attr.value),
            uri => {
                let known = self.prefixes.iter().find(|(known, _)| *known == uri).map(|(_, number)| *number);
                let number = known.unwrap_or(self.next_prefix);
                let prefix = format!("ns{number}");
                if known.is_none() {
                    self.attribute(&["xmlns:", &prefix], uri);
                    self.prefixes.push((uri, number));
                    self.next_prefix += 1;
                }
                self.attribute(&[&prefix, ":", attr.name], attr.value);
            }
        }
    }

    fn attribute(&mut self, name: &[&str], value: &str) {
        self.out.push(b' ');
        for part in name {
            self.out.extend_from_slice(part.as_bytes());
        }
        self.out.extend_from_slice(b"='");
        escape_attr(self.out, value);
        self.out.push(b'\'');
    }
}
