//! Everything there is to say about a policy text: what keeps it from loading
//! and what is doubtful. For `portcullis policy check`.

use std::collections::BTreeSet;

use cedar_policy::pst;
use jiff::civil::Date;

use crate::load::{self, Loaded};
use crate::problem::{Problem, Severity};
use crate::questions::Questions;
use crate::schema::Symbols;
use model::suggest;

/// What the rules are checked against beside the symbols. Leave out what is not known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings<'a> {
    /// The day on which it is checked, for `@expires`.
    pub today: Option<Date>,
    /// The groups of the directory.
    pub groups: Option<&'a [&'a str]>,
    /// The file kinds that inspection names.
    pub file_kinds: Option<&'a [&'a str]>,
}

/// How long before a rule's `@expires` date it is reminded of, in days.
const REMIND_DAYS: i32 = 14;

/// All errors and warnings, in the order of the text.
pub fn check(sources: &[(&str, &str)], symbols: impl Into<Symbols>, surroundings: Surroundings<'_>) -> Vec<Problem> {
    let mut loaded = load::load(sources, sources.len(), &symbols.into());
    let mut more = Vec::new();
    if let Some(today) = surroundings.today {
        more.extend(expiring(&loaded, today));
    }
    more.extend(unknown_names(&loaded, surroundings));
    loaded.problems.extend(more);
    let order = |p: &Problem| sources.iter().position(|(file, _)| **file == *p.file);
    loaded.problems.sort_by_key(|p| (order(p), p.line, p.column));
    loaded.problems
}

fn expiring(loaded: &Loaded, today: Date) -> Vec<Problem> {
    let remind = |rule: &crate::Rule| {
        let date = rule.expires?;
        let left = today.until(date).map_or(0, |span| span.get_days());
        let message = match left {
            _ if date < today => format!("rule `{}` expired on {date} and is still in force", rule.id),
            0..=REMIND_DAYS => format!("rule `{}` expires on {date}", rule.id),
            _ => return None,
        };
        let hint = "take the rule or its exemption out, or give @expires a later date".to_owned();
        Some(at(rule, message, Some(hint)))
    };
    loaded.rules.iter().filter_map(remind).collect()
}

/// Names that Cedar can't know: groups, file kinds, domains that no address has.
fn unknown_names(loaded: &Loaded, surroundings: Surroundings<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (rule, policy) in loaded.rules.iter().zip(&loaded.policies) {
        let Ok(body) = policy.to_pst().map(|p: pst::Policy| Questions::of(std::iter::once(p.body()))) else { continue };
        let unknown = |names: &BTreeSet<Box<str>>, known: Option<&[&str]>, noun: &str| -> Vec<Problem> {
            let Some(known) = known else { return Vec::new() };
            let missing = names.iter().filter(|name| !known.contains(&&***name));
            let problem = |name: &str| {
                let hint = suggest::hint(name, known.iter().copied());
                at(rule, format!("there is no {noun} `{name}`"), hint)
            };
            missing.map(|name| problem(name)).collect()
        };
        problems.extend(unknown(&body.groups, surroundings.groups, "group"));
        problems.extend(unknown(&body.file_kinds.literals, surroundings.file_kinds, "file kind"));
        for name in body.addresses().filter(|name| name.chars().any(char::is_uppercase)) {
            let hint = format!("addresses are compared in lower case: write `{}`", name.to_lowercase());
            problems.push(at(rule, format!("no address is `{name}`"), Some(hint)));
        }
    }
    problems
}

fn at(rule: &crate::Rule, message: String, hint: Option<String>) -> Problem {
    Problem { severity: Severity::Warning, file: rule.file.clone(), line: rule.line, column: 1, message, hint }
}
