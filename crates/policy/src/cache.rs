//! Decisions already made, bounded, for many threads.

use std::hash::BuildHasher;

use parking_lot::Mutex;

use crate::{Map, Outcome};

const SHARDS: usize = 16;

/// A map in two generations: when the young one is full it becomes the old one
/// and the former old one goes. What is used survives, at one look-up and no
/// list to keep in order. Keys are answers that strangers can influence, so the
/// hash is seeded at random and the whole key is compared.
pub(crate) struct Cache {
    shards: [Mutex<Shard>; SHARDS],
    hasher: foldhash::fast::RandomState,
    /// Entries in one generation of one shard.
    most: usize,
}

#[derive(Default)]
struct Shard {
    young: Map<Box<[u8]>, Outcome>,
    old: Map<Box<[u8]>, Outcome>,
    // Counted here, under the lock that is held anyway, so that threads do not share a counter.
    hits: u64,
    misses: u64,
}

impl Cache {
    /// Holds about `entries` decisions.
    pub(crate) fn new(entries: usize) -> Cache {
        Cache {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: foldhash::fast::RandomState::default(),
            most: entries.div_ceil(2 * SHARDS).max(1),
        }
    }

    fn shard(&self, key: &[u8]) -> &Mutex<Shard> {
        &self.shards[(self.hasher.hash_one(key) >> 7) as usize % SHARDS]
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<Outcome> {
        let mut shard = self.shard(key).lock();
        let found = shard.get(key, self.most);
        match found {
            Some(_) => shard.hits += 1,
            None => shard.misses += 1,
        }
        found
    }

    pub(crate) fn insert(&self, key: &[u8], outcome: Outcome) {
        self.shard(key).lock().insert(key.into(), outcome, self.most);
    }

    /// Decisions held, found and not found so far.
    pub(crate) fn counts(&self) -> (usize, u64, u64) {
        self.shards.iter().fold((0, 0, 0), |(held, hits, misses), shard| {
            let shard = shard.lock();
            (held + shard.young.len() + shard.old.len(), hits + shard.hits, misses + shard.misses)
        })
    }
}

impl Shard {
    fn get(&mut self, key: &[u8], most: usize) -> Option<Outcome> {
        if let Some(outcome) = self.young.get(key) {
            return Some(outcome.clone());
        }
        let (key, outcome) = self.old.remove_entry(key)?;
        self.insert(key, outcome.clone(), most);
        Some(outcome)
    }

    fn insert(&mut self, key: Box<[u8]>, outcome: Outcome, most: usize) {
        if self.young.len() >= most {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn it_stays_bounded_and_keeps_what_is_used() {
        let cache = Cache::new(1_024);
        let used = b"used".as_slice();
        cache.insert(used, Ok(Arc::default()));
        for i in 0..100_000u32 {
            cache.insert(&i.to_le_bytes(), Ok(Arc::default()));
            if i % 16 == 0 {
                assert!(cache.get(used).is_some(), "lost after {i}");
            }
        }
        assert!(cache.counts().0 <= 1_024 + 2 * SHARDS);
    }
}
