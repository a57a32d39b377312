//! One pass over the bytes of one file: hash, size, first bytes, kind, active
//! content; and, for members, the bytes themselves while they may be needed.

use sha2::{Digest as _, Sha256};

use super::active::Search;
use super::kind;

/// A file's bytes are fed to it in chunks.
pub(super) struct Sniffer {
    hash: Sha256,
    size: u64,
    head: Vec<u8>,
    search: Option<Search>,
    searching: bool,
    held: Option<Vec<u8>>,
}

/// What came of it.
pub(super) struct Content {
    pub(super) sha256: [u8; 32],
    pub(super) size: u64,
    /// The first [`kind::HEAD`] bytes.
    pub(super) head: Vec<u8>,
    /// Kinds by content, never empty.
    pub(super) kinds: Vec<&'static str>,
    /// What acts when the file is looked at.
    pub(super) active: Vec<&'static str>,
    /// All of the bytes, when they were held.
    pub(super) held: Option<Vec<u8>>,
}

/// Members up to this size are held so that a ZIP directory at their end is
/// found; larger ones only when they begin as an archive that can be walked.
const HOLD: usize = 16 << 20;

impl Sniffer {
    pub(super) fn new() -> Sniffer {
        Sniffer { hash: Sha256::new(), size: 0, head: Vec::new(), search: None, searching: false, held: None }
    }

    /// One that keeps the bytes, as far as they may be walked later.
    pub(super) fn holding() -> Sniffer {
        Sniffer { held: Some(Vec::new()), ..Sniffer::new() }
    }

    pub(super) fn feed(&mut self, chunk: &[u8]) {
        self.hash.update(chunk);
        self.size += chunk.len() as u64;
        let room = kind::HEAD - self.head.len();
        let (first, rest) = chunk.split_at(room.min(chunk.len()));
        self.head.extend_from_slice(first);
        if self.head.len() == kind::HEAD {
            self.start_search();
            if let Some(search) = &mut self.search {
                search.feed(rest);
            }
        }
        if let Some(held) = &mut self.held {
            if held.len() + chunk.len() > HOLD && !super::walk::is_walked(kind::by_content(&self.head)[0]) {
                self.held = None;
            } else {
                held.extend_from_slice(chunk);
            }
        }
    }

    pub(super) fn finish(mut self) -> Content {
        self.start_search();
        let mut kinds = kind::by_content(&self.head);
        let (active, also) = self.search.map(Search::finish).unwrap_or_default();
        kinds.extend(also);
        if super::active::is_script_disguised(&self.head) {
            kinds.push("javascript");
        }
        let sha256 = self.hash.finalize().into();
        Content { sha256, size: self.size, head: self.head, kinds, active, held: self.held }
    }

    /// Once the first bytes are together (or there are no more).
    fn start_search(&mut self) {
        if self.searching {
            return;
        }
        self.searching = true;
        self.search = Search::of(kind::by_content(&self.head)[0], kind::is_utf16(&self.head));
        if let Some(search) = &mut self.search {
            search.feed(&self.head);
        }
    }
}
