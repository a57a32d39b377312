//! Near-same texts: SimHashes within a small Hamming distance, found through
//! bands (Manku, Jain and Das Sarma, "Detecting Near-Duplicates for Web
//! Crawling", 2007): of 64 bits in four bands, two that differ in at most three
//! bits agree in one band at least.

use super::Sending;

/// Most bits in which two shapes of the same text differ.
const DISTANCE: u32 = 3;
const BANDS: usize = 4;
/// How long a text is remembered after its last appearance, in milliseconds.
const WINDOW: u64 = 60 * 60 * 1000;
/// How many texts in a row may be spared when room is needed.
const SPARED: usize = 8;

/// One text and how far it has come.
#[derive(Clone, Default)]
struct Cluster {
    shape: u64,
    last: i64,
    senders: Crowd,
    strangers: Crowd,
    /// Times it was seen again; lets it stay longer when room is needed.
    again: u8,
}

/// How many distinct ids were added, to within a few: linear counting in 128
/// bits (Whang et al., 1990). Saturates at a few hundred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Crowd(u128);

impl Crowd {
    pub(super) fn add(&mut self, id: u64) {
        // Ids are keyed hashes: any seven bits will do.
        self.0 |= 1 << (id >> 57);
    }

    pub(super) fn count(self) -> u32 {
        let free = f64::from(self.0.count_zeros().max(1));
        (-128.0 * (free / 128.0).ln()).round() as u32
    }
}

/// The texts of the last hour, bounded.
pub(super) struct Shapes {
    clusters: Box<[Cluster]>,
    next: usize,
    /// For each band and value of it (shortened), the last text that had it.
    bands: Box<[[Seen; BANDS]]>,
}

/// A text as the bands know it; with the shape at hand, most are ruled out without a look at the text.
#[derive(Clone, Copy, Default)]
struct Seen {
    shape: u64,
    /// Place among the texts, plus one; zero where there is none.
    at: u32,
}

/// How far a text has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reach {
    /// Distinct accounts that sent it.
    pub(super) senders: u32,
    /// Distinct recipients that were strangers to their sender.
    pub(super) strangers: u32,
}

impl Shapes {
    /// Room for this many texts.
    pub(super) fn new(entries: usize) -> Shapes {
        let entries = entries.next_power_of_two().clamp(64, 1 << 16);
        Shapes {
            clusters: vec![Cluster::default(); entries].into(),
            next: 0,
            bands: vec![[Seen::default(); BANDS]; entries].into(),
        }
    }

    /// Takes in one text; `stranger` is asked only when it was seen before.
    pub(super) fn learn(&mut self, shape: u64, sending: &Sending, stranger: impl FnOnce() -> bool) -> Reach {
        let at = match self.find(shape, sending.now) {
            Some(at) => at,
            None => self.add(shape, sending.now),
        };
        let cluster = &mut self.clusters[at];
        let first = cluster.senders == Crowd::default();
        cluster.last = sending.now;
        cluster.again = cluster.again.saturating_add(u8::from(!first));
        cluster.senders.add(sending.from);
        if sending.direct && (first || stranger()) {
            cluster.strangers.add(sending.to);
        }
        Reach { senders: cluster.senders.count(), strangers: cluster.strangers.count() }
    }

    fn find(&self, shape: u64, now: i64) -> Option<usize> {
        (0..BANDS).find_map(|band| {
            let seen = self.bands[self.slot(shape, band)][band];
            if (seen.shape ^ shape).count_ones() > DISTANCE {
                return None;
            }
            let at = (seen.at as usize).checked_sub(1)?;
            let cluster = self.clusters.get(at)?;
            // The place may have gone to another text since.
            (cluster.shape == seen.shape && cluster.last.abs_diff(now) <= WINDOW).then_some(at)
        })
    }

    fn add(&mut self, shape: u64, now: i64) -> usize {
        for _ in 0..SPARED {
            let cluster = &mut self.clusters[self.next];
            if cluster.again == 0 || cluster.last.abs_diff(now) > WINDOW {
                break;
            }
            cluster.again /= 2;
            self.next = (self.next + 1) % self.clusters.len();
        }
        let at = self.next;
        self.next = (self.next + 1) % self.clusters.len();
        self.clusters[at] = Cluster { shape, last: now, ..Cluster::default() };
        for band in 0..BANDS {
            self.bands[self.slot(shape, band)][band] = Seen { shape, at: at as u32 + 1 };
        }
        at
    }

    fn slot(&self, shape: u64, band: usize) -> usize {
        ((shape >> (16 * band)) & 0xffff) as usize & (self.bands.len() - 1)
    }

    /// Bytes it takes, for ever.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.clusters) + size_of_val(&*self.bands)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sending(from: u64, now: i64) -> Sending {
        let ids = super::super::Ids::new(&super::super::Config::default());
        let mix = |n: u64| ids.of(0, &n.to_le_bytes());
        Sending { now, from: mix(from), to: mix(from + 1_000_000), direct: true }
    }

    #[test]
    fn near_texts_are_one_text_and_others_are_not() {
        let mut shapes = Shapes::new(1024);
        let shape = 0x0123_4567_89ab_cdef;
        shapes.learn(shape, &sending(1, 0), || true);
        assert_eq!(shapes.learn(shape ^ 1 ^ 1 << 20 ^ 1 << 63, &sending(2, 1000), || true).senders, 2);
        assert_eq!(shapes.learn(!shape, &sending(3, 2000), || true).senders, 1);
        assert_eq!(
            shapes.learn(shape, &sending(4, 2000 + WINDOW as i64 * 2), || true).senders,
            1,
            "an hour on, it is new"
        );
    }

    #[test]
    fn a_text_that_comes_again_outlives_a_flood_of_others() {
        let mut shapes = Shapes::new(1024);
        for n in 0..100 {
            shapes.learn(42, &sending(n, n as i64), || true);
        }
        for n in 0..3000u64 {
            shapes.learn(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 << 40, &sending(n, 200), || true);
        }
        let reach = shapes.learn(42, &sending(5, 300), || true);
        assert!((80..130).contains(&reach.senders), "{reach:?}");
    }
}
