//! A stream of XMPP, read: header, stanzas, white space, end, in the bytes'
//! own order and at any chunking.
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

use bytes::Bytes;

use super::chars::{self, SPACE};
use super::fault::{Condition, Fault};
use super::header::Header;
use super::ns;
use super::scan::{Place, Scanner, Step, malformed};
use super::scope::INHERITED;
use super::tree::{Element, FRAME_BYTES, Span};

/// What a stanza may cost. Each is enforced while reading, and each hit is a
/// `policy-violation` whose [`Fault::limit`] names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a stanza (`xmpp.stanza_bytes`).
    pub stanza_bytes: usize,
    /// Elements inside each other, the stanza itself being one (`xmpp.depth`).
    pub depth: usize,
    /// Attributes of an element, namespace declarations included (`xmpp.attributes`).
    pub attributes: usize,
    /// Elements of a stanza (`xmpp.elements`).
    pub elements: usize,
}

impl Limits {
    /// Before authentication: nothing said then is large.
    pub const UNAUTHENTICATED: Limits = Limits { stanza_bytes: 8_192, depth: 16, attributes: 64, elements: 32 };
    /// After authentication.
    pub const AUTHENTICATED: Limits = Limits { stanza_bytes: 262_144, depth: 128, attributes: 256, elements: 8_192 };
    /// For what was accepted before: escaping may have made it longer.
    const ACCEPTED: Limits =
        Limits { stanza_bytes: FRAME_BYTES, depth: FRAME_BYTES, attributes: FRAME_BYTES, elements: FRAME_BYTES };

    fn bounded(self) -> Limits {
        Limits { stanza_bytes: self.stanza_bytes.min(FRAME_BYTES), ..self }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::AUTHENTICATED
    }
}

/// Most bytes of a stream header with its XML declaration (`xmpp.header_bytes`).
pub const HEADER_BYTES: usize = 4_096;
/// Most bytes of an XML declaration, of white space behind it, and inside the end tag of a stream.
const DECLARATION_BYTES: usize = 256;

/// Records that are kept room for while stanzas follow each other, and while nothing comes.
const KEEP_BUSY: usize = 512;
const KEEP_IDLE: usize = 8;

/// The next thing a stream says. `used` bytes of the buffer are done with.
#[derive(Debug)]
pub enum Read<'a> {
    /// Nothing complete: read more, and pass the same bytes with more behind them.
    More,
    /// The stream header, with what stands before it.
    Header {
        /// Bytes done with.
        used: usize,
        /// What it says.
        header: Header,
    },
    /// A complete first-level child.
    Stanza {
        /// Bytes done with.
        used: usize,
        /// The child.
        stanza: Stanza<'a>,
    },
    /// White space between stanzas, often a keep-alive.
    Space {
        /// Bytes done with.
        used: usize,
    },
    /// The end tag of the stream. Whatever follows is dropped: later calls
    /// say `End` again as long as there are bytes to drop.
    End {
        /// Bytes done with.
        used: usize,
    },
}

/// A complete first-level child of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Stanza<'a> {
    /// Exactly the element, from `<` to `>`.
    pub bytes: &'a [u8],
    /// The same, read.
    pub root: Element<'a>,
    /// Whether `bytes` may be forwarded as they are.
    pub form: Form,
}

/// What may be done with the bytes of a stanza; the table in [the module](super) says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Every sane reader reads these bytes alike: forward them.
    Verbatim,
    /// Well-formed, but readers differ or the stream header is relied on: write it anew.
    Rewrite,
    /// No spelling is read alike by all; must not be forwarded. With the reason.
    Exotic(&'static str),
}

/// Reads one direction of a stream; lives as long as the connection.
#[derive(Debug)]
pub struct Reader {
    scanner: Scanner,
    phase: Phase,
    /// Bytes of an unfinished item were seen.
    mid: bool,
    /// The element is being scanned: its place in the frame is known.
    scanning: bool,
    /// Name of the stream's element as its header wrote it, when it is not `stream:stream`.
    stream_name: Option<Box<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing was read: an XML declaration may come.
    Start,
    /// White space came: only a header may.
    Prolog,
    Stream,
    Ended,
    Failed(Fault),
}

impl Reader {
    /// A reader that expects a stream header.
    pub fn new(limits: Limits) -> Reader {
        let mut reader = Reader {
            scanner: Scanner::new(limits.bounded()),
            phase: Phase::Start,
            mid: false,
            scanning: false,
            stream_name: None,
        };
        reader.scanner.scope.unopened();
        reader
    }

    /// Changes the limits from the next byte on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.scanner.limits = limits.bounded();
    }

    /// Expects a new stream header in place of the next stanza: after STARTTLS
    /// and after SASL succeeded. A stream that failed stays failed.
    pub fn restart(&mut self) {
        if matches!(self.phase, Phase::Failed(_)) {
            return;
        }
        self.phase = Phase::Start;
        self.mid = false;
        self.scanning = false;
        self.stream_name = None;
        self.scanner.scope.unopened();
        self.scanner.begin(0, Place::Stream, KEEP_IDLE);
        self.scanner.tree.forget_fixed();
    }

    /// Whether the connection's end would come inside a stanza, tag or header.
    pub fn is_mid_frame(&self) -> bool {
        self.mid
    }

    /// Bytes held on the heap, beyond the size of the reader itself.
    pub fn footprint(&self) -> usize {
        self.scanner.footprint() + self.stream_name.as_ref().map_or(0, |name| name.len())
    }

    /// Reads the next item of `buf`, which holds all bytes not yet used.
    ///
    /// After [`Read::More`] the next call must pass the same bytes with more
    /// behind them; the reader goes on where it stopped, so the work is linear
    /// at any chunking. After any other item the next call passes what is behind it.
    ///
    /// # Errors
    /// The [`Fault`] to end the stream with. It is final: every later call gives it again.
    pub fn next<'a>(&'a mut self, buf: &'a [u8]) -> Result<Read<'a>, Fault> {
        let item = match self.phase {
            Phase::Failed(fault) => Err(fault),
            Phase::Ended if buf.is_empty() => Ok(Item::More),
            Phase::Ended => Ok(Item::End(buf.len())),
            Phase::Start | Phase::Prolog => self.prolog(buf),
            Phase::Stream => self.stream(buf),
        };
        let item = item.inspect_err(|fault| self.phase = Phase::Failed(*fault))?;
        self.mid = matches!(item, Item::More) && !buf.is_empty() && self.phase != Phase::Ended;
        if !matches!(item, Item::More) {
            self.scanning = false;
        }
        Ok(match item {
            Item::More => Read::More,
            Item::Space(used) => Read::Space { used },
            Item::End(used) => {
                self.phase = Phase::Ended;
                Read::End { used }
            }
            Item::Header(used, header) => {
                self.phase = Phase::Stream;
                Read::Header { used, header }
            }
            Item::Stanza(used) => {
                let bytes = buf.get(..used).unwrap_or_default();
                let frame = std::str::from_utf8(bytes).map_err(|_| malformed("the stream is not UTF-8"))?;
                let root = Element::new(&self.scanner.tree, frame, 0);
                Read::Stanza { used, stanza: Stanza { bytes, root, form: self.scanner.form } }
            }
        })
    }

    fn stream(&mut self, buf: &[u8]) -> Result<Item, Fault> {
        if !self.scanning {
            match buf {
                [] => {
                    self.scanner.begin(0, Place::Stream, KEEP_IDLE);
                    return Ok(Item::More);
                }
                [byte, ..] if chars::is(*byte, SPACE) => return Ok(Item::Space(chars::skip(buf, 0, SPACE))),
                [b'<'] => return Ok(Item::More),
                [b'<', b'/', ..] => return self.end(buf),
                [b'<', ..] => {
                    self.scanner.begin(0, Place::Stream, KEEP_BUSY);
                    self.scanning = true;
                }
                _ => return Err(malformed("text between stanzas: put it in a stanza")),
            }
        }
        let most = self.scanner.limits.stanza_bytes;
        match self.scan(buf, most, "limit xmpp.stanza_bytes reached: send smaller stanzas")? {
            Step::Complete => Ok(Item::Stanza(self.scanner.at)),
            Step::More | Step::Opened => Ok(Item::More),
        }
    }

    /// Runs the scanner over at most `most` bytes of the frame.
    fn scan(&mut self, buf: &[u8], most: usize, too_long: &'static str) -> Result<Step, Fault> {
        let window = buf.get(..most).unwrap_or(buf);
        let step = self.scanner.run(window)?;
        if step == Step::More && window.len() >= most {
            return Err(Fault::new(Condition::PolicyViolation, too_long));
        }
        Ok(step)
    }

    /// The end tag of the stream, at the beginning of `buf`.
    fn end(&mut self, buf: &[u8]) -> Result<Item, Fault> {
        const MISMATCH: Fault = malformed("an end tag does not match the stream's");
        let name = self.stream_name.as_deref().unwrap_or("stream:stream").as_bytes();
        let here = buf.get(2..).unwrap_or_default();
        let Some((found, after)) = here.split_at_checked(name.len()) else {
            return if name.starts_with(here) { Ok(Item::More) } else { Err(MISMATCH) };
        };
        if found != name {
            return Err(MISMATCH);
        }
        let space = chars::skip(after, 0, SPACE);
        match after.get(space) {
            _ if space > DECLARATION_BYTES => Err(MISMATCH),
            None => Ok(Item::More),
            Some(b'>') => Ok(Item::End(2 + name.len() + space + 1)),
            Some(_) => Err(MISMATCH),
        }
    }

    /// What comes before the first stanza: white space, XML declaration, header.
    fn prolog(&mut self, buf: &[u8]) -> Result<Item, Fault> {
        if !self.scanning {
            let at = match self.declaration(buf)? {
                Before::More => return Ok(Item::More),
                Before::Space(used) => {
                    self.phase = Phase::Prolog;
                    return Ok(Item::Space(used));
                }
                Before::Header(at) => at,
            };
            self.scanner.begin(at, Place::Header, KEEP_BUSY);
            self.scanning = true;
        }
        let most = HEADER_BYTES.min(self.scanner.limits.stanza_bytes);
        match self.scan(buf, most, "limit xmpp.header_bytes reached: send a shorter stream header")? {
            Step::Opened => self.header(buf),
            Step::More | Step::Complete => Ok(Item::More),
        }
    }

    fn declaration(&self, buf: &[u8]) -> Result<Before, Fault> {
        const ENCODING: Fault =
            Fault::new(Condition::UnsupportedEncoding, "the stream is not UTF-8: XMPP knows no other");
        match buf {
            [] | [b'<'] => return Ok(Before::More),
            [0x00 | 0xFE | 0xFF, ..] | [b'<', 0x00, ..] => return Err(ENCODING),
            [byte, ..] if chars::is(*byte, SPACE) => return Ok(Before::Space(chars::skip(buf, 0, SPACE))),
            [b'<', b'?', ..] => {}
            [b'<', ..] => return Ok(Before::Header(0)),
            _ => return Err(malformed("the stream does not begin with a stream header")),
        }
        let declaration = buf.get(..DECLARATION_BYTES).unwrap_or(buf);
        let intro = b"<?xml";
        if self.phase != Phase::Start || !intro.iter().zip(declaration).all(|(a, b)| a == b) {
            return Err(Fault::new(
                Condition::RestrictedXml,
                "processing instructions are not allowed in XMPP: leave them out",
            ));
        }
        let Some(end) = declaration.windows(2).position(|pair| pair == b"?>") else {
            return if declaration.len() < DECLARATION_BYTES {
                Ok(Before::More)
            } else {
                Err(malformed("the XML declaration does not end"))
            };
        };
        check_declaration(declaration.get(intro.len()..end).unwrap_or_default())?;
        let at = chars::skip(buf, end + 2, SPACE);
        match buf.get(at) {
            _ if at - end - 2 > DECLARATION_BYTES => Err(malformed("no stream header follows the XML declaration")),
            None => Ok(Before::More),
            Some(b'<') => Ok(Before::Header(at)),
            Some(_) => Err(malformed("the stream does not begin with a stream header")),
        }
    }

    /// Takes in the header whose tag the scanner has read.
    fn header(&mut self, buf: &[u8]) -> Result<Item, Fault> {
        let used = self.scanner.at;
        let frame = buf.get(..used).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or_default();
        let root = Element::new(&self.scanner.tree, frame, 0);
        if root.ns() != ns::STREAMS {
            return Err(Fault::new(Condition::InvalidNamespace, "the stream is not in the namespace of XMPP streams"));
        }
        if root.name() != "stream" {
            return Err(Fault::new(Condition::BadFormat, "the stream does not begin with a stream header"));
        }
        if self.scanner.form == Form::Exotic(super::scan::ODD_URI) {
            return Err(Fault::new(
                Condition::InvalidNamespace,
                "the stream header declares a namespace that is no URI",
            ));
        }
        if self.scanner.scope.decls.len() > INHERITED {
            return Err(Fault::new(
                Condition::PolicyViolation,
                "limit xmpp.header_prefixes reached: declare fewer prefixes in the stream header",
            ));
        }
        let own = |name: &str| root.attr(name).map(str::to_owned);
        let mut header = Header {
            to: own("to"),
            from: own("from"),
            id: own("id"),
            version: own("version"),
            lang: root.lang().map(str::to_owned),
            content_ns: String::new(),
        };
        let raw_name = self.scanner.raw_name(frame.as_bytes());
        self.stream_name =
            (raw_name != b"stream:stream").then(|| String::from_utf8_lossy(raw_name).into_owned().into_boxed_str());
        let (content, declared) = self.scanner.declared(frame);
        if let Some(uri) = content.filter(|uri| uri != ns::STREAMS) {
            header.content_ns = uri;
        }
        let content = match header.content_ns.as_str() {
            "" => Span::EMPTY,
            uri => self.scanner.tree.fix(uri),
        };
        let declared = declared.into_iter().map(|(prefix, uri)| (prefix, self.scanner.tree.fix(&uri))).collect();
        self.scanner.scope.open(content, declared);
        Ok(Item::Header(used, header))
    }
}

/// An item before it borrows the buffer.
enum Item {
    More,
    Space(usize),
    Header(usize, Header),
    Stanza(usize),
    End(usize),
}

/// What stands before a stream header.
enum Before {
    More,
    Space(usize),
    /// Nothing more: the header begins here.
    Header(usize),
}

/// The inside of `<?xml …?>`: version 1.0, and UTF-8 where an encoding is named.
fn check_declaration(inside: &[u8]) -> Result<(), Fault> {
    const BAD: Fault = malformed("the XML declaration is not one");
    let mut rest = inside;
    let mut attributes: Vec<(&[u8], &[u8])> = Vec::new();
    loop {
        let name_at = chars::skip(rest, 0, SPACE);
        let Some(tail) = rest.get(name_at..).filter(|tail| !tail.is_empty()) else { break };
        if name_at == 0 {
            return Err(BAD);
        }
        let name_len = chars::skip(tail, 0, chars::NAME);
        let (name, tail) = tail.split_at_checked(name_len).ok_or(BAD)?;
        let tail = tail.trim_ascii_start().strip_prefix(b"=").ok_or(BAD)?.trim_ascii_start();
        let (quote, tail) = tail.split_first().filter(|(q, _)| matches!(q, b'\'' | b'"')).ok_or(BAD)?;
        let end = tail.iter().position(|b| b == quote).ok_or(BAD)?;
        let (value, tail) = tail.split_at_checked(end).ok_or(BAD)?;
        attributes.push((name, value));
        rest = tail.get(1..).unwrap_or_default();
    }
    let mut attributes = attributes.into_iter().peekable();
    match attributes.next() {
        Some((b"version", b"1.0")) => {}
        Some((b"version", _)) => {
            return Err(Fault::new(Condition::UnsupportedVersion, "XMPP is XML 1.0: declare that version"));
        }
        _ => return Err(BAD),
    }
    if let Some((_, encoding)) = attributes.next_if(|(name, _)| name == b"encoding")
        && !encoding.eq_ignore_ascii_case(b"utf-8")
    {
        return Err(Fault::new(Condition::UnsupportedEncoding, "XMPP is UTF-8: declare that encoding or none"));
    }
    attributes.next_if(|(name, value)| name == b"standalone" && matches!(*value, b"yes" | b"no"));
    if attributes.next().is_some() { Err(BAD) } else { Ok(()) }
}

/// One stanza of its own, read again from bytes that a [`Reader`] accepted or
/// [`write`](super::write) wrote.
#[derive(Debug)]
pub struct Parsed {
    bytes: Bytes,
    scanner: Scanner,
}

impl Parsed {
    /// Reads a stanza in a stream of `jabber:client` whose prefix is `stream`.
    ///
    /// # Errors
    /// When the bytes are not exactly one element.
    pub fn new(bytes: Bytes) -> Result<Parsed, Fault> {
        let mut scanner = Scanner::new(Limits::ACCEPTED);
        if bytes.first() != Some(&b'<') || bytes.len() > FRAME_BYTES {
            return Err(malformed("not a stanza"));
        }
        scanner.begin(0, Place::Alone, KEEP_BUSY);
        match scanner.run(&bytes)? {
            Step::Complete if scanner.at == bytes.len() => Ok(Parsed { bytes, scanner }),
            Step::Complete => Err(malformed("more than one stanza")),
            Step::More | Step::Opened => Err(malformed("the stanza is cut short")),
        }
    }

    /// The stanza.
    pub fn stanza(&self) -> Stanza<'_> {
        let frame = std::str::from_utf8(&self.bytes).unwrap_or_default();
        Stanza { bytes: &self.bytes, root: Element::new(&self.scanner.tree, frame, 0), form: self.scanner.form }
    }

    /// The bytes it was read from.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}
