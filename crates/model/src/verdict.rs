//! What is to be done with a message, and which rules said so.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What is done, weakest first: the order is the strength.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Forwarded unchanged.
    #[default]
    Allow,
    /// Forwarded, marked for its readers.
    Warn,
    /// Forwarded with the offending spans replaced.
    Redact,
    /// Kept back until a person decides.
    Quarantine,
    /// Not delivered; the sender is told.
    Block,
    /// Not delivered, and the session ends.
    Disconnect,
}

impl Effect {
    /// Every effect, weakest first.
    pub const ALL: [Effect; 6] =
        [Effect::Allow, Effect::Warn, Effect::Redact, Effect::Quarantine, Effect::Block, Effect::Disconnect];

    /// The name used in policy, records and output.
    pub fn name(self) -> &'static str {
        match self {
            Effect::Allow => "allow",
            Effect::Warn => "warn",
            Effect::Redact => "redact",
            Effect::Quarantine => "quarantine",
            Effect::Block => "block",
            Effect::Disconnect => "disconnect",
        }
    }

    /// The effect of that name.
    pub fn parse(name: &str) -> Option<Effect> {
        Effect::ALL.into_iter().find(|e| e.name() == name)
    }

    /// Whether the message goes on to its reader in some form.
    pub fn delivers(self) -> bool {
        self <= Effect::Redact
    }
}

/// A decision and its reasons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What is to be done.
    pub effect: Effect,
    /// Ids of the rules that decided.
    pub rules: Vec<Arc<str>>,
    /// Ids of rules in observe mode that would have decided otherwise.
    pub observed: Vec<Arc<str>>,
    /// Text for people, from the strongest rule.
    pub notice: Option<Arc<str>>,
    /// Whether a quarantined message's sender is not told (`@silent("true")`).
    pub silent: bool,
    /// Something needed for the decision failed, and [`OnFault`] had the last word.
    pub on_fault: bool,
}

/// What happens when something needed for a decision fails: the one place
/// where fail-open or fail-closed is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFault {
    /// Deliver as if nothing had been found (fail open).
    Pass,
    /// Keep for a person to decide.
    Quarantine,
    /// Do not deliver; the sender may try again (fail closed).
    Refuse,
}

impl OnFault {
    /// What becomes of a message under this choice.
    pub fn effect(self) -> Effect {
        match self {
            OnFault::Pass => Effect::Allow,
            OnFault::Quarantine => Effect::Quarantine,
            OnFault::Refuse => Effect::Block,
        }
    }
}
