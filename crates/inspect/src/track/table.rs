//! A table of fixed size that forgets: what trackers keep their state in.
//!
//! Set-associative: an id names a bucket of eight slots, and a full bucket
//! gives up what is worth least and was used longest ago. Nothing is ever
//! allocated after the start, and the ids are keyed hashes, so that nobody
//! outside can aim at a bucket.

/// What a full bucket goes by when it has to give something up.
pub(super) trait Worth: Default + Clone {
    /// Higher stays longer.
    fn worth(&self) -> u8 {
        0
    }
}

impl Worth for () {}

const WAYS: usize = 8;

#[derive(Clone, Default)]
struct Slot<V> {
    /// Zero: free.
    id: u64,
    /// When last used, in milliseconds.
    used: i64,
    value: V,
}

pub(super) struct Table<V> {
    slots: Box<[Slot<V>]>,
    buckets: u64,
    /// How long an unused entry counts, in milliseconds.
    life: u64,
}

impl<V: Worth> Table<V> {
    /// A table of about `entries` entries that count for `life` milliseconds after their last use.
    pub(super) fn new(entries: usize, life: u64) -> Table<V> {
        let buckets = (entries / WAYS).max(1);
        Table { slots: vec![Slot::default(); buckets * WAYS].into(), buckets: buckets as u64, life }
    }

    /// The entry of an id, if it is there and not too old.
    pub(super) fn get(&self, id: u64, now: i64) -> Option<&V> {
        let id = id.max(1);
        let bucket = &self.slots[self.bucket(id)];
        bucket.iter().find(|slot| slot.id == id && self.counts(slot, now)).map(|slot| &slot.value)
    }

    /// The entry of an id, made if it is not there; and whether it was made.
    pub(super) fn entry(&mut self, id: u64, now: i64) -> (&mut V, bool) {
        let id = id.max(1);
        let range = self.bucket(id);
        let life = self.life;
        let bucket = &mut self.slots[range];
        let fresh = |slot: &Slot<V>| slot.used.abs_diff(now) <= life;
        let mut at = bucket.iter().position(|slot| slot.id == id);
        let known = at.is_some_and(|at| fresh(&bucket[at]));
        if at.is_none() {
            let standing = |slot: &Slot<V>| match slot.id != 0 && fresh(slot) {
                true => (1 + u16::from(slot.value.worth()), slot.used),
                false => (0, 0),
            };
            at = (0..bucket.len()).min_by_key(|at| standing(&bucket[*at]));
        }
        let slot = &mut bucket[at.unwrap_or_default()];
        if !known {
            *slot = Slot { id, used: now, value: V::default() };
        }
        // Time may step back a little; an entry does not get older by being used.
        slot.used = slot.used.max(now);
        (&mut slot.value, !known)
    }

    fn counts(&self, slot: &Slot<V>, now: i64) -> bool {
        slot.used.abs_diff(now) <= self.life
    }

    fn bucket(&self, id: u64) -> std::ops::Range<usize> {
        // The high bits of the product spread over any number of buckets.
        let bucket = ((u128::from(id.wrapping_mul(0x9e37_79b9_7f4a_7c15)) * u128::from(self.buckets)) >> 64) as usize;
        bucket * WAYS..(bucket + 1) * WAYS
    }

    /// Bytes it takes, for ever.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.slots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Weighed(u8);

    impl Worth for Weighed {
        fn worth(&self) -> u8 {
            self.0
        }
    }

    #[test]
    fn what_is_worth_more_outlives_a_flood() {
        let mut table: Table<Weighed> = Table::new(64, 1_000_000);
        table.entry(7, 0).0.0 = 2;
        for id in 100..100_000 {
            table.entry(id, id as i64 / 100);
        }
        assert!(table.get(7, 1000).is_some());
        assert!(table.get(100, 1000).is_none());
    }

    #[test]
    fn entries_age_and_time_may_step_back() {
        let mut table: Table<()> = Table::new(64, 1000);
        assert!(table.entry(1, 10_000).1);
        assert!(!table.entry(1, 9_500).1, "a small step back keeps it");
        assert!(table.get(1, 11_000).is_some());
        assert!(table.get(1, 11_001).is_none());
        assert!(table.entry(1, 5_000).1, "a large step back starts anew");
    }
}
