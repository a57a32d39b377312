//! An open-addressing table of fingerprints: what makes an index of millions small and quick.
//!
//! A slot holds half of a 64-bit hash as its key (the other half says where the search
//! begins), a 64-bit check (computed only when a key matches) and what the entry says: 16
//! bytes in all, about 21 a stored entry at the load used. A miss costs one hash and, as
//! keys lie apart from the rest, usually one cache line.
//!
//! Strings are not kept. Two different strings are taken for one only if key, check and
//! place agree, more than 96 bits. The hashes' seeds come from the whole content (see
//! `Builder::build`), so that nobody who writes one list can look for such a pair, or for
//! keys that crowd together.

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
    /// Folded words; kept in an automaton, not in the table.
    Text = 8,
    /// The shape of a text; kept in bands, not in the table.
    Shape = 9,
}

/// What an entry says: which list, which kind, and whether it is a mere note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Says {
    pub(crate) list: u16,
    pub(crate) kind: u8,
    /// Not sure enough to stop a message.
    pub(crate) note: bool,
}

impl Says {
    /// What counts more comes first: what may stop a message, then the graver kind.
    pub(crate) fn rank(self) -> (bool, u8) {
        (self.note, self.kind)
    }
}

/// Everything a slot holds beside its key. Packed in words of four bytes, so that a slot takes 16 and not 20.
#[derive(Clone, Copy, Debug, Default)]
struct Rest {
    check: [u32; 2],
    list: u16,
    kind: u8,
    note: bool,
}

impl Rest {
    fn says(&self) -> Says {
        Says { list: self.list, kind: self.kind, note: self.note }
    }
}

/// The table. Its size is fixed when it is made; never more than three quarters full.
#[derive(Debug)]
pub(crate) struct Table {
    /// For keys and for checks.
    states: [FixedState; 2],
    keys: Box<[u32]>,
    rest: Box<[Rest]>,
    len: usize,
    room: usize,
}

impl Table {
    /// A table with room for `room` entries.
    pub(crate) fn new(room: usize, seeds: [u64; 2]) -> Table {
        let slots = room.saturating_add(room / 3).saturating_add(1);
        Table {
            states: seeds.map(FixedState::with_seed),
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

    /// Adds an entry, unless the string is there and says as much ([`Says::rank`]); entries beyond the room the table was made for are dropped.
    pub(crate) fn insert(&mut self, space: Space, bytes: &[u8], says: Says) {
        let (key, mut at) = self.key(space, bytes);
        let check = self.check(space, bytes);
        for _ in 0..self.keys.len() {
            let (Some(slot), Some(rest)) = (self.keys.get_mut(at), self.rest.get_mut(at)) else { return };
            if *slot == 0 {
                if self.len < self.room {
                    *slot = key;
                    *rest = Rest { check, list: says.list, kind: says.kind, note: says.note };
                    self.len += 1;
                }
                return;
            }
            if *slot == key && rest.check == check {
                if says.rank() < rest.says().rank() {
                    (rest.list, rest.kind, rest.note) = (says.list, says.kind, says.note);
                }
                return;
            }
            at = self.after(at);
        }
    }

    /// What the entry for a string says, if there is one.
    pub(crate) fn get(&self, space: Space, bytes: &[u8]) -> Option<Says> {
        self.search(space, bytes, self.key(space, bytes))
    }

    /// What the entry for the first string that has one says. The places of several strings are read before any is
    /// looked at, so that their cache misses overlap.
    pub(crate) fn first<'b>(&self, space: Space, strings: impl Iterator<Item = &'b [u8]>) -> Option<Says> {
        const AHEAD: usize = 4;
        let mut strings = strings.fuse();
        loop {
            let mut next: [(&[u8], u32, usize, u32); AHEAD] = [(&[], 0, 0, 0); AHEAD];
            let mut taken = 0;
            for (place, bytes) in next.iter_mut().zip(strings.by_ref()) {
                let (key, at) = self.key(space, bytes);
                *place = (bytes, key, at, *self.keys.get(at)?);
                taken += 1;
            }
            let found = next.iter().take(taken).filter(|(.., slot)| *slot != 0);
            if let Some(says) = found.filter_map(|(bytes, key, at, _)| self.search(space, bytes, (*key, *at))).next() {
                return Some(says);
            }
            if taken < AHEAD {
                return None;
            }
        }
    }

    fn search(&self, space: Space, bytes: &[u8], (key, mut at): (u32, usize)) -> Option<Says> {
        let mut check = None;
        for _ in 0..self.keys.len() {
            let slot = *self.keys.get(at)?;
            if slot == 0 {
                return None;
            }
            if slot == key {
                let rest = self.rest.get(at)?;
                if rest.check == *check.get_or_insert_with(|| self.check(space, bytes)) {
                    return Some(rest.says());
                }
            }
            at = self.after(at);
        }
        None
    }

    /// The key of a string, and where the search for it begins. Zero marks an empty slot and is never a key.
    fn key(&self, space: Space, bytes: &[u8]) -> (u32, usize) {
        let hash = hash(&self.states[0], space, bytes);
        // The upper half scaled to the table, so that any size will do.
        let home = (u64::from((hash >> 32) as u32) * self.keys.len() as u64) >> 32;
        ((hash as u32).max(1), home as usize)
    }

    /// The check of a string, in two halves.
    fn check(&self, space: Space, bytes: &[u8]) -> [u32; 2] {
        let check = hash(&self.states[1], space, bytes);
        [(check >> 32) as u32, check as u32]
    }

    fn after(&self, at: usize) -> usize {
        if at + 1 < self.keys.len() { at + 1 } else { 0 }
    }
}

fn hash(state: &FixedState, space: Space, bytes: &[u8]) -> u64 {
    let mut hasher = state.build_hasher();
    hasher.write(bytes);
    hasher.write_u8(space as u8);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(list: u16, kind: u8) -> Says {
        Says { list, kind, note: false }
    }

    #[test]
    fn every_entry_is_found_and_nothing_else() {
        let names: Vec<String> = (0..5_000).map(|i| format!("host{i}.test")).collect();
        let mut table = Table::new(names.len(), [7, 8]);
        for (i, name) in names.iter().enumerate() {
            table.insert(Space::Host, name.as_bytes(), says(i as u16, 1));
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
        let mut table = Table::new(2, [0, 1]);
        table.insert(Space::Host, b"a.test", says(0, 3));
        table.insert(Space::Host, b"a.test", says(1, 0));
        table.insert(Space::Host, b"a.test", says(2, 2));
        assert_eq!(table.get(Space::Host, b"a.test"), Some(says(1, 0)));
        table.insert(Space::Host, b"b.test", Says { note: true, ..says(0, 0) });
        table.insert(Space::Host, b"b.test", says(1, 3));
        assert_eq!(table.get(Space::Host, b"b.test"), Some(says(1, 3)), "a note counts less than any other");
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn an_empty_table_has_nothing_and_takes_nothing() {
        let mut table = Table::new(0, [0, 1]);
        assert_eq!(table.get(Space::Host, b"a.test"), None);
        table.insert(Space::Host, b"a.test", says(0, 0));
        assert_eq!(table.len(), 0);
    }
}
