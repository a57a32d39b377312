//! BFCP (RFC 8855): requests for the floor of a conference and their answers.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::{array, be16, byte};
use crate::view::{FlowView, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "bfcp",
    applications: &["bfcp"],
    looks_for: "BFCP requests and their answers",
    over: Over::Both,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

/// Requests and what answers them (RFC 8855 section 5.1); 13 is an error.
const ANSWERS: [(u8, u8); 9] = [(1, 4), (2, 4), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (14, 15), (17, 18)];

fn classify(view: &FlowView) -> Opinion {
    let Some((ask, who)) = message(view.first(Way::ToServer)) else {
        let short = view.first(Way::ToServer).len() < 12 && view.first(Way::ToServer).first().is_none_or(versioned);
        return if short && !view.last { Opinion::NeedMore } else { Opinion::No };
    };
    match message(view.first(Way::ToClient)) {
        Some((reply, same)) if who == same && answers(ask, reply) => {
            Opinion::payload("bfcp", "BFCP request and answer")
        }
        Some(_) => Opinion::No,
        None if view.first(Way::ToClient).len() >= 12 || view.last => Opinion::No,
        None => Opinion::NeedMore,
    }
}

fn answers(ask: u8, reply: u8) -> bool {
    ANSWERS.iter().any(|&(request, answer)| request == ask && (answer == reply || reply == 13))
}

fn versioned(byte: &u8) -> bool {
    matches!(byte >> 5, 1 | 2)
}

/// The primitive, and conference, transaction and user together.
fn message(bytes: &[u8]) -> Option<(u8, [u8; 8])> {
    let plausible = versioned(bytes.first()?) && be16(bytes, 2)? <= 256;
    let primitive = byte(bytes, 1).filter(|primitive| (1..=18).contains(primitive))?;
    let who: [u8; 8] = array(bytes, 4).filter(|_| plausible)?;
    // Every request has a transaction.
    (who[4..6] != [0, 0]).then_some((primitive, who))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::{Talk, hex};

    #[test]
    fn answers_repeat_the_transaction() {
        let ask = hex("20 0b 0000 00000001 0002 0504");
        for talk in [Talk::udp(), Talk::tcp()] {
            let talk = talk.client(&ask);
            assert_eq!(talk.ask(&CLASSIFIER), Opinion::NeedMore);
            assert_eq!(talk.server(hex("20 0c 0001 00000001 0002 0504 14020102")).named(&CLASSIFIER), Some("bfcp"));
        }
        // A name look-up on an odd port: the same number comes back.
        let query = hex("210d 0100 0001 0000 0000 0000 01610000010001");
        let reply = hex("210d 0100 0001 0000 0000 0000 01610000010001");
        assert_eq!(Talk::udp().client(query).server(reply).last().named(&CLASSIFIER), None);
        for reply in ["20 0c 0001 00000001 0003 0504", "20 0b 0000 00000001 0002 0504", "a0 0c 0001 00000001 0002 0504"]
        {
            assert_eq!(Talk::udp().client(&ask).server(hex(reply)).last().named(&CLASSIFIER), None, "{reply}");
        }
    }
}
