//! Thunder (Xunlei).

use super::{Classifier, Inside, Opinion, Over, TRIES, not_yet};
use crate::bytes::{contains, le32, lines, number};
use crate::view::{FlowView, Transport, Way};

const ID: &str = "thunder";

/// Its own protocol over either transport.
pub(crate) const THUNDER: Classifier = Classifier {
    name: "thunder",
    applications: &[ID],
    looks_for: "messages of both sides with the same version, their sequence, and exactly the length that they say",
    over: Over::Both,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

/// The same in the body of HTTP requests.
pub(crate) const HTTP: Classifier = Classifier {
    name: "thunder-http",
    applications: &[ID],
    looks_for: "a POST of octets to / whose body is one of its messages",
    over: Over::Tcp,
    inside: Inside::HTTP,
    classify: classify_http,
    follow: None,
};

/// Versions seen of the protocol.
const VERSIONS: std::ops::RangeInclusive<u32> = 0x29..=0x46;

fn classify(view: &FlowView) -> Opinion {
    if headers(view, Way::ToServer).next().is_none() {
        return if view.transport == Transport::Udp { not_yet(view) } else { Opinion::No };
    }
    // The answer repeats version and sequence of what was asked.
    if headers(view, Way::ToClient).any(|answer| headers(view, Way::ToServer).any(|asked| asked == answer)) {
        return Opinion::payload(ID, "Thunder messages that answer each other");
    }
    let answered = view.count(Way::ToClient) >= if view.transport == Transport::Udp { TRIES } else { 1 };
    if answered || view.heard >= 6 || view.last { Opinion::No } else { Opinion::NeedMore }
}

fn classify_http(view: &FlowView) -> Opinion {
    let bytes = view.first(Way::ToServer);
    if !bytes.starts_with(b"POST / HTTP/1.") {
        return Opinion::No;
    }
    let Some(end) = memchr::memmem::find(bytes.get(..2048).unwrap_or(bytes), b"\r\n\r\n") else {
        return if bytes.len() < 2048 && view.heard < 6 { Opinion::NeedMore } else { Opinion::No };
    };
    let (head, body) = bytes.split_at_checked(end + 4).unwrap_or_default();
    if !contains(head, b"\r\nContent-Type: application/octet-stream\r\n", 2048) {
        return Opinion::No;
    }
    let (Some(version), Some(length)) = (le32(body, 0), le32(body, 8)) else {
        return if view.heard < 6 { Opinion::NeedMore } else { Opinion::No };
    };
    let says = lines(head).find_map(|line| number(line.strip_prefix(b"Content-Length: ")?));
    if VERSIONS.contains(&version) && says == Some(u64::from(length) + 12) {
        return Opinion::payload(ID, "Thunder message over HTTP");
    }
    Opinion::No
}

/// Version and sequence of the messages with which one side begins: its first segment, its first few datagrams.
fn headers(view: &FlowView, way: Way) -> impl Iterator<Item = (u32, u32)> {
    let udp = view.transport == Transport::Udp;
    let pieces = view.pieces.iter().filter(move |piece| piece.way == way).take(if udp { TRIES } else { 1 });
    pieces.filter_map(move |piece| {
        let bytes = if udp { view.bytes_of(piece)? } else { view.first(way) };
        header(bytes, piece.len)
    })
}

/// Version and sequence of a message of this many bytes, which is as long as it says.
fn header(bytes: &[u8], len: u32) -> Option<(u32, u32)> {
    let version = le32(bytes, 0).filter(|version| VERSIONS.contains(version))?;
    let length = le32(bytes, 8)?;
    (length > 0 && length.checked_add(12) == Some(len)).then_some((version, le32(bytes, 4)?))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Talk, hex};
    use super::*;
    use crate::names::AppProto;

    #[test]
    fn messages_in_requests() {
        let post = |length: u32| {
            let head = format!(
                "POST / HTTP/1.1\r\nContent-Type: application/octet-stream\r\nContent-Length: {length}\r\n\r\n"
            );
            let body = hex("41000000 0a000000 04000000 01020304");
            Talk::tcp().inside(AppProto::Http).client([head.as_bytes(), &body].concat()).named(&HTTP)
        };
        assert_eq!((post(16), post(17)), (Some(ID), None));
    }

    #[test]
    fn messages_answer_each_other() {
        let (asked, answered) =
            (hex("39000000 0a000000 04000000 01020304"), hex("39000000 0a000000 05000000 0102030405"));
        assert_eq!(Talk::tcp().client(&asked).ask(&THUNDER), Opinion::NeedMore);
        assert_eq!(Talk::tcp().client(&asked).server(&answered).named(&THUNDER), Some(ID));
        assert_eq!(Talk::udp().client(&asked).server(&answered).named(&THUNDER), Some(ID));
        assert_eq!(Talk::udp().client("junk").client(&asked).server(&answered).named(&THUNDER), Some(ID));
        let mut other = answered;
        other[4] = 0x0b;
        assert_eq!(Talk::tcp().client(&asked).server(&other).ask(&THUNDER), Opinion::No);
        assert_eq!(Talk::udp().client(&asked).server(&other).last().ask(&THUNDER), Opinion::No);
        assert_eq!(Talk::tcp().client(hex("39000000 0a000000 05000000 01020304")).ask(&THUNDER), Opinion::No);
        assert_eq!(Talk::udp().client(hex("39000000 0a000000 05000000 01020304")).last().ask(&THUNDER), Opinion::No);
    }
}
