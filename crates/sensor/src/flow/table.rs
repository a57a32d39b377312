//! The flow table: a slab behind a keyed hash, with a timer wheel for what has gone silent.
//!
//! Hashing is SipHash with a secret of the process, so that nobody can choose packets that collide. Full, the
//! table ends flows that nobody has answered before it touches others.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use super::{Flow, Key};
use crate::Limits;
use crate::lore::Nanos;

const SECOND: Nanos = 1_000_000_000;
/// Slots of the wheel, a second each. Flows with more patience are looked at once a turn.
const WHEEL: usize = 32;
/// How many flows are compared to find one to give up.
const LOOKED_AT: usize = 64;

/// Where a flow is in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(u32);

struct Slot {
    flow: Option<Flow>,
    /// Tells a new tenant from the old one in the wheel.
    generation: u32,
}

/// All live flows.
pub(crate) struct Table {
    hasher: RandomState,
    places: HashTable<u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    wheel: [Vec<(u32, u32)>; WHEEL],
    /// Flows of the second that is being swept, the next one last.
    due: Vec<(u32, u32)>,
    /// The second up to which the wheel was turned.
    swept: u64,
    /// Entries in the wheel, at most.
    scheduled: usize,
    hand: usize,
    most: usize,
}

impl Table {
    pub(crate) fn new(most: usize) -> Table {
        Table {
            hasher: RandomState::new(),
            places: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            wheel: std::array::from_fn(|_| Vec::new()),
            due: Vec::new(),
            swept: 0,
            scheduled: 0,
            hand: 0,
            most: most.clamp(1, u32::MAX as usize / 2),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn find(&self, key: &Key) -> Option<Place> {
        let hash = self.hasher.hash_one(key);
        let same = |place: &u32| matches!(self.slots.get(*place as usize), Some(Slot { flow: Some(flow), .. }) if flow.key == *key);
        self.places.find(hash, same).map(|place| Place(*place))
    }

    pub(crate) fn get_mut(&mut self, place: Place) -> Option<&mut Flow> {
        self.slots.get_mut(place.0 as usize)?.flow.as_mut()
    }

    /// Whether another flow needs another to go first.
    pub(crate) fn full(&self) -> bool {
        self.places.len() >= self.most
    }

    /// Puts a flow in. The caller has made room.
    pub(crate) fn insert(&mut self, flow: Flow, now: Nanos) -> Place {
        let hash = self.hasher.hash_one(flow.key);
        let place = self.free.pop().unwrap_or(self.slots.len() as u32);
        if place as usize == self.slots.len() {
            self.slots.push(Slot { flow: None, generation: 0 });
        }
        let slot = &mut self.slots[place as usize];
        slot.flow = Some(flow);
        slot.generation = slot.generation.wrapping_add(1);
        let generation = slot.generation;
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.places.insert_unique(hash, place, |&place| match &slots[place as usize].flow {
            Some(flow) => hasher.hash_one(flow.key),
            None => 0,
        });
        self.schedule(place, generation, now.saturating_add((WHEEL as u64 - 1) * SECOND), now);
        Place(place)
    }

    pub(crate) fn remove(&mut self, place: Place) -> Option<Flow> {
        let flow = self.slots.get_mut(place.0 as usize)?.flow.take()?;
        let hash = self.hasher.hash_one(flow.key);
        if let Ok(entry) = self.places.find_entry(hash, |&found| found == place.0) {
            entry.remove();
        }
        self.free.push(place.0);
        Some(flow)
    }

    fn schedule(&mut self, place: u32, generation: u32, when: Nanos, now: Nanos) {
        let soonest = (now / SECOND).max(self.swept) + 1;
        let second = (when / SECOND + 1).clamp(soonest, soonest + WHEEL as u64 - 2);
        self.wheel[(second % WHEEL as u64) as usize].push((place, generation));
        self.scheduled += 1;
        // Flows that have ended leave their entries behind until the wheel has turned.
        if self.scheduled > 4 * self.most + WHEEL {
            let slots = &self.slots;
            let live = |(place, generation): &(u32, u32)| {
                slots.get(*place as usize).is_some_and(|slot| slot.flow.is_some() && slot.generation == *generation)
            };
            self.wheel.iter_mut().for_each(|slot| slot.retain(live));
            self.scheduled = self.wheel.iter().map(Vec::len).sum();
        }
    }

    /// Takes out the next flow that has been silent for too long, in a fixed order; `None` when there is no other.
    pub(crate) fn expired(&mut self, now: Nanos, limits: &Limits) -> Option<Flow> {
        let until = now / SECOND;
        loop {
            let Some((place, generation)) =
                self.due.pop().inspect(|_| self.scheduled = self.scheduled.saturating_sub(1))
            else {
                if self.swept >= until {
                    return None;
                }
                // After a long silence one turn of the wheel shows every flow.
                self.swept = (self.swept + 1).max(until.saturating_sub(WHEEL as u64 - 1));
                std::mem::swap(&mut self.due, &mut self.wheel[(self.swept % WHEEL as u64) as usize]);
                self.due.reverse();
                continue;
            };
            let Some(Slot { flow: Some(flow), generation: current }) = self.slots.get(place as usize) else { continue };
            if *current != generation {
                continue;
            }
            let deadline = flow.last.saturating_add(flow.patience(limits));
            if deadline <= now {
                return self.remove(Place(place));
            }
            self.schedule(place, generation, deadline, now);
        }
    }

    /// The flow that is missed least: one that was never answered, else the one that has been silent longest,
    /// among the next few.
    pub(crate) fn give_up(&mut self) -> Option<Flow> {
        let mut choice: Option<(bool, Nanos, u32)> = None;
        let mut looked = 0;
        for _ in 0..self.slots.len() {
            self.hand = (self.hand + 1) % self.slots.len();
            let Some(flow) = &self.slots[self.hand].flow else { continue };
            let candidate = (flow.established(), flow.last, self.hand as u32);
            choice = Some(choice.map_or(candidate, |best| best.min(candidate)));
            looked += 1;
            if looked == LOOKED_AT {
                break;
            }
        }
        self.remove(Place(choice?.2))
    }

    /// Empties the table in the order of first packets.
    pub(crate) fn drain(&mut self) -> Vec<Flow> {
        let mut flows: Vec<Flow> = self.slots.drain(..).filter_map(|slot| slot.flow).collect();
        flows.sort_by_key(|flow| flow.serial);
        self.places.clear();
        self.free.clear();
        self.wheel.iter_mut().for_each(Vec::clear);
        self.due.clear();
        self.swept = 0;
        self.scheduled = 0;
        self.hand = 0;
        flows
    }
}
