//! The seam where a chat protocol meets the gateway.
//!
//! A dialect is a pure state machine between two legs: bytes of either leg go
//! in, steps come out. It never touches a socket, a clock or a thread, so a
//! whole session can be tested and fuzzed from a transcript.

use std::any::Any;
use std::sync::Arc;

use crate::xmpp::Condition;
use bytes::Bytes;
use jiff::Timestamp;
use model::{Finding, Message, Party, Verdict};

/// One end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The client behind the gateway.
    Client,
    /// The organisation's own server.
    Server,
}

impl End {
    /// The other end.
    pub fn far(self) -> End {
        match self {
            End::Client => End::Server,
            End::Server => End::Client,
        }
    }
}

/// Which frames must stay in order with one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// With no other: may pass frames that wait (acknowledgements).
    Free,
    /// With the frames of the same conversation.
    Conversation(u64),
    /// With all: waits for every earlier frame, and every later one waits for it.
    Barrier,
}

/// What the dialect wants to hear when a frame has been written or kept back;
/// opaque to the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tag(pub u64);

/// What follows from a frame, in order.
#[derive(Debug)]
pub enum Step {
    /// For the far end, in its lane's order.
    Forward {
        /// The frame as it is to be written.
        bytes: Bytes,
        /// Its order.
        lane: Lane,
        /// Handed back through [`Dialect::wrote`].
        tag: Tag,
    },
    /// For the far end once it has been judged.
    Judge {
        /// What it says.
        message: Box<Message>,
        /// The frame as it would be written if allowed.
        bytes: Bytes,
        /// Its order.
        lane: Lane,
        /// Handed back through [`Dialect::wrote`] or [`Dialect::kept`].
        tag: Tag,
        /// Whether it may be kept for review and go on hours later. What somebody
        /// waits for (a request, its answer) can't: quarantine means block there.
        can_wait: bool,
    },
    /// For the end it came from, at once.
    Reply {
        /// What to write.
        bytes: Bytes,
        /// Handed back through [`Dialect::wrote`] with the far end as source.
        tag: Tag,
    },
    /// Something the session or the log should know.
    Event(Event),
    /// The end it came from has ended its stream in good order: write this to
    /// the far end after everything else, and half-close.
    End(Bytes),
}

/// What the role learns from a session.
#[derive(Clone, Debug)]
pub enum Event {
    /// The client is who it says; from here on its messages have an author.
    LoggedIn {
        /// The account and device.
        party: Arc<Party>,
        /// How it proved itself (SASL mechanism).
        mechanism: Box<str>,
        /// Whether it took up an earlier session.
        resumed: bool,
    },
    /// The server refused a login.
    LoginFailed {
        /// The account tried, when the mechanism shows it.
        account: Option<Box<str>>,
        /// SASL mechanism.
        mechanism: Box<str>,
        /// The server's condition (`not-authorized`).
        condition: Box<str>,
    },
    /// The session can be taken up again under this id.
    Resumable(Box<str>),
    /// The client wants to take up a session. Nothing more of the client is read
    /// until [`Dialect::unpark`].
    Unpark {
        /// What it is parked under.
        id: Box<str>,
        /// The domain it was at; an id means nothing elsewhere.
        domain: Box<str>,
        /// The account that has logged in, where the mechanism tells it.
        account: Option<Box<str>>,
    },
    /// A named bound was hit, or something was refused; to be counted.
    Refused(&'static str),
}

/// A session's state between two connections.
pub struct Parked {
    /// What the client will name it by.
    pub id: Box<str>,
    /// Who may take it up.
    pub account: Box<str>,
    /// The dialect's own state.
    pub state: Box<dyn Any + Send>,
}

impl std::fmt::Debug for Parked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Parked({}, {})", self.account, self.id)
    }
}

/// Why a session has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{condition}: {text}")]
pub struct Ending {
    /// The end at fault.
    pub at: End,
    /// What kind of reason, in the vocabulary of RFC 6120 whatever the protocol.
    pub condition: Condition,
    /// In words, never quoting input.
    pub text: &'static str,
}

/// A judgement to carry out.
#[derive(Clone, Copy, Debug)]
pub struct Ruling<'a> {
    /// What is to be done and why.
    pub verdict: &'a Verdict,
    /// What was found, for spans to redact.
    pub findings: &'a [Finding],
    /// What was said, as it was heard.
    pub message: &'a Message,
}

/// How a ruling looks on the wire.
#[derive(Debug, Default)]
pub struct Enforced {
    /// What goes on to the far end instead of the frame; `None`: nothing.
    pub forward: Option<Bytes>,
    /// What goes back to the end it came from.
    pub reply: Option<Bytes>,
    /// What the forwarded frame says now, when that differs: so that its echoes
    /// are recognised.
    pub says: Option<Box<Message>>,
    /// The session is to end after that.
    pub disconnect: bool,
}

/// A chat protocol, as the session sees it.
pub trait Dialect: Send {
    /// Reads complete frames from the front of `bytes` and says what follows.
    /// Returns how many bytes were used; after a partial frame the next call
    /// must bring the unused bytes again with more behind them.
    fn hear(&mut self, from: End, bytes: &[u8], now: Timestamp, steps: &mut Vec<Step>) -> Result<usize, Ending>;

    /// Whether bytes from this end may be given to [`Dialect::hear`] now.
    fn listens_to(&self, end: End) -> bool;

    /// Puts a ruling into the protocol's words. `bytes` is the judged frame.
    fn enforce(&mut self, from: End, bytes: &Bytes, ruling: Ruling<'_>) -> Enforced;

    /// A frame from `from` with this tag was written to the far end. Returns
    /// what should follow it on that leg.
    fn wrote(&mut self, from: End, tag: Tag, bytes: &Bytes) -> Option<Bytes>;

    /// A frame from `from` with this tag will never be written. Returns what
    /// should be written to the far end now that it is settled.
    fn kept(&mut self, from: End, tag: Tag) -> Option<Bytes>;

    /// The tag for a frame of the gateway's own, to either end.
    fn own(&self) -> Tag;

    /// Whether a frame of the gateway's own can be kept until `to` has acknowledged it.
    fn has_room(&self, to: End) -> bool;

    /// Marks a frame kept in quarantine as late, for release to `to`.
    fn late(&self, to: End, bytes: &Bytes, since: Timestamp) -> Option<Bytes>;

    /// Whether the session is past its login.
    fn is_in_session(&self) -> bool;

    /// Whether the end of bytes from here would cut a frame in two.
    fn is_mid_frame(&self, end: End) -> bool;

    /// Ends a stream in good order.
    fn goodbye(&self) -> Bytes;

    /// The last words to an end, with the reason.
    fn farewell(&self, to: End, ending: &Ending) -> Bytes;

    /// The client's connection was lost without a farewell: what it needs to
    /// take the session up again.
    fn park(&mut self) -> Option<Parked>;

    /// Answer to [`Event::Unpark`].
    fn unpark(&mut self, parked: Option<Parked>, now: Timestamp, steps: &mut Vec<Step>);
}
