//! AIM and ICQ: OSCAR's frames (FLAP) and messages (SNAC), TOC, direct connections, and ICQ's older datagrams.

use super::{Classifier, Inside, Opinion, Over, beginnings, not_yet};
use crate::bytes::{array, be16, be32, le16, le32};
use crate::view::{FlowView, Transport, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "oscar",
    applications: &["oscar"],
    looks_for: "OSCAR (AIM, ICQ): FLAP sign-on and SNACs, TOC, file transfer, ICQ version 5",
    over: Over::Both,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

/// The highest family of messages (SNAC) that clients use.
const FAMILIES: u16 = 0x25;

fn classify(view: &FlowView) -> Opinion {
    if view.transport == Transport::Udp {
        return icq5(view);
    }
    let mut waiting = false;
    for way in [Way::ToServer, Way::ToClient] {
        let stream = view.first(way);
        match stream.first() {
            Some(0x2a) => match flaps(stream) {
                Some(evidence) => return Opinion::payload("oscar", evidence),
                None => waiting |= stream.len() < 16,
            },
            Some(b'F') if stream.starts_with(b"FLAPON\r\n\r\n") => return Opinion::payload("oscar", "TOC sign-on"),
            Some(b'F') if b"FLAPON\r\n\r\n".starts_with(stream) => waiting = true,
            Some(b'O') if stream.len() >= 6 => {
                return match direct(stream) {
                    true => Opinion::payload("oscar", "AIM direct connection"),
                    false => Opinion::No,
                };
            }
            Some(b'O') | None => waiting = true,
            Some(_) => return Opinion::No,
        }
    }
    if waiting && !view.last { Opinion::NeedMore } else { Opinion::No }
}

/// Frames: `2a channel sequence length`. A sign-on carries version 1; SNACs must come in a row.
fn flaps(stream: &[u8]) -> Option<&'static str> {
    let (mut rest, mut snacs, mut before) = (stream, 0, None);
    for _ in 0..8 {
        let [0x2a, channel @ 1..=5]: [u8; 2] = array(rest, 0)? else { return None };
        let (sequence, length) = (be16(rest, 2)?, usize::from(be16(rest, 4)?));
        let body = rest.get(6..)?;
        if channel == 1 && length >= 4 && be32(body, 0) == Some(1) && before.is_none() {
            return Some("OSCAR sign-on (FLAP)");
        }
        if before.is_some_and(|before: u16| sequence != before.wrapping_add(1)) {
            return None;
        }
        before = Some(sequence);
        if channel == 2 {
            let (family, kind) = (be16(body, 0)?, be16(body, 2)?);
            if length < 10 || !(1..=FAMILIES).contains(&family) || !(1..=0x40).contains(&kind) {
                return None;
            }
            snacs += 1;
        }
        match body.get(length..) {
            Some([]) if snacs >= 1 && length >= 10 => return Some("OSCAR messages (SNAC)"),
            Some(next) if !next.is_empty() => rest = next,
            _ => break,
        }
    }
    (snacs >= 2).then_some("OSCAR messages (SNAC)")
}

/// File transfer (`OFT2`, `OFT3`) and direct talk (`ODC2`): a magic word, the length of the header, its type.
fn direct(stream: &[u8]) -> bool {
    let known = [&b"OFT2"[..], b"OFT3", b"ODC2"].iter().any(|magic| stream.starts_with(magic));
    known && be16(stream, 4).is_some_and(|length| (0x40..=0x400).contains(&length))
}

/// ICQ version 5: version, zero, number, session, a command that is enciphered.
fn icq5(view: &FlowView) -> Opinion {
    if !view.port(4000) {
        return Opinion::No;
    }
    let is_version5 = |datagram: &[u8]| {
        datagram.len() >= 24
            && le16(datagram, 0) == Some(5)
            && le32(datagram, 2) == Some(0)
            && le32(datagram, 6).is_some_and(|number| (10_000..0x8000_0000).contains(&number))
    };
    match beginnings(view).any(is_version5) {
        true => Opinion::payload("oscar", "ICQ version 5"),
        false => not_yet(view),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::{Talk, hex};

    #[test]
    fn frames_that_hold_together() {
        for (bytes, named) in [
            ("2a01 6a3b 0004 00000001", Some("oscar")),
            ("2a02 0010 000a 0001 0017 0000 00000007 2a02 0011 000a 0001 0006 0000 00000008", Some("oscar")),
            ("2a02 0010 000a 0001 0017 0000 00000007 2a02 0019 000a 0001 0006 0000 00000008", None),
            ("2a01 6a3b 0004 00000002", None),
            ("2a2a2a2a2a2a2a2a2a2a2a2a", None),
            ("4f465432 0100 0101 00000000", Some("oscar")),
        ] {
            assert_eq!(Talk::tcp().client(hex(bytes)).last().named(&CLASSIFIER), named, "{bytes}");
        }
        assert_eq!(Talk::tcp().client("FLAPON\r\n\r\n").named(&CLASSIFIER), Some("oscar"));
        assert_eq!(Talk::tcp().client("*1\r\n$4\r\nPING\r\n").last().named(&CLASSIFIER), None);
    }

    #[test]
    fn old_icq_datagrams() {
        let ask = hex("0500 00000000 40e20100 11223344 5566 7788 99aabbcc ddeeff00");
        assert_eq!(Talk::udp().port(4000).client(&ask).named(&CLASSIFIER), Some("oscar"));
        assert_eq!(Talk::udp().port(4000).client("junk").client(&ask).named(&CLASSIFIER), Some("oscar"));
        assert_eq!(Talk::udp().client(&ask).client(&ask).last().named(&CLASSIFIER), None);
    }
}
