//! Community ID version 1 (<https://github.com/corelight/community-id-spec>): the same flow has the same id in every
//! tool.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use crate::flow::Flow;

/// Ids of a flow.
pub(super) struct Id {
    /// `1:` and 28 characters.
    pub(super) text: [u8; 30],
    /// 53 bits, so that every JSON reader keeps them; a flow's own, also among those with equal endpoints.
    pub(super) flow_id: u64,
}

pub(super) fn id(flow: &Flow) -> Id {
    let protocol = flow.protocol;
    let (mut low, mut high) = (flow.client, flow.server);
    // ICMP has its type in place of one port and, in place of the other, what answers that type. Where nothing
    // does, it is the code, and each direction is a flow of its own.
    let mut one_way = false;
    if matches!(protocol, 1 | 58) {
        let (kind, code) = flow.icmp;
        let counterpart = counterpart(protocol, kind);
        one_way = counterpart.is_none();
        (low.port, high.port) = (u16::from(kind), u16::from(counterpart.unwrap_or(code)));
    }
    if !one_way && (low.ip, low.port) > (high.ip, high.port) {
        std::mem::swap(&mut low, &mut high);
    }
    let mut bytes = [0; 40];
    let mut length = 2;
    let mut put = |part: &[u8]| {
        if let Some(place) = bytes.get_mut(length..length + part.len()) {
            place.copy_from_slice(part);
        }
        length += part.len();
    };
    for ip in [low.ip, high.ip] {
        match ip {
            IpAddr::V4(ip) => put(&ip.octets()),
            IpAddr::V6(ip) => put(&ip.octets()),
        }
    }
    put(&[protocol, 0]);
    if matches!(protocol, 1 | 6 | 17 | 58 | 132) {
        put(&low.port.to_be_bytes());
        put(&high.port.to_be_bytes());
    }
    let hash = Sha1::digest(bytes.get(..length).unwrap_or(&bytes));
    let mut text = *b"1:AAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    // Twenty bytes are twenty-eight characters.
    let _ = STANDARD.encode_slice(hash, &mut text[2..]);
    let mut word = [0; 8];
    word.copy_from_slice(&hash[..8]);
    let own = u64::from_be_bytes(word) ^ flow.first.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ flow.serial.rotate_left(20);
    Id { text, flow_id: (own >> 11).max(1) }
}

/// Pairs of ICMP types that ask and answer: echo, router discovery, time stamps, information, address masks.
const PAIRS_V4: &[(u8, u8)] = &[(8, 0), (10, 9), (13, 14), (15, 16), (17, 18)];
/// Those of ICMPv6: echo, listener discovery, routers, neighbours, node information, home agents.
const PAIRS_V6: &[(u8, u8)] = &[(128, 129), (130, 131), (133, 134), (135, 136), (139, 140), (144, 145)];

/// The ICMP type that answers this one, or is answered by it.
fn counterpart(protocol: u8, kind: u8) -> Option<u8> {
    let pairs = if protocol == 1 { PAIRS_V4 } else { PAIRS_V6 };
    pairs.iter().find_map(|&(ask, answer)| match kind {
        kind if kind == ask => Some(answer),
        kind if kind == answer => Some(ask),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Key;
    use crate::view::Endpoint;

    /// Test vectors of the specification's reference implementation.
    #[test]
    fn ids_are_those_of_the_specification() {
        for (protocol, client, server, ports, expected) in [
            (6, "128.232.110.120", "66.35.250.204", (34855, 80), "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
            (6, "66.35.250.204", "128.232.110.120", (80, 34855), "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
            (17, "192.168.1.52", "8.8.8.8", (54585, 53), "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
            (132, "192.168.170.8", "192.168.170.56", (7, 7), "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="),
            (1, "192.168.0.89", "192.168.0.1", (8, 0), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
            (1, "192.168.0.1", "192.168.0.89", (0, 0), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
            // Nothing answers type 20, so the code counts.
            (1, "192.168.0.89", "192.168.0.1", (20, 0), "1:3o2RFccXzUgjl7zDpqmY7yJi8rI="),
            (1, "192.168.0.89", "192.168.0.1", (20, 1), "1:tz/fHIDUHs19NkixVVoOZywde+I="),
            (58, "fe80::200:86ff:fe05:80da", "fe80::260:97ff:fe07:69ea", (135, 0), "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="),
            (58, "fe80::260:97ff:fe07:69ea", "fe80::200:86ff:fe05:80da", (136, 0), "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="),
            (58, "fe80::260:97ff:fe07:69ea", "ff02::1", (134, 0), "1:pkvHqCL88/tg1k4cPigmZXUtL00="),
            (
                58,
                "3ffe:507:0:1:200:86ff:fe05:80da",
                "3ffe:507:0:1:260:97ff:fe07:69ea",
                (3, 0),
                "1:/OGBt9BN1ofenrmSPWYicpij2Vc=",
            ),
            (
                58,
                "3ffe:501:0:1802:260:97ff:feb6:7ff0",
                "3ffe:507:0:1:200:86ff:fe05:80da",
                (3, 0),
                "1:bnQKq8A2r//dWnkRW2EYcMhShjc=",
            ),
        ] {
            let icmp = matches!(protocol, 1 | 58);
            let end = |ip: &str, port| Endpoint { ip: ip.parse().unwrap(), port: if icmp { 0 } else { port } };
            let (from, to) = (end(client, ports.0), end(server, ports.1));
            let mut flow = Flow::new(Key::new(from, to, protocol), 1, from, to, 0);
            flow.icmp = (ports.0 as u8, ports.1 as u8);
            assert_eq!(std::str::from_utf8(&id(&flow).text), Ok(expected), "{protocol} {client} {ports:?}");
        }
    }
}
