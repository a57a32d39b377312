//! Traffic Light Protocol in STIX: the marking definitions of TLP 1.0 (STIX 2.1 section 7.2.1.4) and TLP 2.0 (OASIS'
//! extension), whose ids are fixed.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::id::Id;
use super::objects::Objects;
use crate::Tlp;

/// The extension that TLP 2.0's definitions are made with.
const EXTENSION: &str = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d";

/// Definitions: id, what it means here, its name, whether it is of TLP 2.0.
const DEFINITIONS: [(&str, Tlp, &str, bool); 9] = [
    ("marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487", Tlp::Clear, "clear", true),
    ("marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb", Tlp::Green, "green", true),
    ("marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421", Tlp::Amber, "amber", true),
    ("marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003", Tlp::AmberStrict, "amber+strict", true),
    ("marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1", Tlp::Red, "red", true),
    ("marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9", Tlp::Clear, "white", false),
    ("marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da", Tlp::Green, "green", false),
    ("marking-definition--f88d31f6-486f-44da-b317-01333bde0b82", Tlp::Amber, "amber", false),
    ("marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed", Tlp::Red, "red", false),
];

/// The level of that name, of either version.
pub(crate) fn level_named(name: &str) -> Option<Tlp> {
    let name = name.trim().to_ascii_lowercase();
    let name = name.strip_prefix("tlp:").unwrap_or(&name);
    DEFINITIONS.iter().find(|(_, _, have, _)| *have == name).map(|(_, level, ..)| *level)
}

/// The id of TLP 2.0's definition of a level.
pub(super) fn definition_id(level: Tlp) -> &'static str {
    DEFINITIONS.iter().find(|(_, have, _, new)| *new && *have == level).map_or("", |(id, ..)| id)
}

/// Whether an id is of a definition of TLP's.
pub(super) fn is_definition(id: &str) -> bool {
    DEFINITIONS.iter().any(|(have, ..)| *have == id)
}

/// TLP 2.0's definition of a level, as OASIS publishes it.
pub(super) fn definition(level: Tlp) -> Map<String, Value> {
    let (id, _, name, _) =
        DEFINITIONS.iter().find(|(_, have, _, new)| *new && *have == level).unwrap_or(&DEFINITIONS[4]);
    let extensions = json!({EXTENSION: {"extension_type": "property-extension", "tlp_2_0": name}});
    let mut map = Map::new();
    map.insert("type".into(), "marking-definition".into());
    map.insert("spec_version".into(), "2.1".into());
    map.insert("id".into(), (*id).into());
    map.insert("created".into(), "2022-10-01T00:00:00.000Z".into());
    map.insert("name".into(), format!("TLP:{}", name.to_uppercase()).into());
    map.insert("extensions".into(), extensions);
    map
}

/// What the marking definitions of a set of objects mean.
#[derive(Debug, Default)]
pub(super) struct Markings {
    known: HashMap<Id, Tlp>,
}

impl Markings {
    /// Reads the definitions of a set.
    pub(super) fn of(objects: &Objects) -> Markings {
        let mut markings = Markings::default();
        for (id, level, ..) in DEFINITIONS {
            markings.known.extend(Id::parse(id).map(|id| (id, level)));
        }
        for object in objects.iter().filter(|object| &*object.id().kind == "marking-definition") {
            if let Some(level) = meaning(&object.properties()) {
                // The fixed ids mean what they mean, whatever a bundle says.
                markings.known.entry(object.id().clone()).or_insert(level);
            }
        }
        markings
    }

    /// How far an object may be passed on: the strictest of its marks, on the whole or on a part of it. A mark that
    /// is not understood forbids everything.
    pub(super) fn level(&self, object: &Map<String, Value>) -> Tlp {
        let list = |name| object.get(name).and_then(Value::as_array).into_iter().flatten();
        let whole = list("object_marking_refs").filter_map(Value::as_str);
        let parts = list("granular_markings").filter_map(|part| part.get("marking_ref")).filter_map(Value::as_str);
        whole.chain(parts).map(|id| self.meaning_of(id)).max().unwrap_or_default()
    }

    fn meaning_of(&self, id: &str) -> Tlp {
        Id::parse(id).and_then(|id| self.known.get(&id).copied()).unwrap_or(Tlp::Red)
    }
}

/// What a definition means: of TLP its level; a statement (a copyright, terms of use) limits nobody.
fn meaning(definition: &Map<String, Value>) -> Option<Tlp> {
    let new = definition.get("extensions").and_then(|all| all.get(EXTENSION)).and_then(|own| own.get("tlp_2_0"));
    if let Some(level) = new.and_then(Value::as_str) {
        return level_named(level);
    }
    match definition.get("definition_type").and_then(Value::as_str)? {
        "tlp" => level_named(definition.get("definition")?.get("tlp")?.as_str()?),
        "statement" => Some(Tlp::Clear),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stix::objects::Object;

    #[test]
    fn both_versions_are_read() {
        let markings = Markings::of(&Objects::default());
        for (id, level, ..) in DEFINITIONS {
            let object = json!({"object_marking_refs": [DEFINITIONS[0].0, id]});
            assert_eq!(markings.level(object.as_object().unwrap()), level, "{id}");
        }
        assert_eq!(level_named("TLP:AMBER+STRICT"), Some(Tlp::AmberStrict));
        assert_eq!(level_named("tlp:white"), Some(Tlp::Clear));
        assert_eq!(level_named("tlp:mauve"), None);
    }

    #[test]
    fn what_is_not_understood_forbids_and_fixed_ids_cannot_be_redefined() {
        let mut objects = Objects::default();
        for (id, kind, definition) in [
            ("5e57c739-391a-4eb3-b6be-7d15ca92d5ed", "tlp", json!({"tlp": "white"})),
            ("11111111-1111-4111-8111-111111111111", "statement", json!({"statement": "(c) Example"})),
            ("22222222-2222-4222-8222-222222222222", "tlp", json!({"tlp": "amber"})),
            ("33333333-3333-4333-8333-333333333333", "iep", json!({"x": 1})),
        ] {
            let object = json!({"type": "marking-definition", "id": format!("marking-definition--{id}"),
                "definition_type": kind, "definition": definition});
            objects.insert(Object::made(object.as_object().unwrap()).unwrap());
        }
        let markings = Markings::of(&objects);
        for (id, level) in [
            ("5e57c739-391a-4eb3-b6be-7d15ca92d5ed", Tlp::Red),
            ("11111111-1111-4111-8111-111111111111", Tlp::Clear),
            ("22222222-2222-4222-8222-222222222222", Tlp::Amber),
            ("33333333-3333-4333-8333-333333333333", Tlp::Red),
            ("44444444-4444-4444-8444-444444444444", Tlp::Red),
        ] {
            let object = json!({"granular_markings": [{"marking_ref": format!("marking-definition--{id}")}]});
            assert_eq!(markings.level(object.as_object().unwrap()), level, "{id}");
        }
    }

    #[test]
    fn definitions_are_as_published() {
        let strict = definition(Tlp::AmberStrict);
        assert_eq!(strict["name"], "TLP:AMBER+STRICT");
        assert_eq!(strict["extensions"][EXTENSION]["tlp_2_0"], "amber+strict");
        assert!(is_definition(definition_id(Tlp::AmberStrict)));
    }
}
