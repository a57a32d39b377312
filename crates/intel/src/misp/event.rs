//! Reading events: one file may hold one or many, in one of several wrappings.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{EntryError, Error, Limits};
use crate::json::{self, Bounds};
use crate::stix::short;

/// An event as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    uuid: Uuid,
    /// When it was changed, in seconds.
    timestamp: i64,
    /// With its wrapping (`{"Event": ...}`), without white space between tokens.
    text: Box<str>,
}

impl Event {
    /// Its UUID.
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// When it was changed, in seconds since 1970.
    pub fn timestamp(&self) -> i64 {
        self.timestamp
    }

    /// It in JSON, as it came.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its properties.
    pub fn properties(&self) -> Map<String, Value> {
        let mut whole: Map<String, Value> = serde_json::from_str(&self.text).unwrap_or_default();
        match whole.remove("Event") {
            Some(Value::Object(event)) => event,
            _ => whole,
        }
    }

    /// Reads one, wrapped or not.
    pub(super) fn read(text: &str, place: &str, limits: &Limits) -> Result<Event, EntryError> {
        let fault = |object: &str, property: &str, why: String| EntryError {
            object: object.to_owned(),
            property: property.to_owned(),
            why,
        };
        if text.len() > limits.event_bytes {
            return Err(fault(place, "", format!("larger than {} bytes", limits.event_bytes)));
        }
        let bounds = Bounds { depth: limits.depth, values: limits.values, string: limits.string };
        let value = json::read(text, bounds).map_err(|error| fault(place, "", error.to_string()))?;
        let event = value.get("Event").unwrap_or(&value);
        if !event.is_object() {
            return Err(fault(place, "", "not an event".into()));
        }
        let said = event.get("uuid").and_then(Value::as_str).unwrap_or_default();
        let uuid = parse_uuid(said).ok_or_else(|| fault(place, "uuid", format!("`{}` is no UUID", short(said))))?;
        if !event.get("info").is_some_and(Value::is_string) {
            return Err(fault(said, "info", "missing, or not a string".into()));
        }
        for list in ["Attribute", "Object", "Tag", "Galaxy"] {
            if event.get(list).is_some_and(|list| !list.is_array()) {
                return Err(fault(said, list, "not a list".into()));
            }
        }
        let timestamp = event.get("timestamp").and_then(integer).unwrap_or_default();
        Ok(Event { uuid, timestamp, text: json::compact(text) })
    }
}

/// Events in the order in which they came, the newest version of each.
#[derive(Clone, Debug, Default)]
pub struct Events {
    places: HashMap<Uuid, usize>,
    events: Vec<Event>,
}

impl Events {
    /// Puts one in; of two versions the newer one stays.
    pub fn insert(&mut self, event: Event) {
        match self.places.get(&event.uuid).and_then(|at| self.events.get_mut(*at)) {
            Some(have) if have.timestamp < event.timestamp => *have = event,
            Some(_) => {}
            None => {
                self.places.insert(event.uuid, self.events.len());
                self.events.push(event);
            }
        }
    }

    /// One of them.
    pub fn get(&self, uuid: &Uuid) -> Option<&Event> {
        self.events.get(*self.places.get(uuid)?)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Event> {
        self.events.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// As MISP exports several: `{"response": [...]}`.
    pub fn to_json(&self) -> String {
        let list: Vec<&str> = self.events.iter().map(Event::text).collect();
        format!("{{\"response\":[{}]}}", list.join(","))
    }
}

/// What was read.
#[derive(Debug, Default)]
pub struct Read {
    /// The events.
    pub events: Events,
    /// Events that were refused.
    pub errors: Vec<EntryError>,
    /// Refusals beyond those.
    pub more_errors: u64,
}

/// Reads `{"Event": {}}`, `{"response": [...]}`, a list of events, or one event without a wrapping.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Read, Error> {
    if bytes.len() > limits.bytes {
        return Err(Error::TooLarge { bytes: bytes.len(), most: limits.bytes });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| Error::Encoding { at: error.valid_up_to() })?;
    let text = text.trim_start_matches('\u{feff}').trim();
    let mut read = Read::default();
    if text.starts_with('[') {
        read.take_all(text, limits)?;
        return Ok(read);
    }
    let head: Head<'_> = serde_json::from_str(text)?;
    match head {
        Head { response: Some(list), .. } if list.get().starts_with('[') => read.take_all(list.get(), limits)?,
        Head { response: Some(one), .. } => read.take(one.get(), "response", limits),
        Head { event: Some(_), .. } | Head { info: Some(_), .. } => read.take(text, "the only event", limits),
        _ => return Err(Error::NoEvent),
    }
    Ok(read)
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default, rename = "Event")]
    event: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
    #[serde(borrow, default)]
    info: Option<&'a RawValue>,
}

impl Read {
    fn take_all(&mut self, text: &str, limits: &Limits) -> Result<(), Error> {
        let list: Vec<&RawValue> = serde_json::from_str(text)?;
        for (at, event) in list.iter().take(limits.events).enumerate() {
            self.take(event.get(), &format!("event {}", at + 1), limits);
        }
        if let Some(left) = list.len().checked_sub(limits.events).filter(|left| *left > 0) {
            let why = format!("{left} events beyond the {} that are taken", limits.events);
            self.errors.push(EntryError { object: "response".into(), property: String::new(), why });
        }
        Ok(())
    }

    fn take(&mut self, text: &str, place: &str, limits: &Limits) {
        match Event::read(text, place, limits) {
            Ok(event) => self.events.insert(event),
            Err(error) if self.errors.len() < limits.errors => self.errors.push(error),
            Err(_) => self.more_errors += 1,
        }
    }
}

/// A UUID with hyphens.
pub(super) fn parse_uuid(text: &str) -> Option<Uuid> {
    if text.len() == 36 { Uuid::try_parse(text).ok() } else { None }
}

/// A number that MISP writes as a number or as a string.
pub(super) fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// A truth that MISP writes in several ways.
pub(super) fn is_true(value: Option<&Value>) -> bool {
    matches!(value, Some(Value::Bool(true))) || value.and_then(integer) == Some(1)
}
