//! A stanza as a tree: one arena of records in document order, reused from
//! stanza to stanza, whose strings are spans of the frame wherever the frame
//! says them as they are meant.
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

use std::borrow::Cow;
use std::fmt;

use super::ns;

/// A piece of text: in the frame, in the scratch of decoded text, or in the
/// declarations that outlive a stanza. The two top bits of `start` say which.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    start: u32,
    len: u32,
}

const PLACE: u32 = 0b11 << 30;
const SCRATCH: u32 = 0b01 << 30;
const FIXED: u32 = 0b10 << 30;

/// The most bytes a frame may have, so that offsets and the place fit in 32 bits.
pub(super) const FRAME_BYTES: usize = 1 << 29;

impl Span {
    /// The empty string.
    pub(super) const EMPTY: Span = Span { start: FIXED, len: 0 };

    pub(super) fn frame(from: usize, to: usize) -> Span {
        Span { start: from as u32, len: to.saturating_sub(from) as u32 }
    }

    pub(super) fn scratch(from: usize, to: usize) -> Span {
        Span { start: from as u32 | SCRATCH, len: to.saturating_sub(from) as u32 }
    }

    const fn fixed(from: usize, len: usize) -> Span {
        Span { start: from as u32 | FIXED, len: len as u32 }
    }

    pub(super) fn len(self) -> usize {
        self.len as usize
    }

    /// Whether two spans are the same place (not merely the same text).
    pub(super) fn same(self, other: Span) -> bool {
        self.start == other.start && self.len == other.len
    }
}

/// What every stream starts with in [`Tree::fixed`].
const BASE: &str = "jabber:clienthttp://etherx.jabber.org/streamshttp://www.w3.org/XML/1998/namespace";
pub(super) const CLIENT: Span = Span::fixed(0, ns::CLIENT.len());
pub(super) const STREAMS: Span = Span::fixed(ns::CLIENT.len(), ns::STREAMS.len());
pub(super) const XML: Span = Span::fixed(ns::CLIENT.len() + ns::STREAMS.len(), ns::XML.len());

/// One record of the arena. A node's children follow it; its next sibling is at `end`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// Local name of an element, content of a text.
    pub(super) name: Span,
    /// Namespace of an element.
    pub(super) ns: Span,
    /// First attribute; [`TEXT`] marks a text.
    pub(super) first: u32,
    /// How many attributes.
    pub(super) count: u32,
    /// The record after this one and all it contains.
    pub(super) end: u32,
}

pub(super) const TEXT: u32 = u32::MAX;

/// One attribute.
#[derive(Clone, Copy, Debug)]
pub(super) struct AttrRecord {
    pub(super) ns: Span,
    pub(super) name: Span,
    pub(super) value: Span,
}

/// The arena.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) records: Vec<Record>,
    pub(super) attrs: Vec<AttrRecord>,
    /// Decoded text of this stanza.
    pub(super) scratch: String,
    /// Namespaces that outlive a stanza: well-known ones, then those of the stream header.
    fixed: Cow<'static, str>,
}

impl Tree {
    pub(super) fn new() -> Tree {
        Tree { records: Vec::new(), attrs: Vec::new(), scratch: String::new(), fixed: Cow::Borrowed(BASE) }
    }

    /// Makes room for the next stanza, keeping at most about `keep` records.
    pub(super) fn clear(&mut self, keep: usize) {
        self.records.clear();
        self.attrs.clear();
        self.scratch.clear();
        if self.records.capacity() > keep {
            self.records.shrink_to(keep);
        }
        if self.attrs.capacity() > keep {
            self.attrs.shrink_to(keep);
        }
        if self.scratch.capacity() > keep * 8 {
            self.scratch.shrink_to(keep * 8);
        }
    }

    /// Forgets the namespaces of the stream header.
    pub(super) fn forget_fixed(&mut self) {
        self.fixed = Cow::Borrowed(BASE);
    }

    /// Keeps a namespace beyond this stanza.
    pub(super) fn fix(&mut self, uri: &str) -> Span {
        if let Some(at) = self.fixed.find(uri) {
            return Span::fixed(at, uri.len());
        }
        let fixed = self.fixed.to_mut();
        let at = fixed.len();
        fixed.push_str(uri);
        Span::fixed(at, uri.len())
    }

    /// The bytes of a span, while the frame is still being read.
    pub(super) fn bytes<'a>(&'a self, frame: &'a [u8], span: Span) -> &'a [u8] {
        let from = (span.start & !PLACE) as usize;
        let range = from..from + span.len();
        match span.start & PLACE {
            SCRATCH => self.scratch.as_bytes().get(range),
            FIXED => self.fixed.as_bytes().get(range),
            _ => frame.get(range),
        }
        .unwrap_or_default()
    }

    fn text<'a>(&'a self, frame: &'a str, span: Span) -> &'a str {
        let from = (span.start & !PLACE) as usize;
        let range = from..from + span.len();
        match span.start & PLACE {
            SCRATCH => self.scratch.get(range),
            FIXED => self.fixed.get(range),
            _ => frame.get(range),
        }
        .unwrap_or_default()
    }

    /// Bytes held on the heap.
    pub(super) fn footprint(&self) -> usize {
        let fixed = match &self.fixed {
            Cow::Borrowed(_) => 0,
            Cow::Owned(s) => s.capacity(),
        };
        self.records.capacity() * size_of::<Record>()
            + self.attrs.capacity() * size_of::<AttrRecord>()
            + self.scratch.capacity()
            + fixed
    }
}

/// An element of a stanza: a view, cheap to copy.
///
/// Names, namespaces and values are as the infoset has them: entities and
/// character references decoded, line ends and attribute values normalised,
/// prefixes resolved.
#[derive(Clone, Copy)]
pub struct Element<'a> {
    tree: &'a Tree,
    frame: &'a str,
    index: u32,
}

/// One attribute; namespace declarations are not attributes here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attr<'a> {
    /// Namespace, empty for an attribute without prefix.
    pub ns: &'a str,
    /// Local name.
    pub name: &'a str,
    /// Normalised value.
    pub value: &'a str,
}

/// A child of an element.
#[derive(Clone, Copy, Debug)]
pub enum Node<'a> {
    /// A child element.
    Element(Element<'a>),
    /// Character data, whole: never two in a row.
    Text(&'a str),
}

impl<'a> Element<'a> {
    pub(super) fn new(tree: &'a Tree, frame: &'a str, index: u32) -> Element<'a> {
        Element { tree, frame, index }
    }

    fn record(self) -> Option<&'a Record> {
        self.tree.records.get(self.index as usize)
    }

    /// Local name.
    pub fn name(self) -> &'a str {
        self.record().map_or("", |r| self.tree.text(self.frame, r.name))
    }

    /// Namespace; empty when the element is in none.
    pub fn ns(self) -> &'a str {
        self.record().map_or("", |r| self.tree.text(self.frame, r.ns))
    }

    /// Whether it is the element of that namespace and name.
    pub fn is(self, ns: &str, name: &str) -> bool {
        self.name() == name && self.ns() == ns
    }

    /// The value of an attribute without namespace.
    pub fn attr(self, name: &str) -> Option<&'a str> {
        self.attr_ns("", name)
    }

    /// The value of an attribute in a namespace.
    pub fn attr_ns(self, ns: &str, name: &str) -> Option<&'a str> {
        self.attr_records()
            .iter()
            .find(|a| {
                a.name.len() == name.len()
                    && self.tree.text(self.frame, a.name) == name
                    && self.tree.text(self.frame, a.ns) == ns
            })
            .map(|a| self.tree.text(self.frame, a.value))
    }

    /// All attributes in the order sent, namespace declarations left out.
    pub fn attrs(self) -> impl Iterator<Item = Attr<'a>> + Clone {
        self.attr_records().iter().map(move |a| Attr {
            ns: self.tree.text(self.frame, a.ns),
            name: self.tree.text(self.frame, a.name),
            value: self.tree.text(self.frame, a.value),
        })
    }

    fn attr_records(self) -> &'a [AttrRecord] {
        let Some(record) = self.record() else { return &[] };
        let first = record.first as usize;
        self.tree.attrs.get(first..first + record.count as usize).unwrap_or_default()
    }

    /// Its own `xml:lang`; an inherited one is the caller's to know.
    pub fn lang(self) -> Option<&'a str> {
        self.attr_ns(ns::XML, "lang")
    }

    /// Child elements and texts in document order.
    pub fn children(self) -> Children<'a> {
        let end = self.record().map_or(0, |r| r.end);
        Children { tree: self.tree, frame: self.frame, at: self.index + 1, end }
    }

    /// Child elements in document order.
    pub fn elements(self) -> impl Iterator<Item = Element<'a>> + Clone {
        self.children().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The first child element of that namespace and name.
    pub fn child(self, ns: &str, name: &str) -> Option<Element<'a>> {
        self.elements().find(|e| e.is(ns, name))
    }

    /// The texts directly inside, joined.
    pub fn text(self) -> Cow<'a, str> {
        let mut texts = self.children().filter_map(|node| match node {
            Node::Text(text) => Some(text),
            Node::Element(_) => None,
        });
        let Some(first) = texts.next() else { return Cow::Borrowed("") };
        let mut joined = Cow::Borrowed(first);
        for more in texts {
            joined.to_mut().push_str(more);
        }
        joined
    }

    /// Identity within its stanza: equal for equal elements, for edits.
    pub fn index(self) -> u32 {
        self.index
    }

    /// Whether both are the same element with the same content: names, namespaces,
    /// attributes in any order, children in order.
    pub fn same_infoset(self, other: Element<'_>) -> bool {
        let mut pairs = vec![(self, other)];
        while let Some((a, b)) = pairs.pop() {
            if !a.is(b.ns(), b.name())
                || a.attrs().count() != b.attrs().count()
                || !a.attrs().all(|attr| b.attr_ns(attr.ns, attr.name) == Some(attr.value))
            {
                return false;
            }
            let (mut left, mut right) = (a.children(), b.children());
            loop {
                match (left.next(), right.next()) {
                    (None, None) => break,
                    (Some(Node::Text(a)), Some(Node::Text(b))) if a == b => {}
                    (Some(Node::Element(a)), Some(Node::Element(b))) => pairs.push((a, b)),
                    _ => return false,
                }
            }
        }
        true
    }
}

impl fmt::Debug for Element<'_> {
    /// Names only: what an element says does not belong in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Element({{{}}}{})", self.ns(), self.name())
    }
}

/// Children of an element, see [`Element::children`].
#[derive(Clone, Debug)]
pub struct Children<'a> {
    tree: &'a Tree,
    frame: &'a str,
    at: u32,
    end: u32,
}

impl<'a> Iterator for Children<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        if self.at >= self.end {
            return None;
        }
        let record = self.tree.records.get(self.at as usize)?;
        let index = self.at;
        self.at = record.end.max(index + 1);
        if record.first == TEXT {
            return Some(Node::Text(self.tree.text(self.frame, record.name)));
        }
        Some(Node::Element(Element { tree: self.tree, frame: self.frame, index }))
    }
}
