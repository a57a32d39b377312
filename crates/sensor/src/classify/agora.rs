//! Agora's real-time network (SD-RTN): hellos of tagged values.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::{array, byte, contains};
use crate::view::FlowView;

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "agora",
    applications: &["agora"],
    looks_for: "hellos of Agora's SD-RTN",
    over: Over::Udp,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

fn classify(view: &FlowView) -> Opinion {
    for (_, datagram) in view.all_datagrams().take(4) {
        // Kind 0x21 asks (server name first), 0x23 answers (peer first).
        let asks = byte(datagram, 6) == Some(0x21)
            && array(datagram, 13) == Some(*b"SNI\0")
            && (contains(datagram, b"NONC", 256) || contains(datagram, b".agora.io", 128));
        let answers =
            byte(datagram, 6) == Some(0x23) && array(datagram, 13) == Some(*b"PEID") && contains(datagram, b"PROF", 64);
        if asks || answers {
            return Opinion::payload("agora", "SD-RTN hello");
        }
    }
    Opinion::No
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::{Talk, hex};

    #[test]
    fn hellos_have_tags() {
        let mut ask = hex("005a384c00002100000000 0004");
        ask.extend(b"SNI\0\x1c\x00203-0-113-1.edge.agora.ioPDMD\0\0CPTO\x81\0NONC \0");
        assert_eq!(Talk::udp().client(&ask).named(&CLASSIFIER), Some("agora"));
        let mut answer = hex("006a2e0700002300 5a384c00 04");
        answer.extend(b"PEID\x04\0\x01\0\x1c\0PROF\0\x01");
        assert_eq!(Talk::udp().server(answer).named(&CLASSIFIER), Some("agora"));
        ask[6] = 0x22;
        assert_eq!(Talk::udp().client(&ask).named(&CLASSIFIER), None);
    }
}
