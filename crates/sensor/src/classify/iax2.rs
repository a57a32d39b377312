//! IAX2 (RFC 5456): full frames that begin a call, a registration or a poke.

use super::{Classifier, Inside, Opinion, Over, beginnings, not_yet};
use crate::bytes::{be16, byte};
use crate::view::{FlowView, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "iax2",
    applications: &["iax2"],
    looks_for: "IAX2 calls, registrations and pokes",
    over: Over::Udp,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

/// IAX control subclasses (RFC 5456 section 8.4) that may come first, and those that answer.
const FIRST: [u8; 6] = [0x01, 0x02, 0x0d, 0x11, 0x1e, 0x14];
const ANSWERS: [u8; 14] = [0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x0e, 0x0f, 0x10, 0x12, 0x13, 0x15, 0x28, 0x0a];

fn classify(view: &FlowView) -> Opinion {
    let Some(asked) = beginnings(view).filter_map(Full::read).find(Full::begins) else { return not_yet(view) };
    // NEW states version 2 before all else.
    if asked.subclass == 1 && asked.elements.starts_with(&[0x0b, 2, 0, 2]) {
        return Opinion::payload("iax2", "IAX2 call (NEW)");
    }
    for reply in view.datagrams(Way::ToClient).filter_map(Full::read) {
        if reply.destination == asked.source && ANSWERS.contains(&reply.subclass) {
            return Opinion::payload("iax2", "IAX2 request and answer");
        }
    }
    if view.last || view.count(Way::ToClient) > 1 || view.heard > 6 { Opinion::No } else { Opinion::NeedMore }
}

/// A full frame of type 6 (IAX control).
struct Full<'a> {
    source: u16,
    destination: u16,
    outgoing: u8,
    incoming: u8,
    subclass: u8,
    elements: &'a [u8],
}

impl Full<'_> {
    fn read(datagram: &[u8]) -> Option<Full<'_>> {
        let (source, destination) = (be16(datagram, 0)?, be16(datagram, 2)?);
        if source & 0x8000 == 0 || byte(datagram, 10)? != 6 {
            return None;
        }
        let elements = datagram.get(12..)?;
        walks(elements).then_some(Full {
            source: source & 0x7fff,
            destination: destination & 0x7fff,
            outgoing: byte(datagram, 8)?,
            incoming: byte(datagram, 9)?,
            subclass: byte(datagram, 11)?,
            elements,
        })
    }

    /// Whether it opens an exchange: to no call yet, with both counters at nought.
    fn begins(&self) -> bool {
        self.destination == 0 && self.outgoing == 0 && self.incoming == 0 && FIRST.contains(&self.subclass)
    }
}

/// Information elements end where the datagram does.
fn walks(mut elements: &[u8]) -> bool {
    while let Some((_, rest)) = elements.split_first() {
        match rest.split_first().and_then(|(&length, rest)| rest.get(usize::from(length)..)) {
            Some(rest) => elements = rest,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::{Talk, hex};

    #[test]
    fn calls_registrations_and_pokes() {
        let call = hex("8a01 0000 00000003 00 00 06 01 0b020002 01023432");
        assert_eq!(Talk::udp().client(call).named(&CLASSIFIER), Some("iax2"));
        let poke = hex("8a01 0000 00000003 00 00 06 1e");
        assert_eq!(Talk::udp().client(&poke).ask(&CLASSIFIER), Opinion::NeedMore);
        let pong = hex("8002 0a01 00000003 00 01 06 03");
        assert_eq!(Talk::udp().client(&poke).server(&pong).named(&CLASSIFIER), Some("iax2"));
        assert_eq!(Talk::udp().client("junk").client(&poke).server(pong).named(&CLASSIFIER), Some("iax2"));
        let stray = hex("8002 0a02 00000003 00 01 06 03");
        assert_eq!(Talk::udp().client(&poke).server(stray).last().named(&CLASSIFIER), None);
        assert_eq!(Talk::udp().client(hex("8a01 0000 00000003 00 00 06 01 0b030002")).named(&CLASSIFIER), None);
    }
}
