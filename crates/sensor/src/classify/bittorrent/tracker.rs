//! Trackers over UDP (BEP 15) and HTTP (BEP 3, 48), web seeds, and local service discovery (BEP 14).

use super::super::{Opinion, Said};
use super::{ID, is_port, learn_compact, learn_host};
use crate::bytes::{be32, contains, first_line, lines};
use crate::lore::Lore;
use crate::view::{Endpoint, FlowView, Transport, Way};

/// Asks a tracker for a connection: the protocol's number and action 0.
const CONNECT: &[u8] = b"\x00\x00\x04\x17\x27\x10\x19\x80\x00\x00\x00\x00";
/// At most this many peers of one answer are learnt.
const MOST_PEERS: usize = 200;

pub(super) fn classify_udp(view: &FlowView) -> Opinion {
    let first = view.first(Way::ToServer);
    if first.len() == 16 && first.starts_with(CONNECT) {
        return Opinion::payload(ID, "BitTorrent tracker over UDP");
    }
    if first.starts_with(b"BT-SEARCH * HTTP/1.1\r\n") && contains(first, b"nfohash:", 1500) {
        return Opinion::payload(ID, "BitTorrent local service discovery");
    }
    // Under a connection id that is still good, an announcement may come first: it is long, and the answer
    // repeats its action and transaction.
    let asked = match be32(first, 8) {
        Some(action @ 1) if first.len() >= 98 && is_port(first, 96) => action,
        Some(action @ 2) if first.len() >= 36 && (first.len() - 16).is_multiple_of(20) => action,
        _ => return Opinion::No,
    };
    let answer = view.first(Way::ToClient);
    if answer.is_empty() {
        return if view.heard < 6 { Opinion::NeedMore } else { Opinion::No };
    }
    let sized = answer.len() >= 20 && ((answer.len() - 20).is_multiple_of(6) || (answer.len() - 8).is_multiple_of(12));
    if be32(answer, 0) == Some(asked) && be32(answer, 4) == be32(first, 12) && sized {
        return Opinion::payload(ID, "BitTorrent tracker over UDP");
    }
    Opinion::No
}

pub(super) fn classify_http(view: &FlowView) -> Opinion {
    let request = view.first(Way::ToServer);
    // The request line may not be whole yet: what has come of it is enough when the hash is named.
    let line = first_line(request).map_or(request, |(line, _)| line);
    if contains(line, b"info_hash=", 2048) {
        let tracked = [&b"/announce"[..], b"/scrape", b"peer_id="].iter().any(|word| contains(line, word, 4096));
        if tracked {
            return Opinion::payload(ID, "BitTorrent tracker over HTTP");
        }
    }
    if contains(line, b"/webseed?info_hash=", 256) {
        return Opinion::payload(ID, "BitTorrent web seed");
    }
    if upgrades(request) {
        if [WebSocket::of_client(request), WebSocket::of_server(view.first(Way::ToClient))]
            .into_iter()
            .flatten()
            .any(announces)
        {
            return Opinion::payload(ID, "WebTorrent tracker");
        }
        return if view.heard < 8 { Opinion::NeedMore } else { Opinion::No };
    }
    if first_line(request).is_some() { Opinion::No } else { Opinion::NeedMore }
}

/// Whether a request asks to go on as a WebSocket.
fn upgrades(request: &[u8]) -> bool {
    lines(request).take(40).any(|line| line.eq_ignore_ascii_case(b"upgrade: websocket"))
}

/// The beginning of the first message on a WebSocket (RFC 6455 section 5.2).
struct WebSocket<'a> {
    mask: [u8; 4],
    content: &'a [u8],
}

impl<'a> WebSocket<'a> {
    /// Of the client's side: masked.
    fn of_client(stream: &'a [u8]) -> Option<WebSocket<'a>> {
        let (masked, content) = Self::frame(stream)?;
        let (mask, content) = content.split_first_chunk::<4>().filter(|_| masked)?;
        Some(WebSocket { mask: *mask, content })
    }

    /// Of the server's side: in the clear.
    fn of_server(stream: &'a [u8]) -> Option<WebSocket<'a>> {
        let (masked, content) = Self::frame(stream)?;
        (!masked).then_some(WebSocket { mask: [0; 4], content })
    }

    /// What follows the HTTP head and the frame's length, and whether a mask comes first.
    fn frame(stream: &'a [u8]) -> Option<(bool, &'a [u8])> {
        let end = memchr::memmem::find(stream.get(..4096).unwrap_or(stream), b"\r\n\r\n")?;
        let (&[_, length], content) = stream.get(end + 4..)?.split_first_chunk::<2>()?;
        let more = match length & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        Some((length & 0x80 != 0, content.get(more..)?))
    }
}

/// Whether a WebTorrent client or tracker says this: JSON about an info hash. Looks at its first bytes only.
fn announces(message: WebSocket) -> bool {
    let mut plain = [0; 400];
    let length = message.content.len().min(plain.len());
    for ((plain, byte), mask) in plain.iter_mut().zip(message.content).zip(message.mask.iter().cycle()) {
        *plain = byte ^ mask;
    }
    let plain = plain.get(..length).unwrap_or_default();
    plain.starts_with(b"{") && contains(plain, b"\"info_hash\"", 400) && contains(plain, b"\"announce\"", 400)
}

/// Learns the peers of an answer to an announcement, and of local discovery.
pub(super) fn follow_udp(said: &Said, lore: &mut Lore) {
    let payload = said.payload;
    if said.way == Way::ToClient && be32(payload, 0) == Some(1) && (payload.len().wrapping_sub(20)).is_multiple_of(6) {
        let peers = payload.get(20..).unwrap_or_default();
        learn_compact(lore, peers, 6, MOST_PEERS);
    } else if payload.starts_with(b"BT-SEARCH ") {
        let port = lines(payload).take(16).find_map(|line| line.strip_prefix(b"Port: "));
        if let Some(port) = port.and_then(|port| std::str::from_utf8(port).ok()?.trim().parse().ok()) {
            super::super::peers::learn(lore, Transport::Tcp, Endpoint { ip: said.client.ip, port }, ID);
        }
    }
}

/// Learns the compact peers of a tracker's answer over HTTP (BEP 23, BEP 7).
pub(super) fn follow_http(said: &Said, lore: &mut Lore) {
    if said.way != Way::ToClient {
        learn_host(lore, said.client.ip);
        return;
    }
    for (key, size) in [(&b"5:peers"[..], 6), (b"6:peers6", 18)] {
        let Some(at) = memchr::memmem::find(said.payload, key) else { continue };
        let rest = said.payload.get(at + key.len()..).unwrap_or_default();
        let Some(colon) = rest.iter().take(6).position(|&byte| byte == b':') else { continue };
        let length = rest.get(..colon).and_then(crate::bytes::number).unwrap_or(0) as usize;
        let list = rest.get(colon + 1..).unwrap_or_default();
        learn_compact(lore, list.get(..length).unwrap_or(list), size, MOST_PEERS);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Talk, hex};
    use super::super::{HTTP_TRACKER, UDP_TRACKER};
    use super::*;
    use crate::names::AppProto;

    #[test]
    fn udp_trackers() {
        let connect = hex("0000041727101980 00000000 99ce92d6");
        assert_eq!(Talk::udp().client(&connect).named(&UDP_TRACKER), Some(ID));
        assert_eq!(Talk::udp().client([&connect[..], &[0]].concat()).ask(&UDP_TRACKER), Opinion::No);

        let announce = [hex("2b09a4a8c8fc2433 00000001 01020304"), vec![7; 80], hex("1ae1")].concat();
        let answer = hex("00000001 01020304 00000708 00000001 00000002 c00002051ae1");
        assert_eq!(Talk::udp().client(&announce).ask(&UDP_TRACKER), Opinion::NeedMore);
        assert_eq!(Talk::udp().client(&announce).server(&answer).named(&UDP_TRACKER), Some(ID));
        let other = hex("00000001 01020305 00000708 00000001 00000002 c00002051ae1");
        assert_eq!(Talk::udp().client(&announce).server(&other).ask(&UDP_TRACKER), Opinion::No);
    }

    #[test]
    fn local_discovery() {
        let search = b"BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 6881\r\nInfohash: AB\r\n\r\n\r\n";
        assert_eq!(Talk::udp().client(search).named(&UDP_TRACKER), Some(ID));
        assert_eq!(
            Talk::udp().client("M-SEARCH * HTTP/1.1\r\nHost: 239.255.255.250:1900\r\n\r\n").ask(&UDP_TRACKER),
            Opinion::No
        );
    }

    #[test]
    fn webtorrent_trackers() {
        let head = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
        let mask = [0x11, 0x22, 0x33, 0x44];
        let said = |json: &str| {
            let masked = json.bytes().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
            let frame: Vec<u8> = [0x81, 0xfe, 0, 99].into_iter().chain(mask).chain(masked).collect();
            Talk::tcp().inside(AppProto::Http).client([&head[..], &frame].concat()).ask(&HTTP_TRACKER)
        };
        let announce = r#"{"numwant":5,"info_hash":"abcdefghijabcdefghij","peer_id":"-WW0102-","action":"announce"}"#;
        assert!(matches!(said(announce), Opinion::Yes { .. }));
        assert_eq!(said(r#"{"action":"announce","what":"a party"}"#), Opinion::NeedMore);
        let answer = [b"HTTP/1.1 101 Switching\r\n\r\n\x81\x40", announce.as_bytes()].concat();
        assert_eq!(Talk::tcp().inside(AppProto::Http).client(head).server(answer).named(&HTTP_TRACKER), Some(ID));
    }

    #[test]
    fn http_trackers() {
        let ask = |request: &str| Talk::tcp().inside(AppProto::Http).client(request).ask(&HTTP_TRACKER);
        for request in [
            "GET /announce?info_hash=%aa7i%c4&peer_id=-TR2940-zw3pbm2u8mvv&port=51413 HTTP/1.1\r\n\r\n",
            "GET /a1b2c3/announce?peer_id=x&info_hash=%aa HTTP/1.1\r\n",
            "GET /scrape?info_hash=%aa HTTP/1.0\r\n\r\n",
            "GET /?info_hash=%aa&peer_id=-UT3000- HTTP/1.0\r\n\r\n",
        ] {
            assert!(matches!(ask(request), Opinion::Yes { .. }), "{request}");
        }
        for request in ["GET /announce?id=1 HTTP/1.1\r\n\r\n", "GET /torrent?hash=info_hash HTTP/1.1\r\n\r\n"] {
            assert_eq!(ask(request), Opinion::No, "{request}");
        }
    }
}
