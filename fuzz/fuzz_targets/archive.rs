//! The walk through files and archives: whatever the bytes are, it ends within
//! its bounds and says where it hit them.
#![no_main]

use std::io::Cursor;

use inspect::files::{Limits, examine};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Option<String>, Option<String>, Vec<u8>)| {
    let (name, claimed, bytes) = input;
    let limits = Limits { total: 1 << 20, depth: 3, ratio: 200, entries: 100 };
    let facts = examine(&mut Cursor::new(&bytes), name.as_deref(), claimed.as_deref(), &limits);
    assert_eq!(facts.size, bytes.len() as u64);
    assert!(facts.members.len() <= limits.entries as usize);
    assert!(facts.members.iter().all(|m| m.depth <= limits.depth && !m.name.chars().any(char::is_control)));
    assert!(facts.oddities.iter().all(|o| o.symbol.starts_with("file.") && !o.member.chars().any(char::is_control)));
});
