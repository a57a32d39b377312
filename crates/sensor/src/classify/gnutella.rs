//! Gnutella and Gnutella2: handshakes, transfers, web caches, and datagrams of both networks.

use super::peers::learn;
use super::{Classifier, Inside, Opinion, Over, Said};
use crate::bytes::{array, be16, byte, contains, first_line, le16, le32, lines};
use crate::lore::Lore;
use crate::view::{Endpoint, FlowView, Transport, Way};

const FIRST: &str = "gnutella";
const SECOND: &str = "gnutella2";

/// A message's header: a GUID, its kind, how far it may go and has gone, the length of what follows.
const HEADER: usize = 23;
/// At most this many hosts of one header line are learnt.
const MOST_HOSTS: usize = 40;

/// Connections between hosts.
pub(crate) const TCP: Classifier = Classifier {
    name: "gnutella-tcp",
    applications: &[FIRST, SECOND],
    looks_for: "a Gnutella handshake, a GIV or PUSH, or in its midst a chain of its messages",
    over: Over::Tcp,
    inside: Inside::PLAIN,
    classify: classify_tcp,
    follow: Some(follow_tcp),
};

/// Datagrams of both networks.
pub(crate) const UDP: Classifier = Classifier {
    name: "gnutella-udp",
    applications: &[FIRST, SECOND],
    looks_for: "a Gnutella message of exactly its length, or the semi-reliable datagrams of either network",
    over: Over::Udp,
    inside: Inside::PLAIN,
    classify: classify_udp,
    follow: Some(follow_udp),
};

/// Transfers and web caches.
pub(crate) const HTTP: Classifier = Classifier {
    name: "gnutella-http",
    applications: &[FIRST, SECOND],
    looks_for: "HTTP with Gnutella's own headers or paths, or a web cache of its hosts",
    over: Over::Tcp,
    inside: Inside::HTTP,
    classify: classify_http,
    follow: None,
};

fn classify_tcp(view: &FlowView) -> Opinion {
    let asked = view.first(Way::ToServer);
    for bytes in [asked, view.first(Way::ToClient)] {
        if bytes.starts_with(b"GNUTELLA CONNECT/0.") || bytes.starts_with(b"GNUTELLA/0.") {
            // Its headers say which network.
            let ended = |end| memchr::memmem::find(bytes, end).is_some();
            if !view.last && bytes.len() < 2048 && !ended(&b"\r\n\r\n"[..]) && !ended(b"\n\n") {
                return Opinion::NeedMore;
            }
            return Opinion::payload(network(bytes), "Gnutella handshake");
        }
        let guided = |rest: &[u8]| rest.iter().take_while(|byte| byte.is_ascii_hexdigit()).count() == 32;
        if let Some(rest) = bytes.strip_prefix(b"PUSH guid:").or(bytes.strip_prefix(b"PUSH "))
            && guided(rest)
        {
            return Opinion::payload(FIRST, "Gnutella push");
        }
        if let Some((line, _)) = bytes.strip_prefix(b"GIV ").and_then(first_line) {
            // GIV <index>:<guid>/<name>
            let colon = line.iter().take(11).position(|&byte| byte == b':');
            let guid = colon.and_then(|colon| line.get(colon + 1..));
            if guid.is_some_and(|guid| guided(guid) && guid.get(32) == Some(&b'/')) {
                return Opinion::payload(FIRST, "Gnutella transfer offer");
            }
        }
    }
    if view.midstream && is_chain(asked) {
        return Opinion::payload(FIRST, "Gnutella messages");
    }
    let waits =
        asked.len() < 48 && [&b"GNUTELLA CONNECT"[..], b"GIV ", b"PUSH "].iter().any(|word| is_begun(asked, word));
    if waits || (view.midstream && view.heard < 6) { Opinion::NeedMore } else { Opinion::No }
}

/// Whether the bytes are the word, as far as they have come.
fn is_begun(bytes: &[u8], word: &[u8]) -> bool {
    let shown = bytes.len().min(word.len());
    bytes.get(..shown) == word.get(..shown)
}

/// Which network a handshake is for: hosts that take only its packets are Gnutella2's.
fn network(handshake: &[u8]) -> &'static str {
    let second = contains(handshake, b"application/x-gnutella2", 2048);
    if second && !contains(handshake, b"application/x-gnutella-packets", 2048) { SECOND } else { FIRST }
}

/// Whether three whole messages follow each other.
fn is_chain(mut bytes: &[u8]) -> bool {
    for _ in 0..3 {
        if !is_header(bytes) {
            return false;
        }
        let length = le32(bytes, 19).unwrap_or(0) as usize;
        match bytes.get(HEADER + length..) {
            Some(rest) => bytes = rest,
            None => return false,
        }
    }
    true
}

/// Whether a message's header makes sense.
fn is_header(bytes: &[u8]) -> bool {
    let (Some([kind, ttl, hops]), Some(length)) = (array::<3>(bytes, 16), le32(bytes, 19)) else { return false };
    matches!(kind, 0x00 | 0x01 | 0x02 | 0x30 | 0x31 | 0x32 | 0x40 | 0x41 | 0x80 | 0x81)
        && ttl.saturating_add(hops) <= 15
        && length <= 65_536
        // A GUID of noughts or of one value is none.
        && bytes.get(..16).is_some_and(|guid| guid.windows(2).any(|pair| pair[0] != pair[1]))
}

fn classify_udp(view: &FlowView) -> Opinion {
    let Some(piece) = view.pieces.last() else { return Opinion::NeedMore };
    let Some(bytes) = view.bytes_of(piece) else { return Opinion::No };
    let len = piece.len as usize;
    if let Some([b'G', network @ (b'N' | b'T'), last @ (b'D' | b'A'), flags]) = array::<4>(bytes, 0) {
        return match (network, last) {
            (b'N', b'D') if is_reliable(bytes, len, flags) => Opinion::payload(SECOND, "Gnutella2 datagram"),
            (b'T', b'A') if is_reliable(bytes, len, flags) => Opinion::payload(FIRST, "Gnutella reliable datagram"),
            _ => Opinion::No,
        };
    }
    if is_table(bytes, len) {
        return Opinion::payload(FIRST, "Gnutella DHT");
    }
    if len < HEADER || !is_header(bytes) || le32(bytes, 19).map(|length| length as usize + HEADER) != Some(len) {
        return if view.heard < 4 && len >= HEADER { Opinion::NeedMore } else { Opinion::No };
    }
    let content = bytes.get(HEADER..).unwrap_or_default();
    let modern = byte(bytes, 8) == Some(0xff);
    // An extension block begins with 0xc3 and ends with its last extension.
    let extended = |at: usize| byte(content, at) == Some(0xc3) && content.len() > at + 2;
    let certain = match byte(bytes, 16) {
        Some(0x00) => extended(0) || (modern && content.is_empty()),
        Some(0x01) => content.len() >= 14 && be16(content, 0) != Some(0) && (content.len() == 14 || extended(14)),
        Some(0x31 | 0x32) => vendor(content) && le16(content, 4).is_some_and(|selector| selector < 64),
        Some(0x80) => modern && content.len() > 4 && content.get(2..).is_some_and(|rest| rest.contains(&0)),
        Some(0x81) => content.len() > 27 && byte(content, 0).is_some_and(|hits| hits > 0),
        Some(0x40) => content.len() >= 26 && modern,
        _ => false,
    };
    match certain {
        true => Opinion::payload(FIRST, "Gnutella message"),
        false if view.heard < 4 => Opinion::NeedMore,
        false => Opinion::No,
    }
}

/// Whether this is a semi-reliable datagram: flags, a sequence, which part of how many; acknowledgements
/// have count 0 and no content.
fn is_reliable(bytes: &[u8], len: usize, flags: u8) -> bool {
    let (Some(part), Some(count)) = (byte(bytes, 6), byte(bytes, 7)) else { return false };
    let parts = if count == 0 { len == 8 && part > 0 } else { (1..=count).contains(&part) && len > 8 };
    flags & 0xe0 == 0 && parts
}

/// Whether this is a message of the DHT of LimeWire and gtk-gnutella: the length that fits, and a vendor.
fn is_table(bytes: &[u8], len: usize) -> bool {
    array::<3>(bytes, 16).is_some_and(|[kind, major, _]| kind == 0x44 && major == 0)
        && le32(bytes, 19).is_some_and(|length| length as usize + HEADER == len)
        && byte(bytes, HEADER).is_some_and(|operation| (1..=10).contains(&operation))
        && bytes.get(HEADER + 1..).is_some_and(vendor)
}

/// Whether a vendor's code of four capitals or digits stands here; nulls are Gnutella's own.
fn vendor(bytes: &[u8]) -> bool {
    array::<4>(bytes, 0).is_some_and(|code| {
        code == [0; 4] || code.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    })
}

fn classify_http(view: &FlowView) -> Opinion {
    let (asked, answered) = (view.first(Way::ToServer), view.first(Way::ToClient));
    let Some((line, headers)) = first_line(asked) else { return Opinion::NeedMore };
    if contains(line, b" /uri-res/N2R?urn:sha1:", 64) || contains(line, b" /gnutella/", 64) {
        return Opinion::payload(FIRST, "Gnutella transfer");
    }
    // Web caches: version 1 asks for a host file, version 2 names the network.
    let client = contains(line, b"client=", 1024);
    let first = contains(line, b"?hostfile=1", 1024)
        || contains(line, b"&hostfile=1", 1024)
        || contains(line, b"net=gnutella", 1024);
    if client && contains(line, b"net=gnutella2", 1024) {
        return Opinion::payload(SECOND, "Gnutella2 web cache");
    }
    if client && first {
        return Opinion::payload(FIRST, "Gnutella web cache");
    }
    const HEADERS: [&[u8]; 5] =
        [b"X-Queue: 0.1", b"X-Gnutella", b"X-Alt: ", b"X-Content-URN: urn:sha1:", b"X-Thex-URI: /uri-res"];
    for headers in [headers, answered] {
        let mut own = lines(headers).take(40).filter(|line| line.starts_with(b"X-"));
        if own.any(|line| HEADERS.iter().any(|header| line.starts_with(header) && is_own(header, line))) {
            return Opinion::payload(FIRST, "Gnutella transfer headers");
        }
    }
    if answered.is_empty() && view.heard < 4 { Opinion::NeedMore } else { Opinion::No }
}

/// Whether a header that other software might use too has the content Gnutella gives it.
fn is_own(header: &[u8], line: &[u8]) -> bool {
    // X-Alt lists addresses and ports.
    header != b"X-Alt: " || line.strip_prefix(header).and_then(host).is_some()
}

/// The address and port that the bytes begin with, in text.
fn host(text: &[u8]) -> Option<Endpoint> {
    let end = text.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'.' | b':')).unwrap_or(text.len());
    let socket: std::net::SocketAddrV4 = std::str::from_utf8(text.get(..end.min(21))?).ok()?.parse().ok()?;
    Some(Endpoint { ip: (*socket.ip()).into(), port: socket.port() })
}

/// Learns the hosts that handshakes name: oneself, and others to try.
fn follow_tcp(said: &Said, lore: &mut Lore) {
    if !said.payload.starts_with(b"GNUTELLA") {
        return;
    }
    let application = network(said.payload);
    for line in lines(said.payload).take(40) {
        let Some(colon) = line.iter().take(24).position(|&byte| byte == b':') else { continue };
        let (name, hosts) = line.split_at(colon);
        let known = [
            &b"X-Try-Ultrapeers"[..],
            b"X-Try",
            b"X-Try-Hubs",
            b"X-Try-DHT-Nodes",
            b"Node",
            b"Listen-IP",
            b"X-My-Address",
        ];
        if !known.iter().any(|known| name.eq_ignore_ascii_case(known)) {
            continue;
        }
        for entry in hosts.get(1..).unwrap_or_default().split(|&byte| byte == b',').take(MOST_HOSTS) {
            if let Some(peer) = host(entry.trim_ascii_start()) {
                learn(lore, Transport::Tcp, peer, application);
            }
        }
    }
}

/// Learns the host that a pong names, and those packed into its extensions.
fn follow_udp(said: &Said, lore: &mut Lore) {
    let payload = said.payload;
    if byte(payload, 16) != Some(0x01) || !is_header(payload) {
        return;
    }
    let content = payload.get(HEADER..).unwrap_or_default();
    let at = |bytes: &[u8]| Some(Endpoint { ip: array::<4>(bytes, 2)?.into(), port: le16(bytes, 0)? });
    if let Some(peer) = at(content) {
        learn(lore, Transport::Udp, peer, FIRST);
    }
    // IPP and DHTIPP: addresses and little-endian ports of other hosts.
    for found in memchr::memmem::find_iter(content, b"IPP").take(2) {
        let rest = content.get(found + 3..).unwrap_or_default();
        // The length: six bits a byte, the first with bit 7 set when more follow.
        let (length, head) = match rest {
            [first, second, ..] if first & 0xc0 == 0x80 => {
                (usize::from(first & 0x3f) << 6 | usize::from(second & 0x3f), 2)
            }
            [first, ..] => (usize::from(first & 0x3f), 1),
            [] => continue,
        };
        let list = rest.get(head..).unwrap_or_default();
        for entry in list.get(..length).unwrap_or(list).chunks_exact(6).take(MOST_HOSTS) {
            let (Some(ip), Some(port)) = (array::<4>(entry, 0), le16(entry, 4)) else { continue };
            learn(lore, Transport::Udp, Endpoint { ip: ip.into(), port }, FIRST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Talk, hex};
    use super::*;
    use crate::names::AppProto;

    #[test]
    fn handshakes() {
        assert_eq!(
            Talk::tcp().client("GNUTELLA CONNECT/0.6\r\nUser-Agent: gtk-gnutella/1.1\r\n").last().named(&TCP),
            Some(FIRST)
        );
        let second = "GNUTELLA CONNECT/0.6\r\nAccept: application/x-gnutella2\r\n\r\n";
        assert_eq!(Talk::tcp().client(second).named(&TCP), Some(SECOND));
        assert_eq!(Talk::tcp().client("GNUTELLA CON").ask(&TCP), Opinion::NeedMore);
        assert_eq!(Talk::tcp().client("GIV 17:0123456789abcdef0123456789ABCDEF/file.ogg\n\n").named(&TCP), Some(FIRST));
        for miss in [
            "GNU",
            "GIVE 12\r\n",
            "PUSH /repo HTTP/1.1\r\n\r\n and so on until the forty-eighth byte",
            "GIV me five minutes, please, and then some\r\n\r\n..",
        ] {
            assert_eq!(Talk::tcp().client(miss).named(&TCP), None, "{miss}");
        }
    }

    #[test]
    fn datagrams() {
        for (datagram, application) in [
            ("0c713102bd93e994ff39b360dcb28b03 00 01 00 05000000 c382514b40", FIRST),
            ("0c713102bd93e994ff39b360dcb28b00 00 01 00 00000000", FIRST),
            ("0c713102bd93e994ff39b360dcb28b00 01 01 00 0e000000 1ae1c0000205 0000000000000000", FIRST),
            ("a7b3310229b72ec630df77c5724a36ce 44 00 00 0a000000 05 47544b47 0000289d0a", FIRST),
            ("474e4410 3e8f 01 01 540b514b525006524e415d2fe2350970", SECOND),
            ("474e4402 3e8f 01 00", SECOND),
            ("47544100 0001 01 01 aa", FIRST),
        ] {
            assert_eq!(Talk::udp().client(hex(datagram)).named(&UDP), Some(application), "{datagram}");
        }
    }

    #[test]
    fn datagrams_of_others() {
        for miss in [
            "0c713102bd93e994ff39b360dcb28b03 00 01 00 06000000 c382514b40",
            "00000000000000000000000000000000 00 00 00 00000000",
            "474e4410 3e8f 02 01 540b",
            "474e5400 0001 01 01 aa",
            "0c713102bd93e99411 39b360dcb28b00 00 ff 00 00000000",
        ] {
            assert_eq!(Talk::udp().client(hex(miss)).last().named(&UDP), None, "{miss}");
        }
    }

    #[test]
    fn transfers_and_caches() {
        let ask = |request: &str| {
            Talk::tcp().inside(AppProto::Http).client(request).server("HTTP/1.1 200 OK\r\n\r\n").named(&HTTP)
        };
        assert_eq!(ask("GET /uri-res/N2R?urn:sha1:PLSTHIPQGSSZTS5FJUPAKUZWUGYQYPFB HTTP/1.1\r\n\r\n"), Some(FIRST));
        assert_eq!(ask("GET /gwc/?get=1&net=gnutella2&client=RAZA2.7 HTTP/1.1\r\n\r\n"), Some(SECOND));
        assert_eq!(ask("GET /gcache.php?client=LIME&version=4.1&hostfile=1 HTTP/1.1\r\n\r\n"), Some(FIRST));
        assert_eq!(ask("GET /get/5/a.ogg HTTP/1.1\r\nX-Gnutella-Content-URN: urn:sha1:P\r\n\r\n"), Some(FIRST));
        assert_eq!(ask("GET /a HTTP/1.1\r\nX-Alt: 192.0.2.7:6346,192.0.2.8:6346\r\n\r\n"), Some(FIRST));
        assert_eq!(ask("GET /a HTTP/1.1\r\nX-Alt: a picture\r\n\r\n"), None);
        assert_eq!(ask("GET /?client=firefox&net=home HTTP/1.1\r\n\r\n"), None);
    }

    #[test]
    fn hosts_to_try_are_learnt() {
        let mut lore = Lore::new(16);
        let (client, server) = (Talk::tcp().client, Talk::tcp().server);
        let payload = b"GNUTELLA/0.6 503 Full\r\nX-Try-Ultrapeers: 192.0.2.5:6346, 192.0.2.6:7777 up\r\n\r\n";
        follow_tcp(&Said { client, server, transport: Transport::Tcp, way: Way::ToClient, payload }, &mut lore);
        for peer in ["192.0.2.5:6346", "192.0.2.6:7777"] {
            assert_eq!(lore.speaker(Transport::Tcp, host(peer.as_bytes()).unwrap()), Some(FIRST));
        }
        let pong = hex(
            "0c713102bd93e994ff39b360dcb28b03 01 01 00 1b000000 1ae1c0000207 0000000000000000 c3 8349505046 c0000208ca18 40",
        );
        follow_udp(&Said { client, server, transport: Transport::Udp, way: Way::ToClient, payload: &pong }, &mut lore);
        assert_eq!(lore.speaker(Transport::Udp, Endpoint { ip: [192, 0, 2, 7].into(), port: 0xe11a }), Some(FIRST));
    }
}
