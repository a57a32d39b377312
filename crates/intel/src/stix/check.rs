//! What properties of an object must look like before anything is made of it (STIX 2.1, sections 3, 4, 5 and 7).

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::id::Id;

/// What stands in a property.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Text,
    Texts,
    Bool,
    Percent,
    Time,
    Id,
    Ids,
    References,
    Markings,
    Extensions,
}

/// Properties that any object may have.
const COMMON: &[(&str, Shape)] = &[
    ("created", Shape::Time),
    ("modified", Shape::Time),
    ("created_by_ref", Shape::Id),
    ("revoked", Shape::Bool),
    ("labels", Shape::Texts),
    ("confidence", Shape::Percent),
    ("lang", Shape::Text),
    ("external_references", Shape::References),
    ("object_marking_refs", Shape::Ids),
    ("granular_markings", Shape::Markings),
    ("extensions", Shape::Extensions),
];

/// Properties of the types that are interpreted: type, property, shape, whether it must be there.
const PROPERTIES: &[(&str, &str, Shape, bool)] = &[
    ("attack-pattern", "name", Shape::Text, true),
    ("attack-pattern", "aliases", Shape::Texts, false),
    ("attack-pattern", "description", Shape::Text, false),
    ("campaign", "name", Shape::Text, true),
    ("campaign", "aliases", Shape::Texts, false),
    ("campaign", "description", Shape::Text, false),
    ("campaign", "first_seen", Shape::Time, false),
    ("campaign", "last_seen", Shape::Time, false),
    ("grouping", "object_refs", Shape::Ids, true),
    ("identity", "name", Shape::Text, true),
    ("indicator", "name", Shape::Text, false),
    ("indicator", "pattern", Shape::Text, true),
    ("indicator", "pattern_type", Shape::Text, false),
    ("indicator", "valid_from", Shape::Time, true),
    ("indicator", "valid_until", Shape::Time, false),
    ("malware", "name", Shape::Text, false),
    ("malware", "aliases", Shape::Texts, false),
    ("malware", "description", Shape::Text, false),
    ("malware", "malware_types", Shape::Texts, false),
    ("malware", "is_family", Shape::Bool, false),
    ("malware", "first_seen", Shape::Time, false),
    ("malware", "last_seen", Shape::Time, false),
    ("note", "object_refs", Shape::Ids, true),
    ("relationship", "relationship_type", Shape::Text, true),
    ("relationship", "source_ref", Shape::Id, true),
    ("relationship", "target_ref", Shape::Id, true),
    ("report", "name", Shape::Text, true),
    ("report", "object_refs", Shape::Ids, true),
    ("sighting", "sighting_of_ref", Shape::Id, true),
];

/// Types whose objects have versions, by which they must say when they were made and changed.
const VERSIONED: &[&str] = &[
    "attack-pattern",
    "campaign",
    "course-of-action",
    "grouping",
    "identity",
    "indicator",
    "infrastructure",
    "intrusion-set",
    "language-content",
    "location",
    "malware",
    "malware-analysis",
    "note",
    "observed-data",
    "opinion",
    "relationship",
    "report",
    "sighting",
    "threat-actor",
    "tool",
    "vulnerability",
];

/// The longest pattern of an indicator, in bytes.
pub(super) const PATTERN_BYTES: usize = 1 << 20;

/// What is wrong with an object: property and reason, one for each.
pub(super) fn faults(kind: &str, object: &Map<String, Value>) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    let mut fault = |property: &str, why: String| faults.push((property.to_owned(), why));
    if let Some(version) = object.get("spec_version")
        && !matches!(version.as_str(), Some("2.0" | "2.1"))
    {
        fault("spec_version", format!("{}: only 2.1 and 2.0 are read", excerpt(version)));
    }
    for (property, shape) in COMMON {
        if let Some(value) = object.get(*property)
            && let Err(why) = shape.check(value)
        {
            fault(property, why);
        }
    }
    for (_, property, shape, needed) in PROPERTIES.iter().filter(|(of, ..)| *of == kind) {
        match object.get(*property) {
            Some(value) => {
                if let Err(why) = shape.check(value) {
                    fault(property, why);
                }
            }
            None if *needed => fault(property, "missing".into()),
            None => {}
        }
    }
    if VERSIONED.contains(&kind) {
        for property in ["created", "modified"] {
            if !object.contains_key(property) {
                fault(property, "missing".into());
            }
        }
    }
    if let (Some(created), Some(modified)) = (time(object, "created"), time(object, "modified"))
        && modified < created
    {
        fault("modified", "before `created`".into());
    }
    if kind == "indicator" {
        if object.get("pattern").and_then(Value::as_str).is_some_and(|pattern| pattern.len() > PATTERN_BYTES) {
            fault("pattern", format!("longer than {PATTERN_BYTES} bytes"));
        }
        if let (Some(from), Some(until)) = (time(object, "valid_from"), time(object, "valid_until"))
            && until <= from
        {
            fault("valid_until", "not after `valid_from`".into());
        }
    }
    faults
}

/// A property that is a time; it may be absent.
pub(super) fn time(object: &Map<String, Value>, property: &str) -> Option<Timestamp> {
    object.get(property).and_then(Value::as_str).and_then(|text| timestamp(text).ok())
}

/// Reads `2016-05-12T08:17:27.000Z`.
pub(super) fn timestamp(text: &str) -> Result<Timestamp, String> {
    let is_utc = text.ends_with('Z') && text.as_bytes().get(10) == Some(&b'T') && text.is_ascii();
    match text.parse() {
        Ok(time) if is_utc && text.len() <= 40 => Ok(time),
        _ => Err(format!("`{}` is no time of the form 2016-05-12T08:17:27.000Z", short(text))),
    }
}

impl Shape {
    fn check(self, value: &Value) -> Result<(), String> {
        let ok = |is: bool, want: &str| if is { Ok(()) } else { Err(format!("{}: not {want}", excerpt(value))) };
        match self {
            Shape::Text => ok(value.is_string(), "a string"),
            Shape::Bool => ok(value.is_boolean(), "true or false"),
            Shape::Percent => ok(value.as_u64().is_some_and(|value| value <= 100), "a number from 0 to 100"),
            Shape::Time => match value.as_str() {
                Some(text) => timestamp(text).map(drop),
                None => ok(false, "a time"),
            },
            Shape::Id => ok(is_id(value), "an identifier"),
            Shape::Texts => ok(list(value).is_some_and(|all| all.iter().all(Value::is_string)), "a list of strings"),
            Shape::Ids => ok(list(value).is_some_and(|all| all.iter().all(is_id)), "a list of identifiers"),
            Shape::References => {
                let has_source = |one: &Value| {
                    let text = |name| one.get(name).is_none_or(Value::is_string);
                    one.get("source_name").is_some_and(Value::is_string)
                        && text("url")
                        && text("external_id")
                        && text("description")
                };
                ok(list(value).is_some_and(|all| all.iter().all(has_source)), "a list of external references")
            }
            Shape::Markings => {
                let is_marking = |one: &Value| one.is_object() && one.get("marking_ref").is_none_or(is_id);
                ok(list(value).is_some_and(|all| all.iter().all(is_marking)), "a list of granular markings")
            }
            Shape::Extensions => {
                ok(value.as_object().is_some_and(|all| all.values().all(Value::is_object)), "a map of extensions")
            }
        }
    }
}

fn list(value: &Value) -> Option<&Vec<Value>> {
    value.as_array()
}

fn is_id(value: &Value) -> bool {
    value.as_str().is_some_and(|text| Id::parse(text).is_some())
}

/// A value as it is shown in an error.
pub(super) fn excerpt(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{}`", short(text)),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
        other => other.to_string(),
    }
}

/// A text as it is shown in an error: its beginning, on one line.
pub(crate) fn short(text: &str) -> String {
    let mut out: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    if text.chars().nth(80).is_some() {
        out.push('…');
    }
    out
}
