//! XMPP (RFC 6120): stream headers and stanzas over TCP, its ways through HTTP (BOSH, WebSocket), and the addresses at
//! which calls and files are announced (Jingle, XEP-0176; bytestreams, XEP-0065).

use std::net::IpAddr;

use super::{Classifier, Inside, Opinion, Over, Said};
use crate::bytes::{contains, first_line, starts_ignoring_case};
use crate::lore::Lore;
use crate::names::AppProto;
use crate::view::{Endpoint, FlowView, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "xmpp",
    applications: &["xmpp", "truphone"],
    looks_for: "XMPP stream headers and stanzas, BOSH and WebSocket sessions",
    over: Over::Tcp,
    inside: Inside::PLAIN.and(Inside::HTTP),
    classify,
    follow: Some(follow),
};

/// The namespace of every stream header (RFC 6120 section 4.8.1), whatever its prefix.
const STREAMS: &[u8] = b"http://etherx.jabber.org/streams";
/// How far a header is read: longer ones carry nothing more to recognise.
const MOST: usize = 2048;

fn classify(view: &FlowView) -> Opinion {
    if view.names.protocol == AppProto::Http {
        return in_http(view);
    }
    let mut waiting = false;
    for way in [Way::ToServer, Way::ToClient] {
        let stream = view.first(way);
        match element(stream) {
            // The host it is for may be in what has not come.
            Element::Stream if !view.last && stream.len() < MOST && !is_whole(stream) => waiting = true,
            Element::Stream if contains(stream, b"im.truphone.com", MOST) => {
                return Opinion::payload("truphone", "XMPP stream to im.truphone.com");
            }
            Element::Stream => return Opinion::payload("xmpp", "XMPP stream header"),
            Element::Stanza(name) => return Opinion::payload("xmpp", format!("XMPP stanza <{name}>")),
            Element::Short => waiting = true,
            Element::Other => return Opinion::No,
        }
    }
    if waiting && !view.last { Opinion::NeedMore } else { Opinion::No }
}

/// Whether a stream header has come to its end.
fn is_whole(stream: &[u8]) -> bool {
    memchr::memmem::find(stream, STREAMS).and_then(|at| stream.get(at..)).is_some_and(|rest| rest.contains(&b'>'))
}

enum Element {
    Stream,
    Stanza(&'static str),
    /// Could become one of these.
    Short,
    Other,
}

/// Elements that may stand at the start of what was captured of a stream, and what must be within the tag.
const STANZAS: &[(&str, &[&[u8]])] = &[
    ("iq", &[b"type='get'", b"type='set'", b"type='result'", b"type='error'"]),
    ("iq", &[b"type=\"get\"", b"type=\"set\"", b"type=\"result\"", b"type=\"error\""]),
    ("message", &[b"type='chat'", b"type='groupchat'", b"type='headline'", b"type='normal'", b"type='error'"]),
    (
        "message",
        &[b"type=\"chat\"", b"type=\"groupchat\"", b"type=\"headline\"", b"type=\"normal\"", b"type=\"error\""],
    ),
    ("message", &[b"<body>", b"<body ", b"jabber:", b"http://jabber.org/protocol/", b"urn:xmpp:"]),
    ("presence", &[b"jabber:", b"http://jabber.org/protocol/", b"<show>", b"<status>", b"<priority>", b"urn:xmpp:"]),
    ("presence", &[b"type='unavailable'", b"type='subscribe", b"type=\"unavailable\"", b"type=\"subscribe"]),
    ("auth", &[b"urn:ietf:params:xml:ns:xmpp-sasl"]),
    ("challenge", &[b"urn:ietf:params:xml:ns:xmpp-sasl"]),
    ("response", &[b"urn:ietf:params:xml:ns:xmpp-sasl"]),
    ("success", &[b"urn:ietf:params:xml:ns:xmpp-sasl"]),
    ("failure", &[b"urn:ietf:params:xml:ns:xmpp-"]),
    ("starttls", &[b"urn:ietf:params:xml:ns:xmpp-tls"]),
    ("proceed", &[b"urn:ietf:params:xml:ns:xmpp-tls"]),
    ("r", &[b"urn:xmpp:sm:"]),
    ("a", &[b"urn:xmpp:sm:"]),
    ("resume", &[b"urn:xmpp:sm:"]),
    ("enable", &[b"urn:xmpp:sm:"]),
];

fn element(stream: &[u8]) -> Element {
    let mut text = stream.strip_prefix("\u{feff}".as_bytes()).unwrap_or(stream).trim_ascii_start();
    let Some(b'<') = text.first() else {
        return if text.is_empty() && stream.len() < 64 { Element::Short } else { Element::Other };
    };
    if starts_ignoring_case(text, b"<?xml") {
        match memchr::memmem::find(text.get(..MOST).unwrap_or(text), b"?>") {
            Some(end) => text = text.get(end + 2..).unwrap_or_default().trim_ascii_start(),
            None if text.len() < MOST => return Element::Short,
            None => return Element::Other,
        }
        if text.is_empty() {
            return Element::Short;
        }
    }
    if text.starts_with(b"</stream:stream>") {
        return Element::Stanza("/stream:stream");
    }
    if text.starts_with(b"<stream:features") || text.starts_with(b"<stream:error") {
        return Element::Stanza("stream:features");
    }
    let Some(tag) = text.strip_prefix(b"<") else { return Element::Short };
    let end = tag.iter().position(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'/' | b'>'));
    let Some(name) = end.and_then(|end| tag.get(..end)) else {
        return if tag.len() < 64 && tag.iter().all(|byte| byte.is_ascii_graphic()) {
            Element::Short
        } else {
            Element::Other
        };
    };
    // The prefix is the peer's choice; only the namespace counts.
    let local = name.rsplit(|&byte| byte == b':').next().unwrap_or(name);
    let head = tag.get(..MOST).unwrap_or(tag);
    if local == b"stream" {
        let whole = memchr::memchr(b'>', head);
        return match memchr::memmem::find(head.get(..whole.unwrap_or(head.len())).unwrap_or(head), STREAMS) {
            Some(_) => Element::Stream,
            None if whole.is_none() && tag.len() < MOST => Element::Short,
            None => Element::Other,
        };
    }
    // A message says to whom, from whom or of what kind it is; other XML has messages too.
    let attributes = tag.split(|&byte| byte == b'>').next().unwrap_or_default();
    let addressed = [&b" to="[..], b" from=", b" type="].iter().any(|name| contains(attributes, name, MOST));
    let mut known = false;
    for (stanza, marks) in STANZAS.iter().filter(|(stanza, _)| stanza.as_bytes() == name) {
        known = true;
        if (addressed || name != b"message") && marks.iter().any(|mark| memchr::memmem::find(head, mark).is_some()) {
            return Element::Stanza(stanza);
        }
    }
    if known && tag.len() < MOST { Element::Short } else { Element::Other }
}

fn in_http(view: &FlowView) -> Opinion {
    let request = view.first(Way::ToServer);
    let seen = request.get(..MOST).unwrap_or(request);
    let undecided = || if request.len() < MOST && !view.last { Opinion::NeedMore } else { Opinion::No };
    let Some(end) = memchr::memmem::find(seen, b"\r\n\r\n") else { return undecided() };
    let body = request.get(end + 4..).unwrap_or_default().trim_ascii_start();
    if offers_websocket(seen) {
        return Opinion::payload("xmpp", "XMPP over WebSocket");
    }
    // XEP-0124: the body is one `<body/>` element, which names its namespace.
    match body.first() {
        Some(b'<') if contains(body, b"http://jabber.org/protocol/httpbind", MOST) => {
            Opinion::payload("xmpp", "XMPP over HTTP (BOSH)")
        }
        Some(b'<') if contains(body, b"urn:ietf:params:xml:ns:xmpp-framing", MOST) => {
            Opinion::payload("xmpp", "XMPP over WebSocket")
        }
        Some(b'<') => undecided(),
        None if request.starts_with(b"POST ") => undecided(),
        _ => Opinion::No,
    }
}

/// Whether a request asks for the `xmpp` subprotocol (RFC 7395 section 3.1).
fn offers_websocket(request: &[u8]) -> bool {
    let mut rest = request.get(..MOST).unwrap_or(request);
    while let Some((line, next)) = first_line(rest) {
        if line.is_empty() {
            return false;
        }
        if starts_ignoring_case(line, b"sec-websocket-protocol:") {
            return line.split(|byte| matches!(byte, b':' | b',')).any(|word| word.trim_ascii() == b"xmpp");
        }
        rest = next;
    }
    false
}

/// Elements that announce an address, how their attribute is called, and what will come there.
const ANNOUNCEMENTS: [(&[u8], &[u8], &str, &str); 2] =
    [(b"<candidate ", b"ip", "rtp", "Jingle"), (b"<streamhost ", b"host", "xmpp", "bytestreams")];

/// Reads the addresses of calls and files.
fn follow(said: &Said, lore: &mut Lore) {
    for (element, address, application, by) in ANNOUNCEMENTS {
        for at in memchr::memmem::find_iter(said.payload, element).take(16) {
            let Some(tag) = said.payload.get(at..).and_then(|rest| rest.split(|&byte| byte == b'>').next()) else {
                continue;
            };
            let ip = attribute(tag, address).and_then(|value| value.parse::<IpAddr>().ok());
            let port = attribute(tag, b"port").and_then(|value| value.parse::<u16>().ok()).filter(|&port| port != 0);
            if let (Some(ip), Some(port)) = (ip, port) {
                lore.expect(Endpoint { ip, port }, application, by);
            }
        }
    }
}

/// The value of an attribute in a tag.
fn attribute<'a>(tag: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let mut rest = tag.get(..512).unwrap_or(tag);
    while let Some(space) = rest.iter().position(u8::is_ascii_whitespace) {
        rest = rest.get(space + 1..)?;
        let Some(value) = rest.strip_prefix(name).and_then(|rest| rest.strip_prefix(b"=")) else { continue };
        let (quote, value) = value.split_first()?;
        return std::str::from_utf8(value.split(|byte| byte == quote).next()?).ok();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::Talk;

    #[test]
    fn headers_and_stanzas_are_told_apart_from_other_xml() {
        for (text, named) in [
            (
                "<?xml version='1.0'?><stream:stream to='a.example' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
                Some("xmpp"),
            ),
            ("\u{feff} <?xml version=\"1.0\"?>\n<s:stream xmlns:s=\"http://etherx.jabber.org/streams\">", Some("xmpp")),
            ("<stream xmlns='http://etherx.jabber.org/streams'>", Some("xmpp")),
            (
                "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='im.truphone.com'>",
                Some("truphone"),
            ),
            ("<iq type='set' id='purple1' to='a.example'>", Some("xmpp")),
            ("<message to=\"b@a.example\"><body>hi</body></message>", Some("xmpp")),
            ("<presence to='room@muc.example/me'><x xmlns='http://jabber.org/protocol/muc'/></presence>", Some("xmpp")),
            ("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", Some("xmpp")),
            ("</stream:stream>", Some("xmpp")),
            ("<stream:stream xmlns:stream='http://example.org/streams'>", None),
            ("<message id='1' class='log'>boot</message>", None),
            ("<iq>9</iq>", None),
            ("<message><body>cold</body></message>", None),
            ("<?xml version='1.0'?><rss version='2.0'>", None),
            ("<html><body>", None),
            ("<auth user='a' pass='b'/>", None),
        ] {
            assert_eq!(Talk::tcp().client(text).last().named(&CLASSIFIER), named, "{text}");
        }
    }

    #[test]
    fn a_split_header_is_waited_for() {
        let talk = Talk::tcp().client("<?xml version='1.0' ?>");
        assert_eq!(talk.ask(&CLASSIFIER), Opinion::NeedMore);
        let talk = talk.client("<stream:stream xmlns:stream='http://etherx.jabber.org/streams'");
        assert_eq!(talk.ask(&CLASSIFIER), Opinion::NeedMore, "for whom is to come");
        let talk = talk.client(" to='a.example'>");
        assert_eq!(talk.named(&CLASSIFIER), Some("xmpp"));
    }

    #[test]
    fn announced_addresses_are_expected() {
        let jingle =
            b"<iq><transport><candidate component='1' ip='192.0.2.9' priority='1' port='34567'/></transport></iq>";
        let found = Talk::tcp().followed(&CLASSIFIER, jingle, "192.0.2.9:34567");
        assert_eq!(found.map(|found| found.application), Some("rtp"));
        let streams = b"<query><streamhost jid='p.example' host=\"2001:db8::7\" port=\"7777\"/></query>";
        let found = Talk::tcp().followed(&CLASSIFIER, streams, "[2001:db8::7]:7777");
        assert_eq!(found.map(|found| found.by), Some("bytestreams"));
        let broken = b"<candidate ip='192.0.2.9' port='70000'/><candidate ip='nowhere' port='1'/><candidate ";
        assert_eq!(Talk::tcp().followed(&CLASSIFIER, broken, "192.0.2.9:4464"), None);
    }

    #[test]
    fn bosh_and_websocket_are_recognised_in_http() {
        for (request, named) in [
            (
                "POST /http-bind HTTP/1.1\r\nHost: a\r\n\r\n<body xmlns='http://jabber.org/protocol/httpbind' rid='1'/>",
                Some("xmpp"),
            ),
            ("GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: soap, xmpp\r\n\r\n", Some("xmpp")),
            ("GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: xmppish\r\n\r\n", None),
            ("GET /xmpp HTTP/1.1\r\nHost: a\r\n\r\n", None),
        ] {
            let talk = Talk::tcp().inside(AppProto::Http).client(request).last();
            assert_eq!(talk.named(&CLASSIFIER), named, "{request}");
        }
    }
}
