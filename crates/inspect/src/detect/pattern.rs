//! Patterns in what is said: payment cards, bank accounts, secrets, the antivirus test
//! string, and the operator's own expressions.
//!
//! A first look costs little: one search for all the beginnings at once and a count of digits.

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use model::{Evidence, Finding, SymbolInfo};
use regex_automata::meta::Regex;

use super::config::{Config, ConfigError, LocalPattern};
use super::numbers::{cards, ibans};
use super::secrets::{self, Alphabet, FORMS, LONGEST_SECRET, PASSWORD, Rest, WORDS, looks_random};
use crate::{Case, Detector, Findings};

const CARD: SymbolInfo = SymbolInfo {
    symbol: "pattern.card",
    score: 4.0,
    about: "A payment card number: an issuer's range and length, and the check digit is right",
    technique: None,
};
const IBAN: SymbolInfo = SymbolInfo {
    symbol: "pattern.iban",
    score: 2.0,
    about: "A bank account number (IBAN): the country's length, and the check digits are right",
    technique: None,
};
const EICAR: SymbolInfo = SymbolInfo {
    symbol: "pattern.eicar",
    score: 10.0,
    about: "The antivirus test string, plain or in base64",
    technique: None,
};

/// The detector.
pub(super) struct Patterns {
    /// The beginnings of secrets, words before secrets, and the test string's encodings.
    beginnings: AhoCorasick,
    /// What each test needle goes on to be, in the order they stand in `beginnings`.
    eicar: Vec<String>,
    local: Vec<Local>,
}

struct Local {
    symbol: String,
    score: f32,
    explain: String,
    regex: Regex,
}

impl Patterns {
    /// Findings of one kind in one message after which the others say nothing new.
    const MOST: usize = 8;

    /// With the operator's expressions.
    pub(super) fn new(config: &Config) -> Result<Patterns, ConfigError> {
        const NEEDLE: usize = 12;
        let eicar = eicar_forms();
        let needles = eicar.iter().map(|form| form.get(..NEEDLE).unwrap_or(form));
        let all = FORMS.iter().map(|form| form.starts).chain(WORDS.iter().copied()).chain(needles);
        let beginnings = AhoCorasick::new(all)
            .map_err(|error| ConfigError::new("detect", format!("the built-in patterns do not compile: {error}")))?;
        let mut local: Vec<Local> = Vec::new();
        for (i, pattern) in config.patterns.iter().enumerate() {
            if config.patterns[..i].iter().any(|earlier| earlier.name == pattern.name) {
                return Err(ConfigError::new(
                    format!("detect.patterns[{i}].name"),
                    "this name stands twice; symbols are unique",
                ));
            }
            local.push(compile(i, pattern)?);
        }
        if local.len() > Local::MOST {
            return Err(ConfigError::new("detect.patterns", "more than 256 expressions; combine some with |"));
        }
        Ok(Patterns { beginnings, eicar, local })
    }
}

impl Detector for Patterns {
    fn symbols(&self) -> &'static [SymbolInfo] {
        const {
            &[
                CARD,
                IBAN,
                EICAR,
                secrets::AWS,
                secrets::GITHUB,
                secrets::GITLAB,
                secrets::SLACK,
                secrets::GOOGLE,
                secrets::STRIPE,
                secrets::PRIVATE_KEY,
                secrets::JWT,
                secrets::TOKEN,
                PASSWORD,
            ]
        }
    }

    fn inspect(&self, case: &Case<'_>, findings: &mut Findings) {
        let mut seen = Seen { case, findings, shown: Vec::new() };
        for (part, text) in case.facts.readable(case.message) {
            self.secrets(part, text, &mut seen);
            numbers(part, text, &mut seen);
        }
        for pattern in &self.local {
            pattern.look(&mut seen);
        }
    }
}

/// Findings, each masked value of a symbol once, so that the same text in two forms counts once.
struct Seen<'c, 'f> {
    case: &'c Case<'c>,
    findings: &'f mut Findings,
    shown: Vec<(&'static str, Box<str>)>,
}

impl Seen<'_, '_> {
    fn push(&mut self, info: &SymbolInfo, at: (u16, usize, usize), shown: String, explain: impl FnOnce() -> String) {
        let earlier = self.shown.iter().filter(|(symbol, _)| *symbol == info.symbol);
        if earlier.clone().count() >= Patterns::MOST || earlier.clone().any(|(_, before)| **before == *shown) {
            return;
        }
        let evidence = self.evidence(at, shown.clone());
        self.shown.push((info.symbol, shown.into()));
        self.findings.push(info.found(explain(), Some(evidence)));
    }

    fn evidence(&self, (part, start, end): (u16, usize, usize), shown: String) -> Evidence {
        let span = self.case.facts.exposed(part, start..end);
        Evidence { part, start: span.start, end: span.end, shown: shown.into() }
    }
}

impl Patterns {
    fn secrets(&self, part: u16, text: &str, seen: &mut Seen<'_, '_>) {
        // A token's inside may look like another's beginning.
        let mut done = 0;
        // A web token's parts may be long; what was read as one's header in vain is not read again.
        let mut no_header_before = 0;
        for found in self.beginnings.find_iter(text) {
            let (which, start) = (found.pattern().as_usize(), found.start());
            if start < done {
                continue;
            }
            if let Some(form) = FORMS.get(which) {
                let is_jwt = matches!(form.rest, Rest::Jwt);
                if text[..start].ends_with(|c: char| c.is_ascii_alphanumeric()) || (is_jwt && start < no_header_before)
                {
                    continue;
                }
                let length = form.length(&text[start..]);
                if is_jwt && length.is_none() {
                    no_header_before = start + Alphabet::Base64Url.run(&text.as_bytes()[start..]);
                }
                if let Some(len) = length {
                    done = start + len;
                    let shown = masked(&text[start..done], form.starts);
                    seen.push(form.info, (part, start, done), shown, || {
                        format!("The text contains {}; whoever reads it can use it.", form.what)
                    });
                }
            } else if which < FORMS.len() + WORDS.len() {
                if let Some((from, to)) = value_after(text, found.end()) {
                    done = to;
                    let shown = masked(&text[from..to], "");
                    seen.push(&PASSWORD, (part, from, to), shown, || {
                        "The text gives what looks like a password or token.".to_owned()
                    });
                }
            } else if let Some(len) =
                self.eicar.get(which - FORMS.len() - WORDS.len()).and_then(|form| goes_on(&text[start..], form))
            {
                done = start + len;
                seen.push(&EICAR, (part, start, done), "EICAR test string".to_owned(), || {
                    "The text contains the antivirus test string.".to_owned()
                });
            }
        }
    }
}

fn numbers(part: u16, text: &str, seen: &mut Seen<'_, '_>) {
    /// Digits of the shortest account number, Norway's.
    const FEWEST: usize = 13;
    if text.bytes().filter(u8::is_ascii_digit).count() < FEWEST {
        return;
    }
    cards(text, &mut |span, issuer, last| {
        seen.push(&CARD, (part, span.start, span.end), format!("•••• {last}"), || {
            format!("The text contains a valid {issuer} card number.")
        });
    });
    ibans(text, &mut |span, country, last| {
        seen.push(&IBAN, (part, span.start, span.end), format!("{country}•• •••• {last}"), || {
            format!("The text contains a valid bank account number ({country}).")
        });
    });
}

impl Local {
    /// Expressions in all.
    const MOST: usize = 256;
    /// Bytes of one expression.
    const LENGTH: usize = 4_096;
    /// Bytes of one compiled expression.
    const SIZE: usize = 1 << 20;

    /// Looks for the first match only: one is enough to know, and all of them could take quadratic time.
    fn look(&self, seen: &mut Seen<'_, '_>) {
        let found = seen
            .case
            .facts
            .readable(seen.case.message)
            .find_map(|(part, text)| self.regex.find(text).map(|found| (part, found.start(), found.end())));
        let Some(at) = found else { return };
        let shown = format!("{} bytes", at.2 - at.1);
        let evidence = seen.evidence(at, shown);
        seen.findings.push(Finding {
            symbol: self.symbol.clone().into(),
            score: self.score,
            explain: self.explain.clone().into(),
            evidence: Some(evidence),
            technique: None,
        });
    }
}

fn compile(i: usize, pattern: &LocalPattern) -> Result<Local, ConfigError> {
    let wrong = |field: &str, why: String| Err(ConfigError::new(format!("detect.patterns[{i}].{field}"), why));
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if pattern.name.is_empty() || pattern.name.len() > 40 || !pattern.name.bytes().all(plain) {
        return wrong("name", format!("{:?} is not a name; use up to 40 of a-z, 0-9 and _", pattern.name));
    }
    if !(0.0..=100.0).contains(&pattern.score) {
        return wrong("score", "a score is between 0 and 100".to_owned());
    }
    if pattern.regex.is_empty() || pattern.regex.len() > Local::LENGTH {
        return wrong("regex", format!("an expression has 1 to {} bytes; split it", Local::LENGTH));
    }
    let limits = Regex::config()
        .nfa_size_limit(Some(Local::SIZE))
        .onepass_size_limit(Some(Local::SIZE))
        .dfa_size_limit(Some(Local::SIZE))
        .hybrid_cache_capacity(Local::SIZE);
    let regex = match Regex::builder().configure(limits).build(&pattern.regex) {
        Ok(regex) => regex,
        Err(error) => {
            let why = match error.syntax_error() {
                Some(syntax) => syntax.to_string(),
                None => "too large when compiled; repeat less or split it".to_owned(),
            };
            return wrong("regex", why);
        }
    };
    if regex.find("").is_some() {
        return wrong("regex", "matches the empty text, so it would match every message".to_owned());
    }
    let explain = match &pattern.explain {
        Some(explain) => explain.clone(),
        None => format!("The text matches the expression {:?} of this organisation.", pattern.name),
    };
    Ok(Local { symbol: pattern.symbol(), score: pattern.score, explain, regex })
}

/// What a value may be shown as: how it begins, if that tells nothing, and its last four characters.
fn masked(value: &str, starts: &str) -> String {
    if starts.starts_with("-----") {
        return value.to_owned();
    }
    let last: String = value.chars().rev().take(if value.len() >= 20 { 4 } else { 0 }).collect();
    format!("{starts}…{}", last.chars().rev().collect::<String>())
}

/// The value after a word and `=` or `:`, when it looks random.
fn value_after(text: &str, word_end: usize) -> Option<(usize, usize)> {
    let rest = text.get(word_end..)?;
    let name = rest
        .bytes()
        .take(16)
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'"' | b'\''))
        .count();
    let gap = &rest[name..];
    let sign = gap.trim_start_matches(' ');
    let after = sign.strip_prefix(['=', ':'])?.trim_start_matches(['=', '>', ' ', '"', '\'']);
    let start = text.len() - after.len();
    let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';' | '<' | '>' | '&' | ')' | '`');
    // Longer values are no secrets, and looking for their end could take quadratic time.
    let near = &after[..after.floor_char_boundary(LONGEST_SECRET + 1)];
    let end = start + near.find(is_end).unwrap_or(near.len());
    (start - word_end <= 24 && looks_random(&text[start..end])).then_some((start, end))
}

/// Whether a text goes on like `form`, line breaks and spaces aside; how long it is.
fn goes_on(text: &str, form: &str) -> Option<usize> {
    let mut wanted = form.bytes();
    let mut next = wanted.next()?;
    for (i, byte) in text.bytes().enumerate().take(form.len() * 2) {
        if byte == next {
            match wanted.next() {
                Some(byte) => next = byte,
                None => return Some(i + 1),
            }
        } else if !matches!(byte, b' ' | b'\r' | b'\n' | b'\t') {
            return None;
        }
    }
    None
}

/// The antivirus test string, and what of its base64 form is the same whatever stands around it, at
/// each of the three positions it can begin at. Put together here, so that this file is not flagged itself.
fn eicar_forms() -> Vec<String> {
    let plain = ["X5O!P%@AP[4", "\\PZX54(P^)7CC)7}", "$EICAR-STANDARD-", "ANTIVIRUS-TEST-FILE!", "$H+H*"].concat();
    let mut forms = vec![plain.clone()];
    for before in 0..3 {
        let encoded = STANDARD_NO_PAD.encode([&vec![0; before][..], plain.as_bytes()].concat());
        // The first character that depends on the test string alone, and the last.
        let start = (before * 8).div_ceil(6);
        let end = (before + plain.len()) * 8 / 6;
        forms.extend(encoded.get(start..end).map(str::to_owned));
    }
    forms
}
