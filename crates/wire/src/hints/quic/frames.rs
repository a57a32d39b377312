//! Frames inside a client's first packets: those that carry the hello, and those that may stand before them.

use super::super::cursor::Cursor;
use super::header::varint;

/// Gives offset and bytes of each CRYPTO frame (RFC 9000 section 19.6), up to a frame that has no business here.
pub(super) fn crypto(frames: &[u8], mut f: impl FnMut(u64, &[u8])) -> Option<()> {
    let mut left = Cursor(frames);
    while let Some(kind) = left.u8() {
        match kind {
            0x00 | 0x01 => {}
            0x02 | 0x03 => acknowledgement(&mut left, kind == 0x03)?,
            0x06 => {
                let offset = varint(&mut left)?;
                let length = varint(&mut left)?;
                f(offset, left.take(usize::try_from(length).ok()?)?);
            }
            _ => return None,
        }
    }
    Some(())
}

fn acknowledgement(left: &mut Cursor<'_>, with_counts: bool) -> Option<()> {
    let _largest = varint(left)?;
    let _delay = varint(left)?;
    let ranges = varint(left)?;
    let _first = varint(left)?;
    // Each takes two bytes at least, so the packet's end bounds this.
    for _ in 0..ranges {
        varint(left)?;
        varint(left)?;
    }
    if with_counts {
        for _ in 0..3 {
            varint(left)?;
        }
    }
    Some(())
}

/// Gives offset and bytes of each piece of the handshake in Google's frames: CRYPTO frames from Q047 on, before that
/// STREAM frames of stream 1. `big_endian` tells how lengths are written (from Q039 on).
pub(super) fn google_crypto(frames: &[u8], big_endian: bool, mut f: impl FnMut(u64, &[u8])) -> Option<()> {
    let mut left = Cursor(frames);
    while let Some(kind) = left.u8() {
        match kind {
            // Padding and PING.
            0x00 | 0x07 => {}
            0x08 => {
                let offset = varint(&mut left)?;
                let length = varint(&mut left)?;
                f(offset, left.take(usize::try_from(length).ok()?)?);
            }
            0x40..=0x7f => google_acknowledgement(&mut left, kind)?,
            0x80.. => {
                let stream = little(&mut left, usize::from(kind & 3) + 1)?;
                let offset = match kind >> 2 & 7 {
                    0 => 0,
                    more => number(&mut left, usize::from(more) + 1, big_endian)?,
                };
                let length = match kind & 0x20 {
                    0 => left.0.len(),
                    _ => usize::try_from(number(&mut left, 2, big_endian)?).ok()?,
                };
                let bytes = left.take(length)?;
                if stream == 1 || (big_endian && stream == 1 << (8 * (kind & 3))) {
                    f(offset, bytes);
                }
            }
            _ => return None,
        }
    }
    Some(())
}

/// ACK of Q034 and later, type byte 01ntllmm.
fn google_acknowledgement(left: &mut Cursor<'_>, kind: u8) -> Option<()> {
    let sizes = [1, 2, 4, 6];
    let largest = *sizes.get(usize::from(kind >> 2 & 3))?;
    let block = *sizes.get(usize::from(kind & 3))?;
    left.take(largest + 2)?;
    let blocks = if kind & 0x20 != 0 { usize::from(left.u8()?) } else { 0 };
    left.take(block + blocks * (1 + block))?;
    let times = usize::from(left.u8()?);
    left.take(if times > 0 { 5 + 3 * (times - 1) } else { 0 })?;
    Some(())
}

fn number(left: &mut Cursor<'_>, size: usize, big_endian: bool) -> Option<u64> {
    if !big_endian {
        return little(left, size);
    }
    left.take(size).map(|bytes| bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

fn little(left: &mut Cursor<'_>, size: usize) -> Option<u64> {
    left.take(size).map(|bytes| bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}
