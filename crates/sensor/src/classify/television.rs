//! Peer-to-peer television: PPStream and iQIYI, PPLive, SopCast, TVAnts, Zattoo.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::{array, be32, byte, contains, le16};
use crate::view::{FlowView, Way};

/// Their datagrams.
pub(crate) const UDP: Classifier = Classifier {
    name: "television-udp",
    applications: &["iqiyi", "pplive", "sopcast", "tvants"],
    looks_for: "PPStream messages of exactly their length and kind, and the fixed beginnings of PPLive, SopCast and TVAnts",
    over: Over::Udp,
    inside: Inside::PLAIN,
    classify: classify_udp,
    follow: None,
};

/// Their control over TCP.
pub(crate) const TCP: Classifier = Classifier {
    name: "television-tcp",
    applications: &["sopcast", "tvants", "zattoo"],
    looks_for: "Zattoo's front door, or TVAnts' messages with its name",
    over: Over::Tcp,
    inside: Inside::PLAIN.and(Inside::HTTP),
    classify: classify_tcp,
    follow: None,
};

fn classify_udp(view: &FlowView) -> Opinion {
    let Some(piece) = view.pieces.first() else { return Opinion::NeedMore };
    let Some(bytes) = view.bytes_of(piece) else { return Opinion::No };
    let len = piece.len as usize;
    if is_ppstream(bytes, len) {
        return Opinion::payload("iqiyi", "PPStream message");
    }
    match bytes.first() {
        // PPLive: a fixed head, kind and version.
        Some(0xe9)
            if array::<3>(bytes, 0) == Some([0xe9, 0x03, 0x41]) || array::<3>(bytes, 0) == Some([0xe9, 0x03, 0x42]) =>
        {
            if be32(bytes, 4) == Some(0x98ab_0102) {
                Opinion::payload("pplive", "PPLive message")
            } else {
                Opinion::No
            }
        }
        Some(0xff | 0) if is_sopcast(bytes, len) => Opinion::payload("sopcast", "SopCast message"),
        Some(0x04) if is_tvants(bytes, len) => Opinion::payload("tvants", "TVAnts message"),
        _ => Opinion::No,
    }
}

/// A message of PPStream, which iQIYI has taken over: its length (in newer clients after two bytes more),
/// its kind, and what the kind asks for.
fn is_ppstream(bytes: &[u8], len: usize) -> bool {
    for at in [0, 2] {
        let Some(length) = le16(bytes, at).map(usize::from) else { return false };
        if length != len && length + 4 != len {
            continue;
        }
        let message = bytes.get(at..).unwrap_or_default();
        let noughts =
            |range: std::ops::Range<usize>| message.get(range).is_some_and(|bytes| bytes.iter().all(|&byte| byte == 0));
        let is = match array::<3>(message, 2) {
            // Peers known to each other, by number, and the sender's own address.
            Some([0x44, 0xb1, 0x71]) => noughts(13..15) && byte(message, 15) == Some(1) && noughts(16..17),
            // Pieces of what a hash of twenty bytes names.
            Some([0x44 | 0x55, 0x72..=0x75, 0x17 | 0x71]) => byte(message, 21) == Some(20) && noughts(15..21),
            Some([0x43, _, _]) => {
                byte(message, 5) == Some(0xff) && noughts(6..7) && byte(message, 7) == Some(1) && noughts(8..15)
            }
            _ => false,
        };
        if is {
            return true;
        }
    }
    false
}

/// A message of SopCast: whom it is for, then kind, flags, and its length from there on, with noughts.
fn is_sopcast(bytes: &[u8], len: usize) -> bool {
    let Some([first, second, version, ..]) = array::<8>(bytes, 0) else { return false };
    let Some([kind, flags, high, low, noughts @ ..]) = array::<6>(bytes, 8) else { return false };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let addressed = (first == 0xff && second == 0xff) || (first == 0 && second != 0);
    // What lists programmes goes on with a second message.
    let sized = length + 8 == len || (length == 20 && matches!(len, 80 | 94));
    addressed
        && matches!(version, 1 | 2)
        && matches!(kind, 1..=3 | 6 | 0x0c)
        && matches!(flags, 0x01 | 0xff)
        && length >= 20
        && noughts == [0, 0]
        && sized
        // Past the header, the first of its words is small.
        && byte(bytes, 14) == Some(0)
}

/// TVAnts: version, kind, length, and its name.
fn is_tvants(bytes: &[u8], len: usize) -> bool {
    array::<4>(bytes, 0).is_some_and(|[version, low, kind, high]| version == 4 && low == 0 && kind <= 7 && high == 0)
        && le16(bytes, 4).map(usize::from) == Some(len)
        && contains(bytes, b"TVANTS", 128)
}

fn classify_tcp(view: &FlowView) -> Opinion {
    let bytes = view.first(Way::ToServer);
    if bytes.starts_with(b"GET /frontdoor/fd?brand=Zattoo&v=")
        || bytes.starts_with(b"GET /ZattooAdRedirect/redirect.jsp?user=")
    {
        return Opinion::payload("zattoo", "Zattoo's front door");
    }
    // It streams through a content network, under names of its own there.
    let streams = |host: &str| host.starts_with("zatto") && host.ends_with(".akamaihd.net");
    if view.names.host.as_deref().is_some_and(streams) {
        return Opinion::payload("zattoo", "Zattoo over HTTP");
    }
    // Its own stream: both sides begin with the version of its messages.
    if bytes.len() > 50 && bytes.starts_with(&[0x03, 0x04, 0x00, 0x04, 0x0a, 0x00]) {
        let answered = view.first(Way::ToClient);
        return match (answered.len(), answered.starts_with(&[0x03, 0x04])) {
            (51.., true) => Opinion::payload("zattoo", "Zattoo stream"),
            (0..=50, _) if view.heard < 6 => Opinion::NeedMore,
            _ => Opinion::No,
        };
    }
    if byte(bytes, 0) == Some(4) && is_tvants(bytes, view.pieces.first().map_or(0, |piece| piece.len as usize)) {
        return Opinion::payload("tvants", "TVAnts message");
    }
    Opinion::No
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Talk, hex};
    use super::*;

    #[test]
    fn ppstream_of_both_ages() {
        let noughts = |bytes: usize| "00".repeat(bytes);
        let old = hex(&format!("580055727100000000c766e73607{}14{}", noughts(7), "ab".repeat(66)));
        assert_eq!((old.len(), Talk::udp().client(&old).named(&UDP)), (88, Some("iqiyi")));
        let new = hex(&format!("1c4087004474717aa4f82bb73007f46b02{}14{}", noughts(6), "cd".repeat(111)));
        assert_eq!((new.len(), Talk::udp().client(&new).named(&UDP)), (135, Some("iqiyi")));
        let peers = hex(
            "340044b171eb10b5d60c9a17bd0000010002000000c0a87308095903d22f0c13ca83ca83d22f0c14ca83ca83722f5b8130583058",
        );
        assert_eq!(Talk::udp().client(&peers).named(&UDP), Some("iqiyi"));
        assert_eq!(Talk::udp().client([&peers[..], &[0]].concat()).ask(&UDP), Opinion::No);
    }

    #[test]
    fn others() {
        assert_eq!(Talk::udp().client(hex("e9034101 98ab0102 00")).named(&UDP), Some("pplive"));
        assert_eq!(Talk::udp().client(hex("e9034101 98ab0103 00")).named(&UDP), None);
        let sopcast = [&hex("ffff01 0000000000 02ff002c00000000")[..], &[0; 36]].concat();
        assert_eq!(Talk::udp().client(&sopcast).named(&UDP), Some("sopcast"));
        assert_eq!(Talk::udp().client(&sopcast[..51]).named(&UDP), None);
        let listed = [&hex("0002010703000000 06010022 00000000")[..], &[9; 26]].concat();
        assert_eq!(Talk::udp().client(&listed).named(&UDP), Some("sopcast"));
        let tvants = [&hex("04000500 4000")[..], &[0; 42], b"TVANTSxx", &[0; 8]].concat();
        assert_eq!(Talk::udp().client(&tvants).named(&UDP), Some("tvants"));
        assert_eq!(Talk::tcp().client("GET /frontdoor/fd?brand=Zattoo&v=3").named(&TCP), Some("zattoo"));
    }
}
