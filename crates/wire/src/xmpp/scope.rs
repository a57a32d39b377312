//! Namespace declarations in scope (Namespaces in XML 1.0), bounded so that a
//! look-up is.
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

use super::fault::{Condition, Fault};
use super::tree::{CLIENT, STREAMS, Span, Tree};

/// Most prefixes that may be in scope at one place of a stanza.
pub(super) const PREFIXES: usize = 64;
/// Most declarations of a stream header that are kept.
pub(super) const INHERITED: usize = 16;

/// A prefix and what it stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decl {
    pub(super) prefix: Span,
    pub(super) uri: Span,
}

/// What prefixes mean at the place being read.
#[derive(Debug)]
pub(super) struct Scope {
    /// Default namespace of the stream.
    pub(super) content: Span,
    /// Declarations of the stanza, innermost last.
    pub(super) decls: Vec<Decl>,
    /// Declarations of the stream header other than its own prefix.
    header: Vec<(Box<str>, Span)>,
    /// Whether the prefix `stream` stands for the stream's namespace.
    stream: bool,
}

impl Scope {
    /// A stream of `jabber:client` with the usual prefix.
    pub(super) fn new() -> Scope {
        Scope { content: CLIENT, decls: Vec::new(), header: Vec::new(), stream: true }
    }

    /// A stream whose header has not been read.
    pub(super) fn unopened(&mut self) {
        self.content = Span::EMPTY;
        self.decls.clear();
        self.header.clear();
        self.stream = false;
    }

    /// Takes over what a header declared: the default namespace and `prefix, uri` pairs.
    pub(super) fn open(&mut self, content: Span, header: Vec<(Box<str>, Span)>) {
        self.content = content;
        self.stream = header.iter().any(|(prefix, uri)| &**prefix == "stream" && uri.same(STREAMS));
        self.header = header;
        self.header.retain(|(prefix, uri)| !(&**prefix == "stream" && uri.same(STREAMS)));
        self.header.shrink_to_fit();
    }

    /// Forgets a stanza's declarations.
    pub(super) fn clear(&mut self) {
        self.decls.clear();
        self.decls.shrink_to(4);
    }

    pub(super) fn push(&mut self, decl: Decl) -> Result<(), Fault> {
        if self.decls.len() >= PREFIXES {
            return Err(Fault::new(
                Condition::PolicyViolation,
                "limit xmpp.prefixes reached: declare fewer namespace prefixes",
            ));
        }
        self.decls.push(decl);
        Ok(())
    }

    /// What the stream header declared a prefix to be.
    pub(super) fn inherited(&self, prefix: &[u8]) -> Option<Span> {
        if self.stream && prefix == b"stream" {
            return Some(STREAMS);
        }
        self.header.iter().find(|(known, _)| known.as_bytes() == prefix).map(|(_, uri)| *uri)
    }

    /// What a prefix stands for, and whether only the stream header says so.
    pub(super) fn resolve(&self, tree: &Tree, frame: &[u8], prefix: &[u8]) -> Option<(Span, bool)> {
        let declared = self.decls.iter().rev().find(|d| tree.bytes(frame, d.prefix) == prefix);
        match declared {
            Some(decl) => Some((decl.uri, false)),
            None => self.inherited(prefix).map(|uri| (uri, true)),
        }
    }

    /// Bytes held on the heap.
    pub(super) fn footprint(&self) -> usize {
        self.decls.capacity() * size_of::<Decl>()
            + self.header.iter().map(|(prefix, _)| prefix.len() + size_of::<(Box<str>, Span)>()).sum::<usize>()
    }
}
