//! Rule text to policy; subject and findings to verdict. No I/O.
//!
//! ```text
//! Policy::load(sources, symbols) -> Policy      parsed, checked against the schema, analysed
//! policy.decide(subject)         -> Verdict     answers to the rules' questions -> cache, or Cedar
//! check / cases / reload                        what an operator does with a policy file
//! ```
//!
//! Rules are written in [Cedar](https://docs.cedarpolicy.com/): `principal` is
//! the sender, `resource` the recipient, `action` what was said or done and
//! `context` what was found. Text never reaches a rule.
#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod cache;
pub mod cases;
mod check;
mod evaluate;
mod fixed;
mod key;
mod load;
mod problem;
mod questions;
mod reference;
mod reload;
mod rule;
mod schema;
mod source;
mod subject;
mod words;

use std::fmt;
use std::sync::Arc;

use model::{OnFault, Verdict};

pub use check::{Surroundings, check};
pub use problem::{Problem, Severity};
pub use reference::reference;
pub use reload::{Reload, reload};
pub use rule::Rule;
pub use schema::Symbols;
pub use subject::Subject;

use cache::Cache;
use evaluate::Evaluator;
use key::Keyer;
use questions::Questions;

pub(crate) type Map<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;
pub(crate) type Outcome = Result<Arc<Verdict>, EvalFault>;

/// Decisions kept; about 200 bytes each.
const CACHED_DECISIONS: usize = 65_536;

/// A loaded set of rules, ready to decide. Shared between threads; replaced as a whole.
pub struct Policy {
    version: Arc<str>,
    symbols: Symbols,
    rules: Vec<Rule>,
    warnings: Vec<Problem>,
    evaluator: Evaluator,
    keyer: Option<Keyer>,
    cache: Cache,
}

impl Policy {
    /// Loads sources (name and text) in order, against the symbols that exist.
    ///
    /// # Errors
    /// Everything wrong with them, each with its place and a hint; nothing is loaded then.
    pub fn load(sources: &[(&str, &str)], symbols: impl Into<Symbols>) -> Result<Policy, Vec<Problem>> {
        Policy::load_observing(sources, &[], symbols)
    }

    /// Loads sources, and others whose rules are all in observe mode, whatever they say: rules from elsewhere,
    /// which are to be seen at work before they may act.
    ///
    /// # Errors
    /// As [`Policy::load`].
    pub fn load_observing(
        sources: &[(&str, &str)],
        observed: &[(&str, &str)],
        symbols: impl Into<Symbols>,
    ) -> Result<Policy, Vec<Problem>> {
        let symbols = symbols.into();
        let all = [sources, observed].concat();
        let loaded = load::load(&all, sources.len(), &symbols);
        if loaded.has_errors() {
            return Err(loaded.problems);
        }
        let unusable = |why: String| vec![Problem::internal(why)];
        let bodies = loaded.policies.iter().map(cedar_policy::Policy::to_pst).collect::<Result<Vec<_>, _>>();
        let bodies = bodies.map_err(|e| unusable(e.to_string()))?;
        let questions = Questions::of(bodies.iter().map(|p| p.body()));
        let names = schema::Names::new(&symbols).map_err(|e| unusable(e.to_string()))?;
        let evaluator =
            Evaluator::new(&loaded.rules, loaded.policies, names, &questions).map_err(|e| unusable(e.to_string()))?;
        Ok(Policy {
            version: version(&all, sources.len()),
            keyer: Keyer::new(&questions, &symbols),
            symbols,
            rules: loaded.rules,
            warnings: loaded.problems,
            evaluator,
            cache: Cache::new(CACHED_DECISIONS),
        })
    }

    /// The policy that is in force until the operator writes one.
    pub fn default_text() -> &'static str {
        include_str!("../policies/default.cedar")
    }

    /// Short hash of the rule text: equal text has an equal version.
    pub fn version(&self) -> &Arc<str> {
        &self.version
    }

    /// The rules in the order of the text.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What is doubtful about the rules though they load.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// What is to be done: from the cache when a subject with the same answers
    /// to all that the rules ask was decided before.
    ///
    /// # Errors
    /// A rule that could have made the verdict stronger could not be evaluated;
    /// see [`EvalFault::resolve`].
    pub fn decide(&self, subject: &Subject<'_>) -> Result<Arc<Verdict>, EvalFault> {
        let subject = subject.settled();
        let Some(key) = self.keyer.as_ref().and_then(|keyer| keyer.key(&subject)) else {
            return self.evaluator.decide(&self.rules, &subject);
        };
        if let Some(outcome) = self.cache.get(&key) {
            return outcome;
        }
        let outcome = self.evaluator.decide(&self.rules, &subject);
        self.cache.insert(&key, outcome.clone());
        outcome
    }

    /// What is to be done, asking every rule again. For tools and tests; [`Policy::decide`] says the same.
    ///
    /// # Errors
    /// As [`Policy::decide`].
    pub fn decide_uncached(&self, subject: &Subject<'_>) -> Result<Arc<Verdict>, EvalFault> {
        self.evaluator.decide(&self.rules, &subject.settled())
    }

    /// Counters since the policy was loaded.
    pub fn statistics(&self) -> Statistics {
        let (cached, hits, misses) = self.cache.counts();
        Statistics { cached, hits, misses, observe_faults: self.evaluator.observe_faults() }
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Policy({}, {} rules)", self.version, self.rules.len())
    }
}

/// Counters of a policy, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Decisions held in the cache.
    pub cached: usize,
    /// Decisions answered from it.
    pub hits: u64,
    /// Decisions that had to be made.
    pub misses: u64,
    /// Evaluations of observe-mode rules that failed.
    pub observe_faults: u64,
}

/// A rule that matters could not be evaluated, so nobody knows the verdict.
///
/// Cedar skips such a rule; a broken `forbid` would fail open unseen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule {} could not be evaluated: {why}; correct the rule", .rules.join(", "))]
pub struct EvalFault {
    /// Ids of the rules that failed, in the order of the text.
    pub rules: Arc<[Arc<str>]>,
    /// What the first of them failed of.
    pub why: Arc<str>,
    /// What the other rules said: no less may be done.
    pub at_least: Arc<Verdict>,
}

impl EvalFault {
    /// What is to be done: what the other rules said or what the operator
    /// chose for faults, whichever is stronger.
    pub fn resolve(&self, on_fault: OnFault) -> Verdict {
        let chosen = on_fault.effect();
        if self.at_least.effect >= chosen {
            return Verdict::clone(&self.at_least);
        }
        Verdict {
            effect: chosen,
            rules: self.rules.to_vec(),
            observed: self.at_least.observed.clone(),
            ..Verdict::default()
        }
    }
}

/// Twelve hexadecimal digits over the texts, not their names, and over which of them only observe.
fn version(sources: &[(&str, &str)], enforced: usize) -> Arc<str> {
    let mut hasher = blake3::Hasher::new();
    for (at, (_, text)) in sources.iter().enumerate() {
        if at == enforced {
            hasher.update(b"observed");
        }
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.finalize().to_hex()[..12].into()
}
