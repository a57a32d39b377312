//! Tunnels: what an IP packet may carry inside, entered only where the inside adds up.

use super::ip::Header;
use super::{Next, be16, link};
use crate::capture::LinkType;

/// EtherType of bridged Ethernet in GRE and Geneve.
const BRIDGED: u16 = 0x6558;

/// The inside of a tunnel; `None` where the packet is the conversation itself.
pub(super) fn inside<'a>(header: &Header, bytes: &'a [u8]) -> Option<Next<'a>> {
    // What the capture cut off.
    let missing = (header.carried as usize).saturating_sub(bytes.len());
    match header.protocol {
        6 => None,
        17 => udp(bytes, missing),
        // IP in IP (RFC 2003), 6in4 (RFC 4213) and their kin.
        4 | 41 => ip_adds_up(bytes, false).then_some(Next::Ip(bytes)),
        47 => gre(bytes, missing),
        // EtherIP (RFC 3378).
        97 if bytes.first()? >> 4 == 3 => ethernet(bytes.get(2..)?),
        // MPLS in IP (RFC 4023).
        137 => labelled(bytes, missing),
        _ => None,
    }
}

/// GRE (RFC 2784, 2890), its PPTP variant (RFC 2637), ERSPAN types I to III.
fn gre(bytes: &[u8], missing: usize) -> Option<Next<'_>> {
    let (flags, protocol) = (be16(bytes, 0)?, be16(bytes, 2)?);
    let has = |bit: u16| usize::from(flags & bit != 0) * 4;
    if flags & 7 == 1 {
        let rest = bytes.get(8 + has(0x1000) + has(0x0080)..)?;
        return if protocol == 0x880b { checked(link::ppp_link(rest)?) } else { None };
    }
    // Source routing (deprecated) has a length of its own.
    if flags & 7 != 0 || flags & 0x4000 != 0 {
        return None;
    }
    let rest = bytes.get(4 + has(0x8000) + has(0x2000) + has(0x1000)..)?;
    match protocol {
        BRIDGED => ethernet(rest),
        0x0800 | 0x86dd => ip_adds_up(rest, false).then_some(Next::Ip(rest)),
        // ERSPAN I has no header of its own and no sequence number; II has eight bytes.
        0x88be if flags & 0x1000 == 0 => ethernet(rest),
        0x88be => ethernet(rest.get(8..)?),
        0x22eb => {
            let extra = usize::from(rest.get(11)? & 1) * 8;
            ethernet(rest.get(12 + extra..)?)
        }
        // WCCP redirects (type and four bytes), with or without them.
        0x883e => {
            let rest = if rest.first()? >> 4 == 4 { rest } else { rest.get(4..)? };
            checked(Next::Ip(rest))
        }
        0x8847 | 0x8848 => labelled(rest, missing),
        0x8100 | 0x88a8 | 0x8864 => checked(Next::Ether(protocol, rest)),
        0x880b => checked(link::ppp_frame(rest.strip_prefix(&[0xff, 0x03]).unwrap_or(rest))?),
        _ => None,
    }
}

/// Tunnels over UDP, told by port and by an inside that adds up.
fn udp(bytes: &[u8], missing: usize) -> Option<Next<'_>> {
    let (src, dst) = (be16(bytes, 0)?, be16(bytes, 2)?);
    let inner = |port: u16| if dst == port || src == port { bytes.get(8..) } else { None };
    match (src, dst) {
        (_, 4789 | 8472) => vxlan(bytes.get(8..)?),
        (_, 4790) => vxlan_gpe(bytes.get(8..)?),
        (_, 6081) => geneve(bytes.get(8..)?),
        // MPLS in UDP (RFC 7510).
        (_, 6635) => labelled(bytes.get(8..)?, missing),
        (2152, _) | (_, 2152) => gtp(inner(2152)?),
        (3544, _) | (_, 3544) => teredo(inner(3544)?),
        (1701, _) | (_, 1701) => l2tp(inner(1701)?),
        _ => None,
    }
}

/// VXLAN (RFC 7348).
fn vxlan(bytes: &[u8]) -> Option<Next<'_>> {
    let [flags, 0, 0, 0, _, _, _, 0, frame @ ..] = bytes else { return None };
    if *flags == 8 { ethernet(frame) } else { None }
}

/// VXLAN-GPE: the last byte of the flags word names what is inside.
fn vxlan_gpe(bytes: &[u8]) -> Option<Next<'_>> {
    let [flags, 0, 0, protocol, _, _, _, 0, rest @ ..] = bytes else { return None };
    match protocol {
        1 | 2 if flags & 0x0c == 0x0c && ip_adds_up(rest, true) => Some(Next::Ip(rest)),
        3 if flags & 0x0c == 0x0c => ethernet(rest),
        _ => None,
    }
}

/// Geneve (RFC 8926).
fn geneve(bytes: &[u8]) -> Option<Next<'_>> {
    let first = *bytes.first()?;
    if first >> 6 != 0 {
        return None;
    }
    let rest = bytes.get(8 + usize::from(first & 0x3f) * 4..)?;
    match be16(bytes, 2)? {
        BRIDGED => ethernet(rest),
        0x0800 | 0x86dd if ip_adds_up(rest, true) => Some(Next::Ip(rest)),
        _ => None,
    }
}

/// GTP-U version 1, a G-PDU (3GPP TS 29.281).
fn gtp(bytes: &[u8]) -> Option<Next<'_>> {
    let [flags, 0xff, ..] = bytes else { return None };
    if flags & 0xf0 != 0x30 {
        return None;
    }
    let mut at = 8;
    if flags & 7 != 0 {
        let mut next = *bytes.get(11)?;
        at = 12;
        // Extension headers, in units of four bytes, the last of which names the next.
        for _ in 0..8 {
            if flags & 4 == 0 || next == 0 {
                break;
            }
            let length = usize::from(*bytes.get(at)?) * 4;
            if length == 0 {
                return None;
            }
            next = *bytes.get(at + length - 1)?;
            at += length;
        }
    }
    let rest = bytes.get(at..)?;
    ip_adds_up(rest, true).then_some(Next::Ip(rest))
}

/// Teredo (RFC 4380): IPv6, perhaps behind an authentication header and an origin.
fn teredo(mut bytes: &[u8]) -> Option<Next<'_>> {
    if let [0, 1, client, auth, ..] = *bytes {
        bytes = bytes.get(4 + usize::from(client) + usize::from(auth) + 9..)?;
    }
    if let [0, 0, rest @ ..] = bytes {
        bytes = rest.get(6..)?;
    }
    (bytes.first()? >> 4 == 6 && ip_adds_up(bytes, true)).then_some(Next::Ip(bytes))
}

/// L2TP version 2 data (RFC 2661) with PPP and IP inside.
fn l2tp(bytes: &[u8]) -> Option<Next<'_>> {
    let flags = be16(bytes, 0)?;
    if flags & 0x800f != 0x0002 {
        return None;
    }
    let has = |bit: u16, size: usize| if flags & bit != 0 { size } else { 0 };
    let mut at = 2 + has(0x4000, 2) + 4 + has(0x0800, 4);
    if flags & 0x0200 != 0 {
        at += 2 + usize::from(be16(bytes, at)?);
    }
    let rest = bytes.get(at..)?;
    let rest = rest.strip_prefix(&[0xff, 0x03]).unwrap_or(rest);
    match rest {
        [0, 0x21 | 0x57, ip @ ..] | [0x21 | 0x57, ip @ ..] if ip_adds_up(ip, true) => Some(Next::Ip(ip)),
        _ => None,
    }
}

/// An Ethernet frame that carries something known.
fn ethernet(bytes: &[u8]) -> Option<Next<'_>> {
    checked(Next::Link(LinkType::ETHERNET, bytes))
}

/// What comes next, if it adds up as far as one look tells.
fn checked(next: Next<'_>) -> Option<Next<'_>> {
    let adds_up = match next {
        Next::Link(_, frame) => frame_adds_up(frame),
        Next::Ether(kind, bytes) => ether_adds_up(kind, bytes),
        Next::Ppp(protocol, bytes) => matches!(protocol, 0x0021 | 0x0057) && ip_adds_up(bytes, false),
        Next::Ip(bytes) => ip_adds_up(bytes, false),
        Next::Mpls(_) | Next::Carried(..) => false,
    };
    adds_up.then_some(next)
}

/// An MPLS stack, known by what is below its bottom: a frame, or an IP packet of just the length that is left.
fn labelled(bytes: &[u8], missing: usize) -> Option<Next<'_>> {
    let adds_up = match link::mpls(bytes)? {
        Next::Ip(packet) => ip_total(packet) == Some(packet.len() + missing),
        Next::Link(_, frame) => frame_adds_up(frame),
        _ => false,
    };
    adds_up.then_some(Next::Mpls(bytes))
}

/// Whether this could be an Ethernet frame that carries something known.
fn frame_adds_up(bytes: &[u8]) -> bool {
    match (be16(bytes, 12), bytes.get(14..)) {
        (Some(kind), Some(rest)) => ether_adds_up(kind, rest),
        _ => false,
    }
}

/// Whether this begins as its EtherType (or 802.3 length) says, without looking further in.
fn ether_adds_up(kind: u16, bytes: &[u8]) -> bool {
    match kind {
        0x0800 | 0x86dd => ip_adds_up(bytes, false),
        // ARP for IPv4 over Ethernet.
        0x0806 => bytes.starts_with(&[0, 1, 8, 0, 6, 4]),
        0x8100 | 0x88a8 => matches!(
            be16(bytes, 2),
            Some(0x0800 | 0x0806 | 0x86dd | 0x8100 | 0x88a8 | 0x8847 | 0x8848 | 0x8864 | ..=0x05dc)
        ),
        0x8847 | 0x8848 => link::mpls(bytes).is_some(),
        0x8864 => bytes.starts_with(&[0x11, 0]),
        ..=0x05dc => usize::from(kind) <= bytes.len(),
        _ => false,
    }
}

/// Whether this begins like an IP packet; `strictly`, of just this length (unless it was cut off by the capture).
fn ip_adds_up(bytes: &[u8], strictly: bool) -> bool {
    ip_total(bytes).is_some_and(|total| !strictly || total >= bytes.len())
}

/// The length that what begins like an IP packet says it has.
fn ip_total(bytes: &[u8]) -> Option<usize> {
    let (header, total) = match bytes.first()? >> 4 {
        4 => (usize::from(bytes.first()? & 0x0f) * 4, usize::from(be16(bytes, 2)?)),
        6 => (40, 40 + usize::from(be16(bytes, 4)?)),
        _ => return None,
    };
    (header >= 20 && bytes.len() >= header).then_some(total)
}
