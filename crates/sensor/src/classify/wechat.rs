//! WeChat: its TLS-like records (mmtls) and the long link of its Mars library.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::{array, be16, be32, byte};
use crate::view::{FlowView, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "wechat",
    applications: &["wechat"],
    looks_for: "mmtls records and Mars heartbeats",
    over: Over::Tcp,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

fn classify(view: &FlowView) -> Opinion {
    let mut waiting = false;
    for way in [Way::ToServer, Way::ToClient] {
        let stream = view.first(way);
        match stream.first_chunk::<3>() {
            Some([0x15..=0x19, 0xf1, 3 | 4]) => {
                if records(stream) {
                    return Opinion::payload("wechat", "WeChat records (mmtls)");
                }
                return Opinion::No;
            }
            Some([0, 0, _]) if long_link(stream) => {
                return Opinion::payload("wechat", "heartbeat of the Mars long link");
            }
            Some(_) => return Opinion::No,
            None => waiting = true,
        }
    }
    if waiting && !view.last { Opinion::NeedMore } else { Opinion::No }
}

/// Records of type, 0xf1 and version, length: each that has come whole is followed by another or by nothing.
fn records(mut bytes: &[u8]) -> bool {
    for _ in 0..8 {
        let Some([0x15..=0x19, 0xf1, 3 | 4]) = array::<3>(bytes, 0) else { return bytes.is_empty() };
        let Some(length) = be16(bytes, 3).filter(|&length| length != 0) else { return bytes.len() < 5 };
        match bytes.get(5 + usize::from(length)..) {
            Some(rest) => bytes = rest,
            None => return true,
        }
    }
    true
}

/// Length, length of the header, client version, command 6 (no operation), sequence -1.
fn long_link(bytes: &[u8]) -> bool {
    be16(bytes, 4) == Some(16)
        && be32(bytes, 8) == Some(6)
        && be32(bytes, 12) == Some(u32::MAX)
        && byte(bytes, 3).is_some_and(|length| length >= 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::{Talk, hex};

    #[test]
    fn records_must_follow_each_other() {
        for (bytes, named) in [
            ("16f104 0004 01020304 19f104 0002 0506", Some("wechat")),
            ("19f103 00a1 0102", Some("wechat")),
            ("16f104 0004 01020304 160301 0002", None),
            ("160301 00a1 0100", None),
            ("00000010 0010 0001 00000006 ffffffff", Some("wechat")),
            ("00000010 0010 0001 00000007 00000001", None),
        ] {
            assert_eq!(Talk::tcp().client(hex(bytes)).last().named(&CLASSIFIER), named, "{bytes}");
        }
    }
}
