//! What is derived from a message once, so that detectors only look.

use std::ops::Range;

use model::{Digest, Message};

/// Everything derived from one message.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Readable text of every part that has any, markup reduced to what is shown.
    pub texts: Vec<Text>,
    /// Links found in any part, in canonical form.
    pub links: Vec<Link>,
    /// Digest of the content.
    pub digest: Digest,
    /// SimHash of the normal text, when there is enough of it to compare.
    pub shape: Option<u64>,
    /// What the record keeps for trackers: `url:…`, `sha256:…`, `shape:…`.
    pub keys: Vec<Box<str>>,
}

/// Readable text of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Index into `Message::parts`.
    pub part: u16,
    /// What a reader sees.
    pub text: Box<str>,
}

/// A link, as written and as a browser would read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Index into `Message::parts`.
    pub part: u16,
    /// Span in the part's exposed text.
    pub span: Range<u32>,
    /// As written.
    pub raw: Box<str>,
    /// WHATWG-parsed and normalised.
    pub canonical: Box<str>,
    /// Host in ASCII form (A-labels, dotted quad, bracketed IPv6).
    pub host: Box<str>,
    /// Host in Unicode, when it differs.
    pub unicode_host: Option<Box<str>>,
    /// Registrable domain (public suffix plus one label).
    pub registrable: Option<Box<str>>,
    /// Scheme, lower case.
    pub scheme: Box<str>,
    /// Port, when not the scheme's own.
    pub port: Option<u16>,
    /// Text shown for the link in markup, when it looks like another link.
    pub shown: Option<Box<str>>,
    /// Written so that software does not recognise it (`hxxp`, `[.]`).
    pub defanged: bool,
}

/// Derives the facts of a message, in time linear in its size.
pub fn extract(_message: &Message) -> Facts {
    Facts::default()
}
