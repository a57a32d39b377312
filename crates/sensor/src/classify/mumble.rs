//! Mumble: the pings with which clients ask servers for their version and users.

use super::{Classifier, Inside, Opinion, Over, beginnings, not_yet};
use crate::bytes::{array, be32};
use crate::view::{FlowView, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "mumble",
    applications: &["mumble"],
    looks_for: "Mumble server pings and their answers",
    over: Over::Udp,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

fn classify(view: &FlowView) -> Opinion {
    if !beginnings(view).any(is_ping) {
        return not_yet(view);
    }
    for reply in view.datagrams(Way::ToClient) {
        // Version, identity, users, most users, bandwidth.
        let version = be32(reply, 0).is_some_and(|version| (0x01_0000..0x10_0000).contains(&version));
        let users = be32(reply, 12).zip(be32(reply, 16)).is_some_and(|(now, most)| now <= most && most < 1 << 20);
        let answers = |ping| is_ping(ping) && array::<8>(reply, 4) == array(ping, 4);
        if reply.len() == 24 && version && users && beginnings(view).any(answers) {
            return Opinion::payload("mumble", "Mumble ping and answer");
        }
    }
    if !view.last && view.heard < 6 { Opinion::NeedMore } else { Opinion::No }
}

/// Type 0 and eight bytes of identity.
fn is_ping(datagram: &[u8]) -> bool {
    datagram.len() == 12 && be32(datagram, 0) == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::{Talk, hex};

    #[test]
    fn an_answer_repeats_the_identity() {
        let ask = Talk::udp().client(hex("00000000 0102030405060708"));
        assert_eq!(ask.ask(&CLASSIFIER), Opinion::NeedMore);
        let talk = ask.server(hex("00010203 0102030405060708 00000003 00000064 00011940"));
        assert_eq!(talk.named(&CLASSIFIER), Some("mumble"));
        let other = Talk::udp().client(hex("00000000 0102030405060708"));
        assert_eq!(other.server(hex("00010203 0102030405060709 00000003 00000064 00011940")).named(&CLASSIFIER), None);
    }

    #[test]
    fn something_else_may_come_first() {
        let junk = Talk::udp().client("junk").client(hex("00000000 0909090909090909"));
        let talk = junk.client(hex("00000000 0102030405060708"));
        let talk = talk.server(hex("00010203 0102030405060708 00000003 00000064 00011940"));
        assert_eq!(talk.named(&CLASSIFIER), Some("mumble"));
        assert_eq!(Talk::udp().client("junk").client("junk").client("junk").ask(&CLASSIFIER), Opinion::No);
    }
}
