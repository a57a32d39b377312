//! Words that messages are looked through for: folded alike on both sides, found in one pass.
//!
//! All patterns are searched at once (Aho and Corasick, 1975), in time linear in the text
//! whatever the patterns are: how many matches are looked at is bounded by the text's length.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use unicode_normalization::char::{canonical_combining_class, decompose_compatible};

use crate::table::Says;

/// The longest pattern, in bytes of its folded form.
pub const LONGEST: usize = 512;
/// Patterns in one index.
pub const PATTERNS: usize = 65_536;
/// Bytes of all patterns in one index: what bounds the automaton's memory.
pub const BYTES: usize = 2 << 20;
/// The fewest letters and digits of a pattern in one word, and of one in several.
pub const SHORTEST: [usize; 2] = [12, 10];

/// A text as it is compared, and where in the original each byte comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// Lower case, compatibility forms decomposed, combining marks and invisible characters
    /// dropped, each run of white space one space.
    pub text: String,
    /// For each byte, the offset of its character in the original; one more for the end.
    pub at: Vec<u32>,
}

/// Folds a text.
pub fn fold(text: &str) -> Folded {
    let mut folded = Folded { text: String::with_capacity(text.len()), at: Vec::with_capacity(text.len() + 1) };
    for (at, c) in text.char_indices() {
        if c.is_ascii() {
            folded.take(c, at);
        } else {
            decompose_compatible(c, |c| {
                if canonical_combining_class(c) == 0 && !is_invisible(c) {
                    folded.take(c, at);
                }
            });
        }
    }
    folded.at.push(text.len() as u32);
    folded
}

impl Folded {
    fn take(&mut self, c: char, at: usize) {
        if c.is_whitespace() {
            if !self.text.ends_with(' ') {
                self.text.push(' ');
            }
        } else {
            self.text.extend(c.to_lowercase());
        }
        self.at.resize(self.text.len(), at as u32);
    }
}

/// Characters that take no place on the screen.
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Why words can't be looked for, if they can't: what is this short stands in everybody's messages.
pub fn unfit(folded: &str) -> Option<&'static str> {
    let letters = folded.chars().filter(|c| c.is_alphanumeric()).count();
    // A character of these scripts says as much as a word elsewhere.
    let dense = folded.chars().filter(|c| is_unspaced(*c)).count();
    let fewest = SHORTEST[usize::from(folded.contains(' '))];
    if letters + 2 * dense < fewest {
        return Some("so short a text stands in many people's messages");
    }
    if folded.len() > LONGEST {
        return Some("longer than 512 bytes; list a part of it, or its shape");
    }
    None
}

/// Where words were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) says: Says,
    /// First byte in the folded text.
    pub(crate) start: usize,
    /// The byte after the last.
    pub(crate) end: usize,
}

/// Every pattern of an index.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    automaton: Option<AhoCorasick>,
    says: Box<[Says]>,
}

impl Texts {
    /// Compiles patterns, already folded. The bounds above hold, so this does not fail; should
    /// it, there are no patterns.
    pub(crate) fn new(patterns: &[(&[u8], Says)]) -> Texts {
        if patterns.is_empty() {
            return Texts::default();
        }
        let automaton = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .match_kind(MatchKind::Standard)
            .build(patterns.iter().map(|(text, _)| text));
        Texts { automaton: automaton.ok(), says: patterns.iter().map(|(_, says)| *says).collect() }
    }

    pub(crate) fn len(&self) -> usize {
        self.says.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.automaton.as_ref().map_or(0, AhoCorasick::memory_usage) + size_of_val(&*self.says)
    }

    /// The gravest pattern in a folded text; of several, the first.
    pub(crate) fn find(&self, folded: &str) -> Option<Found> {
        /// Matches looked at for each byte of text: nested patterns could end at every one.
        const EACH: usize = 4;
        let automaton = self.automaton.as_ref()?;
        let budget = folded.len().saturating_mul(EACH).saturating_add(64);
        automaton
            .find_overlapping_iter(folded)
            .take(budget)
            .filter(|found| is_bounded(folded, found.start(), found.end()))
            .filter_map(|found| {
                let says = *self.says.get(found.pattern().as_usize())?;
                Some(Found { says, start: found.start(), end: found.end() })
            })
            .min_by_key(|found| found.says.rank())
    }
}

/// Whether what was found does not begin or end inside a word.
fn is_bounded(text: &str, start: usize, end: usize) -> bool {
    let joined = |left: Option<char>, right: Option<char>| match (left, right) {
        (Some(left), Some(right)) => is_word(left) && is_word(right),
        _ => false,
    };
    let (Some(before), Some(found), Some(after)) = (text.get(..start), text.get(start..end), text.get(end..)) else {
        return false;
    };
    !joined(before.chars().next_back(), found.chars().next())
        && !joined(found.chars().next_back(), after.chars().next())
}

/// Part of a word in scripts that put spaces between words.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() && !is_unspaced(c)
}

/// Letters of scripts that write words without spaces between them.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(patterns: &[&str]) -> Texts {
        let folded: Vec<String> = patterns.iter().map(|text| fold(text).text).collect();
        let says = |list| Says { list, kind: 0, note: false };
        let all: Vec<_> = folded.iter().zip(0..).map(|(text, i)| (text.as_bytes(), says(i))).collect();
        Texts::new(&all)
    }

    fn found(texts: &Texts, text: &str) -> Option<String> {
        let folded = fold(text);
        let found = texts.find(&folded.text)?;
        let (start, end) = (folded.at[found.start] as usize, folded.at[found.end] as usize);
        Some(text[start..end].to_owned())
    }

    #[test]
    fn words_are_found_whatever_their_case_and_tricks_and_shown_as_written() {
        let texts = texts(&["Claim your FREE prize", "转账给我", "!bot.start now"]);
        for (text, shown) in [
            ("please claim  your\nfree prize today", Some("claim  your\nfree prize")),
            ("CLAIM YOUR F\u{200b}REE PRIZE!", Some("CLAIM YOUR F\u{200b}REE PRIZE")),
            ("ｃｌａｉｍ your frée prize", Some("ｃｌａｉｍ your frée prize")),
            ("reclaim your free prize", None),
            ("claim your free prizes", None),
            ("你好转账给我吧", Some("转账给我")),
            ("x !bot.start now", Some("!bot.start now")),
            ("", None),
        ] {
            assert_eq!(found(&texts, text).as_deref(), shown, "{text}");
        }
    }

    #[test]
    fn a_match_inside_a_word_does_not_hide_one_that_stands_alone() {
        let texts = texts(&["art of the deal", "smart of the deal makers"]);
        assert_eq!(found(&texts, "smart of the deal, art of the deal").as_deref(), Some("art of the deal"));
    }

    #[test]
    fn what_is_short_is_unfit() {
        for (text, fit) in [("hello", false), ("click here now", true), ("ok then", false), ("bitcoindoubler", true)] {
            assert_eq!(unfit(&fold(text).text).is_none(), fit, "{text}");
        }
        assert!(unfit(&fold("转账给我").text).is_none());
        assert!(unfit(&"long words ".repeat(60)).is_some());
    }

    #[test]
    fn nested_patterns_cost_no_more_than_the_text_is_long() {
        let nested: Vec<String> = (8..400).map(|n| "a".repeat(n)).collect();
        let texts = texts(&nested.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(found(&texts, &format!("{}b", "a".repeat(200_000))).is_none());
        assert!(texts.bytes() < 4 << 20);
    }
}
