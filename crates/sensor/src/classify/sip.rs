//! SIP (RFC 3261) with SIMPLE, over TCP and UDP, and the media that its session descriptions announce.

use wire::hints::sdp;

use super::{Classifier, Inside, Opinion, Over, Said};
use crate::bytes::{byte, contains, lines, quote, starts_ignoring_case};
use crate::lore::Lore;
use crate::view::{Endpoint, FlowView, Transport, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "sip",
    applications: &["sip", "facetime"],
    looks_for: "SIP requests and responses",
    over: Over::Both,
    inside: Inside::PLAIN,
    classify,
    follow: Some(follow),
};

/// How far the first line may reach: request URIs can be long.
const LINE: usize = 1024;
/// How far header fields are read.
const HEAD: usize = 2048;
/// How many datagrams of something else may come first (keepalives, padding).
const PATIENCE: usize = 12;
/// Requests of RFC 3261, 3262, 3265, 3311, 3428, 3515, 3903 and 6086.
const METHODS: &[&[u8]] = &[
    b"INVITE",
    b"REGISTER",
    b"OPTIONS",
    b"ACK",
    b"BYE",
    b"CANCEL",
    b"MESSAGE",
    b"SUBSCRIBE",
    b"NOTIFY",
    b"PUBLISH",
    b"PRACK",
    b"UPDATE",
    b"REFER",
    b"INFO",
    b"SERVICE",
    b"BENOTIFY",
];

fn classify(view: &FlowView) -> Opinion {
    if view.transport == Transport::Udp {
        for (_, datagram) in view.all_datagrams() {
            if let Some(seen) = message(datagram) {
                return named(datagram, seen);
            }
        }
        return match view.latest() {
            Some((_, datagram)) if filler(datagram) && view.heard < PATIENCE && !view.last => Opinion::NeedMore,
            _ => Opinion::No,
        };
    }
    let mut waiting = false;
    for way in [Way::ToServer, Way::ToClient] {
        let stream = view.first(way);
        if let Some(seen) = message(stream) {
            return named(stream, seen);
        }
        waiting |= stream.len() < LINE && could_begin(stream.trim_ascii_start());
    }
    if waiting && !view.last { Opinion::NeedMore } else { Opinion::No }
}

fn named(text: &[u8], seen: Seen) -> Opinion {
    if is_viceroy(text) {
        return Opinion::payload("facetime", "SIP of Apple's conferencing engine (Viceroy)");
    }
    Opinion::payload(
        "sip",
        match seen {
            Seen::Request(method) => format!("SIP request {}", quote(method, 16)),
            Seen::Response(code) => format!("SIP response {}", quote(code, 3)),
            Seen::Fields => "SIP header fields".to_owned(),
        },
    )
}

/// Whether the sender calls itself by the name of Apple's conferencing engine.
fn is_viceroy(text: &[u8]) -> bool {
    let head = lines(text.get(..HEAD).unwrap_or(text)).skip(1).take_while(|line| !line.is_empty());
    head.take(64).any(|line| {
        let says = starts_ignoring_case(line, b"user-agent:") || starts_ignoring_case(line, b"server:");
        says && contains(line, b"Viceroy", line.len())
    })
}

enum Seen<'a> {
    Request(&'a [u8]),
    Response(&'a [u8]),
    /// The first line is damaged, but what follows is SIP.
    Fields,
}

/// What may come where a message is awaited: line ends (RFC 5626 keepalives), zeroes, `hello`.
fn filler(datagram: &[u8]) -> bool {
    datagram.len() <= 8
        && (datagram.iter().all(|byte| matches!(byte, 0 | b'\r' | b'\n' | b' ')) || datagram == b"hello")
}

fn could_begin(text: &[u8]) -> bool {
    let first = text.get(..9).unwrap_or(text);
    METHODS.iter().any(|method| method.starts_with(first) || first.starts_with(method))
        || b"SIP/2.0 ".starts_with(first)
}

fn message(text: &[u8]) -> Option<Seen<'_>> {
    // Most of what is not SIP ends here.
    let start = text.iter().take(16).position(|byte| !matches!(byte, 0 | b'\r' | b'\n' | b' '))?;
    let text = text.get(start..)?;
    if !byte(text, 0)?.is_ascii_uppercase() || !byte(text, 1)?.is_ascii_uppercase() {
        return None;
    }
    if starts_ignoring_case(text, b"SIP/2.0 ") {
        let code = text.get(8..11)?;
        return code.iter().all(u8::is_ascii_digit).then_some(Seen::Response(code));
    }
    let end = memchr::memchr2(b'\r', b'\n', text.get(..LINE).unwrap_or(text));
    if let Some(line) = end.and_then(|end| text.get(..end)) {
        let space = memchr::memchr(b' ', line)?;
        let method = line.get(..space)?;
        let whole = line.len() > space + 9 && line.get(line.len() - 7..)?.starts_with(b"SIP/");
        if whole && method.iter().all(u8::is_ascii_uppercase) && method.len() <= 16 {
            return Some(Seen::Request(method));
        }
        return sip_fields(text).then_some(Seen::Fields);
    }
    // Cut short by what was captured: a known method with a SIP or telephone URI.
    let method = METHODS.iter().find(|method| text.starts_with(method))?;
    let uri = text.get(method.len()..)?.strip_prefix(b" ")?;
    (text.len() >= LINE && (uri.starts_with(b"sip:") || uri.starts_with(b"sips:") || uri.starts_with(b"tel:")))
        .then_some(Seen::Request(method))
}

/// Whether two or more header fields are those that every SIP message has (RFC 3261 section 8.1.1), long or compact.
fn sip_fields(text: &[u8]) -> bool {
    let mut found = 0;
    for line in lines(text.get(..HEAD).unwrap_or(text)).skip(1).take(32) {
        if line.is_empty() {
            break;
        }
        let via = starts_ignoring_case(line, b"via:") || starts_ignoring_case(line, b"v:");
        found += u32::from(via && contains(line, b"SIP/2.0/", 24));
        found += u32::from(starts_ignoring_case(line, b"cseq:"));
        found += u32::from(starts_ignoring_case(line, b"max-forwards:"));
        found += u32::from(
            (starts_ignoring_case(line, b"from:") || starts_ignoring_case(line, b"to:"))
                && contains(line, b"sip:", 128),
        );
    }
    found >= 3
}

/// Reads session descriptions.
fn follow(said: &Said, lore: &mut Lore) {
    let Some(at) = memchr::memmem::find(said.payload, b"\r\n\r\n") else { return };
    let Some(body) = said.payload.get(at + 4..).filter(|body| contains(body, b"v=0", 1024)) else { return };
    let floor = contains(body, b"BFCP", body.len());
    sdp::media(body, |address, media| {
        let endpoint = Endpoint { ip: address.ip(), port: address.port() };
        let application = match media {
            sdp::Media::Audio | sdp::Media::Video => "rtp",
            sdp::Media::Message => "msrp",
            sdp::Media::Image => "t38",
            sdp::Media::Application if floor => "bfcp",
            sdp::Media::Application => return,
        };
        lore.expect(endpoint, application, "SDP");
        if let ("rtp", Some(port)) = (application, endpoint.port.checked_add(1)) {
            lore.expect(Endpoint { port, ..endpoint }, "rtp", "SDP");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::Talk;

    const RING: &str = "SIP/2.0 180 Ringing\r\nv: SIP/2.0/UDP a\r\n\r\n";

    #[test]
    fn requests_and_responses_in_any_shape() {
        for text in [
            "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP a\r\n\r\n",
            "\r\n\r\nMESSAGE sip:bob@example.com SIP/2.0\r\n\r\n",
            "PUBLISH sip:a@[2001:db8::1]:5060;transport=tcp SIP/2.0\nv: SIP/2.0/TCP a\n\n",
            RING,
            "INVIDEKsip:b@c SIP/2.0 x\r\nVia: SIP/2.0/UDP a\r\nFrom: <sip:a@b>\r\nTo: <sip:c@d>\r\nCSeq: 1 INVITE\r\n",
        ] {
            assert_eq!(Talk::udp().client(text).named(&CLASSIFIER), Some("sip"), "{text}");
            assert_eq!(Talk::tcp().client(text).named(&CLASSIFIER), Some("sip"), "{text}");
        }
        let apple = "INVITE user@127.0.0.1:16402 SIP/2.0\r\nUser-Agent: Viceroy 1.4\r\n\r\n";
        assert_eq!(Talk::udp().client(apple).named(&CLASSIFIER), Some("facetime"));
        for other in [
            "INVITE sip:desk@viceroy.test SIP/2.0\r\nSubject: Viceroy Hotel\r\n\r\n",
            "MESSAGE sip:a@b.test SIP/2.0\r\nUser-Agent: x\r\n\r\nUser-Agent: Viceroy 1.4\r\n",
        ] {
            assert_eq!(Talk::udp().client(other).named(&CLASSIFIER), Some("sip"), "{other}");
        }
    }

    #[test]
    fn keepalives_before_are_waited_through() {
        let mut talk = Talk::udp().client("hello").server("hello").client([0; 4]).server("\r\n\r\n");
        assert_eq!(talk.ask(&CLASSIFIER), Opinion::NeedMore);
        talk = talk.server(RING);
        assert_eq!(talk.named(&CLASSIFIER), Some("sip"));
        assert_eq!(Talk::tcp().client("REGIS").ask(&CLASSIFIER), Opinion::NeedMore);
    }

    #[test]
    fn near_misses_are_not_sip() {
        for text in [
            "OPTIONS rtsp://a/b RTSP/1.0\r\nCSeq: 1\r\n\r\n",
            "NOTIFY * HTTP/1.1\r\nHost: 239.255.255.250:1900\r\n\r\n",
            "SIP/2.0 OK then\r\n",
            "INFO nats\r\nFrom: me\r\n",
            "SERVICE x\r\n",
        ] {
            assert_eq!(Talk::udp().client(text).last().named(&CLASSIFIER), None, "{text}");
        }
    }
}
