//! The beginning of a stream, put together from segments of anything, against a model that keeps each byte by
//! itself.
#![no_main]

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sensor::reassemble::Prefix;

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    /// The SYN, this far from the origin.
    Anchor(i8),
    /// A segment, this far from the origin.
    Push {
        at: i16,
        data: &'a [u8],
        believed: bool,
    },
    /// What the stream should hold at this place, so that segments agree.
    Right {
        at: i16,
        length: u8,
        believed: bool,
    },
    Acknowledge(i16),
    Believe,
}

/// Places are counted from an origin; the stream's are sequence numbers.
#[derive(Default)]
struct Model {
    limit: i64,
    base: Option<i64>,
    anchored: bool,
    bytes: BTreeMap<i64, u8>,
    doubtful: Option<(i64, i64)>,
    acked: i64,
}

impl Model {
    fn anchor(&mut self, syn: i64) {
        if !self.anchored || self.bytes.is_empty() {
            self.rebase(syn + 1);
            self.anchored = true;
        }
    }

    fn rebase(&mut self, base: i64) {
        let moved = self.base.replace(base).map(|old| old - base);
        match moved {
            Some(by) if (0..self.limit).contains(&by) && !self.bytes.is_empty() => {
                self.bytes.retain(|place, _| *place < base + self.limit);
            }
            _ => {
                self.bytes.clear();
                self.doubtful = None;
                self.acked = base;
            }
        }
    }

    fn contiguous(&self) -> Vec<u8> {
        let Some(base) = self.base else { return Vec::new() };
        let until = self.doubtful.map_or(i64::MAX, |(from, _)| from);
        (base..until).map_while(|place| self.bytes.get(&place).copied()).collect()
    }

    fn ranges(&self) -> usize {
        self.bytes.keys().filter(|place| !self.bytes.contains_key(&(**place - 1))).count()
    }

    /// Whether the contiguous beginning has grown, and whether bytes differ from those that were there.
    fn push(&mut self, at: i64, data: &[u8], believed: bool) -> (bool, bool) {
        if data.is_empty() {
            return (false, false);
        }
        let before = self.contiguous().len();
        let base = match self.base {
            None => {
                self.rebase(at);
                at
            }
            Some(base) if at < base && !self.anchored && base - at < self.limit => {
                self.rebase(at);
                at
            }
            Some(base) => base,
        };
        let end = (at + data.len() as i64).min(base + self.limit);
        let keep_alive = data.len() == 1 && end <= self.acked;
        let mut conflict = false;
        let mut wrote: Option<(i64, i64)> = None;
        for place in at.max(base)..end {
            let new = data[(place - at) as usize];
            match self.bytes.get_mut(&place) {
                Some(held) if *held == new || keep_alive => {}
                Some(held) => {
                    conflict = true;
                    if believed && self.doubtful.is_some_and(|(from, to)| (from..to).contains(&place)) {
                        *held = new;
                    }
                }
                None => {
                    self.bytes.insert(place, new);
                    wrote = Some((wrote.map_or(place, |(from, _)| from), place + 1));
                }
            }
        }
        match (believed, wrote) {
            (false, Some((from, to))) => {
                let (low, high) = self.doubtful.unwrap_or((from, to));
                self.doubtful = Some((low.min(from), high.max(to)));
            }
            (true, _) if self.doubtful.is_some_and(|(from, to)| at <= from && to <= end) => self.doubtful = None,
            _ => {}
        }
        (self.contiguous().len() > before, conflict)
    }

    fn acknowledge(&mut self, ack: i64) -> bool {
        if self.base.is_none_or(|base| ack < base) {
            return false;
        }
        self.acked = self.acked.max(ack);
        let settled = self.doubtful.is_some_and(|(_, to)| to <= self.acked);
        if settled {
            self.doubtful = None;
        }
        settled
    }
}

fuzz_target!(|input: (u32, u16, Vec<Step>)| {
    let (origin, limit, steps) = input;
    let limit = 1 + u32::from(limit) % 2000;
    let mut stream = Prefix::default();
    stream.reset(limit);
    let mut model = Model { limit: i64::from(limit), ..Model::default() };
    let seq = |place: i64| origin.wrapping_add(place as u32);
    for step in steps.iter().take(64) {
        let (told, expected) = match step {
            Step::Anchor(syn) => {
                let syn = i64::from(*syn);
                stream.anchor(seq(syn));
                model.anchor(syn);
                continue;
            }
            Step::Push { at, data, believed } => {
                let at = i64::from(*at);
                (stream.push(seq(at), data, *believed), model.push(at, data, *believed))
            }
            Step::Right { at, length, believed } => {
                let at = i64::from(*at);
                let data: Vec<u8> =
                    (at..at + i64::from(*length)).map(|place| (place * 7 + place / 256) as u8).collect();
                (stream.push(seq(at), &data, *believed), model.push(at, &data, *believed))
            }
            Step::Acknowledge(ack) => {
                let ack = i64::from(*ack);
                assert_eq!(stream.acknowledge(seq(ack)), model.acknowledge(ack), "{step:?}");
                continue;
            }
            Step::Believe => {
                stream.believe();
                model.doubtful = None;
                continue;
            }
        };
        assert!(stream.contiguous().len() <= limit as usize);
        // With more holes than are kept track of, segments are left out, which the model doesn't.
        if model.ranges() > 15 {
            break;
        }
        assert_eq!(stream.contiguous(), model.contiguous(), "after {step:?}");
        let (grown, conflict) = expected;
        assert_eq!(told.conflict, conflict, "{step:?}");
        assert!(told.grown || !grown, "{step:?}");
    }
});
