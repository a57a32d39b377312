//! Bytes, UTF-8 and the characters XML 1.0 allows: what a scanner asks of a byte.
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

/// May begin a name: `A-Z a-z _`.
pub(super) const NAME_START: u8 = 1;
/// May stand in a name: the above and `0-9 - .`.
pub(super) const NAME: u8 = 2;
/// XML white space.
pub(super) const SPACE: u8 = 4;
/// Says itself in character data.
pub(super) const TEXT: u8 = 8;
/// Says itself in an attribute value.
pub(super) const VALUE: u8 = 16;

#[allow(clippy::indexing_slicing)] // evaluated when compiled
const CLASSES: [u8; 256] = {
    let mut table = [0u8; 256];
    let mut byte = 0;
    while byte < 128 {
        let b = byte as u8;
        let mut class = 0;
        if b.is_ascii_alphabetic() || b == b'_' {
            class |= NAME_START | NAME;
        }
        if b.is_ascii_digit() || b == b'-' || b == b'.' {
            class |= NAME;
        }
        if matches!(b, b' ' | b'\t' | b'\r' | b'\n') {
            class |= SPACE;
        }
        if (b >= 0x20 || b == b'\t' || b == b'\n') && !matches!(b, b'<' | b'&' | b'>') {
            class |= TEXT;
        }
        if b >= 0x20 && !matches!(b, b'<' | b'&' | b'>' | b'\'' | b'"') {
            class |= VALUE;
        }
        table[byte] = class;
        byte += 1;
    }
    table
};

/// Whether a byte is of a class.
#[inline(always)]
#[allow(clippy::indexing_slicing)] // a byte cannot be beyond 256 entries
pub(super) fn is(byte: u8, class: u8) -> bool {
    CLASSES[byte as usize] & class != 0
}

/// The first position from `at` whose byte is not of the class, or the end.
#[inline(always)]
pub(super) fn skip(input: &[u8], mut at: usize, class: u8) -> usize {
    while let Some(&byte) = input.get(at) {
        if !is(byte, class) {
            break;
        }
        at += 1;
    }
    at
}

/// [`skip`] of [`TEXT`], sixteen bytes at a time.
#[inline]
pub(super) fn skip_text(input: &[u8], mut at: usize) -> usize {
    while let Some(block) = input.get(at..at + 16) {
        let stop = block.iter().fold(false, |stop, &b| {
            stop | (b < 0x20) & (b != b'\n') & (b != b'\t') | (b >= 0x80) | (b == b'<') | (b == b'&') | (b == b'>')
        });
        if stop {
            break;
        }
        at += 16;
    }
    skip(input, at, TEXT)
}

/// [`skip`] of [`VALUE`], sixteen bytes at a time.
#[inline]
pub(super) fn skip_value(input: &[u8], mut at: usize) -> usize {
    while let Some(block) = input.get(at..at + 16) {
        let stop = block.iter().fold(false, |stop, &b| {
            stop | !(0x20..0x80).contains(&b) | (b == b'<') | (b == b'&') | (b == b'>') | (b == b'\'') | (b == b'"')
        });
        if stop {
            break;
        }
        at += 16;
    }
    skip(input, at, VALUE)
}

/// What begins at a position.
pub(super) enum Decoded {
    /// A character and its length in bytes.
    Char(char, usize),
    /// The beginning of a character; the rest has not come.
    Short,
    /// Not UTF-8.
    Bad,
}

/// Decodes one character, strictly (RFC 3629): no overlong form, no surrogate,
/// nothing above U+10FFFF, and each bad byte is found as soon as it is there.
pub(super) fn decode(input: &[u8], at: usize) -> Decoded {
    let Some(&lead) = input.get(at) else { return Decoded::Short };
    let (len, low, high, bits) = match lead {
        0x00..=0x7F => return Decoded::Char(char::from(lead), 1),
        0xC2..=0xDF => (2, 0x80, 0xBF, lead & 0x1F),
        0xE0 => (3, 0xA0, 0xBF, 0),
        0xED => (3, 0x80, 0x9F, lead & 0x0F),
        0xE1..=0xEF => (3, 0x80, 0xBF, lead & 0x0F),
        0xF0 => (4, 0x90, 0xBF, 0),
        0xF1..=0xF3 => (4, 0x80, 0xBF, lead & 0x07),
        0xF4 => (4, 0x80, 0x8F, lead & 0x07),
        _ => return Decoded::Bad,
    };
    let mut code = u32::from(bits);
    for nth in 1..len {
        let Some(&byte) = input.get(at + nth) else { return Decoded::Short };
        let fits = if nth == 1 { (low..=high).contains(&byte) } else { byte & 0xC0 == 0x80 };
        if !fits {
            return Decoded::Bad;
        }
        code = code << 6 | u32::from(byte & 0x3F);
    }
    char::from_u32(code).map_or(Decoded::Bad, |c| Decoded::Char(c, len))
}

/// Whether XML 1.0 allows the character at all (section 2.2).
pub(super) fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
}

/// Whether a character beyond ASCII may begin a name in XML 1.0, fifth edition.
/// U+FEFF is left out: some readers drop it, so that two names become one.
pub(super) fn is_name_start(c: char) -> bool {
    matches!(c,
        '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}' | '\u{370}'..='\u{37D}'
        | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}'
        | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FEFE}' | '\u{FF00}'..='\u{FFFD}'
        | '\u{10000}'..='\u{EFFFF}')
}

/// Whether a character beyond ASCII may stand in a name in XML 1.0, fifth edition.
pub(super) fn is_name(c: char) -> bool {
    is_name_start(c) || matches!(c, '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

/// Whether every byte may stand in a URI (RFC 3986 section 2). Everything else
/// in a namespace name (spaces, controls, `|`, `}`, `^`) is what some reader
/// puts between namespace and name (CVE-2022-25236).
pub(super) fn is_uri(uri: &[u8]) -> bool {
    uri.iter().all(|b| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_agrees_with_the_standard_library() {
        // Every lead byte with every second byte, and edges behind them.
        for lead in 0..=255u8 {
            for second in 0..=255u8 {
                for tail in [&[][..], &[0x80], &[0x7F], &[0x80, 0x80], &[0xBF, 0xBF], &[0xBF, 0x41]] {
                    let bytes = [&[lead, second], tail].concat();
                    let theirs = match std::str::from_utf8(&bytes) {
                        Ok(s) => s.chars().next(),
                        Err(e) if e.valid_up_to() > 0 => {
                            std::str::from_utf8(&bytes[..e.valid_up_to()]).unwrap().chars().next()
                        }
                        Err(e) => {
                            let short = matches!(decode(&bytes, 0), Decoded::Short);
                            assert_eq!(short, e.error_len().is_none(), "{bytes:x?}");
                            None
                        }
                    };
                    let ours = match decode(&bytes, 0) {
                        Decoded::Char(c, _) => Some(c),
                        Decoded::Short | Decoded::Bad => None,
                    };
                    assert_eq!(ours, theirs, "{bytes:x?}");
                }
            }
        }
    }

    #[test]
    fn skipping_by_blocks_stops_where_skipping_by_bytes_does() {
        for stop in 0..=255u8 {
            for before in 0..40 {
                let mut input = vec![b'a'; before];
                input.push(stop);
                input.extend([b'b'; 40]);
                assert_eq!(skip_text(&input, 0), skip(&input, 0, TEXT), "{stop:x} after {before}");
                assert_eq!(skip_value(&input, 0), skip(&input, 0, VALUE), "{stop:x} after {before}");
            }
        }
    }
}
