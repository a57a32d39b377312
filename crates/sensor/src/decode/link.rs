//! Link layers: what a frame begins with, down to IP.

use super::{Around, MOST_LABELS, MOST_VLANS, Next, be16, be32};
use crate::anomaly::{Anomalies, Anomaly};
use crate::capture::LinkType;

pub(super) const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// Frames by link type (<https://www.tcpdump.org/linktypes.html>). `None` where no IP can be inside.
pub(super) fn frame<'a>(link: LinkType, bytes: &'a [u8], odd: &mut Anomalies) -> Option<Next<'a>> {
    match link.0 {
        1 => Some(Next::Ether(be16(bytes, 12)?, bytes.get(14..)?)),
        // NULL and LOOP: the address family in somebody's byte order, which IP's version tells better.
        0 | 108 => Some(Next::Ip(bytes.get(4..)?)),
        12 | 14 | 101 | 228 | 229 => Some(Next::Ip(bytes)),
        9 | 50 => ppp_link(bytes),
        51 => Some(Next::Ether(0x8864, bytes)),
        // Cisco HDLC.
        104 => Some(Next::Ether(be16(bytes, 2)?, bytes.get(4..)?)),
        105 => wifi(bytes),
        127 => {
            let length = usize::from(u16::from_le_bytes(*bytes.get(2..)?.first_chunk()?));
            wifi(bytes.get(length..)?)
        }
        // Linux cooked, v1; v2 is below.
        113 => Some(Next::Ether(be16(bytes, 14)?, bytes.get(16..)?)),
        // Per-Packet Information: a length, and the link type it stands before.
        192 => {
            let le16 = |at: usize| Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
            let inner = LinkType(le16(4)?);
            let rest = bytes.get(usize::from(le16(2)?)..)?;
            (inner.0 != 192).then_some(Next::Link(inner, rest))
        }
        239 => nflog(bytes),
        276 => Some(Next::Ether(be16(bytes, 0)?, bytes.get(20..)?)),
        _ => {
            odd.add(Anomaly::LinkTypeUnknown);
            None
        }
    }
}

/// What an EtherType names: IP, tags around it, or nothing of interest.
pub(super) fn ether<'a>(kind: u16, bytes: &'a [u8], around: &mut Around, odd: &mut Anomalies) -> Option<Next<'a>> {
    match kind {
        IPV4 | IPV6 => Some(Next::Ip(bytes)),
        // 802.1Q, 802.1ad, and what was used before that.
        0x8100 | 0x88a8 | 0x9100 | 0x9200 => {
            if around.vlan_count == MOST_VLANS {
                odd.add(Anomaly::VlanDepth);
                return None;
            }
            if let Some(vlan) = around.vlans.get_mut(around.vlan_count) {
                *vlan = be16(bytes, 0)? & 0x0fff;
            }
            around.vlan_count += 1;
            Some(Next::Ether(be16(bytes, 2)?, bytes.get(4..)?))
        }
        0x8847 | 0x8848 => Some(Next::Mpls(bytes)),
        // PPPoE session: version and type, code 0, session, length (RFC 2516).
        0x8864 => {
            if bytes.first() != Some(&0x11) || bytes.get(1) != Some(&0) {
                return None;
            }
            ppp_frame(bytes.get(6..)?)
        }
        // 802.3 length: LLC with SNAP.
        ..=0x05dc => match bytes {
            [0xaa, 0xaa, 0x03, 0, 0, 0, rest @ ..] => Some(Next::Ether(be16(rest, 0)?, rest.get(2..)?)),
            [0x06, 0x06, 0x03, rest @ ..] => Some(Next::Ip(rest)),
            _ => None,
        },
        _ => None,
    }
}

/// PPP, in HDLC framing or without.
pub(super) fn ppp_link(bytes: &[u8]) -> Option<Next<'_>> {
    match bytes {
        [0xff, 0x03, rest @ ..] => ppp_frame(rest),
        [0x0f | 0x8f, 0x00, rest @ ..] => Some(Next::Ether(be16(rest, 0)?, rest.get(2..)?)),
        _ => ppp_frame(bytes),
    }
}

/// A PPP protocol number, one byte or two (RFC 1661).
pub(super) fn ppp_frame(bytes: &[u8]) -> Option<Next<'_>> {
    match bytes {
        [first, rest @ ..] if first & 1 == 1 => Some(Next::Ppp(u16::from(*first), rest)),
        [_, _, rest @ ..] => Some(Next::Ppp(be16(bytes, 0)?, rest)),
        _ => None,
    }
}

pub(super) fn ppp(protocol: u16, bytes: &[u8]) -> Option<Next<'_>> {
    match protocol {
        0x0021 | 0x0057 => Some(Next::Ip(bytes)),
        0x0281 | 0x0283 => Some(Next::Mpls(bytes)),
        _ => None,
    }
}

/// A label stack, then IP, or Ethernet behind a control word (pseudowire, RFC 4448).
pub(super) fn mpls(bytes: &[u8]) -> Option<Next<'_>> {
    let mut rest = bytes;
    for _ in 0..MOST_LABELS {
        let label = be32(rest, 0)?;
        rest = rest.get(4..)?;
        if label & 0x100 != 0 {
            return match rest.first()? >> 4 {
                4 | 6 => Some(Next::Ip(rest)),
                0 => Some(Next::Link(LinkType(1), rest.get(4..)?)),
                _ => None,
            };
        }
    }
    None
}

/// Linux's NFLOG: the address family, then attributes, one of which is the packet.
fn nflog(bytes: &[u8]) -> Option<Next<'_>> {
    let mut rest = bytes.get(4..)?;
    // Attributes are few; a packet of nothing but empty ones ends here.
    for _ in 0..32 {
        let le16 = |at: usize| Some(u16::from_le_bytes(*rest.get(at..)?.first_chunk()?));
        let (length, kind) = (usize::from(le16(0)?), le16(2)?);
        let value = rest.get(4..length.max(4))?;
        if kind & 0x7fff == 9 {
            return Some(Next::Ip(value));
        }
        rest = rest.get(length.max(4).next_multiple_of(4)..)?;
    }
    None
}

/// Unencrypted 802.11 data frames.
fn wifi(bytes: &[u8]) -> Option<Next<'_>> {
    let [control, flags, ..] = *bytes else { return None };
    if control & 0x0c != 0x08 || flags & 0x40 != 0 || control & 0x40 != 0 {
        return None;
    }
    let mut header = 24;
    if flags & 0x03 == 0x03 {
        header += 6;
    }
    if control & 0x80 != 0 {
        header += 2;
    }
    match bytes.get(header..)? {
        [0xaa, 0xaa, 0x03, 0, 0, 0, rest @ ..] => Some(Next::Ether(be16(rest, 0)?, rest.get(2..)?)),
        _ => None,
    }
}
