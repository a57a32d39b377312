//! A rule's annotations: what is to be done when it applies, and what people are told.

use std::sync::Arc;

use jiff::civil::Date;
use model::Effect;

use crate::problem::{Problem, Severity};
use crate::source::{Annotation, Piece, Source};
use model::suggest;

/// Longest text for people, in characters.
const MOST_NOTICE: usize = 500;
const MOST_ID: usize = 64;

/// Annotations a rule may carry, with what they are for.
pub(crate) const ANNOTATIONS: [(&str, &str); 6] = [
    ("id", "name of the rule in records and output; file and line when left out"),
    (
        "verdict",
        "what is done: `quarantine`, `block` or `disconnect` on a forbid (`block` when left out); `allow`, `warn` or `redact` on a permit (`allow` when left out)",
    ),
    ("notice", "what people are told, in their words"),
    ("mode", "`observe` records what the rule would have done and does not do it; `enforce` is the default"),
    (
        "expires",
        "a date (`2027-03-31`) on which somebody has to look at the rule again; `policy check` reminds, the rule stays in force",
    ),
    ("silent", "`true` on a quarantine rule: the sender is not told that the message waits"),
];

/// One rule as loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Name in records and output.
    pub id: Arc<str>,
    /// Source it stands in.
    pub file: Arc<str>,
    /// Line it begins on, from 1.
    pub line: usize,
    /// Whether it is a `forbid`.
    pub forbids: bool,
    /// What is done when it decides.
    pub effect: Effect,
    /// Whether it is only recorded what it would have done.
    pub observe: bool,
    /// Text for people.
    pub notice: Option<Arc<str>>,
    /// Whether a quarantined message's sender is not told.
    pub silent: bool,
    /// Date on which the rule is to be looked at again.
    pub expires: Option<Date>,
}

impl Rule {
    /// Reads the annotations of a parsed rule; what is wrong with them goes to `problems`.
    pub(crate) fn read(
        source: &Source<'_>,
        piece: &Piece,
        parsed: &cedar_policy::Policy,
        problems: &mut Vec<Problem>,
    ) -> Rule {
        let forbids = parsed.effect() == cedar_policy::Effect::Forbid;
        let line = source.place(piece.span.start).0;
        let mut rule = Rule {
            id: format!("{}:{line}", source.file).into(),
            file: source.file.clone(),
            line,
            forbids,
            effect: if forbids { Effect::Block } else { Effect::Allow },
            observe: false,
            notice: None,
            silent: false,
            expires: None,
        };
        let mut reader = Reader { source, piece, parsed, problems };
        reader.refuse_unknown();
        reader.read(&mut rule);
        rule
    }
}

struct Reader<'r, 's> {
    source: &'r Source<'s>,
    piece: &'r Piece,
    parsed: &'r cedar_policy::Policy,
    problems: &'r mut Vec<Problem>,
}

impl Reader<'_, '_> {
    fn refuse_unknown(&mut self) {
        for annotation in &self.piece.annotations {
            let name = &self.source.text[annotation.name.clone()];
            let known = ANNOTATIONS.iter().map(|(name, _)| *name);
            if known.clone().all(|k| k != name) {
                let hint = suggest::hint(name, known);
                self.problem(Severity::Error, annotation.name.start, format!("unknown annotation @{name}"), hint);
            }
        }
    }

    fn read(&mut self, rule: &mut Rule) {
        if let Some((value, at)) = self.value("id") {
            match value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/'))
                && (1..=MOST_ID).contains(&value.len())
            {
                true => rule.id = value.into(),
                false => self.error(
                    at,
                    "a rule id has 1 to 64 letters, digits, dashes, dots, slashes or underscores",
                    "write it like `executables-from-outside`",
                ),
            }
        } else {
            let hint = format!("name it: @id(\"...\"); records show {} until then", rule.id);
            self.problem(Severity::Warning, self.piece.span.start, "a rule without @id".to_owned(), Some(hint));
        }
        self.verdict(rule);
        if let Some((value, at)) = self.value("notice") {
            let count = value.chars().count();
            match count <= MOST_NOTICE && count > 0 && !value.chars().any(char::is_control) {
                true => rule.notice = Some(value.into()),
                false => self.error(at, "a notice is one line of 1 to 500 characters", "shorten it"),
            }
            if rule.effect == Effect::Allow {
                let hint = "give the rule a verdict that people notice, or take the notice out".to_owned();
                self.problem(Severity::Warning, at, "nobody sees the notice of a rule that allows".into(), Some(hint));
            }
        }
        rule.observe = self.one_of("mode", &["enforce", "observe"]) == Some("observe");
        rule.silent = self.one_of("silent", &["false", "true"]) == Some("true");
        if rule.silent && rule.effect != Effect::Quarantine {
            let at = self.place_of("silent");
            self.error(
                at,
                "only a quarantine can be silent",
                "take @silent out, or use @verdict(\"quarantine\"): nobody loses a message without being told",
            );
        }
        if let Some((value, at)) = self.value("expires") {
            match value.parse() {
                Ok(date) => rule.expires = Some(date),
                Err(_) => self.error(at, format!("`{value}` is not a date"), "write it like 2027-03-31"),
            }
        }
    }

    fn verdict(&mut self, rule: &mut Rule) {
        let allowed: &[Effect] = match rule.forbids {
            true => &[Effect::Quarantine, Effect::Block, Effect::Disconnect],
            false => &[Effect::Allow, Effect::Warn, Effect::Redact],
        };
        let Some((value, at)) = self.value("verdict") else {
            if rule.forbids {
                let hint = "write @verdict(\"block\"), or quarantine or disconnect".to_owned();
                let at = self.piece.span.start;
                self.problem(Severity::Warning, at, "a forbid without @verdict blocks".into(), Some(hint));
            }
            return;
        };
        match Effect::parse(&value) {
            Some(effect) if allowed.contains(&effect) => rule.effect = effect,
            Some(effect) => {
                let (this, other) = if rule.forbids { ("forbid", "permit") } else { ("permit", "forbid") };
                let message = format!("a {this} can't {}", effect.name());
                self.error(at, message, format!("write the rule as a {other}"));
            }
            None => {
                let hint = suggest::hint(&value, allowed.iter().map(|e| e.name()));
                self.problem(Severity::Error, at, format!("unknown verdict `{value}`"), hint);
            }
        }
    }

    /// An annotation's value and its place.
    fn value(&self, name: &str) -> Option<(String, usize)> {
        let value = self.parsed.annotation(name)?;
        Some((value.to_owned(), self.place_of(name)))
    }

    fn one_of(&mut self, name: &str, known: &[&'static str]) -> Option<&'static str> {
        let (value, at) = self.value(name)?;
        let found = known.iter().find(|k| **k == value).copied();
        if found.is_none() {
            let hint = suggest::hint(&value, known.iter().copied());
            self.problem(Severity::Error, at, format!("unknown @{name} `{value}`"), hint);
        }
        found
    }

    fn place_of(&self, name: &str) -> usize {
        let is_it = |a: &&Annotation| &self.source.text[a.name.clone()] == name;
        let found = self.piece.annotations.iter().find(is_it);
        found.map_or(self.piece.span.start, |a| a.value.as_ref().map_or(a.name.start, |v| v.start))
    }

    fn error(&mut self, at: usize, message: impl Into<String>, hint: impl Into<String>) {
        self.problem(Severity::Error, at, message.into(), Some(hint.into()));
    }

    fn problem(&mut self, severity: Severity, at: usize, message: String, hint: Option<String>) {
        self.problems.push(self.source.problem(severity, at, message, hint));
    }
}
