//! An open-addressing table of fingerprints: what makes an index of millions small and quick.
//!
//! A slot holds a 64-bit key (a seeded hash, what is probed), a 64-bit check (from
//! BLAKE3, computed only when a key matches) and what the entry says: 20 bytes in
//! all, about 27 a stored entry at the load used. A miss costs one hash and, as keys
//! lie apart from the rest, usually one cache line.
//!
//! Strings are not kept. Two different strings are taken for one only if both hashes
//! agree, 128 bits in all; nobody gains by finding such a pair, since the outcome is that
//! his own link is stopped.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::FixedState;

/// What kind of string an entry is about; strings of different spaces never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Space {
    /// A host name: it and everything below it.
    Host = 1,
    /// `host/path` or `host/path?query`: that page.
    Page = 2,
    /// `host/path/`: everything under it.
    Under = 3,
    /// SHA-256 of a file.
    Sha256 = 4,
    /// An address range: family, prefix length, masked bytes.
    Net = 5,
    /// `protocol:account`.
    Account = 6,
    /// `protocol:server`: every account there.
    Server = 7,
}

/// What an entry says: which list, which kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Says {
    pub(crate) list: u16,
    pub(crate) kind: u8,
}

/// A string's second hash, and its share in the index's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Check(pub(crate) u64);

impl Check {
    /// The check of a string in a space.
    pub(crate) fn of(space: Space, bytes: &[u8]) -> Check {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[space as u8]);
        hasher.update(bytes);
        let mut first = [0; 8];
        hasher.finalize_xof().fill(&mut first);
        Check(u64::from_le_bytes(first))
    }
}

/// Everything a slot holds beside its key. Packed in words of four bytes, so that a slot takes 20 and not 24.
#[derive(Clone, Copy, Debug, Default)]
struct Rest {
    check: [u32; 2],
    list: u16,
    kind: u8,
}

/// The table. Its size is fixed when it is made; never more than three quarters full.
#[derive(Debug)]
pub(crate) struct Table {
    state: FixedState,
    keys: Box<[u64]>,
    rest: Box<[Rest]>,
    len: usize,
    room: usize,
}

impl Table {
    /// A table with room for `room` entries.
    pub(crate) fn new(room: usize, seed: u64) -> Table {
        let slots = room.saturating_add(room / 3).saturating_add(1);
        Table {
            state: FixedState::with_seed(seed),
            keys: vec![0; slots].into_boxed_slice(),
            rest: vec![Rest::default(); slots].into_boxed_slice(),
            len: 0,
            room,
        }
    }

    /// Entries in it.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.keys) + size_of_val(&*self.rest)
    }

    /// Adds an entry, unless the string is there with a kind at least as grave (a
    /// smaller number); entries beyond the room the table was made for are dropped.
    pub(crate) fn insert(&mut self, space: Space, bytes: &[u8], check: Check, says: Says) {
        let key = self.key(space, bytes);
        let check = split(check);
        let mut at = self.home(key);
        for _ in 0..self.keys.len() {
            let (Some(slot), Some(rest)) = (self.keys.get_mut(at), self.rest.get_mut(at)) else { return };
            if *slot == 0 {
                if self.len < self.room {
                    *slot = key;
                    *rest = Rest { check, list: says.list, kind: says.kind };
                    self.len += 1;
                }
                return;
            }
            if *slot == key && rest.check == check {
                if says.kind < rest.kind {
                    (rest.list, rest.kind) = (says.list, says.kind);
                }
                return;
            }
            at = self.after(at);
        }
    }

    /// What the entry for a string says, if there is one.
    pub(crate) fn get(&self, space: Space, bytes: &[u8]) -> Option<Says> {
        let key = self.key(space, bytes);
        let mut at = self.home(key);
        let mut check = None;
        for _ in 0..self.keys.len() {
            let slot = *self.keys.get(at)?;
            if slot == 0 {
                return None;
            }
            if slot == key {
                let rest = self.rest.get(at)?;
                if rest.check == *check.get_or_insert_with(|| split(Check::of(space, bytes))) {
                    return Some(Says { list: rest.list, kind: rest.kind });
                }
            }
            at = self.after(at);
        }
        None
    }

    /// The key of a string; zero marks an empty slot and is never a key.
    fn key(&self, space: Space, bytes: &[u8]) -> u64 {
        let mut hasher = self.state.build_hasher();
        hasher.write(bytes);
        hasher.write_u8(space as u8);
        hasher.finish().max(1)
    }

    /// Where the search for a key begins: its upper bits scaled to the table, so that any size will do.
    fn home(&self, key: u64) -> usize {
        ((u128::from(key) * self.keys.len() as u128) >> 64) as usize
    }

    fn after(&self, at: usize) -> usize {
        if at + 1 < self.keys.len() { at + 1 } else { 0 }
    }
}

fn split(check: Check) -> [u32; 2] {
    [(check.0 >> 32) as u32, check.0 as u32]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(list: u16, kind: u8) -> Says {
        Says { list, kind }
    }

    #[test]
    fn every_entry_is_found_and_nothing_else() {
        let names: Vec<String> = (0..5_000).map(|i| format!("host{i}.test")).collect();
        let mut table = Table::new(names.len(), 7);
        for (i, name) in names.iter().enumerate() {
            table.insert(Space::Host, name.as_bytes(), Check::of(Space::Host, name.as_bytes()), says(i as u16, 1));
        }
        assert_eq!(table.len(), names.len());
        for (i, name) in names.iter().enumerate() {
            assert_eq!(table.get(Space::Host, name.as_bytes()), Some(says(i as u16, 1)));
            assert_eq!(table.get(Space::Page, name.as_bytes()), None);
            assert_eq!(table.get(Space::Host, format!("x{name}").as_bytes()), None);
        }
        assert!(table.bytes() / names.len() < 32);
    }

    #[test]
    fn of_two_lists_the_graver_kind_counts() {
        let mut table = Table::new(2, 0);
        let check = Check::of(Space::Host, b"a.test");
        table.insert(Space::Host, b"a.test", check, says(0, 3));
        table.insert(Space::Host, b"a.test", check, says(1, 0));
        table.insert(Space::Host, b"a.test", check, says(2, 2));
        assert_eq!(table.get(Space::Host, b"a.test"), Some(says(1, 0)));
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn an_empty_table_has_nothing_and_takes_nothing() {
        let mut table = Table::new(0, 0);
        assert_eq!(table.get(Space::Host, b"a.test"), None);
        table.insert(Space::Host, b"a.test", Check::of(Space::Host, b"a.test"), says(0, 0));
        assert_eq!(table.len(), 0);
    }
}
