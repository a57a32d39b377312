//! Reading numbers and words out of foreign bytes: nothing here can fail but by `None`.

/// The byte at an offset.
#[inline]
pub(crate) fn byte(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

/// `N` bytes at an offset.
#[inline]
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// Big-endian 16 bits at an offset.
#[inline]
pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

/// Big-endian 32 bits at an offset.
#[inline]
pub(crate) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

/// Little-endian 16 bits at an offset.
#[inline]
pub(crate) fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

/// Little-endian 32 bits at an offset.
#[inline]
pub(crate) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

/// Whether `needle` occurs in the first `within` bytes.
pub(crate) fn contains(bytes: &[u8], needle: &[u8], within: usize) -> bool {
    let bytes = bytes.get(..within).unwrap_or(bytes);
    // A searcher pays for itself on longer stretches only.
    match (bytes.len(), needle.first()) {
        (0..=2048, Some(first)) => {
            memchr::memchr_iter(*first, bytes).any(|at| bytes.get(at..).is_some_and(|rest| rest.starts_with(needle)))
        }
        _ => memchr::memmem::find(bytes, needle).is_some(),
    }
}

/// Whether the bytes begin with this word, whatever the case of its letters.
pub(crate) fn starts_ignoring_case(bytes: &[u8], word: &[u8]) -> bool {
    bytes.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// The lines of a text, without their ends (CRLF or LF). The last one may be cut short.
pub(crate) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let end = memchr::memchr(b'\n', text);
        rest = end.and_then(|end| text.get(end + 1..));
        let line = end.and_then(|end| text.get(..end)).unwrap_or(text);
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    })
}

/// The first line, when its end has come, and what follows it.
pub(crate) fn first_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b'\n', bytes)?;
    let (line, rest) = (bytes.get(..end)?, bytes.get(end + 1..)?);
    Some((line.strip_suffix(b"\r").unwrap_or(line), rest))
}

/// The words of a line, whatever the white space between them.
pub(crate) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty())
}

/// A whole word of decimal digits as a number.
pub(crate) fn number(word: &[u8]) -> Option<u64> {
    if word.is_empty() || word.len() > 19 {
        return None;
    }
    word.iter().try_fold(0u64, |sum, &digit| digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0')))
}

/// Whether every byte is printable ASCII.
pub(crate) fn printable(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Foreign bytes for people to read: at most `most` of them, everything but plain ASCII escaped.
pub(crate) fn quote(bytes: &[u8], most: usize) -> String {
    let cut = bytes.get(..most);
    let mut quoted = cut.unwrap_or(bytes).escape_ascii().to_string();
    if cut.is_some_and(|cut| cut.len() < bytes.len()) {
        quoted.push_str("...");
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_within_bounds_only() {
        let bytes = [1, 2, 3, 4, 5];
        assert_eq!((be16(&bytes, 0), le16(&bytes, 3)), (Some(0x0102), Some(0x0504)));
        assert_eq!((be32(&bytes, 1), le32(&bytes, 2)), (Some(0x0203_0405), None));
        assert_eq!((byte(&bytes, 5), be16(&bytes, usize::MAX)), (None, None));
        assert_eq!(
            (number(b"65535"), number(b"6a"), number(b""), number(&[b'9'; 20])),
            (Some(65535), None, None, None)
        );
    }

    #[test]
    fn quotes_are_bounded_and_escaped() {
        assert_eq!(quote(b"#x\x01\"\xff", 9), "#x\\x01\\\"\\xff");
        assert_eq!(quote(b"abcdef", 3), "abc...");
    }

    #[test]
    fn words_are_found_within_their_stretch() {
        let long = [&[b'.'; 100][..], b"needle"].concat();
        assert!(contains(b"a needle", b"needle", 8) && contains(&long, b"needle", 200));
        assert!(!contains(b"a needle", b"needle", 7) && !contains(&long, b"needle", 105));
    }

    #[test]
    fn lines_and_words_take_any_white_space() {
        assert_eq!(lines(b"a\r\nb\n\r\nc").collect::<Vec<_>>(), [&b"a"[..], b"b", b"", b"c"]);
        assert_eq!(words(b"  NICK \t me ").collect::<Vec<_>>(), [&b"NICK"[..], b"me"]);
        assert_eq!(first_line(b"a\r\nb"), Some((&b"a"[..], &b"b"[..])));
        assert_eq!(first_line(b"a"), None);
    }
}
