//! WhatsApp's own transport over TCP: the `WA` prologue, before it the `ED` edge routing, then frames.

use super::bytes::array;
use super::{Classifier, Inside, Opinion, Over};
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

fn classify(view: &FlowView) -> Opinion {
    let stream = view.first(Way::ToServer);
    match stream.get(..2) {
        Some(b"WA" | b"ED") if !view.midstream => {}
        None if !view.last => return Opinion::NeedMore,
        _ => return Opinion::No,
    }
    if stream.len() < 14 && !view.last {
        return Opinion::NeedMore;
    }
    match after_prologue(stream).is_some_and(frames) {
        true => Opinion::payload("whatsapp", "WhatsApp prologue"),
        false => Opinion::No,
    }
}

/// What follows `[ED 0 1 len24 routing] WA version version`.
fn after_prologue(stream: &[u8]) -> Option<&[u8]> {
    let prologue = match stream.strip_prefix(b"ED\x00\x01") {
        Some(routing) => routing.get(3 + len24(routing)?..)?,
        None => stream,
    };
    let version: [u8; 2] = array(prologue.strip_prefix(b"WA")?, 0)?;
    version.iter().all(|part| *part < 32).then(|| prologue.get(4..)).flatten()
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
        assert_eq!(Talk::tcp().client(&new).named(&CLASSIFIER), Some("whatsapp"));
        assert_eq!(Talk::tcp().midstream().client(&new).named(&CLASSIFIER), None);
    }

    #[test]
    fn words_that_begin_alike_are_not_whatsapp() {
        for text in ["WARNING: this is text\r\n", "WA", "EDIT something here\r\n", "WAIT 1 2 3 4 5 6 7 8"] {
            assert_eq!(Talk::tcp().client(text).last().named(&CLASSIFIER), None, "{text}");
        }
    }
}
