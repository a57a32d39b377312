//! Viber: the packets of its servers over TCP and the datagrams of its calls.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::{array, be16, byte, le16};
use crate::view::{FlowView, Transport, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "viber",
    applications: &["viber"],
    looks_for: "Viber's server packets and call datagrams",
    over: Over::Both,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

/// Kinds of call datagrams and the one length that each has.
const KINDS: &[(u16, u32)] =
    &[(0x01, 257), (0x03, 12), (0x09, 20), (0x0b, 34), (0x0c, 76), (0x11, 18), (0x19, 34), (0x1a, 20), (0x1b, 34)];

fn classify(view: &FlowView) -> Opinion {
    match view.transport {
        Transport::Udp => call(view),
        _ => server(view),
    }
}

/// Length (little-endian), then the client's session and `fcff`, or the server's `0380` and 10.
fn server(view: &FlowView) -> Opinion {
    let (client, server) = (view.first(Way::ToServer), view.first(Way::ToClient));
    let clients = be16(client, 6) == Some(0xfcff) && matches!(array(client, 8), Some([1..=9, 0x80]));
    let servers = be16(server, 4) == Some(0x0380) && array(server, 6) == Some([0; 4]) && byte(server, 10) == Some(10);
    let mut waiting = client.len() < 12 && server.len() < 12;
    for (fits, stream) in [(clients, client), (servers, server)] {
        match le16(stream, 0).map(usize::from).filter(|length| fits && *length >= 16) {
            Some(length) if length <= stream.len() => return Opinion::payload("viber", "Viber server packet"),
            Some(_) => waiting = true,
            None => {}
        }
    }
    if waiting && !view.last { Opinion::NeedMore } else { Opinion::No }
}

/// A call's number, then kind: each kind has its length, and all of a call its number.
fn call(view: &FlowView) -> Opinion {
    let (mut fit, mut kinds, mut foreign) = (0u32, 0u32, 0u32);
    let mut call = None;
    let mut asked: Option<[u8; 8]> = None;
    for piece in view.pieces {
        let Some(datagram) = view.bytes_of(piece) else { continue };
        let (number, kind) = (be16(datagram, 0), le16(datagram, 2));
        let position = KINDS.iter().position(|&(known, length)| Some(known) == kind && length == piece.len);
        let Some(position) = position.filter(|_| call.is_none() || call == number) else {
            foreign += 1;
            continue;
        };
        call = number;
        fit += 1;
        kinds |= 1 << position;
        // A probe (0x19) is answered (0x1a) with the id that it brought.
        match kind {
            Some(0x19) => asked = array(datagram, 4),
            Some(0x1a) if asked.is_some() && asked == array(datagram, 4) => {
                return Opinion::payload("viber", "Viber call probe and answer");
            }
            _ => {}
        }
        if fit >= 3 && kinds.count_ones() >= 2 && fit > foreign {
            return Opinion::payload("viber", "Viber call datagrams");
        }
    }
    if fit == 0 || foreign > 2 || view.last { Opinion::No } else { Opinion::NeedMore }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::{Talk, hex};

    fn datagram(start: &str, length: usize) -> Vec<u8> {
        let mut bytes = hex(start);
        bytes.resize(length, 0);
        bytes
    }

    #[test]
    fn calls_keep_their_number_and_lengths() {
        let probe = datagram("05b8 1900 3518f5189864e447", 34);
        let talk = Talk::udp().client(&probe).server(datagram("05b8 1a00 3518f5189864e447", 20));
        assert_eq!(talk.named(&CLASSIFIER), Some("viber"));
        let talk = Talk::udp()
            .client(datagram("05b8 0100 0500", 257))
            .client(datagram("05b8 1100", 18))
            .client(datagram("05b8 0900", 20));
        assert_eq!(talk.named(&CLASSIFIER), Some("viber"));
        let other = Talk::udp()
            .client(datagram("05b8 0100 0500", 257))
            .client(datagram("05b9 1100", 18))
            .client(datagram("05ba 0900", 21));
        assert_eq!(other.last().named(&CLASSIFIER), None);
    }

    #[test]
    fn server_packets_hold_their_length() {
        assert_eq!(Talk::tcp().server(datagram("1600 7605 0380 00000000 0a00", 22)).named(&CLASSIFIER), Some("viber"));
        let packet = datagram("6000 add4dc17 fcff 0380 5900", 96);
        assert_eq!(Talk::tcp().client(packet).named(&CLASSIFIER), Some("viber"));
        assert_eq!(Talk::tcp().client(datagram("6000 add4dc17 fcff 0300", 96)).named(&CLASSIFIER), None);
        assert_eq!(Talk::tcp().client(datagram("6100 add4dc17 fcff 0380", 96)).named(&CLASSIFIER), None);
    }
}
