//! The classic pcap format: a 24-byte header, then records
//! (<https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html>).

use std::io::Read;

use super::source::Source;
use super::{CaptureError, LinkType, MOST_RECORD, Packet};

/// Which of the dialects, by the magic number.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    big_endian: bool,
    /// Units of the fraction, in nanoseconds.
    fraction: u64,
    /// Bytes of a record's header.
    record: usize,
}

impl Kind {
    pub(super) fn of(magic: [u8; 4]) -> Option<Kind> {
        let (number, big_endian) = match magic {
            [0xa1, ..] => (u32::from_be_bytes(magic), true),
            _ => (u32::from_le_bytes(magic), false),
        };
        let (fraction, record) = match number {
            0xa1b2_c3d4 => (1000, 16),
            0xa1b2_3c4d => (1, 16),
            // Kuznetzov's patched libpcap: eight more bytes a record.
            0xa1b2_cd34 => (1000, 24),
            _ => return None,
        };
        Some(Kind { big_endian, fraction, record })
    }

    #[inline]
    fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let word = bytes.get(at..).and_then(|rest| rest.first_chunk().copied()).unwrap_or_default();
        if self.big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
    }
}

/// The file's header.
pub(super) struct Header {
    kind: Kind,
    link: LinkType,
}

impl Header {
    pub(super) fn read<R: Read>(kind: Kind, source: &mut Source<R>) -> Result<Header, CaptureError> {
        if !source.fill(24)? {
            return Err(CaptureError::Truncated { at: 0 });
        }
        // The upper bits say whether frames end in a check sequence.
        let link = kind.u32(source.take(24), 20) & 0xffff;
        Ok(Header { kind, link: LinkType(link as u16) })
    }

    #[inline]
    pub(super) fn packet<'a, R: Read>(&self, source: &'a mut Source<R>) -> Result<Option<Packet<'a>>, CaptureError> {
        let (kind, at) = (self.kind, source.offset());
        if !source.fill(kind.record)? {
            return if source.at_end()? { Ok(None) } else { Err(CaptureError::Truncated { at }) };
        }
        let header = source.take(kind.record);
        let (seconds, fraction) = (kind.u32(header, 0), kind.u32(header, 4));
        let (captured, wire_len) = (kind.u32(header, 8) as usize, kind.u32(header, 12));
        if captured > MOST_RECORD {
            return Err(CaptureError::Damaged { at, what: "a record longer than any packet" });
        }
        let time = u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * kind.fraction;
        let whole = source.fill(captured)?;
        let data = source.take(captured);
        if !whole {
            return Err(CaptureError::Truncated { at });
        }
        Ok(Some(Packet { time, link: self.link, wire_len: wire_len.max(captured as u32), data }))
    }
}
