//! Stanza to [`Message`]: everything a person could read in it becomes a part, whatever extension carries it.
//!
//! `walk` is a function of the stanza alone and finds the text (the table of extensions is in `payload.rs`);
//! [`hear`] adds who speaks to whom. Enforcement repeats the same walk with a trace to learn which element a part
//! came from, so that the two cannot disagree.
//!
//! What is *not* heard, because no person reads it: service discovery, capabilities, cryptographic keys and publish
//! options; between a client and its own server (or account) also pings, version and time queries, roster and block
//! lists, registration and legacy authentication (they carry passwords) and upload slots (the dialect rewrites those).
//! Of passwords and tokens, wherever they stand, only links are heard. Elements of namespaces that are not in the table
//! are heard as [`model::Place::Unknown`], so that a new extension is inspected before anyone here has read it.

mod files;
mod forms;
mod heard;
mod markup;
mod payload;
mod pubsub;
mod seal;
mod stanza;
mod sweep;

use std::sync::Arc;

use jiff::Timestamp;
use model::{Address, Direction, Kind, Message, Party, PartyKind, Place, Protocol};

use heard::Envelope;
pub use heard::{FILES, INLINE_BYTES, PARTS};
pub(crate) use heard::{Heard, How, Origin, flatten};
pub(crate) use stanza::walk;
use stanza::walk_own;

use super::jid;
use super::ns;
use super::tree::Element;

/// Who is behind an address: the directory, as seen from here.
pub trait Parties {
    /// The party with that address; never fails, an unknown one is a stranger.
    fn party(&self, address: Address, kind: PartyKind) -> Arc<Party>;
}

/// What has to be known of the session to say who speaks to whom.
pub struct Hearing<'a> {
    /// Which way the stanza crosses.
    pub direction: Direction,
    /// When the gateway read it.
    pub time: Timestamp,
    /// The account and resource of the client behind the gateway.
    pub own: &'a Arc<Party>,
    /// The directory.
    pub parties: &'a dyn Parties,
    /// Whether a bare JID is a room that this session has joined.
    pub is_room: &'a dyn Fn(&str) -> bool,
}

/// What a stanza says and who says it to whom; `None` when there is nothing a person reads.
///
/// The author is the outer sender, except in a carbon (XEP-0280) or archive result (XEP-0313) that comes from where
/// such things may come from: then it is the inner one, and the message is marked as a copy. A forged wrapper is
/// inspected just the same, but keeps its real sender. A delay stamp makes a copy only of what a room that the session
/// is in says of its past: anyone can write one. What comes back undelivered is marked as a bounce, its words as quoted.
pub fn hear(stanza: Element<'_>, hearing: &Hearing<'_>) -> Option<Message> {
    let mut heard = if is_own_exchange(stanza, hearing) { walk_own(stanza) } else { walk(stanza, false) };
    hear_own_nick(stanza, hearing, &mut heard);
    if heard.is_silent() {
        return None;
    }
    let trusted = heard.envelope.as_ref().filter(|e| is_trusted(stanza, e, hearing));
    let (from, to) = match trusted {
        Some(envelope) => (
            hearing.other(envelope.from, heard.room),
            match envelope.to {
                Some(to) if !same_account(to, &hearing.own.address.account) => hearing.other(Some(to), heard.room),
                _ => Arc::clone(hearing.own),
            },
        ),
        None => match hearing.direction {
            Direction::FromClient => (Arc::clone(hearing.own), hearing.other(stanza.attr("to"), heard.room)),
            Direction::ToClient => (hearing.other(stanza.attr("from"), heard.room), Arc::clone(hearing.own)),
        },
    };
    let copy = trusted.is_some() || (heard.delayed && is_history(stanza, hearing));
    let id = stanza.attr("id").or(heard.envelope.as_ref().and_then(|e| e.id));
    let mut message = Message::new(Protocol::Xmpp, heard.kind, hearing.direction, hearing.time, from, to);
    message.id = id.map(Into::into);
    message.refers_to = heard.refers_to.map(Into::into);
    message.copy = copy;
    message.bounce = heard.bounce;
    message.parts = heard.parts;
    message.files = heard.files;
    Some(message)
}

/// Whether a wrapper may speak for the sender it names inside: it comes from our own account (XEP-0280 section 11,
/// XEP-0313 section 8), or it is the archive of a room this session is in and names an occupant of that very room.
fn is_trusted(stanza: Element<'_>, envelope: &Envelope<'_>, hearing: &Hearing<'_>) -> bool {
    if hearing.direction == Direction::FromClient {
        return false;
    }
    let Some(inner) = envelope.from else { return false };
    match stanza.attr("from") {
        None => true,
        Some(outer) => {
            let own = same_account(outer, &hearing.own.address.account);
            let room = || envelope.archived && (hearing.is_room)(&address(outer).account) && same_account(outer, inner);
            !outer.contains('/') && (own || room())
        }
    }
}

/// Whether it is for a room that this session is in to say what was said there before (XEP-0045 section 7.2.13).
fn is_history(stanza: Element<'_>, hearing: &Hearing<'_>) -> bool {
    hearing.direction == Direction::ToClient
        && stanza.is(ns::CLIENT, "message")
        && stanza.attr("type") == Some("groupchat")
        && stanza.attr("from").is_some_and(|from| (hearing.is_room)(&address(from).account))
}

/// Whether a query is between the client and its own account, server, or a service of that server.
fn is_own_exchange(stanza: Element<'_>, hearing: &Hearing<'_>) -> bool {
    if !stanza.is(ns::CLIENT, "iq") {
        return false;
    }
    let other = match hearing.direction {
        Direction::FromClient => stanza.attr("to"),
        Direction::ToClient => stanza.attr("from"),
    };
    let Some(other) = other else { return true };
    let own = &hearing.own.address;
    let other = address(other).account;
    let below = other.strip_suffix(own.domain()).filter(|_| !other.contains('@'));
    other == own.account || below.is_some_and(|below| below.is_empty() || below.ends_with('.'))
}

/// In a room the nick is the resource of the occupant's address: heard when someone enters or changes it.
fn hear_own_nick(stanza: Element<'_>, hearing: &Hearing<'_>, heard: &mut Heard<'_>) {
    if !stanza.is(ns::CLIENT, "presence") || matches!(stanza.attr("type"), Some("unavailable" | "error")) {
        return;
    }
    let side = match hearing.direction {
        Direction::FromClient => stanza.attr("to"),
        Direction::ToClient => stanza.attr("from"),
    };
    let Some((room, nick)) = side.and_then(|jid| jid.split_once('/')) else { return };
    if heard.room || (hearing.is_room)(room) {
        heard.room = true;
        heard.hear_address(Place::Nick, nick);
    }
}

impl Hearing<'_> {
    /// The party at the far end; an absent address is the client's own account (RFC 6120 section 8.1).
    fn other(&self, jid: Option<&str>, room: bool) -> Arc<Party> {
        let Some(jid) = jid else {
            return self.parties.party(Address::account(self.own.address.account.clone()), self.own.kind);
        };
        let address = address(jid);
        let kind = if room || (self.is_room)(&address.account) {
            PartyKind::Room
        } else if address.account.contains('@') {
            PartyKind::Person
        } else {
            PartyKind::Service
        };
        self.parties.party(address, kind)
    }
}

/// The address in normal form; one that is no JID is kept as it stands, so that it can still be named in a record.
fn address(jid: &str) -> Address {
    match jid::split(jid) {
        Ok(parts) => Address { account: parts.bare(jid).into(), device: parts.resource.map(Into::into) },
        Err(_) => match jid.split_once('/') {
            Some((account, device)) => Address { account: account.into(), device: Some(device.into()) },
            None => Address::account(jid),
        },
    }
}

/// The JID without its resource.
fn bare(jid: &str) -> &str {
    jid.split_once('/').map_or(jid, |(bare, _)| bare)
}

/// Whether two JIDs belong to one account.
fn same_account(a: &str, b: &str) -> bool {
    bare(a) == bare(b) || address(a).account == address(b).account
}

/// How strongly a kind claims the whole stanza when it carries several things.
fn rank(kind: Kind) -> u8 {
    match kind {
        Kind::Message => 0,
        Kind::Presence | Kind::Profile => 1,
        Kind::Reaction => 2,
        Kind::Retraction => 3,
        Kind::Correction => 4,
        Kind::Invite => 5,
        Kind::Call => 6,
        Kind::File => 7,
    }
}
