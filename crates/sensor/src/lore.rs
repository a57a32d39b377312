//! What flows teach about others, in bounded tables: names that clients looked up, addresses that
//! signalling announced, ports that speak a protocol, systems that devices run.

use std::hash::{BuildHasher, Hash};
use std::net::{IpAddr, Ipv4Addr};

use hashbrown::HashTable;
use model::Platform;

use crate::platform::{Family, Platforms, Strength};
use crate::siphash::Secret;
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
    /// Whose flow teaches.
    teacher: IpAddr,
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

/// Entries that were forgotten before their time because a table was full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Names that clients looked up.
    pub names: u64,
    /// Endpoints that signalling announced.
    pub expected: u64,
    /// Endpoints that spoke a protocol.
    pub speakers: u64,
    /// Addresses whose system was known.
    pub platforms: u64,
}

impl Lore {
    /// Empty tables of at most `most` entries each.
    pub fn new(most: usize) -> Lore {
        Lore {
            now: 0,
            teacher: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            names: Bounded::new(most),
            expected: Bounded::new(most),
            spoken: Bounded::new(most),
            platforms: Platforms::new(most),
        }
    }

    /// Sets the clock.
    pub fn at(&mut self, now: Nanos) {
        self.now = now;
        self.platforms.at(now);
    }

    /// What is taught from now on comes from a flow of this client, and counts as its share of the tables.
    pub fn hear(&mut self, client: IpAddr) {
        self.teacher = client;
    }

    /// What full tables have forgotten before its time.
    pub fn forgotten(&self) -> Forgotten {
        Forgotten {
            names: self.names.pushed_out(),
            expected: self.expected.pushed_out(),
            speakers: self.spoken.pushed_out(),
            platforms: self.platforms.pushed_out(),
        }
    }

    /// `client` has been told that `name` is at `address`.
    pub fn learn_name(&mut self, client: IpAddr, address: IpAddr, name: &str) {
        self.names.insert(client, (client, address), name.into(), self.now, NAME_LIFE);
    }

    /// The name under which `client` last looked up `address`.
    pub fn name(&self, client: IpAddr, address: IpAddr) -> Option<&str> {
        self.names.get(&(client, address), self.now).map(|name| &**name)
    }

    /// Signalling announced that `application` will use this endpoint (either transport).
    pub fn expect(&mut self, endpoint: Endpoint, application: &'static str, by: &'static str) {
        self.expected.insert(self.teacher, endpoint, Expected { application, by }, self.now, EXPECT_LIFE);
    }

    /// What was announced for this endpoint.
    pub fn expected(&self, endpoint: Endpoint) -> Option<Expected> {
        self.expected.get(&endpoint, self.now).copied()
    }

    /// This endpoint has spoken the protocol of a peer-to-peer application.
    pub fn learn_speaker(&mut self, transport: Transport, endpoint: Endpoint, application: &'static str) {
        self.spoken.insert(self.teacher, (transport, endpoint), application, self.now, SPOKEN_LIFE);
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

/// A map of bounded size with expiry. Full, it forgets its oldest entry; but who holds more than a share of it
/// pushes out only what it brought itself, so that nobody empties the table for the others.
pub(crate) struct Bounded<K, V> {
    hasher: Secret,
    table: HashTable<u32>,
    /// A ring in order of insertion; `next` is the slot that is written next.
    slots: Vec<Slot<K, V>>,
    next: u32,
    owners: HashTable<Owner>,
    most: usize,
    pushed_out: u64,
}

struct Slot<K, V> {
    key: K,
    value: V,
    until: Nanos,
    /// Who brought it, and what else that one brought before and after.
    owner: IpAddr,
    older: u32,
    newer: u32,
}

/// Somebody who brought entries: how many there are, and both ends of their chain.
struct Owner {
    ip: IpAddr,
    held: u32,
    oldest: u32,
    newest: u32,
}

/// The end of a chain.
const END: u32 = u32::MAX;
/// What part of a full table one owner may hold.
const SHARE: usize = 16;

impl<K: Hash + Eq + Copy, V> Bounded<K, V> {
    pub(crate) fn new(most: usize) -> Self {
        Bounded {
            hasher: Secret::default(),
            table: HashTable::new(),
            slots: Vec::new(),
            next: 0,
            owners: HashTable::new(),
            most: most.clamp(1, END as usize),
            pushed_out: 0,
        }
    }

    /// Entries that made room before their time.
    pub(crate) fn pushed_out(&self) -> u64 {
        self.pushed_out
    }

    pub(crate) fn get(&self, key: &K, now: Nanos) -> Option<&V> {
        let slot = *self.table.find(self.hasher.hash_one(key), |&slot| self.slots[slot as usize].key == *key)?;
        let Slot { value, until, .. } = &self.slots[slot as usize];
        (*until >= now).then_some(value)
    }

    /// Enters what `owner` brought, to be believed for `life` from `now`.
    pub(crate) fn insert(&mut self, owner: IpAddr, key: K, value: V, now: Nanos, life: Nanos) {
        let until = now.saturating_add(life);
        let hash = self.hasher.hash_one(key);
        let slots = &self.slots;
        if let Some(&slot) = self.table.find(hash, |&slot| slots[slot as usize].key == key) {
            let held = &mut self.slots[slot as usize];
            (held.value, held.until) = (value, until);
            return;
        }
        let new = Slot { key, value, until, owner, older: END, newer: END };
        let slot = if self.slots.len() < self.most {
            self.slots.push(new);
            (self.slots.len() - 1) as u32
        } else {
            let slot = self.victim(owner);
            if self.slots[slot as usize].until >= now {
                self.pushed_out += 1;
            }
            self.unlink(slot);
            self.slots[slot as usize] = new;
            slot
        };
        self.link(slot, hash);
    }

    /// The slot to use again.
    fn victim(&mut self, owner: IpAddr) -> u32 {
        let hash = self.hasher.hash_one(owner);
        match self.owners.find(hash, |held| held.ip == owner) {
            Some(greedy) if greedy.held as usize > self.most / SHARE => greedy.oldest,
            _ => {
                let slot = self.next;
                self.next = (slot + 1) % self.most as u32;
                slot
            }
        }
    }

    /// Enters a slot into the table, and into its owner's chain as the newest.
    fn link(&mut self, slot: u32, hash: u64) {
        let Bounded { hasher, table, slots, owners, .. } = self;
        table.insert_unique(hash, slot, |&slot| hasher.hash_one(slots[slot as usize].key));
        let ip = slots[slot as usize].owner;
        let hash = hasher.hash_one(ip);
        match owners.find_mut(hash, |held| held.ip == ip) {
            Some(owner) => {
                slots[owner.newest as usize].newer = slot;
                slots[slot as usize].older = owner.newest;
                owner.newest = slot;
                owner.held += 1;
            }
            None => {
                let owner = Owner { ip, held: 1, oldest: slot, newest: slot };
                owners.insert_unique(hash, owner, |held| hasher.hash_one(held.ip));
            }
        }
    }

    /// Takes a slot out of the table and out of its owner's chain.
    fn unlink(&mut self, slot: u32) {
        let Slot { key, owner, older, newer, .. } = self.slots[slot as usize];
        if let Ok(entry) = self.table.find_entry(self.hasher.hash_one(key), |&found| found == slot) {
            entry.remove();
        }
        if let Some(older) = self.slots.get_mut(older as usize) {
            older.newer = newer;
        }
        if let Some(newer) = self.slots.get_mut(newer as usize) {
            newer.older = older;
        }
        if let Ok(mut entry) = self.owners.find_entry(self.hasher.hash_one(owner), |held| held.ip == owner) {
            let chain = entry.get_mut();
            chain.held -= 1;
            if chain.oldest == slot {
                chain.oldest = newer;
            }
            if chain.newest == slot {
                chain.newest = older;
            }
            if chain.held == 0 {
                entry.remove();
            }
        }
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

    #[test]
    fn one_client_does_not_empty_a_table_for_the_others() {
        let mut lore = Lore::new(64);
        let (quiet, loud) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let address = |number: u32| IpAddr::from(Ipv4Addr::from_bits(number));
        let end = |number: u32| Endpoint { ip: address(number), port: 6881 };
        lore.learn_name(quiet, address(1), "chat.example");
        lore.hear(quiet);
        lore.learn_speaker(Transport::Udp, end(1), "bittorrent");
        lore.hear(loud);
        for number in 2..1000 {
            lore.learn_name(loud, address(number), "flood.example");
            lore.learn_speaker(Transport::Udp, end(number), "bittorrent");
        }
        assert_eq!(lore.name(quiet, address(1)), Some("chat.example"));
        assert!(lore.speaker(Transport::Udp, end(1)).is_some());
        assert!(lore.name(loud, address(999)).is_some() && lore.name(loud, address(900)).is_none());
        assert_eq!(lore.forgotten(), Forgotten { names: 935, speakers: 935, ..Forgotten::default() });
        // Others take back what the flood filled while there was room.
        for number in 1..=60 {
            lore.learn_name(address(number), address(1), "mail.example");
        }
        assert!((2..=60).all(|number| lore.name(address(number), address(1)).is_some()));
    }

    #[test]
    fn a_table_holds_what_a_plain_list_of_it_would() {
        // Owners whose entries are pushed out by themselves and by others, in every order.
        let mut table = Bounded::new(32);
        let owner = |number: u32| IpAddr::from(Ipv4Addr::from_bits(number));
        for step in 0..5000_u32 {
            let key = step.wrapping_mul(2_654_435_761) >> 24;
            table.insert(owner(key % 7 * (key % 3)), key, step, 0, 1);
            assert_eq!(table.get(&key, 0), Some(&step));
            assert_eq!(table.table.len(), table.slots.len());
            let mut held = 0;
            for chain in &table.owners {
                let (mut at, mut before, mut count) = (chain.oldest, END, 0);
                while at != END {
                    let slot = &table.slots[at as usize];
                    assert_eq!((slot.owner, slot.older), (chain.ip, before));
                    (before, at) = (at, slot.newer);
                    count += 1;
                }
                assert_eq!((before, count), (chain.newest, chain.held));
                held += count;
            }
            assert_eq!(held as usize, table.slots.len());
        }
    }

    #[test]
    fn times_at_the_end_of_the_clock_do_no_harm() {
        let mut lore = Lore::new(4);
        let ip = IpAddr::from([192, 0, 2, 1]);
        lore.at(Nanos::MAX);
        lore.learn_name(ip, ip, "chat.example");
        lore.learn_platform(ip, Family::WINDOWS, Strength::Stated);
        lore.learn_platform(ip, Family::APPLE, Strength::Stated);
        assert_eq!(lore.name(ip, ip), Some("chat.example"));
    }
}
