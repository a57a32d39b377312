//! Ethereum's devp2p: node discovery (version 4) and RLPx. Discovery version 5 is masked with the id of the
//! node it is sent to, and can't be told without knowing it.

use super::secp256k1::is_point;
use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::{array, byte};
use crate::view::{FlowView, Way};

const ID: &str = "ethereum";

/// Node discovery.
pub(crate) const UDP: Classifier = Classifier {
    name: "ethereum-discovery",
    applications: &[ID],
    looks_for: "discovery packets: hash, signature, kind, and a list of what the kind asks for that ends with the packet",
    over: Over::Udp,
    inside: Inside::PLAIN,
    classify: classify_udp,
    follow: None,
};

/// Nodes' connections.
pub(crate) const TCP: Classifier = Classifier {
    name: "ethereum-rlpx",
    applications: &[ID],
    looks_for: "RLPx's key exchange: a first message of exactly the size it says, with a point of Ethereum's curve",
    over: Over::Tcp,
    inside: Inside::PLAIN,
    classify: classify_tcp,
    follow: None,
};

/// Where the kind stands in a discovery packet: after the hash and the signature.
const KIND: usize = 97;
/// The size of RLPx's first message, from the smallest to what padding makes of it (EIP-8).
const SIZES: std::ops::RangeInclusive<usize> = 260..=1024;
/// Its size before it said so.
const OLD_AUTH: usize = 307;

fn classify_udp(view: &FlowView) -> Opinion {
    let Some(piece) = view.pieces.first() else { return Opinion::NeedMore };
    let Some(bytes) = view.bytes_of(piece) else { return Opinion::No };
    // The signature ends with which of two keys it is for.
    if piece.len as usize != bytes.len() || bytes.len() > 1280 || !matches!(byte(bytes, KIND - 1), Some(0 | 1)) {
        return Opinion::No;
    }
    let (Some(kind), Some(list)) = (byte(bytes, KIND), bytes.get(KIND + 1..).and_then(list)) else {
        return Opinion::No;
    };
    let mut items = Items(list);
    let right = match kind {
        // Ping: version 4, who, to whom, until when.
        1 => {
            items.next() == Some(Item::Bytes(b"\x04")) && items.is_endpoint() && items.is_endpoint() && items.is_time()
        }
        // Pong: to whom, hash of the ping, until when.
        2 => items.is_endpoint() && items.is_hash(32) && items.is_time(),
        // Who is near a key of 64 bytes.
        3 => items.is_hash(64) && items.is_time(),
        4 => items.next().is_some_and(|nodes| matches!(nodes, Item::List(_))) && items.is_time(),
        // Asking for a record, and the record.
        5 => items.is_time(),
        6 => items.is_hash(32) && items.next().is_some_and(|record| matches!(record, Item::List(_))),
        _ => false,
    };
    if right { Opinion::payload(ID, "Ethereum node discovery") } else { Opinion::No }
}

/// One RLP item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item<'a> {
    Bytes(&'a [u8]),
    List(&'a [u8]),
}

/// The items of an RLP list.
struct Items<'a>(&'a [u8]);

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        let (item, rest) = item(self.0)?;
        self.0 = rest;
        Some(item)
    }
}

impl Items<'_> {
    /// An address, a UDP port and a TCP port.
    fn is_endpoint(&mut self) -> bool {
        let Some(Item::List(inner)) = self.next() else { return false };
        let mut parts = Items(inner);
        let address = matches!(parts.next(), Some(Item::Bytes(ip)) if matches!(ip.len(), 0 | 4 | 16));
        let port = |part| matches!(part, Some(Item::Bytes(port)) if port.len() <= 2);
        address && port(parts.next()) && port(parts.next())
    }

    fn is_hash(&mut self, size: usize) -> bool {
        matches!(self.next(), Some(Item::Bytes(hash)) if hash.len() == size)
    }

    /// Seconds since 1970, from 2015 on.
    fn is_time(&mut self) -> bool {
        matches!(self.next(), Some(Item::Bytes([first, _, _, _])) if *first >= 0x55)
    }
}

/// The inside of the list that the bytes are, to their end.
fn list(bytes: &[u8]) -> Option<&[u8]> {
    match item(bytes)? {
        (Item::List(inner), []) => Some(inner),
        _ => None,
    }
}

fn item(bytes: &[u8]) -> Option<(Item<'_>, &[u8])> {
    let (&head, rest) = bytes.split_first()?;
    let sized = |rest: &'_ [u8], digits: u8| -> Option<(usize, usize)> {
        let digits = usize::from(digits);
        let size =
            rest.get(..digits).filter(|_| digits <= 2)?.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte));
        Some((digits, size))
    };
    let (skip, size, is_list) = match head {
        0..=0x7f => return bytes.split_at_checked(1).map(|(one, rest)| (Item::Bytes(one), rest)),
        0x80..=0xb7 => (0, usize::from(head - 0x80), false),
        0xb8..=0xbf => sized(rest, head - 0xb7).map(|(digits, size)| (digits, size, false))?,
        0xc0..=0xf7 => (0, usize::from(head - 0xc0), true),
        0xf8..=0xff => sized(rest, head - 0xf7).map(|(digits, size)| (digits, size, true))?,
    };
    let (inner, after) = rest.get(skip..)?.split_at_checked(size)?;
    Some((if is_list { Item::List(inner) } else { Item::Bytes(inner) }, after))
}

fn classify_tcp(view: &FlowView) -> Opinion {
    let asked = view.first(Way::ToServer);
    let Some([first, second, third]) = array::<3>(asked, 0) else {
        return if view.first(Way::ToClient).is_empty() { Opinion::NeedMore } else { Opinion::No };
    };
    let sized = usize::from(u16::from_be_bytes([first, second])) + 2;
    // The size is followed by an uncompressed point; without a size the point comes first.
    let (at, size) = match (first, third) {
        (_, 4) if SIZES.contains(&sized) => (3, sized),
        (4, _) => (1, OLD_AUTH),
        _ => return Opinion::No,
    };
    let turn = view.pieces.iter().take_while(|piece| piece.way == Way::ToServer);
    let said = turn.map(|piece| piece.len as usize).fold(0, usize::saturating_add);
    if said > size || view.midstream {
        return Opinion::No;
    }
    let (Some(x), Some(y)) = (array::<32>(asked, at), array::<32>(asked, at + 32)) else {
        return if view.heard < 6 { Opinion::NeedMore } else { Opinion::No };
    };
    if !is_point(&x, &y) {
        return Opinion::No;
    }
    match said == size {
        true => Opinion::payload(ID, "RLPx key exchange"),
        false if view.heard < 6 => Opinion::NeedMore,
        false => Opinion::No,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Talk, hex};
    use super::*;

    fn packet(kind: u8, content: &str) -> Vec<u8> {
        let content = hex(content);
        let list = if content.len() < 56 { vec![0xc0 + content.len() as u8] } else { vec![0xf8, content.len() as u8] };
        [&[7; 96][..], &[1, kind], &list, &content].concat()
    }

    #[test]
    fn discovery() {
        let ping = packet(1, "04 cb 84c0000201 82765f 82765f cb 84c0000202 82765f 82765f 8463000000");
        let pong = packet(2, &format!("cb 84c0000201 82765f 82765f a0{} 8463000000", "ab".repeat(32)));
        let find = packet(3, &format!("b840{} 8463000000", "cd".repeat(64)));
        for datagram in [&ping, &pong, &find] {
            assert_eq!(Talk::udp().client(datagram).named(&UDP), Some(ID));
            assert_eq!(Talk::udp().client([&datagram[..], &[0]].concat()).ask(&UDP), Opinion::No);
        }
        let mut other = ping;
        other[96] = 2;
        assert_eq!(Talk::udp().client(&other).ask(&UDP), Opinion::No);
        assert_eq!(Talk::udp().client(packet(3, "8463000000")).ask(&UDP), Opinion::No);
    }

    #[test]
    fn key_exchange() {
        // The curve's generator does for a key.
        let point = hex("04 79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798
                483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8");
        let auth = [&480u16.to_be_bytes()[..], &point, &[9; 480 - 65]].concat();
        assert_eq!(Talk::tcp().client(&auth).named(&TCP), Some(ID));
        assert_eq!(Talk::tcp().client(&auth[..300]).ask(&TCP), Opinion::NeedMore);
        assert_eq!(Talk::tcp().client([&auth[..], &[9]].concat()).ask(&TCP), Opinion::No);
        assert_eq!(Talk::tcp().client([&point[..], &[9; OLD_AUTH - 65]].concat()).named(&TCP), Some(ID));
        let mut other = auth;
        other[40] ^= 1;
        assert_eq!(Talk::tcp().client(&other).ask(&TCP), Opinion::No);
    }
}
