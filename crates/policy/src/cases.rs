//! A table of messages and the verdicts they should get, for `portcullis policy test`.
//!
//! ```toml
//! [[case]]
//! name = "a program from outside"
//! from = "eve@elsewhere.example"
//! to = "alice@example.org"
//! kind = "file"
//! symbols = ["file.executable"]
//! expect = "block"
//! rules = ["executables-from-outside"]
//! ```
//!
//! What was found is either written into the case (`symbols`, `score`,
//! `file_kinds`, `sealed`) or found by inspecting its `text`, which is the
//! caller's part: this crate never sees a detector.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;
use model::{Address, Direction, Effect, Finding, Kind, Party, PartyKind, Protocol, Sealing, Side, Verdict, suggest};
use serde::Deserialize;
use toml::Spanned;

use crate::problem::{Problem, Severity};
use crate::schema::Symbols;
use crate::source::Source;
use crate::subject::Subject;
use crate::{Policy, words};

/// One message and the verdict it should get.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it shows, for people.
    pub name: String,
    /// Line of the table it stands on, from 1.
    pub line: usize,
    /// Where it is spoken; XMPP when left out.
    pub protocol: Protocol,
    /// What is said or done; a message when left out.
    pub kind: Kind,
    /// Which way it crosses; from a client when left out.
    pub direction: Direction,
    /// When; noon on a Monday when left out.
    pub time: Timestamp,
    /// Who speaks.
    pub from: Who,
    /// Who is spoken to.
    pub to: Who,
    /// What the case says was found.
    pub findings: Vec<Finding>,
    /// The score, when it is not the sum of the findings'.
    pub score: Option<f32>,
    /// Kinds of the files.
    pub file_kinds: Vec<String>,
    /// The encryption scheme, when sealed.
    pub sealed: Option<Sealing>,
    /// A text to inspect.
    pub text: Option<String>,
    /// The verdict it should get.
    pub expect: Effect,
    /// The rules that should decide, in any order; any when left out.
    pub rules: Option<Vec<String>>,
}

/// A party as a case names it; what is left out, the directory says.
#[derive(Clone, Debug)]
pub struct Who {
    /// Account on its network.
    pub account: String,
    /// Side of the border, when the case says.
    pub side: Option<Side>,
    /// Groups, when the case says.
    pub groups: Option<Vec<Arc<str>>>,
    /// A room rather than a person.
    pub room: bool,
}

/// A case ready to be decided: parties looked up, text inspected.
#[derive(Clone, Debug)]
pub struct Staged {
    /// Who speaks.
    pub from: Party,
    /// Who is spoken to.
    pub to: Party,
    /// Everything found.
    pub findings: Vec<Finding>,
    /// Sum of the scores, or what the case says.
    pub score: f32,
    /// Kinds of the files.
    pub file_kinds: Vec<String>,
    /// The encryption scheme.
    pub sealed: Option<Sealing>,
}

impl Case {
    /// The case with its parties looked up and what inspection found added to what it says.
    pub fn stage(&self, party: impl Fn(Protocol, Address, PartyKind) -> Party, found: Vec<Finding>) -> Staged {
        let look_up = |who: &Who| {
            let kind = if who.room { PartyKind::Room } else { PartyKind::Person };
            let mut found = party(self.protocol, Address::account(who.account.as_str()), kind);
            found.side = who.side.unwrap_or(found.side);
            if let Some(groups) = &who.groups {
                found.groups = groups.as_slice().into();
            }
            found
        };
        let findings: Vec<Finding> = self.findings.iter().cloned().chain(found).collect();
        Staged {
            from: look_up(&self.from),
            to: look_up(&self.to),
            score: self.score.unwrap_or_else(|| findings.iter().map(|f| f.score).sum()),
            findings,
            file_kinds: self.file_kinds.clone(),
            sealed: self.sealed,
        }
    }
}

/// What became of a case.
#[derive(Clone, Debug)]
pub struct Outcome<'c> {
    /// The case.
    pub case: &'c Case,
    /// The verdict, or why there is none.
    pub verdict: Result<Arc<Verdict>, String>,
}

impl Outcome<'_> {
    /// Whether verdict and rules are as expected.
    pub fn passed(&self) -> bool {
        let Ok(verdict) = &self.verdict else { return false };
        let rules_fit = self.case.rules.as_ref().is_none_or(|expected| {
            expected.len() == verdict.rules.len() && verdict.rules.iter().all(|id| expected.iter().any(|e| **e == **id))
        });
        verdict.effect == self.case.expect && rules_fit
    }
}

impl fmt::Display for Outcome<'_> {
    /// One line: `pass  name`, or `FAIL  name (line 7): expected block, got allow`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Case { name, line, expect, rules, .. } = self.case;
        if self.passed() {
            return write!(f, "pass  {name}");
        }
        write!(f, "FAIL  {name} (line {line}): expected {}", expect.name())?;
        if let Some(rules) = rules {
            write!(f, " by [{}]", rules.join(", "))?;
        }
        match &self.verdict {
            Ok(verdict) => write!(f, ", got {} by [{}]", verdict.effect.name(), verdict.rules.join(", ")),
            Err(why) => write!(f, ", but {why}"),
        }
    }
}

/// Decides every case; `stage` looks up the parties and inspects the text ([`Case::stage`] helps).
pub fn run<'c>(
    policy: &Policy,
    cases: &'c [Case],
    mut stage: impl FnMut(&Case) -> Result<Staged, String>,
) -> Vec<Outcome<'c>> {
    let decide = |case: &Case, staged: &Staged| {
        let file_kinds: Vec<&str> = staged.file_kinds.iter().map(String::as_str).collect();
        let subject = Subject {
            kind: case.kind,
            direction: case.direction,
            protocol: case.protocol,
            from: &staged.from,
            to: &staged.to,
            findings: &staged.findings,
            score: staged.score,
            sealed: staged.sealed,
            file_kinds: &file_kinds,
            time: case.time,
        };
        policy.decide(&subject).map_err(|fault| fault.to_string())
    };
    cases.iter().map(|case| Outcome { case, verdict: stage(case).and_then(|staged| decide(case, &staged)) }).collect()
}

/// Reads a table of cases.
///
/// # Errors
/// Everything wrong with it, each with its place.
pub fn parse(file: &str, text: &str, symbols: &Symbols) -> Result<Vec<Case>, Vec<Problem>> {
    let source = Source::new(file, text);
    let read: Table = toml::from_str(text).map_err(|error| {
        let message = error.message().lines().next().unwrap_or_default().to_owned();
        let hint = suggest::from_message(&message);
        vec![source.problem(Severity::Error, error.span().unwrap_or(0..0).start, message, hint)]
    })?;
    let mut reader = Reader { source: &source, symbols, problems: Vec::new() };
    let cases: Vec<Case> = read.case.iter().map(|row| reader.case(row)).collect();
    if cases.is_empty() {
        let hint = Some("write `[[case]]`, then `from`, `to` and `expect`".to_owned());
        reader.problems.push(source.problem(Severity::Error, 0, "no cases", hint));
    }
    match reader.problems.is_empty() {
        true => Ok(cases),
        false => Err(reader.problems),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    case: Vec<Spanned<Row>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: Option<String>,
    protocol: Option<Spanned<Protocol>>,
    kind: Option<Kind>,
    direction: Option<Direction>,
    time: Option<Spanned<String>>,
    from: Spanned<String>,
    to: Spanned<String>,
    from_side: Option<Side>,
    to_side: Option<Side>,
    from_groups: Option<Vec<String>>,
    to_groups: Option<Vec<String>>,
    #[serde(default)]
    from_room: bool,
    #[serde(default)]
    to_room: bool,
    #[serde(default)]
    symbols: Vec<Spanned<String>>,
    score: Option<f32>,
    #[serde(default)]
    file_kinds: Vec<String>,
    sealed: Option<Sealing>,
    text: Option<String>,
    expect: Spanned<String>,
    rules: Option<Vec<String>>,
}

struct Reader<'r> {
    source: &'r Source<'r>,
    symbols: &'r Symbols,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn case(&mut self, spanned: &Spanned<Row>) -> Case {
        let row = spanned.get_ref();
        let line = self.source.place(spanned.span().start).0;
        Case {
            name: row.name.clone().unwrap_or_else(|| format!("line {line}")),
            line,
            protocol: row.protocol.as_ref().map_or(Protocol::Xmpp, |p| *p.get_ref()),
            kind: row.kind.unwrap_or(Kind::Message),
            direction: row.direction.unwrap_or(Direction::FromClient),
            time: self.time(row.time.as_ref()),
            from: self.who(&row.from, row.from_side, row.from_groups.as_ref(), row.from_room),
            to: self.who(&row.to, row.to_side, row.to_groups.as_ref(), row.to_room),
            findings: row.symbols.iter().filter_map(|symbol| self.finding(symbol)).collect(),
            score: row.score,
            file_kinds: row.file_kinds.clone(),
            sealed: row.sealed,
            text: row.text.clone(),
            expect: self.effect(&row.expect),
            rules: row.rules.clone(),
        }
    }

    fn time(&mut self, written: Option<&Spanned<String>>) -> Timestamp {
        // A Monday at noon, so that a case means the same every day.
        const DEFAULT: i64 = 1_767_614_400;
        let default = Timestamp::from_second(DEFAULT).unwrap_or_default();
        let Some(written) = written else { return default };
        written.get_ref().parse().unwrap_or_else(|_| {
            let message = format!("`{}` is not a time", written.get_ref());
            self.error(written.span(), message, Some("write it like 2026-11-23T22:30:00Z".to_owned()));
            default
        })
    }

    fn who(&mut self, account: &Spanned<String>, side: Option<Side>, groups: Option<&Vec<String>>, room: bool) -> Who {
        if account.get_ref().is_empty() {
            self.error(account.span(), "an empty account", Some("write it like alice@example.org".to_owned()));
        }
        let groups = groups.map(|groups| {
            let mut groups: Vec<Arc<str>> = groups.iter().map(|g| Arc::from(g.as_str())).collect();
            groups.sort();
            groups.dedup();
            groups
        });
        Who { account: account.get_ref().clone(), side, groups, room }
    }

    fn finding(&mut self, symbol: &Spanned<String>) -> Option<Finding> {
        let name = symbol.get_ref();
        if !self.symbols.contains(name) {
            let hint = words::symbol_hint(name, self.symbols);
            self.error(symbol.span(), format!("unknown symbol `{name}`"), Some(hint));
            return None;
        }
        Some(Finding {
            symbol: name.clone().into(),
            score: self.symbols.score(name),
            explain: "written in the case".into(),
            evidence: None,
            technique: None,
        })
    }

    fn effect(&mut self, written: &Spanned<String>) -> Effect {
        Effect::parse(written.get_ref()).unwrap_or_else(|| {
            let hint = suggest::hint(written.get_ref(), Effect::ALL.map(Effect::name));
            self.error(written.span(), format!("unknown verdict `{}`", written.get_ref()), hint);
            Effect::Allow
        })
    }

    fn error(&mut self, span: Range<usize>, message: impl Into<String>, hint: Option<String>) {
        self.problems.push(self.source.problem(Severity::Error, span.start, message, hint));
    }
}
