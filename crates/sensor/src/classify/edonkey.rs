//! eDonkey and eMule: clients and servers over TCP, their datagrams, and Kademlia. Not their obfuscation:
//! it hides everything but the company that its users keep.

use std::net::Ipv4Addr;

use super::peers::learn;
use super::{Classifier, Inside, Opinion, Over, Said};
use crate::bytes::{array, byte, le16, le32};
use crate::lore::Lore;
use crate::view::{Endpoint, FlowView, Transport, Way};

const ID: &str = "edonkey";

const EDONKEY: u8 = 0xe3;
const EMULE: u8 = 0xc5;
const PACKED: u8 = 0xd4;
const KAD: u8 = 0xe4;
const KAD_PACKED: u8 = 0xe5;
/// The longest message that clients take.
const LONGEST: u32 = 2_000_000;
/// How packed content begins: deflated, with a window of 32 KiB.
const ZLIB: u8 = 0x78;
/// At most this many contacts of one answer are learnt.
const MOST_CONTACTS: usize = 32;

/// Clients and servers over TCP.
pub(crate) const TCP: Classifier = Classifier {
    name: "edonkey-tcp",
    applications: &[ID],
    looks_for: "an eDonkey or eMule message of known kind: a hello, a login, or messages of both sides with lengths that add up",
    over: Over::Tcp,
    inside: Inside::PLAIN,
    classify: classify_tcp,
    follow: Some(follow_tcp),
};

/// Datagrams, among them Kademlia.
pub(crate) const UDP: Classifier = Classifier {
    name: "edonkey-udp",
    applications: &[ID],
    looks_for: "eDonkey, eMule and Kad datagrams whose size fits their kind and whose answers match",
    over: Over::Udp,
    inside: Inside::PLAIN,
    classify: classify_udp,
    follow: Some(follow_udp),
};

fn classify_tcp(view: &FlowView) -> Opinion {
    let sides = [view.first(Way::ToServer), view.first(Way::ToClient)];
    let mut framed = 0;
    for bytes in sides {
        if bytes.is_empty() {
            continue;
        }
        let Some(&protocol @ (EDONKEY | EMULE | PACKED)) = bytes.first() else { return Opinion::No };
        if bytes.len() < 6 {
            continue;
        }
        let (Some(length), Some(kind)) = (le32(bytes, 1), byte(bytes, 5)) else { continue };
        if length == 0 || length > LONGEST {
            return Opinion::No;
        }
        let content = bytes.get(6..).unwrap_or_default();
        let content = content.get(..length as usize - 1).unwrap_or(content);
        let followed = is_followed(bytes, length);
        if followed && protocol == EDONKEY && is_introduction(kind, length, content) {
            return Opinion::payload(ID, "eDonkey hello");
        }
        if followed
            && protocol == EMULE
            && kind == 0x01
            && length >= 7
            && content.len() >= 6
            && le32(content, 2).is_some_and(|tags| tags < 32)
        {
            return Opinion::payload(ID, "eMule information");
        }
        let known = is_known(protocol, kind, length) && (protocol != PACKED || byte(content, 0) == Some(ZLIB));
        framed += u8::from(known && followed);
    }
    if framed == 2 {
        return Opinion::payload(ID, "eDonkey messages");
    }
    if view.heard < 8 { Opinion::NeedMore } else { Opinion::No }
}

/// Whether this is a hello to another client, its answer, or a login to a server: the user's hash (clients'
/// begin with its length), id, port, and few tags.
fn is_introduction(kind: u8, length: u32, content: &[u8]) -> bool {
    let user = match (kind, content.first()) {
        (0x01, Some(0x10)) => content.get(1..).unwrap_or_default(),
        (0x01 | 0x4c, _) => content,
        _ => return false,
    };
    let (Some(hash), Some(port), Some(tags)) = (array::<16>(user, 0), le16(user, 20), le32(user, 22)) else {
        return false;
    };
    // eMule and its relatives mark their hashes in two places; others are believed for tags that look right.
    let marked = hash[5] == 0x0e && hash[14] == 0x6f;
    let tagged = byte(user, 26).is_some_and(|first| matches!(first & 0x7f, 0x01..=0x09 | 0x11..=0x20));
    length >= 27 && port != 0 && (1..=32).contains(&tags) && tagged && (marked || hash.iter().any(|&byte| byte != 0))
}

/// Whether clients and servers send messages of this kind, and of this length.
fn is_known(protocol: u8, kind: u8, length: u32) -> bool {
    match (protocol, kind) {
        (PACKED, _) => length > 8,
        (EMULE, 0x01 | 0x02 | 0x40..=0x43 | 0x60 | 0x61 | 0x81..=0x9b | 0xa1..=0xa8) => true,
        (EDONKEY, 0x14 | 0x15 | 0x18 | 0x19 | 0x1c | 0x16 | 0x32..=0x36 | 0x38 | 0x40..=0x43) => true,
        (EDONKEY, 0x46 | 0x47 | 0x4a..=0x5f | 0x01) => true,
        _ => false,
    }
}

/// Whether the message is followed by another of the family, or by nothing.
fn is_followed(bytes: &[u8], length: u32) -> bool {
    match bytes.get(5 + length as usize..) {
        Some([]) => true,
        Some([next, ..]) => matches!(*next, EDONKEY | EMULE | PACKED),
        None => length > 1000,
    }
}

fn classify_udp(view: &FlowView) -> Opinion {
    let mut asked = [None; 2];
    for piece in view.pieces {
        let Some(bytes) = view.bytes_of(piece) else { continue };
        let (Some(&protocol), Some(&kind)) = (bytes.first(), bytes.get(1)) else { return Opinion::No };
        let len = piece.len as usize;
        let shape = match protocol {
            KAD => kad(kind, bytes, len),
            KAD_PACKED => packed(bytes),
            EDONKEY => server(kind, bytes, len),
            EMULE => client(kind, bytes, len),
            _ => return Opinion::No,
        };
        match shape {
            Shape::Certain(what) => return Opinion::payload(ID, what),
            Shape::Likely(request) => {
                let before = asked[piece.way.back().index()];
                if before.is_some_and(|earlier| answers(protocol, request, earlier)) {
                    return Opinion::payload(ID, "eDonkey datagrams that answer each other");
                }
                asked[piece.way.index()] = Some((protocol, request));
            }
            Shape::Wrong => return Opinion::No,
        }
    }
    if view.heard < 6 { Opinion::NeedMore } else { Opinion::No }
}

/// What a datagram looks like.
enum Shape {
    /// Enough by itself.
    Certain(&'static str),
    /// Of a known kind and its size, too short to be sure.
    Likely(u8),
    Wrong,
}

/// Whether a message of this kind answers that one.
fn answers(protocol: u8, kind: u8, (other, asked): (u8, u8)) -> bool {
    protocol == other
        && matches!(
            (asked, kind),
            (0x01, 0x09)
                | (0x11, 0x19)
                | (0x19, 0x22)
                | (0x21, 0x29)
                | (0x33..=0x35, 0x3b)
                | (0x43 | 0x44, 0x4b)
                | (0x60, 0x61)
                | (0x50 | 0x53, 0x58)
                | (0x90, 0x91..=0x93)
                | (0x96, 0x97)
                | (0x92 | 0x98, 0x99)
                | (0x94 | 0x9a, 0x9b)
                | (0xa2, 0xa3)
        )
}

/// A Kad message: its size follows from its kind.
fn kad(kind: u8, bytes: &[u8], len: usize) -> Shape {
    let sized = match kind {
        // Bootstrap, ping, pong.
        0x01 | 0x60 => len == 2,
        0x61 => len == 4,
        // Contacts: id, address, two ports, version.
        0x09 => {
            let count = usize::from(le16(bytes, 21).unwrap_or(0));
            return if count > 0 && len == 23 + 25 * count {
                Shape::Certain("Kad bootstrap answer")
            } else {
                Shape::Wrong
            };
        }
        0x29 => {
            let count = usize::from(byte(bytes, 18).unwrap_or(0));
            let versions = bytes.get(19..).unwrap_or_default().chunks_exact(25).all(|contact| contact[24] <= 16);
            return match count {
                0 if len == 19 => Shape::Likely(kind),
                1..=32 if len == 19 + 25 * count && versions => Shape::Certain("Kad answer"),
                _ => Shape::Wrong,
            };
        }
        // Hello: id, port, version, tags.
        0x11 | 0x19 => {
            let tags = byte(bytes, 21).unwrap_or(u8::MAX);
            len >= 22
                && byte(bytes, 20).is_some_and(|version| (1..=16).contains(&version))
                && tags <= 8
                && (tags > 0 || len == 22)
        }
        0x22 => len == 18 || len == 22,
        // Which contacts are near: how many, the target, and whom it is for.
        0x21 => len == 35 && byte(bytes, 2).is_some_and(|count| matches!(count & 0x1f, 2 | 4 | 11)),
        0x33 => len >= 20,
        0x34 => len == 28,
        0x35 => len == 26,
        0x3b | 0x43 | 0x44 => len >= 36,
        0x4b => len == 19 || len == 20,
        0x50 => len == 4,
        0x53 => len == 20,
        0x58 => len == 6,
        _ => false,
    };
    if sized { Shape::Likely(kind) } else { Shape::Wrong }
}

/// A packed Kad message: its kind, then a zlib stream.
fn packed(bytes: &[u8]) -> Shape {
    match array::<4>(bytes, 0) {
        Some([_, 0x09 | 0x19 | 0x29 | 0x33 | 0x3b | 0x43 | 0x44, 0x78, 0x01 | 0x5e | 0x9c | 0xda]) => {
            Shape::Certain("Kad message, packed")
        }
        _ => Shape::Wrong,
    }
}

/// A message between clients and servers.
fn server(kind: u8, bytes: &[u8], len: usize) -> Shape {
    let sized = match kind {
        0x96 => len == 6,
        0x97 => (14..=100).contains(&len),
        0x9a => len > 2 && (len - 2).is_multiple_of(16),
        0x94 => len > 2 && ((len - 2).is_multiple_of(20) || (len - 2).is_multiple_of(28)),
        0x9b => {
            let count = usize::from(byte(bytes, 18).unwrap_or(0));
            len >= 19 + 6 * count && count > 0
        }
        // A search is a tree of a few kinds of node.
        0x90 | 0x92 | 0x98 => len > 6 && byte(bytes, 2).is_some_and(|node| node <= 4),
        0x99 => le32(bytes, 24).is_some_and(|tags| (1..=32).contains(&tags)) && len > 30,
        0xa2 => len == 2 || len == 6,
        0xa3 => len > 6,
        _ => false,
    };
    if sized { Shape::Likely(kind) } else { Shape::Wrong }
}

/// A message between clients.
fn client(kind: u8, _bytes: &[u8], len: usize) -> Shape {
    let sized = match kind {
        0x90 => (18..=300).contains(&len),
        0x91 => (4..=300).contains(&len),
        0x92 | 0x93 => len == 2,
        _ => false,
    };
    if sized { Shape::Likely(kind) } else { Shape::Wrong }
}

/// Learns where a client says that it listens, and the sources that a server names. Obfuscated messages
/// between these are known by nothing else.
fn follow_tcp(said: &Said, lore: &mut Lore) {
    let (Some(EDONKEY), Some(kind)) = (byte(said.payload, 0), byte(said.payload, 5)) else { return };
    let content = said.payload.get(6..).unwrap_or_default();
    let speaker = if said.way == Way::ToServer { said.client.ip } else { said.server.ip };
    match kind {
        // A hello, a login, an answer: hash, id, TCP port; UDP ports in a tag, Kad's first.
        0x01 | 0x4c => {
            let user = if byte(content, 0) == Some(0x10) { content.get(1..).unwrap_or_default() } else { content };
            if let Some(port) = le16(user, 20) {
                learn(lore, Transport::Tcp, Endpoint { ip: speaker, port }, ID);
            }
            for tag in UDP_PORTS {
                let Some(at) = memchr::memmem::find(user.get(..512).unwrap_or(user), tag) else { continue };
                for at in [at + tag.len(), at + tag.len() + 2] {
                    if let Some(port) = le16(user, at) {
                        learn(lore, Transport::Udp, Endpoint { ip: speaker, port }, ID);
                    }
                }
            }
        }
        // Sources of a file: its hash, their number, their addresses and ports.
        0x42 => {
            for source in content.get(17..).unwrap_or_default().chunks_exact(6).take(MOST_CONTACTS) {
                let (Some(ip), Some(port)) = (array::<4>(source, 0), le16(source, 4)) else { return };
                learn(lore, Transport::Tcp, Endpoint { ip: ip.into(), port }, ID);
            }
        }
        _ => {}
    }
}

/// The tag for UDP ports, in both ways of writing tags.
const UDP_PORTS: [&[u8]; 2] = [&[0x83, 0xf9], &[0x03, 0x01, 0x00, 0xf9]];

/// Learns the contacts of a Kad answer.
fn follow_udp(said: &Said, lore: &mut Lore) {
    let contacts = match said.payload {
        [KAD, 0x29, rest @ ..] => rest.get(17..),
        [KAD, 0x09, rest @ ..] => rest.get(21..),
        _ => None,
    };
    for contact in contacts.unwrap_or_default().chunks_exact(25).take(MOST_CONTACTS) {
        // Addresses and ports are little-endian.
        let (Some(ip), Some(udp), Some(tcp)) = (le32(contact, 16), le16(contact, 20), le16(contact, 22)) else {
            return;
        };
        let ip = Ipv4Addr::from(ip).into();
        learn(lore, Transport::Udp, Endpoint { ip, port: udp }, ID);
        learn(lore, Transport::Tcp, Endpoint { ip, port: tcp }, ID);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Talk, hex};
    use super::*;

    fn framed(protocol: u8, kind: u8, content: &[u8]) -> Vec<u8> {
        [&[protocol][..], &(content.len() as u32 + 1).to_le_bytes(), &[kind], content].concat()
    }

    const USER: &str = "5ee3f013fc0e9dc9004233c3f5496f88 ac61b494 80bd 02000000 02010001 026d65 0301001100000000";

    #[test]
    fn introductions() {
        let hello = framed(EDONKEY, 0x01, &[&[0x10][..], &hex(USER)].concat());
        assert_eq!(Talk::tcp().client(&hello).named(&TCP), Some(ID));
        assert_eq!(Talk::tcp().client(framed(EDONKEY, 0x01, &hex(USER))).named(&TCP), Some(ID));
        assert_eq!(Talk::tcp().client(framed(EDONKEY, 0x4c, &hex(USER))).named(&TCP), Some(ID));
        assert_eq!(Talk::tcp().client(&hello[..5]).ask(&TCP), Opinion::NeedMore);
    }

    #[test]
    fn logins_and_sources_are_learnt() {
        let mut lore = Lore::new(8);
        let (client, server) = (Talk::tcp().client, Talk::tcp().server);
        let login = framed(EDONKEY, 0x01, &[&hex(USER)[..], &hex("83f9 3812 4012")].concat());
        let found = framed(EDONKEY, 0x42, &[&[7; 16][..], &[1, 192, 0, 2, 9, 0x36, 0x12]].concat());
        for (way, payload) in [(Way::ToServer, &login), (Way::ToClient, &found)] {
            follow_tcp(&Said { client, server, transport: Transport::Tcp, way, payload }, &mut lore);
        }
        let speaks = |transport, ip, port| lore.speaker(transport, Endpoint { ip, port }).is_some();
        assert!(speaks(Transport::Tcp, client.ip, 0xbd80));
        assert!(speaks(Transport::Udp, client.ip, 0x1238) && speaks(Transport::Udp, client.ip, 0x1240));
        assert!(speaks(Transport::Tcp, Ipv4Addr::new(192, 0, 2, 9).into(), 0x1236));
        assert!(!speaks(Transport::Tcp, server.ip, 0xbd80));
    }

    #[test]
    fn messages_of_both_sides() {
        let sources = framed(EDONKEY, 0x19, &[7; 16]);
        let found = framed(EDONKEY, 0x42, &[7; 23]);
        assert_eq!(Talk::tcp().client(&sources).ask(&TCP), Opinion::NeedMore);
        assert_eq!(Talk::tcp().client(&sources).server(&found).named(&TCP), Some(ID));
        assert_eq!(Talk::tcp().client(&sources).server("HTTP").ask(&TCP), Opinion::No);
        assert_eq!(Talk::tcp().client(hex("e3 ffffffff 01 00")).ask(&TCP), Opinion::No);
    }

    #[test]
    fn kademlia() {
        let request = [&[KAD, 0x21, 0x0b][..], &[1; 32]].concat();
        let contact = [&[2; 16][..], &[5, 2, 0, 192, 0x40, 0x12, 0x36, 0x12, 8]].concat();
        let answer = [&[KAD, 0x29][..], &[1; 16], &[1], &contact].concat();
        assert_eq!(Talk::udp().client(&request).ask(&UDP), Opinion::NeedMore);
        assert_eq!(Talk::udp().client(&request).server(&answer).named(&UDP), Some(ID));
        assert_eq!(Talk::udp().client(&answer).named(&UDP), Some(ID));
        assert_eq!(Talk::udp().client(&answer[..40]).ask(&UDP), Opinion::No);
        assert_eq!(Talk::udp().client(hex("e560")).ask(&UDP), Opinion::No);
        assert_eq!(Talk::udp().client(hex("e460")).server(hex("e4613612")).named(&UDP), Some(ID));

        let mut lore = Lore::new(4);
        let (client, server) = (Talk::udp().client, Talk::udp().server);
        follow_udp(
            &Said { client, server, transport: Transport::Udp, way: Way::ToClient, payload: &answer },
            &mut lore,
        );
        let ip = Ipv4Addr::new(192, 0, 2, 5).into();
        assert_eq!(lore.speaker(Transport::Udp, Endpoint { ip, port: 0x1240 }), Some(ID));
        assert_eq!(lore.speaker(Transport::Tcp, Endpoint { ip, port: 0x1236 }), Some(ID));
    }

    #[test]
    fn datagrams_that_answer_each_other() {
        let status = hex("e396 55aa1234");
        let answer = [&hex("e397 55aa1234")[..], &[0; 26]].concat();
        assert_eq!(Talk::udp().client(&status).server(&answer).named(&UDP), Some(ID));
        assert_eq!(Talk::udp().client(&status).client(&status).last().named(&UDP), None);
        assert_eq!(Talk::udp().client(hex("c593")).last().named(&UDP), None);
    }
}
