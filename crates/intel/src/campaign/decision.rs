//! What a person decides about a campaign.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Campaign, Status};

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Id of the campaign.
    pub campaign: String,
    /// When it was made.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// What was decided.
    #[serde(flatten)]
    pub choice: Choice,
}

/// What can be decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "choice")]
pub enum Choice {
    /// It has a name.
    Name {
        /// The name.
        name: String,
    },
    /// It is part of another campaign.
    Merge {
        /// Id of that one.
        into: String,
    },
    /// It is in the catalogue.
    Promote {
        /// Id of the threat.
        threat: String,
    },
    /// It is nothing to act on.
    Dismiss {
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

impl Decision {
    /// Puts a decision about one campaign into effect; of a merger, only what it means for the one that goes.
    pub fn apply(&self, campaign: &mut Campaign) {
        match &self.choice {
            Choice::Name { name } => campaign.name = Some(name.clone()),
            Choice::Merge { into } => campaign.emptied(into),
            Choice::Promote { threat } => campaign.status = Status::Promoted { threat: threat.clone() },
            Choice::Dismiss { reason } => campaign.status = Status::Dismissed { reason: reason.clone() },
        }
    }
}
