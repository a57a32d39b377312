//! ZIP, read both ways: by the directory at the end, as Explorer, Java and
//! Office do, and by the headers before each member, as streaming unpackers
//! do. Where the two tell different stories, that is said and both are read.
//!
//! APPNOTE.TXT 6.3.10; on overlapping members: Fifield, "A better zip bomb"
//! (WOOT 2019). Methods read: stored and deflated.

use std::collections::HashSet;
use std::io::{self, Read, SeekFrom};
use std::ops::Range;

use flate2::CrcReader;
use flate2::read::DeflateDecoder;
use memchr::memmem;

use super::kind::Group;
use super::names;
use super::walk::{At, Broken, Counted, Source, Stop, Walk};

const END: &[u8] = b"PK\x05\x06";
const END_SIZE: usize = 22;
/// The end record may be followed by a comment this long.
const COMMENT: usize = 0xffff;
const CENTRAL: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";
const LOCAL_SIZE: u64 = 30;
/// Most of a directory that is read, in bytes.
const DIRECTORY: u64 = 16 << 20;
/// Longest symbolic link target that is read.
const TARGET: usize = 4096;

const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
const SIZES_FOLLOW: u16 = 1 << 3;

/// Where the directory is.
struct End {
    /// First byte of the directory.
    directory: u64,
    size: u64,
    entries: u64,
    /// Bytes in front of the archive, which offsets do not count.
    base: u64,
    /// First byte after the end record and its comment.
    after: u64,
}

/// A member as one of its two headers describes it.
#[derive(Clone, Debug, Default)]
struct Entry {
    name: Vec<u8>,
    flags: u16,
    method: u16,
    crc: u32,
    packed: u64,
    size: u64,
    /// Unix file type and permissions, zero when made elsewhere.
    mode: u32,
    /// First byte of the local header.
    header: u64,
    /// First byte of the packed data.
    data: u64,
}

impl Entry {
    fn is_folder(&self) -> bool {
        self.name.ends_with(b"/") && self.size == 0
    }

    fn is_link(&self) -> bool {
        self.mode & 0o170_000 == 0o120_000
    }
}

/// Whether a file that starts as something else ends as a ZIP archive.
pub(super) fn ends_as_one(source: &mut dyn Source, group: Group) -> bool {
    // Inside an archive or a compound document, a member at the end may be one
    // by itself; there the end must be exact.
    let exact = matches!(group, Group::Archive | Group::Container | Group::Program | Group::Data);
    find_end(source, exact).is_ok_and(|end| end.is_some_and(|end| end.entries > 0))
}

/// Opens an archive; gives a more exact kind when its members tell one.
pub(super) fn walk(walk: &mut Walk<'_>, source: &mut dyn Source, at: &At) -> Option<&'static str> {
    let len = source.seek(SeekFrom::End(0)).ok()?;
    let Ok(Some(end)) = find_end(source, false) else {
        walk.odd("file.unscanned", at, "its directory is missing or damaged");
        hidden(walk, source, at, std::iter::once(0..len));
        return None;
    };
    let entries = directory(walk, source, &end, at);
    let exact = exact_kind(&entries);
    let mut ranges = Vec::with_capacity(entries.len() + 1);
    ranges.push(end.directory..end.after);

    let mut names = HashSet::with_capacity(entries.len());
    let mut readable = Vec::with_capacity(entries.len());
    for mut entry in entries {
        if !names.insert(entry.name.clone()) {
            walk.odd("file.ambiguous", at, "two members have the same name");
        }
        let local = local_header(source, entry.header);
        match &local {
            Some(local) => {
                entry.data = local.data;
                compare(walk, at, &entry, local);
                // The header's name is remarked on as well: a streaming reader sees only that.
                ranges.push(entry.header..entry.data.saturating_add(entry.packed));
            }
            None => walk.odd("file.ambiguous", at, "its directory names a member that is not there"),
        }
        readable.push((entry, local.is_some()));
    }

    ranges.sort_unstable_by_key(|r| r.start);
    if ranges.windows(2).any(|pair| pair[1].start < pair[0].end) {
        walk.stop(Stop::Overlap, at);
        return exact;
    }
    for (entry, present) in readable {
        if !walk.entry(at) {
            return exact;
        }
        if !present {
            walk.unread(at, &names::from_bytes(&entry.name), entry.size, "file.unscanned", "is missing".to_owned());
        } else if unpack(walk, source, at, &entry).is_err() {
            return exact;
        }
    }
    hidden(walk, source, at, gaps(&ranges, len));
    exact
}

/// The end record that most readers would take: the last one that leads to a directory.
fn find_end(source: &mut dyn Source, exact: bool) -> io::Result<Option<End>> {
    let len = source.seek(SeekFrom::End(0))?;
    let tail_at = len.saturating_sub((COMMENT + END_SIZE) as u64);
    let mut tail = vec![0; (len - tail_at) as usize];
    read_at(source, tail_at, &mut tail)?;
    // A comment full of end records must not cost a seek each.
    for at in memmem::rfind_iter(&tail, END).take(64) {
        let Some(record) = tail.get(at..at + END_SIZE) else { continue };
        let comment = u64::from(u16_at(record, 20));
        let pos = tail_at + at as u64;
        let after = pos + END_SIZE as u64 + comment;
        if after > len || (exact && after != len) {
            continue;
        }
        if let Some(end) = located(source, record, pos, after)? {
            return Ok(Some(end));
        }
    }
    Ok(None)
}

/// The directory an end record leads to: right before the record if it is
/// there, else where the record's offset says.
fn located(source: &mut dyn Source, record: &[u8], pos: u64, after: u64) -> io::Result<Option<End>> {
    let mut entries = u64::from(u16_at(record, 10));
    let mut size = u64::from(u32_at(record, 12));
    let mut offset = u64::from(u32_at(record, 16));
    let mut before = pos;
    if entries == 0xffff || size == 0xffff_ffff || offset == 0xffff_ffff {
        // ZIP64: a locator stands before the record, the larger record before that.
        let mut large = [0; 56 + 20];
        if let Some(at) = pos.checked_sub(large.len() as u64)
            && read_at(source, at, &mut large).is_ok()
            && large.starts_with(b"PK\x06\x06")
        {
            (entries, size, offset) = (u64_at(&large, 32), u64_at(&large, 40), u64_at(&large, 48));
            before = at;
        }
    }
    if entries == 0 && size == 0 {
        return Ok(Some(End { directory: before, size, entries, base: 0, after }));
    }
    let mut signature = [0; 4];
    for (directory, base) in [(before.checked_sub(size), None), (Some(offset), Some(0))] {
        let Some(directory) = directory else { continue };
        if read_at(source, directory, &mut signature).is_ok() && signature == CENTRAL {
            let base = base.unwrap_or(directory.saturating_sub(offset));
            return Ok(Some(End { directory, size, entries, base, after }));
        }
    }
    Ok(None)
}

/// Reads the directory.
fn directory(walk: &mut Walk<'_>, source: &mut dyn Source, end: &End, at: &At) -> Vec<Entry> {
    let mut bytes = Vec::new();
    let whole = end.size.min(DIRECTORY);
    let read = source.seek(SeekFrom::Start(end.directory)).and_then(|_| source.take(whole).read_to_end(&mut bytes));
    if read.is_err() || !walk.spend(whole, at) {
        return Vec::new();
    }
    let mut entries = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some((entry, used)) = central_header(rest, end.base) {
        entries.push(entry);
        rest = &rest[used..];
        if entries.len() as u64 > u64::from(walk.most_entries()) {
            break;
        }
    }
    if entries.len() as u64 != end.entries && entries.len() as u64 <= u64::from(walk.most_entries()) {
        walk.odd("file.ambiguous", at, "its directory does not hold as many members as it says");
    }
    entries
}

fn central_header(bytes: &[u8], base: u64) -> Option<(Entry, usize)> {
    let head = bytes.get(..46).filter(|h| h.starts_with(CENTRAL))?;
    let (name, extra, comment) = (u16_at(head, 28) as usize, u16_at(head, 30) as usize, u16_at(head, 32) as usize);
    let fields = bytes.get(46 + name..46 + name + extra)?;
    let unix = matches!(head[5], 3 | 19);
    let mut entry = Entry {
        name: bytes.get(46..46 + name)?.to_vec(),
        flags: u16_at(head, 8),
        method: u16_at(head, 10),
        crc: u32_at(head, 16),
        packed: u64::from(u32_at(head, 20)),
        size: u64::from(u32_at(head, 24)),
        mode: if unix { u32_at(head, 38) >> 16 } else { 0 },
        header: u64::from(u32_at(head, 42)),
        data: 0,
    };
    let Entry { size, packed, header, .. } = &mut entry;
    large_sizes(fields, [size, packed, header]);
    entry.header = entry.header.saturating_add(base);
    let used = 46 + name + extra + comment;
    (used <= bytes.len()).then_some((entry, used))
}

/// ZIP64: the values that did not fit stand in an extra field, in order (APPNOTE 4.5.3).
fn large_sizes<const N: usize>(mut fields: &[u8], values: [&mut u64; N]) {
    while let Some(head) = fields.get(..4) {
        let len = u16_at(head, 2) as usize;
        let Some(mut field) = fields.get(4..4 + len) else { return };
        if u16_at(head, 0) == 1 {
            for value in values {
                if *value == 0xffff_ffff {
                    let Some((large, rest)) = field.split_at_checked(8) else { return };
                    *value = u64_at(large, 0);
                    field = rest;
                }
            }
            return;
        }
        fields = &fields[4 + len..];
    }
}

fn local_header(source: &mut dyn Source, at: u64) -> Option<Entry> {
    let mut head = [0; LOCAL_SIZE as usize];
    read_at(source, at, &mut head).ok()?;
    if !head.starts_with(LOCAL) {
        return None;
    }
    let mut name = vec![0; u16_at(&head, 26) as usize];
    let mut fields = vec![0; u16_at(&head, 28) as usize];
    source.read_exact(&mut name).ok()?;
    source.read_exact(&mut fields).ok()?;
    let mut entry = Entry {
        flags: u16_at(&head, 6),
        method: u16_at(&head, 8),
        crc: u32_at(&head, 14),
        packed: u64::from(u32_at(&head, 18)),
        size: u64::from(u32_at(&head, 22)),
        mode: 0,
        header: at,
        data: at + LOCAL_SIZE + name.len() as u64 + fields.len() as u64,
        name,
    };
    let Entry { size, packed, .. } = &mut entry;
    large_sizes(&fields, [size, packed]);
    Some(entry)
}

/// Says where the two headers of a member differ.
fn compare(walk: &mut Walk<'_>, at: &At, central: &Entry, local: &Entry) {
    let mut differs = |what: &str| {
        let what = format!("its directory and its members disagree on {what}");
        walk.odd("file.ambiguous", at, what);
    };
    if central.method != local.method {
        differs("how a member is packed");
    }
    if central.flags & ENCRYPTED != local.flags & ENCRYPTED {
        differs("whether a member is encrypted");
    }
    let sizes_here = local.flags & SIZES_FOLLOW == 0;
    if sizes_here && (central.packed, central.size) != (local.packed, local.size) {
        differs("the size of a member");
    }
    if central.name != local.name {
        differs("the name of a member");
        if walk.entry(at) {
            let name = names::from_bytes(&local.name);
            walk.unread(at, &name, local.size, "file.ambiguous", "goes by another name in the directory".to_owned());
        }
    }
}

/// Takes one member out.
fn unpack(walk: &mut Walk<'_>, source: &mut dyn Source, at: &At, entry: &Entry) -> Result<(), Broken> {
    let name = names::from_bytes(&entry.name);
    if entry.is_folder() {
        walk.name(at, &name);
        return Ok(());
    }
    if entry.flags & ENCRYPTED != 0 || entry.method == 99 {
        walk.unread(at, &name, entry.size, "file.encrypted", "is encrypted".to_owned());
        return Ok(());
    }
    if !matches!(entry.method, 0 | 8) {
        let why = format!("is packed with {}, which is not read", method_name(entry.method));
        walk.unread(at, &name, entry.size, "file.unscanned", why);
        return Ok(());
    }
    if source.seek(SeekFrom::Start(entry.data)).is_err() {
        walk.unread(at, &name, entry.size, "file.unscanned", "lies beyond the end of the archive".to_owned());
        return Ok(());
    }
    let (packed, taken) = Counted::new(source.take(entry.packed));
    let unpacked: Box<dyn Read + '_> =
        if entry.method == 8 { Box::new(DeflateDecoder::new(packed)) } else { Box::new(packed) };
    let mut checked = CrcReader::new(unpacked);
    if entry.is_link() {
        let mut target = Vec::new();
        walk.pump(&mut checked, &taken, at, |chunk| {
            target.extend_from_slice(&chunk[..chunk.len().min(TARGET - target.len().min(TARGET))]);
        })?;
        let leaves = names::traverses(&names::from_bytes(&target));
        walk.name(at, &name);
        if leaves {
            walk.odd("file.traversal", at, "a symbolic link leads out of the folder it is unpacked to");
        }
        return Ok(());
    }
    match walk.member(at, &name, &mut checked, &taken) {
        Ok(size) if (size, checked.crc().sum()) != (entry.size, entry.crc) => {
            walk.odd("file.ambiguous", at, "the size or checksum of a member is not what the directory says");
        }
        Ok(_) => {}
        Err(Broken::Damaged) => walk.odd("file.unscanned", at, "a member is damaged and was read only in part"),
        Err(Broken::Stopped) => return Err(Broken::Stopped),
    }
    Ok(())
}

/// Looks for members that the directory does not name, in the bytes nothing else claims.
fn hidden(walk: &mut Walk<'_>, source: &mut dyn Source, at: &At, gaps: impl IntoIterator<Item = Range<u64>>) {
    for gap in gaps {
        let mut from = gap.start;
        while let Some(header) = find(walk, source, from..gap.end, at) {
            from = header + 4;
            let Some(mut entry) = local_header(source, header) else { continue };
            if entry.data > gap.end || entry.name.is_empty() {
                continue;
            }
            walk.odd("file.ambiguous", at, "holds members that its directory does not name");
            if !walk.entry(at) {
                return;
            }
            let room = gap.end - entry.data;
            if entry.flags & SIZES_FOLLOW != 0 {
                // The size stands behind the data; deflate knows its own end.
                entry.packed = room;
                if entry.method != 8 {
                    continue;
                }
            }
            entry.packed = entry.packed.min(room);
            if unpack(walk, source, at, &entry).is_err() {
                return;
            }
            if entry.flags & SIZES_FOLLOW == 0 {
                from = entry.data + entry.packed;
            }
        }
    }
}

/// The next local header signature in a range.
fn find(walk: &mut Walk<'_>, source: &mut dyn Source, range: Range<u64>, at: &At) -> Option<u64> {
    const CHUNK: u64 = 64 * 1024;
    let mut from = range.start;
    let mut buffer = vec![0; CHUNK as usize];
    while range.end.saturating_sub(from) >= LOCAL_SIZE {
        let part = &mut buffer[..(range.end - from).min(CHUNK) as usize];
        read_at(source, from, part).ok()?;
        if let Some(found) = memmem::find(part, LOCAL) {
            return walk.spend(found as u64, at).then_some(from + found as u64);
        }
        if !walk.spend(part.len() as u64, at) {
            return None;
        }
        from += part.len() as u64 - 3;
    }
    None
}

/// What of the file lies in none of the ranges (sorted, without overlaps).
fn gaps(ranges: &[Range<u64>], len: u64) -> Vec<Range<u64>> {
    let mut gaps = Vec::new();
    let mut from = 0;
    for range in ranges {
        if range.start.saturating_sub(from) >= LOCAL_SIZE {
            gaps.push(from..range.start.min(len));
        }
        from = from.max(range.end);
    }
    if len.saturating_sub(from) >= LOCAL_SIZE {
        gaps.push(from..len);
    }
    gaps
}

/// What kind of package the members make.
fn exact_kind(entries: &[Entry]) -> Option<&'static str> {
    let has = |name: &str| entries.iter().any(|e| e.name == name.as_bytes());
    let under = |folder: &str| entries.iter().any(|e| e.name.starts_with(folder.as_bytes()));
    if has("AndroidManifest.xml") {
        return Some("apk");
    }
    if has("[Content_Types].xml") {
        let parts = [("AppxManifest.xml", "appx"), ("word/", "docx"), ("xl/", "xlsx"), ("ppt/", "pptx")];
        return Some(parts.iter().find(|(part, _)| under(part)).map_or("ooxml", |(_, kind)| kind));
    }
    if has("META-INF/MANIFEST.MF") || entries.iter().any(|e| e.name.ends_with(b".class")) {
        return Some("jar");
    }
    match has("mimetype") {
        true if has("META-INF/container.xml") => Some("epub"),
        true if has("META-INF/manifest.xml") => Some("odf"),
        _ => None,
    }
}

fn method_name(method: u16) -> String {
    match method {
        1 => "shrink".to_owned(),
        6 => "implode".to_owned(),
        9 => "deflate64".to_owned(),
        12 => "bzip2".to_owned(),
        14 => "lzma".to_owned(),
        93 => "zstd".to_owned(),
        95 => "xz".to_owned(),
        98 => "ppmd".to_owned(),
        other => format!("method {other}"),
    }
}

fn read_at(source: &mut dyn Source, at: u64, into: &mut [u8]) -> io::Result<()> {
    source.seek(SeekFrom::Start(at))?;
    source.read_exact(into)
}

/// Little-endian values; the callers hand in slices that are long enough.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
