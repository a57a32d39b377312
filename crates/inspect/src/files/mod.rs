//! What a file is, by its bytes.

use std::io::{Read, Seek};

/// What the bytes of a file say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileFacts {
    /// SHA-256 of the whole file.
    pub sha256: [u8; 32],
    /// Size in bytes.
    pub size: u64,
    /// Kind by content, a short lower-case name (`pe`, `zip`, `pdf`, `png`, `text`, `unknown`).
    pub kind: &'static str,
    /// Further kinds that the same bytes also are (polyglots).
    pub also: Vec<&'static str>,
    /// Files inside, to the depth limit, in the order met; paths escaped.
    pub members: Vec<Member>,
    /// What is odd about it.
    pub oddities: Vec<Oddity>,
}

/// A file inside an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Name as written, bytes outside printable text escaped.
    pub name: String,
    /// Nesting depth, 1 for a direct member.
    pub depth: u8,
    /// Kind by content.
    pub kind: &'static str,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// Size unpacked.
    pub size: u64,
}

/// Something odd about a file or a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oddity {
    /// Symbol it raises (`file.bomb`).
    pub symbol: &'static str,
    /// Which member, empty for the file itself.
    pub member: String,
    /// What, in words.
    pub what: String,
}

/// Bounds on unpacking.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes unpacked in all.
    pub total: u64,
    /// Nesting depth.
    pub depth: u8,
    /// Unpacked over packed size.
    pub ratio: u64,
    /// Members in all.
    pub entries: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { total: 64 << 20, depth: 5, ratio: 200, entries: 10_000 }
    }
}

/// Reads a file through once and says what it is. Never fails: what can't be
/// read is an oddity.
pub fn examine(
    _reader: &mut (impl Read + Seek),
    _name: Option<&str>,
    _claimed: Option<&str>,
    _limits: &Limits,
) -> FileFacts {
    FileFacts::default()
}
