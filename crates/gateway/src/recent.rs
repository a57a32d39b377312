//! A bounded map that forgets what was not touched for longest.

use std::collections::HashMap;
use std::hash::Hash;

/// A map of at most `capacity` entries in two generations: when the young one is full it becomes the old one, and the
/// old one is dropped. Approximates least-recently-used; every operation is O(1) on average. Hashed with a secret, as
/// the keys come from outside.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    generation: usize,
    limit: &'static str,
}

impl<K: Hash + Eq + Clone, V> Recent<K, V> {
    /// An empty map; `limit` names the bound where it is counted.
    pub(crate) fn new(capacity: usize, limit: &'static str) -> Recent<K, V> {
        Recent { young: HashMap::new(), old: HashMap::new(), generation: (capacity / 2).max(1), limit }
    }

    /// The value of `key`, which is now the most recent.
    pub(crate) fn get(&mut self, key: &K) -> Option<&V> {
        if let Some(value) = self.old.remove(key) {
            self.make_room();
            self.young.insert(key.clone(), value);
        }
        self.young.get(key)
    }

    /// The value of `key`, made when there is none; it is now the most recent.
    pub(crate) fn entry(&mut self, key: K, fresh: impl FnOnce() -> V) -> &mut V {
        let mut kept = None;
        if !self.young.contains_key(&key) {
            kept = self.old.remove(&key);
            self.make_room();
        }
        self.young.entry(key).or_insert_with(|| kept.unwrap_or_else(fresh))
    }

    /// Entries held.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    fn make_room(&mut self) {
        if self.young.len() >= self.generation {
            if !self.old.is_empty() {
                metrics::counter!("portcullis_limit_hits_total", "limit" => self.limit).increment(1);
            }
            self.old = std::mem::take(&mut self.young);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_touched_stays_and_the_rest_is_forgotten() {
        let mut map = Recent::new(8, "test");
        *map.entry(0, || 0) = 7;
        for i in 1..100 {
            map.entry(i, || i);
            assert_eq!(map.get(&0), Some(&7));
            assert!(map.len() <= 8);
        }
        assert_eq!(map.get(&1), None);
        assert_eq!(map.get(&99), Some(&99));
    }
}
