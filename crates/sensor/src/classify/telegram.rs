//! Telegram: MTProto over TCP where it does not hide itself, and the relays of its calls.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::{array, be32, byte, le32};
use crate::view::{FlowView, Transport, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "telegram",
    applications: &["telegram"],
    looks_for: "MTProto transports (abridged, intermediate, full) and call relays",
    over: Over::Both,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

/// `req_pq_multi` and `req_pq` (MTProto, creating an authorization key).
const KEY_REQUESTS: [u32; 2] = [0xbe7e_8ef1, 0x6046_9778];

fn classify(view: &FlowView) -> Opinion {
    if view.transport == Transport::Udp {
        return relay(view);
    }
    if view.midstream {
        return Opinion::No;
    }
    let (client, server) = (view.first(Way::ToServer), view.first(Way::ToClient));
    let framing = match client.first() {
        Some(0xef) => Framing::Abridged,
        Some(0xee) if client.starts_with(&[0xee; 4]) => Framing::Intermediate,
        Some(0xdd) if client.starts_with(&[0xdd; 4]) => Framing::Intermediate,
        Some(0xee | 0xdd) if client.len() < 4 && client.windows(2).all(|pair| pair[0] == pair[1]) => {
            return Opinion::NeedMore;
        }
        Some(_) if full(client) => return Opinion::payload("telegram", "MTProto key exchange"),
        None if !view.last => return Opinion::NeedMore,
        _ => return Opinion::No,
    };
    let head = if matches!(framing, Framing::Abridged) { 1 } else { 4 };
    let Some((length, body)) = framing.frame(client.get(head..).unwrap_or_default()) else {
        return if client.len() < 8 && !view.last { Opinion::NeedMore } else { Opinion::No };
    };
    // A message is at least a key id and 16 bytes.
    if !(20..=1 << 24).contains(&length) {
        return Opinion::No;
    }
    if asks_for_keys(body) {
        return Opinion::payload("telegram", "MTProto key exchange");
    }
    // Afterwards all is encrypted: frames must add up, both ways.
    match (framing.adds_up(client.get(head..).unwrap_or_default()), framing.adds_up(server)) {
        (Some(_), Some(frames)) if frames > 0 => Opinion::payload("telegram", framing.evidence()),
        (Some(_), Some(_)) | (None, _) | (_, None) if !view.last && view.heard < 6 => Opinion::NeedMore,
        _ => Opinion::No,
    }
}

/// Whether an unencrypted message asks for a key: key id 0, message id, length, constructor.
pub(super) fn asks_for_keys(message: &[u8]) -> bool {
    array::<8>(message, 0) == Some([0; 8]) && le32(message, 20).is_some_and(|call| KEY_REQUESTS.contains(&call))
}

/// The full transport: length, sequence number 0, message, checksum.
fn full(client: &[u8]) -> bool {
    le32(client, 4) == Some(0)
        && le32(client, 0).is_some_and(|length| (40..512).contains(&length))
        && client.get(8..).is_some_and(asks_for_keys)
}

#[derive(Clone, Copy)]
enum Framing {
    Abridged,
    Intermediate,
}

impl Framing {
    fn evidence(self) -> &'static str {
        match self {
            Framing::Abridged => "MTProto frames (abridged)",
            Framing::Intermediate => "MTProto frames (intermediate)",
        }
    }

    /// The first frame's length and what has come of it.
    fn frame(self, bytes: &[u8]) -> Option<(usize, &[u8])> {
        let (length, head) = match self {
            Framing::Abridged => match byte(bytes, 0)? & 0x7f {
                0x7f => (le32(bytes, 0)? as usize >> 8 << 2, 4),
                words => (usize::from(words) << 2, 1),
            },
            // The top bit asks for a quick acknowledgement.
            Framing::Intermediate => (le32(bytes, 0)? as usize & 0x7fff_ffff, 4),
        };
        let body = bytes.get(head..)?;
        Some((length, body.get(..length).unwrap_or(body)))
    }

    /// How many frames there are, when they end exactly where the bytes do.
    fn adds_up(self, mut bytes: &[u8]) -> Option<usize> {
        let mut frames = 0;
        while !bytes.is_empty() {
            let (length, body) = self.frame(bytes)?;
            if body.len() != length || length < 4 {
                return None;
            }
            let head = match self {
                Framing::Abridged if byte(bytes, 0)? & 0x7f != 0x7f => 1,
                _ => 4,
            };
            bytes = bytes.get(head + length..)?;
            frames += 1;
        }
        Some(frames)
    }
}

/// Call relays: a peer tag of 16 bytes, twelve bytes of ones, then a request or reply below zero.
fn relay(view: &FlowView) -> Opinion {
    let Some((_, datagram)) = view.latest() else { return Opinion::No };
    let ones = datagram.len() >= 32 && be32(datagram, 16) == Some(u32::MAX) && be32(datagram, 20) == Some(u32::MAX);
    if ones
        && be32(datagram, 24) == Some(u32::MAX)
        && be32(datagram, 28).is_some_and(|kind| kind != u32::MAX && kind & 0x00ff_ffff == 0x00ff_ffff)
        && datagram.get(..16).is_some_and(|tag| tag.iter().any(|&byte| byte != tag[0]))
    {
        return Opinion::payload("telegram", "Telegram call relay request");
    }
    if view.heard < 4 && !view.last { Opinion::NeedMore } else { Opinion::No }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::{Talk, hex};

    const ASK: &str = "0000000000000000 0102030405060708 14000000 f18e7ebe 00112233445566778899aabbccddeeff";

    #[test]
    fn the_key_exchange_is_recognised_in_every_framing() {
        for start in ["ef 0a", "eeeeeeee 28000000", "dddddddd 2b000000", "34000000 00000000"] {
            let mut bytes = hex(start);
            bytes.extend(hex(ASK));
            assert_eq!(Talk::tcp().client(bytes).named(&CLASSIFIER), Some("telegram"), "{start}");
        }
    }

    #[test]
    fn encrypted_frames_must_add_up_both_ways() {
        let mut ask = hex("ef 1a");
        ask.extend([0x5a; 104]);
        let mut reply = hex("0b");
        reply.extend([0xa5; 44]);
        let talk = Talk::tcp().client(&ask);
        assert_eq!(talk.ask(&CLASSIFIER), Opinion::NeedMore);
        assert_eq!(talk.server(&reply).named(&CLASSIFIER), Some("telegram"));
        assert_eq!(Talk::tcp().client(&ask).server([0x16, 3, 1, 2]).last().named(&CLASSIFIER), None);
        assert_eq!(Talk::tcp().client("\u{feff}<?xml version='1.0'?><a>").last().named(&CLASSIFIER), None);
    }

    #[test]
    fn relays_are_asked_with_a_peer_tag() {
        let tag = "00112233445566778899aabbccddeeff";
        let ask = hex(&format!("{tag} ffffffff ffffffff ffffffff feffffff 0102030405060708"));
        assert_eq!(Talk::udp().client(ask).named(&CLASSIFIER), Some("telegram"));
        assert_eq!(Talk::udp().client([0xff; 40]).last().named(&CLASSIFIER), None);
    }
}
