//! WhatsApp's own transport over TCP: the `WA` prologue, before it the `ED` edge routing, then frames.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::array;
use crate::view::{FlowView, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "whatsapp",
    applications: &["whatsapp"],
    looks_for: "the prologue of WhatsApp's chat connections",
    over: Over::Tcp,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

/// What stands before the edge routing.
const ROUTING: &[u8] = b"ED\x00\x01";
/// The prologue and as much of the first frame as is looked into.
const SHORTEST: usize = 4 + 3 + 5;
/// A list of fewer than 256 tokens.
const LIST: u8 = 0xf8;
/// The token that opens a stream.
const STREAM: u8 = 0x01;
/// HandshakeMessage.clientHello: field 2, of counted length.
const CLIENT_HELLO: u8 = 0x12;
/// ClientHello.ephemeral: field 1, of counted length.
const EPHEMERAL: u8 = 0x0a;

fn classify(view: &FlowView) -> Opinion {
    let stream = view.first(Way::ToServer);
    match stream.get(..2) {
        Some(b"WA" | b"ED") => {}
        None if !view.last => return Opinion::NeedMore,
        _ => return Opinion::No,
    }
    if stream.len() < routing(stream) + SHORTEST && !view.last {
        return Opinion::NeedMore;
    }
    match after_prologue(stream).is_some_and(|(version, rest)| begins(version, rest) && frames(rest)) {
        true => Opinion::payload("whatsapp", "WhatsApp prologue"),
        false => Opinion::No,
    }
}

/// How long the edge routing before the prologue is.
fn routing(stream: &[u8]) -> usize {
    stream.strip_prefix(ROUTING).map_or(0, |routing| ROUTING.len() + 3 + len24(routing).unwrap_or(0))
}

/// The version, and what follows `[ED 0 1 len24 routing] WA version`.
fn after_prologue(stream: &[u8]) -> Option<([u8; 2], &[u8])> {
    let prologue = stream.get(routing(stream)..)?;
    let version: [u8; 2] = array(prologue.strip_prefix(b"WA")?, 0)?;
    // From 1.0 to 6.3; what is higher may be the white space behind a word.
    matches!(version, [1..=8, 0..=8]).then(|| Some((version, prologue.get(4..)?))).flatten()
}

/// Whether the first frame is what this version begins with: until 1 a list of tokens that opens the stream, then a
/// hello of the Noise handshake in protocol buffers, with a key of 32 bytes in it.
fn begins(version: [u8; 2], bytes: &[u8]) -> bool {
    let (Some(length), Some(frame)) = (len24(bytes), bytes.get(3..)) else { return false };
    match (version, frame) {
        ([1, _], [LIST, count, STREAM, ..]) => (1..=16).contains(count) && length >= 4,
        ([1, _], _) => false,
        (_, [CLIENT_HELLO, low @ 0x80..=0xff, high @ 0..=0x7f, EPHEMERAL, 32 | 33, ..]) => {
            usize::from(low & 0x7f) + (usize::from(*high) << 7) + 3 == length
        }
        (_, [CLIENT_HELLO, short @ 0..=0x7f, EPHEMERAL, 32 | 33, ..]) => usize::from(*short) + 2 == length,
        _ => false,
    }
}

/// Frames of three bytes of length: the first has a plausible one, and one that has come whole is followed by nothing
/// or by another.
fn frames(mut bytes: &[u8]) -> bool {
    for _ in 0..4 {
        let Some(length) = len24(bytes).filter(|length| (4..0x8000).contains(length)) else { return false };
        match bytes.get(3 + length..) {
            Some([]) | None => return true,
            Some(rest) => bytes = rest,
        }
    }
    true
}

/// 24 bits of length. The flag in the top bit of the older protocol (encrypted) is no part of it.
fn len24(bytes: &[u8]) -> Option<usize> {
    let [flag, high, low]: [u8; 3] = array(bytes, 0)?;
    Some(usize::from(flag & 0x0f) << 16 | usize::from(high) << 8 | usize::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::{Talk, hex};

    #[test]
    fn old_and_new_prologues() {
        let mut old = hex("57410105 000006 f80501a59189 000004 f8029c80");
        assert_eq!(Talk::tcp().client(&old).named(&CLASSIFIER), Some("whatsapp"));
        old.extend(hex("ff ff"));
        assert_eq!(Talk::tcp().client(&old).last().named(&CLASSIFIER), None, "what follows is no frame");
        let mut new = hex("45440001 000004 08050802 57410603 000024 12220a20");
        new.extend([7; 32]);
        assert_eq!(Talk::tcp().client(&new[..15]).ask(&CLASSIFIER), Opinion::NeedMore, "the prologue is to come");
        assert_eq!(Talk::tcp().client(&new).named(&CLASSIFIER), Some("whatsapp"));
        assert_eq!(
            Talk::tcp().midstream().client(&new).named(&CLASSIFIER),
            Some("whatsapp"),
            "its SYN was not captured"
        );
    }

    #[test]
    fn words_that_begin_alike_are_not_whatsapp() {
        for text in [
            "WARNING: this is text\r\n",
            "WA",
            "EDIT something here\r\n",
            "WAIT 1 2 3 4 5 6 7 8",
            "WA\r\nPlease send the weather for today\r\n",
            "WA\t\nPlease send the weather for today\r\n",
            "WA\x01\x05Please send the weather for today\r\n",
            "WA\x06\x03\0\0\x24\x12\x23\x0a\x20 a length that does not add up",
        ] {
            assert_eq!(Talk::tcp().client(text).last().named(&CLASSIFIER), None, "{text}");
        }
    }
}
