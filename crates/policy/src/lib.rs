//! Rule text to policy; subject and findings to verdict. No I/O.
#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod problem;
mod subject;

use std::sync::Arc;

use model::{OnFault, SymbolInfo, Verdict};

pub use problem::{Problem, Severity};
pub use subject::Subject;

/// A loaded set of rules.
pub struct Policy {
    version: Arc<str>,
}

impl Policy {
    /// Loads the sources, in order.
    pub fn load(sources: &[(&str, &str)], _symbols: &[SymbolInfo]) -> Result<Policy, Vec<Problem>> {
        let _ = sources;
        Ok(Policy { version: Arc::from("none") })
    }

    /// The policy that is in force until the operator writes one.
    pub fn default_text() -> &'static str {
        include_str!("../policies/default.cedar")
    }

    /// Short hash of the rule text.
    pub fn version(&self) -> &Arc<str> {
        &self.version
    }

    /// What is to be done.
    pub fn decide(&self, _subject: &Subject<'_>) -> Result<Arc<Verdict>, EvalFault> {
        Ok(Arc::new(Verdict::default()))
    }
}

/// A rule could not be evaluated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule {} failed: {why}", .rules.join(", "))]
pub struct EvalFault {
    /// Ids of the rules that failed.
    pub rules: Arc<[Arc<str>]>,
    /// What the first of them failed of.
    pub why: Arc<str>,
    /// What the other rules said: no less may be done.
    pub at_least: Arc<Verdict>,
}

impl EvalFault {
    /// What is to be done: what the other rules said or what the operator chose, whichever is stronger.
    pub fn resolve(&self, on_fault: OnFault) -> Verdict {
        let mut verdict = Verdict::clone(&self.at_least);
        verdict.effect = verdict.effect.max(on_fault.effect());
        verdict
    }
}
