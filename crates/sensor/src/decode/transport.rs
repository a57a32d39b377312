//! TCP, UDP and the rest, to the end of their headers; checksums when somebody asks.

use std::net::IpAddr;

use super::ip::{Header, options_add_up};
use super::{Around, Decoded, be16, be32};
use crate::anomaly::{Anomalies, Anomaly};

/// TCP flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub fn fin(self) -> bool {
        self.0 & 0x01 != 0
    }
    /// Opens a direction.
    pub fn syn(self) -> bool {
        self.0 & 0x02 != 0
    }
    /// Aborts.
    pub fn rst(self) -> bool {
        self.0 & 0x04 != 0
    }
    /// The acknowledgement number counts.
    pub fn ack(self) -> bool {
        self.0 & 0x10 != 0
    }
    /// The urgent pointer counts.
    pub fn urg(self) -> bool {
        self.0 & 0x20 != 0
    }
}

/// TCP's part of a packet.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// Sequence number of the first byte (or of the SYN).
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Flags.
    pub flags: TcpFlags,
    /// Window, not scaled.
    pub window: u16,
    /// Urgent pointer.
    pub urgent: u16,
    /// Options, as captured.
    pub options: &'a [u8],
}

/// What a checksum says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// It is right.
    Right,
    /// It is wrong.
    Wrong,
    /// It holds what a sender leaves whose network card would have filled it in: only the pseudo header's sum,
    /// or nothing.
    LeftToCard,
    /// The packet was not captured whole.
    Unknown,
}

pub(super) fn read<'a>(header: &Header, bytes: &'a [u8], around: &Around, odd: &mut Anomalies) -> Option<Decoded<'a>> {
    let complete = bytes.len() >= header.carried as usize;
    let mut decoded = Decoded {
        src: header.src,
        dst: header.dst,
        protocol: header.protocol,
        src_port: 0,
        dst_port: 0,
        ttl: header.ttl,
        tunnels: around.tunnels,
        vlans: around.vlans,
        tcp: None,
        payload: bytes,
        payload_len: header.carried,
        whole: if complete { bytes } else { &[] },
    };
    match header.protocol {
        6 => tcp(&mut decoded, bytes, odd)?,
        17 | 136 => {
            ports(&mut decoded, bytes, odd)?;
            let Some(payload) = bytes.get(8..) else {
                odd.add(Anomaly::HeaderTruncated);
                return None;
            };
            let carried = header.carried.saturating_sub(8);
            let length = match usize::from(be16(bytes, 4)?) {
                // UDP-Lite has how far its checksum reaches here (RFC 3828).
                _ if header.protocol == 136 => carried as usize,
                // A jumbogram (RFC 2675). Receivers do not mind how long it is.
                0 if header.src.is_ipv6() => {
                    if header.carried <= u32::from(u16::MAX) {
                        odd.add(Anomaly::HeaderTruncated);
                    }
                    carried as usize
                }
                length if length < 8 => {
                    odd.add(Anomaly::HeaderTruncated);
                    0
                }
                length => length - 8,
            };
            decoded.payload = &payload[..length.min(payload.len())];
            decoded.payload_len = (length as u32).min(carried);
        }
        132 => ports(&mut decoded, bytes, odd)?,
        1 | 58 => {
            if let [kind, code, ..] = *bytes {
                (decoded.src_port, decoded.dst_port) = (u16::from(kind), u16::from(code));
            }
        }
        _ => {}
    }
    Some(decoded)
}

fn ports(decoded: &mut Decoded, bytes: &[u8], odd: &mut Anomalies) -> Option<()> {
    let (Some(src), Some(dst)) = (be16(bytes, 0), be16(bytes, 2)) else {
        odd.add(Anomaly::HeaderTruncated);
        return None;
    };
    (decoded.src_port, decoded.dst_port) = (src, dst);
    Some(())
}

/// TCP (RFC 9293). A cut-off header gives the ports alone.
fn tcp<'a>(decoded: &mut Decoded<'a>, bytes: &'a [u8], odd: &mut Anomalies) -> Option<()> {
    ports(decoded, bytes, odd)?;
    let Some(fixed) = bytes.first_chunk::<20>() else {
        odd.add(Anomaly::HeaderTruncated);
        decoded.payload = &[];
        decoded.payload_len = 0;
        return Some(());
    };
    let header_len = usize::from(fixed[12] >> 4) * 4;
    if header_len < 20 || header_len as u32 > decoded.payload_len {
        odd.add(Anomaly::HeaderTruncated);
        decoded.payload = &[];
        decoded.payload_len = 0;
        return Some(());
    }
    let options = bytes.get(20..header_len.min(bytes.len())).unwrap_or_default();
    let flags = TcpFlags(fixed[13]);
    if flags.syn() && bytes.len() >= header_len && !options_add_up(options) {
        odd.add(Anomaly::OptionsMalformed);
    }
    decoded.tcp = Some(Segment {
        seq: be32(bytes, 4)?,
        ack: be32(bytes, 8)?,
        flags,
        window: be16(bytes, 14)?,
        urgent: be16(bytes, 18)?,
        options,
    });
    decoded.payload = bytes.get(header_len..).unwrap_or_default();
    decoded.payload_len -= header_len as u32;
    Some(())
}

impl Decoded<'_> {
    /// Checks the TCP checksum over pseudo header, header and payload.
    pub fn checksum(&self) -> Checksum {
        let Some(field) = be16(self.whole, 16) else { return Checksum::Unknown };
        let mut pseudo = u64::from(self.protocol) + self.whole.len() as u64;
        for address in [self.src, self.dst] {
            pseudo += match address {
                IpAddr::V4(address) => sum(&address.octets()),
                IpAddr::V6(address) => sum(&address.octets()),
            };
        }
        match fold(pseudo + sum(self.whole)) {
            0xffff => Checksum::Right,
            _ if field == 0 || field == fold(pseudo) || field == !fold(pseudo) => Checksum::LeftToCard,
            _ => Checksum::Wrong,
        }
    }
}

/// Sum of 16-bit words, folded (RFC 1071). Which byte of a word comes first is settled once, at the end: one's
/// complement sums are the same either way (section 2B).
fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut total: u64 = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    total += u64::from(u32::from_ne_bytes(last));
    u64::from(u16::from_be(fold(total)))
}

fn fold(mut total: u64) -> u16 {
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}
