//! The walk through archives: one table of walkers, one place where bytes come
//! out of decompressors, one account of what has been spent.

use std::cell::Cell;
use std::io::{self, Cursor, Read, Seek};
use std::rc::Rc;

use super::kind::{self, Group};
use super::sniff::{Content, Sniffer};
use super::{Limits, Member, Oddity, Probe, active, acts, contradicts, eicar, gzip, names, tar, zip};

/// Bytes that can be read in any order.
pub(super) trait Source: Read + Seek {}
impl<T: Read + Seek> Source for T {}

/// One walker: the kind it opens, and how. It may return a more exact kind
/// (`docx` for a ZIP file that is one).
struct Walker(&'static str, fn(&mut Walk<'_>, &mut dyn Source, &At) -> Option<&'static str>);

/// Every walker. Kinds packed in ZIP form are found as `zip` first.
static WALKERS: &[Walker] = &[Walker("zip", zip::walk), Walker("tar", tar::walk), Walker("gzip", gzip::walk)];

/// Whether files of this kind are opened.
pub(super) fn is_walked(kind: &str) -> bool {
    WALKERS.iter().any(|w| w.0 == kind)
}

/// How many oddities one file keeps.
const ODDITIES: usize = 256;

/// Where in the nesting something stands.
#[derive(Clone, Debug)]
pub(super) struct At {
    /// Escaped path; empty for the file itself.
    path: String,
    depth: u8,
    /// Escaped name of the file itself, as far as a walker names a member after it.
    pub(super) file: String,
}

impl At {
    pub(super) fn top() -> At {
        At { path: String::new(), depth: 0, file: String::new() }
    }

    /// Longest path that is kept, in characters.
    const LONGEST: usize = 512;

    fn inside(&self, name: &str) -> At {
        let shown = names::shown(name);
        let path = if self.path.is_empty() { shown.clone() } else { format!("{}/{shown}", self.path) };
        let path = path.chars().take(At::LONGEST).collect();
        At { path, depth: self.depth + 1, file: shown }
    }
}

/// Why a walk ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Ratio,
    Total,
    Depth,
    Entries,
    Work,
    Overlap,
}

/// Why one member gave no more bytes.
#[derive(Debug)]
pub(super) enum Broken {
    /// A bound was hit: the whole walk is over.
    Stopped,
    /// The packed bytes make no sense from here on.
    Damaged,
}

/// The state shared by every level of one file's nesting.
pub(super) struct Walk<'a> {
    limits: &'a Limits,
    packed: u64,
    unpacked: u64,
    work: u64,
    entries: u32,
    stopped: bool,
    members: Vec<Member>,
    oddities: Vec<Oddity>,
    probe: &'a mut Probe<'a>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(limits: &'a Limits, probe: &'a mut Probe<'a>) -> Walk<'a> {
        Walk {
            limits,
            packed: 0,
            unpacked: 0,
            work: 0,
            entries: 0,
            stopped: false,
            members: Vec::new(),
            oddities: Vec::new(),
            probe,
        }
    }

    /// Size of the file itself, which the ratio of the whole is against.
    pub(super) fn set_packed(&mut self, bytes: u64) {
        self.packed = bytes;
    }

    pub(super) fn finish(self) -> (Vec<Member>, Vec<Oddity>) {
        (self.members, self.oddities)
    }

    pub(super) fn most_entries(&self) -> u32 {
        self.limits.entries
    }

    /// Whether so much out of so little is out of bounds.
    pub(super) fn is_excessive(&self, out: u64, packed: u64) -> bool {
        out > Limits::RATIO_FROM && out > packed.max(1).saturating_mul(self.limits.ratio)
    }

    pub(super) fn odd(&mut self, symbol: &'static str, at: &At, what: impl Into<String>) {
        self.extend([Oddity { symbol, member: at.path.clone(), what: what.into() }]);
    }

    pub(super) fn extend(&mut self, oddities: impl IntoIterator<Item = Oddity>) {
        for oddity in oddities {
            // Stops are always kept: they say that the rest was not looked at.
            let keep = matches!(oddity.symbol, "file.bomb" | "file.eicar") || self.oddities.len() < ODDITIES;
            if keep && !self.oddities.contains(&oddity) {
                self.oddities.push(oddity);
            }
        }
    }

    /// Ends the walk and says why.
    pub(super) fn stop(&mut self, why: Stop, at: &At) {
        self.stopped = true;
        let limits = self.limits;
        match why {
            Stop::Ratio => self.odd("file.bomb", at, format!("unpacks to more than {} times its size", limits.ratio)),
            Stop::Depth => self.odd("file.bomb", at, format!("archives are nested more than {} deep", limits.depth)),
            Stop::Overlap => self.odd("file.bomb", at, "its members share the same packed bytes"),
            Stop::Total => {
                self.odd(
                    "file.unscanned",
                    at,
                    format!("unpacks to more than {} MiB; the rest was not read", limits.total >> 20),
                );
            }
            Stop::Entries => {
                self.odd(
                    "file.unscanned",
                    at,
                    format!("holds more than {} files; the rest were not read", limits.entries),
                );
            }
            Stop::Work => self.odd("file.unscanned", at, "takes too much work to read through; the rest was not read"),
        }
    }

    /// Counts one entry of an archive; false when there have been enough.
    pub(super) fn entry(&mut self, at: &At) -> bool {
        self.entries = self.entries.saturating_add(1);
        if self.entries > self.limits.entries && !self.stopped {
            self.stop(Stop::Entries, at);
        }
        !self.stopped
    }

    /// Counts bytes read in looking for things; false when there have been enough.
    pub(super) fn spend(&mut self, bytes: u64, at: &At) -> bool {
        self.work = self.work.saturating_add(bytes);
        let most = self.limits.total.saturating_mul(4).saturating_add(self.packed.saturating_mul(8));
        if self.work > most && !self.stopped {
            self.stop(Stop::Work, at);
        }
        !self.stopped
    }

    /// Moves the bytes of one stream out of its decompressor, within the bounds.
    /// `taken` counts what the decompressor has read.
    pub(super) fn pump(
        &mut self,
        from: &mut dyn Read,
        taken: &Cell<u64>,
        at: &At,
        mut to: impl FnMut(&[u8]),
    ) -> Result<u64, Broken> {
        let mut buffer = vec![0; 32 * 1024];
        let (mut out, mut before) = (0u64, taken.get());
        let start = before;
        loop {
            let n = match from.read(&mut buffer) {
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Err(Broken::Damaged),
            };
            let read = taken.get();
            out += n as u64;
            self.unpacked += n as u64;
            if !self.spend(n as u64 + (read - before), at) {
                return Err(Broken::Stopped);
            }
            before = read;
            if self.is_excessive(out, read - start) || self.is_excessive(self.unpacked, self.packed) {
                self.stop(Stop::Ratio, at);
                return Err(Broken::Stopped);
            }
            if self.unpacked > self.limits.total {
                self.stop(Stop::Total, at);
                return Err(Broken::Stopped);
            }
            if n == 0 {
                return Ok(out);
            }
            to(&buffer[..n]);
        }
    }

    /// Takes one member out of an archive: its name, then its bytes if they can
    /// be read, then what is inside it in turn. Returns how many bytes came out.
    pub(super) fn member(
        &mut self,
        parent: &At,
        name: &str,
        from: &mut dyn Read,
        taken: &Cell<u64>,
    ) -> Result<u64, Broken> {
        let at = parent.inside(name);
        let extension = self.name(parent, name);
        let mut sniffer = Sniffer::holding();
        let end = self.pump(from, taken, &at, |chunk| sniffer.feed(chunk));
        let mut content = sniffer.finish();
        let held = content.held.take();
        let index = self.members.len();
        self.members.push(Member {
            name: at.path.clone(),
            depth: at.depth,
            kind: content.kinds[0],
            // The hash of part of a file is the hash of nothing.
            sha256: if end.is_ok() { content.sha256 } else { [0; 32] },
            size: content.size,
        });
        if let (Some(bytes), Ok(_)) = (&held, &end) {
            (self.probe)(&at.path, bytes);
        }
        let kinds = match held {
            Some(bytes) if end.is_ok() => self.look(&mut Cursor::new(bytes), &content, extension.as_deref(), None, &at),
            _ => self.remark(&content, &content.kinds, extension.as_deref(), None, &at),
        };
        if let (Some(member), Some(kind)) = (self.members.get_mut(index), kinds.first()) {
            member.kind = kind;
        }
        end
    }

    /// A member whose bytes are out of reach: encrypted, or packed in a way that is not read.
    pub(super) fn unread(&mut self, parent: &At, name: &str, size: u64, symbol: &'static str, why: String) {
        let at = parent.inside(name);
        let extension = self.name(parent, name);
        self.odd(symbol, &at, why);
        if let Some((symbol, what)) = acts("unknown", extension.as_deref()) {
            self.odd(symbol, &at, what);
        }
        self.members.push(Member { name: at.path, depth: at.depth, kind: "unknown", sha256: [0; 32], size });
    }

    /// Remarks on a member's path; gives its extension.
    pub(super) fn name(&mut self, parent: &At, name: &str) -> Option<String> {
        let at = parent.inside(name);
        if names::traverses(name) {
            self.odd("file.traversal", &at, "its path leads out of the folder it is unpacked to");
        }
        let last = name.trim_end_matches('/').rsplit(['/', '\\']).next().unwrap_or_default();
        let facts = names::inspect(last);
        self.extend(facts.oddities.into_iter().map(|o| Oddity { member: at.path.clone(), ..o }));
        facts.extension
    }

    /// Looks at content that can be read in any order: opens it where there is
    /// a walker for it, then remarks on it. Gives its kinds, the likeliest first.
    pub(super) fn look(
        &mut self,
        source: &mut dyn Source,
        content: &Content,
        extension: Option<&str>,
        claimed: Option<&str>,
        at: &At,
    ) -> Vec<&'static str> {
        let mut kinds = content.kinds.clone();
        // Java, Office and every unzip program go by the directory at the end, whatever the start is.
        if !kinds.contains(&"zip") && zip::ends_as_one(source, kind::named(kinds[0]).group) {
            match kinds.as_mut_slice() {
                [only] if *only == "unknown" => *only = "zip",
                _ => kinds.push("zip"),
            }
        }
        for kind in &mut kinds {
            let Some(walker) = WALKERS.iter().find(|w| w.0 == *kind) else { continue };
            if self.stopped {
                break;
            }
            if at.depth >= self.limits.depth {
                self.stop(Stop::Depth, at);
                break;
            }
            if let Some(exact) = (walker.1)(self, source, at) {
                *kind = exact;
            }
        }
        self.remark(content, &kinds, extension, claimed, at)
    }

    /// Says what is odd about content of these kinds.
    fn remark(
        &mut self,
        content: &Content,
        kinds: &[&'static str],
        extension: Option<&str>,
        claimed: Option<&str>,
        at: &At,
    ) -> Vec<&'static str> {
        let main = kind::named(kinds[0]);
        if eicar::is_eicar(&content.head, content.size) {
            self.odd("file.eicar", at, "is the EICAR test file");
        }
        // Every reading counts: what a picture also is, is what it is opened as.
        for kind in kinds {
            if let Some((symbol, what)) = acts(kind, extension) {
                self.odd(symbol, at, what);
            }
        }
        if let Some(said) = extension.and_then(kind::by_extension).filter(|said| contradicts(kinds[0], said)) {
            self.odd("file.mismatch", at, format!("is named as {} but is {}", said.name, kinds[0]));
        }
        if let Some(said) = claimed.and_then(kind::by_type).filter(|said| contradicts(kinds[0], said)) {
            self.odd("file.mismatch", at, format!("is announced as {} but is {}", said.name, kinds[0]));
        }
        // Self-extracting archives and runnable ZIP files are programs, openly.
        if kinds.len() > 1 && !matches!(main.group, Group::Program | Group::Script) {
            self.odd("file.polyglot", at, format!("is {} and {} at once", kinds[0], kinds[1..].join(", ")));
        }
        for what in &content.active {
            self.odd("file.active_content", at, *what);
        }
        if matches!(main.group, Group::Markup | Group::Text) && active::multiplies(&content.head) {
            self.odd("file.bomb", at, "declares XML entities that multiply");
        }
        if main.name == "ole2" && has_wide(&content.head, "EncryptedPackage") {
            self.odd("file.encrypted", at, "the document is protected by a password");
        }
        let by_name = extension.and_then(kind::by_extension).filter(|_| main.group == Group::Unknown);
        for kind in kinds.iter().map(|k| kind::named(k)).chain(by_name) {
            if matches!(kind.group, Group::Archive | Group::Container) && !is_walked(kind.name) {
                self.odd("file.unscanned", at, format!("{} files are not unpacked", kind.name));
            }
        }
        kinds.to_vec()
    }
}

/// Whether these bytes hold a name in UTF-16, as OLE2 directories do.
fn has_wide(head: &[u8], name: &str) -> bool {
    let wide: Vec<u8> = name.bytes().flat_map(|b| [b, 0]).collect();
    memchr::memmem::find(head, &wide).is_some()
}

/// A reader that counts what is read through it.
pub(super) struct Counted<R> {
    inner: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Counted<R> {
    pub(super) fn new(inner: R) -> (Counted<R>, Rc<Cell<u64>>) {
        let count = Rc::new(Cell::new(0));
        (Counted { inner, count: Rc::clone(&count) }, count)
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.count.set(self.count.get() + n as u64);
        Ok(n)
    }
}
