//! The first look at a text: is there anything a link needs? Most chat lines end here.

/// What the first look at a text saw.
#[derive(Default)]
pub(super) struct Hints {
    /// Something that a link might be made of.
    pub(super) any: bool,
    /// A dot spelt out between words.
    pub(super) spoken: bool,
}

/// Looks for a dot or colon between characters that are no spaces, in any spelling.
pub(super) fn hints(text: &str) -> Hints {
    let bytes = text.as_bytes();
    let at = |i: usize| bytes.get(i).copied().unwrap_or(b' ');
    let mut hints = Hints::default();
    for (i, &byte) in bytes.iter().enumerate() {
        if !HINT[usize::from(byte)] {
            continue;
        }
        let before = if i == 0 { b' ' } else { at(i - 1) };
        let after = at(i + 1);
        hints.any |= match byte {
            b'.' => before > b' ' && after > b' ' && after != b'.',
            b':' => (before.is_ascii_alphabetic() || matches!(before, b'[')) && after > b' ',
            0xe3 => after == 0x80 && at(i + 2) == 0x82,
            0xef => (after == 0xbc && at(i + 2) == 0x8e) || (after == 0xbd && at(i + 2) == 0xa1),
            0xe2 => after == 0x80 && at(i + 2) == 0xa4,
            // d or D: "dot" in brackets or between spaces.
            _ => {
                let dot = matches!(after, b'o' | b'O' | b'0') && matches!(at(i + 2), b't' | b'T');
                let spoken = dot && before == b' ' && at(i + 3) == b' ';
                hints.spoken |= spoken;
                spoken || (dot && matches!(before, b'[' | b'(' | b'{'))
            }
        };
    }
    hints
}

/// Bytes that [`hints`] looks at more closely.
const HINT: [bool; 256] = {
    let mut table = [false; 256];
    let marks = [b'.', b':', b'd', b'D', 0xe3, 0xef, 0xe2];
    let mut i = 0;
    while i < marks.len() {
        table[marks[i] as usize] = true;
        i += 1;
    }
    table
};
