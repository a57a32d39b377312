//! SimHash of the normal text (Charikar 2002): texts that differ little have shapes that
//! differ in few bits.
//!
//! The normal text is what is left when spelling tricks are undone: compatibility forms
//! decomposed, combining marks and invisible characters dropped, lower case, runs of
//! digits taken for one, everything that is not a letter or a digit for one space.
//! Shingles are four characters long, so that it works without words (Chinese, Thai).

pub(super) use indicators::text::is_invisible;
use unicode_normalization::char::{canonical_combining_class, decompose_compatible};

/// Shingles below which there is no shape: short texts are alike by chance.
const FEWEST: u32 = 24;
/// Shingles after which the rest does not count, to bound the cost.
const MOST: u32 = 8_192;

/// Collects text into a shape.
#[derive(Default)]
pub(super) struct Shape {
    /// The last four characters, 16 bits each.
    window: u64,
    /// Characters taken.
    taken: u32,
    /// Shingles counted.
    shingles: u32,
    /// Bit-sliced counters: bit `b` of `planes[p]` is bit `p` of how many shingles' hashes have bit `b` set.
    planes: [u64; Shape::PLANES],
}

impl Shape {
    const PLANES: usize = 14;

    /// Adds a piece of text.
    pub(super) fn add(&mut self, text: &str) {
        for c in text.chars() {
            if self.shingles >= MOST {
                return;
            }
            if c.is_ascii() {
                self.normal(c);
            } else if let Some(letter) = plain_letter(c) {
                self.take(letter);
            } else {
                decompose_compatible(c, |c| {
                    if canonical_combining_class(c) == 0 && !is_invisible(c) {
                        self.normal(c);
                    }
                });
            }
        }
        self.normal(' ');
    }

    /// The shape, if there was enough text.
    pub(super) fn finish(self) -> Option<u64> {
        if self.shingles < FEWEST {
            return None;
        }
        // Which counters exceed half of the shingles: compared bit plane by bit plane, the highest first.
        let half = self.shingles / 2;
        let (mut more, mut same) = (0u64, u64::MAX);
        for (p, plane) in self.planes.iter().enumerate().rev() {
            if half >> p & 1 == 1 {
                same &= plane;
            } else {
                more |= same & plane;
                same &= !plane;
            }
        }
        Some(more)
    }

    fn normal(&mut self, c: char) {
        let folded = if c.is_ascii() {
            match c {
                '0'..='9' => '0',
                'a'..='z' => c,
                'A'..='Z' => c.to_ascii_lowercase(),
                _ => ' ',
            }
        } else if c.is_numeric() {
            '0'
        } else if c.is_alphabetic() {
            c.to_lowercase().next().unwrap_or(c)
        } else {
            ' '
        };
        self.take(folded);
    }

    fn take(&mut self, folded: char) {
        let code = u32::from(folded);
        let code = u64::from((code ^ code >> 16) as u16);
        // A run of digits or of spaces counts once, and so does a letter held down.
        if code == self.window & 0xffff && (matches!(folded, '0' | ' ') || code == self.window >> 16 & 0xffff) {
            return;
        }
        self.window = self.window << 16 | code;
        self.taken += 1;
        if self.taken >= 4 {
            self.count(mix(self.window));
        }
    }

    /// Adds one to the counters of the bits that are set: a carry that ripples through the planes.
    fn count(&mut self, hash: u64) {
        self.shingles += 1;
        let mut carry = hash;
        for plane in &mut self.planes {
            (*plane, carry) = (*plane ^ carry, *plane & carry);
            if carry == 0 {
                break;
            }
        }
    }
}

/// The lower case of letters that decompose into nothing, in the scripts used most: a short
/// cut around the tables.
fn plain_letter(c: char) -> Option<char> {
    match c {
        'а'..='и'
        | 'к'..='я'
        | 'β'..='ω'
        | '\u{5d0}'..='\u{5ea}'
        | '\u{3041}'..='\u{304b}'
        | '\u{4e00}'..='\u{9fff}' => Some(c),
        'А'..='И' | 'К'..='Я' => char::from_u32(u32::from(c) + 0x20),
        _ => None,
    }
}

/// A 64-bit mix whose every bit depends on every bit (folded multiplication, twice).
fn mix(x: u64) -> u64 {
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        product as u64 ^ (product >> 64) as u64
    };
    fold(fold(x ^ 0x2545_f491_4f6c_dd1d, 0x9e37_79b9_7f4a_7c15), 0xd6e8_feb8_6659_fd93)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> Option<u64> {
        let mut shape = Shape::default();
        shape.add(text);
        shape.finish()
    }

    fn distance(a: &str, b: &str) -> u32 {
        (shape(a).unwrap() ^ shape(b).unwrap()).count_ones()
    }

    const TEXT: &str = "Hello, your parcel is waiting at our depot. Please pay the customs fee of 2.99 today.";

    #[test]
    fn spelling_tricks_do_not_change_it() {
        for variant in [
            "HELLO, your parcel is waiting at our depot!! Please pay the customs fee of 14.95 today...",
            "Hel\u{200b}lo, your par\u{ad}cel is waiting at our depot. Please pay the customs fee of 2.99 today.",
            "Ｈello, your parcel is waiting at our depot. Please pay the customs fee of 2.99 today.",
            "He\u{300}\u{301}\u{302}llo, your parcel is waiting at our depot. Please pay the customs fee of 2.99 today.",
            "Hello,   your parcel\nis waiting at our depot - Please pay the customs fee of 2.99 today",
        ] {
            assert_eq!(distance(TEXT, variant), 0, "{variant}");
        }
    }

    #[test]
    fn the_short_cut_agrees_with_the_tables() {
        for c in ('\u{80}'..'\u{a000}').filter(|c| plain_letter(*c).is_some()) {
            let mut parts = Vec::new();
            decompose_compatible(c, |part| parts.push(part));
            let lower: Vec<char> = parts.iter().flat_map(|part| part.to_lowercase()).collect();
            assert_eq!(plain_letter(c), Some(lower[0]), "{c}");
            assert_eq!(lower.len(), 1, "{c}");
            assert!(c.is_alphabetic() && !c.is_numeric(), "{c}");
        }
    }

    #[test]
    fn near_texts_are_near_and_others_far() {
        assert!(distance(TEXT, &TEXT.replace("Hello", "Hi Bob")) <= 10);
        assert!(distance(TEXT, "Shall we meet at noon for lunch, or is one o'clock better for you and Anna?") > 16);
    }

    #[test]
    fn short_and_empty_texts_have_none() {
        assert_eq!(shape("ok, see you tomorrow"), None);
        assert_eq!(shape(""), None);
        assert_eq!(shape(&"a".repeat(10_000)), None);
    }

    #[test]
    fn floods_are_bounded() {
        let mut shape = Shape::default();
        shape.add(&"x\u{300}ab cd1 ".repeat(100_000));
        assert_eq!(shape.shingles, MOST);
        assert!(shape.finish().is_some());
    }
}
