//! The messages of the last while, by what may repeat in them: what a campaign is recognised from, and what it takes
//! in of the time before it was recognised. Bounded by number and by age.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;

use super::{Key, KeyKind, Sighting};

/// Messages remembered for one key: enough for every threshold.
const PER_KEY: usize = 64;
/// Most bits in which two shapes of the same text differ.
const DISTANCE: u32 = 3;

/// The window.
#[derive(Debug)]
pub(super) struct Window {
    entries: VecDeque<Entry>,
    /// Number of the first entry.
    first: u64,
    by_key: HashMap<Key, VecDeque<u64>>,
    shapes: Shapes,
    most: usize,
}

#[derive(Debug)]
struct Entry {
    sighting: Arc<Sighting>,
    /// Id of the campaign that it was counted for.
    counted: Option<Arc<str>>,
}

impl Window {
    pub(super) fn new(most: usize) -> Window {
        Window {
            entries: VecDeque::new(),
            first: 0,
            by_key: HashMap::new(),
            shapes: Shapes::default(),
            most: most.max(1),
        }
    }

    /// Takes in a message, its text under the shape that its like already has; gives its number.
    pub(super) fn push(&mut self, mut sighting: Sighting) -> u64 {
        for key in &mut sighting.keys {
            let Some(shape) = key.shape() else { continue };
            match self.shapes.nearest(shape) {
                Some(known) => *key = Key::new(KeyKind::Shape, &format!("{known:016x}")),
                None => self.shapes.insert(shape),
            }
        }
        while self.entries.len() >= self.most {
            self.pop();
        }
        let number = self.first + self.entries.len() as u64;
        for key in &sighting.keys {
            let numbers = self.by_key.entry(key.clone()).or_default();
            if numbers.len() == PER_KEY {
                numbers.pop_front();
            }
            numbers.push_back(number);
        }
        self.entries.push_back(Entry { sighting: Arc::new(sighting), counted: None });
        number
    }

    /// Forgets what is older than a time.
    pub(super) fn forget(&mut self, before: Timestamp) {
        while self.entries.front().is_some_and(|entry| entry.sighting.time < before) {
            self.pop();
        }
    }

    pub(super) fn get(&self, number: u64) -> Option<&Arc<Sighting>> {
        self.entry(number).map(|entry| &entry.sighting)
    }

    /// The campaign that a message was counted for.
    pub(super) fn counted(&self, number: u64) -> Option<&Arc<str>> {
        self.entry(number)?.counted.as_ref()
    }

    pub(super) fn count(&mut self, number: u64, campaign: &Arc<str>) {
        let at = number.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        if let Some(entry) = at.and_then(|at| self.entries.get_mut(at)) {
            entry.counted = Some(campaign.clone());
        }
    }

    /// The messages with a key, oldest first.
    pub(super) fn with(&self, key: &Key) -> Vec<u64> {
        self.by_key.get(key).map(|numbers| numbers.iter().copied().collect()).unwrap_or_default()
    }

    /// Lets near texts be taken for this one even when no message of it is remembered.
    pub(super) fn hold(&mut self, key: &Key) {
        if let Some(shape) = key.shape()
            && self.shapes.nearest(shape).is_none()
        {
            self.shapes.insert(shape);
        }
    }

    fn entry(&self, number: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    fn pop(&mut self) {
        let Some(entry) = self.entries.pop_front() else { return };
        let number = self.first;
        self.first += 1;
        for key in &entry.sighting.keys {
            let Some(numbers) = self.by_key.get_mut(key) else { continue };
            if numbers.front() == Some(&number) {
                numbers.pop_front();
            }
            if numbers.is_empty() {
                self.by_key.remove(key);
                // A campaign's shape goes too, and is held again when its campaign grows.
                if let Some(shape) = key.shape() {
                    self.shapes.remove(shape);
                }
            }
        }
    }
}

/// Shapes that stand for their likes, found through bands (Manku, Jain and Das Sarma, "Detecting Near-Duplicates for
/// Web Crawling", 2007): of 64 bits in four bands, two that differ in at most three bits agree in one band at least.
#[derive(Debug, Default)]
struct Shapes(HashMap<(u8, u16), Vec<u64>>);

impl Shapes {
    /// Shapes that agree in one band; beyond, the oldest is no longer found through it.
    const BUCKET: usize = 64;

    fn nearest(&self, shape: u64) -> Option<u64> {
        let near = bands(shape).filter_map(|band| self.0.get(&band)).flatten().copied();
        near.map(|known| ((known ^ shape).count_ones(), known)).filter(|(bits, _)| *bits <= DISTANCE).min().map(|n| n.1)
    }

    fn insert(&mut self, shape: u64) {
        for band in bands(shape) {
            let bucket = self.0.entry(band).or_default();
            if bucket.len() == Shapes::BUCKET {
                bucket.remove(0);
            }
            bucket.push(shape);
        }
    }

    fn remove(&mut self, shape: u64) {
        for band in bands(shape) {
            if let Some(bucket) = self.0.get_mut(&band) {
                bucket.retain(|known| *known != shape);
                if bucket.is_empty() {
                    self.0.remove(&band);
                }
            }
        }
    }
}

fn bands(shape: u64) -> impl Iterator<Item = (u8, u16)> {
    (0..4u8).map(move |band| (band, (shape >> (u32::from(band) * 16)) as u16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_shapes_stand_for_each_other() {
        let mut shapes = Shapes::default();
        shapes.insert(0xdead_beef_0bad_cafe);
        assert_eq!(shapes.nearest(0xdead_beef_0bad_caff), Some(0xdead_beef_0bad_cafe));
        assert_eq!(shapes.nearest(0xdead_beef_0bad_cafe ^ 0b1111), None);
        shapes.remove(0xdead_beef_0bad_cafe);
        assert_eq!(shapes.nearest(0xdead_beef_0bad_cafe), None);
        assert!(shapes.0.is_empty());
        (0..10_000u64).for_each(|low| shapes.insert(low << 48 | 7));
        assert!(shapes.0.values().all(|bucket| bucket.len() <= Shapes::BUCKET));
    }
}
