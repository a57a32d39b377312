//! uTP (BEP 29), also as LEDBAT (RFC 6817) runs in it: a header of twenty bytes that is right only if
//! several packets agree.

use super::super::Opinion;
use super::ID;
use crate::bytes::{be16, be32, byte};
use crate::view::FlowView;

/// The first byte of a packet that opens a connection: kind 4, version 1.
pub(super) const SYN: u8 = 0x41;

/// After so many datagrams that do not agree, none is waited for.
const PATIENCE: usize = 10;
/// How far behind what was sent an acknowledgement may be, in packets.
const WINDOW: u16 = 512;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Data,
    Fin,
    State,
    Reset,
    Syn,
}

#[derive(Clone, Copy, Debug)]
struct Header {
    kind: Kind,
    connection: u16,
    /// The sender's clock, in microseconds.
    clock: u32,
    sequence: u16,
    acknowledged: u16,
    /// The packet has the extension bits that libutp sends with a SYN, all zero.
    bits: bool,
    /// What the sender measured of the other's clock; nothing yet in a SYN.
    delay: u32,
}

pub(super) fn classify(view: &FlowView) -> Opinion {
    let mut before: [Option<(Header, u32)>; 2] = [None; 2];
    let mut headers = 0;
    for piece in view.pieces {
        let Some(header) = view.bytes_of(piece).and_then(|bytes| header(bytes, piece.len as usize)) else { continue };
        headers += 1;
        if header.kind == Kind::Syn && header.bits && header.delay == 0 && header.acknowledged == 0 {
            return Opinion::payload(ID, "uTP connection request");
        }
        let agrees = before[piece.way.back().index()].is_some_and(|(other, _)| header.answers(other))
            || before[piece.way.index()]
                .is_some_and(|(earlier, at)| header.continues(earlier, piece.at - at.min(piece.at)));
        if agrees {
            return Opinion::payload(ID, "uTP packets that agree");
        }
        before[piece.way.index()] = Some((header, piece.at));
    }
    let patient = view.heard < if headers == 0 { PATIENCE / 2 } else { PATIENCE };
    if patient { Opinion::NeedMore } else { Opinion::No }
}

impl Header {
    /// Whether this can answer what the other side sent: ids that differ by one (or are those of a SYN or
    /// a reset), and an acknowledgement of what was sent.
    fn answers(self, other: Header) -> bool {
        let apart = self.connection.wrapping_sub(other.connection);
        let same = apart == 0 && [self.kind, other.kind].iter().any(|kind| matches!(kind, Kind::Syn | Kind::Reset));
        let behind = other.sequence.wrapping_sub(self.acknowledged);
        (same || apart == 1 || apart == u16::MAX) && behind <= WINDOW && self.clock != other.clock
    }

    /// Whether this can follow what the same side sent, `after` milliseconds earlier: its clock has moved
    /// as ours has.
    fn continues(self, earlier: Header, after: u32) -> bool {
        let apart = self.connection.wrapping_sub(earlier.connection);
        let ours = u64::from(after) * 1000;
        let theirs = u64::from(self.clock.wrapping_sub(earlier.clock));
        (apart == 0 || (apart == 1 && earlier.kind == Kind::Syn))
            && self.sequence.wrapping_sub(earlier.sequence) <= WINDOW
            && after >= 20
            && ours.abs_diff(theirs) <= 5000 + ours / 50
    }
}

/// The header of a datagram of `len` bytes, if all of it is as it must be.
fn header(bytes: &[u8], len: usize) -> Option<Header> {
    let kind = match byte(bytes, 0)? {
        0x01 => Kind::Data,
        0x11 => Kind::Fin,
        0x21 => Kind::State,
        0x31 => Kind::Reset,
        SYN => Kind::Syn,
        _ => return None,
    };
    let mut extension = byte(bytes, 1)?;
    let (mut at, mut bits) = (20, false);
    while extension != 0 {
        let length = usize::from(byte(bytes, at + 1)?);
        // Selective acknowledgement, extension bits, and libutp's reason for closing.
        match (extension, length) {
            (1, 4..=64) if length.is_multiple_of(4) => {}
            (2, 8) => bits = bytes.get(at + 2..at + 10)?.iter().all(|&byte| byte == 0),
            (3, 4) => {}
            _ => return None,
        }
        extension = byte(bytes, at)?;
        at += 2 + length;
    }
    let sizes = match kind {
        Kind::Data => len > at,
        Kind::Fin => len >= at,
        Kind::State | Kind::Reset | Kind::Syn => len == at,
    };
    let header = Header {
        kind,
        connection: be16(bytes, 2)?,
        clock: be32(bytes, 4)?,
        delay: be32(bytes, 8)?,
        sequence: be16(bytes, 16)?,
        acknowledged: be16(bytes, 18)?,
        bits,
    };
    sizes.then_some(header)
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Talk, hex};
    use super::super::UTP;
    use super::*;

    #[test]
    fn a_request_with_extension_bits_needs_no_answer() {
        let syn = hex("4102 4e6b b10a6cfe 00000000 00040000 02a4 0000 0008 0000000000000000");
        assert_eq!(Talk::udp().client(&syn).named(&UTP), Some(ID));
        assert_eq!(Talk::udp().client(&syn[..29]).last().named(&UTP), None);
    }

    #[test]
    fn a_short_request_needs_its_answer() {
        let syn = hex("4100 4567 ed639296 00000000 00100000 23c6 0000");
        assert_eq!(Talk::udp().client(&syn).ask(&UTP), Opinion::NeedMore);
        let state = hex("2100 4567 ed639341 00000000 00100000 4567 23c6");
        assert_eq!(Talk::udp().client(&syn).server(&state).named(&UTP), Some(ID));
        let other = hex("2100 4567 ed639341 00000000 00100000 4567 33c6");
        assert_eq!(Talk::udp().client(&syn).server(&other).named(&UTP), None);
    }

    #[test]
    fn one_side_is_enough_when_its_clock_is_right() {
        // Talk's packets are twenty milliseconds apart.
        let data = |clock: u32, sequence: u16| {
            [
                &hex("0100 1234")[..],
                &clock.to_be_bytes(),
                &hex("00000011 00100000"),
                &sequence.to_be_bytes(),
                &hex("4567 aa"),
            ]
            .concat()
        };
        assert_eq!(Talk::udp().client(data(1_000_000, 7)).client(data(1_020_300, 8)).named(&UTP), Some(ID));
        assert_eq!(Talk::udp().client(data(1_000_000, 7)).client(data(1_000_001, 8)).named(&UTP), None);
        assert_eq!(Talk::udp().client(data(1_000_000, 7)).client(data(1_000_000, 7)).named(&UTP), None);
    }

    #[test]
    fn headers_that_cannot_be() {
        for miss in
            ["2105 4567 ed639341 00000000 00100000 4567 23c6", "5100 4567 ed639341 00000000 00100000 4567 23c6", "21"]
        {
            assert!(header(&hex(miss), hex(miss).len()).is_none());
        }
        let endless = [hex("2101 4567 ed639341 00000000 00100000 4567 23c6"), [1, 4, 0, 0, 0, 0].repeat(200)].concat();
        assert!(header(&endless, endless.len()).is_none());
    }
}
