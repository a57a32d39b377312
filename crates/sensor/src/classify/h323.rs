//! H.323: call signalling (Q.931 in TPKT), media control (H.245) and registration (RAS).

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::{be16, byte, contains};
use crate::view::{FlowView, Transport, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "h323",
    applications: &["h323"],
    looks_for: "H.225 call signalling and RAS, H.245",
    over: Over::Both,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

/// Object identifiers {itu-t recommendation h 2250} and {... h 245} version, as PER writes them.
const H225: &[u8] = &[0x06, 0x00, 0x08, 0x91, 0x4a, 0x00];
const H245: &[u8] = &[0x06, 0x00, 0x08, 0x81, 0x75, 0x00];

fn classify(view: &FlowView) -> Opinion {
    if view.transport == Transport::Udp {
        let ras = view.all_datagrams().take(2).any(|(_, datagram)| contains(datagram, H225, 20));
        return if ras { Opinion::payload("h323", "H.225 registration (RAS)") } else { Opinion::No };
    }
    let mut waiting = false;
    for way in [Way::ToServer, Way::ToClient] {
        let stream = view.first(way);
        match stream.get(..2) {
            Some([3, 0]) => {}
            Some(_) => return Opinion::No,
            None => {
                waiting = true;
                continue;
            }
        }
        let Some(length) = be16(stream, 2).map(usize::from) else {
            waiting = true;
            continue;
        };
        let packet = stream.get(4..length.max(4)).or(stream.get(4..)).unwrap_or_default();
        match packet {
            // Q.931: discriminator 8, two bytes of call reference, a message, then the user-user element.
            [8, 2, _, _, kind, ..] if Q931.contains(kind) => {
                if user_user(packet) {
                    return Opinion::payload("h323", "H.225 call signalling");
                }
                if packet.len() + 4 >= length {
                    return Opinion::No;
                }
                waiting = true;
            }
            _ if contains(packet, H245, 16) => return Opinion::payload("h323", "H.245 media control"),
            _ if packet.len() < 5 => waiting = true,
            _ => return Opinion::No,
        }
    }
    if waiting && !view.last { Opinion::NeedMore } else { Opinion::No }
}

/// Alerting, call proceeding, progress, setup, connect, release complete, facility, notify, status.
const Q931: [u8; 9] = [0x01, 0x02, 0x03, 0x05, 0x07, 0x5a, 0x62, 0x6e, 0x7d];

/// Walks the information elements to user-user (0x7e) with discriminator 5 (X.680), which holds the H.225 message.
fn user_user(packet: &[u8]) -> bool {
    let mut at = 5;
    for _ in 0..32 {
        match byte(packet, at) {
            // One byte.
            Some(0x80..) => at += 1,
            Some(0x7e) => {
                return byte(packet, at + 3) == Some(5) && be16(packet, at + 1).is_some_and(|length| length > 2);
            }
            Some(_) => match byte(packet, at + 1) {
                Some(length) => at += 2 + usize::from(length),
                None => return false,
            },
            None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::{Talk, hex};

    #[test]
    fn signalling_and_registration() {
        let setup = hex("0300 0020 08 02 1234 05 04 03 8090a5 70 02 8131 7e 000c 05 2006 0008914a0004 01");
        assert_eq!(Talk::tcp().client(setup).named(&CLASSIFIER), Some("h323"));
        let control = hex("0300 0014 0270 0106 0008 8175 0007 8009 0000 0000");
        assert_eq!(Talk::tcp().client(control).named(&CLASSIFIER), Some("h323"));
        let ras = hex("0e 8000 0106 0008914a0004 0100 c0a80101 06b7 0000");
        assert_eq!(Talk::udp().client(ras).named(&CLASSIFIER), Some("h323"));
    }

    #[test]
    fn other_users_of_tpkt_are_not_h323() {
        for bytes in
            ["0300 0013 0e e0 0000 0000 00 01000800 03000000", "0300 0016 11 e0 0000 0001 00 c0010a c1020100 c2020102"]
        {
            assert_eq!(Talk::tcp().client(hex(bytes)).last().named(&CLASSIFIER), None, "{bytes}");
        }
        assert_eq!(Talk::tcp().client(hex("0300 000c 08 02 1234 05 04 01 80")).last().named(&CLASSIFIER), None);
    }
}
