//! Message to facts to findings. No I/O, no async, no clock: time comes in as an argument.
//!
//! ```text
//! facts::extract(message) -> Facts     once, bounded
//! files::examine(reader)  -> FileFacts for each file, on a thread that may block
//! detect(case)            -> Findings  the table below, in order
//! track(case, now)        -> Findings  the trackers, state over time
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod detect;
pub mod facts;
pub mod files;
pub mod track;

pub use facts::{Facts, Link, Text};
pub use files::FileFacts;

use model::{Finding, Message, SymbolInfo};

/// What a detector looks at.
pub struct Case<'a> {
    /// The message itself.
    pub message: &'a Message,
    /// What was derived from it once.
    pub facts: &'a Facts,
    /// What was asked of others about it.
    pub answers: &'a Answers,
}

/// What look-ups that may wait brought back, in the order of `Message::files`.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// One entry a file of the message whose bytes could be read.
    pub files: Vec<FileAnswer>,
    /// Look-ups that failed or ran out of time, in words; `OnFault` decides.
    pub faults: Vec<String>,
}

/// What is known of one file.
#[derive(Clone, Debug)]
pub struct FileAnswer {
    /// Index into `Message::files`.
    pub file: usize,
    /// What its bytes say.
    pub facts: FileFacts,
    /// What the antivirus engine said: `Some(Ok(None))` clean, `Some(Ok(Some(name)))` infected,
    /// `None` not asked.
    pub antivirus: Option<Result<Option<String>, String>>,
    /// YARA rules that match it or a file in it.
    pub rules: Vec<RuleHit>,
}

/// A YARA rule that matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleHit {
    /// Its name.
    pub rule: String,
    /// The list it is on.
    pub list: std::sync::Arc<str>,
    /// Which member, empty for the file itself.
    pub member: String,
    /// What the match is good for.
    pub strength: indicators::Strength,
}

/// Findings, bounded: a message with ten thousand bad links is bad enough after the first few.
#[derive(Clone, Debug, Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// How many findings one message keeps.
    pub const MOST: usize = 64;

    /// Adds a finding unless there are enough already.
    pub fn push(&mut self, finding: Finding) {
        if self.0.len() < Findings::MOST {
            self.0.push(finding);
        }
    }

    /// All of them, in the order found.
    pub fn as_slice(&self) -> &[Finding] {
        &self.0
    }

    /// Sum of the scores.
    pub fn score(&self) -> f32 {
        self.0.iter().map(|f| f.score).sum()
    }

    /// The findings themselves.
    pub fn into_vec(self) -> Vec<Finding> {
        self.0
    }
}

/// Stateless code that looks at facts. Cheap to refuse: the first thing an
/// implementation does is to see whether there is anything for it.
pub trait Detector: Send + Sync {
    /// The symbols it can raise: the source of the policy schema and the reference.
    fn symbols(&self) -> &'static [SymbolInfo];
    /// Looks; must not fail and must take time linear in the message.
    fn inspect(&self, case: &Case<'_>, findings: &mut Findings);
}

/// Bounded state over time, rebuilt from the journal at start.
pub trait Tracker: Send {
    /// The symbols it can raise.
    fn symbols(&self) -> &'static [SymbolInfo];
    /// Looks at one more message. `case.message.time` is the clock.
    fn observe(&mut self, case: &Case<'_>, findings: &mut Findings);
    /// Takes in one message of the past, as the journal kept it.
    fn replay(&mut self, record: &model::Record);
}
