//! Direct Connect: NMDC and ADC, hubs, clients and searches.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::{contains, first_line, printable};
use crate::view::{FlowView, Way};

const ID: &str = "directconnect";

/// Hubs and clients.
pub(crate) const TCP: Classifier = Classifier {
    name: "directconnect-tcp",
    applications: &[ID],
    looks_for: "a hub's or client's lock, key, nick or support commands of NMDC, or ADC's SUP",
    over: Over::Tcp,
    inside: Inside::PLAIN,
    classify: classify_tcp,
    follow: None,
};

/// Searches and their results.
pub(crate) const UDP: Classifier = Classifier {
    name: "directconnect-udp",
    applications: &[ID],
    looks_for: "a search or a search result of NMDC or ADC",
    over: Over::Udp,
    inside: Inside::PLAIN,
    classify: classify_udp,
    follow: None,
};

/// Commands that begin a conversation; each ends with a bar.
const COMMANDS: [&[u8]; 8] = [
    b"$Lock ",
    b"$Key ",
    b"$MyNick ",
    b"$Supports ",
    b"$ValidateNick ",
    b"$HubName ",
    b"$Direction ",
    b"$MyINFO $ALL ",
];

fn classify_tcp(view: &FlowView) -> Opinion {
    let mut begun = false;
    for way in [Way::ToServer, Way::ToClient] {
        let bytes = view.first(way);
        match bytes.first() {
            Some(b'$') => {}
            Some(b'H' | b'C' | b'I') => {
                if is_adc(bytes) {
                    return Opinion::payload(ID, "ADC features");
                }
                begun |= bytes.len() < 12 && bytes.get(1..4).is_none_or(|word| word == b"SUP");
                continue;
            }
            _ => continue,
        }
        let Some(command) = COMMANDS.iter().find(|command| bytes.starts_with(command)) else {
            begun |= bytes.len() < 14;
            continue;
        };
        let Some(end) = memchr::memchr(b'|', bytes.get(..1024).unwrap_or(bytes)) else {
            begun |= bytes.len() < 1024;
            continue;
        };
        // A lock or a key may hold any byte; a lock comes with its Pk.
        let content = bytes.get(command.len()..end).unwrap_or_default();
        let right = match **command {
            [b'$', b'L', ..] => contains(content, b" Pk=", 1024) || content.starts_with(b"EXTENDEDPROTOCOL"),
            [b'$', b'K', ..] => content.len() >= 4,
            _ => !content.is_empty() && !content.contains(&b'\n'),
        };
        if right {
            return Opinion::payload(ID, "Direct Connect commands");
        }
    }
    if begun && view.heard < 6 { Opinion::NeedMore } else { Opinion::No }
}

/// ADC's first message: who, SUP, and features added.
fn is_adc(bytes: &[u8]) -> bool {
    let sup = [&b"HSUP AD"[..], b"CSUP AD", b"ISUP AD"].iter().any(|start| bytes.starts_with(start));
    sup && [&b"ADBAS"[..], b"ADTIGR"].iter().any(|feature| contains(bytes, feature, 256))
}

fn classify_udp(view: &FlowView) -> Opinion {
    let bytes = view.first(Way::ToServer);
    let right = match bytes.first() {
        // $SR <nick> <path>\x05<sizes or slots>\x05<hub> (<address>)|
        Some(b'$') => bytes.starts_with(b"$SR ") && bytes.contains(&5) && bytes.ends_with(b"|"),
        // URES <client id of 39> <parameters>; USCH likewise.
        Some(b'U') => {
            let cid = bytes.strip_prefix(b"URES ").or(bytes.strip_prefix(b"USCH ")).and_then(|rest| rest.get(..40));
            cid.is_some_and(|cid| cid.last() == Some(&b' ') && cid.iter().take(39).all(is_base32))
                && first_line(bytes).is_some_and(|(line, _)| printable(line.get(..60).unwrap_or(line)))
        }
        _ => false,
    };
    if right { Opinion::payload(ID, "Direct Connect search") } else { Opinion::No }
}

fn is_base32(byte: &u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'2'..=b'7')
}

#[cfg(test)]
mod tests {
    use super::super::testing::Talk;
    use super::*;

    #[test]
    fn hubs_and_clients() {
        for first in [
            "$Lock EXTENDEDPROTOCOLABCABC Pk=DCPLUSPLUS0.75|$HubName x|",
            "$MyNick me|$Lock x Pk=y|",
            "$Supports UserCommand TTHSearch |",
            "HSUP ADBAS0 ADBASE ADTIGR\n",
            "CSUP ADBASE ADTIGR ADBZIP\n",
        ] {
            assert_eq!(Talk::tcp().client(first).named(&TCP), Some(ID), "{first}");
            assert_eq!(Talk::tcp().server(first).named(&TCP), Some(ID), "{first}");
        }
        for miss in [
            "$Lock the door, please: it is cold in here and I am tired",
            "HSUP AD something else altogether",
            "HELO there",
            "$MyNick",
            "INFO {\"server_id\"",
        ] {
            assert_eq!(Talk::tcp().client(miss).named(&TCP), None, "{miss}");
        }
    }

    #[test]
    fn searches() {
        assert_eq!(Talk::udp().client("$SR me file\x0511 5/6\x05TTH:X (192.0.2.7:411)|").named(&UDP), Some(ID));
        let found = "URES ABCDEFGHIJKLMNOPQRSTUVWXYZ234567ABCDEFG SI5 SL2 FNx\n";
        assert_eq!(Talk::udp().client(found).named(&UDP), Some(ID));
        assert_eq!(Talk::udp().client("URES short SI5\n").named(&UDP), None);
    }
}
