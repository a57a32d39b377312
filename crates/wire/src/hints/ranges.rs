//! Which parts of a message have come, when its pieces come in any order.

/// Pieces apart from each other that are kept in mind. Chrome cuts a QUIC hello into about ten.
const MOST: usize = 32;

/// A set of byte ranges, sorted and apart from each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges {
    ranges: [(u32, u32); MOST],
    count: usize,
}

impl Ranges {
    /// Adds the bytes from `start` up to `end`. A range too many is dropped: the sender will repeat it or not be read.
    pub(super) fn add(&mut self, start: u32, end: u32) {
        if start >= end {
            return;
        }
        let (mut start, mut end) = (start, end);
        let mut kept = [(0, 0); MOST];
        let mut count = 0;
        let mut placed = false;
        for &(from, to) in self.ranges.iter().take(self.count) {
            if to < start || from > end {
                if from > end && !placed {
                    placed = true;
                    put(&mut kept, &mut count, (start, end));
                }
                put(&mut kept, &mut count, (from, to));
            } else {
                (start, end) = (start.min(from), end.max(to));
            }
        }
        if !placed {
            put(&mut kept, &mut count, (start, end));
        }
        (self.ranges, self.count) = (kept, count);
    }

    /// How many bytes from the very beginning have come without a gap.
    pub(super) fn contiguous(&self) -> usize {
        match self.ranges.first() {
            Some(&(0, end)) => end as usize,
            _ => 0,
        }
    }
}

fn put(kept: &mut [(u32, u32); MOST], count: &mut usize, range: (u32, u32)) {
    if let Some(slot) = kept.get_mut(*count) {
        *slot = range;
        *count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_in_any_order_make_a_whole() {
        let mut ranges = Ranges::default();
        assert_eq!(ranges.contiguous(), 0);
        for (start, end, whole) in [
            (10, 20, 0),
            (30, 40, 0),
            (0, 5, 5),
            (5, 5, 5),
            (19, 31, 5),
            (4, 9, 9),
            (9, 10, 40),
            (3, 7, 40),
            (41, 50, 40),
        ] {
            ranges.add(start, end);
            assert_eq!(ranges.contiguous(), whole, "after {start}..{end}");
        }
    }

    #[test]
    fn too_many_pieces_are_dropped_at_the_end() {
        let mut ranges = Ranges::default();
        for piece in (0..1000).rev() {
            ranges.add(piece * 10, piece * 10 + 5);
        }
        assert_eq!(ranges.contiguous(), 5);
        assert_eq!(ranges.count, MOST);
    }
}
