//! Bitcoin and the networks that took its protocol: Litecoin, Dogecoin, Zcash and others, told apart by the
//! four bytes before each message.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::{array, be32, le32};
use crate::view::{FlowView, Way};

/// Nodes and light clients.
pub(crate) const TCP: Classifier = Classifier {
    name: "bitcoin",
    applications: &["bitcoin", "litecoin", "dogecoin", "zcash"],
    looks_for: "a message of Bitcoin's protocol: a network's four bytes, a command padded with nulls, a length",
    over: Over::Tcp,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

/// The bytes before each message, the application, and the network.
const NETWORKS: &[(u32, &str, &str)] = &[
    (0xf9be_b4d9, "bitcoin", "Bitcoin"),
    (0x0b11_0907, "bitcoin", "Bitcoin testnet"),
    (0x1c16_3f28, "bitcoin", "Bitcoin testnet 4"),
    (0x0a03_cf40, "bitcoin", "Bitcoin signet"),
    (0xfabf_b5da, "bitcoin", "Bitcoin regtest"),
    (0xe3e1_f3e8, "bitcoin", "Bitcoin Cash"),
    (0xf4e5_f3f4, "bitcoin", "Bitcoin Cash testnet"),
    (0xe147_6d44, "bitcoin", "Bitcoin Gold"),
    (0xfbc0_b6db, "litecoin", "Litecoin"),
    (0xfdd2_c8f1, "litecoin", "Litecoin testnet"),
    (0xc0c0_c0c0, "dogecoin", "Dogecoin"),
    (0xfcc1_b7dc, "dogecoin", "Dogecoin testnet"),
    (0x24e9_2764, "zcash", "Zcash"),
    (0xfa1a_f9bf, "zcash", "Zcash testnet"),
    (0xbf0c_6bbd, "bitcoin", "Dash"),
    (0xcee2_caff, "bitcoin", "Dash testnet"),
    (0xf9be_b4fe, "bitcoin", "Namecoin"),
    (0xf9be_b4d4, "bitcoin", "Groestlcoin"),
    (0xfac3_b6da, "bitcoin", "DigiByte"),
    (0xe6e8_e9e5, "bitcoin", "Peercoin"),
    (0xf1cf_a6d3, "bitcoin", "Qtum"),
    (0x5241_564e, "bitcoin", "Ravencoin"),
];

/// The longest message that nodes take.
const LONGEST: u32 = 32 * 1024 * 1024;
/// The size of a header, with and without the checksum that first messages of old nodes lack.
const HEADER: usize = 20;

fn classify(view: &FlowView) -> Opinion {
    let mut waits = false;
    for way in [Way::ToServer, Way::ToClient] {
        let bytes = view.first(way);
        let Some(magic) = be32(bytes, 0) else { continue };
        let known = NETWORKS.iter().find(|(network, ..)| *network == magic);
        if bytes.len() < HEADER {
            waits |= known.is_some();
            continue;
        }
        let Some(command) = command(bytes) else { continue };
        match known {
            Some((_, application, network)) => return Opinion::payload(application, format!("{network} message")),
            None if command == b"version" && is_version(bytes) => {
                return Opinion::payload("bitcoin", "version message of a network like Bitcoin's");
            }
            None => {}
        }
    }
    if waits && view.heard < 4 { Opinion::NeedMore } else { Opinion::No }
}

/// The command: small letters and digits, then nulls; with a length that nodes take.
fn command(bytes: &[u8]) -> Option<&[u8]> {
    let field = bytes.get(4..16)?;
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    let (word, padding) = field.split_at_checked(end)?;
    let spelt = word.len() >= 2 && word.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    (spelt && padding.iter().all(|&byte| byte == 0) && le32(bytes, 16)? <= LONGEST).then_some(word)
}

/// Whether what follows is a version message: protocol, services, a time since 2009, two addresses.
fn is_version(bytes: &[u8]) -> bool {
    let length = le32(bytes, 16).unwrap_or(0);
    let content = bytes.get(24..).unwrap_or_default();
    let protocol = le32(content, 0).is_some_and(|version| (106..10_000_000).contains(&version));
    let time = array::<8>(content, 12).map(u64::from_le_bytes);
    (85..=1024).contains(&length) && protocol && time.is_some_and(|time| (1_231_006_505..1 << 33).contains(&time))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Talk, hex};
    use super::*;

    fn message(magic: &str, command: &str) -> Vec<u8> {
        let padded = format!("{command:\0<12}");
        [&hex(magic)[..], padded.as_bytes(), &[0x55, 0, 0, 0]].concat()
    }

    #[test]
    fn networks() {
        for (magic, application) in [
            ("f9beb4d9", "bitcoin"),
            ("0b110907", "bitcoin"),
            ("fbc0b6db", "litecoin"),
            ("c0c0c0c0", "dogecoin"),
            ("24e92764", "zcash"),
        ] {
            assert_eq!(Talk::tcp().client(message(magic, "version")).named(&TCP), Some(application));
            assert_eq!(Talk::tcp().server(message(magic, "inv")).named(&TCP), Some(application));
        }
        assert_eq!(Talk::tcp().client(hex("f9beb4d976")).ask(&TCP), Opinion::NeedMore);
    }

    #[test]
    fn unknown_networks_and_near_misses() {
        let version =
            [&message("01020304", "version")[..], &hex("11223344 7f110100 0900000000000000 6ab0904d00000000")].concat();
        assert_eq!(Talk::tcp().client(&version).named(&TCP), Some("bitcoin"));
        assert_eq!(Talk::tcp().client(message("01020304", "version")).ask(&TCP), Opinion::No);
        assert_eq!(Talk::tcp().client(message("f9beb4d9", "VERSION")).ask(&TCP), Opinion::No);
        assert_eq!(Talk::tcp().client(message("f9beb4d9", "ver\0ion")).ask(&TCP), Opinion::No);
        let mut long = message("c0c0c0c0", "inv");
        long[19] = 0x7f;
        assert_eq!(Talk::tcp().client(long).ask(&TCP), Opinion::No);
    }
}
