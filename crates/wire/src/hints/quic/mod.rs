//! QUIC: the ClientHello inside the Initial packets.
//!
//! Initial packets are encrypted with keys that anyone can derive from the packet itself. The keys are derived here,
//! with `ring`, because rustls derives them for versions 1, 2 and one draft only, while captures and older clients
//! hold many drafts, Facebook's and Google's versions. Before Q050, Google's hello was in the clear.

mod frames;
mod google;
mod header;
mod keys;
#[cfg(test)]
mod tests;
mod version;

pub use header::looks_like;

use super::cursor::Cursor;
use super::ranges::Ranges;
use super::tls::hello::{self, Carrier};
use super::{Reading, text, tls};
use header::{HASH, Kind, Long, varint};
use keys::Keys;
use version::Family;

/// The longest hello that is put together. Those with post-quantum keys have about 2 kB.
const LONGEST_HELLO: usize = 16 * 1024;
/// Packets looked at in one datagram.
const MOST_PACKETS: usize = 8;
/// Initials in one datagram that can't be opened, after which the rest of it is left: each costs a derivation of keys.
const MOST_JUNK: usize = 3;
/// After this many datagrams without a hello, there is none. Nothing else ends the search: what can't be opened may be
/// anyone's, and the server passes over it too.
const MOST_DATAGRAMS: u8 = 32;
/// Google's transport parameter with the user agent.
const USER_AGENT: u64 = 0x3129;

const CLIENT_HELLO: u8 = 1;

/// Decrypts the client's Initials of one flow and puts their CRYPTO frames together.
#[derive(Debug, Default)]
pub struct Initials {
    version: Option<u32>,
    keys: Option<Keys>,
    /// The packet being opened.
    packet: Vec<u8>,
    crypto: Crypto,
    user_agent: Option<Box<str>>,
    datagrams: u8,
}

impl Initials {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next datagram of the flow, either way. `Is` once, when the hello is whole; `Not` when this isn't QUIC
    /// or can't be read.
    pub fn push(&mut self, to_server: bool, datagram: &[u8]) -> Reading<tls::ClientHello> {
        self.datagrams = self.datagrams.saturating_add(1);
        if self.datagrams > MOST_DATAGRAMS {
            return Reading::Not;
        }
        if let Some(public) = header::public(datagram).filter(|_| to_server) {
            self.renew(public.version);
            return self.take_clear(public.version, public.inside);
        }
        let mut rest = datagram;
        let mut junk = 0;
        for index in 0..MOST_PACKETS {
            let Some(packet) = header::long(rest) else {
                // Without a version, only what comes after one is of interest.
                let lost = index == 0 && self.version.is_none();
                return if lost { Reading::Not } else { Reading::More };
            };
            if packet.version != 0 && to_server {
                self.version.get_or_insert(packet.version);
            }
            if to_server && packet.kind == Kind::Initial {
                match self.take_initial(&packet) {
                    Some(Reading::More) => {}
                    Some(answer) => return answer,
                    None if junk + 1 >= MOST_JUNK => return Reading::More,
                    None => junk += 1,
                }
            }
            rest = packet.rest;
            if rest.is_empty() {
                break;
            }
        }
        Reading::More
    }

    /// What the client calls itself, where it does: Google's do.
    pub fn user_agent(&self) -> Option<&str> {
        self.user_agent.as_deref()
    }

    /// The version that the client speaks: that of the last packet which could be read.
    pub fn version(&self) -> Option<u32> {
        self.version
    }

    /// Another version after negotiation begins everything anew.
    fn renew(&mut self, version: u32) {
        if self.version != Some(version) {
            self.version = Some(version);
            self.keys = None;
            self.crypto.clear();
        }
    }

    /// `None` if the packet can't be opened.
    fn take_initial(&mut self, packet: &Long) -> Option<Reading<tls::ClientHello>> {
        if packet.family == Family::GoogleLong {
            self.renew(packet.version);
            let inside = packet.packet.get(packet.number_at..).unwrap_or_default();
            return Some(self.take_clear(packet.version, inside));
        }
        self.open(packet).then(|| match packet.family {
            Family::Ietf | Family::GoogleTls => self.tls_hello(),
            _ => self.google_hello(),
        })
    }

    /// Opens a packet and takes its CRYPTO frames. The keys come from the connection id of the client's first Initial;
    /// after a Retry they come from the new one.
    fn open(&mut self, packet: &Long) -> bool {
        let Initials { version, keys, packet: buffer, crypto, .. } = self;
        let mut attempt = |keys: &Keys| {
            buffer.clear();
            buffer.extend_from_slice(packet.packet);
            let Some(inside) = keys.open(buffer, packet.number_at) else { return false };
            if version.replace(packet.version) != Some(packet.version) {
                crypto.clear();
            }
            // A strange frame ends the packet, and what came before it counts.
            let _ = match packet.family {
                Family::Ietf => frames::crypto(inside, |offset, bytes| crypto.take(offset, bytes)),
                Family::GoogleTls => frames::google_crypto(inside, true, |offset, bytes| crypto.take(offset, bytes)),
                _ => frames::google_crypto(inside, true, |offset, bytes| crypto.take_chlo(offset, bytes)),
            };
            true
        };
        if keys.as_ref().is_some_and(&mut attempt) {
            return true;
        }
        let derived = version::derivations(packet.version).iter();
        match derived.filter_map(|with| Keys::derive(with, packet.destination)).find(&mut attempt) {
            Some(right) => {
                *keys = Some(right);
                true
            }
            None => false,
        }
    }

    /// Takes the frames of a packet in the clear.
    fn take_clear(&mut self, version: u32, inside: &[u8]) -> Reading<tls::ClientHello> {
        let number = version.to_be_bytes();
        // Until Q033 a byte of private flags stands before the frames.
        let skip = HASH + usize::from(number < *b"Q034");
        let frames = inside.get(skip..).unwrap_or_default();
        let _ = frames::google_crypto(frames, number >= *b"Q039", |offset, bytes| self.crypto.take_chlo(offset, bytes));
        self.google_hello()
    }

    fn google_hello(&mut self) -> Reading<tls::ClientHello> {
        let message = self.crypto.beginning();
        match google::read(message) {
            google::Message::Whole(hello) => {
                self.user_agent = hello.user_agent.map(Box::from);
                Reading::Is(hello.summary())
            }
            google::Message::Cut => Reading::More,
            google::Message::Not => Reading::Not,
        }
    }

    fn tls_hello(&mut self) -> Reading<tls::ClientHello> {
        let message = self.crypto.beginning();
        let Some((&[kind, high, middle, low], rest)) = message.split_first_chunk::<4>() else {
            return Reading::More;
        };
        let length = u32::from_be_bytes([0, high, middle, low]) as usize;
        if kind != CLIENT_HELLO || length > LONGEST_HELLO {
            return Reading::Not;
        }
        let Some(body) = rest.get(..length) else { return Reading::More };
        let Some(hello) = hello::read(body, Carrier::Quic) else { return Reading::Not };
        self.user_agent = parameter(hello.transport, USER_AGENT).and_then(text::text).map(Box::from);
        Reading::Is(hello.summary())
    }
}

/// The beginning of the client's handshake.
#[derive(Debug, Default)]
struct Crypto {
    bytes: Vec<u8>,
    /// Which parts of it are there.
    have: Ranges,
    /// Where in the client's stream it begins.
    start: u64,
}

impl Crypto {
    fn clear(&mut self) {
        self.bytes.clear();
        self.have = Ranges::default();
    }

    /// Puts a piece in its place.
    fn take(&mut self, offset: u64, piece: &[u8]) {
        let Some(start) = offset.checked_sub(self.start).and_then(|start| usize::try_from(start).ok()) else { return };
        let Some(end) = start.checked_add(piece.len()).filter(|end| *end <= LONGEST_HELLO) else { return };
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        if let Some(place) = self.bytes.get_mut(start..end) {
            place.copy_from_slice(piece);
            self.have.add(start, end);
        }
    }

    /// The same for Google's own handshake, in which a second hello, behind the first, answers the server's rejection.
    fn take_chlo(&mut self, offset: u64, piece: &[u8]) {
        if offset != self.start && piece.starts_with(google::CHLO) {
            self.clear();
            self.start = offset;
        }
        self.take(offset, piece);
    }

    /// What is there without a gap.
    fn beginning(&self) -> &[u8] {
        self.bytes.get(..self.have.contiguous()).unwrap_or_default()
    }
}

/// A transport parameter, RFC 9000 section 18.
fn parameter(parameters: &[u8], wanted: u64) -> Option<&[u8]> {
    let mut left = Cursor(parameters);
    loop {
        let id = varint(&mut left)?;
        let length = varint(&mut left)?;
        let value = left.take(usize::try_from(length).ok()?)?;
        if id == wanted {
            return Some(value);
        }
    }
}
