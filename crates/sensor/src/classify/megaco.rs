//! Control of media gateways: MGCP (RFC 3435) and Megaco, also H.248 (RFC 3525), in text and in BER.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::{byte, contains, first_line, number, words};
use crate::view::FlowView;

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "media-gateway-control",
    applications: &["mgcp", "megaco"],
    looks_for: "MGCP and Megaco (H.248) messages",
    over: Over::Udp,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

const VERBS: [&[u8]; 9] = [b"AUEP", b"AUCX", b"CRCX", b"DLCX", b"EPCF", b"MDCX", b"NTFY", b"RQNT", b"RSIP"];

fn classify(view: &FlowView) -> Opinion {
    let mut waiting = false;
    for (_, datagram) in view.all_datagrams().take(4) {
        if mgcp(datagram) {
            return Opinion::payload("mgcp", "MGCP command");
        }
        if megaco_text(datagram) {
            return Opinion::payload("megaco", "Megaco message");
        }
        if megaco_binary(datagram) {
            return Opinion::payload("megaco", "Megaco message (binary)");
        }
        // `200 1201 OK` could be an answer of MGCP; a command has to follow.
        waiting |= datagram.get(..4).is_some_and(|start| {
            start[..3].iter().all(u8::is_ascii_digit)
                && start[3] == b' '
                && matches!(start[0], b'1' | b'2' | b'4' | b'5')
        });
    }
    if waiting && !view.last && view.heard < 4 { Opinion::NeedMore } else { Opinion::No }
}

/// `CRCX 1204 aaln/1@gw.example MGCP 1.0`.
fn mgcp(datagram: &[u8]) -> bool {
    let verb = datagram.get(..4).is_some_and(|start| VERBS.contains(&start));
    let line = first_line(datagram).map_or(datagram.get(..256).unwrap_or(datagram), |(line, _)| line);
    let transaction = || words(line).nth(1).is_some_and(|word| number(word).is_some());
    verb && transaction() && contains(line, b" MGCP ", line.len())
}

/// `MEGACO/1 [192.0.2.1]:2944 ...` or short `!/1 <gateway> ...`: version, then who speaks.
fn megaco_text(datagram: &[u8]) -> bool {
    let Some(rest) = datagram.strip_prefix(b"MEGACO/").or_else(|| datagram.strip_prefix(b"!/")) else { return false };
    let mut words = rest.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    let version = words.next().is_some_and(|word| number(word).is_some_and(|version| (1..=4).contains(&version)));
    version
        && words.next().is_some_and(|who| {
            matches!(who.first(), Some(b'[' | b'<')) || who.iter().all(|&byte| byte.is_ascii_graphic()) && who.len() > 3
        })
        && (contains(datagram, b"{", 512) && (contains(datagram, b"T", 256) || contains(datagram, b"P", 256)))
}

/// MegacoMessage ::= SEQUENCE { mess [1] { version [0] INTEGER, mId [1] ... } }, the only BER that starts so.
fn megaco_binary(datagram: &[u8]) -> bool {
    let Some(message) = inside(datagram, 0x30, true) else { return false };
    let Some(message) = inside(message, 0xa1, false) else { return false };
    matches!(message, [0x80, 1, 1..=4, 0xa1, ..])
}

/// The contents of one BER element, of definite or indefinite length; `whole` wants it to end with the bytes.
fn inside(bytes: &[u8], tag: u8, whole: bool) -> Option<&[u8]> {
    if byte(bytes, 0)? != tag {
        return None;
    }
    let (length, head) = match byte(bytes, 1)? {
        0x80 => return bytes.get(2..),
        short @ ..0x80 => (usize::from(short), 2),
        0x81 => (usize::from(byte(bytes, 2)?), 3),
        0x82 => (usize::from(byte(bytes, 2)?) << 8 | usize::from(byte(bytes, 3)?), 4),
        _ => return None,
    };
    let contents = bytes.get(head..)?;
    (if whole { contents.len() == length } else { contents.len() >= length }).then_some(contents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::{Talk, hex};

    #[test]
    fn commands() {
        for (text, named) in [
            ("CRCX 1204 aaln/1@gw.example MGCP 1.0\r\nC: 1\r\n", Some("mgcp")),
            ("RSIP 12 *@gw MGCP 1.0 NCS 1.0\n", Some("mgcp")),
            ("!/1 <iMSS>\nT=555282713{C=-{AV=DS/1/5{AT{}}}}", Some("megaco")),
            ("!/1 [192.0.2.1]:2944 P=5{C=1{AV=A}}", Some("megaco")),
            ("MEGACO/1 [192.0.2.1] Transaction = 9998 { Context = - { } }", Some("megaco")),
            ("CRCX is an airline\r\n", None),
            ("200 1204 OK\r\n", None),
            ("!/bin/sh <x {T", None),
        ] {
            assert_eq!(Talk::udp().client(text).last().named(&CLASSIFIER), named, "{text}");
        }
    }

    #[test]
    fn binary_messages() {
        let message = hex("30 0e a1 0b 80 01 01 a1 06 a0 04 80 02 0102");
        assert_eq!(Talk::udp().client(&message).named(&CLASSIFIER), None, "the lengths do not add up");
        let message = hex("30 0d a1 0b 80 01 01 a1 06 a0 04 80 02 0102");
        assert_eq!(Talk::udp().client(&message).named(&CLASSIFIER), Some("megaco"));
        let snmp = hex("30 0d 02 01 01 04 06 7075626c6963 a0 00");
        assert_eq!(Talk::udp().client(&snmp).named(&CLASSIFIER), None);
    }
}
