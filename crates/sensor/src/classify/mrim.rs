//! MRIM, the protocol of Mail.ru Agent: packets behind a header of 44 bytes.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::le32;
use crate::view::{FlowView, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "mrim",
    applications: &["mailru-agent"],
    looks_for: "packets of Mail.ru Agent (MRIM)",
    over: Over::Tcp,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

const MAGIC: u32 = 0xdead_beef;
/// Longer messages than this were never sent.
const LONGEST: u32 = 1 << 20;

fn classify(view: &FlowView) -> Opinion {
    let mut waiting = true;
    for way in [Way::ToServer, Way::ToClient] {
        let stream = view.first(way);
        if is_packet(stream) {
            return Opinion::payload("mailru-agent", "MRIM packet");
        }
        waiting &= MAGIC.to_le_bytes().starts_with(&stream[..stream.len().min(4)]) && stream.len() < 20;
    }
    if waiting && !view.last { Opinion::NeedMore } else { Opinion::No }
}

/// Magic, version 1 of whatever revision, sequence, kind, length.
fn is_packet(stream: &[u8]) -> bool {
    le32(stream, 0) == Some(MAGIC)
        && le32(stream, 4).is_some_and(|version| version >> 16 == 1)
        && le32(stream, 12).is_some_and(|kind| (0x1000..0x2000).contains(&kind))
        && le32(stream, 16).is_some_and(|length| length < LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::{Talk, hex};

    #[test]
    fn either_side_tells() {
        let hello = hex("efbeadde 14000100 01000000 01100000 00000000 00000000 00000000");
        assert_eq!(Talk::tcp().client(&hello).named(&CLASSIFIER), Some("mailru-agent"));
        assert_eq!(Talk::tcp().server(&hello).named(&CLASSIFIER), Some("mailru-agent"));
        assert_eq!(Talk::tcp().client(&hello[..9]).ask(&CLASSIFIER), Opinion::NeedMore);
        for other in ["efbeadde 14000200 01000000 01100000 00000000", "efbeadde 14000100 01000000 01000000 00000000"] {
            assert_eq!(Talk::tcp().client(hex(other)).named(&CLASSIFIER), None, "{other}");
        }
    }
}
