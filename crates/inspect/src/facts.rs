//! What is derived from a message once, so that detectors only look.
//!
//! Plain text is not copied: [`Facts::readable`] lends it from the message. Only markup,
//! whose readable text exists nowhere, is kept here.

mod digest;
mod domains;
mod hints;
mod html;
mod link;
mod links;
mod shape;
mod signals;
mod spoken;

use std::ops::Range;

use model::{Body, Digest, Kind, Limit, LimitHit, Message, Place};

pub use html::Text;
pub use link::{Link, Oddities, Oddity};

/// Links kept of one message; a message with more is bad enough after these.
pub const LINKS: Limit = Limit { name: "facts.links", default: 128 };
/// Keys kept for the record of one message.
pub const KEYS: Limit = Limit { name: "facts.keys", default: 32 };

/// Everything derived from one message.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Readable text of the parts that are markup, in their order; see [`Facts::readable`] for every part's.
    pub texts: Vec<Text>,
    /// Links found in any part, in the order of the parts.
    pub links: Vec<Link>,
    /// Digest of the content; what counts is said at `digest::of`.
    pub digest: Digest,
    /// SimHash of the normal text, when there is enough of it to compare.
    pub shape: Option<u64>,
    /// What the record keeps for trackers and campaigns: `url:…`, `shape:…`, `command:…` (a word
    /// that programs listen to), `channel:…` (a room people are called to); `sha256:…` is added
    /// when the files have been read.
    pub keys: Vec<Box<str>>,
    /// Bounds that were reached, so that something may have been left out.
    pub limits: Vec<LimitHit>,
}

impl Facts {
    /// What a reader sees of a part; `None` when it is sealed or there is no such part.
    pub fn text<'a>(&'a self, message: &'a Message, part: u16) -> Option<&'a str> {
        match &message.parts.get(usize::from(part))?.body {
            Body::Text(text) => Some(text),
            Body::Html(_) => self.markup(part).map(|text| &*text.text),
            Body::Sealed(_) => None,
        }
    }

    /// What a reader sees, part by part.
    pub fn readable<'a>(&'a self, message: &'a Message) -> impl Iterator<Item = (u16, &'a str)> {
        (0..message.parts.len().min(usize::from(u16::MAX)) as u16)
            .filter_map(|part| Some((part, self.text(message, part)?)))
    }

    /// The span in the part's exposed text (what evidence refers to) of a span of its readable text.
    pub fn exposed(&self, part: u16, readable: Range<usize>) -> Range<u32> {
        match self.markup(part) {
            Some(text) => text.exposed(readable),
            None => readable.start as u32..readable.end as u32,
        }
    }

    fn markup(&self, part: u16) -> Option<&Text> {
        let at = self.texts.binary_search_by_key(&part, |text| text.part).ok()?;
        self.texts.get(at)
    }
}

/// Derives the facts of a message, in time linear in its size.
pub fn extract(message: &Message) -> Facts {
    extract_known(message, digest(message))
}

/// The digest of a message's content alone: enough to recognise a copy.
pub fn digest(message: &Message) -> Digest {
    digest::of(message)
}

/// Derives the facts of a message whose digest is known.
pub fn extract_known(message: &Message, digest: Digest) -> Facts {
    let mut facts = Facts { digest, ..Facts::default() };
    for (part, piece) in message.parts.iter().enumerate().take(usize::from(u16::MAX)) {
        let part = part as u16;
        match &piece.body {
            Body::Sealed(_) => {}
            Body::Text(text) => match piece.place {
                Place::Url => target(&mut facts, message, part, text),
                Place::FileName => collect(&mut facts, part, text, links::Want::SchemeOnly),
                _ => collect(&mut facts, part, text, links::Want::Any),
            },
            Body::Html(markup) => markup_part(&mut facts, part, markup),
        }
    }
    facts.shape = shape_of(message, &facts);
    keys(&mut facts);
    let room = (KEYS.default as usize).saturating_sub(facts.keys.len());
    facts.keys.extend(signals::command(message).into_iter().chain(signals::channel(message)).take(room));
    facts
}

/// A part that is a link as a whole; a caption right after it is what is shown for it.
fn target(facts: &mut Facts, message: &Message, part: u16, text: &str) {
    let Some(mut link) = Link::target(text) else { return };
    (link.part, link.span) = (part, 0..text.len() as u32);
    let caption = message.parts.get(usize::from(part) + 1).filter(|next| next.place == Place::Caption);
    link.shown = caption
        .and_then(|caption| caption.body.expose())
        .filter(|shown| links::looks_like_link(shown))
        .map(|shown| shown.trim().into());
    keep(facts, link);
}

fn collect(facts: &mut Facts, part: u16, text: &str, want: links::Want) {
    links::scan(text, want, &mut |mut link| {
        link.part = part;
        keep(facts, link)
    });
}

fn markup_part(facts: &mut Facts, part: u16, markup: &str) {
    let (text, anchors) = html::read(part, markup);
    for anchor in &anchors {
        if let Some(mut link) = Link::target(&anchor.target) {
            (link.part, link.span) = (part, anchor.span.clone());
            let shown = text.text.get(anchor.shown.clone()).unwrap_or_default();
            link.shown = links::looks_like_link(shown).then(|| shown.trim().into());
            if !keep(facts, link) {
                break;
            }
        }
    }
    // What an anchor shows leads to its target, whatever it looks like.
    let mut inside = anchors.iter().map(|anchor| &anchor.shown).filter(|shown| !shown.is_empty()).peekable();
    links::scan(&text.text, links::Want::Any, &mut |mut link| {
        let (start, end) = (link.span.start as usize, link.span.end as usize);
        while inside.peek().is_some_and(|shown| shown.end <= start) {
            inside.next();
        }
        if inside.peek().is_some_and(|shown| shown.start < end) {
            return true;
        }
        (link.part, link.span) = (part, text.exposed(start..end));
        keep(facts, link)
    });
    facts.texts.push(text);
}

/// Keeps a link while there is room; says whether to go on.
fn keep(facts: &mut Facts, link: Link) -> bool {
    let room = (facts.links.len() as u64) < LINKS.default;
    if room {
        facts.links.push(link);
    } else if !facts.limits.iter().any(|hit| hit.name == LINKS.name) {
        facts.limits.push(LimitHit { name: LINKS.name, allowed: LINKS.default });
    }
    room
}

/// The shape of what is said: bodies and subjects, or the markup when there is no plain body.
fn shape_of(message: &Message, facts: &Facts) -> Option<u64> {
    if !matches!(message.kind, Kind::Message | Kind::File | Kind::Correction | Kind::Invite | Kind::Presence) {
        return None;
    }
    let plain = message.parts.iter().any(|part| part.place == Place::Body);
    let mut shape = shape::Shape::default();
    for (part, text) in facts.readable(message) {
        let counts = match message.parts.get(usize::from(part)).map(|part| part.place) {
            Some(Place::Body | Place::Subject | Place::Caption | Place::Reason | Place::Status) => true,
            Some(Place::Html) => !plain,
            _ => false,
        };
        if counts {
            shape.add(text);
        }
    }
    shape.finish()
}

fn keys(facts: &mut Facts) {
    let room = KEYS.default as usize;
    for link in facts.links.iter().filter(|link| link.sure && !link.host.is_empty()) {
        let key = link.key();
        if facts.keys.contains(&key) {
            continue;
        }
        if facts.keys.len() + 1 >= room {
            facts.limits.push(LimitHit { name: KEYS.name, allowed: KEYS.default });
            break;
        }
        facts.keys.push(key);
    }
    if let Some(shape) = facts.shape {
        facts.keys.push(format!("shape:{shape:016x}").into());
    }
}
