//! Ares Galaxy: supernodes and transfers.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::starts_ignoring_case;
use crate::view::{FlowView, Way};

const ID: &str = "ares";

/// Supernodes and transfers.
pub(crate) const TCP: Classifier = Classifier {
    name: "ares",
    applications: &[ID],
    looks_for: "a supernode's first message, or a transfer by SHA-1 in Ares' words",
    over: Over::Tcp,
    inside: Inside::PLAIN.and(Inside::HTTP),
    classify,
    follow: None,
};

/// A client's first message to a supernode: three bytes of content, kind 0x5a, and those.
const GREETING: &[u8] = &[0x03, 0x00, 0x5a, 0x04, 0x03, 0x05];

fn classify(view: &FlowView) -> Opinion {
    let bytes = view.first(Way::ToServer);
    if bytes == GREETING {
        return Opinion::payload(ID, "Ares greeting");
    }
    for word in [&b"GET sha1:"[..], b"GET /sha1:", b"PUSH sha1:", b"ARES SHA1:"] {
        if !starts_ignoring_case(bytes, word) {
            continue;
        }
        let digits = bytes.get(word.len()..).unwrap_or_default();
        let hexadecimal = digits.iter().take_while(|digit| digit.is_ascii_hexdigit()).count();
        if hexadecimal == 40 {
            return Opinion::payload(ID, "Ares transfer");
        }
    }
    let waits = bytes.len() < GREETING.len() && GREETING.starts_with(bytes);
    if waits { Opinion::NeedMore } else { Opinion::No }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Talk;
    use super::*;

    #[test]
    fn ares() {
        assert_eq!(Talk::tcp().client(GREETING).named(&TCP), Some(ID));
        let transfer = "GET sha1:0123456789ABCDEF0123456789abcdef01234567 HTTP/1.1\r\n";
        assert_eq!(Talk::tcp().client(transfer).named(&TCP), Some(ID));
        for miss in [&b"\x03\0\x5a\x04\x03\x06"[..], b"\x03\0\x5a\x04\x03\x05\0", b"GET sha1:01 HTTP/1.1\r\n"] {
            assert_eq!(Talk::tcp().client(miss).ask(&TCP), Opinion::No);
        }
    }
}
