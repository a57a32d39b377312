//! MSRP (RFC 4975): messages and files of SIP sessions.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::{first_line, number, words};
use crate::view::{FlowView, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "msrp",
    applications: &["msrp"],
    looks_for: "MSRP requests and responses",
    over: Over::Tcp,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

fn classify(view: &FlowView) -> Opinion {
    let mut waiting = false;
    for way in [Way::ToServer, Way::ToClient] {
        let stream = view.first(way);
        if !stream.starts_with(b"MSRP ") {
            if !b"MSRP ".starts_with(stream) {
                return Opinion::No;
            }
            waiting = true;
            continue;
        }
        let Some((line, _)) = first_line(stream) else {
            waiting = stream.len() < 256;
            continue;
        };
        // MSRP transaction-id (method | status comment).
        let mut words = words(line).skip(1);
        let (id, what) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let status = number(what).is_some_and(|code| (200..600).contains(&code));
        let method = what.len() >= 4 && what.iter().all(u8::is_ascii_uppercase) && words.next().is_none();
        let id = (3..=32).contains(&id.len());
        return if id && (status || method) { Opinion::payload("msrp", "MSRP message") } else { Opinion::No };
    }
    if waiting && !view.last { Opinion::NeedMore } else { Opinion::No }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::Talk;

    #[test]
    fn first_lines() {
        for (text, named) in [
            ("MSRP a786hjs2 SEND\r\nTo-Path: msrp://b.example:9/x;tcp\r\n", Some("msrp")),
            ("MSRP a786hjs2 200 OK\r\n", Some("msrp")),
            ("MSRP is a price\r\n", None),
            ("MSRP\r\n", None),
        ] {
            assert_eq!(Talk::tcp().client(text).last().named(&CLASSIFIER), named, "{text}");
        }
    }
}
