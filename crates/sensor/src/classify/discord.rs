//! Discord voice: how clients learn their address, and the keepalives of the voice servers.

use super::bytes::{array, be32, le32};
use super::{Classifier, Inside, Opinion, Over};
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
    for (way, datagram) in view.all_datagrams().take(6) {
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
    if waiting && !view.last && view.pieces.len() < 6 { Opinion::NeedMore } else { Opinion::No }
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
    fn discovery_old_and_new() {
        assert_eq!(Talk::udp().client(padded(hex("00010046 0000ace3"), 74)).named(&CLASSIFIER), Some("discord"));
        let old = Talk::udp().client(padded(hex("0000ace3"), 70));
        assert_eq!(old.ask(&CLASSIFIER), Opinion::NeedMore);
        let reply = padded([&hex("0000ace3")[..], b"198.51.100.7"].concat(), 70);
        assert_eq!(old.server(reply).named(&CLASSIFIER), Some("discord"));
        let mut odd = padded(hex("00010046 0000ace3"), 72);
        odd.extend([0x6f, 0x74]);
        assert_eq!(Talk::udp().client(odd).named(&CLASSIFIER), Some("discord"), "the port of a request is anything");
        assert_eq!(Talk::udp().client(hex("1337cafe0a000000")).named(&CLASSIFIER), Some("discord"));
        for other in [padded(hex("00010046 00000001 01"), 74), padded(hex("00010046"), 73), hex("1337cafe0affffff")] {
            assert_eq!(Talk::udp().client(other).last().named(&CLASSIFIER), None);
        }
    }
}
