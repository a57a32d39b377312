//! The flow table: a slab behind a keyed hash, with a timer wheel for what has gone silent.
//!
//! A flow stays in its slot from its first packet to its event, and is looked at by the wheel when it may have
//! ended and not before: each visit to a slot that no packet has touched lately waits for memory. Full, the table
//! ends flows that nobody has answered before it touches others.

use std::hash::BuildHasher;

use hashbrown::HashTable;

use super::{Flow, Key};
use crate::Limits;
use crate::lore::Nanos;
use crate::siphash::Secret;

const SECOND: Nanos = 1_000_000_000;
/// Slots of the wheel, a second each. Flows with more patience are looked at once a turn.
const WHEEL: usize = 128;
/// Entries for which a slot of the wheel keeps room.
const USUAL: usize = 1024;
/// How many flows are compared to find one to give up.
const LOOKED_AT: usize = 64;

/// Where a flow is in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(u32);

#[repr(align(64))]
struct Slot {
    flow: Option<Flow>,
    hash: u64,
    /// The second in which the wheel looks here. Entries that come up earlier are of former tenants or plans.
    due: u64,
}

/// All live flows.
pub(crate) struct Table {
    secret: Secret,
    places: HashTable<u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    wheel: [Vec<u32>; WHEEL],
    /// Slots of the second that is being swept, the next one last.
    looked_at: Vec<u32>,
    /// The second up to which the wheel was turned.
    swept: u64,
    /// Entries in the wheel, at most.
    scheduled: usize,
    hand: usize,
    most: usize,
    /// The flow that was found last: packets come in trains.
    latest: u32,
}

impl Table {
    pub(crate) fn new(most: usize) -> Table {
        Table {
            secret: Secret::default(),
            places: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            wheel: std::array::from_fn(|_| Vec::new()),
            looked_at: Vec::new(),
            swept: 0,
            scheduled: 0,
            hand: 0,
            most: most.clamp(1, u32::MAX as usize / 2),
            latest: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// The place of the flow with this key; without one, the key's hash for [`insert`](Table::insert).
    #[inline]
    pub(crate) fn find(&mut self, key: &Key) -> Result<Place, u64> {
        let same = |place: &u32| matches!(self.slots.get(*place as usize), Some(Slot { flow: Some(flow), .. }) if flow.key == *key);
        if !same(&self.latest) {
            let hash = self.secret.hash_one(key);
            self.latest = *self.places.find(hash, same).ok_or(hash)?;
        }
        Ok(Place(self.latest))
    }

    pub(crate) fn get_mut(&mut self, place: Place) -> Option<&mut Flow> {
        self.slots.get_mut(place.0 as usize)?.flow.as_mut()
    }

    /// Whether another flow needs another to go first.
    pub(crate) fn full(&self) -> bool {
        self.places.len() >= self.most
    }

    /// Puts in a flow that is heard for the first time, under the hash of its key. The caller has made room.
    pub(crate) fn insert(&mut self, hash: u64, mut flow: Flow, now: Nanos, limits: &Limits) -> Place {
        flow.heard = now;
        let deadline = now.saturating_add(flow.patience(limits));
        let place = self.free.pop().unwrap_or(self.slots.len() as u32);
        if place as usize == self.slots.len() {
            self.slots.push(Slot { flow: None, hash: 0, due: 0 });
        }
        let slot = &mut self.slots[place as usize];
        slot.flow = Some(flow);
        slot.hash = hash;
        let slots = &self.slots;
        self.places.insert_unique(hash, place, |&place| slots[place as usize].hash);
        self.schedule(place, deadline, now);
        Place(place)
    }

    /// Lets go of a flow that has been told.
    pub(crate) fn remove(&mut self, place: Place) {
        let Some(slot) = self.slots.get_mut(place.0 as usize).filter(|slot| slot.flow.is_some()) else { return };
        slot.flow = None;
        if let Ok(entry) = self.places.find_entry(slot.hash, |&found| found == place.0) {
            entry.remove();
        }
        self.free.push(place.0);
    }

    /// A flow may end sooner than it was planned to be looked at.
    pub(crate) fn hurry(&mut self, place: Place, deadline: Nanos, now: Nanos) {
        if self.slots.get(place.0 as usize).is_some_and(|slot| slot.due > deadline / SECOND + 1) {
            self.schedule(place.0, deadline, now);
        }
    }

    fn schedule(&mut self, place: u32, when: Nanos, now: Nanos) {
        let soonest = (now / SECOND).max(self.swept) + 1;
        // Not beyond the turn that is being swept, or the entry would come up in this one.
        let latest = soonest.max(self.swept + WHEEL as u64 - 1);
        let second = (when / SECOND + 1).clamp(soonest, latest);
        self.slots[place as usize].due = second;
        self.wheel[(second % WHEEL as u64) as usize].push(place);
        self.scheduled += 1;
        // Flows that have ended leave their entries behind until the wheel has turned.
        if self.scheduled > 4 * self.most + WHEEL {
            let slots = &self.slots;
            for (at, entries) in self.wheel.iter_mut().enumerate() {
                entries.retain(|&place| {
                    let slot = &slots[place as usize];
                    slot.flow.is_some() && (slot.due % WHEEL as u64) as usize == at
                });
                entries.sort_unstable();
                entries.dedup();
                entries.shrink_to(2 * entries.len());
            }
            self.scheduled = self.wheel.iter().map(Vec::len).sum();
        }
    }

    /// The next flow that has been silent for too long, in a fixed order; `None` when there is no other. The caller
    /// removes it.
    pub(crate) fn expired(&mut self, now: Nanos, limits: &Limits) -> Option<Place> {
        let until = now / SECOND;
        loop {
            let Some(place) = self.looked_at.pop().inspect(|_| self.scheduled = self.scheduled.saturating_sub(1))
            else {
                if self.swept >= until {
                    return None;
                }
                // After a long silence one turn of the wheel shows every flow.
                self.swept = (self.swept + 1).max(until.saturating_sub(WHEEL as u64 - 1));
                // A flood has gone by: what it took goes back.
                self.looked_at.shrink_to(USUAL);
                std::mem::swap(&mut self.looked_at, &mut self.wheel[(self.swept % WHEEL as u64) as usize]);
                self.looked_at.reverse();
                continue;
            };
            let Some(Slot { flow: Some(flow), due, .. }) = self.slots.get(place as usize) else { continue };
            if *due > self.swept {
                continue;
            }
            let deadline = flow.heard.saturating_add(flow.patience(limits));
            if deadline <= now {
                return Some(Place(place));
            }
            self.schedule(place, deadline, now);
        }
    }

    /// The flow that is missed least: one that was never answered, else the one that has been silent longest,
    /// among the next few. The caller removes it.
    pub(crate) fn give_up(&mut self) -> Option<Place> {
        let mut choice: Option<(bool, Nanos, u32)> = None;
        let mut looked = 0;
        for _ in 0..self.slots.len() {
            self.hand = (self.hand + 1) % self.slots.len();
            let Some(flow) = &self.slots[self.hand].flow else { continue };
            let candidate = (flow.established(), flow.heard, self.hand as u32);
            choice = Some(choice.map_or(candidate, |best| best.min(candidate)));
            looked += 1;
            if looked == LOOKED_AT {
                break;
            }
        }
        choice.map(|(_, _, place)| Place(place))
    }

    /// The clock was wrong up to now. Every flow counts as heard at this time.
    pub(crate) fn start_over(&mut self, now: Nanos, limits: &Limits) {
        self.swept = now / SECOND;
        for place in self.all() {
            if let Some(flow) = self.get_mut(place) {
                flow.heard = now;
                let deadline = now.saturating_add(flow.patience(limits));
                self.schedule(place.0, deadline, now);
            }
        }
    }

    /// Every flow, in the order of first packets.
    pub(crate) fn all(&self) -> Vec<Place> {
        let live = self.slots.iter().enumerate();
        let mut live: Vec<(u64, u32)> =
            live.filter_map(|(place, slot)| Some((slot.flow.as_ref()?.serial, place as u32))).collect();
        live.sort_unstable();
        live.into_iter().map(|(_, place)| Place(place)).collect()
    }

    /// Forgets that there ever were flows.
    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        self.places.clear();
        self.free.clear();
        self.wheel.iter_mut().for_each(Vec::clear);
        self.looked_at.clear();
        self.swept = 0;
        self.scheduled = 0;
        self.hand = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use proptest::prelude::*;

    use super::*;
    use crate::view::Endpoint;

    /// A UDP flow.
    fn flow(serial: u64, now: Nanos) -> Flow {
        let end = |last| Endpoint { ip: IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)), port: serial as u16 };
        Flow::new(Key::new(end(1), end(2), 17), serial, end(1), end(2), now)
    }

    proptest! {
        /// However unevenly time passes, every flow ends within a second or two of its deadline, and none before.
        #[test]
        fn flows_end_when_their_patience_does(steps in proptest::collection::vec((0u64..400, 0u64..3), 1..60)) {
            let limits = Limits { udp_idle: 120 * SECOND, ..Limits::default() };
            let mut table = Table::new(1000);
            let mut now = 1_700_000_000 * SECOND;
            let mut serial = 0;
            for (seconds, begun) in steps {
                now += seconds * SECOND;
                while let Some(place) = table.expired(now, &limits) {
                    prop_assert!(table.get_mut(place).unwrap().heard + limits.udp_idle <= now);
                    table.remove(place);
                }
                for place in table.all() {
                    prop_assert!(table.get_mut(place).unwrap().heard + limits.udp_idle + 2 * SECOND > now);
                    // Every third flow goes on.
                    let flow = table.get_mut(place).unwrap();
                    if flow.serial.is_multiple_of(3) {
                        flow.heard = now;
                    }
                }
                for _ in 0..begun {
                    serial += 1;
                    let flow = flow(serial, now);
                    let hash = table.find(&flow.key).unwrap_err();
                    table.insert(hash, flow, now, &limits);
                }
            }
        }
    }

    #[test]
    fn a_hurried_flow_is_looked_at_sooner() {
        let limits = Limits::default();
        let mut table = Table::new(10);
        let start = 1_700_000_000 * SECOND;
        assert_eq!(table.expired(start, &limits), None);
        let begun = flow(1, start);
        let hash = table.find(&begun.key).unwrap_err();
        let place = table.insert(hash, begun, start, &limits);
        let hasty = Limits { udp_idle: 10 * SECOND, ..limits };
        assert_eq!(table.expired(start + 15 * SECOND, &hasty), None, "it was planned for later");
        table.hurry(place, start + 20 * SECOND, start + 15 * SECOND);
        assert_eq!(table.expired(start + 22 * SECOND, &hasty), Some(place));
    }
}
