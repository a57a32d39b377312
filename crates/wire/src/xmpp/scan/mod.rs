//! One element, byte by byte: the state machine under [`Reader`](super::Reader).
//!
//! It stops anywhere and goes on where it stopped. Between two steps it keeps
//! a position, so no byte of a long token is looked at twice; only tokens of a
//! fixed small size (a reference, `<![CDATA[`, one character) are tried again.
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

mod reference;
mod tag;

use super::chars::{self, Decoded, NAME, NAME_START, SPACE};
use super::fault::{Condition, Fault};
use super::scope::Scope;
use super::tree::{Record, Span, TEXT, Tree};
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
            Some(b'#') => match reference::char_reference(here)? {
                None => return Ok(false),
                Some(found) => found,
            },
            Some(_) => match reference::entity(here)? {
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
