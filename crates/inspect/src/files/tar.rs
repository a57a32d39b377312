//! tar: ustar (POSIX.1-1988), pax (POSIX.1-2001), GNU long names and sparse
//! files, and the older forms without a mark.

use std::collections::HashSet;
use std::io::{Read, SeekFrom};

use super::names;
use super::walk::{At, Broken, Counted, Source, Walk};

const BLOCK: u64 = 512;
/// Longest extended header or long name that is read.
const EXTENDED: u64 = 64 * 1024;

/// Whether a block is a header: its checksum is right, counted as either sign of byte.
pub(super) fn is_header(block: &[u8]) -> bool {
    let Some(stored) = block.get(148..156).and_then(number) else { return false };
    let Some(block) = block.get(..BLOCK as usize).filter(|b| b[0] != 0) else { return false };
    let sum = |signed: bool| {
        block.iter().enumerate().fold(0i64, |sum, (i, byte)| {
            let byte = if (148..156).contains(&i) { b' ' } else { *byte };
            sum + if signed { i64::from(byte.cast_signed()) } else { i64::from(byte) }
        })
    };
    i64::try_from(stored).is_ok_and(|stored| stored == sum(false) || stored == sum(true))
}

/// What extended headers say about the next member.
#[derive(Default)]
struct Extended {
    path: Option<String>,
    link: Option<String>,
    size: Option<u64>,
    /// Size of a sparse file once its holes are filled.
    real_size: Option<u64>,
}

/// Opens an archive.
pub(super) fn walk(walk: &mut Walk<'_>, source: &mut dyn Source, at: &At) -> Option<&'static str> {
    let len = source.seek(SeekFrom::End(0)).ok()?;
    let mut links: HashSet<String> = HashSet::new();
    let mut extended = Extended::default();
    let mut pos = 0;
    while pos + BLOCK <= len {
        let mut block = [0; BLOCK as usize];
        if source.seek(SeekFrom::Start(pos)).and_then(|_| source.read_exact(&mut block)).is_err() {
            break;
        }
        if block.iter().all(|b| *b == 0) {
            // The end, except for readers told to go on; what follows is looked at.
            pos += BLOCK;
            if !walk.spend(BLOCK, at) {
                return None;
            }
            continue;
        }
        if !is_header(&block) {
            walk.odd("file.unscanned", at, "a header in it is damaged; the rest was not read");
            return None;
        }
        if !walk.entry(at) || !walk.spend(BLOCK, at) {
            return None;
        }
        let kind = block[156];
        let data = pos + BLOCK;
        let declared = number(&block[124..136]).unwrap_or(u64::MAX);
        let size = if matches!(kind, b'x' | b'g' | b'L' | b'K') { declared } else { extended.size.unwrap_or(declared) };
        // Links, devices and folders have no data, whatever their size field says.
        let stored = if matches!(kind, b'1'..=b'6') { 0 } else { size };
        if stored > len.saturating_sub(data) {
            walk.odd("file.unscanned", at, "a member is said to be larger than the archive");
        }
        let stored = stored.min(len.saturating_sub(data));
        pos = data.saturating_add(stored.div_ceil(BLOCK).saturating_mul(BLOCK));

        match kind {
            b'x' | b'L' | b'K' => {
                extend(&mut extended, kind, source, stored);
                continue;
            }
            b'g' => continue,
            _ => {}
        }
        let header = std::mem::take(&mut extended);
        let name = header.path.unwrap_or_else(|| ustar_name(&block));
        let target = header.link.unwrap_or_else(|| text(&block[157..257]));
        let clean = clean(&name);
        let through = clean.match_indices('/').any(|(i, _)| links.contains(&clean[..i])) || links.contains(&clean);
        if through {
            walk.odd("file.traversal", at, "a member is written through a link that came before it");
        }
        match kind {
            b'1' | b'2' => {
                walk.name(at, &name);
                if names::traverses(&target) {
                    walk.odd("file.traversal", at, "a link leads out of the folder it is unpacked to");
                }
                if kind == b'2' {
                    links.insert(clean);
                }
            }
            b'3' | b'4' | b'6' => {
                walk.name(at, &name);
                walk.odd("file.traversal", at, "makes a device or pipe");
            }
            b'5' => {
                walk.name(at, &name);
            }
            _ => {
                let real = header.real_size.or_else(|| (kind == b'S').then(|| number(&block[483..495])).flatten());
                if real.is_some_and(|real| walk.is_excessive(real, stored)) {
                    walk.odd("file.bomb", at, "a sparse member unpacks to far more than it stores");
                }
                if source.seek(SeekFrom::Start(data)).is_err() {
                    return None;
                }
                let (mut bytes, taken) = Counted::new(source.take(stored));
                if let Err(Broken::Stopped) = walk.member(at, &name, &mut bytes, &taken) {
                    return None;
                }
            }
        }
    }
    None
}

/// Reads an extended header into what is known of the next member.
fn extend(extended: &mut Extended, kind: u8, source: &mut dyn Source, size: u64) {
    let mut bytes = Vec::new();
    if source.take(size.min(EXTENDED)).read_to_end(&mut bytes).is_err() {
        return;
    }
    match kind {
        b'L' => extended.path = Some(text(&bytes)),
        b'K' => extended.link = Some(text(&bytes)),
        _ => pax(extended, &bytes),
    }
}

/// pax records: `LENGTH KEY=VALUE\n`, the length counting itself.
fn pax(extended: &mut Extended, mut bytes: &[u8]) {
    while let Some(space) = memchr::memchr(b' ', bytes) {
        let len = std::str::from_utf8(&bytes[..space]).ok().and_then(|s| s.parse::<usize>().ok());
        let Some(record) = len.filter(|len| *len > space + 1).and_then(|len| bytes.get(..len)) else { return };
        bytes = &bytes[record.len()..];
        let record = record[space + 1..].strip_suffix(b"\n").unwrap_or(&record[space + 1..]);
        let Some(equals) = memchr::memchr(b'=', record) else { continue };
        let value = names::from_bytes(&record[equals + 1..]);
        match &record[..equals] {
            b"path" | b"GNU.sparse.name" => extended.path = Some(value),
            b"linkpath" => extended.link = Some(value),
            b"size" => extended.size = value.parse().ok(),
            b"GNU.sparse.realsize" | b"GNU.sparse.size" => extended.real_size = value.parse().ok(),
            _ => {}
        }
    }
}

fn ustar_name(block: &[u8]) -> String {
    let name = text(&block[..100]);
    let prefix = if &block[257..263] == b"ustar\0" { text(&block[345..500]) } else { String::new() };
    if prefix.is_empty() { name } else { format!("{prefix}/{name}") }
}

fn text(field: &[u8]) -> String {
    names::from_bytes(&field[..memchr::memchr(0, field).unwrap_or(field.len())])
}

/// A path without `./` and doubled or trailing slashes, to compare with others.
fn clean(path: &str) -> String {
    path.split('/').filter(|part| !part.is_empty() && *part != ".").collect::<Vec<_>>().join("/")
}

/// Octal, or base 256 when the first bit is set; `None` where it is neither or too large.
fn number(field: &[u8]) -> Option<u64> {
    if field.first()? & 0x80 != 0 {
        let (first, rest) = field.split_first()?;
        return rest
            .iter()
            .try_fold(u64::from(first & 0x7f), |n, byte| n.checked_mul(256)?.checked_add(u64::from(*byte)));
    }
    let digits = field.split(|b| *b == 0).next()?.trim_ascii();
    digits.iter().try_fold(0u64, |n, digit| {
        let digit = char::from(*digit).to_digit(8)?;
        n.checked_mul(8)?.checked_add(u64::from(digit))
    })
}
