//! What the operator can set about detectors.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator can set about detectors (`[detect]`).
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Names to protect from imitation beside the built-in ones, such as one's own.
    pub brands: Vec<Brand>,
    /// Domains that no heuristic about links is applied to, with all below them. Indicators still are.
    pub exempt_domains: Vec<String>,
    /// Domains that shorten links, beside the built-in ones.
    pub shorteners: Vec<String>,
    /// Expressions of one's own; each raises `pattern.local.NAME`.
    pub patterns: Vec<LocalPattern>,
    /// Score by symbol, instead of the built-in one.
    pub scores: BTreeMap<String, f32>,
}

/// A name to protect from imitation, and where it is at home.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Brand {
    /// The name as it stands in domains, a single label (`acme`).
    pub name: String,
    /// Its real domains (`acme.example`); everything below them counts as real.
    pub domains: Vec<String>,
}

/// An expression of the operator's own.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalPattern {
    /// Name of the symbol `pattern.local.NAME`: lower-case letters, digits and `_`.
    pub name: String,
    /// The expression, in the syntax of Rust's regex: always linear, no look-around or back-references.
    pub regex: String,
    /// What a match weighs, 0 to 100.
    #[serde(default = "LocalPattern::default_score")]
    pub score: f32,
    /// Why it matters, in a sentence for people.
    #[serde(default)]
    pub explain: Option<String>,
}

impl LocalPattern {
    fn default_score() -> f32 {
        1.0
    }

    /// The symbol it raises.
    pub fn symbol(&self) -> String {
        format!("pattern.local.{}", self.name)
    }
}

impl Config {
    /// The symbols of the operator's own expressions, for the policy's schema.
    pub fn local_symbols(&self) -> impl Iterator<Item = String> {
        self.patterns.iter().map(LocalPattern::symbol)
    }
}

/// A setting that can't work: field and reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct ConfigError {
    /// Configuration field, `detect.patterns[2].regex`.
    pub field: String,
    /// What is wrong with it, and what to do.
    pub why: String,
}

impl ConfigError {
    pub(super) fn new(field: impl Into<String>, why: impl Into<String>) -> ConfigError {
        ConfigError { field: field.into(), why: why.into() }
    }
}

/// A domain of the operator's, in ASCII.
pub(super) fn domain(field: &str, at: usize, text: &str) -> Result<Box<str>, ConfigError> {
    let name = text.trim().trim_start_matches("*.").trim_matches('.');
    match url::Host::parse(name) {
        Ok(url::Host::Domain(name)) if !name.is_empty() => Ok(name.into()),
        _ => Err(ConfigError::new(
            format!("detect.{field}[{at}]"),
            format!("{text:?} is not a domain; write it like acme.example"),
        )),
    }
}
