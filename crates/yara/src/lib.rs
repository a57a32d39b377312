//! YARA rules: files of them split into rules, each compiled by itself, matched on bytes within bounds.
//!
//! ```text
//! split(text)        -> Rule: one rule with all it needs (imports, private rules it names); and what is no rule
//! Scanner::compile() -> the rules that are in force, and why the others are not
//! Scanner::scan()    -> Match: which of them match, within time and memory
//! ```
//!
//! Rules are written by strangers: they may not include files, switch other rules off (`global`) or match
//! everything, and what they cost is bounded. Matching is by `boreal`.
#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod split;

use std::time::Duration;

use boreal::compiler::CompilerParams;
use boreal::scanner::{ScanError, ScanParams};

pub use split::{Rule, Wrong, split};

/// Bytes of a file that rules see; files are seldom longer, and what is bad begins early.
pub const SCANNED: usize = 32 << 20;
/// Time one scan may take.
pub const TIME: Duration = Duration::from_secs(5);
/// Strings of one rule.
const STRINGS: usize = 2_000;
/// Matches of one string that are counted.
const MATCHES: u32 = 1_000;
/// Expressions inside each other.
const DEPTH: u8 = 40;

/// Rules in force.
#[derive(Debug)]
pub struct Scanner {
    scanner: boreal::Scanner,
    rules: usize,
}

/// A rule that matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// Number of the rule, in the order they were given to [`Scanner::compile`].
    pub rule: usize,
    /// Its name.
    pub name: String,
}

/// A scan that did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScanFault {
    /// It took too long.
    #[error("YARA rules took longer than {TIME:?}")]
    Slow,
    /// Another reason.
    #[error("YARA rules could not be matched: {0}")]
    Failed(String),
}

impl Scanner {
    /// Compiles rules, each with its text as [`split`] gives it. Returns also the numbers of those that are not in
    /// force, and why.
    pub fn compile<'a>(rules: impl IntoIterator<Item = &'a str>) -> (Scanner, Vec<(usize, String)>) {
        let mut compiler = compiler();
        let mut wrong = Vec::new();
        let mut in_force = 0;
        for (number, text) in rules.into_iter().enumerate() {
            if let Err(why) = check(text) {
                wrong.push((number, why));
                continue;
            }
            // A namespace each: rules of different feeds have the same names.
            match compiler.add_rules_str_in_namespace(text, number.to_string()) {
                Ok(_) => in_force += 1,
                Err(error) => wrong.push((number, brief(&error.to_string()))),
            }
        }
        let mut scanner = compiler.finalize();
        scanner.set_scan_params(
            ScanParams::default()
                .compute_full_matches(false)
                .string_max_nb_matches(MATCHES)
                .timeout_duration(Some(TIME)),
        );
        (Scanner { scanner, rules: in_force }, wrong)
    }

    /// How many rules are in force.
    pub fn len(&self) -> usize {
        self.rules
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules == 0
    }

    /// Matches the rules on the first [`SCANNED`] bytes.
    pub fn scan(&self, bytes: &[u8]) -> Result<Vec<Match>, ScanFault> {
        let bytes = bytes.get(..SCANNED).unwrap_or(bytes);
        let result = self.scanner.scan_mem(bytes).map_err(|(error, _)| match error {
            ScanError::Timeout => ScanFault::Slow,
            other => ScanFault::Failed(other.to_string()),
        })?;
        let matches = result.rules.iter().filter(|rule| rule.matched);
        Ok(matches
            .filter_map(|rule| Some(Match { rule: rule.namespace.parse().ok()?, name: rule.name.to_owned() }))
            .collect())
    }
}

/// Why a rule may not be in force, if it may not: it does not compile, or it matches what everybody has.
pub fn check(text: &str) -> Result<(), String> {
    let mut compiler = compiler();
    compiler.add_rules_str(text).map_err(|error| brief(&error.to_string()))?;
    let mut scanner = compiler.finalize();
    scanner.set_scan_params(ScanParams::default().compute_full_matches(false).timeout_duration(Some(TIME)));
    for (what, sample) in EVERYDAY {
        let matched = scanner.scan_mem(sample).is_ok_and(|result| result.rules.iter().any(|rule| rule.matched));
        if matched {
            return Err(format!("it matches {what}"));
        }
    }
    Ok(())
}

/// What no rule may match: it would match everything of the kind.
const EVERYDAY: &[(&str, &[u8])] = &[
    ("an empty file", b""),
    ("a plain text", b"Dear all,\n\nplease find the minutes of Monday's meeting below. See you at http://intranet/ tomorrow!\n"),
    ("an empty ZIP archive", b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
    ("an empty PDF", b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"),
    ("a picture of one dot", b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0!\xf9\x04\0\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;"),
];

fn compiler() -> boreal::Compiler {
    let mut compiler = boreal::Compiler::new();
    compiler.set_params(
        CompilerParams::default()
            .disable_includes(true)
            .max_strings_per_rule(STRINGS)
            .parse_expression_recursion_limit(DEPTH)
            .parse_string_recursion_limit(DEPTH),
    );
    compiler
}

/// The first line of what a compiler says.
fn brief(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORM: &str = r#"rule worm { strings: $a = "spread me" wide ascii condition: $a }"#;

    #[test]
    fn rules_match_and_bad_ones_spoil_no_others() {
        let all = "rule all { condition: true }";
        let broken = "rule broken { condition: $nothing }";
        let small = "rule tiny { condition: filesize < 1000 }";
        let other = r#"rule worm { strings: $a = { de ad [0-4] be ef } condition: $a at 0 }"#;
        let (scanner, wrong) = Scanner::compile([WORM, all, broken, small, other]);
        assert_eq!(scanner.len(), 2);
        assert_eq!(wrong.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(wrong[0].1.contains("matches an empty file"), "{wrong:?}");
        let found = |bytes: &[u8]| scanner.scan(bytes).unwrap().iter().map(|m| m.rule).collect::<Vec<_>>();
        assert_eq!(found(b"please s p r e a d  me"), [0; 0]);
        assert_eq!(found(b"please spread me"), [0]);
        assert_eq!(found(b"\xde\xad\0\0\xbe\xef spread me"), [0, 4]);
        assert_eq!(found(b""), [0; 0]);
    }

    #[test]
    fn files_are_not_included_and_modules_are_there() {
        assert!(check("include \"/etc/passwd\" rule a { condition: false }").is_err());
        assert_eq!(check("import \"pe\" rule a { condition: pe.is_dll() }"), Ok(()));
        assert_eq!(check("import \"hash\" rule a { condition: hash.md5(0, filesize) == \"00\" }"), Ok(()));
    }

    #[test]
    fn a_rule_that_costs_too_much_is_refused_or_cut() {
        let deep = format!("rule a {{ condition: {}true{} }}", "(".repeat(5_000), ")".repeat(5_000));
        assert!(check(&deep).is_err());
        let costly = r#"rule a { strings: $a = /(x+x+)+y/ condition: $a }"#;
        let (scanner, _) = Scanner::compile([costly]);
        let start = std::time::Instant::now();
        let _result = scanner.scan(&vec![b'x'; 1 << 20]);
        assert!(start.elapsed() < TIME * 3);
    }
}
