//! imo's calls: how their datagrams open.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::be32;
use crate::view::{FlowView, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "imo",
    applications: &["imo"],
    looks_for: "the opening datagrams of imo calls",
    over: Over::Udp,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

fn classify(view: &FlowView) -> Opinion {
    let (mut asked, mut foreign): (Option<Way>, u32) = (None, 0);
    for piece in view.pieces.iter().take(8) {
        let Some(datagram) = view.bytes_of(piece) else { continue };
        match piece.len {
            // A hello of ten bytes, answered by one of eleven.
            10 if datagram.starts_with(&[9, 2]) => asked = Some(piece.way),
            11 if datagram.starts_with(&[0, 9, 3]) && asked == Some(piece.way.back()) => {
                return Opinion::payload("imo", "imo call hello and answer");
            }
            1099 if be32(datagram, 0) == Some(0x8849_1a00) => return Opinion::payload("imo", "imo call probe"),
            1 => {}
            _ => foreign += 1,
        }
    }
    if foreign > 2 || asked.is_none() || view.last { Opinion::No } else { Opinion::NeedMore }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::{Talk, hex};

    #[test]
    fn a_hello_needs_its_answer() {
        let hello = Talk::udp().client(hex("0902 1122334455667788"));
        assert_eq!(hello.ask(&CLASSIFIER), Opinion::NeedMore);
        assert_eq!(hello.server(hex("000903 1122334455667788")).named(&CLASSIFIER), Some("imo"));
        assert_eq!(Talk::udp().client(hex("0903 1122334455667788")).last().named(&CLASSIFIER), None);
    }
}
