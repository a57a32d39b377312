//! Message Stream Encryption (MSE/PE) of the peer protocol.
//!
//! Both sides send a Diffie-Hellman key of 96 bytes and up to 512 random bytes of padding. After that the
//! stream is RC4, or plain when both sides want no more than an obscured beginning. The exchange itself
//! looks like any other random bytes, so without a plain handshake after it only known peers are named.

use super::super::Opinion;
use super::super::peers::host;
use super::ID;
use super::peer::HANDSHAKE;
use crate::view::{FlowView, Transport, Way};

/// The size of a public key.
const KEY: usize = 96;
/// The most padding after the key.
const PADDING: usize = 512;
/// How much of each side is searched for a plain handshake: keys, padding, and what negotiates.
const SEARCHED: usize = 2048;

pub(super) fn classify(view: &FlowView) -> Opinion {
    let [asked, answered] = view.bytes;
    let begins_random = [asked, answered].into_iter().any(is_random);
    if !begins_random {
        // Nothing decided while the first side has sent too little to tell.
        let first = if asked.is_empty() { answered } else { asked };
        return if first.len() < KEY && !is_text(first) { Opinion::NeedMore } else { Opinion::No };
    }
    for bytes in [asked, answered] {
        let searched = bytes.get(..SEARCHED).unwrap_or(bytes);
        if memchr::memmem::find(searched, HANDSHAKE).is_some() {
            return Opinion::payload(ID, "BitTorrent handshake after an encrypted exchange");
        }
    }
    if view.midstream {
        return Opinion::No;
    }
    if is_random(asked) && is_random(answered) && is_exchange(view) && is_known(view) {
        return Opinion::behaviour(ID, "key exchange of BitTorrent encryption with a known peer");
    }
    let enough = asked.len() >= SEARCHED && answered.len() >= SEARCHED;
    if enough || view.pieces.len() > 12 { Opinion::No } else { Opinion::NeedMore }
}

/// Whether the first thing each side says has the size of a key and its padding.
fn is_exchange(view: &FlowView) -> bool {
    let fits = |bytes: u32| (KEY..=KEY + PADDING).contains(&(bytes as usize));
    let mut turns = view.pieces.chunk_by(|one, next| one.way == next.way);
    let size = |turn: &[crate::view::Piece]| turn.iter().map(|piece| piece.len).fold(0, u32::saturating_add);
    let first = turns.next().filter(|turn| turn.first().is_some_and(|piece| piece.way == Way::ToServer));
    let second = turns.next();
    // The answer may already go on with what negotiates, so only its beginning is measured.
    first.is_some_and(|turn| fits(size(turn)))
        && second.and_then(|turn| turn.first()).is_some_and(|piece| fits(piece.len))
}

/// Whether either host is known to speak BitTorrent.
fn is_known(view: &FlowView) -> bool {
    let speaks = |endpoint| view.lore.speaker(Transport::Tcp, endpoint) == Some(ID);
    speaks(view.server) || speaks(host(view.client.ip)) || speaks(host(view.server.ip))
}

/// Whether the first 96 bytes could be a key: spread over all values as random bytes are. A hundred draws
/// of 256 give some 80 different values; text has fewer than fifty, and structures repeat themselves.
fn is_random(bytes: &[u8]) -> bool {
    let Some(key) = bytes.first_chunk::<KEY>() else { return false };
    let mut seen = [0u64; 4];
    for &byte in key {
        seen[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }
    let different: u32 = seen.iter().map(|part| part.count_ones()).sum();
    different >= 64 && seen.iter().all(|part| part.count_ones() >= 8)
}

fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().take(8).all(|byte| matches!(byte, b' '..=b'~' | b'\r' | b'\n' | b'\t'))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::Talk;
    use super::super::ENCRYPTED;
    use super::*;

    /// Bytes that look random: a linear congruential generator.
    fn noise(seed: u32, length: usize) -> Vec<u8> {
        let mut state = seed;
        let step = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..length).map(step).collect()
    }

    #[test]
    fn a_plain_handshake_after_the_exchange() {
        let answer = [&noise(1, 400)[..], HANDSHAKE, &[0; 48]].concat();
        assert_eq!(Talk::tcp().client(noise(2, 198)).server(answer).named(&ENCRYPTED), Some(ID));
    }

    #[test]
    fn the_exchange_alone_names_known_peers_only() {
        let exchange = || Talk::tcp().client(noise(2, 198)).server(noise(3, 424)).client(noise(4, 120));
        assert_eq!(exchange().ask(&ENCRYPTED), Opinion::NeedMore);
        let mut known = exchange();
        known.lore.learn_speaker(Transport::Tcp, host(known.client.ip), ID);
        assert!(matches!(known.ask(&ENCRYPTED), Opinion::Yes { confidence: model::Confidence::Behaviour, .. }));
        let mut long = Talk::tcp().client(noise(2, 700)).server(noise(3, 424));
        long.lore.learn_speaker(Transport::Tcp, host(long.client.ip), ID);
        assert_eq!(long.named(&ENCRYPTED), None);
    }

    #[test]
    fn text_is_not_random() {
        let text = "GET /index.html HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\nUser-Agent: x\r\n".repeat(3);
        assert_eq!(Talk::tcp().client(text).ask(&ENCRYPTED), Opinion::No);
        assert_eq!(Talk::tcp().client([0u8; 200]).ask(&ENCRYPTED), Opinion::No);
    }
}
