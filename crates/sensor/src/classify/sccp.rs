//! SCCP, Cisco's skinny protocol of telephones.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::{le32, printable};
use crate::view::{FlowView, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "sccp",
    applications: &["sccp"],
    looks_for: "SCCP (skinny) messages",
    over: Over::Tcp,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

/// The highest message id, and versions of the header.
const MESSAGES: u32 = 0x160;
const VERSIONS: std::ops::RangeInclusive<u32> = 0..=0x20;

fn classify(view: &FlowView) -> Opinion {
    let (client, server) = (view.first(Way::ToServer), view.first(Way::ToClient));
    let (Some(asked), Some(told)) = (messages(client), messages(server)) else { return Opinion::No };
    if asked.registers {
        return Opinion::payload("sccp", "SCCP registration");
    }
    if asked.known > 0 && told.known > 0 && asked.known + told.known >= 4 && view.port(2000) {
        return Opinion::payload("sccp", "SCCP messages");
    }
    if view.last || view.heard > 8 { Opinion::No } else { Opinion::NeedMore }
}

struct Messages {
    registers: bool,
    known: u32,
}

/// Walks messages: length (of what follows the version), version, id. `None` when they are not such.
fn messages(mut stream: &[u8]) -> Option<Messages> {
    let mut seen = Messages { registers: false, known: 0 };
    for _ in 0..8 {
        let (Some(length), Some(version), Some(id)) = (le32(stream, 0), le32(stream, 4), le32(stream, 8)) else {
            return match stream.first_chunk::<4>() {
                Some(&[_, high, 0, 0]) if high < 0x10 => Some(seen),
                Some(_) => None,
                None => Some(seen),
            };
        };
        if !(4..0x1000).contains(&length) || !VERSIONS.contains(&version) || id > MESSAGES {
            return None;
        }
        // Register: a device name of 16 bytes, padded with zeroes.
        let name = stream.get(12..28).and_then(|name| name.split(|&byte| byte == 0).next());
        seen.registers |= id == 1 && length >= 36 && name.is_some_and(|name| name.len() >= 3 && printable(name));
        match stream.get(8 + length as usize..) {
            Some(rest) => {
                seen.known += 1;
                stream = rest;
            }
            None => break,
        }
    }
    Some(seen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::{Talk, hex};

    #[test]
    fn telephones_register() {
        let mut register = hex("80000000 00000000 01000000");
        register.extend(b"SEP001122334455\0");
        register.resize(136, 0);
        assert_eq!(Talk::tcp().client(&register).named(&CLASSIFIER), Some("sccp"));
        register[12] = 0;
        assert_eq!(Talk::tcp().client(&register).last().named(&CLASSIFIER), None);
        let keep = hex("04000000 00000000 00000000");
        let answer = hex("04000000 00000000 00010000");
        let talk = Talk::tcp().port(2000).client(&keep).server(&answer).client(&keep).server(&answer);
        assert_eq!(talk.named(&CLASSIFIER), Some("sccp"));
        assert_eq!(Talk::tcp().client(hex("04000000 00000000 00000001")).named(&CLASSIFIER), None);
    }
}
