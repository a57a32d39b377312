//! STIX objects as they came: kept as text, with their versions, so that nothing is lost and little memory is used.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::check;
use super::id::{self, Id};
use super::{Limits, ObjectError};
use crate::json::{self, Bounds};

/// One version of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    id: Id,
    modified: Option<Timestamp>,
    revoked: bool,
    /// As it came, without the white space between tokens.
    text: Box<str>,
}

impl Object {
    /// Reads and checks one object. `place` names it in errors while its id is not known.
    pub fn read(text: &str, place: &str, limits: &Limits) -> Result<Object, Vec<ObjectError>> {
        let whole = |why: String| vec![ObjectError { object: place.to_owned(), property: String::new(), why }];
        if text.len() > limits.object_bytes {
            return Err(whole(format!("larger than {} bytes", limits.object_bytes)));
        }
        let bounds = Bounds { depth: limits.depth, values: limits.values, string: limits.string };
        match json::read(text, bounds) {
            Ok(Value::Object(map)) => Object::check(&map, json::compact(text), place, limits),
            Ok(other) => Err(whole(format!("{}: not an object", check::excerpt(&other)))),
            Err(error) => Err(whole(error.to_string())),
        }
    }

    /// Of properties made here.
    pub(super) fn made(map: &Map<String, Value>) -> Result<Object, Vec<ObjectError>> {
        let text = serde_json::to_string(map).unwrap_or_default();
        Object::check(map, text.into_boxed_str(), "object", &Limits::default())
    }

    fn check(
        map: &Map<String, Value>,
        text: Box<str>,
        place: &str,
        limits: &Limits,
    ) -> Result<Object, Vec<ObjectError>> {
        let named = map.get("id").and_then(Value::as_str);
        let object = named.map_or_else(|| place.to_owned(), check::short);
        let fault = |(property, why)| ObjectError { object: object.clone(), property, why };
        let kind = map.get("type").and_then(Value::as_str).unwrap_or_default();
        if !id::is_type(kind) {
            return Err(vec![fault(("type".into(), "missing, or not lower case letters, digits and hyphens".into()))]);
        }
        let Some(id) = named.and_then(Id::parse) else {
            return Err(vec![fault(("id".into(), "missing, or not of the form type--UUID".into()))]);
        };
        if *id.kind != *kind {
            return Err(vec![fault(("id".into(), format!("does not begin with the type, `{kind}`")))]);
        }
        let mut faults: Vec<ObjectError> = check::faults(kind, map).into_iter().map(fault).collect();
        let modified = check::time(map, "modified").or_else(|| check::time(map, "created"));
        if let (Some(modified), Some(latest)) = (modified, limits.latest)
            && modified > latest
        {
            faults.push(fault(("modified".into(), "in the future".into())));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let revoked = map.get("revoked").and_then(Value::as_bool).unwrap_or(false);
        Ok(Object { id, modified, revoked, text })
    }

    /// Its identifier.
    pub fn id(&self) -> &Id {
        &self.id
    }

    /// When this version was made, where it says.
    pub fn modified(&self) -> Option<Timestamp> {
        self.modified
    }

    /// It has been taken back.
    pub fn is_revoked(&self) -> bool {
        self.revoked
    }

    /// The object in JSON, as it came.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its properties.
    pub fn properties(&self) -> Map<String, Value> {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// The UUID of every object that it mentions, in properties and in running text, its own among them.
    pub(super) fn mentions(&self) -> Vec<Uuid> {
        // An escape may hide a letter: then the text is written anew, with none where none is needed.
        match self.text.contains("\\u") {
            true => id::mentioned(&serde_json::to_string(&self.properties()).unwrap_or_default()),
            false => id::mentioned(&self.text),
        }
    }
}

/// What became of an object that was put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It was not there.
    New,
    /// It is another version of one that was.
    Version,
    /// It was there.
    Same,
    /// Another object has the same identifier and time; that one stays.
    Conflict,
    /// It has more versions than are kept.
    TooMany,
}

/// Objects with their versions, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    places: HashMap<Id, usize>,
    /// The versions of one object each, oldest first.
    versions: Vec<Vec<Object>>,
}

impl Objects {
    /// Versions of one object that are kept.
    pub const VERSIONS: usize = 1_000;

    /// Puts one in.
    pub fn insert(&mut self, object: Object) -> Inserted {
        let place = *self.places.entry(object.id.clone()).or_insert(self.versions.len());
        let Some(versions) = self.versions.get_mut(place) else {
            self.versions.push(vec![object]);
            return Inserted::New;
        };
        let at = versions.partition_point(|have| have.modified < object.modified);
        match versions.get(at).filter(|have| have.modified == object.modified) {
            Some(have) if have.text == object.text || have.properties() == object.properties() => Inserted::Same,
            Some(_) => Inserted::Conflict,
            None if versions.len() == Objects::VERSIONS => Inserted::TooMany,
            None => {
                versions.insert(at, object);
                Inserted::Version
            }
        }
    }

    /// Puts all of another set in, as when the next part of a feed has come; gives back how many were refused.
    pub fn merge(&mut self, other: Objects) -> usize {
        let refused = |inserted| matches!(inserted, Inserted::Conflict | Inserted::TooMany);
        other
            .versions
            .into_iter()
            .flatten()
            .map(|object| self.insert(object))
            .filter(|inserted| refused(*inserted))
            .count()
    }

    /// The last version of an object.
    pub fn latest(&self, id: &Id) -> Option<&Object> {
        self.versions.get(*self.places.get(id)?)?.last()
    }

    /// The last version of each object.
    pub fn iter(&self) -> impl Iterator<Item = &Object> {
        self.versions.iter().filter_map(|versions| versions.last())
    }

    /// Every version of every object.
    pub fn all(&self) -> impl Iterator<Item = &Object> {
        self.versions.iter().flatten()
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.versions.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.versions.is_empty()
    }

    /// As a STIX 2.1 bundle. Its id follows from what is in it.
    pub fn to_bundle(&self) -> String {
        let size: usize = self.all().map(|object| object.text.len() + 1).sum();
        let mut list = String::with_capacity(size + 100);
        for object in self.all() {
            if !list.is_empty() {
                list.push(',');
            }
            list.push_str(&object.text);
        }
        let id = Id::derived("bundle", &list);
        let head = format!("{{\"type\":\"bundle\",\"id\":\"{id}\",\"objects\":[");
        list.insert_str(0, &head);
        list.push_str("]}");
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(modified: &str, name: &str) -> Object {
        let text = format!(
            r#"{{"type":"campaign","spec_version":"2.1","id":"campaign--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
            "created":"2016-01-01T00:00:00Z","modified":"{modified}","name":"{name}"}}"#
        );
        Object::read(&text, "objects[0]", &Limits::default()).unwrap()
    }

    #[test]
    fn the_last_version_counts_whatever_the_order() {
        let mut objects = Objects::default();
        let newest = object("2020-01-01T00:00:00.001Z", "c");
        assert_eq!(objects.insert(object("2018-01-01T00:00:00Z", "b")), Inserted::New);
        assert_eq!(objects.insert(newest.clone()), Inserted::Version);
        assert_eq!(objects.insert(object("2016-01-01T00:00:00Z", "a")), Inserted::Version);
        assert_eq!(objects.insert(object("2016-01-01T00:00:00.000Z", "a")), Inserted::Conflict);
        assert_eq!(objects.insert(newest.clone()), Inserted::Same);
        assert_eq!(objects.insert(object("2020-01-01T00:00:00.001Z", "forged")), Inserted::Conflict);
        assert_eq!(objects.latest(newest.id()), Some(&newest));
        assert_eq!((objects.len(), objects.all().count()), (1, 3));
    }

    #[test]
    fn escapes_hide_no_reference() {
        let text = r#"{"type":"note","id":"note--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","created":"2016-01-01T00:00:00Z",
            "modified":"2016-01-01T00:00:00Z","object_refs":["malware--\u00331b940d4-6f7f-459a-80ea-9c1f17b5891b"]}"#;
        let note = Object::read(text, "objects[0]", &Limits::default()).unwrap();
        assert!(note.mentions().contains(&Uuid::try_parse("31b940d4-6f7f-459a-80ea-9c1f17b5891b").unwrap()));
    }
}
