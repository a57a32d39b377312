//! The peer protocol over TCP (BEP 3).

use super::super::{Opinion, Said};
use super::{ID, bencode, learn_compact, learn_host};
use crate::bytes::{array, be32, byte};
use crate::lore::Lore;
use crate::view::{FlowView, Way};

/// Begins every connection: the length of the name, then the name.
pub(super) const HANDSHAKE: &[u8] = b"\x13BitTorrent protocol";

/// At most this many peers of one exchange are learnt.
const MOST_PEERS: usize = 50;

pub(super) fn classify(view: &FlowView) -> Opinion {
    let mut open = false;
    for way in [Way::ToServer, Way::ToClient] {
        let bytes = view.first(way);
        if bytes.is_empty() {
            continue;
        }
        let shown = bytes.len().min(HANDSHAKE.len());
        if bytes.get(..shown) != HANDSHAKE.get(..shown) {
            if view.midstream && is_chain(bytes) {
                return Opinion::payload(ID, "BitTorrent peer messages");
            }
            continue;
        }
        if shown == HANDSHAKE.len() {
            return Opinion::payload(ID, "BitTorrent handshake");
        }
        open = true;
    }
    if open || (view.midstream && view.count(Way::ToServer) + view.count(Way::ToClient) < 8) {
        Opinion::NeedMore
    } else {
        Opinion::No
    }
}

/// Whether whole peer messages follow each other, among them one with a block of the usual size: a length,
/// an id, and the content that the id asks for.
fn is_chain(mut bytes: &[u8]) -> bool {
    let (mut messages, mut blocks) = (0, 0);
    while let (Some(length), Some(id)) = (be32(bytes, 0), byte(bytes, 4)) {
        let fits = match (id, length) {
            (0..=3, 1) | (4, 5) | (9, 3) | (14 | 15, 1) | (13 | 17, 5) => true,
            (6 | 8 | 16, 13) => be32(bytes, 13).is_some_and(|size| size == 0x4000 || (size < 0x4000 && size > 0)),
            (7, 10..=0x4009) => be32(bytes, 9).is_some_and(|begin| begin % 0x4000 == 0),
            _ => false,
        };
        if !fits {
            break;
        }
        messages += 1;
        blocks += u32::from(matches!(id, 6..=8 | 16));
        match bytes.get(4 + length as usize..) {
            Some(rest) => bytes = rest,
            None => break,
        }
    }
    messages >= 3 && blocks >= 2
}

/// Learns the hosts of a connection as it begins, and reads peer exchange (BEP 11).
pub(super) fn follow(said: &Said, lore: &mut Lore) {
    if said.payload.starts_with(HANDSHAKE) {
        learn_host(lore, said.client.ip);
        learn_host(lore, said.server.ip);
        return;
    }
    // An extended message (BEP 10): length, 20, the message's number (0 is the handshake), a dictionary.
    let Some([_, _, _, _, 20, number]) = array::<6>(said.payload, 0) else { return };
    if number == 0 {
        return;
    }
    for (key, value) in bencode::dictionary(said.payload.get(6..).unwrap_or_default()) {
        match (key, value.bytes()) {
            (b"added", Some(list)) => learn_compact(lore, list, 6, MOST_PEERS),
            (b"added6", Some(list)) => learn_compact(lore, list, 18, MOST_PEERS),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Talk, hex};
    use super::super::PEER;
    use super::*;

    #[test]
    fn handshakes_of_either_side() {
        let hello = [HANDSHAKE, &[0, 0, 0, 0, 0, 0x10, 0, 5], &[0xaa; 20], b"-TR4050-abcdefghijkl"].concat();
        assert_eq!(Talk::tcp().client(&hello).named(&PEER), Some(ID));
        assert_eq!(Talk::tcp().client(&hello[..25]).named(&PEER), Some(ID));
        assert_eq!(Talk::tcp().client(&hello[..9]).ask(&PEER), Opinion::NeedMore);
        assert_eq!(Talk::tcp().client("x").server(&hello).named(&PEER), Some(ID));
    }

    #[test]
    fn peer_messages_in_the_midst() {
        let request =
            hex("0000000d 06 00000007 00004000 00004000 0000000d 06 00000007 00008000 00004000 0000000504000000aa");
        assert_eq!(Talk::tcp().midstream().client(&request).named(&PEER), Some(ID));
        assert_eq!(Talk::tcp().client(&request).ask(&PEER), Opinion::No);
    }

    #[test]
    fn near_misses() {
        for miss in [
            &b"\x13BitTorrent protocom and more"[..],
            b"BitTorrent protocol",
            b"\x13Bit torrent protocol....",
            b"\0\0\0\x0d\x06",
        ] {
            assert_eq!(Talk::tcp().client(miss).ask(&PEER), Opinion::No, "{}", miss.escape_ascii());
        }
        let zeros = [0u8; 64];
        assert_ne!(Talk::tcp().midstream().client(zeros).named(&PEER), Some(ID));
    }
}
