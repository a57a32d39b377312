//! A file of YARA rules, taken apart: each rule with what it needs, so that one that is wrong spoils no other.

use std::collections::{BTreeMap, BTreeSet};

/// One rule that may be in force by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// The line it begins on, from 1.
    pub line: usize,
    /// Its text, the imports and the rules that it names before it.
    pub text: String,
}

/// Something in a file that is no rule, or a rule that may not be in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The line.
    pub line: usize,
    /// What it is, and why not.
    pub why: String,
}

/// Rules of one file.
const RULES: usize = 20_000;
/// Bytes of one rule with all that it needs.
const LONGEST: usize = 256 * 1024;

/// Takes a file apart.
pub fn split(text: &str) -> (Vec<Rule>, Vec<Wrong>) {
    let mut file = File { text, ..File::default() };
    file.read();
    let mut rules = Vec::new();
    for piece in &file.pieces {
        if piece.private {
            continue;
        }
        match file.whole(piece) {
            Ok(text) => rules.push(Rule { name: piece.name.clone(), line: piece.line, text }),
            Err(why) => file.wrong.push(Wrong { line: piece.line, why: format!("{}: {why}", piece.name) }),
        }
    }
    file.wrong.sort_by_key(|wrong| wrong.line);
    (rules, file.wrong)
}

#[derive(Default)]
struct File<'t> {
    text: &'t str,
    imports: Vec<&'t str>,
    pieces: Vec<Piece<'t>>,
    by_name: BTreeMap<String, usize>,
    wrong: Vec<Wrong>,
}

/// A rule as it stands in the file.
struct Piece<'t> {
    name: String,
    line: usize,
    private: bool,
    text: &'t str,
    /// Identifiers in it that are not its own strings.
    words: BTreeSet<&'t str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Word,
    Text,
    Open,
    Close,
    Other,
}

impl<'t> File<'t> {
    fn read(&mut self) {
        let text = self.text;
        let mut tokens = Tokens { text, at: 0 };
        let (mut start, mut private, mut global) = (None, false, false);
        while let Some((token, from, to)) = tokens.next() {
            let word = text.get(from..to).unwrap_or_default();
            match (token, word) {
                (Token::Word, "import" | "include") => {
                    let Some((Token::Text, _, end)) = tokens.next() else {
                        self.complain(from, "an import without a name");
                        continue;
                    };
                    if word == "include" {
                        self.complain(from, "files are not included");
                    } else if let Some(import) = text.get(from..end) {
                        self.imports.push(import);
                    }
                }
                (Token::Word, "private") => (private, start) = (true, start.or(Some(from))),
                (Token::Word, "global") => (global, start) = (true, start.or(Some(from))),
                (Token::Word, "rule") => {
                    let rule = self.rule(&mut tokens, start.unwrap_or(from), private);
                    match rule {
                        Ok(piece) if global => {
                            let why = format!("{}: a global rule would switch others off", piece.name);
                            self.complain(from, why);
                        }
                        Ok(_) if self.pieces.len() == RULES => {
                            return self.complain(from, format!("more than {RULES} rules"));
                        }
                        Ok(piece) => {
                            self.by_name.insert(piece.name.clone(), self.pieces.len());
                            self.pieces.push(piece);
                        }
                        Err(why) => {
                            self.complain(from, why);
                            tokens.skip_to_rule();
                        }
                    }
                    (start, private, global) = (None, false, false);
                }
                _ => {
                    self.complain(from, "not a rule");
                    // What follows is told once.
                    tokens.skip_to_rule();
                    (start, private, global) = (None, false, false);
                }
            }
        }
    }

    /// The rest of a rule, after its keyword.
    fn rule(&self, tokens: &mut Tokens<'t>, start: usize, private: bool) -> Result<Piece<'t>, String> {
        let name = match tokens.next() {
            Some((Token::Word, from, to)) => self.text.get(from..to).unwrap_or_default().to_owned(),
            _ => return Err("a rule without a name".to_owned()),
        };
        let mut depth = 0usize;
        let mut words = BTreeSet::new();
        loop {
            let Some((token, from, to)) = tokens.next() else { return Err(format!("{name}: it has no end")) };
            match token {
                Token::Open => depth += 1,
                Token::Close if depth <= 1 => {
                    let text = self.text.get(start..to).unwrap_or_default();
                    return Ok(Piece { name, line: self.line(start), private, text, words });
                }
                Token::Close => depth -= 1,
                Token::Word if depth > 0 => {
                    words.extend(self.text.get(from..to));
                }
                _ => {}
            }
        }
    }

    /// A rule's text with the imports and every rule it names, directly or not, before it.
    fn whole(&self, piece: &Piece<'t>) -> Result<String, String> {
        let own = self.pieces.iter().position(|other| std::ptr::eq(other, piece)).unwrap_or_default();
        let (mut needed, mut open) = (BTreeSet::new(), vec![own]);
        while let Some(at) = open.pop() {
            let words = self.pieces.get(at).into_iter().flat_map(|piece| &piece.words);
            // A rule can name only what stands before it.
            let named = words.filter_map(|word| self.by_name.get(*word)).filter(|other| **other < at);
            open.extend(named.filter(|other| needed.insert(**other)));
        }
        let mut text = String::new();
        for import in &self.imports {
            text.push_str(import);
            text.push('\n');
        }
        for at in needed {
            let Some(other) = self.pieces.get(at) else { continue };
            // It is needed here, not asked for.
            if !other.private {
                text.push_str("private ");
            }
            text.push_str(other.text);
            text.push('\n');
            if text.len() > LONGEST {
                break;
            }
        }
        text.push_str(piece.text);
        if text.len() > LONGEST { Err(format!("longer than {LONGEST} bytes with all it names")) } else { Ok(text) }
    }

    fn line(&self, at: usize) -> usize {
        self.text.as_bytes().iter().take(at).filter(|b| **b == b'\n').count() + 1
    }

    fn complain(&mut self, at: usize, why: impl Into<String>) {
        const MOST: usize = 1_000;
        if self.wrong.len() < MOST {
            self.wrong.push(Wrong { line: self.line(at), why: why.into() });
        }
    }
}

/// The tokens of a file, as far as they matter for finding where rules end.
struct Tokens<'t> {
    text: &'t str,
    at: usize,
}

impl Tokens<'_> {
    fn next(&mut self) -> Option<(Token, usize, usize)> {
        let bytes = self.text.as_bytes();
        loop {
            let byte = *bytes.get(self.at)?;
            let start = self.at;
            let token = match byte {
                b if b.is_ascii_whitespace() => {
                    self.at += 1;
                    continue;
                }
                b'/' if bytes.get(self.at + 1) == Some(&b'/') => {
                    self.at = self.find(b"\n", 0);
                    continue;
                }
                b'/' if bytes.get(self.at + 1) == Some(&b'*') => {
                    self.at = self.find(b"*/", 2);
                    continue;
                }
                b'"' => self.quoted(b'"'),
                b'/' => self.quoted(b'/'),
                b'{' => self.one(Token::Open),
                b'}' => self.one(Token::Close),
                b if b.is_ascii_alphabetic() || b == b'_' => {
                    while bytes.get(self.at).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_') {
                        self.at += 1;
                    }
                    Token::Word
                }
                b'$' | b'#' | b'@' | b'!' => {
                    // The name of a string is no word.
                    self.at += 1;
                    while bytes.get(self.at).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_') {
                        self.at += 1;
                    }
                    Token::Text
                }
                _ => {
                    self.at += 1;
                    Token::Other
                }
            };
            return Some((token, start, self.at));
        }
    }

    fn one(&mut self, token: Token) -> Token {
        self.at += 1;
        token
    }

    fn quoted(&mut self, end: u8) -> Token {
        let bytes = self.text.as_bytes();
        self.at += 1;
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b'\\' => self.at += 1,
                // Neither goes on over the end of a line.
                b'\n' => return Token::Text,
                byte if *byte == end => {
                    self.at += 1;
                    return Token::Text;
                }
                _ => {}
            }
            self.at += 1;
        }
        self.at = self.at.min(bytes.len());
        Token::Text
    }

    fn find(&self, what: &[u8], skip: usize) -> usize {
        let rest = self.text.as_bytes().get(self.at + skip..).unwrap_or_default();
        let found = rest.windows(what.len()).position(|window| window == what);
        found.map_or(self.text.len(), |at| self.at + skip + at + what.len())
    }

    /// Goes on at the next line that begins a rule.
    fn skip_to_rule(&mut self) {
        while self.at < self.text.len() {
            self.at = self.find(b"\n", 0);
            let line = self.text.get(self.at..).unwrap_or_default();
            if ["rule ", "private ", "global ", "import ", "include "].iter().any(|word| line.starts_with(word)) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_comes_apart_into_rules_that_stand_alone() {
        let text = r#"
import "pe"
/* rule not { } */
private rule helper { strings: $a = "}" condition: $a }
rule second : tag1 tag2 {
    meta: about = "a { in \"quotes\""
    strings:
        $hex = { de ad ( be | ef ) }
        $re = /[{}\/"]+x/i // }
    condition: helper and $hex and #re > 4 \ 2 and $re
}
global rule others { condition: false }
rule third { condition: second and pe.is_pe }
"#;
        let (rules, wrong) = split(text);
        let names: Vec<_> = rules.iter().map(|rule| (rule.name.as_str(), rule.line)).collect();
        assert_eq!(names, [("second", 5), ("third", 13)]);
        assert_eq!(wrong.iter().map(|w| w.line).collect::<Vec<_>>(), [12]);
        for rule in &rules {
            assert_eq!(crate::check(&rule.text), Ok(()), "{}", rule.text);
        }
        assert!(rules[1].text.contains("rule helper") && rules[1].text.contains("private rule second"));
    }

    #[test]
    fn what_is_no_rule_spoils_no_rule() {
        let text = "rule a { condition: false }\nhello world\nand more {\nrule b { condition: false }\ninclude \"x\"\nrule { }\nrule c {";
        let (rules, wrong) = split(text);
        assert_eq!(rules.iter().map(|rule| rule.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(wrong.iter().map(|w| w.line).collect::<Vec<_>>(), [2, 5, 6, 7]);
    }

    #[test]
    fn anything_is_read_to_its_end() {
        for odd in
            ["", "\"", "/", "/*", "rule", "rule a", "{", "}", "\\", "private", "rule a { strings: $a = /", "\u{fffd}"]
        {
            let _read = split(odd);
        }
        let many = "rule x { condition: y }\n".repeat(2_000);
        assert_eq!(split(&many).0.len(), 2_000);
    }
}
