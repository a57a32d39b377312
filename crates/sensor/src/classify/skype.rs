//! Skype between peers, as it was before 2014: refusals that tell the asker its own address.

use std::net::IpAddr;

use super::{Classifier, Inside, Opinion, Over, beginnings, not_yet};
use crate::bytes::{array, byte};
use crate::view::{FlowView, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "skype-peer",
    applications: &["skype"],
    looks_for: "Skype's refusals of datagrams, which repeat their number and the sender's address",
    over: Over::Udp,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

fn classify(view: &FlowView) -> Opinion {
    if !beginnings(view).any(is_payload) {
        return not_yet(view);
    }
    for reply in view.datagrams(Way::ToClient).take(2) {
        let refusal = reply.len() == 11 && byte(reply, 2).is_some_and(|function| function & 0x0f == 7);
        let told: Option<[u8; 4]> = array(reply, 3);
        let refuses = |ask: &[u8]| is_payload(ask) && ask.get(..2) == reply.get(..2);
        if refusal && told.is_some_and(|ip| view.client.ip == IpAddr::from(ip)) && beginnings(view).any(refuses) {
            return Opinion::payload("skype", "Skype refusal with the asker's address");
        }
    }
    if view.heard < 4 && !view.last { Opinion::NeedMore } else { Opinion::No }
}

/// Number, function 2 (payload), initial vector, checksum.
fn is_payload(datagram: &[u8]) -> bool {
    datagram.len() >= 16 && byte(datagram, 2).is_some_and(|function| function & 0x0f == 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::{Talk, hex};

    #[test]
    fn a_refusal_repeats_number_and_address() {
        let ask = hex("1a2b 02 00112233 44556677 8899aabbccddeeff");
        let talk = Talk::udp().client(&ask).server(hex("1a2b 47 c0000201 01020304"));
        assert_eq!(talk.named(&CLASSIFIER), Some("skype"));
        let late = Talk::udp().client("junk").client(&ask).server(hex("1a2b 47 c0000201 01020304"));
        assert_eq!(late.named(&CLASSIFIER), Some("skype"));
        for reply in ["1a2b 47 c0000202 01020304", "1a2c 47 c0000201 01020304", "1a2b 42 c0000201 01020304"] {
            assert_eq!(Talk::udp().client(&ask).server(hex(reply)).last().named(&CLASSIFIER), None, "{reply}");
        }
    }
}
