//! A fact to match: what, how sure, until when, from whom, and whether it may stop a message.

use std::net::IpAddr;

use jiff::Timestamp;
use model::Protocol;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Tlp;

/// What is matched.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum Pattern {
    /// A domain and everything below it; ASCII, lower case.
    Domain {
        /// The domain.
        value: String,
    },
    /// A page; with `prefix`, everything whose URL begins so. Canonical form.
    Url {
        /// The URL.
        value: String,
        /// Everything below it, too.
        #[serde(default)]
        prefix: bool,
    },
    /// A file, by its hash in hexadecimal: 32 (MD5), 40 (SHA-1) or 64 (SHA-256) digits. Gateways match SHA-256.
    File {
        /// The hash, lower case.
        hash: String,
    },
    /// Addresses.
    Net {
        /// Any of them.
        address: IpAddr,
        /// Leading bits that count.
        bits: u8,
    },
    /// An account, or a server with all its accounts.
    Account {
        /// On this network.
        protocol: Protocol,
        /// JID, MXID, SIP address, IRC mask or server name.
        value: String,
    },
    /// Words in a message, as they are, case apart.
    Text {
        /// The words.
        value: String,
    },
    /// A message much like this one: its shape, in hexadecimal (`inspect`'s facts have it).
    NearText {
        /// The shape.
        shape: String,
    },
    /// A YARA rule for files.
    Yara {
        /// Name of the rule.
        name: String,
        /// The rule.
        rule: String,
    },
}

impl Pattern {
    /// The id that indicators of this pattern have when their source gives none: the same pattern, the same id.
    pub fn id(&self) -> Uuid {
        use sha2::{Digest, Sha256};
        let mut hasher = Sha256::new();
        hasher.update(b"portcullis indicator\0");
        hasher.update(serde_json::to_vec(self).unwrap_or_default());
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(hasher.finalize()).for_each(|(to, from)| *to = from);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }

    /// The pattern for people: shortened, control characters escaped, not clickable.
    pub fn shown(&self) -> String {
        const MOST: usize = 120;
        let text = match self {
            Pattern::Domain { value } | Pattern::Url { value, .. } | Pattern::Text { value } => value.clone(),
            Pattern::File { hash } => hash.clone(),
            Pattern::Net { address, bits } => return format!("{address}/{bits}"),
            Pattern::Account { protocol, value } => format!("{}:{value}", protocol.name()),
            Pattern::NearText { shape } => format!("shape:{shape}"),
            Pattern::Yara { name, .. } => format!("yara:{name}"),
        };
        let text: String = text.chars().take(MOST).collect();
        text.escape_debug().to_string().replace("://", "[:]//").replace('.', "[.]")
    }
}

/// What a match is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strength {
    /// To be shown beside other evidence.
    Note,
    /// To stop a message.
    Block,
}

/// Where an indicator comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Name of the feed, or `catalogue`, `triage`, `decoy`.
    pub feed: String,
    /// Id or place in it: an object id, a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// When it was taken in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetched: Option<Timestamp>,
}

/// One indicator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Indicator {
    /// Its id, for ever the same.
    pub id: Uuid,
    /// What is matched.
    #[serde(flatten)]
    pub pattern: Pattern,
    /// Id of the threat it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threat: Option<String>,
    /// How sure it is, 0 to 100.
    pub confidence: u8,
    /// What a match is good for.
    pub strength: Strength,
    /// From when it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Timestamp>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
    /// Where it comes from.
    pub source: Provenance,
    /// How far it may be passed on.
    #[serde(default)]
    pub marking: Tlp,
}
