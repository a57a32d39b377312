//! Tox: pings and node look-ups of its DHT over UDP, and its relays over TCP.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::{array, byte};
use crate::view::{FlowView, Transport, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "tox",
    applications: &["tox"],
    looks_for: "Tox DHT packets",
    over: Over::Both,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

/// A key, after the kind of packet; then a number used once.
type Key = [u8; 32];
type Nonce = [u8; 24];

fn classify(view: &FlowView) -> Opinion {
    if view.transport != Transport::Udp {
        return relay(view);
    }
    let mut keys: [Option<Key>; 2] = [None; 2];
    let mut nonces: [Option<Nonce>; 2] = [None; 2];
    let mut kinds: [Option<u8>; 2] = [None; 2];
    let mut foreign = 0;
    for piece in view.pieces {
        let Some(datagram) = view.bytes_of(piece) else { continue };
        let way = piece.way.index();
        let Some((kind, key)) = packet(datagram, piece.len) else {
            foreign += 1;
            continue;
        };
        // Each side keeps its key and takes a new number each time; a packet that is sent again tells nothing.
        let nonce = array(datagram, 33);
        if keys[way] == Some(key) && nonces[way] != nonce && foreign == 0 {
            return Opinion::payload("tox", "Tox DHT packets of one key");
        }
        let asked = kinds[piece.way.back().index()];
        if matches!((asked, kind), (Some(0), 1) | (Some(2), 4)) && keys[1 - way].is_some_and(|other| other != key) {
            return Opinion::payload("tox", "Tox DHT request and reply");
        }
        keys[way] = Some(key);
        nonces[way] = nonce;
        kinds[way] = Some(kind);
    }
    if keys == [None; 2] || foreign > 2 || view.last { Opinion::No } else { Opinion::NeedMore }
}

/// Ping (82 bytes), its answer, look-up (113), nodes: kind, key, nonce, sealed box.
fn packet(datagram: &[u8], length: u32) -> Option<(u8, Key)> {
    let kind = byte(datagram, 0)?;
    let fits = match kind {
        0 | 1 => length == 82,
        2 => length == 113,
        // One to four nodes of 39 (IPv4) or 51 bytes, beside 57 + 16 + 1 + 8.
        4 => (1..=4).any(|nodes: u32| (0..=nodes).any(|wide| length == 82 + 39 * nodes + 12 * wide)),
        _ => false,
    };
    let key: Key = array(datagram, 1).filter(|_| fits)?;
    // Keys are random: of 32 bytes, few come twice.
    let mut seen = [false; 256];
    let distinct = key.iter().filter(|&&byte| !std::mem::replace(&mut seen[usize::from(byte)], true)).count();
    (distinct >= 22).then_some((kind, key))
}

/// Relays listen on 33445 and say hello in 128 bytes, answered with 96.
fn relay(view: &FlowView) -> Opinion {
    if view.server.port != 33445 || view.midstream {
        return Opinion::No;
    }
    match view.pieces {
        [ask, reply, ..] => {
            match ask.way == Way::ToServer && ask.len == 128 && reply.way == Way::ToClient && reply.len == 96 {
                true => Opinion::behaviour("tox", "handshake of a Tox relay"),
                false => Opinion::No,
            }
        }
        _ if view.last => Opinion::No,
        _ => Opinion::NeedMore,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::Talk;

    fn datagram(kind: u8, key: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![kind];
        bytes.extend((0..32).map(|at| key.wrapping_mul(31).wrapping_add(at * 7)));
        bytes.resize(length, 0x5a);
        bytes
    }

    #[test]
    fn keys_stay_and_requests_are_answered() {
        let talk = Talk::udp().client(datagram(2, 1, 113));
        assert_eq!(talk.ask(&CLASSIFIER), Opinion::NeedMore);
        assert_eq!(talk.server(datagram(4, 2, 82 + 39 * 2 + 12)).named(&CLASSIFIER), Some("tox"));
        let talk = Talk::udp().client(datagram(0, 1, 82)).client(datagram(0, 1, 82));
        assert_eq!(talk.last().named(&CLASSIFIER), None, "the same packet again");
        let mut second = datagram(0, 1, 82);
        second[40] = 7;
        assert_eq!(Talk::udp().client(datagram(0, 1, 82)).client(second).named(&CLASSIFIER), Some("tox"));
        let other = Talk::udp().client(datagram(0, 1, 82)).client(datagram(0, 2, 82)).client(vec![0; 82]);
        assert_eq!(other.last().named(&CLASSIFIER), None);
        assert_eq!(Talk::udp().client(vec![0; 82]).client(vec![0; 82]).last().named(&CLASSIFIER), None);
    }
}
