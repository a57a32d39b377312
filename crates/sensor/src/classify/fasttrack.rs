//! FastTrack: Kazaa and its relatives.

use super::{Classifier, Inside, Opinion, Over, beginnings, not_yet};
use crate::bytes::{contains, first_line};
use crate::view::{FlowView, Way};

const ID: &str = "fasttrack";

/// Transfers over HTTP.
pub(crate) const HTTP: Classifier = Classifier {
    name: "fasttrack-http",
    applications: &[ID],
    looks_for: "HTTP with Kazaa's headers, or a file asked for by its UUHash",
    over: Over::Tcp,
    inside: Inside::HTTP.and(Inside::PLAIN),
    classify: classify_tcp,
    follow: None,
};

/// Supernodes asking each other over UDP.
pub(crate) const UDP: Classifier = Classifier {
    name: "fasttrack-udp",
    applications: &[ID],
    looks_for: "a supernode's ping or pong with the network's name",
    over: Over::Udp,
    inside: Inside::PLAIN,
    classify: classify_udp,
    follow: None,
};

fn classify_tcp(view: &FlowView) -> Opinion {
    let bytes = view.first(Way::ToServer);
    // The answer to a push: GIVE and a number.
    if let Some(number) = bytes.strip_prefix(b"GIVE ") {
        let digits = number.iter().take_while(|digit| digit.is_ascii_digit()).count();
        let ends = number.get(digits..).is_some_and(|end| end == b"\r\n\r\n" || end == b"\r\n");
        return if (1..=10).contains(&digits) && ends {
            Opinion::payload(ID, "FastTrack push answer")
        } else {
            Opinion::No
        };
    }
    if !bytes.starts_with(b"GET ") && !bytes.starts_with(b"HEAD ") {
        return Opinion::No;
    }
    let Some((line, headers)) = first_line(bytes) else {
        return if bytes.len() < 2048 { Opinion::NeedMore } else { Opinion::No };
    };
    let hash =
        line.strip_prefix(b"GET /.hash=").map(|rest| rest.iter().take_while(|digit| digit.is_ascii_hexdigit()).count());
    if hash.is_some_and(|digits| matches!(digits, 32 | 40)) {
        return Opinion::payload(ID, "file asked for by FastTrack hash");
    }
    for headers in [headers, view.first(Way::ToClient)] {
        if contains(headers, b"X-Kazaa-", 2048) || contains(headers, b"UserAgent: KazaaClient", 2048) {
            return Opinion::payload(ID, "Kazaa headers");
        }
    }
    if view.last || view.count(Way::ToClient) > 0 { Opinion::No } else { Opinion::NeedMore }
}

fn classify_udp(view: &FlowView) -> Opinion {
    let is_ping = |bytes: &[u8]| {
        matches!(bytes, [0x27..=0x29, 0, 0, 0, ..]) && bytes.len() <= 64 && contains(bytes, b"KaZaA\0", 64)
    };
    match beginnings(view).any(is_ping) {
        true => Opinion::payload(ID, "FastTrack supernode ping"),
        false => not_yet(view),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Talk;
    use super::*;
    use crate::names::AppProto;

    #[test]
    fn transfers() {
        let ask = |request: &str| {
            Talk::tcp().inside(AppProto::Http).client(request).server("HTTP/1.1 200 OK\r\n").named(&HTTP)
        };
        assert_eq!(ask("GET /.hash=0123456789abcdef0123456789abcdef01234567 HTTP/1.1\r\n\r\n"), Some(ID));
        assert_eq!(ask("GET /1234/song HTTP/1.1\r\nX-Kazaa-Username: me\r\n\r\n"), Some(ID));
        assert_eq!(ask("GET /.hash=0123 HTTP/1.1\r\n\r\n"), None);
        assert_eq!(Talk::tcp().client("GIVE 1047\r\n\r\n").named(&HTTP), Some(ID));
        assert_eq!(Talk::tcp().client("GIVE me 1047\r\n\r\n").named(&HTTP), None);
    }

    #[test]
    fn pings() {
        assert_eq!(Talk::udp().client(b"\x27\0\0\0\xa9\x80KaZaA\0").named(&UDP), Some(ID));
        assert_eq!(Talk::udp().client("junk").client(b"\x29\0\0\0\xa9\x80KaZaA\0").named(&UDP), Some(ID));
        assert_eq!(Talk::udp().client(b"\x27\0\0\0\xa9\x80KaZaB\0").named(&UDP), None);
    }
}
