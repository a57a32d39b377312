//! Which parts of a message have come, when its pieces come in any order.

/// Bytes that one word of the map stands for.
const WORD: usize = u64::BITS as usize;

/// A set of bytes, of which only the beginning without a gap matters in the end. What comes in order costs a number;
/// beyond a gap there is a bit for each byte, so that pieces may be as many and as small as the sender likes.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges {
    whole: usize,
    beyond: Vec<u64>,
}

impl Ranges {
    /// Adds the bytes from `start` up to `end`, which the caller bounds: an eighth of it may be allocated.
    pub(super) fn add(&mut self, start: usize, end: usize) {
        if end <= self.whole || start >= end {
            return;
        }
        if start <= self.whole {
            self.whole = end;
            self.catch_up();
        } else {
            self.mark(start, end);
        }
    }

    /// How many bytes from the very beginning have come without a gap.
    pub(super) fn contiguous(&self) -> usize {
        self.whole
    }

    fn mark(&mut self, start: usize, end: usize) {
        let words = end.div_ceil(WORD);
        if self.beyond.len() < words {
            self.beyond.resize(words, 0);
        }
        let first = start / WORD;
        for (at, word) in self.beyond.iter_mut().enumerate().take(words).skip(first) {
            let from = start.saturating_sub(at * WORD);
            let past = (end - at * WORD).min(WORD);
            *word |= u64::MAX >> (WORD - (past - from)) << from;
        }
    }

    /// Takes in what had come beyond the gap that was just closed.
    fn catch_up(&mut self) {
        while let Some(word) = self.beyond.get(self.whole / WORD) {
            let within = self.whole % WORD;
            let more = (word >> within).trailing_ones() as usize;
            self.whole += more;
            if within + more < WORD {
                return;
            }
        }
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
            (64, 128, 40),
            (127, 300, 40),
            (50, 64, 40),
            (40, 41, 300),
        ] {
            ranges.add(start, end);
            assert_eq!(ranges.contiguous(), whole, "after {start}..{end}");
        }
    }

    #[test]
    fn pieces_may_be_as_small_and_scattered_as_they_like() {
        let mut ranges = Ranges::default();
        for odd in (1..2000).step_by(2).rev() {
            ranges.add(odd, odd + 1);
        }
        assert_eq!(ranges.contiguous(), 0);
        for even in (0..2000).step_by(2) {
            ranges.add(even, even + 1);
            assert_eq!(ranges.contiguous(), even + 2);
        }
    }
}
