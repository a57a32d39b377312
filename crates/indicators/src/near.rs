//! Texts much like known ones: SimHashes within a small Hamming distance, found through bands
//! (Manku, Jain and Das Sarma, "Detecting Near-Duplicates for Web Crawling", 2007).
//!
//! Of 64 bits in seven bands, two shapes that differ in at most six agree in one band at least.

use crate::table::Says;

/// The most bits in which two shapes of the same text differ.
pub const DISTANCE: u32 = 6;
/// Shapes in one index: if all fell into one bucket, a look-up would still take well under a millisecond.
pub const SHAPES: usize = 65_536;

const BANDS: usize = 7;
/// Bits of a band; the last has one more.
const WIDTH: usize = 9;

/// Why a number is no text's shape, if it is none.
pub fn unfit(shape: u64) -> Option<&'static str> {
    let ones = shape.count_ones();
    (!(12..=52).contains(&ones)).then_some("not the shape of a text")
}

/// The shapes of an index.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    shapes: Box<[(u64, Says)]>,
    bands: Box<[Band]>,
}

/// Which shapes have each value in one band.
#[derive(Debug)]
struct Band {
    /// Where the shapes of each value begin in `members`; one more for the end.
    starts: Box<[u32]>,
    members: Box<[u32]>,
}

impl Shapes {
    pub(crate) fn new(mut shapes: Vec<(u64, Says)>) -> Shapes {
        shapes.sort_unstable_by_key(|(shape, says)| (*shape, says.rank()));
        shapes.dedup_by_key(|(shape, _)| *shape);
        let bands = if shapes.is_empty() { Vec::new() } else { (0..BANDS).map(|i| Band::new(i, &shapes)).collect() };
        Shapes { shapes: shapes.into(), bands: bands.into() }
    }

    pub(crate) fn len(&self) -> usize {
        self.shapes.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        let bands = self.bands.iter().map(|band| size_of_val(&*band.starts) + size_of_val(&*band.members));
        size_of_val(&*self.shapes) + bands.sum::<usize>()
    }

    /// The nearest known shape, and how many bits it is away.
    pub(crate) fn nearest(&self, shape: u64) -> Option<(Says, u32)> {
        let candidates = self.bands.iter().enumerate().flat_map(|(i, band)| band.of(value(shape, i)));
        candidates
            .filter_map(|at| self.shapes.get(*at as usize))
            .map(|(known, says)| (*says, (known ^ shape).count_ones()))
            .filter(|(_, distance)| *distance <= DISTANCE)
            .min_by_key(|(says, distance)| (says.rank(), *distance))
    }
}

impl Band {
    fn new(band: usize, shapes: &[(u64, Says)]) -> Band {
        let mut members: Vec<u32> = (0..shapes.len() as u32).collect();
        let of = |at: u32| shapes.get(at as usize).map_or(0, |(shape, _)| value(*shape, band));
        members.sort_by_key(|at| of(*at));
        let values = 1 << (WIDTH + 1);
        let starts = (0..=values).map(|v| members.partition_point(|at| of(*at) < v) as u32).collect();
        Band { starts, members: members.into() }
    }

    fn of(&self, value: usize) -> &[u32] {
        let (Some(start), Some(end)) = (self.starts.get(value), self.starts.get(value + 1)) else { return &[] };
        self.members.get(*start as usize..*end as usize).unwrap_or_default()
    }
}

/// What a shape has in a band.
fn value(shape: u64, band: usize) -> usize {
    let width = if band + 1 == BANDS { WIDTH + 1 } else { WIDTH };
    (shape >> (WIDTH * band)) as usize & ((1 << width) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAYS: Says = Says { list: 0, kind: 0, note: false };

    #[test]
    fn every_shape_within_the_distance_is_found() {
        let known: Vec<u64> = (1..2_000u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        let shapes = Shapes::new(known.iter().map(|shape| (*shape, SAYS)).collect());
        assert_eq!(shapes.len(), known.len());
        assert!(shapes.bytes() / known.len() < 80);
        let mut bits = 1u64;
        for shape in &known {
            let mut near = *shape;
            for _ in 0..DISTANCE {
                bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                near ^= 1 << (bits >> 58);
            }
            assert!(shapes.nearest(near).is_some_and(|(_, distance)| distance <= DISTANCE));
        }
        let far = known[0] ^ 0x8421_0842_1084_2108;
        assert!(shapes.nearest(far).is_none());
    }

    #[test]
    fn without_shapes_nothing_is_near() {
        assert!(Shapes::new(Vec::new()).nearest(0x0123_4567_89ab_cdef).is_none());
        assert!(unfit(0).is_some() && unfit(u64::MAX).is_some() && unfit(0x0123_4567_89ab_cdef).is_none());
    }
}
