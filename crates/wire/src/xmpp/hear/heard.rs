//! What a walk collects: parts, files, what they claim to be, and (for enforcement) where each came from.

use std::borrow::Cow;

use model::{Body, Content, File, Kind, Limit, Part, Place, Sealed, Sealing};

use super::rank;
use crate::xmpp::tree::{Element, Node};

/// Parts a message may have. Text beyond it is joined into one last part, so that it is inspected all the same;
/// a message with exactly this many parts has hit the bound.
pub const PARTS: Limit = Limit { name: "xmpp.message_parts", default: 256 };

/// Files a message may have. Beyond it one last, nameless offered file stands for the rest.
pub const FILES: Limit = Limit { name: "xmpp.message_files", default: 64 };

/// Bytes of one file carried inside a stanza; a longer one counts as offered, not seen.
pub const INLINE_BYTES: Limit = Limit { name: "xmpp.inline_file_bytes", default: 1 << 20 };

/// Parts that are kept apart; one more for what is joined, one for an encrypted payload beyond the bound.
const APART: usize = PARTS.default as usize - 2;

/// Everything found in one stanza.
pub(crate) struct Heard<'a> {
    /// What there is to read, in document order.
    pub(crate) parts: Vec<Part>,
    /// Files carried or offered.
    pub(crate) files: Vec<File>,
    /// Where each part came from; filled only when tracing.
    pub(crate) origins: Vec<Origin>,
    /// Where each file came from; filled only when tracing.
    pub(crate) file_origins: Vec<Origin>,
    /// The strongest claim.
    pub(crate) kind: Kind,
    /// Id of the message that this one is about.
    pub(crate) refers_to: Option<&'a str>,
    /// The carbon or archive result around the message, when there is one.
    pub(crate) envelope: Option<Envelope<'a>>,
    /// The far side is a room, by the stanza's own word.
    pub(crate) room: bool,
    /// It carries a delay stamp (XEP-0203).
    pub(crate) delayed: bool,
    /// It comes back undelivered: what it says was said by someone else.
    pub(crate) bounce: bool,
    /// Something was done that has no words (a call, a retraction).
    pub(super) act: bool,
    /// Bodies of the outermost message.
    pub(super) bodies: usize,
    /// A fallback marker covers the whole body (XEP-0428).
    pub(super) whole_fallback: bool,
    /// Encryption announced by XEP-0380.
    pub(super) announced: Option<Sealing>,
    /// Inside a forwarded stanza that is not an envelope, or one that comes back: its claims are not this stanza's.
    pub(super) quoting: bool,
    /// An exchange with one's own server, whose protocols are not heard.
    pub(super) own: bool,
    /// Inside an item of publish-subscribe.
    pub(super) in_item: bool,
    /// The smallest element around the current place that can go without breaking the rest.
    pub(super) unit: u32,
    /// Inside an element whose text was heard flat.
    flattened: bool,
    overflow: String,
    trace: bool,
}

/// A carbon (XEP-0280) or archive result (XEP-0313): the inner addresses and id.
pub(crate) struct Envelope<'a> {
    pub(crate) from: Option<&'a str>,
    pub(crate) to: Option<&'a str>,
    pub(crate) id: Option<&'a str>,
    /// An archive result rather than a carbon.
    pub(crate) archived: bool,
}

/// Where a part came from: what to edit to be rid of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// [`Element::index`] of the element that holds the text.
    pub(crate) element: u32,
    /// Index of the smallest element that can be removed as a whole.
    pub(crate) unit: u32,
    /// How the text sits in the element.
    pub(crate) how: How,
}

/// How a part's text sits in its element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It is the element's whole content, character for character.
    Text,
    /// It is the value of this attribute, which the element can do without.
    Attr(&'static str),
    /// It is derived (markup, binary, mixed content): only removing the unit is sure.
    Whole,
    /// It is in an address, or joined from several places: no element can be removed for it.
    Nowhere,
}

impl<'a> Heard<'a> {
    /// Nothing heard yet; `trace` keeps origins.
    pub(super) fn new(trace: bool) -> Heard<'a> {
        Heard {
            parts: Vec::new(),
            files: Vec::new(),
            origins: Vec::new(),
            file_origins: Vec::new(),
            kind: Kind::Message,
            refers_to: None,
            envelope: None,
            room: false,
            delayed: false,
            bounce: false,
            act: false,
            bodies: 0,
            whole_fallback: false,
            announced: None,
            quoting: false,
            own: false,
            in_item: false,
            unit: 0,
            flattened: false,
            overflow: String::new(),
            trace,
        }
    }

    /// Whether there is nothing a person would read or notice.
    pub(crate) fn is_silent(&self) -> bool {
        self.parts.is_empty() && self.files.is_empty() && !self.act
    }

    /// Says what the stanza is; the strongest claim stands.
    pub(super) fn claim(&mut self, kind: Kind) {
        if !self.quoting && rank(kind) > rank(self.kind) {
            self.kind = kind;
        }
    }

    /// Says what the stanza is, and that this alone makes it a message.
    pub(super) fn act(&mut self, kind: Kind) {
        if !self.quoting {
            self.act = true;
        }
        self.claim(kind);
    }

    /// Names the earlier message that this one is about.
    pub(super) fn refer(&mut self, id: Option<&'a str>) {
        if !self.quoting && self.refers_to.is_none() {
            self.refers_to = id;
        }
    }

    /// Hears an element that is there for its text. Extension elements inside it are heard on their own, and the
    /// text once more as a reader that flattens the content would show it.
    pub(super) fn text(&mut self, place: Place, element: Element<'a>) {
        let text = element.text();
        if element.elements().next().is_none() {
            return self.say(place, element, How::Text, text);
        }
        // Once is enough: what is inside is in the outer one's flat text already.
        let outer = std::mem::replace(&mut self.flattened, true);
        if !outer {
            let flat = flatten(element);
            if flat != text {
                self.say(place, element, How::Whole, Cow::Owned(flat));
            }
        }
        self.say(place, element, How::Whole, text);
        for child in element.elements() {
            self.payload(child);
        }
        self.flattened = outer;
    }

    /// Hears the value of an attribute that a person sees.
    pub(super) fn attr(&mut self, place: Place, element: Element<'a>, name: &'static str) {
        if let Some(value) = element.attr(name) {
            self.say(place, element, How::Attr(name), Cow::Borrowed(value));
        }
    }

    /// Hears text found in an element, unless it is blank.
    pub(super) fn say(&mut self, place: Place, element: Element<'a>, how: How, text: Cow<'_, str>) {
        if is_blank(&text) {
            return;
        }
        let origin = Origin { element: element.index(), unit: self.unit, how };
        if matches!(place, Place::Body | Place::Quote | Place::Url | Place::Unknown | Place::Caption) {
            self.hear_seal_in_text(&text, origin);
        }
        let body = Body::Text(text.into());
        self.push(Part { place, lang: element.lang().map(Into::into), body }, origin);
    }

    /// Hears text that stands in the stanza's own addresses.
    pub(super) fn hear_address(&mut self, place: Place, text: &str) {
        if !is_blank(text) {
            let origin = Origin { element: 0, unit: 0, how: How::Nowhere };
            self.push(Part { place, lang: None, body: Body::text(text) }, origin);
        }
    }

    /// Hears markup or an encrypted payload.
    pub(super) fn whole(&mut self, place: Place, element: Element<'a>, body: Body) {
        let origin = Origin { element: element.index(), unit: self.unit, how: How::Whole };
        self.push(Part { place, lang: element.lang().map(Into::into), body }, origin);
    }

    /// Adds a part, or what it says to the overflow.
    pub(super) fn push(&mut self, part: Part, origin: Origin) {
        if self.parts.len() < APART {
            self.parts.push(part);
            if self.trace {
                self.origins.push(origin);
            }
            return;
        }
        match part.body {
            Body::Text(text) | Body::Html(text) => {
                self.overflow.push_str(&text);
                self.overflow.push('\n');
            }
            Body::Sealed(sealed) => self.announced = self.announced.or(Some(sealed.scheme)),
        }
    }

    /// Adds a file.
    pub(super) fn file(&mut self, element: Element<'a>, file: File) {
        let most = FILES.default as usize;
        if self.files.len() >= most {
            return;
        }
        let last = self.files.len() + 1 == most;
        let how = if last { How::Nowhere } else { How::Whole };
        let rest = File { name: None, claimed_type: None, size: None, content: Content::Offered };
        self.files.push(if last { rest } else { file });
        if self.trace {
            self.file_origins.push(Origin { element: element.index(), unit: self.unit, how });
        }
    }

    /// Closes the walk: the joined overflow, an announced encryption whose payload was not recognised, and a file
    /// that came without a word.
    pub(super) fn finish(&mut self) {
        if self.parts.is_empty() && !self.files.is_empty() {
            self.claim(if self.kind == Kind::Message { Kind::File } else { self.kind });
        }
        let origin = Origin { element: 0, unit: 0, how: How::Nowhere };
        let overflow = std::mem::take(&mut self.overflow);
        if !overflow.is_empty() {
            self.parts.push(Part { place: Place::Unknown, lang: None, body: Body::text(overflow) });
            self.origins.extend(self.trace.then_some(origin));
        }
        let seen = self.parts.iter().any(|p| matches!(p.body, Body::Sealed(_)));
        if let Some(scheme) = self.announced.filter(|_| !seen) {
            let body = Body::Sealed(Sealed { scheme, bytes: 0 });
            self.parts.push(Part { place: Place::Body, lang: None, body });
            self.origins.extend(self.trace.then_some(origin));
        }
    }
}

/// Whether there is nothing but white space.
pub(super) fn is_blank(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'))
}

/// All text below an element, as a reader that ignores elements would show it.
pub(crate) fn flatten(element: Element<'_>) -> String {
    fn collect(out: &mut String, element: Element<'_>) {
        for node in element.children() {
            match node {
                Node::Text(text) => out.push_str(text),
                Node::Element(child) => collect(out, child),
            }
        }
    }
    let mut out = String::new();
    collect(&mut out, element);
    out
}
