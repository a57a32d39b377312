//! The beginning of one direction of a TCP stream, put in order.
//!
//! Bounded: bytes past the limit are not kept. What comes first stands, as most systems do it, unless it was
//! only half believed (a segment whose hop limit says that it did not come from where the others do); whoever
//! says something else for the same place is noticed.

use smallvec::SmallVec;

/// Stretches between holes that are kept track of; beyond that, the farthest gives way.
const MOST_RANGES: usize = 32;

/// Farther than any window from the start of a stream.
const FAR: u32 = 1 << 30;

/// A prefix of a stream with holes.
#[derive(Debug, Default)]
pub struct Prefix {
    bytes: Vec<u8>,
    /// Sequence number of the first byte; `None` until something was seen.
    base: Option<u32>,
    /// The SYN was seen, so nothing comes before the base.
    anchored: bool,
    /// What is there: sorted, apart from each other.
    have: SmallVec<[(u32, u32); 4]>,
    /// A half-believed range: not shown until the far end acknowledges it, or nothing better comes.
    doubtful: Option<(u32, u32)>,
    /// How much the far end has acknowledged.
    acked: u32,
    limit: u32,
}

/// What a segment brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// The contiguous beginning has grown.
    pub grown: bool,
    /// Bytes differ from those that were there.
    pub conflict: bool,
    /// There are more holes than are kept track of: what is farthest was let go.
    pub crowded: bool,
}

impl Prefix {
    /// Keeps at most `limit` bytes; reuses the buffer.
    pub fn reset(&mut self, limit: u32) {
        self.bytes.clear();
        self.base = None;
        self.anchored = false;
        self.have.clear();
        self.doubtful = None;
        self.acked = 0;
        self.limit = limit;
    }

    /// Keeps at most this much from now on; what is there stays.
    pub fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
    }

    /// The stream begins after this SYN.
    pub fn anchor(&mut self, syn: u32) {
        if self.have.is_empty() || !self.anchored {
            let base = syn.wrapping_add(1);
            self.rebase(base);
            self.anchored = true;
        }
    }

    /// The contiguous beginning, up to what is not to be believed yet.
    pub fn contiguous(&self) -> &[u8] {
        match self.have.first() {
            Some((0, end)) => {
                let end = self.doubtful.map_or(*end, |(from, _)| from.min(*end));
                self.bytes.get(..end as usize).unwrap_or_default()
            }
            _ => &[],
        }
    }

    /// The far end has acknowledged everything before this sequence number: it has taken what was doubtful.
    /// True when that has made the contiguous beginning grow.
    pub fn acknowledge(&mut self, ack: u32) -> bool {
        let Some(acked) = self.base.map(|base| ack.wrapping_sub(base)).filter(|acked| *acked <= i32::MAX as u32) else {
            return false;
        };
        self.acked = self.acked.max(acked);
        let settled = self.doubtful.is_some_and(|(_, to)| to <= self.acked);
        if settled {
            self.doubtful = None;
        }
        settled
    }

    /// Bytes it takes.
    pub fn weight(&self) -> usize {
        self.bytes.capacity()
    }

    /// Nothing more will come: what is there is believed.
    pub fn believe(&mut self) {
        self.doubtful = None;
    }

    /// Whether nothing more fits.
    pub fn full(&self) -> bool {
        matches!(self.have.first(), Some((0, end)) if *end >= self.limit)
    }

    /// Whether the SYN was seen.
    pub fn anchored(&self) -> bool {
        self.anchored
    }

    /// Puts a segment in its place. `believed` is false for one that may not reach the far end.
    pub fn push(&mut self, seq: u32, data: &[u8], believed: bool) -> Pushed {
        if data.is_empty() {
            return Pushed::default();
        }
        let base = *self.base.get_or_insert(seq);
        let distance = seq.wrapping_sub(base) as i32;
        // Without a SYN the first segment may have been a lie: one far away that nobody acknowledged gives way.
        if !self.anchored && self.acked == 0 && distance.unsigned_abs() >= FAR {
            self.rebase(seq);
            return self.push(seq, data, believed);
        }
        if distance < 0 {
            return self.before(distance.unsigned_abs(), seq, data, believed);
        }
        // The common case: the next bytes, in order.
        let offset = distance as u32;
        let next = match self.have.as_slice() {
            [] => Some(0),
            [(0, end)] => Some(*end),
            _ => None,
        };
        if next == Some(offset) && self.bytes.len() == offset as usize {
            let take = (self.limit.saturating_sub(offset) as usize).min(data.len());
            let Some(data) = data.get(..take).filter(|data| !data.is_empty()) else { return Pushed::default() };
            self.bytes.extend_from_slice(data);
            let end = self.bytes.len() as u32;
            self.have.clear();
            self.have.push((0, end));
            if !believed {
                self.doubt(offset, end);
            }
            return Pushed { grown: believed, ..Pushed::default() };
        }
        self.insert(offset, data, believed, data.len() == 1)
    }

    /// A segment before the first one seen: old bytes sent again, or, without a SYN, the real beginning.
    fn before(&mut self, by: u32, seq: u32, data: &[u8], believed: bool) -> Pushed {
        if self.anchored || by >= self.limit {
            // The part that reaches into what is kept still counts.
            return match data.get(by as usize..) {
                Some(rest) if !rest.is_empty() => self.insert(0, rest, believed, false),
                _ => Pushed::default(),
            };
        }
        self.rebase(seq);
        let pushed = self.insert(0, data, believed, false);
        Pushed { grown: true, ..pushed }
    }

    /// Moves the beginning to another sequence number; what is not within the limit from there goes.
    fn rebase(&mut self, base: u32) {
        let Some(old) = self.base.replace(base) else { return };
        let by = old.wrapping_sub(base);
        if by >= self.limit || self.have.is_empty() {
            self.bytes.clear();
            self.have.clear();
            self.doubtful = None;
            self.acked = 0;
            return;
        }
        self.bytes.splice(..0, std::iter::repeat_n(0, by as usize));
        self.bytes.truncate(self.limit as usize);
        let limit = self.limit;
        self.have.retain_mut(|range| {
            *range = (range.0 + by, (range.1 + by).min(limit));
            range.0 < range.1
        });
        self.doubtful = self.doubtful.map(|(from, to)| (from + by, to + by));
        self.acked += by;
    }

    fn doubt(&mut self, from: u32, to: u32) {
        let (low, high) = self.doubtful.unwrap_or((from, to));
        self.doubtful = Some((low.min(from), high.max(to)));
    }

    /// Puts a segment where others may be. A `single` byte that was acknowledged is a keep-alive: the last byte
    /// again, or any byte in its place.
    fn insert(&mut self, offset: u32, data: &[u8], believed: bool, single: bool) -> Pushed {
        let Some(room) = self.limit.checked_sub(offset).filter(|room| *room > 0) else { return Pushed::default() };
        let data = &data[..data.len().min(room as usize)];
        let end = offset + data.len() as u32;
        let before = self.contiguous().len();
        if self.bytes.len() < end as usize {
            self.bytes.resize(end as usize, 0);
        }
        let (mut conflict, mut crowded, mut wrote) = (false, false, None);
        let (mut at, mut place) = (offset, 0);
        while at < end {
            let next = self.have.get(place).copied().unwrap_or((u32::MAX, u32::MAX));
            if next.1 <= at {
                place += 1;
                continue;
            }
            let stop = if next.0 <= at { next.1.min(end) } else { next.0.min(end) };
            let new = &data[(at - offset) as usize..(stop - offset) as usize];
            let held = &mut self.bytes[at as usize..stop as usize];
            if next.0 <= at {
                let keep_alive = single && end <= self.acked;
                if held != new && !keep_alive {
                    conflict = true;
                    if let Some((from, to)) = self.doubtful.filter(|_| believed) {
                        let (from, to) = (from.clamp(at, stop), to.clamp(at, stop));
                        let better = &data[(from - offset) as usize..(to - offset) as usize];
                        self.bytes[from as usize..to as usize].copy_from_slice(better);
                    }
                }
            } else {
                // A piece that touches another adds no range; otherwise the farthest gives way.
                let touches =
                    next.0 == stop || (place > 0 && self.have.get(place - 1).is_some_and(|held| held.1 == at));
                if self.have.len() >= MOST_RANGES && !touches {
                    crowded = true;
                    if place >= self.have.len() {
                        break;
                    }
                    self.have.pop();
                }
                held.copy_from_slice(new);
                wrote = Some((wrote.map_or(at, |(from, _)| from), stop));
                self.have.insert(place, (at, stop));
                place += 1;
            }
            at = stop;
        }
        self.have.dedup_by(|next, held| {
            let joined = held.1 == next.0;
            if joined {
                held.1 = next.1;
            }
            joined
        });
        match (believed, wrote) {
            (false, Some((from, to))) => self.doubt(from, to),
            // Said again by someone who is believed, in these words or in others.
            (true, _) if self.doubtful.is_some_and(|(from, to)| offset <= from && to <= end) => self.doubtful = None,
            _ => {}
        }
        Pushed { grown: self.contiguous().len() > before, conflict, crowded }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prefix(limit: u32) -> Prefix {
        let mut prefix = Prefix::default();
        prefix.reset(limit);
        prefix
    }

    #[test]
    fn segments_come_in_any_order() {
        let mut stream = prefix(100);
        stream.anchor(u32::MAX - 2);
        stream.push(3, b"fgh", true);
        stream.push(0, b"cde", true);
        assert_eq!(stream.contiguous(), b"");
        assert!(stream.push(u32::MAX - 1, b"ab", true).grown);
        assert_eq!(stream.contiguous(), b"abcdefgh");
    }

    #[test]
    fn a_stream_joined_late_may_begin_earlier() {
        let mut stream = prefix(100);
        stream.push(1010, b"world", true);
        stream.push(1004, b"hello ", true);
        assert_eq!(stream.contiguous(), b"hello world");
    }

    #[test]
    fn the_first_word_stands_and_another_is_noticed() {
        let mut stream = prefix(100);
        stream.anchor(0);
        assert!(!stream.push(1, b"#flower", true).conflict);
        assert!(!stream.push(1, b"#flower", true).conflict);
        assert!(stream.push(1, b"#botnet", true).conflict);
        assert_eq!(stream.contiguous(), b"#flower");
    }

    #[test]
    fn a_doubtful_segment_gives_way() {
        let mut stream = prefix(100);
        stream.anchor(0);
        stream.push(1, b"#flower", false);
        assert_eq!(stream.contiguous(), b"", "it may never have arrived");
        assert!(stream.push(1, b"#botnet", true).conflict);
        assert_eq!(stream.contiguous(), b"#botnet");
    }

    #[test]
    fn doubt_does_not_spread_to_what_was_believed() {
        let mut stream = prefix(100);
        stream.anchor(0);
        stream.push(1, b"JOIN #bot", true);
        stream.push(6, b"#botched", false);
        assert_eq!(stream.contiguous(), b"JOIN #bot");
        assert!(stream.push(1, b"PART #botnet\n", true).conflict);
        assert_eq!(stream.contiguous(), b"JOIN #botnet\n");
    }

    #[test]
    fn a_doubtful_segment_that_is_acknowledged_was_real() {
        let mut stream = prefix(100);
        stream.anchor(0);
        stream.push(1, b"NICK a\n", false);
        assert!(!stream.acknowledge(5));
        assert!(stream.acknowledge(8));
        assert_eq!(stream.contiguous(), b"NICK a\n");
    }

    #[test]
    fn a_keep_alive_contradicts_nothing() {
        let mut stream = prefix(100);
        stream.anchor(0);
        stream.push(1, b"abc", true);
        stream.acknowledge(4);
        assert!(!stream.push(3, b"\0", true).conflict);
        assert!(stream.push(2, b"xy", true).conflict);
        let mut short = prefix(3);
        short.anchor(0);
        short.push(1, b"abcd", true);
        short.acknowledge(5);
        assert!(short.push(3, b"xyz", true).conflict, "more than one byte, of which one is kept");
    }

    #[test]
    fn many_holes_do_not_keep_the_beginning_out() {
        let mut stream = prefix(400);
        stream.anchor(0);
        let text: Vec<u8> = (0..200).collect();
        let mut crowded = false;
        for at in (2..200).step_by(2) {
            crowded |= stream.push(at + 1, &text[at as usize..][..1], true).crowded;
        }
        assert!(crowded);
        for (at, part) in text.chunks(7).enumerate() {
            stream.push(at as u32 * 7 + 1, part, true);
        }
        assert_eq!(stream.contiguous(), text);
    }

    #[test]
    fn a_first_segment_from_nowhere_gives_way() {
        let mut stream = prefix(100);
        stream.push(7, b"bogus", true);
        stream.push(7 + FAR, b"NICK a", true);
        assert_eq!(stream.contiguous(), b"NICK a");
        stream.acknowledge(7 + FAR + 6);
        stream.push(9, b"bogus", true);
        assert_eq!(stream.contiguous(), b"NICK a");
    }

    proptest! {
        /// Whatever the order, the sizes and the repetitions: the same beginning, never a conflict.
        #[test]
        fn shuffled_segments_give_the_stream(
            text in proptest::collection::vec(any::<u8>(), 1..300),
            cuts in proptest::collection::vec((0usize..300, 1usize..40), 0..60),
            base in any::<u32>(),
        ) {
            let mut stream = prefix(200);
            stream.anchor(base.wrapping_sub(1));
            let mut all: Vec<(usize, usize)> = cuts;
            all.extend((0..text.len()).step_by(17).map(|from| (from, 17)));
            for (from, length) in all {
                let from = from % text.len();
                let to = (from + length).min(text.len());
                let pushed = stream.push(base.wrapping_add(from as u32), &text[from..to], true);
                prop_assert!(!pushed.conflict);
            }
            let expected = &text[..text.len().min(200)];
            prop_assert!(expected.starts_with(stream.contiguous()));
            prop_assert_eq!(stream.contiguous().len(), expected.len());
        }
    }
}
