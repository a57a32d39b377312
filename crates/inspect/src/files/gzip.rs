//! gzip (RFC 1952): one stream, or several in a row that make one file.

use std::io::{BufReader, Read, SeekFrom};

use flate2::bufread::MultiGzDecoder;

use super::names;
use super::walk::{At, Broken, Counted, Source, Walk};

/// Longest original name that is read from the header.
const NAME: usize = 512;

/// Opens a compressed file; what is inside is its one member.
pub(super) fn walk(walk: &mut Walk<'_>, source: &mut dyn Source, at: &At) -> Option<&'static str> {
    source.seek(SeekFrom::Start(0)).ok()?;
    let name = original_name(source).unwrap_or_else(|| inner_name(&at.file));
    source.seek(SeekFrom::Start(0)).ok()?;
    if !walk.entry(at) {
        return None;
    }
    let (packed, taken) = Counted::new(source);
    let mut decoder = MultiGzDecoder::new(BufReader::new(packed));
    if let Err(Broken::Damaged) = walk.member(at, &name, &mut decoder, &taken) {
        walk.odd("file.unscanned", at, "its compressed data is damaged, or followed by something else");
    }
    None
}

/// The name the header gives (FNAME), Latin-1 by the RFC and UTF-8 in practice.
fn original_name(source: &mut dyn Source) -> Option<String> {
    let mut head = Vec::new();
    source.take((10 + 2 + 0xffff + NAME) as u64).read_to_end(&mut head).ok()?;
    let flags = *head.get(3)?;
    let mut rest = head.get(10..)?;
    if flags & 4 != 0 {
        let len = u16::from_le_bytes([*rest.first()?, *rest.get(1)?]) as usize;
        rest = rest.get(2 + len..)?;
    }
    if flags & 8 == 0 {
        return None;
    }
    let end = memchr::memchr(0, rest)?;
    (end > 0 && end <= NAME).then(|| names::from_bytes(&rest[..end]))
}

/// `a.tgz` holds `a.tar`, `a.txt.gz` holds `a.txt`.
fn inner_name(outer: &str) -> String {
    match outer.rsplit_once('.') {
        Some((stem, "tgz" | "taz")) => format!("{stem}.tar"),
        Some((stem, "gz")) if !stem.is_empty() => stem.to_owned(),
        _ => "data".to_owned(),
    }
}
