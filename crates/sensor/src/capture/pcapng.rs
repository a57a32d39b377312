//! The pcapng format: sections of blocks (<https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-02.html>).
//!
//! Packets come in enhanced, simple and (obsolete) packet blocks; every other block but the two that describe
//! is passed over: name resolution, statistics, decryption secrets, journal entries, custom ones.

use std::io::Read;

use super::source::Source;
use super::{CaptureError, LATEST, LinkType, MOST_RECORD, Packet};
use crate::lore::Nanos;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE: u32 = 3;
const ENHANCED: u32 = 6;

/// More interfaces than this in one section are damage.
const MOST_INTERFACES: usize = 4096;

pub(super) fn is_section(magic: [u8; 4]) -> bool {
    magic == SECTION.to_be_bytes()
}

/// The current section.
#[derive(Default)]
pub(super) struct Section {
    big_endian: bool,
    interfaces: Vec<Interface>,
    /// Simple packets carry no time: they take the last one seen.
    last: Nanos,
}

#[derive(Clone, Copy)]
struct Interface {
    link: LinkType,
    snap_len: u32,
    resolution: Resolution,
    /// Seconds to add (`if_tsoffset`).
    offset: i64,
}

/// Units of a time stamp (`if_tsresol`).
#[derive(Clone, Copy)]
enum Resolution {
    /// Nanoseconds a unit.
    Coarse(u64),
    /// Units a nanosecond.
    Fine(u64),
    /// Units are 2^-n seconds.
    Binary(u32),
}

impl Resolution {
    fn of(option: u8) -> Resolution {
        match option {
            0x80.. => Resolution::Binary(u32::from(option & 0x7f).min(63)),
            0..=9 => Resolution::Coarse(10_u64.pow(9 - u32::from(option))),
            _ => Resolution::Fine(10_u64.saturating_pow(u32::from(option) - 9)),
        }
    }

    fn nanos(self, units: u64) -> Nanos {
        match self {
            Resolution::Coarse(factor) => units.saturating_mul(factor),
            Resolution::Fine(divisor) => units / divisor,
            Resolution::Binary(shift) => {
                u64::try_from((u128::from(units) * 1_000_000_000) >> shift).unwrap_or(u64::MAX)
            }
        }
    }
}

impl Section {
    pub(super) fn packet<'a, R: Read>(
        &mut self,
        source: &'a mut Source<R>,
    ) -> Result<Option<Packet<'a>>, CaptureError> {
        loop {
            let at = source.offset();
            let Some(head) = source.peek::<12>()? else {
                return if source.at_end()? { Ok(None) } else { Err(CaptureError::Truncated { at }) };
            };
            let damaged = |what| CaptureError::Damaged { at, what };
            if head.starts_with(&SECTION.to_be_bytes()) {
                // Whatever the order of bytes, this one tells it.
                self.big_endian = match &head[8..12] {
                    [0x1a, 0x2b, 0x3c, 0x4d] => true,
                    [0x4d, 0x3c, 0x2b, 0x1a] => false,
                    _ => return Err(damaged("a section without its byte-order mark")),
                };
                self.interfaces.clear();
            }
            let (kind, length) = (self.u32(&head, 0), self.u32(&head, 4) as usize);
            if length < 12 || length % 4 != 0 {
                return Err(damaged("a block of impossible length"));
            }
            if !matches!(kind, SECTION | INTERFACE | PACKET | SIMPLE | ENHANCED) {
                if !source.skip(length as u64)? {
                    return Err(CaptureError::Truncated { at });
                }
                continue;
            }
            if length > MOST_RECORD {
                return Err(damaged("a block longer than any packet"));
            }
            if !source.fill(length)? {
                source.skip(length as u64)?;
                return Err(CaptureError::Truncated { at });
            }
            match kind {
                SECTION => {
                    source.take(length);
                }
                INTERFACE => {
                    if self.interfaces.len() == MOST_INTERFACES {
                        return Err(damaged("too many interfaces"));
                    }
                    let block = source.take(length);
                    let interface = self.interface(block);
                    self.interfaces.push(interface);
                }
                _ => {
                    let block = source.take(length);
                    let found = match kind {
                        ENHANCED => self.enhanced(block, false),
                        PACKET => self.enhanced(block, true),
                        _ => self.simple(block),
                    };
                    let Some((time, link, wire_len, captured, from)) = found else {
                        return Err(damaged("a packet of an interface that was not described"));
                    };
                    self.last = time;
                    let Some(data) = block.get(from..from + captured).filter(|_| from + captured + 4 <= length) else {
                        return Err(damaged("a packet longer than its block"));
                    };
                    return Ok(Some(Packet { time, link, wire_len: wire_len.max(captured as u32), data }));
                }
            }
        }
    }

    fn u16(&self, bytes: &[u8], at: usize) -> u16 {
        let word = bytes.get(at..).and_then(|rest| rest.first_chunk().copied()).unwrap_or_default();
        if self.big_endian { u16::from_be_bytes(word) } else { u16::from_le_bytes(word) }
    }

    fn u32(&self, bytes: &[u8], at: usize) -> u32 {
        let word = bytes.get(at..).and_then(|rest| rest.first_chunk().copied()).unwrap_or_default();
        if self.big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
    }

    fn interface(&self, block: &[u8]) -> Interface {
        let mut interface = Interface {
            link: LinkType(self.u16(block, 8)),
            snap_len: self.u32(block, 12),
            resolution: Resolution::Coarse(1000),
            offset: 0,
        };
        let mut at = 16;
        while at + 8 <= block.len() {
            let (code, length) = (self.u16(block, at), usize::from(self.u16(block, at + 2)));
            let Some(value) = block.get(at + 4..at + 4 + length) else { break };
            match (code, value) {
                (0, _) => break,
                (9, [resolution]) => interface.resolution = Resolution::of(*resolution),
                (14, [_, _, _, _, _, _, _, _]) => {
                    let (first, second) = (u64::from(self.u32(value, 0)), u64::from(self.u32(value, 4)));
                    let offset = if self.big_endian { first << 32 | second } else { second << 32 | first };
                    interface.offset = offset as i64;
                }
                _ => {}
            }
            at += 4 + length.next_multiple_of(4);
        }
        interface
    }

    /// Time, link type, length on the wire, captured length, where the data starts.
    fn enhanced(&self, block: &[u8], obsolete: bool) -> Option<(Nanos, LinkType, u32, usize, usize)> {
        // The obsolete block has a 16-bit interface and a drop count where this has 32 bits of interface.
        let id = if obsolete { u32::from(self.u16(block, 8)) } else { self.u32(block, 8) };
        let interface = self.interfaces.get(id as usize)?;
        let units = u64::from(self.u32(block, 12)) << 32 | u64::from(self.u32(block, 16));
        let time = interface.resolution.nanos(units);
        let time = time.saturating_add_signed(interface.offset.saturating_mul(1_000_000_000)).min(LATEST);
        Some((time, interface.link, self.u32(block, 24), self.u32(block, 20) as usize, 28))
    }

    fn simple(&self, block: &[u8]) -> Option<(Nanos, LinkType, u32, usize, usize)> {
        let interface = self.interfaces.first()?;
        let wire_len = self.u32(block, 8);
        let mut captured = (wire_len as usize).min(block.len().saturating_sub(16));
        if interface.snap_len > 0 {
            captured = captured.min(interface.snap_len as usize);
        }
        Some((self.last, interface.link, wire_len, captured, 12))
    }
}
