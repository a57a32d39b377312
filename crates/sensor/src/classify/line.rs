//! LINE calls: datagrams whose header holds their length and a running number.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::be16;
use crate::view::{FlowView, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "line-call",
    applications: &["line"],
    looks_for: "the datagrams of LINE calls: length and running number",
    over: Over::Udp,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

/// How many datagrams must fit.
const ENOUGH: usize = 4;

fn classify(view: &FlowView) -> Opinion {
    let (mut fit, mut steps, mut foreign) = (0, 0, 0);
    let mut before: [Option<u16>; 2] = [None; 2];
    for piece in view.pieces {
        let Some(datagram) = view.bytes_of(piece) else { continue };
        match header(datagram, piece.len as usize) {
            Some(number) => {
                fit += 1;
                let last = &mut before[piece.way.index()];
                steps += usize::from(last.is_some_and(|last| matches!(number.wrapping_sub(last), 1 | 2)));
                *last = Some(number);
            }
            None => foreign += 1,
        }
    }
    let both = view.count(Way::ToServer) > 0 && view.count(Way::ToClient) > 0;
    match () {
        () if fit >= ENOUGH && steps >= 2 && fit > foreign => Opinion::payload("line", "LINE call datagrams"),
        // The end of a short conversation: numbers that step, both ways fit.
        () if view.last && both && fit >= 3 && steps >= 1 && foreign == 0 => {
            Opinion::payload("line", "LINE call datagrams")
        }
        () if fit == 0 || foreign > fit || view.last => Opinion::No,
        () => Opinion::NeedMore,
    }
}

/// `1101` and a flag, 11 bits of length without the header's first four bytes, then the number.
fn header(datagram: &[u8], length: usize) -> Option<u16> {
    let first = be16(datagram, 0)?;
    (first >> 12 == 0xd && usize::from(first & 0x07ff) + 4 == length && length >= 16)
        .then(|| be16(datagram, 2))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::Talk;

    fn datagram(kind: u16, length: u16, number: u16) -> Vec<u8> {
        let mut bytes = [(kind | (length - 4)).to_be_bytes(), number.to_be_bytes()].concat();
        bytes.resize(usize::from(length), 6);
        bytes
    }

    #[test]
    fn lengths_and_numbers_must_agree() {
        let talk = Talk::udp()
            .client(datagram(0xd800, 872, 0xb9))
            .client(datagram(0xd800, 872, 0xba))
            .server(datagram(0xd800, 242, 0x66));
        assert_eq!(talk.ask(&CLASSIFIER), Opinion::NeedMore);
        assert_eq!(talk.server(datagram(0xd000, 740, 0x67)).named(&CLASSIFIER), Some("line"));
        let other = Talk::udp().client(datagram(0xd800, 872, 9)).client(datagram(0xd800, 872, 800)).client([0xd8; 40]);
        assert_eq!(other.last().named(&CLASSIFIER), None);
        assert_eq!(Talk::udp().client([0xd8; 40]).ask(&CLASSIFIER), Opinion::No);
    }
}
