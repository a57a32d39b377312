//! From events to threats and indicators.

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::event::{Events, integer, is_true, parse_uuid, read};
use super::export::NATIVE;
use super::tags::{Said, level, list};
use super::{EntryError, Error, Limits, attribute};
use crate::stix::{Context, short};
use crate::{Indicator, Kind, Provenance, Reference, Strength, Threat, Tlp, When};

/// Indicators made of one document.
const INDICATORS: usize = 1_000_000;

/// An attribute that is meant for detection and can't be matched. Its event is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmatched {
    /// UUID of its event.
    pub event: Uuid,
    /// Its UUID.
    pub attribute: String,
    /// Its type.
    pub kind: String,
    /// Beginning of its value.
    pub value: String,
    /// The reason.
    pub why: String,
}

/// What a document comes to.
#[derive(Clone, Debug, Default)]
pub struct Import {
    /// Threats: events that say what kind of attack they are about.
    pub threats: Vec<Threat>,
    /// Indicators, with the ids of their threats. Those of attributes without `to_ids` are for notes only.
    pub indicators: Vec<Indicator>,
    /// Attributes with `to_ids` that can't be matched.
    pub unmatched: Vec<Unmatched>,
    /// Events and attributes that were refused.
    pub errors: Vec<EntryError>,
    /// Refusals beyond those.
    pub more_errors: u64,
    /// Every event as it came.
    pub events: Events,
}

/// Reads a document and makes of it what can be made.
pub fn import(bytes: &[u8], limits: &Limits, context: &Context) -> Result<Import, Error> {
    let read = read(bytes, limits)?;
    let mut import = Import { errors: read.errors, more_errors: read.more_errors, ..Import::default() };
    interpret_into(&mut import, read.events, limits, context);
    Ok(import)
}

/// Makes of events what can be made.
pub fn interpret(events: Events, limits: &Limits, context: &Context) -> Import {
    let mut import = Import::default();
    interpret_into(&mut import, events, limits, context);
    import
}

fn interpret_into(import: &mut Import, events: Events, limits: &Limits, context: &Context) {
    for event in events.iter() {
        let properties = event.properties();
        match native(&properties).filter(|_| context.own) {
            Some(Native { threat, indicators }) => {
                import.threats.extend(threat);
                import.indicators.extend(indicators);
            }
            None => Reader { import, limits, context, event: event.uuid() }.event(&properties),
        }
    }
    import.events = events;
}

/// What an event that was made here carries whole.
#[derive(serde::Deserialize, serde::Serialize)]
pub(super) struct Native {
    pub(super) threat: Option<Threat>,
    pub(super) indicators: Vec<Indicator>,
}

pub(super) fn native(event: &Map<String, Value>) -> Option<Native> {
    let own = list(event, "Attribute").find(|one| one.get("comment").and_then(Value::as_str) == Some(NATIVE))?;
    serde_json::from_str(own.get("value")?.as_str()?).ok()
}

struct Reader<'a> {
    import: &'a mut Import,
    limits: &'a Limits,
    context: &'a Context,
    event: Uuid,
}

impl Reader<'_> {
    fn event(&mut self, event: &Map<String, Value>) {
        let said = Said::by(event);
        let marking = level(&said, event);
        let objects = list(event, "Object").filter(|object| !is_true(object.get("deleted")));
        let in_objects = objects.filter_map(Value::as_object).flat_map(|object| list(object, "Attribute"));
        let attributes: Vec<&Value> = list(event, "Attribute").chain(in_objects).collect();
        let threat = self.threat(event, &said, &attributes, marking);
        let id = threat.as_ref().map(|threat| threat.id.clone());
        self.import.threats.extend(threat);
        for (at, attribute) in attributes.into_iter().enumerate() {
            self.attribute(attribute, at, id.as_deref(), said.confidence, marking);
        }
    }

    /// The threat that an event is about, if it says what kind it is or lists files.
    fn threat(&self, event: &Map<String, Value>, said: &Said, attributes: &[&Value], marking: Tlp) -> Option<Threat> {
        let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let type_of = |attribute: &Value| attribute.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut unknown = Vec::new();
        let phishing = || {
            let is = |id: &String| id.starts_with("T1566") || id.starts_with("T1660");
            said.techniques.iter().any(is).then_some(Kind::Phishing)
        };
        let kind = match said.kind.or_else(phishing) {
            Some(kind) => kind,
            None if attributes
                .iter()
                .any(|one| matches!(&*type_of(one), "md5" | "sha1" | "sha256" | "malware-sample")) =>
            {
                unknown.push(
                    "the source does not say what kind of attack it is; taken for a trojan, as it lists files".into(),
                );
                Kind::Trojan
            }
            None => return None,
        };
        let info = text("info");
        let mut names = said.names.iter().chain(&said.synonyms).cloned();
        let name = names.next().unwrap_or_else(|| info.clone());
        let mut seen = HashSet::from([name.clone()]);
        let by =
            event.get("Orgc").and_then(|org| org.get("name")).and_then(Value::as_str).unwrap_or(&self.context.feed);
        let mut sources = vec![Reference { by: by.to_owned(), url: None, published: When::parse(&text("date")) }];
        for link in attributes.iter().filter(|one| type_of(one) == "link").take(100) {
            let url = link.get("value").and_then(Value::as_str).and_then(|text| url::Url::parse(text).ok());
            if let Some((host, url)) = url.and_then(|url| Some((url.host_str()?.to_owned(), url))) {
                sources.push(Reference { by: host, url: Some(url.into()), published: None });
            }
        }
        Some(Threat {
            id: format!("misp--{}", self.event),
            name,
            aliases: names.filter(|alias| seen.insert(alias.clone())).collect(),
            family: None,
            variant: false,
            kind,
            networks: said.networks.clone(),
            platforms: Vec::new(),
            first_seen: None,
            vectors: Vec::new(),
            techniques: said.techniques.clone(),
            payload: None,
            about: info,
            unknown,
            sources,
            confidence: said.confidence.unwrap_or(self.context.confidence),
            marking,
            indicators: Vec::new(),
        })
    }

    fn refuse(&mut self, object: String, property: &str, why: String) {
        if self.import.errors.len() < self.limits.errors {
            self.import.errors.push(EntryError { object, property: property.to_owned(), why });
        } else {
            self.import.more_errors += 1;
        }
    }

    fn attribute(&mut self, value: &Value, at: usize, threat: Option<&str>, confidence: Option<u8>, marking: Tlp) {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let place = text("uuid").map_or_else(|| format!("{} attribute {}", self.event, at + 1), short);
        let Some(object) = value.as_object() else { return self.refuse(place, "", "not an attribute".into()) };
        let Some(uuid) = text("uuid").and_then(parse_uuid) else {
            return self.refuse(place, "uuid", "missing, or no UUID".into());
        };
        let Some(kind) = text("type") else { return self.refuse(place, "type", "missing, or not a string".into()) };
        let Some(content) = text("value") else {
            return self.refuse(place, "value", "missing, or not a string".into());
        };
        if is_true(value.get("deleted")) {
            return;
        }
        let to_ids = is_true(value.get("to_ids"));
        let patterns = match attribute::patterns(kind, content) {
            Ok(patterns) if self.import.indicators.len() + patterns.len() > INDICATORS => {
                return self.refuse(place, "", format!("more than {INDICATORS} indicators"));
            }
            Ok(patterns) => patterns,
            Err(why) => {
                if to_ids {
                    self.import.unmatched.push(Unmatched {
                        event: self.event,
                        attribute: place,
                        kind: short(kind),
                        value: short(content),
                        why,
                    });
                }
                return;
            }
        };
        let said = Said::by(object);
        let alone = patterns.len() == 1;
        for pattern in patterns {
            let id = match alone {
                true => uuid,
                false => Uuid::new_v5(&uuid, serde_json::to_string(&pattern).unwrap_or_default().as_bytes()),
            };
            self.import.indicators.push(Indicator {
                id,
                pattern,
                threat: threat.map(str::to_owned),
                confidence: said.confidence.or(confidence).unwrap_or(self.context.confidence),
                strength: if to_ids { self.context.strength } else { Strength::Note },
                valid_from: time(value.get("first_seen")).or_else(|| time(value.get("timestamp"))),
                valid_until: None,
                source: Provenance {
                    feed: self.context.feed.clone(),
                    reference: Some(uuid.to_string()),
                    fetched: self.context.fetched,
                },
                marking: said.tlp.map_or(marking, |own| own.max(marking)),
            });
        }
    }
}

/// A time in seconds since 1970 or in ISO 8601.
fn time(value: Option<&Value>) -> Option<Timestamp> {
    let value = value.filter(|value| !value.is_null())?;
    match integer(value) {
        Some(0) => None,
        Some(seconds) => Timestamp::from_second(seconds).ok(),
        None => value.as_str()?.parse().ok(),
    }
}
