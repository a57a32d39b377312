//! What a start tag means once it is read: declarations, names resolved,
//! duplicates, and what a first-level element must be (Namespaces in XML 1.0).
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

use super::super::chars;
use super::super::fault::{Condition, Fault};
use super::super::ns;
use super::super::scope::Decl;
use super::super::tree::{AttrRecord, CLIENT, STREAMS, Span, XML};
use super::{LIMIT_EXPANDED, LIMIT_URI, ODD_URI, Open, Place, Scanner, Step, URI_BYTES, limit, malformed, prefix};

impl Scanner {
    /// Takes in an attribute whose name and value were read.
    pub(super) fn attribute(&mut self, input: &[u8], value: Span) -> Result<(), Fault> {
        let local = self.name.local();
        match self.name.prefix() {
            None if self.tree.bytes(input, local) == b"xmlns" => self.declare(input, None, value),
            Some(prefix) if self.tree.bytes(input, prefix) == b"xmlns" => self.declare(input, Some(local), value),
            prefix => {
                self.tag.qualified |= prefix.is_some();
                let ns = prefix.unwrap_or(Span::EMPTY);
                self.tree.attrs.push(AttrRecord { ns, name: local, value });
                Ok(())
            }
        }
    }

    fn declare(&mut self, input: &[u8], name: Option<Span>, value: Span) -> Result<(), Fault> {
        if value.len() > URI_BYTES {
            return Err(limit(LIMIT_URI));
        }
        let uri = self.tree.bytes(input, value);
        let odd = !chars::is_uri(uri);
        let (is_xml, is_xmlns) = (uri == ns::XML.as_bytes(), uri == ns::XMLNS.as_bytes());
        let Some(name) = name else {
            if is_xml || is_xmlns {
                return Err(malformed("a reserved namespace is made the default"));
            }
            if self.tag.default.replace(value).is_some() {
                return Err(malformed("an attribute is given twice"));
            }
            if odd {
                self.exotic(ODD_URI);
            }
            return Ok(());
        };
        let prefix_name = self.tree.bytes(input, name);
        if prefix_name == b"xmlns" || is_xmlns || (prefix_name == b"xml") != is_xml {
            return Err(malformed("a reserved prefix or namespace is declared"));
        }
        if uri.is_empty() {
            return Err(malformed("a prefix is undeclared: XML 1.0 does not have that"));
        }
        let mut rebound = false;
        for (nth, decl) in self.scope.decls.iter().enumerate().rev() {
            if self.tree.bytes(input, decl.prefix) != prefix_name {
                continue;
            }
            if nth >= self.tag.decls {
                return Err(malformed("an attribute is given twice"));
            }
            rebound |= self.tree.bytes(input, decl.uri) != uri;
        }
        let inherited = self.scope.inherited(prefix_name);
        rebound |= inherited.is_some_and(|known| self.tree.bytes(input, known) != uri);
        rebound |= prefix_name == b"stream" && uri != ns::STREAMS.as_bytes();
        self.scope.push(Decl { prefix: name, uri: value })?;
        if odd {
            self.exotic(ODD_URI);
        }
        if rebound || is_xml {
            self.rewrite();
        }
        Ok(())
    }

    /// The start tag is read: resolves its names, checks them, and goes inside or on.
    pub(super) fn end_tag(&mut self, input: &[u8], empty: bool) -> Result<Option<Step>, Fault> {
        let tag = self.tag;
        let outer = self.open.last().map_or(self.scope.content, |open| open.default);
        let default = tag.default.unwrap_or(outer);
        let first = self.tree.records.get(tag.record).map_or(0, |r| r.first as usize);
        let space = match tag.name.prefix() {
            None => {
                if default.same(self.scope.content) && !default.same(CLIENT) {
                    self.rewrite();
                }
                default
            }
            Some(prefix) => self.resolve_element(input, prefix)?,
        };
        if tag.qualified {
            self.resolve_attributes(input, first)?;
        }
        self.check_duplicates(input, first)?;
        let parent = self.open.last().and_then(|open| self.tree.records.get(open.record)).map(|r| r.ns);
        if !parent.unwrap_or(CLIENT).same(space) {
            self.expand(space)?;
        }
        let count = (self.tree.attrs.len() - first) as u32;
        let end = self.tree.records.len() as u32;
        if let Some(record) = self.tree.records.get_mut(tag.record) {
            (record.ns, record.count, record.end) = (space, count, end);
        }
        if self.place == Place::Header {
            return if empty {
                Err(Fault::new(Condition::BadFormat, "the stream header closes itself: leave the stream open"))
            } else {
                Ok(Some(Step::Opened))
            };
        }
        if self.open.is_empty() {
            self.check_root(input, space)?;
        } else if space.len() == ns::STREAMS.len() && self.tree.bytes(input, space) == ns::STREAMS.as_bytes() {
            self.exotic("an element of the stream's own namespace inside a stanza");
        }
        if empty {
            self.scope.decls.truncate(tag.decls);
            self.resume_text();
            return Ok(self.open.is_empty().then_some(Step::Complete));
        }
        self.open.push(Open { record: tag.record, name: tag.name, default, decls: tag.decls });
        self.resume_text();
        Ok(None)
    }

    fn resolve_element(&mut self, input: &[u8], name: Span) -> Result<Span, Fault> {
        let name = self.tree.bytes(input, name);
        if name == b"xml" {
            self.exotic("an element of the namespace of xml");
            return Ok(XML);
        }
        let (space, inherited) =
            self.scope.resolve(&self.tree, input, name).ok_or(prefix("an element's prefix is not declared"))?;
        let stream = inherited && name == b"stream" && space.same(STREAMS);
        let uri = self.tree.bytes(input, space);
        // By prefix: what the stream carries, or anything on the first level, where weak readers look at raw names.
        let special = self.open.is_empty() || uri == ns::CLIENT.as_bytes() || uri == ns::SERVER.as_bytes();
        if !stream && (inherited || special && uri != ns::STREAMS.as_bytes()) {
            self.rewrite();
        }
        Ok(space)
    }

    fn resolve_attributes(&mut self, input: &[u8], first: usize) -> Result<(), Fault> {
        for nth in first..self.tree.attrs.len() {
            let Some(attr) = self.tree.attrs.get(nth).copied() else { break };
            if attr.ns.len() == 0 {
                continue;
            }
            let name = self.tree.bytes(input, attr.ns);
            let space = if name == b"xml" {
                XML
            } else {
                let (space, inherited) = self
                    .scope
                    .resolve(&self.tree, input, name)
                    .ok_or(prefix("an attribute's prefix is not declared"))?;
                if inherited {
                    self.rewrite();
                }
                self.expand(space)?;
                space
            };
            if let Some(attr) = self.tree.attrs.get_mut(nth) {
                attr.ns = space;
            }
        }
        Ok(())
    }

    /// Counts what writing a namespace out costs, so that no small stanza has a huge canonical form.
    fn expand(&mut self, space: Span) -> Result<(), Fault> {
        self.expanded += space.len();
        if self.expanded > self.limits.stanza_bytes { Err(limit(LIMIT_EXPANDED)) } else { Ok(()) }
    }

    /// No attribute twice, by name or by expanded name (Namespaces in XML, section 6.3).
    fn check_duplicates(&mut self, input: &[u8], first: usize) -> Result<(), Fault> {
        const TWICE: Fault = malformed("an attribute is given twice");
        /// Up to here comparing each with each is quicker than sorting.
        const FEW: usize = 12;
        let tree = &self.tree;
        let attrs = tree.attrs.get(first..).unwrap_or_default();
        let key = |a: &AttrRecord| (tree.bytes(input, a.name), tree.bytes(input, a.ns));
        let twice = if attrs.len() <= FEW {
            attrs.iter().enumerate().any(|(nth, a)| {
                attrs
                    .iter()
                    .take(nth)
                    .any(|b| a.name.len() == b.name.len() && a.ns.len() == b.ns.len() && key(a) == key(b))
            })
        } else {
            let mut keys: Vec<_> = attrs.iter().map(key).collect();
            keys.sort_unstable();
            keys.windows(2).any(|pair| matches!(pair, [a, b] if a == b))
        };
        if twice { Err(TWICE) } else { Ok(()) }
    }

    /// A first-level child must be in a namespace that no reader can take for another.
    fn check_root(&mut self, input: &[u8], space: Span) -> Result<(), Fault> {
        let uri = self.tree.bytes(input, space);
        let content = self.tree.bytes(input, self.scope.content);
        let content = if content.is_empty() { ns::CLIENT.as_bytes() } else { content };
        let name = self.tree.bytes(input, self.tag.name.local());
        if name == b"stream" && uri == ns::STREAMS.as_bytes() {
            return Err(Fault::new(Condition::BadFormat, "a second stream header: end the stream first"));
        }
        let stanza = self.place == Place::Stream && matches!(name, b"message" | b"presence" | b"iq");
        if !chars::is_uri(uri) || (stanza && uri != content) {
            return Err(Fault::new(Condition::InvalidNamespace, "a stanza is not in the namespace of the stream"));
        }
        Ok(())
    }
}
