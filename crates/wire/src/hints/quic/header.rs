//! Packet headers that come before keys are agreed on.

use super::super::cursor::Cursor;
use super::version::{Family, V2, V2_DRAFT, family};

/// Longest connection id, RFC 9000 section 17.2.
const LONGEST_ID: usize = 20;
/// A packet number of one byte at least, and the sample for header protection begins four bytes behind its start.
const SHORTEST_PROTECTED: usize = 20;
/// Retry's integrity tag.
const TAG: usize = 16;

/// What a packet with a long header is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Initial,
    /// 0-RTT or Handshake.
    Other,
    Retry,
    /// It lists the versions that a server speaks.
    Negotiation,
}

/// A packet with a long header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Long<'a> {
    pub(super) version: u32,
    pub(super) family: Family,
    pub(super) kind: Kind,
    pub(super) destination: &'a [u8],
    /// All of the packet.
    pub(super) packet: &'a [u8],
    /// Where in the packet its number stands (or, without protection, what is inside).
    pub(super) number_at: usize,
    /// What follows in the datagram.
    pub(super) rest: &'a [u8],
}

/// Whether a datagram begins with a packet as QUIC or Google QUIC sends it before keys are agreed on: a known version,
/// and lengths that fit.
pub fn looks_like(datagram: &[u8]) -> bool {
    match datagram.first() {
        Some(0x80..) => long(datagram).is_some_and(|first| follows(first.rest, first.version)),
        Some(_) => public(datagram).is_some(),
        None => false,
    }
}

/// Whether what is behind a packet in its datagram can be: nothing, padding, or another packet of the connection.
fn follows(rest: &[u8], version: u32) -> bool {
    match rest {
        [] | [0x40..=0x7f, ..] => true,
        [0x80..=0xff, v @ ..] => v.first_chunk() == Some(&version.to_be_bytes()),
        // Some pad behind the packet instead of inside.
        [..] => rest.iter().all(|byte| *byte == 0),
    }
}

/// Reads the packet at the beginning of `datagram` (RFC 9000 section 17.2, RFC 8999).
pub(super) fn long(datagram: &[u8]) -> Option<Long<'_>> {
    let mut left = Cursor(datagram);
    let first = left.u8().filter(|first| first & 0x80 != 0)?;
    let version = left.u32()?;
    if version == 0 {
        return negotiation(datagram);
    }
    let family = family(version)?;
    if family == Family::GoogleLong {
        return google_long(datagram, first, version);
    }
    if family == Family::GooglePublic {
        return None;
    }
    let destination = left.vector8().filter(|id| id.len() <= LONGEST_ID)?;
    left.vector8().filter(|id| id.len() <= LONGEST_ID)?;
    let kind = kind(first, version);
    let found = |number_at, packet, rest| Long { version, family, kind, destination, packet, number_at, rest };
    if kind == Kind::Retry {
        return (left.0.len() > TAG).then(|| found(datagram.len() - left.0.len(), datagram, &[]));
    }
    if kind == Kind::Initial {
        let token = varint(&mut left)?;
        left.take(usize::try_from(token).ok()?)?;
    }
    let length = usize::try_from(varint(&mut left)?).ok().filter(|length| *length >= SHORTEST_PROTECTED)?;
    let number_at = datagram.len() - left.0.len();
    left.take(length)?;
    let (packet, rest) = datagram.split_at_checked(number_at + length)?;
    Some(found(number_at, packet, rest))
}

fn kind(first: u8, version: u32) -> Kind {
    let bits = first >> 4 & 3;
    // Version 2 counts from one further on, RFC 9369 section 3.2.
    let bits = if matches!(version, V2 | V2_DRAFT) { bits.wrapping_sub(1) & 3 } else { bits };
    match bits {
        0 => Kind::Initial,
        3 => Kind::Retry,
        _ => Kind::Other,
    }
}

/// Version Negotiation (RFC 9000 section 17.2.1): two connection ids and versions, of which one at least is known.
fn negotiation(datagram: &[u8]) -> Option<Long<'_>> {
    let mut left = Cursor(datagram.get(5..)?);
    let destination = left.vector8().filter(|id| id.len() <= LONGEST_ID)?;
    left.vector8().filter(|id| id.len() <= LONGEST_ID)?;
    let (versions, odd) = left.0.as_chunks::<4>();
    let known = versions.iter().any(|version| family(u32::from_be_bytes(*version)).is_some());
    (known && odd.is_empty()).then_some(Long {
        version: 0,
        family: Family::Ietf,
        kind: Kind::Negotiation,
        destination,
        packet: datagram,
        number_at: datagram.len() - left.0.len(),
        rest: &[],
    })
}

/// Q044 to Q049: lengths of both ids in one byte, only the server's id given; packet number, hash, frames in the clear.
fn google_long(datagram: &[u8], first: u8, version: u32) -> Option<Long<'_>> {
    let mut left = Cursor(datagram.get(5..)?);
    // A nibble each: the length less three, or none.
    let (to, from) = match left.u8()? {
        0x50 => (8, 0),
        0x05 => (0, 8),
        0x55 => (8, 8),
        _ => return None,
    };
    let destination = left.take(to)?;
    left.take(from)?;
    let before_q046 = matches!(version.to_be_bytes(), [.., b'4' | b'5']);
    left.take(if before_q046 { 4 } else { usize::from(first & 3) + 1 })?;
    let number_at = datagram.len() - left.0.len();
    (left.0.len() > HASH).then_some(Long {
        version,
        family: Family::GoogleLong,
        kind: Kind::Initial,
        destination,
        packet: datagram,
        number_at,
        rest: &[],
    })
}

/// Hash over a packet that is not encrypted.
pub(super) const HASH: usize = 12;

const PUBLIC_VERSION: u8 = 0x01;
const PUBLIC_ID: u8 = 0x08;
const PUBLIC_NUMBER: u8 = 0x30;

/// A packet with Google's public header and a version.
#[derive(Clone, Copy, Debug)]
pub(super) struct Public<'a> {
    pub(super) version: u32,
    /// Hash and frames.
    pub(super) inside: &'a [u8],
}

/// Reads a packet with Google's public header and a version, which clients send until the server has agreed.
pub(super) fn public(datagram: &[u8]) -> Option<Public<'_>> {
    let mut left = Cursor(datagram);
    let flags = left.u8()?;
    if flags & !PUBLIC_NUMBER & !0x04 != PUBLIC_ID | PUBLIC_VERSION {
        return None;
    }
    left.take(8)?;
    let version = left.u32()?;
    if !matches!(family(version)?, Family::GooglePublic) {
        return None;
    }
    let number = match flags & PUBLIC_NUMBER {
        0x00 => 1,
        0x10 => 2,
        0x20 => 4,
        _ => 6,
    };
    left.take(number)?;
    Some(Public { version, inside: left.0 })
}

/// A number of one to eight bytes, RFC 9000 section 16.
pub(super) fn varint(from: &mut Cursor<'_>) -> Option<u64> {
    let first = from.u8()?;
    let more = (1_usize << (first >> 6)) - 1;
    let start = u64::from(first & 0x3f);
    from.take(more).map(|bytes| bytes.iter().fold(start, |value, byte| value << 8 | u64::from(*byte)))
}
