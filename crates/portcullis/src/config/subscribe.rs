//! `[intel.subscribe]`: whose signed updates are followed, and how far their rules may go.

use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Signed updates from a repository that `portcullis intel publish` keeps: threats, indicators, application
/// signatures and rules. What was good last stays in force, whatever the repository says later.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    /// Where a web server serves the repository: `https://intel.example.org/portcullis`. Either this or `path`.
    #[serde(default)]
    pub url: Option<String>,
    /// The repository as a folder, looked at every second. Either this or `url`.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// The repository's `root.json`, which came by a safe way: it says whose signatures count. Later roots are
    /// found from it.
    pub root: PathBuf,
    /// How often the web server is asked, and expiry is looked at: `60s`, `5m`, `1h`.
    #[serde(default)]
    #[schemars(with = "String")]
    pub every: Every,
    /// What becomes of the rules that come with updates: `off`, `observe` (it is recorded what they would have
    /// done) or `enforce`.
    #[serde(default)]
    pub rules: RulesFromElsewhere,
}

/// How far rules that others wrote may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RulesFromElsewhere {
    /// They are not loaded.
    Off,
    /// It is recorded what they would have done.
    #[default]
    Observe,
    /// They act like the operator's own.
    Enforce,
}

/// A time between two looks, from a second to a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Every(pub Duration);

impl Default for Every {
    fn default() -> Every {
        Every(Duration::from_secs(60))
    }
}

impl Serialize for Every {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}s", self.0.as_secs()))
    }
}

impl<'de> Deserialize<'de> for Every {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Every, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse::<SignedDuration>()
            .ok()
            .and_then(|duration| Duration::try_from(duration).ok())
            .filter(|every| (Duration::from_secs(1)..=Duration::from_secs(86_400)).contains(every))
            .map(Every)
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no time from 1s to 24h: write 30s, 5m or 1h")))
    }
}

impl Subscribe {
    /// Makes relative paths absolute.
    pub(super) fn anchor(&mut self, mut anchor: impl FnMut(&mut PathBuf)) {
        self.path.iter_mut().for_each(&mut anchor);
        anchor(&mut self.root);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_is_as_short_as_it_can_be() {
        let read = |text: &str| toml::from_str::<Subscribe>(text).map_err(|e| e.message().to_owned());
        let short = read("path = \"/srv/intel\"\nroot = \"root.json\"").unwrap();
        assert_eq!((short.every.0.as_secs(), short.rules), (60, RulesFromElsewhere::Observe));
        let long = read("url = \"https://i.example\"\nroot = \"r\"\nevery = \"1h 30m\"\nrules = \"enforce\"").unwrap();
        assert_eq!(long.every.0.as_secs(), 5_400);
        for wrong in ["0s", "2d", "60", "-5s", ""] {
            let why = read(&format!("path = \"p\"\nroot = \"r\"\nevery = \"{wrong}\"")).unwrap_err();
            assert!(why.contains("write 30s"), "{why}");
        }
        assert!(read("path = \"p\"").unwrap_err().contains("root"));
    }
}
