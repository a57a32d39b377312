//! DingTalk's own connections: a hello that names its protocol.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::array;
use crate::view::{FlowView, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "dingtalk",
    applications: &["dingtalk"],
    looks_for: "the hello of DingTalk's connections",
    over: Over::Tcp,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

/// After kind and length: version and flags, then the value `dk` under 2 and 32 bytes of key under 3.
const HELLO: [u8; 14] = [0x87, 0x80, 1, 0, 1, 0, 2, 0, 2, b'd', b'k', 3, 0, 32];

fn classify(view: &FlowView) -> Opinion {
    let stream = view.first(Way::ToServer);
    match stream.first() {
        Some(0x10) => {}
        None if !view.last => return Opinion::NeedMore,
        _ => return Opinion::No,
    }
    match array(stream, 2) {
        Some(HELLO) => Opinion::payload("dingtalk", "DingTalk hello"),
        None if !view.last => Opinion::NeedMore,
        _ => Opinion::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::{Talk, hex};

    #[test]
    fn hello() {
        let hello = hex("1064 87800100010002 00 02646b 030020 166ddd35");
        assert_eq!(Talk::tcp().client(hello).named(&CLASSIFIER), Some("dingtalk"));
        let mqtt = hex("1064 0004 4d515454 04 02 003c 0004 61626364");
        assert_eq!(Talk::tcp().client(mqtt).named(&CLASSIFIER), None);
    }
}
