//! Yahoo! Messenger: YMSG and its predecessor YHOO.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::{be16, le16};
use crate::view::{FlowView, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "yahoo",
    applications: &["yahoo"],
    looks_for: "YMSG and YHOO packets",
    over: Over::Tcp,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

fn classify(view: &FlowView) -> Opinion {
    let mut waiting = false;
    for way in [Way::ToServer, Way::ToClient] {
        let stream = view.first(way);
        match stream.get(..4) {
            // Version, vendor, length, service: the version is big-endian from YMSG, little before.
            Some(b"YMSG" | b"YHOO" | b"YPNS") => {
                let version = be16(stream, 4).zip(le16(stream, 4)).map(|(be, le)| be.min(le));
                let plain = stream.starts_with(b"YMSG");
                return match version {
                    Some(0..=0x40) if plain && be16(stream, 10).is_some_and(|service| service <= 0x500) => {
                        Opinion::payload("yahoo", "Yahoo! Messenger packet (YMSG)")
                    }
                    Some(_) if !plain && stream.get(4..8).is_some_and(|version| version.iter().all(is_version)) => {
                        Opinion::payload("yahoo", "Yahoo! Messenger packet (YHOO)")
                    }
                    None if !view.last => Opinion::NeedMore,
                    _ if stream.len() < 12 && !view.last => Opinion::NeedMore,
                    _ => Opinion::No,
                };
            }
            Some(_) => return Opinion::No,
            None if stream.first().is_none_or(|&byte| byte == b'Y') => waiting = true,
            None => return Opinion::No,
        }
    }
    if waiting && !view.last { Opinion::NeedMore } else { Opinion::No }
}

/// "1.0\0" and the like.
fn is_version(byte: &u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'.' | 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::{Talk, hex};

    #[test]
    fn packets() {
        let login = hex("594d5347 0010 0000 0000 004c 00000000 00000000");
        assert_eq!(Talk::tcp().client(login).named(&CLASSIFIER), Some("yahoo"));
        assert_eq!(Talk::tcp().client(b"YHOO1.0\0\x10\0\0\0\x01\0\0\0").named(&CLASSIFIER), Some("yahoo"));
        for text in ["YMSG is a word", "YHOO is another", "YES\r\n"] {
            assert_eq!(Talk::tcp().client(text).last().named(&CLASSIFIER), None, "{text}");
        }
    }
}
