//! Tokens of the pattern language.

use base64::Engine as _;

use super::{Literal, PatternError};
use crate::stix::check::timestamp;

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A keyword, type or property: `AND`, `file`, `hashes`.
    Word(Box<str>),
    /// A value.
    Literal(Literal),
    /// `[`, `]`, `(`, `)`, `.`, `,`, `:`, `*`, `=`, `!=`, `<`, `<=`, `>`, `>=`.
    Sign(&'static str),
}

/// Signs, longer ones first.
const SIGNS: &[(&str, &str)] = &[
    ("!=", "!="),
    ("<>", "!="),
    ("<=", "<="),
    (">=", ">="),
    ("==", "="),
    ("=", "="),
    ("<", "<"),
    (">", ">"),
    ("[", "["),
    ("]", "]"),
    ("(", "("),
    (")", ")"),
    (".", "."),
    (",", ","),
    (":", ":"),
    ("*", "*"),
];

/// Reads one token after the other.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Lexer<'a> {
        Lexer { text, at: 0 }
    }

    /// The next token and where it begins; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<(Token, usize)>, PatternError> {
        self.skip_space()?;
        let start = self.at;
        let Some(first) = self.rest().chars().next() else { return Ok(None) };
        let token = match first {
            '\'' => Token::Literal(Literal::Text(self.quoted()?.into())),
            't' | 'h' | 'b' if self.rest().get(1..2) == Some("'") => {
                self.at += 1;
                let text = self.quoted()?;
                Token::Literal(typed(first, &text).map_err(|why| self.error(start, why))?)
            }
            '0'..='9' | '-' | '+' => self.number()?,
            'a'..='z' | 'A'..='Z' | '_' => self.word(),
            _ => match SIGNS.iter().find(|(sign, _)| self.rest().starts_with(sign)) {
                Some((sign, token)) => {
                    self.at += sign.len();
                    Token::Sign(token)
                }
                None => return Err(self.error(start, format!("`{}` is unexpected", first.escape_debug()))),
            },
        };
        Ok(Some((token, start)))
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn error(&self, at: usize, why: impl Into<String>) -> PatternError {
        PatternError { at, why: why.into() }
    }

    fn skip_space(&mut self) -> Result<(), PatternError> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            let comment = match trimmed.get(..2) {
                Some("/*") => trimmed.find("*/").map(|end| end + 2),
                Some("//") => Some(trimmed.find('\n').unwrap_or(trimmed.len())),
                _ => return Ok(()),
            };
            match comment {
                Some(length) => self.at += length,
                None => return Err(self.error(self.at, "a comment without end")),
            }
        }
    }

    /// What stands between quotes; `\` takes the next character as it is.
    fn quoted(&mut self) -> Result<String, PatternError> {
        let start = self.at;
        let mut out = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '\'' => {
                    self.at += at + 1;
                    return Ok(out);
                }
                '\\' => match chars.next() {
                    Some((_, c @ ('\'' | '\\'))) => out.push(c),
                    // Not in the grammar, but written often: `'\d'`.
                    Some((_, c)) => out.extend(['\\', c]),
                    None => break,
                },
                c => out.push(c),
            }
        }
        Err(self.error(start, "a quote without end"))
    }

    fn number(&mut self) -> Result<Token, PatternError> {
        let start = self.at;
        let rest = self.rest();
        let is_part = |(at, c): (usize, char)| match c {
            '+' | '-' => at == 0,
            c => c.is_ascii_digit() || c == '.',
        };
        let length = rest.char_indices().take_while(|part| is_part(*part)).map(|(_, c)| c.len_utf8()).sum();
        let text = rest.get(..length).unwrap_or_default();
        self.at += length;
        let integer = text.parse().map(Literal::Integer).ok();
        let float = || text.contains('.').then(|| text.parse().ok()).flatten().map(Literal::Float);
        match integer.or_else(float) {
            Some(literal) => Ok(Token::Literal(literal)),
            None => Err(self.error(start, format!("`{text}` is not a number"))),
        }
    }

    fn word(&mut self) -> Token {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))).unwrap_or(rest.len());
        let word = rest.get(..end).unwrap_or_default();
        self.at += end;
        match word {
            "true" => Token::Literal(Literal::Bool(true)),
            "false" => Token::Literal(Literal::Bool(false)),
            _ => Token::Word(word.into()),
        }
    }
}

fn typed(kind: char, text: &str) -> Result<Literal, String> {
    match kind {
        't' => timestamp(text).map(Literal::Time),
        'h' => hex(text).map(Literal::Hex).ok_or_else(|| "not hexadecimal".to_owned()),
        _ => base64::engine::general_purpose::STANDARD
            .decode(text)
            .map(Literal::Binary)
            .map_err(|_| "not base64".to_owned()),
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let pairs = (0..text.len()).step_by(2).map(|at| text.get(at..at + 2).and_then(|p| u8::from_str_radix(p, 16).ok()));
    pairs.collect()
}
