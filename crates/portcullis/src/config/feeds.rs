//! `[[intel.feeds]]`: which feeds are fetched, how they are read, and what their entries may do.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ListKind;
use super::subscribe::Every;

/// A feed of indicators. `docs/feeds.md` has the formats.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedConfig {
    /// Its name: lower case, digits, hyphens. Findings and refusals name it.
    pub name: String,
    /// Its format: `plain`, `hosts`, `urlhaus`, `openphish`, `phishtank`, `csv`, `xmpp-blocklist`, `yara`, `stix`,
    /// `taxii`, `misp` or `misp-feed`.
    pub format: String,
    /// Where a web server has it (`https`; `http` on this machine only). Either this or `path`.
    #[serde(default)]
    pub url: Option<String>,
    /// The file it is in, looked at every second. Either this or `url`.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// What it warns of: `phishing`, `malware`, `spam` or `local`; the format's own when left out.
    #[serde(default)]
    pub kind: Option<ListKind>,
    /// How often it is asked for, give or take a tenth: `5m`, `1h`, `24h`.
    #[serde(default = "hourly")]
    #[schemars(with = "String")]
    pub every: Every,
    /// How sure its entries are, 0 to 100, where they do not say; below 50 they are never more than a note.
    #[serde(default)]
    pub confidence: Option<u8>,
    /// What a match may do: `block` (stop a message) or `note` (be shown beside other evidence).
    #[serde(default)]
    pub strength: Option<FeedStrength>,
    /// Days an entry holds after it was last listed; 0 for as long as it is listed.
    #[serde(default)]
    pub days: Option<u16>,
    /// How far its entries may be passed on: `clear`, `green`, `amber`, `amber+strict` or `red`.
    #[serde(default)]
    #[schemars(with = "String")]
    pub marking: intel::Tlp,
    /// Bytes of it at most, unpacked.
    #[serde(default = "max_bytes")]
    pub max_bytes: u64,
    /// Times as many entries as before it may have at once; beyond that it is held for a person.
    #[serde(default = "growth")]
    pub growth: f64,
    /// The part of its entries that must be left from one fetch to the next, 0 to 1; else it is held.
    #[serde(default = "left")]
    pub left: f64,
    /// User for HTTP Basic authentication.
    #[serde(default)]
    pub user: Option<String>,
    /// File with the password of `user`.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// File with a bearer token, in place of user and password.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// Which column is what, for `csv`.
    #[serde(default)]
    pub columns: FeedColumns,
}

/// What a feed's matches may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum FeedStrength {
    /// Be shown beside other evidence.
    Note,
    /// Stop a message.
    Block,
}

/// Which column of a CSV feed is what: a number from 1, or a name that the header has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FeedColumns {
    /// The character between columns; a comma when left out.
    pub delimiter: Option<char>,
    /// Whether the first line names the columns.
    pub header: bool,
    /// The column with the indicator; the first when left out.
    #[schemars(with = "Option<String>")]
    pub value: Option<intel::feeds::Column>,
    /// What it is: `auto`, `domain`, `url`, `hash`, `address`, `xmpp`, `matrix`, `irc`, `sip` or `text`.
    #[serde(rename = "type")]
    #[schemars(with = "String")]
    pub kind: intel::feeds::Type,
    /// The column with an id or link that says more.
    #[schemars(with = "Option<String>")]
    pub reference: Option<intel::feeds::Column>,
    /// The column with the confidence, 0 to 100.
    #[schemars(with = "Option<String>")]
    pub confidence: Option<intel::feeds::Column>,
    /// The column with the time until which it holds.
    #[schemars(with = "Option<String>")]
    pub until: Option<intel::feeds::Column>,
}

impl From<&FeedColumns> for intel::feeds::Columns {
    fn from(columns: &FeedColumns) -> intel::feeds::Columns {
        let columns = columns.clone();
        intel::feeds::Columns {
            delimiter: columns.delimiter,
            header: columns.header,
            value: columns.value.unwrap_or_default(),
            kind: columns.kind,
            reference: columns.reference,
            confidence: columns.confidence,
            until: columns.until,
        }
    }
}

impl FeedConfig {
    /// Makes relative paths absolute.
    pub(super) fn anchor(&mut self, mut anchor: impl FnMut(&mut PathBuf)) {
        let files = [&mut self.path, &mut self.password_file, &mut self.token_file];
        files.into_iter().flatten().for_each(&mut anchor);
    }
}

fn hourly() -> Every {
    Every(Duration::from_secs(3_600))
}

fn max_bytes() -> u64 {
    64 << 20
}

fn growth() -> f64 {
    intel::guard::ChangeBounds::default().growth
}

fn left() -> f64 {
    intel::guard::ChangeBounds::default().left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_is_as_short_as_it_can_be_and_unknown_keys_are_refused() {
        let read = |text: &str| toml::from_str::<FeedConfig>(text).map_err(|e| e.message().to_owned());
        let short = read("name = \"a\"\nformat = \"plain\"\npath = \"/a\"").unwrap();
        assert_eq!((short.every.0.as_secs(), short.max_bytes, short.growth), (3_600, 64 << 20, 10.0));
        let csv = read(
            "name = \"a\"\nformat = \"csv\"\nurl = \"https://f.example/\"\nstrength = \"note\"\nmarking = \"amber\"\n\
             columns = { delimiter = \"\\t\", value = 2, reference = \"id\", header = true, type = \"domain\" }",
        )
        .unwrap();
        assert_eq!(csv.columns.value, Some(intel::feeds::Column::Number(2)));
        assert!(read("name = \"a\"\nformat = \"plain\"\nfrom = \"x\"").unwrap_err().contains("from"));
    }
}
