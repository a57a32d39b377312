//! The property extension for what the native model says and STIX has no place for. Its id and its names are part of
//! what others rely on.

use jiff::Timestamp;
use model::Platform;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::id::Id;
use crate::{Kind, Pattern, Provenance, Strength, When};

/// The id of the extension definition.
pub(super) const ID: &str = "extension-definition--b7c0b9d4-6a0f-4c7e-9d35-0f4b8b6f2a11";

/// When the extension, and by it everything that is written with it, came to be: what is made here gets this as
/// `created`, so that two exports never disagree.
pub(super) const CREATED: Timestamp = Timestamp::constant(1_793_491_200, 0);

/// The definition in words, as STIX 2.1 section 7.3.1 allows.
const SCHEMA: &str = "Of malware, campaign and attack-pattern: id (text); kind (worm, trojan, spim, phishing, botnet, \
    exploit, p2p-malware, account-hijack); family (text); variant (boolean: a variant of an earlier threat of its \
    family); networks, platforms, vectors, techniques (ATT&CK ids), unknown (what is not known): lists of text; \
    first_seen (YYYY, YYYY-MM or YYYY-MM-DD, as far as it is known); payload (text). Of indicator: strength (note, \
    block); source (feed, reference, fetched: where it comes from); always (boolean: valid_from is not known); \
    pattern (object: the pattern where its text does not say all); threat (text: id of its threat).";

/// Of a threat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ThreatPart {
    /// The id it has in the catalogue.
    pub(super) id: String,
    pub(super) kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) family: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) variant: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) networks: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) platforms: Vec<Platform>,
    /// As precise as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) first_seen: Option<When>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) vectors: Vec<String>,
    /// In their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) techniques: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) payload: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) unknown: Vec<String>,
}

/// Of an indicator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct IndicatorPart {
    pub(super) strength: Strength,
    pub(super) source: Provenance,
    /// `valid_from`, which STIX asks for, is not known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) always: bool,
    /// The pattern, where its text in STIX does not say all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pattern: Option<Pattern>,
    /// The threat, where it is not in the bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) threat: Option<String>,
}

/// What an object says in the extension, if it does and it makes sense.
pub(super) fn of<T: for<'de> Deserialize<'de>>(object: &Map<String, Value>) -> Option<T> {
    let own = object.get("extensions")?.get(ID)?;
    T::deserialize(own).ok()
}

/// The property `extensions` with this part of it.
pub(super) fn extensions(part: &impl Serialize) -> Value {
    let mut own = serde_json::to_value(part).unwrap_or_default();
    if let Some(own) = own.as_object_mut() {
        own.insert("extension_type".into(), "property-extension".into());
    }
    json!({ID: own})
}

/// The definition of the extension.
pub(super) fn definition(author: &Id) -> Map<String, Value> {
    let value = json!({
        "name": "Threats over instant messaging and peer-to-peer",
        "description": "What kind of attack a threat is, the messaging and file-sharing networks it uses, how it \
            reaches people, how precisely its first sighting is known and what is not known; what an indicator may be \
            used for and where it comes from.",
        "schema": SCHEMA,
        "version": "1.0.0",
        "extension_types": ["property-extension"],
        "created_by_ref": author.to_string(),
    });
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
