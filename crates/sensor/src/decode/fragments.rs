//! Puts fragmented datagrams together, within a bound.
//!
//! Overlaps: IPv4 keeps what came first (as most senders' networks do not reorder) and says so; IPv6 drops the whole
//! datagram (RFC 5722). What lies past the end that the last fragment tells is an overlap, too, and not kept. Full,
//! the oldest datagram makes room and that is said, too.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::net::IpAddr;

use hashbrown::HashTable;

use super::Time;
use super::ip::{FragmentPart, Header, past_extensions};
use crate::anomaly::{Anomalies, Anomaly};
use crate::siphash::Secret;

/// The largest datagram (RFC 791).
const MOST_DATAGRAM: usize = 65_535;
/// Parts of one datagram: 65,535 bytes over the smallest useful link.
const MOST_PARTS: usize = 1400;
/// How long the rest of a datagram is waited for (RFC 791 proposes 15 s, RFC 8200 has 60 s).
const LIFE: Time = 30_000_000_000;
/// A fragment that is not the last is at least this long on any link (RFC 791: 68 bytes with header).
const LEAST_PART: usize = 48;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    src: IpAddr,
    dst: IpAddr,
    id: u32,
    protocol: u8,
}

struct Datagram {
    key: Key,
    /// Which one it is, ever: slots are used again.
    serial: u64,
    since: Time,
    header: Option<Header>,
    bytes: Vec<u8>,
    /// What has come: sorted, apart from each other.
    have: Vec<(u32, u32)>,
    parts: usize,
    /// Length, once the last part has come.
    total: Option<u32>,
    /// Overlapped (IPv6) or impossible: swallow what still comes.
    dropped: bool,
}

/// Datagrams whose parts have not all come.
pub struct Defragmenter {
    most_bytes: usize,
    held: usize,
    hasher: Secret,
    table: HashTable<u32>,
    slots: Vec<Option<Datagram>>,
    free: Vec<u32>,
    /// Slots in the order they were taken, with their tenant's serial.
    order: VecDeque<(u32, u64)>,
    serial: u64,
}

impl Defragmenter {
    /// Holds at most `most_bytes` of fragments.
    pub(super) fn new(most_bytes: usize) -> Defragmenter {
        Defragmenter {
            most_bytes,
            held: 0,
            hasher: Secret::default(),
            table: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            order: VecDeque::new(),
            serial: 0,
        }
    }

    /// Datagrams that wait.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Entries of the queue in which they grow old.
    #[cfg(test)]
    pub(super) fn queued(&self) -> usize {
        self.order.len()
    }

    /// Takes one fragment. When it was the last that was missing, the datagram is left in `whole` and its
    /// header is returned.
    pub(super) fn push(
        &mut self,
        now: Time,
        header: Header,
        part: FragmentPart,
        bytes: &[u8],
        whole: &mut Vec<u8>,
        odd: &mut Anomalies,
    ) -> Option<Header> {
        let v6 = header.src.is_ipv6();
        if part.more && bytes.len() < LEAST_PART {
            odd.add(Anomaly::FragmentTiny);
        }
        let end = part.offset as usize + bytes.len();
        if end > MOST_DATAGRAM {
            odd.add(Anomaly::FragmentTooLarge);
            return None;
        }
        self.forget(now, bytes.len(), odd);
        // IPv6 has the protocol of the first fragment only, so it can't be part of the key.
        let key = Key { src: header.src, dst: header.dst, id: part.id, protocol: if v6 { 0 } else { header.protocol } };
        let slot = self.slot(key, now);
        let datagram = self.slots.get_mut(slot as usize)?.as_mut()?;
        if part.offset == 0 && !transport_header_whole(&header, bytes) && part.more {
            odd.add(Anomaly::FragmentNoTransport);
            datagram.dropped |= v6;
        }
        // A part that was cut off by the capture can't be put together with others.
        datagram.dropped |= !part.complete;
        datagram.parts += 1;
        if datagram.parts > MOST_PARTS {
            odd.add(Anomaly::FragmentFlood);
            datagram.dropped = true;
        }
        if datagram.dropped {
            return None;
        }
        if part.offset == 0 || datagram.header.is_none() {
            datagram.header = Some(header);
        }
        let before = datagram.bytes.len();
        let overlapped = datagram.take(part.offset, bytes, !part.more);
        self.held = (self.held + datagram.bytes.len()).saturating_sub(before);
        if overlapped {
            odd.add(Anomaly::FragmentOverlap);
            datagram.dropped |= v6;
        }
        let complete = !datagram.dropped && datagram.total.is_some_and(|total| datagram.have == [(0, total)]);
        if !complete {
            return None;
        }
        let datagram = self.remove(slot)?;
        whole.clear();
        whole.extend_from_slice(&datagram.bytes);
        let mut header = datagram.header?;
        header.carried = whole.len() as u32;
        if v6 {
            let (protocol, rest) = past_extensions(header.protocol, whole)?;
            let skip = whole.len() - rest.len();
            whole.drain(..skip);
            header.protocol = protocol;
            header.carried = whole.len() as u32;
        }
        Some(header)
    }

    fn slot(&mut self, key: Key, now: Time) -> u32 {
        let hash = self.hasher.hash_one(key);
        let slots = &self.slots;
        let same =
            |slot: &u32| slots.get(*slot as usize).is_some_and(|held| matches!(held, Some(held) if held.key == key));
        if let Some(&slot) = self.table.find(hash, same) {
            return slot;
        }
        let datagram = Datagram {
            key,
            serial: self.serial,
            since: now,
            header: None,
            bytes: Vec::new(),
            have: Vec::new(),
            parts: 0,
            total: None,
            dropped: false,
        };
        let slot = self.free.pop().unwrap_or(self.slots.len() as u32);
        if slot as usize == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[slot as usize] = Some(datagram);
        self.held += OVERHEAD;
        self.order.push_back((slot, self.serial));
        self.serial += 1;
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.table.insert_unique(hash, slot, |&slot| match &slots[slot as usize] {
            Some(held) => hasher.hash_one(held.key),
            None => 0,
        });
        // One that waits keeps its place in the queue, while others come and go behind it.
        if self.order.len() > 2 * self.table.len() + 64 {
            let Defragmenter { slots, order, .. } = self;
            order.retain(|&(slot, serial)| tenant(slots, slot, serial).is_some());
        }
        slot
    }

    fn remove(&mut self, slot: u32) -> Option<Datagram> {
        let datagram = self.slots.get_mut(slot as usize)?.take()?;
        let hash = self.hasher.hash_one(datagram.key);
        if let Ok(entry) = self.table.find_entry(hash, |&found| found == slot) {
            entry.remove();
        }
        self.free.push(slot);
        self.held -= datagram.bytes.len() + OVERHEAD;
        Some(datagram)
    }

    /// Makes room: for what is too old without a word, for the bound with one.
    fn forget(&mut self, now: Time, coming: usize, odd: &mut Anomalies) {
        while let Some(&(slot, serial)) = self.order.front() {
            let since = tenant(&self.slots, slot, serial).map(|held| held.since);
            let full = self.held + coming + OVERHEAD > self.most_bytes;
            if !full && since.is_some_and(|since| since.saturating_add(LIFE) > now) {
                break;
            }
            self.order.pop_front();
            if since.is_some() {
                self.remove(slot);
                if full {
                    odd.add(Anomaly::FragmentFlood);
                }
            }
        }
    }
}

/// What a waiting datagram costs beside its bytes.
const OVERHEAD: usize = 256;

/// The datagram of this serial, if it still has its slot.
fn tenant(slots: &[Option<Datagram>], slot: u32, serial: u64) -> Option<&Datagram> {
    slots.get(slot as usize)?.as_ref().filter(|held| held.serial == serial)
}

impl Datagram {
    /// Takes a part, which may be the last; whether it disagrees with what is known. What lies past the end of
    /// the datagram is let go, whichever came first.
    fn take(&mut self, offset: u32, bytes: &[u8], last: bool) -> bool {
        let end = offset + bytes.len() as u32;
        let mut odd = false;
        match self.total {
            Some(total) if end > total => return true,
            Some(total) => odd |= last && end != total,
            None if last => {
                self.total = Some(end);
                odd |= self.bytes.len() > end as usize;
                self.bytes.truncate(end as usize);
                self.have.retain_mut(|(from, to)| {
                    *to = end.min(*to);
                    *from < *to
                });
            }
            None => {}
        }
        self.add(offset, bytes) || odd
    }

    /// Copies a part to where nothing is yet; whether something was there. The same part once more, as a
    /// mirror port or a capture of two interfaces gives it, is no overlap.
    fn add(&mut self, offset: u32, bytes: &[u8]) -> bool {
        let end = offset + bytes.len() as u32;
        let again = self.have.iter().any(|&(from, to)| from <= offset && end <= to)
            && self.bytes.get(offset as usize..end as usize) == Some(bytes);
        if again {
            return false;
        }
        if self.bytes.len() < end as usize {
            self.bytes.resize(end as usize, 0);
        }
        let mut overlapped = false;
        let mut at = offset;
        let mut place = 0;
        // Fill the gaps between what is there, in order.
        while at < end {
            let next = self.have.get(place).copied().unwrap_or((u32::MAX, u32::MAX));
            if next.1 <= at {
                place += 1;
                continue;
            }
            if next.0 <= at {
                overlapped = true;
                at = next.1.min(end);
                continue;
            }
            let stop = end.min(next.0);
            let (from, to) = ((at - offset) as usize, (stop - offset) as usize);
            self.bytes[at as usize..stop as usize].copy_from_slice(&bytes[from..to]);
            self.have.insert(place, (at, stop));
            place += 1;
            at = stop;
        }
        self.have.dedup_by(|next, held| {
            let joined = held.1 == next.0;
            if joined {
                held.1 = next.1;
            }
            joined
        });
        overlapped
    }
}

/// Whether a first fragment holds the whole transport header (RFC 7112, RFC 1858).
fn transport_header_whole(header: &Header, bytes: &[u8]) -> bool {
    match past_extensions(header.protocol, bytes) {
        Some((6, bytes)) => bytes.get(12).is_some_and(|offset| bytes.len() >= usize::from(offset >> 4) * 4),
        Some((17 | 132, bytes)) => bytes.len() >= 8,
        Some((_, bytes)) => !bytes.is_empty(),
        None => false,
    }
}
