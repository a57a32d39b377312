//! Zoom's media datagrams and its own use of classic STUN.

use super::rtp::{Rtp, rtcp};
use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::{array, be16, be32, byte};
use crate::view::{FlowView, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "zoom",
    applications: &["zoom"],
    looks_for: "Zoom media sessions: hello, echo, wrapped media, and address probes",
    over: Over::Udp,
    inside: Inside::PLAIN.and(Inside::STUN),
    classify,
    follow: None,
};

/// Ports of its media servers. They count only beside an echo.
const MEDIA: std::ops::RangeInclusive<u16> = 8801..=8810;

fn classify(view: &FlowView) -> Opinion {
    let mut waiting = false;
    let mut hello: Option<(Way, [u8; 16])> = None;
    let mut echo: Option<(Way, [u8; 12])> = None;
    let mut heard: [Option<u32>; 2] = [None; 2];
    let mut again = 0;
    for (way, datagram) in view.all_datagrams() {
        if let Some(source) = media(datagram) {
            let last = &mut heard[way.index()];
            again += u32::from(*last == Some(source));
            *last = Some(source);
            waiting = true;
            // Beside its port, two packets of one source will do.
            if again >= 3 || (again >= 1 && on_media_port(view)) {
                return Opinion::payload("zoom", "RTP in Zoom's wrapping");
            }
            continue;
        }
        match byte(datagram, 0) {
            // Address probe: a binding request whose only attribute is 0x0101 with a fixed value.
            Some(0) if probe(datagram) => return Opinion::payload("zoom", "Zoom address probe"),
            Some(1) if opens(datagram) => return Opinion::payload("zoom", "Zoom media hello"),
            Some(0x1f) if peer(datagram) => return Opinion::payload("zoom", "Zoom hello between peers"),
            Some(1) if byte(datagram, 1) == Some(0) && datagram.len() >= 60 => {
                hello = array(datagram, 3).map(|id| (way, id));
                waiting = true;
            }
            Some(2) if byte(datagram, 1) == Some(0) => {
                let answered = hello.is_some_and(|(asked, id)| asked != way && array(datagram, 3) == Some(id));
                if answered {
                    return Opinion::payload("zoom", "Zoom media hello and answer");
                }
            }
            Some(kind @ (3 | 4)) if datagram.len() >= 13 && be16(datagram, 1) == Some(0) => {
                let body: Option<[u8; 12]> = array(datagram, 1);
                if let (4, Some((asked, sent)), true) = (kind, echo, on_media_port(view))
                    && asked != way
                    && body == Some(sent)
                {
                    return Opinion::payload("zoom", "Zoom media echo");
                }
                if kind == 3 {
                    echo = body.map(|body| (way, body));
                    waiting = true;
                }
            }
            _ => {}
        }
    }
    if waiting && !view.last && view.heard < 10 { Opinion::NeedMore } else { Opinion::No }
}

fn on_media_port(view: &FlowView) -> bool {
    MEDIA.contains(&view.client.port) || MEDIA.contains(&view.server.port)
}

/// A hello: session, eight zeroes, 2, then its number twice.
fn opens(datagram: &[u8]) -> bool {
    datagram.len() >= 60
        && matches!(array(datagram, 1), Some([0, 1..=3]))
        && array(datagram, 19) == Some([0u8; 8])
        && byte(datagram, 27) == Some(2)
        && be32(datagram, 28).is_some_and(|number| number != 0 && be32(datagram, 32) == Some(number))
}

/// A hello between peers: 24 bytes of header, an address and an identifier with their lengths, four zeroes.
fn peer(datagram: &[u8]) -> bool {
    let shaped = || {
        let address = be32(datagram, 24)? as usize;
        let identifier = be32(datagram, 28usize.checked_add(address)?)? as usize;
        Some(address.checked_add(identifier)?.checked_add(36)? == datagram.len() && (7..=45).contains(&address))
    };
    datagram.starts_with(&[0x1f, 2, 1]) && datagram.ends_with(&[0; 4]) && shaped() == Some(true)
}

/// The source of the RTP or RTCP packet in a wrapped one. Through a server: 5, number, zeroes or so, direction (0 or 4);
/// then, as between peers, the kind of media and a header of that kind's length.
fn media(datagram: &[u8]) -> Option<u32> {
    let wrapped = match byte(datagram, 0)? {
        5 if matches!(byte(datagram, 7)?, 0 | 4) => datagram.get(8..)?,
        13..=35 => datagram,
        _ => return None,
    };
    let rtp = |head: usize| Rtp::read(wrapped.get(head..)?, true).map(|rtp| rtp.source);
    let source = match byte(wrapped, 0)? {
        13 => rtp(27)?,
        15 => rtp(19)?,
        16 => rtp(24)?,
        30 => rtp(20)?,
        33..=35 => rtcp(wrapped.get(16..)?)?.0,
        _ => return None,
    };
    (source != 0).then_some(source)
}

/// Digits that count up under attribute 0x0101.
fn probe(datagram: &[u8]) -> bool {
    datagram.len() == 44
        && be32(datagram, 0) == Some(0x0001_0018)
        && be32(datagram, 20) == Some(0x0101_0014)
        && datagram.get(24..43) == Some(b"1234567890123456789")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::{Talk, hex};

    #[test]
    fn hellos_and_echoes_are_answered() {
        let mut hello = hex("010002 7d464d35fffda234495d0d6d3b51e896");
        hello.resize(107, 0);
        let mut reply = hex("020001 7d464d35fffda234495d0d6d3b51e896 005a0e3e");
        reply.resize(35, 0);
        let talk = Talk::udp().client(&hello);
        assert_eq!(talk.ask(&CLASSIFIER), Opinion::NeedMore);
        assert_eq!(talk.server(&reply).named(&CLASSIFIER), Some("zoom"));
        reply[5] ^= 1;
        assert_eq!(Talk::udp().client(&hello).server(&reply).last().named(&CLASSIFIER), None);
        let echo = |kind: &str| hex(&format!("{kind} 00000012 0ffe98d2 00272ec9"));
        let talk = Talk::udp().port(8801).client(echo("03")).server(echo("04"));
        assert_eq!(talk.named(&CLASSIFIER), Some("zoom"));
        assert_eq!(Talk::udp().client(echo("03")).server(echo("04")).last().named(&CLASSIFIER), None);
    }

    #[test]
    fn hellos_alone_and_wrapped_media() {
        let mut hello = hex("010002 7d464d35fffda234495d0d6d3b51e896 0000000000000000 02 007a002a 007a002a");
        hello.resize(107, 0);
        assert_eq!(Talk::udp().client(&hello).named(&CLASSIFIER), Some("zoom"));
        let mut between = [&[0x1f, 2, 1][..], &[9; 21], &9u32.to_be_bytes(), b"192.0.2.1"].concat();
        between.extend(36u32.to_be_bytes());
        between.extend([b'a'; 36]);
        assert_eq!(Talk::udp().client(&between).named(&CLASSIFIER), None);
        between.extend([0; 4]);
        assert_eq!(Talk::udp().client(&between).named(&CLASSIFIER), Some("zoom"));
        let mut sound = hex("05 0001 00000000 00 0f");
        sound.extend([0; 18]);
        sound.extend(hex("8070 0001 00000001 00a1b2c3 00112233"));
        let talk = Talk::udp().port(8801).client(&sound);
        assert_eq!(talk.ask(&CLASSIFIER), Opinion::NeedMore);
        assert_eq!(talk.client(&sound).named(&CLASSIFIER), Some("zoom"));
        assert_eq!(Talk::udp().client(&sound).client(&sound).last().named(&CLASSIFIER), None);
    }

    #[test]
    fn probes_have_their_value() {
        let mut probe = hex("0001 0018 c15dae63585d14392e582c260403bf30 0101 0014");
        probe.extend(b"12345678901234567890");
        assert_eq!(Talk::udp().client(&probe).named(&CLASSIFIER), Some("zoom"));
        probe[42] = b'1';
        assert_eq!(Talk::udp().client(&probe).named(&CLASSIFIER), None);
    }
}
