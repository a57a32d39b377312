//! MITRE ATT&CK in STIX: techniques are attack patterns that carry their id as an external reference.

use serde_json::{Map, Value, json};

use super::id::Id;

/// Names under which ATT&CK's matrices are referred to.
const SOURCES: [&str; 4] = ["mitre-attack", "mitre-mobile-attack", "mitre-ics-attack", "mitre-pre-attack"];

/// The technique that an attack pattern is.
pub(super) fn technique(object: &Map<String, Value>) -> Option<String> {
    let references = object.get("external_references")?.as_array()?;
    references.iter().find_map(|reference| {
        let source = reference.get("source_name")?.as_str()?;
        let id = reference.get("external_id")?.as_str()?;
        (SOURCES.contains(&source) && is_technique(id)).then(|| id.to_owned())
    })
}

/// `T1566` or `T1566.002`.
pub(crate) fn is_technique(text: &str) -> bool {
    let digits = |part: &str, length| part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
    let Some(rest) = text.strip_prefix('T') else { return false };
    match rest.split_once('.') {
        None => digits(rest, 4),
        Some((technique, sub)) => digits(technique, 4) && digits(sub, 3),
    }
}

/// The id that a technique's attack pattern has here, where the set has none of it.
pub(super) fn technique_id(technique: &str) -> Id {
    Id::derived("attack-pattern", technique)
}

/// A technique as an attack pattern: its name is its id, what it is stands at its address.
pub(super) fn attack_pattern(technique: &str) -> Map<String, Value> {
    let url = format!("https://attack.mitre.org/techniques/{}/", technique.replace('.', "/"));
    let reference = json!({"source_name": "mitre-attack", "external_id": technique, "url": url});
    let mut map = Map::new();
    map.insert("name".into(), technique.into());
    map.insert("external_references".into(), json!([reference]));
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn techniques_are_known_by_their_reference() {
        let with = |source: &str, id: &str| {
            let value = json!({"external_references": [
                {"source_name": "capec", "external_id": "T1566"},
                {"source_name": source, "external_id": id},
            ]});
            technique(value.as_object().unwrap())
        };
        assert_eq!(with("mitre-attack", "T1566.002").as_deref(), Some("T1566.002"));
        assert_eq!(with("mitre-mobile-attack", "T1660").as_deref(), Some("T1660"));
        for (source, id) in
            [("mitre-attack", "S0529"), ("mitre-attack", "T15"), ("blog", "T1566"), ("mitre-attack", "T1566.02")]
        {
            assert_eq!(with(source, id), None, "{source} {id}");
        }
        assert_eq!(technique(&attack_pattern("T1566.002")).as_deref(), Some("T1566.002"));
    }
}
