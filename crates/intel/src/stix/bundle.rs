//! Reading a bundle, a TAXII envelope or a single object: one bad object does not spoil the rest.

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::objects::{Inserted, Object, Objects};
use super::{Error, Limits, ObjectError};

/// What was read.
#[derive(Debug, Default)]
pub struct Read {
    /// The objects.
    pub objects: Objects,
    /// Objects that were refused; at most [`Limits::errors`] of them.
    pub errors: Vec<ObjectError>,
    /// Refusals beyond those.
    pub more_errors: u64,
    /// Of a TAXII envelope: there is more.
    pub more: bool,
    /// Of a TAXII envelope: what to ask for it with.
    pub next: Option<String>,
}

/// Reads a bundle (`{"type": "bundle", ...}`), an envelope (`{"objects": [...]}`) or one object.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Read, Error> {
    if bytes.len() > limits.bytes {
        return Err(Error::TooLarge { bytes: bytes.len(), most: limits.bytes });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| Error::Encoding { at: error.valid_up_to() })?;
    let text = text.trim_start_matches('\u{feff}');
    let mut read = Read::default();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let is_collection = Document { read: &mut read, limits }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    if !is_collection {
        read.take(text, "the only object", limits);
    }
    Ok(read)
}

impl Read {
    fn take(&mut self, text: &str, place: &str, limits: &Limits) {
        match Object::read(text, place, limits) {
            Ok(object) => {
                let id = object.id().to_string();
                let why = match self.objects.insert(object) {
                    Inserted::Conflict => "another object has the same id and time; that one stays".to_owned(),
                    Inserted::TooMany => format!("more than {} versions of one object", Objects::VERSIONS),
                    Inserted::New | Inserted::Version | Inserted::Same => return,
                };
                self.refuse(vec![ObjectError { object: id, property: "modified".into(), why }], limits);
            }
            Err(errors) => self.refuse(errors, limits),
        }
    }

    fn refuse(&mut self, errors: Vec<ObjectError>, limits: &Limits) {
        for error in errors {
            if self.errors.len() < limits.errors {
                self.errors.push(error);
            } else {
                self.more_errors += 1;
            }
        }
    }
}

struct Document<'a> {
    read: &'a mut Read,
    limits: &'a Limits,
}

impl<'de> DeserializeSeed<'de> for Document<'_> {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_> {
    /// Whether it holds objects, and is not one.
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a STIX bundle")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let (mut has_objects, mut kind, mut id) = (false, None::<String>, false);
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            match &*name {
                // An object of STIX 2.0 (observed-data) has a map of that name.
                "objects" if !has_objects => {
                    has_objects = map.next_value_seed(List { read: &mut *self.read, limits: self.limits })?;
                }
                "objects" => return Err(A::Error::custom("`objects` stands there twice")),
                "type" => kind = text(map.next_value()?),
                "more" => self.read.more = map.next_value::<&RawValue>()?.get() == "true",
                "next" => self.read.next = text(map.next_value()?),
                "id" => {
                    id = true;
                    map.next_value::<IgnoredAny>()?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(has_objects || kind.as_deref() == Some("bundle") || !(id || kind.is_some()))
    }
}

fn text(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

struct List<'a> {
    read: &'a mut Read,
    limits: &'a Limits,
}

impl<'de> DeserializeSeed<'de> for List<'_> {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<bool, A::Error> {
        let mut at = 0;
        while let Some(raw) = list.next_element::<&RawValue>()? {
            if at == self.limits.objects {
                return Err(A::Error::custom(format_args!("more than {at} objects")));
            }
            self.read.take(raw.get(), &format!("objects[{at}]"), self.limits);
            at += 1;
        }
        Ok(true)
    }
}
