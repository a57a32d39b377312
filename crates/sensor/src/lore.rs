//! What flows teach about others, in bounded tables: names that clients looked up, addresses that
//! signalling announced, ports that speak a protocol, systems that devices run.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;

use hashbrown::HashTable;
use model::Platform;

use crate::platform::{Family, Platforms, Strength};
use crate::view::{Endpoint, Transport};

/// Time in nanoseconds since the epoch, as packets carry it.
pub type Nanos = u64;

const SECOND: Nanos = 1_000_000_000;
/// How long a looked-up name is believed: clients keep addresses longer than their TTL says.
const NAME_LIFE: Nanos = 30 * 60 * SECOND;
/// How long an announced media address is waited for.
const EXPECT_LIFE: Nanos = 10 * 60 * SECOND;
/// How long an endpoint that spoke a protocol is taken to speak it.
const SPOKEN_LIFE: Nanos = 30 * 60 * SECOND;

/// Shared memory beside the flow tables.
pub struct Lore {
    now: Nanos,
    names: Bounded<(IpAddr, IpAddr), Box<str>>,
    expected: Bounded<Endpoint, Expected>,
    spoken: Bounded<(Transport, Endpoint), &'static str>,
    platforms: Platforms,
}

/// What is known about an endpoint from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Id of the application to come.
    pub application: &'static str,
    /// Who announced it: "SDP", "DCC".
    pub by: &'static str,
}

impl Lore {
    /// Empty tables of at most `most` entries each.
    pub fn new(most: usize) -> Lore {
        Lore {
            now: 0,
            names: Bounded::new(most),
            expected: Bounded::new(most),
            spoken: Bounded::new(most),
            platforms: Platforms::new(most),
        }
    }

    /// Moves the clock.
    pub fn at(&mut self, now: Nanos) {
        self.now = self.now.max(now);
        self.platforms.at(now);
    }

    /// `client` has been told that `name` is at `address`.
    pub fn learn_name(&mut self, client: IpAddr, address: IpAddr, name: &str) {
        self.names.insert((client, address), name.into(), self.now + NAME_LIFE);
    }

    /// The name under which `client` last looked up `address`.
    pub fn name(&self, client: IpAddr, address: IpAddr) -> Option<&str> {
        self.names.get(&(client, address), self.now).map(|name| &**name)
    }

    /// Signalling announced that `application` will use this endpoint (either transport).
    pub fn expect(&mut self, endpoint: Endpoint, application: &'static str, by: &'static str) {
        self.expected.insert(endpoint, Expected { application, by }, self.now + EXPECT_LIFE);
    }

    /// What was announced for this endpoint.
    pub fn expected(&self, endpoint: Endpoint) -> Option<Expected> {
        self.expected.get(&endpoint, self.now).copied()
    }

    /// This endpoint has spoken the protocol of a peer-to-peer application.
    pub fn learn_speaker(&mut self, transport: Transport, endpoint: Endpoint, application: &'static str) {
        self.spoken.insert((transport, endpoint), application, self.now + SPOKEN_LIFE);
    }

    /// What this endpoint was last seen to speak.
    pub fn speaker(&self, transport: Transport, endpoint: Endpoint) -> Option<&'static str> {
        self.spoken.get(&(transport, endpoint), self.now).copied()
    }

    /// The device at this address runs one of these systems.
    pub fn learn_platform(&mut self, address: IpAddr, family: Family, strength: Strength) {
        self.platforms.learn(address, family, strength);
    }

    /// The system that the device at this address runs, where that is known.
    pub fn platform(&self, address: IpAddr) -> Option<Platform> {
        self.platforms.of(address)
    }
}

/// A map of bounded size with expiry. Full, it forgets its oldest entry.
pub(crate) struct Bounded<K, V> {
    hasher: RandomState,
    table: HashTable<u32>,
    /// A ring in order of insertion; `next` is the slot written next.
    slots: Vec<(K, V, Nanos)>,
    next: usize,
    most: usize,
}

impl<K: Hash + Eq + Copy, V> Bounded<K, V> {
    pub(crate) fn new(most: usize) -> Self {
        Bounded { hasher: RandomState::new(), table: HashTable::new(), slots: Vec::new(), next: 0, most: most.max(1) }
    }

    pub(crate) fn get(&self, key: &K, now: Nanos) -> Option<&V> {
        let slot = *self.table.find(self.hasher.hash_one(key), |&slot| self.slots[slot as usize].0 == *key)?;
        let (_, value, until) = &self.slots[slot as usize];
        (*until >= now).then_some(value)
    }

    pub(crate) fn insert(&mut self, key: K, value: V, until: Nanos) {
        let hash = self.hasher.hash_one(key);
        let slots = &self.slots;
        if let Some(&slot) = self.table.find(hash, |&slot| slots[slot as usize].0 == key) {
            let (_, old, life) = &mut self.slots[slot as usize];
            (*old, *life) = (value, until);
            return;
        }
        let slot = self.next;
        self.next = (self.next + 1) % self.most;
        if slot == self.slots.len() {
            self.slots.push((key, value, until));
        } else {
            let old = self.hasher.hash_one(self.slots[slot].0);
            if let Ok(entry) = self.table.find_entry(old, |&found| found as usize == slot) {
                entry.remove();
            }
            self.slots[slot] = (key, value, until);
        }
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.table.insert_unique(hash, slot as u32, |&slot| hasher.hash_one(slots[slot as usize].0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_table_forgets_its_oldest_entry_only() {
        let mut lore = Lore::new(3);
        let ip = |last: u8| IpAddr::from([192, 0, 2, last]);
        for last in 1..=4 {
            lore.learn_name(ip(100), ip(last), &format!("host{last}.example"));
        }
        assert_eq!(lore.name(ip(100), ip(1)), None);
        for last in 2..=4 {
            assert_eq!(lore.name(ip(100), ip(last)), Some(&*format!("host{last}.example")));
        }
        lore.at(NAME_LIFE + 1);
        assert_eq!(lore.name(ip(100), ip(4)), None, "names grow old");
    }
}
