//! A catalogued attack: what is known of it, from whom, and what is not known.

use std::fmt;

use jiff::civil::Date;
use model::Platform;
use serde::{Deserialize, Serialize};

use crate::Indicator;

/// What kind of attack it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Spreads by itself over contact lists or shared folders.
    Worm,
    /// Comes as something else and has to be started.
    Trojan,
    /// Unsolicited messages in bulk.
    Spim,
    /// Asks for credentials under a false name.
    Phishing,
    /// Programs steered over chat.
    Botnet,
    /// A fault that a message or file alone sets off.
    Exploit,
    /// Malware that spreads over or lives in peer-to-peer networks.
    P2pMalware,
    /// Accounts taken over.
    AccountHijack,
}

impl Kind {
    /// Every kind, in the order of the reports.
    pub const ALL: [Kind; 8] = [
        Kind::Worm,
        Kind::Trojan,
        Kind::Spim,
        Kind::Phishing,
        Kind::Botnet,
        Kind::Exploit,
        Kind::P2pMalware,
        Kind::AccountHijack,
    ];

    /// Its name in files and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Worm => "worm",
            Kind::Trojan => "trojan",
            Kind::Spim => "spim",
            Kind::Phishing => "phishing",
            Kind::Botnet => "botnet",
            Kind::Exploit => "exploit",
            Kind::P2pMalware => "p2p-malware",
            Kind::AccountHijack => "account-hijack",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much of a date is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// The year.
    Year,
    /// The month.
    Month,
    /// The day.
    Day,
}

/// A date as far as it is known: written `2005`, `2005-02` or `2005-02-28`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct When {
    /// The first day it may mean.
    pub date: Date,
    /// How much of it is known.
    pub precision: Precision,
}

impl When {
    /// Reads `2005`, `2005-02` or `2005-02-28`.
    pub fn parse(text: &str) -> Option<When> {
        let number = |part: &str| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<i16>().ok()).flatten();
        let mut parts = text.split('-');
        let year = parts.next().filter(|year| year.len() == 4).and_then(number)?;
        let (month, day) = (parts.next(), parts.next());
        if parts.next().is_some() {
            return None;
        }
        let small = |part: Option<&str>| match part {
            None => Some(1),
            Some(part) if part.len() == 2 => number(part).and_then(|value| i8::try_from(value).ok()),
            Some(_) => None,
        };
        let date = Date::new(year, small(month)?, small(day)?).ok()?;
        let precision = match (month, day) {
            (None, _) => Precision::Year,
            (_, None) => Precision::Month,
            _ => Precision::Day,
        };
        Some(When { date, precision })
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = (self.date.year(), self.date.month(), self.date.day());
        match self.precision {
            Precision::Year => write!(f, "{year:04}"),
            Precision::Month => write!(f, "{year:04}-{month:02}"),
            Precision::Day => write!(f, "{year:04}-{month:02}-{day:02}"),
        }
    }
}

impl Serialize for When {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<When, D::Error> {
        let text = String::deserialize(deserializer)?;
        When::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no date: write 2005, 2005-02 or 2005-02-28")))
    }
}

/// How far something may be passed on (Traffic Light Protocol 2.0).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tlp {
    /// To anybody.
    #[default]
    Clear,
    /// Within the community.
    Green,
    /// Within the organisation and its clients.
    Amber,
    /// Within the organisation.
    #[serde(rename = "amber+strict")]
    AmberStrict,
    /// To nobody else.
    Red,
}

/// Where something is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Who says it: "F-Secure", "The Register".
    pub by: String,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When it was published, as far as known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<When>,
}

/// One threat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threat {
    /// Its id: lower case, digits and hyphens, for ever the same.
    pub id: String,
    /// The name it is best known by.
    pub name: String,
    /// Other names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// The family it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// It is a variant of an earlier threat of its family.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub variant: bool,
    /// What kind of attack it is.
    pub kind: Kind,
    /// Networks it uses: `msn`, `aim`, `xmpp`, `gnutella`; ids of `apps/` where there is one.
    pub networks: Vec<String>,
    /// Platforms it attacks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<Platform>,
    /// When it was first seen, as far as known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<When>,
    /// How it reaches people: `file-transfer`, `link`, `shared-folder`, `call`, `invitation`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vectors: Vec<String>,
    /// MITRE ATT&CK technique ids: `T1566.002`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub techniques: Vec<String>,
    /// What it does once it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// What it is, in a few sentences.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// What is not known or in doubt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
    /// Who says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Reference>,
    /// How sure all this is, 0 to 100.
    pub confidence: u8,
    /// How far it may be passed on.
    #[serde(default)]
    pub marking: Tlp,
    /// Facts to match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indicators: Vec<Indicator>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_as_precise_as_they_are_known() {
        for text in ["2005", "2005-02", "2005-02-28"] {
            assert_eq!(When::parse(text).unwrap().to_string(), text);
        }
        for wrong in ["", "05", "2005-2", "2005-13", "2005-02-30", "2005-02-01-01", "2005-", "+005"] {
            assert_eq!(When::parse(wrong), None, "{wrong}");
        }
    }
}
