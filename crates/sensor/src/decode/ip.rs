//! IPv4 (RFC 791) and IPv6 (RFC 8200) headers, options and extension headers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{MOST_EXTENSIONS, USUAL_EXTENSIONS, be16};
use crate::anomaly::{Anomalies, Anomaly};

/// What is kept of an IP header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    /// Protocol above, after extension headers.
    pub(super) protocol: u8,
    pub(super) ttl: u8,
    /// Length of what is carried, as the header says.
    pub(super) carried: u32,
}

/// An IP packet: whole, or a part of one.
pub(super) enum Packet<'a> {
    Whole(Header, &'a [u8]),
    Fragment(Fragment<'a>),
}

/// A fragment with its bytes.
pub(super) struct Fragment<'a> {
    pub(super) header: Header,
    pub(super) part: FragmentPart,
    pub(super) bytes: &'a [u8],
}

/// Where a fragment belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct FragmentPart {
    /// Identification.
    pub(super) id: u32,
    /// Offset in bytes.
    pub(super) offset: u32,
    /// More are to come.
    pub(super) more: bool,
    /// Captured to its end.
    pub(super) complete: bool,
}

/// Reads either version. `None` for what is not IP, with the reason in `odd` where it ought to be.
pub(super) fn read<'a>(bytes: &'a [u8], odd: &mut Anomalies) -> Option<Packet<'a>> {
    match bytes.first()? >> 4 {
        4 => v4(bytes, odd),
        6 => v6(bytes, odd),
        _ => None,
    }
}

#[inline]
pub(super) fn v4<'a>(bytes: &'a [u8], odd: &mut Anomalies) -> Option<Packet<'a>> {
    let Some(fixed) = bytes.first_chunk::<20>() else {
        odd.add(Anomaly::HeaderTruncated);
        return None;
    };
    let header_len = usize::from(fixed[0] & 0x0f) * 4;
    if header_len < 20 {
        odd.add(Anomaly::HeaderTruncated);
        return None;
    }
    if header_len > 20 {
        match bytes.get(20..header_len) {
            Some(options) if options_add_up(options) => {}
            Some(_) => odd.add(Anomaly::OptionsMalformed),
            None => {
                odd.add(Anomaly::HeaderTruncated);
                return None;
            }
        }
    }
    // 0 is what segmentation offload leaves: the frame's own length counts.
    let total = match usize::from(u16::from_be_bytes([fixed[2], fixed[3]])) {
        0 => bytes.len(),
        total if total < header_len => {
            odd.add(Anomaly::IpLength);
            return None;
        }
        total => total,
    };
    let carried = &bytes[header_len..total.min(bytes.len())];
    let [a, b, c, d] = [fixed[12], fixed[13], fixed[14], fixed[15]];
    let [e, f, g, h] = [fixed[16], fixed[17], fixed[18], fixed[19]];
    let header = Header {
        src: IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        dst: IpAddr::V4(Ipv4Addr::new(e, f, g, h)),
        protocol: fixed[9],
        ttl: fixed[8],
        carried: (total - header_len) as u32,
    };
    let fragment = u16::from_be_bytes([fixed[6], fixed[7]]);
    let (more, offset) = (fragment & 0x2000 != 0, u32::from(fragment & 0x1fff) * 8);
    if !more && offset == 0 {
        return Some(Packet::Whole(header, carried));
    }
    let part = FragmentPart {
        id: u32::from(u16::from_be_bytes([fixed[4], fixed[5]])),
        offset,
        more,
        complete: total <= bytes.len(),
    };
    Some(Packet::Fragment(Fragment { header, part, bytes: carried }))
}

/// Whether a list of IPv4 or TCP options ends where it says.
pub(super) fn options_add_up(mut options: &[u8]) -> bool {
    loop {
        match options {
            [] | [0, ..] => return true,
            [1, rest @ ..] => options = rest,
            [_, length, ..] if *length >= 2 => match options.get(usize::from(*length)..) {
                Some(rest) => options = rest,
                None => return false,
            },
            _ => return false,
        }
    }
}

fn v6<'a>(bytes: &'a [u8], odd: &mut Anomalies) -> Option<Packet<'a>> {
    let Some(fixed) = bytes.first_chunk::<40>() else {
        odd.add(Anomaly::HeaderTruncated);
        return None;
    };
    let address =
        |at: usize| -> Option<IpAddr> { Some(IpAddr::V6(Ipv6Addr::from(*bytes.get(at..)?.first_chunk::<16>()?))) };
    // 0 is a jumbogram or what offload leaves: the frame's own length counts.
    let total = match usize::from(u16::from_be_bytes([fixed[4], fixed[5]])) {
        0 => bytes.len(),
        length => 40 + length,
    };
    let complete = total <= bytes.len();
    let mut rest = &bytes[40..total.min(bytes.len())];
    let mut left = total - 40;
    let mut header = Header { src: address(8)?, dst: address(24)?, protocol: fixed[6], ttl: fixed[7], carried: 0 };
    for count in 0..MOST_EXTENSIONS {
        if count == USUAL_EXTENSIONS {
            odd.add(Anomaly::ExtensionHeaders);
        }
        let length = match header.protocol {
            // Hop-by-hop, routing, destination options, mobility, HIP, shim6: length in units of eight bytes.
            0 | 43 | 60 | 135 | 139 | 140 => (usize::from(*rest.get(1)?) + 1) * 8,
            // Authentication header: units of four, minus two (RFC 4302).
            51 => (usize::from(*rest.get(1)?) + 2) * 4,
            44 => {
                let (Some(offset), Some(id)) = (be16(rest, 2), super::be32(rest, 4)) else {
                    odd.add(Anomaly::HeaderTruncated);
                    return None;
                };
                let next = *rest.first()?;
                let (more, offset) = (offset & 1 != 0, u32::from(offset & 0xfff8));
                rest = rest.get(8..)?;
                left = left.saturating_sub(8);
                header.protocol = next;
                if !more && offset == 0 {
                    // An atomic fragment is a whole datagram (RFC 6946).
                    continue;
                }
                header.carried = left as u32;
                return Some(Packet::Fragment(Fragment {
                    header,
                    part: FragmentPart { id, offset, more, complete },
                    bytes: rest,
                }));
            }
            _ => {
                header.carried = left as u32;
                return Some(Packet::Whole(header, rest));
            }
        };
        header.protocol = *rest.first()?;
        let Some(after) = rest.get(length..) else {
            odd.add(Anomaly::HeaderTruncated);
            return None;
        };
        rest = after;
        left = left.saturating_sub(length);
    }
    None
}

/// Walks extension headers at the front of a datagram that was put together from fragments (IPv6 allows
/// destination options there), and tells the transport's protocol and bytes.
pub(super) fn past_extensions(mut protocol: u8, mut bytes: &[u8]) -> Option<(u8, &[u8])> {
    for _ in 0..MOST_EXTENSIONS {
        let length = match protocol {
            0 | 43 | 60 | 135 | 139 | 140 => (usize::from(*bytes.get(1)?) + 1) * 8,
            51 => (usize::from(*bytes.get(1)?) + 2) * 4,
            _ => return Some((protocol, bytes)),
        };
        protocol = *bytes.first()?;
        bytes = bytes.get(length..)?;
    }
    None
}
