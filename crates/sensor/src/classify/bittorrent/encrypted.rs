//! Message Stream Encryption (MSE/PE) of the peer protocol.
//!
//! Both sides send a Diffie-Hellman key of 96 bytes and up to 512 random bytes of padding. After that the
//! stream is RC4, or plain when both sides want no more than an obscured beginning. The exchange itself
//! looks like any other random bytes, so without a plain handshake after it only endpoints that peers have
//! named are, and customary ports. That a host speaks BitTorrent says nothing about what else it obscures.

use super::super::Opinion;
use super::super::peers::host;
use super::ID;
use super::peer::HANDSHAKE;
use crate::view::{FlowView, Transport, Way};

/// The size of a public key.
const KEY: usize = 96;
/// The most padding after the key.
const PADDING: usize = 512;
/// The least that follows the keys: two hashes, and twenty bytes under encryption less their padding.
const NEGOTIATION: usize = 54;
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
    if view.midstream || !is_random(asked) || is_anothers(view) {
        return Opinion::No;
    }
    if is_random(answered) && is_exchange(view) {
        if is_known(view) {
            return Opinion::behaviour(ID, "key exchange of BitTorrent encryption with an endpoint that speaks it");
        }
        if is_customary(view) {
            return Opinion::behaviour(ID, "key exchange of BitTorrent encryption on a customary port");
        }
    }
    if view.last && is_unanswered(view) && is_customary(view) && (is_known(view) || is_host_known(view)) {
        return Opinion::behaviour(
            ID,
            "unanswered key of BitTorrent encryption, from a known peer to a customary port",
        );
    }
    let enough = asked.len() >= SEARCHED && answered.len() >= SEARCHED;
    if enough || view.heard > 12 { Opinion::No } else { Opinion::NeedMore }
}

/// Whether this could be the size of a key and its padding, in bytes.
fn is_key(size: usize) -> bool {
    (KEY..=KEY + PADDING).contains(&size)
}

/// How many bytes each turn has: what one side says until the other does.
fn turns(view: &FlowView) -> impl Iterator<Item = (Way, usize)> {
    view.pieces.chunk_by(|one, next| one.way == next.way).filter_map(|turn| {
        let size = turn.iter().map(|piece| piece.len as usize).fold(0, usize::saturating_add);
        Some((turn.first()?.way, size))
    })
}

/// Whether both sides begin with the size of a key and its padding, and the first goes on with what
/// negotiates: hashes, what it can do, and its own handshake.
fn is_exchange(view: &FlowView) -> bool {
    let mut turns = turns(view);
    let asked = turns.next().is_some_and(|(way, size)| way == Way::ToServer && is_key(size));
    // The answer may already go on with what negotiates.
    let answered = turns.next().is_some_and(|(_, size)| size >= KEY);
    let begins = view.pieces.iter().find(|piece| piece.way == Way::ToClient);
    let goes_on = turns.next().is_none_or(|(_, size)| size >= NEGOTIATION);
    asked && answered && begins.is_some_and(|piece| piece.len as usize <= KEY + PADDING) && goes_on
}

/// Whether the first side sent what could be a key, and nothing came back.
fn is_unanswered(view: &FlowView) -> bool {
    // Not by turns: what is repeated for want of an answer counts once.
    view.count(Way::ToClient) == 0 && is_key(view.first(Way::ToServer).len())
}

/// Whether the server's port is one that clients come with.
fn is_customary(view: &FlowView) -> bool {
    let known = view.catalogue.by_port(Transport::Tcp, view.server.port);
    known.iter().any(|&app| view.catalogue.entry(app).id == ID)
}

/// Whether the server's endpoint has spoken BitTorrent, or a peer has named it.
fn is_known(view: &FlowView) -> bool {
    [Transport::Tcp, Transport::Udp].into_iter().any(|transport| view.lore.speaker(transport, view.server) == Some(ID))
}

/// Whether either host has spoken BitTorrent on whatever port.
fn is_host_known(view: &FlowView) -> bool {
    [view.client.ip, view.server.ip].into_iter().any(|ip| view.lore.speaker(Transport::Tcp, host(ip)) == Some(ID))
}

/// Whether the server's address belongs to another application: some hide behind random bytes, too.
fn is_anothers(view: &FlowView) -> bool {
    view.catalogue.by_address(view.server.ip).iter().any(|&app| view.catalogue.entry(app).id != ID)
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
        let mut busy = exchange();
        busy.lore.learn_speaker(Transport::Tcp, host(busy.client.ip), ID);
        assert_eq!(busy.named(&ENCRYPTED), None, "a peer may obscure other things, too");
        let mut known = exchange();
        known.lore.learn_speaker(Transport::Udp, known.server, ID);
        assert!(matches!(known.ask(&ENCRYPTED), Opinion::Yes { confidence: model::Confidence::Behaviour, .. }));
        known.server.ip = [149, 154, 167, 50].into();
        known.lore.learn_speaker(Transport::Udp, known.server, ID);
        assert_eq!(known.named(&ENCRYPTED), None, "an address of Telegram");

        let mut silent = Talk::tcp().client(noise(2, 198)).port(6881);
        silent.lore.learn_speaker(Transport::Tcp, host(silent.client.ip), ID);
        assert_eq!(silent.ask(&ENCRYPTED), Opinion::NeedMore);
        silent = silent.last();
        assert_eq!(silent.named(&ENCRYPTED), Some(ID));
        assert_eq!(silent.port(9999).named(&ENCRYPTED), None);
        assert_eq!(exchange().port(6881).named(&ENCRYPTED), Some(ID));
        let mut long = Talk::tcp().client(noise(2, 700)).server(noise(3, 424));
        long.lore.learn_speaker(Transport::Tcp, long.server, ID);
        assert_eq!(long.named(&ENCRYPTED), None);
    }

    #[test]
    fn text_is_not_random() {
        let text = "GET /index.html HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\nUser-Agent: x\r\n".repeat(3);
        assert_eq!(Talk::tcp().client(text).ask(&ENCRYPTED), Opinion::No);
        assert_eq!(Talk::tcp().client([0u8; 200]).ask(&ENCRYPTED), Opinion::No);
    }
}
