//! Smaller file-sharing networks that say in plain words what they are: Freenet's clients, OpenFT, WinMX and
//! other OpenNap clients, appleJuice, Aimini.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::{be16, contains, first_line, lines, number, words};
use crate::view::{FlowView, Way};

/// Over TCP.
pub(crate) const TCP: Classifier = Classifier {
    name: "sharing-tcp",
    applications: &["applejuice", "freenet", "openft", "winmx", "aimini"],
    looks_for: "the first words of Freenet's client protocol, appleJuice or an OpenNap transfer, or OpenFT's and Aimini's HTTP",
    over: Over::Tcp,
    inside: Inside::PLAIN.and(Inside::HTTP),
    classify,
    follow: None,
};

/// Aimini over UDP.
pub(crate) const UDP: Classifier = Classifier {
    name: "aimini-udp",
    applications: &["aimini"],
    looks_for: "four datagrams in a row of Aimini's kinds, each of the size of its kind",
    over: Over::Udp,
    inside: Inside::PLAIN,
    classify: aimini,
    follow: None,
};

fn aimini(view: &FlowView) -> Opinion {
    for piece in view.pieces.iter().take(4) {
        let kind = view.bytes_of(piece).and_then(|bytes| be16(bytes, 0));
        let Some(kind) = kind else { return Opinion::No };
        let fits = matches!(
            (kind, piece.len),
            (0x0101, 88)
                | (0x0102, 104)
                | (0x010b, 64)
                | (0x010c, 16)
                | (0x0115, 88 | 101..)
                | (0x0165 | 0x0166 | 0x01c9, 136)
                | (0x01ca, 32)
        );
        if !fits {
            return Opinion::No;
        }
    }
    match view.heard {
        0..=3 => Opinion::NeedMore,
        _ => Opinion::payload("aimini", "Aimini datagrams"),
    }
}

fn classify(view: &FlowView) -> Opinion {
    let (asked, answered) = (view.first(Way::ToServer), view.first(Way::ToClient));
    if asked.starts_with(b"ajprot\r\n") || answered.starts_with(b"ajprot\r\n") {
        return Opinion::payload("applejuice", "appleJuice greeting");
    }
    match asked.first() {
        Some(b'C') => freenet(asked),
        Some(b'G' | b'S' | b'P') => winmx_or_http(view, asked, answered),
        // The one who is connected to speaks first, a single byte.
        None if answered == b"1" => Opinion::NeedMore,
        _ => Opinion::No,
    }
}

/// Freenet's client protocol: ClientHello, a name and a version, each on its line.
fn freenet(asked: &[u8]) -> Opinion {
    const HELLO: &[u8] = b"ClientHello\n";
    if !asked.starts_with(HELLO) {
        return if asked.len() < HELLO.len() && HELLO.starts_with(asked) { Opinion::NeedMore } else { Opinion::No };
    }
    if contains(asked, b"\nExpectedVersion=", 512) {
        return Opinion::payload("freenet", "Freenet client protocol");
    }
    if asked.len() < 512 { Opinion::NeedMore } else { Opinion::No }
}

fn winmx_or_http(view: &FlowView, asked: &[u8], answered: &[u8]) -> Opinion {
    if answered == b"1" {
        // GET or SEND, then in the same breath or the next: a nick, a file in quotes, an offset or size.
        let rest = asked.strip_prefix(b"GET").or(asked.strip_prefix(b"SEND"));
        let quotes = rest.map(|rest| memchr::memchr_iter(b'"', rest.get(..1024).unwrap_or(rest)).take(2).count());
        let mut tail = rest.into_iter().flat_map(|rest| rest.rsplit(|&byte| byte == b'"').take(1)).flat_map(words);
        let nick = rest.and_then(|rest| words(rest).next()).is_some_and(|nick| !nick.starts_with(b"\""));
        return match quotes {
            Some(2) if nick && tail.next().and_then(number).is_some() => Opinion::payload("winmx", "OpenNap transfer"),
            Some(_) if view.heard < 6 => Opinion::NeedMore,
            _ => Opinion::No,
        };
    }
    let Some((_, headers)) = first_line(asked) else {
        return if asked.len() < 8 && view.heard < 3 { Opinion::NeedMore } else { Opinion::No };
    };
    for line in lines(headers).take(40) {
        if line.is_empty() {
            break;
        }
        if line.starts_with(b"X-OpenftAlias:") || line.starts_with(b"X-OpenftNodeID:") {
            return Opinion::payload("openft", "OpenFT headers");
        }
        if line.starts_with(b"User-Agent: Aimini") || line.starts_with(b"X-Aimini") {
            return Opinion::payload("aimini", "Aimini client");
        }
    }
    Opinion::No
}

#[cfg(test)]
mod tests {
    use super::super::testing::Talk;
    use super::*;

    #[test]
    fn first_words() {
        assert_eq!(Talk::tcp().client("ajprot\r\n").named(&TCP), Some("applejuice"));
        let hello = "ClientHello\nName=Fuqid\nExpectedVersion=2.0\nEndMessage\n";
        assert_eq!(Talk::tcp().client(hello).named(&TCP), Some("freenet"));
        assert_eq!(Talk::tcp().client("ClientHe").ask(&TCP), Opinion::NeedMore);
        assert_eq!(Talk::tcp().client("ClientHello there\n").ask(&TCP), Opinion::No);
        let headers = "GET / HTTP/1.0\r\nX-OpenftAlias: me\r\n\r\n";
        assert_eq!(Talk::tcp().client(headers).named(&TCP), Some("openft"));
    }

    #[test]
    fn aimini_in_a_row() {
        let one = |kind: u8, size: usize| [&[1, kind][..], &vec![7; size - 2]].concat();
        let talk = || Talk::udp().client(one(0x0b, 64)).server(one(0x15, 300)).client(one(0x0c, 16));
        assert_eq!(talk().ask(&UDP), Opinion::NeedMore);
        assert_eq!(talk().client(one(0x0b, 64)).named(&UDP), Some("aimini"));
        assert_eq!(talk().client(one(0x0b, 65)).ask(&UDP), Opinion::No);
    }

    #[test]
    fn open_nap() {
        assert_eq!(Talk::tcp().server("1").client("GETnick \"c:\\music\\a.mp3\" 0").named(&TCP), Some("winmx"));
        assert_eq!(Talk::tcp().server("1").client("GET").ask(&TCP), Opinion::NeedMore);
        assert_eq!(Talk::tcp().client("GET / HTTP/1.1\r\n\r\n").server("1").last().named(&TCP), None);
    }
}
