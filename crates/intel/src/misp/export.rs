//! From threats, indicators and kept events to what may go out under a TLP ceiling.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::event::{Event, Events};
use super::import::{Native, native};
use super::tags::{self, Said, level, list};
use super::{EntryError, Limits, attribute};
use crate::stix::Id;
use crate::{Indicator, Strength, Threat, Tlp};

/// The comment of the attribute that carries what MISP has no place for.
pub(super) const NATIVE: &str = "portcullis: threat and indicators in full";

/// What is to go out.
#[derive(Clone, Copy, Debug)]
pub struct Export<'a> {
    /// Threats, with the indicators in them.
    pub threats: &'a [Threat],
    /// Further indicators.
    pub indicators: &'a [Indicator],
    /// Events that were imported, or exported before. Those of others go out as they came.
    pub kept: &'a Events,
    /// The strictest marking that may go out; [`Tlp::Red`] lets out everything.
    pub ceiling: Tlp,
    /// When new versions say they were made.
    pub as_of: Timestamp,
    /// In whose name.
    pub author: &'a str,
}

/// What goes out.
#[derive(Clone, Debug, Default)]
pub struct Exported {
    /// The events; [`Events::to_json`] makes the file.
    pub events: Events,
    /// Events that stay in, and their marking.
    pub withheld: Vec<(Uuid, Tlp)>,
    /// What could not be written.
    pub errors: Vec<EntryError>,
}

/// Writes events and leaves out what may not go out: events of others whole, of one's own every indicator.
pub fn export(what: &Export<'_>) -> Exported {
    let mut out = Exported::default();
    let stricter = stricter(what);
    let mut others = HashSet::new();
    for event in what.kept.iter() {
        let properties = event.properties();
        if native(&properties).is_some() {
            continue;
        }
        let mut ids = vec![format!("misp--{}", event.uuid())];
        ids.extend(attributes(&properties).filter_map(|one| one.get("uuid")?.as_str().map(str::to_owned)));
        let known = ids.iter().filter_map(|id| stricter.get(id.as_str())).max().copied().unwrap_or_default();
        let strictest = strictest(&properties).max(known);
        others.extend(ids);
        if strictest > what.ceiling {
            out.withheld.push((event.uuid(), strictest));
        } else {
            out.events.insert(event.clone());
        }
    }
    let is_new = |indicator: &&Indicator| !indicator.source.reference.as_ref().is_some_and(|own| others.contains(own));
    let mut of_threat: HashMap<&str, Vec<&Indicator>> = HashMap::new();
    for indicator in what.indicators {
        if let Some(threat) = &indicator.threat {
            of_threat.entry(threat).or_default().push(indicator);
        }
    }
    let mut done = HashSet::new();
    for threat in what.threats.iter().filter(|threat| !others.contains(&threat.id)) {
        let further = of_threat.remove(threat.id.as_str()).unwrap_or_default();
        let indicators = threat.indicators.iter().chain(further).filter(is_new);
        let fresh: Vec<&Indicator> = indicators.filter(|one| done.insert(one.id)).collect();
        let uuid = Id::derived("misp", &threat.id).uuid;
        if threat.marking > what.ceiling {
            out.withheld.push((uuid, threat.marking));
        } else {
            put(uuid, Some(threat), &fresh, what, &mut out);
        }
    }
    let loose: Vec<&Indicator> = what.indicators.iter().filter(is_new).filter(|one| done.insert(one.id)).collect();
    if !loose.is_empty() {
        put(Id::derived("misp", what.author).uuid, None, &loose, what, &mut out);
    }
    out
}

/// Markings that the native model has for what came from others, which may be stricter than theirs.
fn stricter<'a>(what: &Export<'a>) -> HashMap<&'a str, Tlp> {
    let threats = what.threats.iter().map(|threat| (threat.id.as_str(), threat.marking));
    let nested = what.threats.iter().flat_map(|threat| &threat.indicators);
    let indicators = nested.chain(what.indicators);
    let indicators = indicators.filter_map(|one| Some((one.source.reference.as_deref()?, one.marking)));
    let mut stricter = HashMap::new();
    for (id, marking) in threats.chain(indicators) {
        let have: &mut Tlp = stricter.entry(id).or_default();
        *have = marking.max(*have);
    }
    stricter
}

/// The strictest marking of anything in an event of others.
fn strictest(event: &Map<String, Value>) -> Tlp {
    let own = level(&Said::by(event), event);
    let parts = attributes(event).filter_map(Value::as_object).filter_map(|one| Said::by(one).tlp).max();
    own.max(parts.unwrap_or_default())
}

fn attributes(event: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let objects = list(event, "Object").filter_map(Value::as_object);
    list(event, "Attribute").chain(objects.flat_map(|object| list(object, "Attribute")))
}

/// Makes the event of a threat, or of indicators without one.
fn put(uuid: Uuid, threat: Option<&Threat>, indicators: &[&Indicator], what: &Export<'_>, out: &mut Exported) {
    let may = |indicator: &&&Indicator| indicator.marking <= what.ceiling;
    let indicators: Vec<&Indicator> = indicators.iter().filter(may).copied().collect();
    let full = Native {
        threat: threat.map(|threat| Threat { indicators: Vec::new(), ..threat.clone() }),
        indicators: indicators.iter().map(|one| (*one).clone()).collect(),
    };
    let before = what.kept.get(&uuid);
    let mut map = before.map(Event::properties).unwrap_or_default();
    // What stands there of others (their tags apart) stays; what is written here is written anew.
    let written: HashSet<String> =
        native(&map).into_iter().flat_map(|full| full.indicators).map(|indicator| indicator.id.to_string()).collect();
    let is_ours = |one: &Value| {
        let id = one.get("uuid").and_then(Value::as_str).unwrap_or_default();
        one.get("comment").and_then(Value::as_str) == Some(NATIVE) || written.contains(id)
    };
    let mut list: Vec<Value> = list(&map, "Attribute").filter(|one| !is_ours(one)).cloned().collect();
    list.extend(indicators.iter().map(|indicator| write(indicator)));
    list.push(json!({
        "uuid": Uuid::new_v5(&uuid, b"native").to_string(),
        "type": "text",
        "category": "Other",
        "to_ids": false,
        "disable_correlation": true,
        "comment": NATIVE,
        "timestamp": "0",
        "value": serde_json::to_string(&full).unwrap_or_default(),
    }));
    let strictest = indicators.iter().map(|one| one.marking).max().unwrap_or_default();
    let tags = threat.map_or_else(|| vec![tags::tlp(strictest).to_owned()], tags::of_threat);
    let date = threat.and_then(|threat| threat.first_seen).map(|when| when.date);
    let date = date.unwrap_or_else(|| what.as_of.to_zoned(jiff::tz::TimeZone::UTC).date());
    map.insert("uuid".into(), uuid.to_string().into());
    map.insert("info".into(), threat.map_or("Indicators", |threat| &threat.name).into());
    map.entry("date").or_insert_with(|| date.to_string().into());
    map.insert("analysis".into(), "2".into());
    map.insert("threat_level_id".into(), "2".into());
    map.insert(
        "Orgc".into(),
        json!({"name": what.author, "uuid": Id::derived("identity", what.author).uuid.to_string()}),
    );
    map.insert("Tag".into(), tags.iter().map(|name| json!({"name": name})).collect());
    map.insert("Attribute".into(), list.into());
    if let Some(same) = before.filter(|before| before.properties() == map) {
        return out.events.insert(same.clone());
    }
    let last = before.map_or(0, Event::timestamp);
    let timestamp = what.as_of.as_second().max(last.saturating_add(1));
    map.insert("timestamp".into(), timestamp.to_string().into());
    match Event::read(&json!({"Event": map}).to_string(), &uuid.to_string(), &Limits::default()) {
        Ok(event) => out.events.insert(event),
        Err(error) => out.errors.push(error),
    }
}

fn write(indicator: &Indicator) -> Value {
    let (category, kind, value) = attribute::write(&indicator.pattern);
    let mut out = json!({
        "uuid": indicator.id.to_string(),
        "type": kind,
        "category": category,
        "to_ids": indicator.strength == Strength::Block && attribute::says_all(&indicator.pattern),
        "value": value,
        "timestamp": indicator.valid_from.map_or(0, Timestamp::as_second).to_string(),
        "Tag": [{"name": tags::tlp(indicator.marking)}],
    });
    if let Some(from) = indicator.valid_from {
        out["first_seen"] = from.to_string().into();
    }
    out
}
