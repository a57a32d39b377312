//! Which last two labels the names in an index have: one bit each, looked at first. Most hosts in messages end like
//! none of them, and then nothing else of the index, which may be a hundred times as large, is touched.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

/// The filter: says no for sure, and yes for one other ending in eight.
#[derive(Debug)]
pub(crate) struct Tails {
    state: FixedState,
    /// A power of two of words.
    bits: Box<[u64]>,
}

impl Tails {
    /// Bits for each name.
    const EACH: usize = 8;

    /// For at most so many names.
    pub(crate) fn new(names: usize, seed: u64) -> Tails {
        let words = names.saturating_mul(Tails::EACH).div_ceil(64).next_power_of_two();
        Tails { state: FixedState::with_seed(seed), bits: vec![0; words].into_boxed_slice() }
    }

    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.bits)
    }

    pub(crate) fn add(&mut self, name: &[u8]) {
        let (word, bit) = self.place(name);
        if let Some(word) = self.bits.get_mut(word) {
            *word |= bit;
        }
    }

    /// Whether a name may end like one that was added.
    pub(crate) fn may_have(&self, name: &[u8]) -> bool {
        let (word, bit) = self.place(name);
        self.bits.get(word).is_some_and(|word| word & bit != 0)
    }

    fn place(&self, name: &[u8]) -> (usize, u64) {
        let mut dots = memchr::memrchr_iter(b'.', name);
        let start = dots.nth(1).map_or(0, |dot| dot + 1);
        let hash = self.state.hash_one(name.get(start..).unwrap_or_default());
        ((hash >> 6) as usize & (self.bits.len() - 1), 1 << (hash & 63))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_may_be_there_with_all_below_it() {
        let mut tails = Tails::new(1_000, 7);
        for i in 0..1_000 {
            tails.add(format!("host{i}.test").as_bytes());
        }
        for i in 0..1_000 {
            assert!(tails.may_have(format!("host{i}.test").as_bytes()));
            assert!(tails.may_have(format!("a.b.host{i}.test").as_bytes()));
        }
        let wrong = (0..1_000).filter(|i| tails.may_have(format!("other{i}.test").as_bytes())).count();
        assert!(wrong < 200, "{wrong}");
        assert!(!Tails::new(0, 7).may_have(b"a.test"));
    }
}
