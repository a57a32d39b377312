//! A threat as a STIX object, both ways: malware, a campaign or an attack pattern, whichever its kind is nearest to.

use model::Platform;
use serde_json::{Map, Value, json};

use super::extension::{self, ThreatPart};
use super::id::Id;
use super::{Context, check};
use crate::{Kind, Precision, Reference, Threat, Tlp, When};

/// Which type of object a kind of threat is, and its entry in the vocabulary of malware types.
fn shape(kind: Kind) -> (&'static str, Option<&'static str>) {
    match kind {
        Kind::Worm => ("malware", Some("worm")),
        Kind::Trojan | Kind::P2pMalware => ("malware", Some("trojan")),
        Kind::Botnet => ("malware", Some("bot")),
        Kind::Exploit => ("attack-pattern", None),
        Kind::Spim | Kind::Phishing | Kind::AccountHijack => ("campaign", None),
    }
}

/// Malware types of STIX's vocabulary that tell the kind; the first that an object names counts.
const MALWARE_TYPES: [(&str, Kind); 14] = [
    ("worm", Kind::Worm),
    ("bot", Kind::Botnet),
    ("ddos", Kind::Botnet),
    ("exploit-kit", Kind::Exploit),
    ("trojan", Kind::Trojan),
    ("remote-access-trojan", Kind::Trojan),
    ("backdoor", Kind::Trojan),
    ("dropper", Kind::Trojan),
    ("downloader", Kind::Trojan),
    ("spyware", Kind::Trojan),
    ("keylogger", Kind::Trojan),
    ("ransomware", Kind::Trojan),
    ("rogue-security-software", Kind::Trojan),
    ("rootkit", Kind::Trojan),
];

/// The id of a threat's object: of others' threats the one it came with.
pub(super) fn object_id(threat: &Threat) -> Id {
    Id::parse(&threat.id).unwrap_or_else(|| Id::derived(shape(threat.kind).0, &threat.id))
}

/// The properties of a threat's object but for what all objects have.
pub(super) fn write(threat: &Threat) -> Map<String, Value> {
    let (object, malware_type) = shape(threat.kind);
    let mut map = Map::new();
    map.insert("name".into(), threat.name.clone().into());
    if !threat.about.is_empty() {
        map.insert("description".into(), threat.about.clone().into());
    }
    if !threat.aliases.is_empty() {
        map.insert("aliases".into(), json!(threat.aliases));
    }
    if object == "malware" {
        map.insert("is_family".into(), (!threat.variant).into());
        map.insert("malware_types".into(), json!(malware_type.as_slice()));
    }
    if object != "attack-pattern"
        && let Some(when) = threat.first_seen
    {
        map.insert("first_seen".into(), format!("{}T00:00:00Z", when.date).into());
    }
    if !threat.sources.is_empty() {
        map.insert("external_references".into(), threat.sources.iter().map(write_reference).collect());
    }
    map.insert("confidence".into(), threat.confidence.into());
    let part = ThreatPart {
        id: threat.id.clone(),
        kind: threat.kind,
        family: threat.family.clone(),
        variant: threat.variant,
        networks: threat.networks.clone(),
        platforms: threat.platforms.clone(),
        first_seen: threat.first_seen,
        vectors: threat.vectors.clone(),
        techniques: threat.techniques.clone(),
        payload: threat.payload.clone(),
        unknown: threat.unknown.clone(),
    };
    map.insert("extensions".into(), extension::extensions(&part));
    map
}

/// The properties that [`write`] may set, which an older version of the object loses.
pub(super) const WRITTEN: &[&str] = &[
    "name",
    "description",
    "aliases",
    "is_family",
    "malware_types",
    "first_seen",
    "external_references",
    "confidence",
];

/// Reads a threat. `techniques` are those that relationships say it uses; `known` is the kind that they tell.
/// Of one's own export the threat has the id that it says.
pub(super) fn read(
    id: &Id,
    object: &Map<String, Value>,
    techniques: &[String],
    known: Option<Kind>,
    marking: Tlp,
    context: &Context,
) -> Option<Threat> {
    let part: Option<ThreatPart> = extension::of(object);
    let text = |name| object.get(name).and_then(Value::as_str).map(str::to_owned);
    let name = text("name").unwrap_or_else(|| id.to_string());
    let mut unknown = part.as_ref().map(|part| part.unknown.clone()).unwrap_or_default();
    let kind = match part.as_ref().map(|part| part.kind).or_else(|| malware_kind(object)).or(known) {
        Some(kind) => kind,
        None if &*id.kind == "malware" => {
            unknown.push("the source does not say what kind of malware it is; taken for a trojan".to_owned());
            Kind::Trojan
        }
        None => return None,
    };
    let mut aliases = texts(object, "aliases");
    if part.is_none() {
        aliases.extend(texts(object, "x_mitre_aliases"));
        let mut seen = std::collections::HashSet::from([name.clone()]);
        aliases.retain(|alias| seen.insert(alias.clone()));
    }
    let first_seen = check::time(object, "first_seen")
        .map(|time| When { date: time.to_zoned(jiff::tz::TimeZone::UTC).date(), precision: Precision::Day });
    let mut threat = Threat {
        id: id.to_string(),
        name,
        aliases,
        family: None,
        variant: false,
        kind,
        networks: Vec::new(),
        platforms: platforms(object),
        first_seen,
        vectors: Vec::new(),
        techniques: Vec::new(),
        payload: None,
        about: text("description").unwrap_or_default(),
        unknown,
        sources: list(object, "external_references").filter_map(read_reference).collect(),
        confidence: confidence(object).unwrap_or(context.confidence),
        marking,
        indicators: Vec::new(),
    };
    if let Some(part) = part {
        if context.own {
            threat.id = part.id;
        }
        threat.family = part.family;
        threat.variant = part.variant;
        threat.networks = part.networks;
        threat.platforms = part.platforms;
        threat.first_seen = part.first_seen;
        threat.vectors = part.vectors;
        threat.techniques = part.techniques;
        threat.payload = part.payload;
    }
    for technique in techniques {
        if !threat.techniques.contains(technique) {
            threat.techniques.push(technique.clone());
        }
    }
    Some(threat)
}

/// How sure an object says it is, where it does.
pub(super) fn confidence(object: &Map<String, Value>) -> Option<u8> {
    object.get("confidence").and_then(Value::as_u64).and_then(|value| u8::try_from(value.min(100)).ok())
}

pub(super) fn malware_kind(object: &Map<String, Value>) -> Option<Kind> {
    let types = texts(object, "malware_types");
    MALWARE_TYPES.iter().find(|(name, _)| types.iter().any(|have| have == name)).map(|(_, kind)| *kind)
}

fn platforms(object: &Map<String, Value>) -> Vec<Platform> {
    let mut out = Vec::new();
    for name in texts(object, "x_mitre_platforms") {
        let name = name.to_ascii_lowercase();
        out.extend(Platform::ALL.iter().find(|platform| platform.as_str() == name));
    }
    out
}

fn write_reference(reference: &Reference) -> Value {
    let mut out = json!({"source_name": reference.by});
    if let Some(url) = &reference.url {
        out["url"] = url.clone().into();
    }
    match reference.published {
        Some(when) => out["description"] = format!("published {when}").into(),
        // One of several properties must be there.
        None if reference.url.is_none() => out["description"] = reference.by.clone().into(),
        None => {}
    }
    out
}

fn read_reference(value: &Value) -> Option<Reference> {
    let text = |name| value.get(name).and_then(Value::as_str);
    Some(Reference {
        by: text("source_name")?.to_owned(),
        url: text("url").map(str::to_owned),
        published: text("description").and_then(|text| text.strip_prefix("published ")).and_then(When::parse),
    })
}

fn list<'a>(object: &'a Map<String, Value>, name: &str) -> impl Iterator<Item = &'a Value> {
    object.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn texts(object: &Map<String, Value>, name: &str) -> Vec<String> {
    list(object, name).filter_map(Value::as_str).map(str::to_owned).collect()
}
