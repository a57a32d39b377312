//! Splits a policy file into rules and remembers where everything stands.
//!
//! Cedar's own parser gives up at the first rule it can't read and forgets
//! where annotations stood. Splitting first means that every rule is parsed on
//! its own: one typing error hides no other, and every problem has a place.
//! The splitter knows strings, comments and brackets only; what a rule says is
//! Cedar's to read.

use std::ops::Range;
use std::sync::Arc;

use crate::problem::{Problem, Severity};

/// Bounds on one policy source.
pub(crate) const MOST_BYTES: usize = 1 << 20;
const MOST_RULES: usize = 4_096;
const MOST_DEPTH: usize = 48;
/// Operators in one rule: Cedar and the analysis recurse over them.
const MOST_OPERATORS: usize = 1_024;

/// One source text and where its lines begin.
pub(crate) struct Source<'a> {
    pub(crate) file: Arc<str>,
    pub(crate) text: &'a str,
    lines: Vec<usize>,
}

/// One rule of a source: bytes from the first annotation to the semicolon.
pub(crate) struct Piece {
    pub(crate) span: Range<usize>,
    pub(crate) annotations: Vec<Annotation>,
}

/// Where an annotation stands, in bytes of the source.
pub(crate) struct Annotation {
    pub(crate) name: Range<usize>,
    /// The string with its quotes.
    pub(crate) value: Option<Range<usize>>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(file: &str, text: &'a str) -> Source<'a> {
        let lines = std::iter::once(0).chain(memchr_lines(text)).collect();
        Source { file: file.into(), text, lines }
    }

    /// Line and column, both from 1, of a byte.
    pub(crate) fn place(&self, offset: usize) -> (usize, usize) {
        let offset = self.text.floor_char_boundary(offset.min(self.text.len()));
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or(0);
        (line, self.text[start..offset].chars().count() + 1)
    }

    /// A problem at a byte of this source.
    pub(crate) fn problem(
        &self,
        severity: Severity,
        offset: usize,
        message: impl Into<String>,
        hint: Option<String>,
    ) -> Problem {
        let (line, column) = self.place(offset);
        Problem { severity, file: self.file.clone(), line, column, message: message.into(), hint }
    }

    fn error(&self, offset: usize, message: impl Into<String>, hint: &str) -> Problem {
        self.problem(Severity::Error, offset, message, Some(hint.to_owned()))
    }

    /// The rules of the source, in order, and what can't be a rule.
    pub(crate) fn pieces(&self) -> (Vec<Piece>, Vec<Problem>) {
        let (mut pieces, mut problems) = (Vec::new(), Vec::new());
        if self.text.len() > MOST_BYTES {
            let hint = format!("a policy file has at most {MOST_BYTES} bytes; split it");
            problems.push(self.error(0, format!("the file has {} bytes", self.text.len()), &hint));
            return (pieces, problems);
        }
        let mut tokens = Tokens { text: self.text, at: 0 };
        while let Some(first) = tokens.peek() {
            if pieces.len() == MOST_RULES {
                problems.push(self.error(first.span.start, "too many rules", "a policy file has at most 4096 rules"));
                break;
            }
            match self.piece(&mut tokens) {
                Ok(piece) => pieces.push(piece),
                Err(problem) => problems.push(problem),
            }
        }
        (pieces, problems)
    }

    /// Reads to the next semicolon.
    fn piece(&self, tokens: &mut Tokens<'_>) -> Result<Piece, Problem> {
        let annotations = annotations(tokens);
        let start = annotations.first().map(|a| a.name.start.saturating_sub(1));
        let mut span: Option<Range<usize>> = None;
        let (mut depth, mut operators) = (0usize, 0usize);
        let mut refused = None;
        while let Some(token) = tokens.next() {
            let begin = span.as_ref().map_or(start.unwrap_or(token.span.start), |s| s.start);
            span = Some(begin..token.span.end);
            match token.kind {
                Token::Open => depth += 1,
                Token::Close => depth = depth.saturating_sub(1),
                Token::Operator => operators += 1,
                Token::Unclosed => {
                    let hint = "close the string with \"";
                    return Err(self.error(token.span.start, "a string that does not end", hint));
                }
                Token::End => {
                    return match refused {
                        Some(problem) => Err(problem),
                        None => Ok(Piece { span: begin..token.span.end, annotations }),
                    };
                }
                Token::Other => {}
            }
            if depth > MOST_DEPTH && refused.is_none() {
                refused = Some(self.error(token.span.start, "brackets are nested too deep", "write it flatter"));
            }
            if operators > MOST_OPERATORS && refused.is_none() {
                let hint = "split the rule, or name a list with `in [..]` or `containsAny`";
                refused = Some(self.error(token.span.start, "the rule has too many operators", hint));
            }
        }
        let at = span.map_or(start.unwrap_or(0), |s| s.start);
        Err(self.error(at, "a rule that does not end", "end the rule with a semicolon"))
    }
}

fn memchr_lines(text: &str) -> impl Iterator<Item = usize> {
    text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1)
}

/// Reads `@name("value")` as long as there are some.
fn annotations(tokens: &mut Tokens<'_>) -> Vec<Annotation> {
    let mut found = Vec::new();
    while tokens.peek().is_some_and(|t| tokens.slice(&t) == "@") {
        tokens.next();
        let Some(name) = tokens.peek() else { break };
        tokens.next();
        let mut value = None;
        if tokens.peek().is_some_and(|t| tokens.slice(&t) == "(") {
            tokens.next();
            while let Some(token) = tokens.peek() {
                // An annotation that is not closed is left to Cedar to complain of.
                if matches!(token.kind, Token::End | Token::Unclosed) {
                    break;
                }
                tokens.next();
                match token.kind {
                    Token::Close => break,
                    _ if tokens.slice(&token).starts_with('"') => value = Some(token.span),
                    _ => {}
                }
            }
        }
        found.push(Annotation { name: name.span, value });
    }
    found
}

/// The tokens that matter for splitting.
struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

#[derive(Clone)]
struct Lexeme {
    kind: Token,
    span: Range<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    End,
    Operator,
    Unclosed,
    Other,
}

impl<'a> Tokens<'a> {
    fn slice(&self, token: &Lexeme) -> &'a str {
        &self.text[token.span.clone()]
    }

    fn peek(&self) -> Option<Lexeme> {
        Tokens { text: self.text, at: self.at }.next()
    }

    fn next(&mut self) -> Option<Lexeme> {
        self.skip_space();
        let rest = &self.text[self.at..];
        let first = rest.chars().next()?;
        let (kind, len) = match first {
            '(' | '[' | '{' => (Token::Open, 1),
            ')' | ']' | '}' => (Token::Close, 1),
            ';' => (Token::End, 1),
            '"' => match string_len(rest) {
                Some(len) => (Token::Other, len),
                None => (Token::Unclosed, rest.len()),
            },
            '&' | '|' | '+' | '-' | '*' | '!' | '.' | '<' | '>' | '=' => (Token::Operator, 1),
            c if c.is_alphanumeric() || c == '_' => {
                let len = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                (if matches!(&rest[..len], "if" | "in") { Token::Operator } else { Token::Other }, len)
            }
            c => (Token::Other, c.len_utf8()),
        };
        let span = self.at..self.at + len;
        self.at = span.end;
        Some(Lexeme { kind, span })
    }

    fn skip_space(&mut self) {
        loop {
            let rest = &self.text[self.at..];
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with("//") {
                return;
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }
}

/// Length of the string literal at the start, quotes included.
fn string_len(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (i, b) in text.bytes().enumerate().skip(1) {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(i + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> (Vec<String>, Vec<String>) {
        let source = Source::new("t.cedar", text);
        let (pieces, problems) = source.pieces();
        (
            pieces.into_iter().map(|p| text[p.span].to_owned()).collect(),
            problems.into_iter().map(|p| p.to_string()).collect(),
        )
    }

    #[test]
    fn semicolons_in_strings_and_comments_do_not_end_a_rule() {
        let (rules, problems) = split("// a; b\n@notice(\"no; \\\"really\\\"\") permit(a); // c;\nforbid (b) ;\n");
        assert_eq!(rules, ["@notice(\"no; \\\"really\\\"\") permit(a);", "forbid (b) ;"]);
        assert!(problems.is_empty());
    }

    #[test]
    fn what_does_not_end_is_named_where_it_begins() {
        assert_eq!(split("permit(a);\n  forbid(b)").1.len(), 1);
        assert!(split("permit(a);\n  forbid(b)").1[0].starts_with("t.cedar:2:3: a rule that does not end"));
        assert!(split("permit(a) when { \"x };").1[0].starts_with("t.cedar:1:18: a string that does not end"));
    }

    #[test]
    fn depth_and_operators_are_bounded_and_the_next_rule_is_still_read() {
        let deep = format!("permit(a) when {{ {}1{} }};\npermit(b);", "(".repeat(60), ")".repeat(60));
        let (rules, problems) = split(&deep);
        assert_eq!(rules, ["permit(b);"]);
        assert!(problems[0].contains("nested too deep"), "{problems:?}");
        let long = format!("permit(a) when {{ true{} }};", " && true".repeat(2_000));
        assert!(split(&long).1[0].contains("too many operators"));
    }

    #[test]
    fn columns_count_characters() {
        let source = Source::new("t", "é = x\nñandú y");
        assert_eq!(source.place("é ".len()), (1, 3));
        assert_eq!(source.place("é = x\nñandú ".len()), (2, 7));
        assert_eq!(source.place(usize::MAX).0, 2);
    }
}
