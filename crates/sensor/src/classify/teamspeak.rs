//! TeamSpeak 3 (and its text interface) and TeamSpeak 2.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::{le16, le32};
use crate::view::{FlowView, Transport, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "teamspeak",
    applications: &["teamspeak"],
    looks_for: "TeamSpeak 3 handshakes, TeamSpeak 2 logins, ServerQuery",
    over: Over::Both,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

fn classify(view: &FlowView) -> Opinion {
    if view.transport != Transport::Udp {
        let hello = view.first(Way::ToClient);
        return match hello {
            _ if hello.starts_with(b"TS3\n\rWelcome") || hello.starts_with(b"TS3\r\nWelcome") => {
                Opinion::payload("teamspeak", "TeamSpeak 3 ServerQuery")
            }
            [] if !view.last && view.heard < 3 => Opinion::NeedMore,
            _ if hello.len() < 12 && b"TS3\n\rWelcome".starts_with(hello) && !view.last => Opinion::NeedMore,
            _ => Opinion::No,
        };
    }
    for (_, datagram) in view.all_datagrams().take(2) {
        if datagram.starts_with(b"TS3INIT1") && datagram.len() >= 12 {
            return Opinion::payload("teamspeak", "TeamSpeak 3 handshake (TS3INIT1)");
        }
        if version2(datagram) {
            return Opinion::payload("teamspeak", "TeamSpeak 2 login");
        }
    }
    Opinion::No
}

/// Class 0xbef4 (connection), login (3) or its answer (4), and the checksum of the packet without it.
fn version2(datagram: &[u8]) -> bool {
    if le16(datagram, 0) != Some(0xbef4) || !matches!(le16(datagram, 2), Some(1..=4)) || datagram.len() < 20 {
        return false;
    }
    let (Some(head), Some(rest)) = (datagram.get(..16), datagram.get(20..)) else { return false };
    let mut sum = flate2::Crc::new();
    sum.update(head);
    sum.update(&[0; 4]);
    sum.update(rest);
    le32(datagram, 16) == Some(sum.sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::{Talk, hex};

    #[test]
    fn both_versions() {
        let mut init = b"TS3INIT1".to_vec();
        init.extend(hex("0065 0000 88 06 3b ec e9 00"));
        assert_eq!(Talk::udp().client(init).named(&CLASSIFIER), Some("teamspeak"));
        let mut login = hex("f4be0300 00000000 00000000 01000000 00000000");
        login.resize(180, 7);
        assert_eq!(Talk::udp().client(&login).named(&CLASSIFIER), None, "the checksum is wrong");
        let mut sum = flate2::Crc::new();
        sum.update(&login);
        login[16..20].copy_from_slice(&sum.sum().to_le_bytes());
        assert_eq!(Talk::udp().client(&login).named(&CLASSIFIER), Some("teamspeak"));
        let query = Talk::tcp().server("TS3\n\rWelcome to the TeamSpeak 3 ServerQuery interface");
        assert_eq!(query.named(&CLASSIFIER), Some("teamspeak"));
        assert_eq!(Talk::tcp().server("TS3 is not\r\n").last().named(&CLASSIFIER), None);
    }
}
