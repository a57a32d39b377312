//! Xfire: the greeting with which its clients opened, and the packet of named values behind it.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::{byte, le16};
use crate::view::{FlowView, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "xfire",
    applications: &["xfire"],
    looks_for: "the greeting of Xfire's clients",
    over: Over::Tcp,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

const GREETING: &[u8] = b"UA01";
/// Of the first value's name, as much is looked at.
const NAME: usize = 8;
/// The greeting; length, kind, number of values, length of the first one's name; the name.
const SHORTEST: usize = GREETING.len() + 6 + NAME;

fn classify(view: &FlowView) -> Opinion {
    let stream = view.first(Way::ToServer);
    let fits = GREETING.starts_with(&stream[..stream.len().min(GREETING.len())]);
    match stream.get(GREETING.len()..) {
        Some(packet) if fits && is_packet(packet) => Opinion::payload("xfire", "Xfire greeting"),
        _ if fits && stream.len() < SHORTEST && !view.last => Opinion::NeedMore,
        _ => Opinion::No,
    }
}

/// Length with itself, kind, how many values follow, and the first one's name in letters.
fn is_packet(packet: &[u8]) -> bool {
    let name = byte(packet, 5).map(usize::from).and_then(|length| packet.get(6..6 + length.min(NAME)));
    le16(packet, 0).is_some_and(|length| (8..0x1000).contains(&length))
        && le16(packet, 2).is_some_and(|kind| kind < 0x200)
        && byte(packet, 4).is_some_and(|values| (1..=32).contains(&values))
        && name.is_some_and(|name| !name.is_empty() && name.iter().all(u8::is_ascii_alphabetic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::{Talk, hex};

    #[test]
    fn the_greeting_needs_its_packet() {
        let mut client = b"UA01".to_vec();
        assert_eq!(Talk::tcp().client(&client).ask(&CLASSIFIER), Opinion::NeedMore);
        client.extend(hex("1100 0300 01 07"));
        client.extend(b"version");
        client.extend(hex("02 64000000"));
        assert_eq!(Talk::tcp().client(&client).named(&CLASSIFIER), Some("xfire"));
        for other in ["UA01 is a word here", "UA0", "UA02\x11\0\x03\0\x01\x07version"] {
            assert_eq!(Talk::tcp().client(other).last().named(&CLASSIFIER), None, "{other}");
        }
    }
}
