//! Which applications a number lies with: sorted ranges, for addresses and for ports.

use super::App;

/// Ranges that may overlap, cut into pieces that do not, each with every application it belongs to.
#[derive(Debug)]
pub(super) struct Ranges<K> {
    /// First number, last number, and whose; in order.
    pieces: Vec<(K, K, Box<[App]>)>,
}

impl<K> Default for Ranges<K> {
    fn default() -> Self {
        Ranges { pieces: Vec::new() }
    }
}

impl<K: Copy + Ord + Step> Ranges<K> {
    /// From ranges in any order, both ends included.
    pub(super) fn new(ranges: &[(K, K, App)]) -> Self {
        // Every number at which the set of applications may change.
        let mut cuts: Vec<K> = Vec::with_capacity(ranges.len() * 2);
        for &(first, last, _) in ranges {
            cuts.push(first);
            cuts.extend(last.next());
        }
        cuts.sort_unstable();
        cuts.dedup();
        let mut starts: Vec<&(K, K, App)> = ranges.iter().collect();
        starts.sort_unstable_by_key(|(first, ..)| *first);
        let (mut starts, mut open) = (starts.into_iter().peekable(), Vec::<(K, App)>::new());
        let mut pieces = Vec::new();
        for (i, &cut) in cuts.iter().enumerate() {
            open.retain(|&(last, _)| last >= cut);
            while let Some(&(_, last, app)) = starts.next_if(|(first, ..)| *first == cut) {
                open.push((last, app));
            }
            let mut apps: Vec<App> = open.iter().map(|&(_, app)| app).collect();
            apps.sort_unstable();
            apps.dedup();
            if apps.is_empty() {
                continue;
            }
            let widest = open.iter().map(|&(last, _)| last).max().unwrap_or(cut);
            let last = cuts.get(i + 1).and_then(|next| next.previous()).map_or(widest, |before| before.min(widest));
            pieces.push((cut, last, apps.into_boxed_slice()));
        }
        Ranges { pieces }
    }

    /// Whose this number is.
    pub(super) fn of(&self, number: K) -> &[App] {
        let behind = self.pieces.partition_point(|&(first, ..)| first <= number);
        match behind.checked_sub(1).and_then(|at| self.pieces.get(at)) {
            Some((_, last, apps)) if number <= *last => apps,
            _ => &[],
        }
    }
}

/// Numbers that have neighbours.
pub(super) trait Step: Sized {
    /// One more, if there is one.
    fn next(self) -> Option<Self>;
    /// One less, if there is one.
    fn previous(self) -> Option<Self>;
}

macro_rules! step {
    ($($number:ty)*) => {
        $(impl Step for $number {
            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }
            fn previous(self) -> Option<Self> {
                self.checked_sub(1)
            }
        })*
    };
}

step!(u32 u128);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_number_is_everyones_who_named_a_range_around_it(
            ranges in prop::collection::vec((0u32..40, 0u32..12, 0u16..5), 0..12),
        ) {
            let ranges: Vec<_> = ranges.iter().map(|&(first, more, app)| (first, first + more, App(app))).collect();
            let index = Ranges::new(&ranges);
            for number in 0..60 {
                let mut apps: Vec<App> =
                    ranges.iter().filter(|(a, b, _)| (a..=b).contains(&&number)).map(|&(.., app)| app).collect();
                apps.sort_unstable();
                apps.dedup();
                prop_assert_eq!(index.of(number), &apps[..], "{}", number);
            }
        }
    }

    #[test]
    fn the_last_number_of_all_can_be_somebodys() {
        let index = Ranges::new(&[(5, u32::MAX, App(1)), (7, 7, App(2))]);
        assert_eq!(index.of(u32::MAX), [App(1)]);
        assert_eq!(index.of(7), [App(1), App(2)]);
        assert!(index.of(4).is_empty());
    }
}
