//! One thing said or done in chat.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Body, File, Party, Sealing};

/// A chat protocol the gateway speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// RFC 6120 and its XEPs.
    Xmpp,
    /// RFC 1459, RFC 2812, IRCv3.
    Irc,
    /// The Matrix client-server API.
    Matrix,
    /// RFC 3261, RFC 3428, RFC 4975.
    Sip,
}

impl Protocol {
    /// The name used in configuration, policy and records.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Xmpp => "xmpp",
            Protocol::Irc => "irc",
            Protocol::Matrix => "matrix",
            Protocol::Sip => "sip",
        }
    }
}

/// What kind of thing was said or done; policy's action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Text, with or without links.
    Message,
    /// A file sent, uploaded or offered.
    File,
    /// New text for an earlier message (XEP-0308).
    Correction,
    /// An earlier message taken back (XEP-0424, XEP-0425).
    Retraction,
    /// A reaction to an earlier message (XEP-0444).
    Reaction,
    /// An invitation to a room.
    Invite,
    /// Presence with words in it.
    Presence,
    /// A call offered (Jingle).
    Call,
    /// A profile: nick, vCard, avatar, room subject or configuration.
    Profile,
}

impl Kind {
    /// Every kind, in the order of the reference.
    pub const ALL: [Kind; 9] = [
        Kind::Message,
        Kind::File,
        Kind::Correction,
        Kind::Retraction,
        Kind::Reaction,
        Kind::Invite,
        Kind::Presence,
        Kind::Call,
        Kind::Profile,
    ];

    /// The name used in policy and records.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Message => "message",
            Kind::File => "file",
            Kind::Correction => "correction",
            Kind::Retraction => "retraction",
            Kind::Reaction => "reaction",
            Kind::Invite => "invite",
            Kind::Presence => "presence",
            Kind::Call => "call",
            Kind::Profile => "profile",
        }
    }
}

/// Which way a message crosses the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Sent by a client behind the gateway.
    FromClient,
    /// Arriving at a client behind the gateway.
    ToClient,
}

impl Direction {
    /// The name used in policy and records.
    pub fn name(self) -> &'static str {
        match self {
            Direction::FromClient => "from_client",
            Direction::ToClient => "to_client",
        }
    }
}

/// One thing said or done, as the far side would read it.
#[derive(Clone, Debug)]
pub struct Message {
    /// The protocol's id as sent; never trusted, only repeated in answers and records.
    pub id: Option<Box<str>>,
    /// Where it was spoken.
    pub protocol: Protocol,
    /// What it is.
    pub kind: Kind,
    /// Which way it crosses.
    pub direction: Direction,
    /// When the gateway read it (or the time a simulation says).
    pub time: Timestamp,
    /// Who speaks: the author, not the relay (the inner sender of a forwarded message).
    pub from: Arc<Party>,
    /// Who is spoken to.
    pub to: Arc<Party>,
    /// Everything textual, in the order a reader meets it.
    pub parts: Vec<Part>,
    /// Files it carries or offers.
    pub files: Vec<File>,
    /// Id of the earlier message this one corrects, retracts or reacts to.
    pub refers_to: Option<Box<str>>,
    /// The gateway knows this one was sent before (stream resumption).
    pub resent: bool,
    /// A copy by a trusted envelope: own carbon, archive result, history of a joined room.
    pub copy: bool,
    /// It comes back undelivered: its words are those of whoever sent them first, not of who returns them.
    pub bounce: bool,
}

impl Message {
    /// An empty message between two parties; the caller adds parts.
    pub fn new(
        protocol: Protocol,
        kind: Kind,
        direction: Direction,
        time: Timestamp,
        from: Arc<Party>,
        to: Arc<Party>,
    ) -> Message {
        Message {
            id: None,
            protocol,
            kind,
            direction,
            time,
            from,
            to,
            parts: Vec::new(),
            files: Vec::new(),
            refers_to: None,
            resent: false,
            copy: false,
            bounce: false,
        }
    }

    /// Adds a plain-text part.
    pub fn say(&mut self, place: Place, text: impl Into<Box<str>>) {
        self.parts.push(Part { place, lang: None, body: Body::text(text) });
    }

    /// The first encryption scheme found, when any part is sealed.
    pub fn sealed(&self) -> Option<Sealing> {
        self.parts.iter().find_map(|p| match &p.body {
            Body::Sealed(s) => Some(s.scheme),
            Body::Text(_) | Body::Html(_) => None,
        })
    }
}

/// A piece of a message and the place it stood in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where in the message it stood.
    pub place: Place,
    /// Language tag when the sender gave one.
    pub lang: Option<Box<str>>,
    /// What it says.
    pub body: Body,
}

/// Where a part stood; decides how it is shown and what a detector expects of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The text itself.
    Body,
    /// Subject of a message or room.
    Subject,
    /// Markup beside the text (XHTML-IM); shown instead of it by many clients.
    Html,
    /// A link target given outside the text (XEP-0066, reference, SIMS source).
    Url,
    /// The text shown for such a link.
    Caption,
    /// A nickname (room, XEP-0172).
    Nick,
    /// Presence status.
    Status,
    /// A file's name.
    FileName,
    /// A quotation of an earlier message.
    Quote,
    /// A reaction.
    Reaction,
    /// An invitation's or error's reason.
    Reason,
    /// A form field, vCard field or other free text.
    Field,
    /// Text of an element the gateway does not know.
    Unknown,
}

impl Place {
    /// The name used in records.
    pub fn name(self) -> &'static str {
        match self {
            Place::Body => "body",
            Place::Subject => "subject",
            Place::Html => "html",
            Place::Url => "url",
            Place::Caption => "caption",
            Place::Nick => "nick",
            Place::Status => "status",
            Place::FileName => "file_name",
            Place::Quote => "quote",
            Place::Reaction => "reaction",
            Place::Reason => "reason",
            Place::Field => "field",
            Place::Unknown => "unknown",
        }
    }
}
