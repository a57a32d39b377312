//! QQ (OICQ): packets between 0x02 and 0x03, over UDP and, with a length before them, over TCP.

use super::{Classifier, Inside, Opinion, Over, beginnings, not_yet};
use crate::bytes::{be16, be32, byte};
use crate::view::{FlowView, Transport, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "qq",
    applications: &["qq"],
    looks_for: "OICQ packets",
    over: Over::Both,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

/// Commands of clients and servers.
const COMMANDS: &[u16] = &[
    0x01, 0x02, 0x04, 0x05, 0x06, 0x09, 0x0a, 0x0d, 0x0e, 0x12, 0x16, 0x17, 0x18, 0x1c, 0x1d, 0x1e, 0x1f, 0x21, 0x22,
    0x26, 0x27, 0x30, 0x31, 0x3c, 0x3e, 0x4d, 0x58, 0x5c, 0x5e, 0x61, 0x62, 0x65, 0x67, 0x6a, 0x78, 0x80, 0x81, 0x82,
    0x91, 0xa4, 0xa6, 0xa8, 0xb5, 0xb8, 0xba, 0xbb, 0xce, 0xdd, 0xe0, 0x0825, 0x0826, 0x0828, 0x0836, 0x0839,
];
/// Versions as clients from QQ 2000 on state them, which one packet alone must have.
const VERSIONS: &[u16] = &[
    0x05a5, 0x062e, 0x072e, 0x0801, 0x0a1d, 0x0b07, 0x0b2f, 0x0b35, 0x0b37, 0x0c0b, 0x0c0d, 0x0c21, 0x0c49, 0x0d05,
    0x0d51, 0x0d55, 0x0d61, 0x0e1b, 0x0e35, 0x0f15, 0x0f4b, 0x0f5f, 0x1105, 0x111d, 0x115b, 0x1203, 0x1205, 0x120b,
    0x1412, 0x1441, 0x3b0b,
];
/// What any client may state: the high byte grew with the years.
const ANY_VERSION: std::ops::RangeInclusive<u16> = 0x0500..=0x3fff;
/// What servers state instead.
const SERVER: u16 = 0x0100;
/// Ports of its servers.
const PORTS: [u16; 3] = [8000, 8001, 4000];
/// The first number that was given to a person.
const FIRST_NUMBER: u32 = 10_000;
/// The cipher's block (TEA), and the least it makes of anything: seven random bytes and seven noughts around it.
const BLOCK: usize = 8;
const LEAST: usize = 2 * BLOCK;

/// A packet of a client: its number, and what is enciphered or not behind it.
#[derive(Clone, Copy)]
struct Packet<'a> {
    version: u16,
    command: u16,
    sequence: u16,
    number: u32,
    body: &'a [u8],
}

fn classify(view: &FlowView) -> Opinion {
    match view.transport {
        Transport::Udp => datagrams(view),
        _ => stream(view),
    }
}

fn datagrams(view: &FlowView) -> Opinion {
    if beginnings(view).any(bracketed) {
        return Opinion::payload("qq", "QQ packet in brackets");
    }
    let Some(first) = beginnings(view).find_map(packet) else { return not_yet(view) };
    // One alone is enough where nothing in it is left to chance.
    if PORTS.contains(&view.server.port) && first.is_filled() {
        return Opinion::payload("qq", "QQ packet to one of its servers (OICQ)");
    }
    if view.datagrams(Way::ToServer).filter_map(packet).any(|next| next.follows(&first)) {
        return Opinion::payload("qq", "QQ packets of one number in a row (OICQ)");
    }
    if view.datagrams(Way::ToClient).any(|reply| first.is_answered(reply)) {
        return Opinion::payload("qq", "QQ packet and its answer (OICQ)");
    }
    if view.heard < 8 && !view.last { Opinion::NeedMore } else { Opinion::No }
}

fn stream(view: &FlowView) -> Opinion {
    let whole = |way| {
        let stream = view.first(way);
        let length = usize::from(be16(stream, 0)?);
        stream.get(2..length)
    };
    if bracketed(view.first(Way::ToServer)) {
        return Opinion::payload("qq", "QQ packet in brackets");
    }
    match byte(view.first(Way::ToServer), 2) {
        Some(2) => {}
        None if !view.last && view.first(Way::ToServer).len() < 3 => return Opinion::NeedMore,
        _ => return Opinion::No,
    }
    match (whole(Way::ToServer), whole(Way::ToClient)) {
        (Some(ask), Some(reply)) if packet(ask).is_some_and(|ask| ask.is_answered(reply)) => {
            Opinion::payload("qq", "QQ packet and its answer (OICQ)")
        }
        _ if view.heard < 4 && !view.last => Opinion::NeedMore,
        _ => Opinion::No,
    }
}

/// `(`, the lengths of head and body, both, `)`: newer clients' transfers.
fn bracketed(bytes: &[u8]) -> bool {
    let lengths = be32(bytes, 1).zip(be32(bytes, 5)).map(|(head, body)| u64::from(head) + u64::from(body) + 10);
    bytes.len() >= 30
        && bytes.first() == Some(&b'(')
        && bytes.last() == Some(&b')')
        && lengths == Some(bytes.len() as u64)
        && be32(bytes, 1).is_some_and(|head| head >= 10)
}

/// A client's: 0x02, version, command, sequence, number, more in the clear, something enciphered, 0x03.
fn packet(bytes: &[u8]) -> Option<Packet<'_>> {
    if byte(bytes, 0)? != 2 || *bytes.last()? != 3 {
        return None;
    }
    let (version, command, number) = (be16(bytes, 1)?, be16(bytes, 3)?, be32(bytes, 7)?);
    let body = bytes.get(11..bytes.len() - 1)?;
    let known = ANY_VERSION.contains(&version) && COMMANDS.contains(&command) && number >= FIRST_NUMBER;
    known.then_some(Packet { version, command, sequence: be16(bytes, 5)?, number, body })
}

impl Packet<'_> {
    /// Whether nothing is left to chance: a version that exists, and in the body eight noughts, then whole blocks.
    fn is_filled(&self) -> bool {
        VERSIONS.contains(&self.version)
            && self.body.split_first_chunk::<8>().is_some_and(|(clear, cipher)| {
                *clear == [0; 8] && cipher.len() >= LEAST && cipher.len().is_multiple_of(BLOCK)
            })
    }

    /// Whether this is one of the next packets of the same client.
    fn follows(&self, before: &Packet) -> bool {
        let steps = self.sequence.wrapping_sub(before.sequence);
        (self.version, self.number) == (before.version, before.number)
            && (1..=16).contains(&steps)
            && self.body != before.body
    }

    /// Whether a server's packet answers: its version or the client's, the same command and sequence, and then, with or
    /// without the number, whole blocks.
    fn is_answered(&self, reply: &[u8]) -> bool {
        let version = be16(reply, 1).is_some_and(|version| version == SERVER || version == self.version);
        let header = byte(reply, 0) == Some(2) && reply.last() == Some(&3) && version;
        let same = (be16(reply, 3), be16(reply, 5)) == (Some(self.command), Some(self.sequence));
        let rest = reply.get(7..reply.len().saturating_sub(1)).unwrap_or_default();
        let numbered = be32(rest, 0) == Some(self.number);
        header
            && same
            && rest.len() >= BLOCK
            && (numbered || rest.len().is_multiple_of(BLOCK))
            && rest.get(4..) != Some(self.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::{Talk, hex};

    const ASK: &str =
        "02 3b0b 0001 0017 561f0c7b 0000000000000000 030c949fb3510c59 cbd527d19e695348 2ec8770801030e47 03";

    #[test]
    fn packets_and_answers() {
        let ask = hex(ASK);
        assert_eq!(Talk::udp().port(8000).client(&ask).named(&CLASSIFIER), Some("qq"));
        assert_eq!(Talk::udp().port(8000).client("junk").client(&ask).named(&CLASSIFIER), Some("qq"));
        assert_eq!(Talk::udp().client(&ask).ask(&CLASSIFIER), Opinion::NeedMore);
        let next = hex("02 3b0b 0016 0018 561f0c7b 8877665544332211 03");
        assert_eq!(Talk::udp().client(&ask).client(next).named(&CLASSIFIER), Some("qq"));
        let framed = |packet: &[u8]| [&(packet.len() as u16 + 2).to_be_bytes()[..], packet].concat();
        for reply in [
            "02 3b0b 0001 0017 561f0c7b 000000000000 8877 03",
            "02 0100 0001 0017 0011223344556677 8899aabbccddeeff 03",
        ] {
            assert_eq!(Talk::udp().client(&ask).server(hex(reply)).named(&CLASSIFIER), Some("qq"), "{reply}");
            let stream = Talk::tcp().client(framed(&ask)).server(framed(&hex(reply)));
            assert_eq!(stream.named(&CLASSIFIER), Some("qq"), "{reply}");
        }
        let mut newer = hex("28 0000000c 00000010");
        newer.resize(9 + 28, 8);
        assert_eq!(Talk::tcp().client([&newer[..], b"]"].concat()).last().named(&CLASSIFIER), None);
        assert_eq!(Talk::tcp().client([&newer[..], b")"].concat()).named(&CLASSIFIER), Some("qq"));
    }

    #[test]
    fn a_start_and_an_end_alone_are_nothing() {
        for bytes in [
            "02 0000 0001 0017 561f0c7b 03",
            "02 0010 0001 0005 000f4240 09090903",
            "02 3b0b 7777 0017 561f0c7b 0000000000000000 030c949fb3510c59 cbd527d19e695348 03",
            "02 3b0b 0001 0017 00000c7b 0000000000000000 030c949fb3510c59 cbd527d19e695348 03",
            "02 3b0b 0001 0017 561f0c7b 0000000000000000 030c949fb3510c59 cbd527d19e6953 03",
            "02 3b0b 0001 0017 561f0c7b 0000000000000000 030c949fb3510c59 cbd527d19e695348 04",
        ] {
            let bytes = hex(bytes);
            let echoed = Talk::udp().port(8000).client(&bytes).server(&bytes).client(&bytes);
            assert_eq!(echoed.last().named(&CLASSIFIER), None, "{bytes:x?}");
        }
        assert_eq!(Talk::udp().client(hex(ASK)).server(hex(ASK)).last().named(&CLASSIFIER), None, "an echo");
    }
}
