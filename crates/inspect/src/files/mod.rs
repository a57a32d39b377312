//! What a file is, by its bytes: hash, kind, what its name tries, what is
//! packed inside it and what is odd about any of that.
//!
//! ```text
//! examine -> Sniffer (one pass: hash, size, first bytes, active content)
//!         -> remarks (name, kind against name and claim, test file, …)
//!         -> Walk    (archives, member by member, through the same two)
//! ```
//!
//! Every byte that comes out of a decompressor goes through `Walk::pump`,
//! which stops at the bounds of [`Limits`]; nothing else reads from one.

mod active;
mod eicar;
mod gzip;
pub mod kind;
pub mod names;
mod sniff;
mod tar;
mod walk;
mod zip;

use std::io::{Read, Seek, SeekFrom};

use kind::Group;
use sniff::Sniffer;
use walk::{At, Walk};

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
    /// Name as written, bytes outside printable text escaped; the path of
    /// archives that lead to it before it.
    pub name: String,
    /// Nesting depth, 1 for a direct member.
    pub depth: u8,
    /// Kind by content.
    pub kind: &'static str,
    /// SHA-256 of its bytes; zero where they could not be read.
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

/// Bounds on unpacking, shared by every level of nesting.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes unpacked in all.
    pub total: u64,
    /// Nesting depth.
    pub depth: u8,
    /// Unpacked over packed size, of one stream and of the whole; streams that
    /// unpack to less than [`Limits::RATIO_FROM`] are harmless at any ratio.
    pub ratio: u64,
    /// Members in all.
    pub entries: u32,
}

impl Limits {
    /// Below this many unpacked bytes the ratio is not looked at: a small blank
    /// picture packs a thousandfold and does no harm.
    pub const RATIO_FROM: u64 = 4 << 20;
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { total: 64 << 20, depth: 5, ratio: 200, entries: 10_000 }
    }
}

/// How many member hashes [`FileFacts::hashes`] gives out.
const HASHES: usize = 16;

impl FileFacts {
    /// Hashes worth remembering across messages: the file's own, then those
    /// of programs, scripts and shortcuts inside it, since a worm may pack the
    /// same program anew each time. A few at most.
    pub fn hashes(&self) -> impl Iterator<Item = &[u8; 32]> {
        let acts = |m: &&Member| m.sha256 != [0; 32] && m.size > 64 && acts(m.kind, None).is_some();
        std::iter::once(&self.sha256).chain(self.members.iter().filter(acts).map(|m| &m.sha256)).take(HASHES)
    }

    /// The same as record keys: `sha256:` and 64 hexadecimal digits.
    pub fn keys(&self) -> Vec<Box<str>> {
        self.hashes().map(|hash| format!("sha256:{}", hex(hash)).into()).collect()
    }
}

/// Lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Reads a file through once and says what it is; archives are then read by
/// their directory. Never fails: what can't be read is an oddity.
///
/// `name` and `claimed` are the sender's, unescaped. Memory stays below the
/// file formats' own windows plus the part of `limits.total` that nested
/// archives take; time is linear in the file's size plus `limits.total`.
pub fn examine(
    reader: &mut (impl Read + Seek),
    name: Option<&str>,
    claimed: Option<&str>,
    limits: &Limits,
) -> FileFacts {
    examine_with(reader, name, claimed, limits, &mut |_, _| {})
}

/// Is shown the bytes of each member of archives that was read whole and is not too large, with its path.
pub type Probe<'p> = dyn FnMut(&str, &[u8]) + 'p;

/// The same, while members are shown to somebody else, too.
pub fn examine_with<'p>(
    reader: &mut (impl Read + Seek),
    name: Option<&str>,
    claimed: Option<&str>,
    limits: &'p Limits,
    probe: &'p mut Probe<'p>,
) -> FileFacts {
    let mut walk = Walk::new(limits, probe);
    let at = At::top();
    let named = name.map(names::inspect);
    let mut sniffer = Sniffer::new();
    if read_through(reader, &mut sniffer).is_err() {
        walk.odd("file.unscanned", &at, "the file could not be read to its end");
    }
    let content = sniffer.finish();
    walk.set_packed(content.size);
    if let Some(named) = &named {
        walk.extend(named.oddities.iter().cloned());
    }
    let extension = named.as_ref().and_then(|n| n.extension.as_deref());
    let kinds = walk.look(reader, &content, extension, claimed, &at);
    let (members, oddities) = walk.finish();
    FileFacts {
        sha256: content.sha256,
        size: content.size,
        kind: kinds.first().copied().unwrap_or("unknown"),
        also: kinds.get(1..).unwrap_or_default().to_vec(),
        members,
        oddities,
    }
}

fn read_through(reader: &mut (impl Read + Seek), sniffer: &mut Sniffer) -> std::io::Result<()> {
    reader.seek(SeekFrom::Start(0))?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => sniffer.feed(&buffer[..n]),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// What opening a file of this kind or extension does, as symbol and words:
/// the receiving system goes by the extension, a careful person by the content.
pub fn acts(kind: &str, extension: Option<&str>) -> Option<(&'static str, &'static str)> {
    let by_name = extension.and_then(kind::by_extension).map_or(Group::Unknown, |k| k.group);
    let by_content = kind::named(kind).group;
    let is = |group| by_name == group || by_content == group;
    if is(Group::Program) {
        Some(("file.executable", "is a program or installer"))
    } else if is(Group::Shortcut) {
        Some(("file.shortcut", "points elsewhere and is followed when opened or shown"))
    } else if by_name == Group::Script || (by_content == Group::Script && by_name != Group::Text) {
        Some(("file.script", "is a script that runs when opened"))
    } else {
        None
    }
}

/// Whether what the bytes are contradicts what the name or the sender says.
/// Only groups are compared: a PNG named `.jpg` is sloppy, a program named `.jpg` is a trick.
fn contradicts(content: &str, said: &kind::Kind) -> bool {
    /// Kinds whose files always begin alike, so that unknown bytes are a contradiction too.
    const ALWAYS: &[&str] = &["png", "jpeg", "gif", "bmp", "webp", "pdf", "zip"];
    let is = kind::named(content);
    let textual = |g| matches!(g, Group::Text | Group::Script | Group::Markup | Group::Shortcut);
    match (is.group, said.group) {
        (Group::Unknown, _) => ALWAYS.contains(&said.name),
        (_, Group::Unknown | Group::Data) | (Group::Data, _) => false,
        (a, b) if a == b => false,
        (Group::Audio | Group::Video, Group::Audio | Group::Video) => false,
        // Text is text; whether it acts is another question.
        (a, b) if textual(a) && textual(b) => false,
        // Exports named .doc or .xls are HTML, XML or CSV more often than not.
        (Group::Markup | Group::Text | Group::Archive, Group::Document) if said.name == "ole2" => false,
        // Packages and documents that are ZIP files underneath.
        (Group::Archive, Group::Program | Group::Document) if content == "zip" => {
            said.name == "pdf" || said.name == "pe"
        }
        (Group::Text, Group::Program) => said.name != "pe",
        // A self-extracting archive is a program; `acts` says so.
        (Group::Program, Group::Archive) if matches!(content, "jar" | "apk" | "appx" | "crx") => false,
        (Group::Program | Group::Document, Group::Container) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests;
