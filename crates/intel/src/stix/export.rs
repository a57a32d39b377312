//! From threats, indicators and kept objects to what may go out under a TLP ceiling.

use std::collections::{BTreeSet, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::extension::{self, CREATED, IndicatorPart};
use super::id::Id;
use super::objects::{Object, Objects};
use super::tlp::{self, Markings};
use super::{ObjectError, attack, pattern, threat};
use crate::{Indicator, Threat, Tlp};

/// What is to go out.
#[derive(Clone, Copy, Debug)]
pub struct Export<'a> {
    /// Threats, with the indicators in them.
    pub threats: &'a [Threat],
    /// Further indicators.
    pub indicators: &'a [Indicator],
    /// Objects that were imported, or exported before. Those of others go out as they came; of one's own a new
    /// version is made where something has changed.
    pub kept: &'a Objects,
    /// The strictest marking that may go out; [`Tlp::Red`] lets out everything, for a copy of one's own.
    pub ceiling: Tlp,
    /// When new versions say they were made.
    pub as_of: Timestamp,
    /// In whose name.
    pub author: &'a str,
}

/// Something that stays in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// The object.
    pub object: Id,
    /// Its own marking, where that is the reason.
    pub marking: Option<Tlp>,
    /// The object that it mentions and that stays in, where that is the reason.
    pub mentions: Option<Id>,
}

/// What goes out.
#[derive(Clone, Debug, Default)]
pub struct Exported {
    /// The objects; [`Objects::to_bundle`] makes the file.
    pub objects: Objects,
    /// What stays in.
    pub withheld: Vec<Withheld>,
    /// What could not be written.
    pub errors: Vec<ObjectError>,
}

/// Writes objects and leaves out what may not go out, and whatever mentions it.
pub fn export(what: &Export<'_>) -> Exported {
    let mut writer = Writer::new(what);
    for threat in what.threats {
        writer.threat(threat);
    }
    for threat in what.threats {
        for indicator in &threat.indicators {
            writer.indicator(indicator, Some(&threat.id));
        }
    }
    for indicator in what.indicators {
        writer.indicator(indicator, indicator.threat.as_deref());
    }
    writer.finish()
}

struct Writer<'a> {
    what: &'a Export<'a>,
    author: Id,
    /// Everything made here, by which is said what is new.
    made: Objects,
    /// Stricter markings that the native model has for kept objects.
    stricter: HashMap<Id, Tlp>,
    /// Where techniques are described.
    techniques: HashMap<String, Id>,
    /// Threats by their native id.
    threats: HashMap<&'a str, Id>,
    /// Threats and indicators that have been written.
    done: HashSet<Id>,
    /// Everything that is said now, new or not.
    said: HashSet<Id>,
    errors: Vec<ObjectError>,
}

impl<'a> Writer<'a> {
    fn new(what: &'a Export<'a>) -> Writer<'a> {
        let mut techniques = HashMap::new();
        for object in what.kept.iter().filter(|object| &*object.id().kind == "attack-pattern" && !object.is_revoked()) {
            if let Some(technique) = attack::technique(&object.properties()) {
                techniques.entry(technique).or_insert_with(|| object.id().clone());
            }
        }
        Writer {
            what,
            author: Id::derived("identity", what.author),
            made: Objects::default(),
            stricter: HashMap::new(),
            techniques,
            threats: what.threats.iter().map(|threat| (threat.id.as_str(), threat::object_id(threat))).collect(),
            done: HashSet::new(),
            said: HashSet::new(),
            errors: Vec::new(),
        }
    }

    /// An object of somebody else's, which goes out as it came.
    fn is_others(&self, id: &Id) -> bool {
        let is_ours =
            |object: &Object| object.properties().get("extensions").is_some_and(|all| all.get(extension::ID).is_some());
        self.what.kept.latest(id).is_some_and(|object| !is_ours(object))
    }

    fn tighten(&mut self, id: Id, marking: Tlp) {
        let have = self.stricter.entry(id).or_default();
        *have = marking.max(*have);
    }

    fn threat(&mut self, threat: &Threat) {
        let id = threat::object_id(threat);
        if !self.done.insert(id.clone()) {
            return;
        }
        if self.is_others(&id) {
            return self.tighten(id, threat.marking);
        }
        self.make(&id, threat::write(threat), threat::WRITTEN, threat.marking);
        for technique in threat.techniques.iter().filter(|technique| attack::is_technique(technique)) {
            let target = match self.techniques.get(technique) {
                Some(id) => id.clone(),
                None => {
                    let id = attack::technique_id(technique);
                    self.make(&id, attack::attack_pattern(technique), &[], Tlp::Clear);
                    self.techniques.insert(technique.clone(), id.clone());
                    id
                }
            };
            // Attack patterns use malware and tools only (STIX 2.1 section 4.1.3).
            let kind = if &*id.kind == "attack-pattern" { "related-to" } else { "uses" };
            self.relate(kind, &id, &target, threat.marking);
        }
    }

    fn indicator(&mut self, indicator: &Indicator, threat: Option<&str>) {
        let reference = indicator.source.reference.as_deref().and_then(Id::parse);
        if let Some(id) = reference.filter(|id| self.is_others(id)) {
            return self.tighten(id, indicator.marking);
        }
        let id = Id::new("indicator", indicator.id);
        if self.is_others(&id) {
            return self.tighten(id, indicator.marking);
        }
        if !self.done.insert(id.clone()) {
            return;
        }
        let target = threat.and_then(|threat| {
            let foreign = || Id::parse(threat).filter(|id| self.what.kept.latest(id).is_some());
            self.threats.get(threat).cloned().or_else(foreign)
        });
        let (pattern_type, text) = pattern::text(&indicator.pattern);
        let says_all = match pattern_type {
            "stix" => pattern::parse_matchable(&text).patterns == [indicator.pattern.clone()],
            _ => false,
        };
        let until = indicator.valid_until;
        let start = until.map_or(CREATED, |until| CREATED.min(earlier(until)));
        let part = IndicatorPart {
            strength: indicator.strength,
            source: indicator.source.clone(),
            always: indicator.valid_from.is_none(),
            pattern: Some(indicator.pattern.clone()).filter(|_| !says_all),
            // Of a threat that is not there its marking is not known either.
            threat: threat.filter(|_| target.is_none() && self.what.ceiling == Tlp::Red).map(str::to_owned),
        };
        let mut map = Map::new();
        map.insert("pattern".into(), text.into());
        map.insert("pattern_type".into(), pattern_type.into());
        map.insert("valid_from".into(), indicator.valid_from.unwrap_or(start).to_string().into());
        if let Some(until) = until {
            map.insert("valid_until".into(), until.to_string().into());
        }
        map.insert("confidence".into(), indicator.confidence.into());
        map.insert("extensions".into(), extension::extensions(&part));
        let written = ["pattern", "pattern_type", "valid_from", "valid_until", "confidence"];
        self.make(&id, map, &written, indicator.marking);
        if let Some(target) = target {
            self.relate("indicates", &id, &target, indicator.marking);
        }
    }

    fn relate(&mut self, kind: &str, source: &Id, target: &Id, marking: Tlp) {
        let id = relationship_id(kind, &source.to_string(), &target.to_string());
        let mut map = Map::new();
        map.insert("relationship_type".into(), kind.into());
        map.insert("source_ref".into(), source.to_string().into());
        map.insert("target_ref".into(), target.to_string().into());
        self.make(&id, map, &[], marking);
    }

    /// Makes an object of these properties and what all have; of an older version of it everything stays that is
    /// not `written` anew.
    fn make(&mut self, id: &Id, properties: Map<String, Value>, written: &[&str], marking: Tlp) {
        self.said.insert(id.clone());
        let before = self.what.kept.latest(id).map(Object::properties);
        let mut map = before.clone().unwrap_or_default();
        for name in written {
            map.remove(*name);
        }
        for (name, value) in properties {
            match (map.get_mut(&name).and_then(Value::as_object_mut), value) {
                (Some(have), Value::Object(new)) if name == "extensions" => have.extend(new),
                (_, value) => {
                    map.insert(name, value);
                }
            }
        }
        map.insert("type".into(), (*id.kind).into());
        map.insert("spec_version".into(), "2.1".into());
        map.insert("id".into(), id.to_string().into());
        map.entry("created_by_ref").or_insert_with(|| self.author.to_string().into());
        map.entry("created").or_insert_with(|| stamp(CREATED).into());
        map.remove("revoked");
        mark(&mut map, marking);
        self.put_version(id, before, map);
    }

    /// Puts out a new version, if it says anything new.
    fn put_version(&mut self, id: &Id, before: Option<Map<String, Value>>, mut map: Map<String, Value>) {
        if before.as_ref() == Some(&map) {
            return;
        }
        let modified = match self.what.kept.latest(id).and_then(Object::modified) {
            Some(last) => self.what.as_of.max(later(last)),
            None => self.what.as_of.max(CREATED),
        };
        map.insert("modified".into(), stamp(modified).into());
        self.put(&map);
    }

    /// Takes back what was said before of a threat or indicator that is written now and is no longer said.
    fn take_back(&mut self) {
        for object in self.what.kept.iter().filter(|object| &*object.id().kind == "relationship") {
            let mut map = object.properties();
            let text = |name| map.get(name).and_then(Value::as_str).unwrap_or_default();
            let (kind, source, target) = (text("relationship_type"), text("source_ref"), text("target_ref"));
            let is_made_here = relationship_id(kind, source, target) == *object.id();
            let of_now = Id::parse(source).is_some_and(|source| self.done.contains(&source));
            if is_made_here && of_now && !self.said.contains(object.id()) && !object.is_revoked() {
                let before = Some(map.clone());
                map.insert("revoked".into(), true.into());
                self.put_version(object.id(), before, map);
            }
        }
    }

    fn put(&mut self, map: &Map<String, Value>) {
        match Object::made(map) {
            Ok(object) => {
                self.made.insert(object);
            }
            Err(errors) => self.errors.extend(errors),
        }
    }

    fn finish(mut self) -> Exported {
        self.take_back();
        let mut levels = BTreeSet::new();
        for object in self.made.iter() {
            levels.extend(marking_refs(&object.properties()));
        }
        if !self.made.is_empty() {
            let author = self.author.clone();
            let mut identity = Map::new();
            identity.insert("name".into(), self.what.author.into());
            identity.insert("identity_class".into(), "organization".into());
            self.make(&author, identity, &[], Tlp::Clear);
            if let Some(id) = Id::parse(extension::ID) {
                self.make(&id, extension::definition(&author), &[], Tlp::Clear);
            }
            levels.insert(tlp::definition_id(Tlp::Clear).to_owned());
        }
        for level in [Tlp::Clear, Tlp::Green, Tlp::Amber, Tlp::AmberStrict, Tlp::Red] {
            let id = tlp::definition_id(level);
            if levels.contains(id) && Id::parse(id).is_some_and(|id| self.what.kept.latest(&id).is_none()) {
                self.put(&tlp::definition(level));
            }
        }
        let mut all = self.what.kept.clone();
        all.merge(self.made);
        let ceiling = Ceiling { level: self.what.ceiling, markings: Markings::of(&all), said: &self.said };
        let withheld = ceiling.withheld(&all, &self.stricter);
        let mut objects = Objects::default();
        let out: HashSet<&Id> = withheld.iter().map(|one| &one.object).collect();
        for object in all.all().filter(|object| !out.contains(object.id()) && ceiling.admits(object)) {
            objects.insert(object.clone());
        }
        Exported { objects, withheld, errors: self.errors }
    }
}

/// What may go out.
struct Ceiling<'a> {
    level: Tlp,
    markings: Markings,
    /// Objects that are one's own: their last version says how they are marked.
    said: &'a HashSet<Id>,
}

impl Ceiling<'_> {
    fn admits(&self, object: &Object) -> bool {
        self.level == Tlp::Red || self.markings.level(&object.properties()) <= self.level
    }

    /// What may not go out: what is marked so, then what mentions any of it, and so on. Of others' objects every
    /// version counts: a later one, which anybody can make, does not let out what was marked once.
    fn withheld(&self, objects: &Objects, stricter: &HashMap<Id, Tlp>) -> Vec<Withheld> {
        if self.level == Tlp::Red {
            return Vec::new();
        }
        let mut mentioned_by: HashMap<Uuid, Vec<&Id>> = HashMap::new();
        let mut withheld: Vec<Withheld> = Vec::new();
        let mut seen: HashSet<&Id> = HashSet::new();
        for object in objects.all().filter(|object| !tlp::is_definition(&object.id().to_string())) {
            for uuid in object.mentions() {
                mentioned_by.entry(uuid).or_default().push(object.id());
            }
            if self.said.contains(object.id()) && objects.latest(object.id()) != Some(object) {
                continue;
            }
            let own = self.markings.level(&object.properties());
            let level = stricter.get(object.id()).copied().unwrap_or_default().max(own);
            if level > self.level && seen.insert(object.id()) {
                withheld.push(Withheld { object: object.id().clone(), marking: Some(level), mentions: None });
            }
        }
        let mut at = 0;
        while let Some(Withheld { object, .. }) = withheld.get(at).cloned() {
            at += 1;
            for by in mentioned_by.get(&object.uuid).into_iter().flatten() {
                if seen.insert(by) {
                    withheld.push(Withheld { object: (*by).clone(), marking: None, mentions: Some(object.clone()) });
                }
            }
        }
        withheld
    }
}

fn relationship_id(kind: &str, source: &str, target: &str) -> Id {
    Id::derived("relationship", &format!("{kind} {source} {target}"))
}

/// Sets the TLP mark of an object that is made here; marks of other kinds stay.
fn mark(map: &mut Map<String, Value>, marking: Tlp) {
    let definition = tlp::definition_id(marking);
    if marking_refs(map).iter().filter(|id| tlp::is_definition(id)).eq([definition]) {
        return;
    }
    let mut marks: Vec<String> = marking_refs(map).into_iter().filter(|id| !tlp::is_definition(id)).collect();
    marks.push(definition.to_owned());
    map.insert("object_marking_refs".into(), json!(marks));
}

fn marking_refs(map: &Map<String, Value>) -> Vec<String> {
    let refs = map.get("object_marking_refs").and_then(Value::as_array).into_iter().flatten();
    refs.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A time as STIX writes it where it counts milliseconds.
fn stamp(time: Timestamp) -> String {
    format!("{time:.3}")
}

fn later(time: Timestamp) -> Timestamp {
    time.checked_add(SignedDuration::from_millis(1)).unwrap_or(time)
}

fn earlier(time: Timestamp) -> Timestamp {
    time.checked_sub(SignedDuration::from_secs(1)).unwrap_or(time)
}
