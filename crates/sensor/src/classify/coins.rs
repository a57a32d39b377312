//! Other currencies' nodes: Monero (Levin) and Nano.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::{array, byte, contains, le16, le32};
use crate::view::{FlowView, Way};

/// Nodes over TCP.
pub(crate) const TCP: Classifier = Classifier {
    name: "coins-tcp",
    applications: &["monero", "nano"],
    looks_for: "Levin's signature with a command of Monero's, or Nano's header with versions in order",
    over: Over::Tcp,
    inside: Inside::PLAIN,
    classify: classify_tcp,
    follow: None,
};

/// Nano's nodes over UDP, as they spoke before version 22.
pub(crate) const UDP: Classifier = Classifier {
    name: "nano-udp",
    applications: &["nano"],
    looks_for: "Nano's header with versions in order and the size that its kind asks for",
    over: Over::Udp,
    inside: Inside::PLAIN,
    classify: classify_udp,
    follow: None,
};

/// Before every Levin message.
const LEVIN: &[u8] = &[0x01, 0x21, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01];

fn classify_tcp(view: &FlowView) -> Opinion {
    let mut waits = false;
    for way in [Way::ToServer, Way::ToClient] {
        let bytes = view.first(way);
        if bytes.starts_with(LEVIN) {
            return match le32(bytes, 17) {
                // Handshakes and the like, and blocks and transactions.
                Some(1001..=1010 | 2001..=2010) => Opinion::payload("monero", "Monero message"),
                Some(_) => Opinion::No,
                None => Opinion::NeedMore,
            };
        }
        if is_nano(bytes) && nano_size(bytes).is_some_and(|size| bytes.len() >= size) {
            return Opinion::payload("nano", "Nano message");
        }
        waits |= !bytes.is_empty() && (LEVIN.starts_with(bytes) || (is_nano(bytes) && view.heard < 4));
    }
    if waits { Opinion::NeedMore } else { Opinion::No }
}

fn classify_udp(view: &FlowView) -> Opinion {
    let Some(piece) = view.pieces.first() else { return Opinion::NeedMore };
    let bytes = view.bytes_of(piece).unwrap_or_default();
    if is_nano(bytes) && nano_size(bytes) == Some(piece.len as usize) {
        return Opinion::payload("nano", "Nano message");
    }
    Opinion::No
}

/// Nano's header: R, which network, versions (greatest, used, least), kind, extensions.
fn is_nano(bytes: &[u8]) -> bool {
    array::<6>(bytes, 0).is_some_and(|[r, network, most, used, least, kind]| {
        r == b'R'
            && matches!(network, b'A' | b'B' | b'C' | b'X')
            && least <= used
            && used <= most
            && least > 0
            && most < 0x40
            && kind <= 0x10
    })
}

/// The size of a message, where its kind and extensions fix it.
fn nano_size(bytes: &[u8]) -> Option<usize> {
    let flags = usize::from(le16(bytes, 6)?);
    let items = flags >> 12 & 0x0f;
    let content = match byte(bytes, 5)? {
        // Keep-alive: eight addresses with ports.
        2 => 8 * 18,
        // Bulk pull: account, block, and a count when flagged.
        6 => 64 + (flags & 1) * 8,
        8 => 40,
        9 => 56,
        // A node's id: a question, an answer of one of two shapes.
        0x0a => (flags & 1) * 32 + (flags >> 1 & 1) * if flags & 4 == 0 { 96 } else { 160 },
        0x0b => 65,
        0x0c => 0,
        // Votes asked for, by hash and root; published blocks and votes are as long as their kind.
        4 if flags >> 8 & 0x0f == 1 && items > 0 => items * 64,
        3 => match flags >> 8 & 0x0f {
            2 => 152,
            3 => 136,
            4 => 168,
            5 => 144,
            6 => 216,
            _ => return None,
        },
        5 if items > 0 => 104 + if flags >> 8 & 0x0f == 1 { items * 32 } else { 216 },
        _ => return None,
    };
    (content > 0 || byte(bytes, 5) == Some(0x0c)).then_some(8 + content)
}

/// Miners and the pools they work for.
pub(crate) const MINING: Classifier = Classifier {
    name: "mining",
    applications: &["mining"],
    looks_for: "Stratum's JSON: a miner that subscribes, logs in or submits, or a pool that hands out jobs",
    over: Over::Tcp,
    inside: Inside::PLAIN.and(Inside::HTTP),
    classify: mining,
    follow: None,
};

/// Methods that only mining has.
const METHODS: [&[u8]; 12] = [
    b"\"mining.subscribe\"",
    b"\"mining.authorize\"",
    b"\"mining.configure\"",
    b"\"mining.extranonce.subscribe\"",
    b"\"mining.submit\"",
    b"\"mining.notify\"",
    b"\"mining.set_difficulty\"",
    b"\"mining.set_target\"",
    b"\"mining.hello\"",
    b"\"eth_submitLogin\"",
    b"\"eth_submitWork\"",
    b"\"eth_submitHashrate\"",
];
/// How much of a message is searched.
const SEARCHED: usize = 2048;

fn mining(view: &FlowView) -> Opinion {
    let mut json = false;
    for way in [Way::ToServer, Way::ToClient] {
        let bytes = view.first(way);
        match bytes.first() {
            Some(b'{' | b'[') => json = true,
            Some(b'P' | b'G' | b'H')
                if contains(bytes, b"\r\nX-Mining-", SEARCHED) || contains(bytes, b"\r\nX-Stratum: ", SEARCHED) =>
            {
                return Opinion::payload("mining", "getwork over HTTP");
            }
            _ => continue,
        }
        if METHODS.iter().any(|method| contains(bytes, method, SEARCHED)) {
            return Opinion::payload("mining", "Stratum");
        }
        // Monero's dialect: log in with a wallet, get jobs of a blob and a target, submit nonces.
        let word = |word: &[u8]| contains(bytes, word, SEARCHED);
        let login = word(b"\"login\"")
            && word(b"\"method\"")
            && word(b"\"params\"")
            && (word(b"\"agent\"") || has_wallet(bytes));
        let job = word(b"\"job_id\"")
            && (word(b"\"blob\"") || word(b"\"nonce\"") || (word(b"\"target\"") && word(b"\"jsonrpc\"")));
        if login || job {
            return Opinion::payload("mining", "Stratum, Monero's dialect");
        }
        // Ethereum's: a worker asks for work.
        if word(b"\"eth_getWork\"") && (word(b"\"worker\"") || way == Way::ToServer) {
            return Opinion::payload("mining", "Stratum, Ethereum's dialect");
        }
    }
    if json && view.heard < 8 { Opinion::NeedMore } else { Opinion::No }
}

/// Whether somebody logs in as a wallet: a long word of letters and digits, perhaps with more after it.
fn has_wallet(bytes: &[u8]) -> bool {
    let bytes = bytes.get(..SEARCHED).unwrap_or(bytes);
    memchr::memmem::find_iter(bytes, b"\"login\"").any(|at| {
        let rest = bytes.get(at + 7..).unwrap_or_default().trim_ascii_start();
        let value = rest.strip_prefix(b":").map(<[u8]>::trim_ascii_start).and_then(|rest| rest.strip_prefix(b"\""));
        value.is_some_and(|value| value.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count() >= 30)
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Talk, hex};
    use super::*;
    use crate::names::AppProto;

    #[test]
    fn monero() {
        let handshake = hex("0121010101010101 0601000000000000 01 e9030000 00000000 01000000 01000000");
        assert_eq!(Talk::tcp().client(&handshake).named(&TCP), Some("monero"));
        assert_eq!(Talk::tcp().client(&handshake[..12]).ask(&TCP), Opinion::NeedMore);
        let mut other = handshake;
        other[17] = 0;
        assert_eq!(Talk::tcp().client(&other).ask(&TCP), Opinion::No);
    }

    #[test]
    fn nano() {
        let asks = [&hex("52431414120a0500")[..], &[7; 32]].concat();
        assert_eq!(Talk::tcp().client(&asks).named(&TCP), Some("nano"));
        assert_eq!(Talk::tcp().client(&asks[..20]).ask(&TCP), Opinion::NeedMore);
        let keeps = [&hex("5243141212020000")[..], &[7; 144]].concat();
        assert_eq!(Talk::udp().client(&keeps).named(&UDP), Some("nano"));
        assert_eq!(Talk::udp().client(&keeps[..151]).ask(&UDP), Opinion::No);
        assert_eq!(Talk::tcp().client("RCPT TO:<someone@example.org>\r\n").ask(&TCP), Opinion::No);
    }

    #[test]
    fn stratum() {
        for line in [
            r#"{"id":1,"method":"mining.subscribe","params":["EWBF 0.3.4b",null]}"#,
            r#"{"worker": "eth1.0", "jsonrpc": "2.0", "params": ["0x9c", "x"], "id": 2, "method": "eth_submitLogin"}"#,
            r#"{"method":"login","params":{"login":"4BCe","pass":"x","agent":"xmr-stak"},"id":1}"#,
            r#"{"id":1,"jsonrpc":"2.0","result":{"id":"4","job":{"blob":"0606","job_id":"72","target":"b88d0600"}}}"#,
        ] {
            assert_eq!(Talk::tcp().client(line).named(&MINING), Some("mining"), "{line}");
        }
        let login = r#"{"method":"login","params":{"user":"me","password":"x"}}"#;
        assert_eq!(Talk::tcp().client(login).last().named(&MINING), None);
        let login = r#"{"method":"login","params":{"login":"me","pass":"x"}}"#;
        assert_eq!(Talk::tcp().client(login).last().named(&MINING), None);
        let wallet =
            format!(r#"{{"method": "login", "params": {{"login": "{}.rig", "pass": "x"}}}}"#, "4BCe".repeat(20));
        assert_eq!(Talk::tcp().client(wallet).named(&MINING), Some("mining"));
        assert_eq!(Talk::tcp().client("mining.subscribe").ask(&MINING), Opinion::No);
        let getwork = "POST / HTTP/1.1\r\nHost: pool\r\nX-Mining-Extensions: longpoll\r\n\r\n";
        assert_eq!(Talk::tcp().inside(AppProto::Http).client(getwork).named(&MINING), Some("mining"));
    }
}
