//! `[intel.campaigns]` and `[intel.decoys]`: when messages are one attack, and what a decoy sets off.

use std::path::PathBuf;

use intel::campaign::Settings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When messages that share a link, file, text, command or channel are a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Campaigns {
    /// Whether the journal is followed for campaigns.
    pub enabled: bool,
    /// Suspicious messages there have to be.
    pub repeats: usize,
    /// Different recipients that they have to be meant for.
    pub recipients: usize,
    /// Different senders that they have to come from; one is enough where a finding is grave.
    pub senders: usize,
    /// What one message's findings have to weigh to be grave.
    pub grave: f32,
    /// Hours that messages are remembered that are not part of a campaign yet.
    pub window_hours: u32,
    /// Messages remembered at most; a thousand take about a megabyte.
    pub memory: usize,
    /// Days without a message until a campaign is over.
    pub quiet_days: u32,
}

impl Default for Campaigns {
    fn default() -> Campaigns {
        let Settings { recipients, senders, repeats, grave, window_hours, memory, quiet_days } = Settings::default();
        Campaigns { enabled: true, repeats, recipients, senders, grave, window_hours, memory, quiet_days }
    }
}

impl From<Campaigns> for Settings {
    fn from(config: Campaigns) -> Settings {
        let Campaigns { enabled: _, repeats, recipients, senders, grave, window_hours, memory, quiet_days } = config;
        let memory = memory.clamp(1_000, 1 << 20);
        Settings { recipients, senders, repeats, grave, window_hours, memory, quiet_days }
    }
}

/// What a message to a decoy (`[[decoy]]` in the directory) sets off beside its own verdict.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Decoys {
    /// Whether what was sent to a decoy is blocked at once, here and where `repository` is followed. Indicators are
    /// held against the warning lists and the past month first.
    pub publish: bool,
    /// Hours that such indicators hold.
    pub expiry_hours: u32,
    /// The repository of signed updates (a folder) that they are published to; without one they are in force here alone.
    pub repository: Option<PathBuf>,
    /// Release keys to sign with.
    pub release_keys: Vec<PathBuf>,
    /// Timestamp keys to sign with.
    pub timestamp_keys: Vec<PathBuf>,
}

impl Default for Decoys {
    fn default() -> Decoys {
        Decoys {
            publish: false,
            expiry_hours: 24,
            repository: None,
            release_keys: Vec::new(),
            timestamp_keys: Vec::new(),
        }
    }
}

impl Decoys {
    /// Makes relative paths absolute.
    pub(super) fn anchor(&mut self, mut anchor: impl FnMut(&mut PathBuf)) {
        let keys = self.release_keys.iter_mut().chain(&mut self.timestamp_keys);
        self.repository.iter_mut().chain(keys).for_each(&mut anchor);
    }
}
