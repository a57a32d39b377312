//! The DHT (BEP 5) and that of Vuze.

use super::super::{Opinion, Said};
use super::bencode::{self, Value};
use super::{ID, learn_compact};
use crate::bytes::{array, be16, be32, byte};
use crate::lore::Lore;
use crate::view::FlowView;

/// After so many datagrams without a word of the protocol, none is waited for.
const PATIENCE: usize = 6;
/// At most this many nodes or peers of one answer are learnt.
const MOST_PEERS: usize = 64;

pub(super) fn classify(view: &FlowView) -> Opinion {
    let Some((_, bytes)) = view.latest() else { return Opinion::NeedMore };
    if is_message(bytes) {
        return Opinion::payload(ID, "BitTorrent DHT");
    }
    if is_vuze_request(bytes) {
        return Opinion::payload(ID, "Vuze DHT");
    }
    if view.heard < PATIENCE { Opinion::NeedMore } else { Opinion::No }
}

/// Whether this is a query, an answer or an error of the DHT.
fn is_message(bytes: &[u8]) -> bool {
    // Keys stand in order, so nearly every message begins with the sender's id of twenty bytes.
    const STARTS: [&[u8]; 2] = [b"d1:ad2:id20:", b"d1:rd2:id20:"];
    if byte(bytes, 0) != Some(b'd') || !byte(bytes, 1).is_some_and(|digit| digit.is_ascii_digit()) {
        return false;
    }
    if STARTS.iter().any(|start| bytes.starts_with(start)) {
        return true;
    }
    let (mut kind, mut id, mut error, mut token) = (None, false, false, false);
    for (key, value) in bencode::dictionary(bytes).take(16) {
        match key {
            b"y" => kind = value.bytes().filter(|kind| kind.len() == 1).and_then(|kind| kind.first().copied()),
            b"a" | b"r" => id = value.get(b"id").and_then(Value::bytes).is_some_and(|id| id.len() == 20),
            b"e" => error = matches!(value.entries().next(), Some(Value::Integer(200..=399))),
            b"t" => token = value.bytes().is_some_and(|token| token.len() <= 20),
            _ => {}
        }
    }
    match kind {
        Some(b'q' | b'r') => id,
        Some(b'e') => error && token,
        _ => false,
    }
}

/// A request of Vuze's DHT: a connection id with its first bit set, an even action from 1024 on, a
/// transaction, versions and the sender's address.
fn is_vuze_request(bytes: &[u8]) -> bool {
    let Some([0, 0, 4, action]) = array::<4>(bytes, 8) else { return false };
    let [Some(first), Some(version), Some(vendor), Some(length)] = [0, 16, 17, 23].map(|at| byte(bytes, at)) else {
        return false;
    };
    let clocked = match length {
        4 => bytes.len() >= 42,
        16 => bytes.len() >= 54,
        _ => false,
    };
    let port = be16(bytes, 24 + usize::from(length));
    first & 0x80 != 0
        && action.is_multiple_of(2)
        && action <= 38
        && (8..=80).contains(&version)
        && vendor <= 1
        && be32(bytes, 18).is_some_and(|network| network <= 5)
        && clocked
        && port.is_some_and(|port| port != 0)
}

/// Learns the nodes and peers that an answer names.
pub(super) fn follow(said: &Said, lore: &mut Lore) {
    if !said.payload.starts_with(b"d") {
        return;
    }
    for (key, value) in bencode::dictionary(said.payload).take(16) {
        if key != b"r" {
            continue;
        }
        // A node is its id and its compact address (BEP 5, BEP 32).
        for (key, size) in [(&b"nodes"[..], 26), (b"nodes6", 38)] {
            let nodes = value.get(key).and_then(Value::bytes).unwrap_or_default();
            for node in nodes.chunks_exact(size).take(MOST_PEERS) {
                learn_compact(lore, node.get(20..).unwrap_or_default(), size - 20, 1);
            }
        }
        if let Some(values) = value.get(b"values") {
            for peer in values.entries().take(MOST_PEERS).filter_map(Value::bytes) {
                if matches!(peer.len(), 6 | 18) {
                    learn_compact(lore, peer, peer.len(), 1);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Talk, hex};
    use super::super::DHT;
    use super::*;
    use crate::view::{Endpoint, Transport, Way};

    #[test]
    fn messages_of_the_specification() {
        for message in [
            &b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"[..],
            b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re",
            b"d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee",
            b"d2:ip6:\x01\x02\x03\x04\x05\x061:rd2:id20:mnopqrstuvwxyz1234561:pi6881ee1:t2:aa1:y1:re",
            b"d1:rd2:id20:0123456789abcdefghij5:nodes208:cut off",
            b"d1:t2:aa1:y1:q1:q4:ping1:ad2:id20:abcdefghij0123456789ee",
        ] {
            assert_eq!(Talk::udp().client(message).named(&DHT), Some(ID), "{}", message.escape_ascii());
            assert_eq!(Talk::udp().client("?").server(message).named(&DHT), Some(ID));
        }
    }

    #[test]
    fn vuze() {
        let request =
            hex("fff0970d2e60d66f 00000400 5507a1b2 32 01 00000000 32 04 c0000201 1ae1 11223344 0000018800000000");
        assert_eq!(Talk::udp().client(&request).named(&DHT), Some(ID));
        let mut reply = request;
        reply[11] = 1;
        assert_eq!(Talk::udp().client(&reply).named(&DHT), None);
    }

    #[test]
    fn near_misses() {
        for miss in [
            &b"d1:ad2:id19:abcdefghij012345678e1:q4:ping1:t2:aa1:y1:qe"[..],
            b"d1:eli7e1:xe1:t2:aa1:y1:ee",
            b"d8:announce3:urle",
            b"data",
            b"d1:y1:qe",
        ] {
            assert_eq!(Talk::udp().client(miss).last().named(&DHT), None, "{}", miss.escape_ascii());
        }
    }

    #[test]
    fn answers_teach_their_nodes_and_peers() {
        let mut lore = Lore::new(8);
        let end = |ip: [u8; 4], port| Endpoint { ip: ip.into(), port };
        let payload = [
            &b"d1:rd2:id20:mnopqrstuvwxyz1234565:nodes26:abcdefghij0123456789\xc0\x00\x02\x05\x1a\xe1"[..],
            b"6:valuesl6:\xc0\x00\x02\x06\x1a\xe1ee1:t2:aa1:y1:re",
        ]
        .concat();
        follow(
            &Said {
                client: end([192, 0, 2, 1], 6881),
                server: end([192, 0, 2, 2], 6881),
                transport: Transport::Udp,
                way: Way::ToClient,
                payload: &payload,
            },
            &mut lore,
        );
        assert_eq!(lore.speaker(Transport::Udp, end([192, 0, 2, 5], 6881)), Some(ID));
        assert_eq!(lore.speaker(Transport::Udp, end([192, 0, 2, 6], 6881)), Some(ID));
    }
}
