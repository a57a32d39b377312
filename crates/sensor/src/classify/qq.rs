//! QQ (OICQ): packets between 0x02 and 0x03, over UDP and, with a length before them, over TCP.

use super::bytes::{be16, be32, byte};
use super::{Classifier, Inside, Opinion, Over};
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
/// Ports of its servers: they strengthen what the bytes say.
const PORTS: [u16; 3] = [8000, 8001, 4000];

struct Packet {
    command: u16,
    sequence: u16,
    number: u32,
}

fn classify(view: &FlowView) -> Opinion {
    match view.transport {
        Transport::Udp => datagrams(view),
        _ => stream(view),
    }
}

fn datagrams(view: &FlowView) -> Opinion {
    if bracketed(view.first(Way::ToServer)) {
        return Opinion::payload("qq", "QQ packet in brackets");
    }
    let Some(first) = packet(view.first(Way::ToServer)) else { return Opinion::No };
    if PORTS.iter().any(|&port| view.port(port)) && first.number >= 10_000 {
        return Opinion::payload("qq", "QQ packet (OICQ)");
    }
    let answered = view.datagrams(Way::ToClient).filter_map(packet).any(|reply| reply.same(&first));
    if answered {
        return Opinion::payload("qq", "QQ packet and its answer (OICQ)");
    }
    if view.pieces.len() < 4 && !view.last { Opinion::NeedMore } else { Opinion::No }
}

fn stream(view: &FlowView) -> Opinion {
    let whole = |way| {
        let stream = view.first(way);
        let length = usize::from(be16(stream, 0)?);
        packet(stream.get(2..length)?)
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
        (Some(ask), Some(reply)) if reply.same(&ask) => Opinion::payload("qq", "QQ packet and its answer (OICQ)"),
        _ if view.pieces.len() < 4 && !view.last => Opinion::NeedMore,
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

/// 0x02, version, command, sequence, number, something enciphered, 0x03.
fn packet(bytes: &[u8]) -> Option<Packet> {
    if byte(bytes, 0)? != 2 || bytes.len() < 12 || *bytes.last()? != 3 {
        return None;
    }
    let (version, command) = (be16(bytes, 1)?, be16(bytes, 3)?);
    (version != 0 && COMMANDS.contains(&command)).then_some(Packet {
        command,
        sequence: be16(bytes, 5)?,
        number: be32(bytes, 7)?,
    })
}

impl Packet {
    fn same(&self, other: &Packet) -> bool {
        (self.command, self.sequence) == (other.command, other.sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::{Talk, hex};

    #[test]
    fn packets_and_answers() {
        let ask = hex("02 3b0b 0001 0017 561f0c7b 0000000000000000 99aa 03");
        let reply = hex("02 3b0b 0001 0017 561f0c7b 000000000000 8877 03");
        assert_eq!(Talk::udp().port(8000).client(&ask).named(&CLASSIFIER), Some("qq"));
        assert_eq!(Talk::udp().client(&ask).ask(&CLASSIFIER), Opinion::NeedMore);
        let mut newer = hex("28 0000000c 00000010");
        newer.resize(9 + 28, 8);
        assert_eq!(Talk::tcp().client([&newer[..], b"]"].concat()).last().named(&CLASSIFIER), None);
        assert_eq!(Talk::tcp().client([&newer[..], b")"].concat()).named(&CLASSIFIER), Some("qq"));
        assert_eq!(Talk::udp().client(&ask).server(&reply).named(&CLASSIFIER), Some("qq"));
        let framed = |packet: &[u8]| [&(packet.len() as u16 + 2).to_be_bytes()[..], packet].concat();
        assert_eq!(Talk::tcp().client(framed(&ask)).server(framed(&reply)).named(&CLASSIFIER), Some("qq"));
    }

    #[test]
    fn a_start_and_an_end_alone_are_nothing() {
        for bytes in
            ["02 0000 0001 0017 561f0c7b 03", "02 3b0b 7777 0017 561f0c7b 00 03", "02 3b0b 0001 0017 561f0c7b 04"]
        {
            assert_eq!(Talk::udp().port(8000).client(hex(bytes)).last().named(&CLASSIFIER), None, "{bytes}");
        }
    }
}
