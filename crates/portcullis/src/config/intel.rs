//! `[intel]`: feeds, warning lists, and what else the threat centre is told.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::campaigns::{Campaigns, Decoys};
use super::{FeedConfig, Subscribe};

/// The threat centre: feeds, warning lists.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Intel {
    /// Warning lists in MISP's format beside the bundled one: what is on them never stops a message.
    pub warning_lists: Vec<PathBuf>,
    /// Feeds of indicators, fetched while a role runs.
    pub feeds: Vec<FeedConfig>,
    /// Signed updates from elsewhere.
    pub subscribe: Option<Subscribe>,
    /// When messages are a campaign.
    pub campaigns: Campaigns,
    /// What a message to a decoy sets off.
    pub decoys: Decoys,
}

impl Intel {
    /// Makes relative paths absolute.
    pub(super) fn anchor(&mut self, mut anchor: impl FnMut(&mut PathBuf)) {
        self.warning_lists.iter_mut().for_each(&mut anchor);
        self.feeds.iter_mut().for_each(|feed| feed.anchor(&mut anchor));
        self.subscribe.iter_mut().for_each(|subscribe| subscribe.anchor(&mut anchor));
        self.decoys.anchor(&mut anchor);
    }
}
