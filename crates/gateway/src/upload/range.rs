//! Byte ranges of HTTP (RFC 9110 section 14): one range, or the whole.

/// What a `Range` header asks of a file of a known length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Everything: no range, several, or a unit that is not bytes.
    Whole,
    /// From the first byte to the one after the last.
    Part { start: u64, end: u64 },
    /// Nothing of it exists: status 416.
    Outside,
}

/// Reads a `Range` header. What is malformed is ignored, as the RFC says.
pub(super) fn wanted(header: Option<&str>, length: u64) -> Wanted {
    let Some(set) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else { return Wanted::Whole };
    let Some((first, last)) = set.trim().split_once('-') else { return Wanted::Whole };
    match (number(first), number(last), first.is_empty(), last.is_empty()) {
        (Some(start), Some(last), _, _) if start <= last => part(start, last.saturating_add(1).min(length), length),
        (Some(start), None, _, true) => part(start, length, length),
        (None, Some(0), true, _) => Wanted::Outside,
        (None, Some(suffix), true, _) => part(length.saturating_sub(suffix), length, length),
        _ => Wanted::Whole,
    }
}

fn part(start: u64, end: u64, length: u64) -> Wanted {
    if start < length { Wanted::Part { start, end } } else { Wanted::Outside }
}

fn number(text: &str) -> Option<u64> {
    let is_digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if is_digits { text.parse().ok() } else { None }
}

/// The whole length in a `Content-Range: bytes 0-9/100` header.
pub(super) fn whole_length(header: &str) -> Option<u64> {
    number(header.trim().strip_prefix("bytes ")?.split_once('/')?.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let part = |start, end| Wanted::Part { start, end };
        let table = [
            (None, Wanted::Whole),
            (Some("bytes=0-0"), part(0, 1)),
            (Some("bytes=2-5"), part(2, 6)),
            (Some("bytes=2-500"), part(2, 10)),
            (Some("bytes=2-18446744073709551615"), part(2, 10)),
            (Some("bytes=9-"), part(9, 10)),
            (Some("bytes=10-"), Wanted::Outside),
            (Some("bytes=-3"), part(7, 10)),
            (Some("bytes=-300"), part(0, 10)),
            (Some("bytes=-0"), Wanted::Outside),
            (Some("bytes=5-2"), Wanted::Whole),
            (Some("bytes=-"), Wanted::Whole),
            (Some("bytes=1-2,4-5"), Wanted::Whole),
            (Some("bytes=+1-2"), Wanted::Whole),
            (Some("bytes=99999999999999999999-"), Wanted::Whole),
            (Some("lines=1-2"), Wanted::Whole),
        ];
        for (header, want) in table {
            assert_eq!(wanted(header, 10), want, "{header:?}");
        }
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Outside);
    }

    #[test]
    fn whole_lengths() {
        assert_eq!(whole_length("bytes 0-9/100"), Some(100));
        assert_eq!(whole_length("bytes */100"), Some(100));
        assert_eq!(whole_length("bytes 0-9/*"), None);
        assert_eq!(whole_length("0-9/100"), None);
    }
}
