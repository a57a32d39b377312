//! Discord voice: how clients learn their address, and the keepalives of the voice servers.

use super::rtp::Rtp;
use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::{array, be32, byte, le32};
use crate::view::{FlowView, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "discord-voice",
    applications: &["discord"],
    looks_for: "Discord's IP discovery and voice keepalives",
    over: Over::Udp,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

fn classify(view: &FlowView) -> Opinion {
    let mut waiting = false;
    let mut old: Option<[u8; 4]> = None;
    let mut sound = 0;
    for (way, datagram) in view.all_datagrams().take(6) {
        sound += u32::from(on_voice_port(view) && opus(datagram));
        match datagram.len() {
            // Type, length 70, synchronisation source, address, port: a request holds no address yet.
            74 if be32(datagram, 0) == Some(0x0001_0046) && zeroes(datagram, 8, 72) => {
                return Opinion::payload("discord", "Discord IP discovery");
            }
            74 if be32(datagram, 0) == Some(0x0002_0046) && address(datagram, 8) => {
                return Opinion::payload("discord", "Discord IP discovery");
            }
            // Before 2019: only the source, then zeroes; the answer has the address.
            70 if way == Way::ToServer && zeroes(datagram, 4, 68) => {
                old = array(datagram, 0);
                waiting = true;
            }
            70 if old.is_some() && array(datagram, 0) == old && address(datagram, 4) => {
                return Opinion::payload("discord", "Discord IP discovery");
            }
            8 if be32(datagram, 0) == Some(0x1337_cafe) && le32(datagram, 4).is_some_and(|count| count < 1 << 24) => {
                return Opinion::payload("discord", "Discord voice keepalive");
            }
            _ => {}
        }
    }
    if sound >= 3 {
        return Opinion::behaviour("discord", "voice like Discord's: port, payload type, low source numbers");
    }
    if (waiting || sound > 0) && !view.last && view.heard < 6 { Opinion::NeedMore } else { Opinion::No }
}

/// The ports of voice servers.
fn on_voice_port(view: &FlowView) -> bool {
    (50000..=50050).contains(&view.server.port)
}

/// RTP as Discord sends sound: payload type 120, a header extension, sources counted up rather than drawn.
fn opus(datagram: &[u8]) -> bool {
    byte(datagram, 0) == Some(0x90)
        && byte(datagram, 1).is_some_and(|kind| kind & 0x7f == 120)
        && Rtp::read(datagram, true).is_some_and(|rtp| (1..0x100_0000).contains(&rtp.source))
}

/// The port at the end of a request is left as memory had it.
fn zeroes(datagram: &[u8], from: usize, to: usize) -> bool {
    datagram.get(from..to).is_some_and(|rest| rest.iter().all(|&byte| byte == 0))
}

/// An address in words, padded with zeroes.
fn address(datagram: &[u8], from: usize) -> bool {
    let text = datagram.get(from..).and_then(|rest| rest.split(|&byte| byte == 0).next()).unwrap_or_default();
    std::str::from_utf8(text).is_ok_and(|text| text.parse::<std::net::IpAddr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::{Talk, hex};

    fn padded(start: Vec<u8>, length: usize) -> Vec<u8> {
        let mut bytes = start;
        bytes.resize(length, 0);
        bytes
    }

    #[test]
    fn discovery_keepalives_and_voice() {
        assert_eq!(Talk::udp().client(padded(hex("00010046 0000ace3"), 74)).named(&CLASSIFIER), Some("discord"));
        let old = Talk::udp().client(padded(hex("0000ace3"), 70));
        assert_eq!(old.ask(&CLASSIFIER), Opinion::NeedMore);
        let reply = padded([&hex("0000ace3")[..], b"198.51.100.7"].concat(), 70);
        assert_eq!(old.server(reply).named(&CLASSIFIER), Some("discord"));
        let voice = hex("90786da4 3af21d23 0000ace3 bede0001 e76c982e 65c2c9eb");
        let talk = Talk::udp().port(50004).client(&voice).client(&voice).client(&voice);
        assert_eq!(talk.named(&CLASSIFIER), Some("discord"));
        assert_eq!(Talk::udp().client(&voice).client(&voice).client(&voice).named(&CLASSIFIER), None);
        let mut odd = padded(hex("00010046 0000ace3"), 72);
        odd.extend([0x6f, 0x74]);
        assert_eq!(Talk::udp().client(odd).named(&CLASSIFIER), Some("discord"), "the port of a request is anything");
        assert_eq!(Talk::udp().client(hex("1337cafe0a000000")).named(&CLASSIFIER), Some("discord"));
        for other in [padded(hex("00010046 00000001 01"), 74), padded(hex("00010046"), 73), hex("1337cafe0affffff")] {
            assert_eq!(Talk::udp().client(other).last().named(&CLASSIFIER), None);
        }
    }
}
