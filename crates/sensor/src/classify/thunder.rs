//! Thunder (Xunlei).

use super::bytes::le32;
use super::{Classifier, Inside, Opinion, Over};
use crate::view::{FlowView, Way};

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

/// Versions seen of the protocol.
const VERSIONS: std::ops::RangeInclusive<u32> = 0x29..=0x46;

fn classify(view: &FlowView) -> Opinion {
    let Some((version, sequence)) = header(view, Way::ToServer) else { return Opinion::No };
    if view.count(Way::ToClient) == 0 {
        return if view.pieces.len() < 6 { Opinion::NeedMore } else { Opinion::No };
    }
    // The answer repeats the sequence of what was asked.
    match header(view, Way::ToClient) {
        Some((answer, same)) if answer == version && same == sequence => {
            Opinion::payload(ID, "Thunder messages that answer each other")
        }
        _ => Opinion::No,
    }
}

/// Version and sequence of the first message of one side, which is as long as it says.
fn header(view: &FlowView, way: Way) -> Option<(u32, u32)> {
    let bytes = view.first(way);
    let len = view.pieces.iter().find(|piece| piece.way == way)?.len;
    let version = le32(bytes, 0).filter(|version| VERSIONS.contains(version))?;
    let length = le32(bytes, 8)?;
    (length > 0 && length.checked_add(12) == Some(len)).then_some((version, le32(bytes, 4)?))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Talk, hex};
    use super::*;

    #[test]
    fn messages_answer_each_other() {
        let (asked, answered) =
            (hex("39000000 0a000000 04000000 01020304"), hex("39000000 0a000000 05000000 0102030405"));
        assert_eq!(Talk::tcp().client(&asked).ask(&THUNDER), Opinion::NeedMore);
        assert_eq!(Talk::tcp().client(&asked).server(&answered).named(&THUNDER), Some(ID));
        assert_eq!(Talk::udp().client(&asked).server(&answered).named(&THUNDER), Some(ID));
        let mut other = answered;
        other[4] = 0x0b;
        assert_eq!(Talk::udp().client(&asked).server(&other).ask(&THUNDER), Opinion::No);
        assert_eq!(Talk::udp().client(hex("39000000 0a000000 05000000 01020304")).ask(&THUNDER), Opinion::No);
    }
}
