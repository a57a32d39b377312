//! One element, byte by byte: the state machine under [`Reader`](super::Reader).
//!
//! It stops anywhere and goes on where it stopped. Between two steps it keeps
//! a position, so no byte of a long token is looked at twice; only tokens of a
//! fixed small size (a reference, `<![CDATA[`, one character) are tried again.
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

use super::chars::{self, Decoded, NAME, NAME_START, SPACE};
use super::fault::{Condition, Fault};
use super::ns;
use super::scope::{Decl, Scope};
use super::tree::{AttrRecord, CLIENT, Record, STREAMS, Span, TEXT, Tree, XML};
use super::{Form, Limits};

/// Longest name, prefix included, in bytes.
pub(super) const NAME_BYTES: usize = 256;
/// Longest namespace URI, in bytes.
pub(super) const URI_BYTES: usize = 1_024;

const LIMIT_DEPTH: &str = "limit xmpp.depth reached: nest fewer elements";
const LIMIT_ELEMENTS: &str = "limit xmpp.elements reached: send fewer elements in one stanza";
const LIMIT_ATTRIBUTES: &str = "limit xmpp.attributes reached: give an element fewer attributes";
const LIMIT_NAME: &str = "limit xmpp.name_bytes reached: use shorter names";
const LIMIT_URI: &str = "limit xmpp.uri_bytes reached: use shorter namespace names";
const LIMIT_EXPANDED: &str = "limit xmpp.namespace_bytes reached: switch namespaces less often in one stanza";
/// Why a stanza with such a declaration is not forwarded.
pub(super) const ODD_URI: &str = "a namespace name that is no URI";
const BAD_UTF8: &str = "the stream is not UTF-8";
const BAD_CHAR: &str = "a character that XML does not allow";

pub(super) const fn malformed(text: &'static str) -> Fault {
    Fault::new(Condition::NotWellFormed, text)
}

const fn limit(text: &'static str) -> Fault {
    Fault::new(Condition::PolicyViolation, text)
}

const fn restricted(text: &'static str) -> Fault {
    Fault::new(Condition::RestrictedXml, text)
}

const fn prefix(text: &'static str) -> Fault {
    Fault::new(Condition::BadNamespacePrefix, text)
}

/// How far a run over the input came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// All input is used up inside the element.
    More,
    /// The start tag of the stream itself is complete.
    Opened,
    /// The element is complete.
    Complete,
}

/// What the element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The stream itself, of which only the start tag is read.
    Header,
    /// A first-level child of the stream being read.
    Stream,
    /// A first-level child of some stream, accepted before.
    Alone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In character data.
    Text,
    /// In a CDATA section.
    Cdata,
    /// At a `<`.
    Markup,
    OpenName,
    /// Between attributes; whether white space came since the last token.
    Tag {
        spaced: bool,
    },
    AttrName,
    Equals,
    Quote,
    Value,
    /// After the `/` of an empty-element tag.
    Slash,
    CloseName,
    CloseTail,
}

/// Text being collected: what is pending in the frame, and what was decoded before it.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    from: usize,
    decoded: Option<usize>,
}

/// A name in the frame: `from..to`, its colon (0 when there is none: a name never starts there).
#[derive(Clone, Copy, Debug, Default)]
struct Name {
    from: usize,
    to: usize,
    colon: usize,
}

impl Name {
    fn local(self) -> Span {
        Span::frame(if self.colon == 0 { self.from } else { self.colon + 1 }, self.to)
    }

    fn prefix(self) -> Option<Span> {
        (self.colon != 0).then(|| Span::frame(self.from, self.colon))
    }
}

/// An element whose end has not come.
#[derive(Clone, Copy, Debug)]
struct Open {
    record: usize,
    name: Name,
    /// Default namespace inside.
    default: Span,
    /// Prefix declarations in scope outside.
    decls: usize,
}

/// The start tag being read.
#[derive(Clone, Copy, Debug, Default)]
struct Tag {
    name: Name,
    record: usize,
    decls: usize,
    default: Option<Span>,
    /// Attributes and declarations.
    count: usize,
    /// Some attribute has a prefix.
    qualified: bool,
}

/// The machine. See the module.
#[derive(Debug)]
pub(super) struct Scanner {
    pub(super) tree: Tree,
    pub(super) scope: Scope,
    pub(super) limits: Limits,
    pub(super) form: Form,
    /// Position in the frame.
    pub(super) at: usize,
    state: State,
    run: Run,
    name: Name,
    quote: u8,
    tag: Tag,
    open: Vec<Open>,
    elements: usize,
    /// Bytes that writing out each change of namespace would add.
    expanded: usize,
    place: Place,
}

impl Scanner {
    pub(super) fn new(limits: Limits) -> Scanner {
        Scanner {
            tree: Tree::new(),
            scope: Scope::new(),
            limits,
            form: Form::Verbatim,
            at: 0,
            state: State::Markup,
            run: Run::default(),
            name: Name::default(),
            quote: 0,
            tag: Tag::default(),
            open: Vec::new(),
            elements: 0,
            expanded: 0,
            place: Place::Stream,
        }
    }

    /// Gets ready for a frame whose element begins at `at`; keeps room for about `keep` records.
    pub(super) fn begin(&mut self, at: usize, place: Place, keep: usize) {
        self.tree.clear(keep);
        self.scope.clear();
        self.open.clear();
        if self.open.capacity() > keep {
            self.open.shrink_to(keep / 2);
        }
        self.form = Form::Verbatim;
        self.at = at;
        self.state = State::Markup;
        self.run = Run { from: at, decoded: None };
        self.elements = 0;
        self.expanded = 0;
        self.place = place;
    }

    /// The name of the element whose tag was read last, as written.
    pub(super) fn raw_name<'a>(&self, input: &'a [u8]) -> &'a [u8] {
        input.get(self.tag.name.from..self.tag.name.to).unwrap_or_default()
    }

    /// What the tag read last declared: the default namespace, and prefixes with theirs.
    pub(super) fn declared(&self, frame: &str) -> (Option<String>, Vec<(Box<str>, String)>) {
        let text = |span| String::from_utf8_lossy(self.tree.bytes(frame.as_bytes(), span)).into_owned();
        let prefixes = self.scope.decls.iter().map(|decl| (text(decl.prefix).into_boxed_str(), text(decl.uri)));
        (self.tag.default.map(text), prefixes.collect())
    }

    /// Bytes held on the heap.
    pub(super) fn footprint(&self) -> usize {
        self.tree.footprint() + self.scope.footprint() + self.open.capacity() * size_of::<Open>()
    }

    /// Reads on. `input` is the frame so far, from its first byte.
    pub(super) fn run(&mut self, input: &[u8]) -> Result<Step, Fault> {
        loop {
            let step = match self.state {
                State::Text => self.text(input)?,
                State::Cdata => self.cdata(input)?,
                State::Markup => self.markup(input)?,
                State::OpenName => self.open_name(input)?,
                State::Tag { spaced } => self.tag(input, spaced)?,
                State::AttrName => self.attr_name(input)?,
                State::Equals => self.equals(input)?,
                State::Quote => self.quote(input)?,
                State::Value => self.value(input)?,
                State::Slash => self.slash(input)?,
                State::CloseName => self.close_name(input)?,
                State::CloseTail => self.close_tail(input)?,
            };
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }

    fn text(&mut self, input: &[u8]) -> Result<Option<Step>, Fault> {
        loop {
            self.at = chars::skip_text(input, self.at);
            let Some(&byte) = input.get(self.at) else { return Ok(Some(Step::More)) };
            match byte {
                b'<' => {
                    self.state = State::Markup;
                    return Ok(None);
                }
                b'&' => {
                    if !self.reference(input, false)? {
                        return Ok(Some(Step::More));
                    }
                }
                b'>' => {
                    if input.get(..self.at).is_some_and(|before| before.ends_with(b"]]")) {
                        return Err(malformed("]]> in text: write ]]&gt;"));
                    }
                    self.at += 1;
                }
                b'\r' => {
                    if !self.line_end(input, '\n')? {
                        return Ok(Some(Step::More));
                    }
                }
                _ => {
                    if !self.character(input)? {
                        return Ok(Some(Step::More));
                    }
                }
            }
        }
    }

    fn cdata(&mut self, input: &[u8]) -> Result<Option<Step>, Fault> {
        loop {
            self.at = chars::skip_text(input, self.at);
            let Some(&byte) = input.get(self.at) else { return Ok(Some(Step::More)) };
            match byte {
                b'>' if input.get(self.name.from..self.at).is_some_and(|inside| inside.ends_with(b"]]")) => {
                    self.flush(input, self.at - 2)?;
                    self.at += 1;
                    self.run.from = self.at;
                    self.state = State::Text;
                    return Ok(None);
                }
                b'<' | b'&' | b'>' => self.at += 1,
                b'\r' => {
                    if !self.line_end(input, '\n')? {
                        return Ok(Some(Step::More));
                    }
                }
                _ => {
                    if !self.character(input)? {
                        return Ok(Some(Step::More));
                    }
                }
            }
        }
    }

    fn markup(&mut self, input: &[u8]) -> Result<Option<Step>, Fault> {
        let Some(&byte) = input.get(self.at + 1) else { return Ok(Some(Step::More)) };
        match byte {
            b'/' if !self.open.is_empty() => {
                self.end_text(input)?;
                self.at += 2;
                self.state = State::CloseName;
            }
            b'!' => {
                const CDATA: &[u8] = b"<![CDATA[";
                let here = input.get(self.at..).unwrap_or_default();
                let here = here.get(..CDATA.len()).unwrap_or(here);
                if self.open.is_empty() || !CDATA.starts_with(here) {
                    return Err(restricted("comments and document types are not allowed in XMPP: leave them out"));
                }
                if here.len() < CDATA.len() {
                    return Ok(Some(Step::More));
                }
                self.flush(input, self.at)?;
                self.rewrite();
                self.at += CDATA.len();
                self.run.from = self.at;
                self.name.from = self.at;
                self.state = State::Cdata;
            }
            b'?' => return Err(restricted("processing instructions are not allowed in XMPP: leave them out")),
            _ => {
                self.end_text(input)?;
                self.at += 1;
                self.name = Name { from: self.at, to: self.at, colon: 0 };
                self.state = State::OpenName;
            }
        }
        Ok(None)
    }

    fn open_name(&mut self, input: &[u8]) -> Result<Option<Step>, Fault> {
        let Some(next) = self.name(input)? else { return Ok(Some(Step::More)) };
        if !chars::is(next, SPACE) && next != b'>' && next != b'/' {
            return Err(malformed("an element name ends in a character that names do not have"));
        }
        if self.elements >= self.limits.elements {
            return Err(limit(LIMIT_ELEMENTS));
        }
        if self.open.len() >= self.limits.depth {
            return Err(limit(LIMIT_DEPTH));
        }
        self.elements += 1;
        self.tag = Tag {
            name: self.name,
            record: self.tree.records.len(),
            decls: self.scope.decls.len(),
            default: None,
            count: 0,
            qualified: false,
        };
        self.tree.records.push(Record {
            name: self.name.local(),
            ns: Span::EMPTY,
            first: self.tree.attrs.len() as u32,
            count: 0,
            end: 0,
        });
        self.state = State::Tag { spaced: false };
        Ok(None)
    }

    fn tag(&mut self, input: &[u8], mut spaced: bool) -> Result<Option<Step>, Fault> {
        loop {
            let Some(&byte) = input.get(self.at) else {
                self.state = State::Tag { spaced };
                return Ok(Some(Step::More));
            };
            match byte {
                b' ' => {}
                b'\t' | b'\n' | b'\r' => self.rewrite(),
                b'>' => {
                    self.at += 1;
                    return self.end_tag(input, false);
                }
                b'/' => {
                    self.at += 1;
                    self.state = State::Slash;
                    return Ok(None);
                }
                _ if !spaced => return Err(malformed("attributes stand together: put a space between them")),
                _ => {
                    if self.tag.count >= self.limits.attributes {
                        return Err(limit(LIMIT_ATTRIBUTES));
                    }
                    self.tag.count += 1;
                    self.name = Name { from: self.at, to: self.at, colon: 0 };
                    self.state = State::AttrName;
                    return Ok(None);
                }
            }
            spaced = true;
            self.at += 1;
        }
    }

    fn attr_name(&mut self, input: &[u8]) -> Result<Option<Step>, Fault> {
        match self.name(input)? {
            None => return Ok(Some(Step::More)),
            Some(b'=') => {
                self.at += 1;
                self.state = State::Quote;
            }
            Some(next) if chars::is(next, SPACE) => self.state = State::Equals,
            Some(_) => return Err(malformed("an attribute has no value: write name='value'")),
        }
        Ok(None)
    }

    fn equals(&mut self, input: &[u8]) -> Result<Option<Step>, Fault> {
        self.rewrite();
        self.at = chars::skip(input, self.at, SPACE);
        match input.get(self.at) {
            None => return Ok(Some(Step::More)),
            Some(b'=') => {
                self.at += 1;
                self.state = State::Quote;
            }
            Some(_) => return Err(malformed("an attribute has no value: write name='value'")),
        }
        Ok(None)
    }

    fn quote(&mut self, input: &[u8]) -> Result<Option<Step>, Fault> {
        let Some(&byte) = input.get(self.at) else { return Ok(Some(Step::More)) };
        self.at += 1;
        match byte {
            b'\'' | b'"' => {
                self.quote = byte;
                self.run = Run { from: self.at, decoded: None };
                self.state = State::Value;
            }
            _ if chars::is(byte, SPACE) => self.rewrite(),
            _ => return Err(malformed("an attribute value is not quoted: put it in quotes")),
        }
        Ok(None)
    }

    fn value(&mut self, input: &[u8]) -> Result<Option<Step>, Fault> {
        loop {
            self.at = chars::skip_value(input, self.at);
            let Some(&byte) = input.get(self.at) else { return Ok(Some(Step::More)) };
            match byte {
                b'\'' | b'"' => {
                    if byte == self.quote {
                        break;
                    }
                    self.at += 1;
                }
                b'&' => {
                    if !self.reference(input, true)? {
                        return Ok(Some(Step::More));
                    }
                }
                b'<' => return Err(malformed("< in an attribute value: write &lt;")),
                b'>' => {
                    self.rewrite();
                    self.at += 1;
                }
                b'\t' | b'\n' | b'\r' => {
                    if !self.line_end(input, ' ')? {
                        return Ok(Some(Step::More));
                    }
                }
                _ => {
                    if !self.character(input)? {
                        return Ok(Some(Step::More));
                    }
                }
            }
        }
        let value = self.take(input)?;
        self.at += 1;
        self.attribute(input, value)?;
        self.state = State::Tag { spaced: false };
        Ok(None)
    }

    fn slash(&mut self, input: &[u8]) -> Result<Option<Step>, Fault> {
        match input.get(self.at) {
            None => Ok(Some(Step::More)),
            Some(b'>') => {
                self.at += 1;
                self.end_tag(input, true)
            }
            Some(_) => Err(malformed("/ inside a tag")),
        }
    }

    fn close_name(&mut self, input: &[u8]) -> Result<Option<Step>, Fault> {
        const MISMATCH: Fault = malformed("an end tag does not match its start tag");
        let Some(open) = self.open.last() else { return Err(MISMATCH) };
        let expected = input.get(open.name.from..open.name.to).unwrap_or_default();
        let here = input.get(self.at..).unwrap_or_default();
        let Some((name, after)) = here.split_at_checked(expected.len()) else {
            return if expected.starts_with(here) { Ok(Some(Step::More)) } else { Err(MISMATCH) };
        };
        if name != expected {
            return Err(MISMATCH);
        }
        let Some(&next) = after.first() else { return Ok(Some(Step::More)) };
        self.at += expected.len();
        match next {
            b'>' => {
                self.at += 1;
                Ok(self.close())
            }
            _ if chars::is(next, SPACE) => {
                self.rewrite();
                self.state = State::CloseTail;
                Ok(None)
            }
            _ => Err(MISMATCH),
        }
    }

    fn close_tail(&mut self, input: &[u8]) -> Result<Option<Step>, Fault> {
        self.at = chars::skip(input, self.at, SPACE);
        match input.get(self.at) {
            None => Ok(Some(Step::More)),
            Some(b'>') => {
                self.at += 1;
                Ok(self.close())
            }
            Some(_) => Err(malformed("an end tag has attributes: leave them out")),
        }
    }

    fn close(&mut self) -> Option<Step> {
        let open = self.open.pop()?;
        self.scope.decls.truncate(open.decls);
        let end = self.tree.records.len() as u32;
        if let Some(record) = self.tree.records.get_mut(open.record) {
            record.end = end;
        }
        self.resume_text();
        self.open.is_empty().then_some(Step::Complete)
    }

    fn resume_text(&mut self) {
        self.run = Run { from: self.at, decoded: None };
        self.state = State::Text;
    }

    /// Reads a name on; what follows it, or nothing while it may go on.
    fn name(&mut self, input: &[u8]) -> Result<Option<u8>, Fault> {
        const BAD_NAME: Fault = malformed("a name that XML does not allow");
        loop {
            if self.at - self.name.from > NAME_BYTES {
                return Err(limit(LIMIT_NAME));
            }
            let first = self.at == self.name.from || (self.name.colon != 0 && self.at == self.name.colon + 1);
            let Some(&byte) = input.get(self.at) else { return Ok(None) };
            if chars::is(byte, if first { NAME_START } else { NAME }) {
                self.at = chars::skip(input, self.at + 1, NAME);
            } else if byte >= 0x80 {
                match chars::decode(input, self.at) {
                    Decoded::Char(c, len) if chars::is_name_start(c) || (!first && chars::is_name(c)) => self.at += len,
                    Decoded::Char(..) => return Err(BAD_NAME),
                    Decoded::Short => return Ok(None),
                    Decoded::Bad => return Err(malformed(BAD_UTF8)),
                }
                self.exotic("a name beyond ASCII");
            } else if first {
                return Err(BAD_NAME);
            } else if byte == b':' {
                if self.name.colon != 0 {
                    return Err(BAD_NAME);
                }
                self.name.colon = self.at;
                self.at += 1;
            } else {
                self.name.to = self.at;
                return Ok(Some(byte));
            }
        }
    }

    /// One character that is not plain ASCII, kept as it is. False: its rest has not come.
    fn character(&mut self, input: &[u8]) -> Result<bool, Fault> {
        loop {
            match chars::decode(input, self.at) {
                Decoded::Char(c, len) if chars::is_char(c) => self.at += len,
                Decoded::Char(..) => return Err(malformed(BAD_CHAR)),
                Decoded::Short => return Ok(false),
                Decoded::Bad => return Err(malformed(BAD_UTF8)),
            }
            if input.get(self.at).is_none_or(|&b| b < 0x80) {
                return Ok(true);
            }
        }
    }

    /// White space that XML replaces: CR LF, CR, and in values LF and tab. False: LF may follow.
    fn line_end(&mut self, input: &[u8], with: char) -> Result<bool, Fault> {
        let len = match (input.get(self.at), input.get(self.at + 1)) {
            (Some(b'\r'), None) => return Ok(false),
            (Some(b'\r'), Some(b'\n')) => 2,
            _ => 1,
        };
        self.rewrite();
        self.replace(input, len, with)?;
        Ok(true)
    }

    /// A reference at `&`. False: its rest has not come.
    fn reference(&mut self, input: &[u8], in_value: bool) -> Result<bool, Fault> {
        let here = input.get(self.at + 1..).unwrap_or_default();
        let (c, len) = match here.first() {
            None => return Ok(false),
            Some(b'#') => match char_reference(here)? {
                None => return Ok(false),
                Some(found) => found,
            },
            Some(_) => match entity(here)? {
                None => return Ok(false),
                Some(found) => found,
            },
        };
        if here.first() == Some(&b'#') {
            let needed = c == '\r' || (in_value && matches!(c, '\t' | '\n'));
            if !needed || len > "#13;".len() {
                self.rewrite();
            }
        }
        self.replace(input, len + 1, c)?;
        Ok(true)
    }

    /// Puts a character in place of `len` bytes of the frame.
    fn replace(&mut self, input: &[u8], len: usize, with: char) -> Result<(), Fault> {
        self.flush(input, self.at)?;
        self.tree.scratch.push(with);
        self.at += len;
        self.run.from = self.at;
        Ok(())
    }

    /// Moves what is pending in the frame, up to `to`, behind what was decoded.
    fn flush(&mut self, input: &[u8], to: usize) -> Result<(), Fault> {
        self.run.decoded.get_or_insert(self.tree.scratch.len());
        let pending = input.get(self.run.from..to).unwrap_or_default();
        if !pending.is_empty() {
            self.tree.scratch.push_str(std::str::from_utf8(pending).map_err(|_| malformed(BAD_UTF8))?);
        }
        self.run.from = to;
        Ok(())
    }

    /// The collected text, which ends at the position.
    fn take(&mut self, input: &[u8]) -> Result<Span, Fault> {
        match self.run.decoded {
            None => Ok(Span::frame(self.run.from, self.at)),
            Some(start) => {
                self.flush(input, self.at)?;
                Ok(Span::scratch(start, self.tree.scratch.len()))
            }
        }
    }

    fn end_text(&mut self, input: &[u8]) -> Result<(), Fault> {
        let text = self.take(input)?;
        if text.len() > 0 {
            let end = self.tree.records.len() as u32 + 1;
            self.tree.records.push(Record { name: text, ns: Span::EMPTY, first: TEXT, count: 0, end });
        }
        Ok(())
    }

    fn attribute(&mut self, input: &[u8], value: Span) -> Result<(), Fault> {
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
    fn end_tag(&mut self, input: &[u8], empty: bool) -> Result<Option<Step>, Fault> {
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

    /// The bytes are not what every reader reads alike.
    fn rewrite(&mut self) {
        if self.form == Form::Verbatim {
            self.form = Form::Rewrite;
        }
    }

    /// No spelling is read alike by every reader.
    fn exotic(&mut self, why: &'static str) {
        if !matches!(self.form, Form::Exotic(_)) {
            self.form = Form::Exotic(why);
        }
    }
}

/// `#…;` behind an ampersand: the character and the length, or nothing while it may go on.
fn char_reference(here: &[u8]) -> Result<Option<(char, usize)>, Fault> {
    const BAD: Fault = malformed("a character reference that XML does not allow");
    /// Room for the largest code point with a few leading zeros.
    const DIGITS: usize = 12;
    let hex = here.get(1) == Some(&b'x');
    let start = if hex { 2 } else { 1 };
    let mut code = 0u32;
    for (nth, &byte) in here.iter().enumerate().skip(start) {
        if byte == b';' && nth > start {
            let c = char::from_u32(code).filter(|&c| chars::is_char(c)).ok_or(BAD)?;
            return Ok(Some((c, nth + 1)));
        }
        let digit = char::from(byte).to_digit(if hex { 16 } else { 10 }).ok_or(BAD)?;
        code = code.saturating_mul(if hex { 16 } else { 10 }).saturating_add(digit);
        if nth >= start + DIGITS {
            return Err(BAD);
        }
    }
    Ok(None)
}

/// `name;` behind an ampersand: only the five entities that XML predefines.
fn entity(here: &[u8]) -> Result<Option<(char, usize)>, Fault> {
    const KNOWN: [(&[u8], char); 5] = [(b"lt;", '<'), (b"gt;", '>'), (b"amp;", '&'), (b"apos;", '\''), (b"quot;", '"')];
    const UNKNOWN: Fault = restricted("an entity that XML does not predefine");
    /// Nobody needs more to see that a name is not one of the five.
    const LONGEST: usize = 32;
    if let Some((name, c)) = KNOWN.into_iter().find(|(name, _)| here.starts_with(name)) {
        return Ok(Some((c, name.len())));
    }
    if !here.first().is_some_and(|&b| chars::is(b, NAME_START)) {
        return Err(malformed("& in text: write &amp;"));
    }
    let len = chars::skip(here, 0, NAME);
    match here.get(len) {
        _ if len > LONGEST => Err(UNKNOWN),
        None => Ok(None),
        Some(b';') => Err(UNKNOWN),
        Some(_) => Err(malformed("& in text: write &amp;")),
    }
}
