//! Tags and galaxies: how far something may go, what it is called, what kind of attack it is, which techniques it uses.

use serde_json::{Map, Value};

use crate::stix::{is_technique, tlp_named};
use crate::{Kind, Threat, Tlp};

/// Galaxies whose clusters are malicious programs, and the kind they tell.
const MALWARE_GALAXIES: [(&str, Kind); 14] = [
    ("botnet", Kind::Botnet),
    ("android", Kind::Trojan),
    ("backdoor", Kind::Trojan),
    ("banker", Kind::Trojan),
    ("cryptominers", Kind::Trojan),
    ("malpedia", Kind::Trojan),
    ("mitre-malware", Kind::Trojan),
    ("mitre-mobile-attack-malware", Kind::Trojan),
    ("mitre-enterprise-attack-malware", Kind::Trojan),
    ("ransomware", Kind::Trojan),
    ("rat", Kind::Trojan),
    ("stealer", Kind::Trojan),
    ("tool", Kind::Trojan),
    ("exploit-kit", Kind::Exploit),
];

/// Taxonomies that classify incidents; a word in the value of a tag tells the kind.
const TAXONOMIES: [&str; 9] = [
    "circl",
    "ecsirt",
    "enisa",
    "europol-incident",
    "malware_classification",
    "maec-malware-capabilities",
    "ms-caro-malware",
    "rsit",
    "veris",
];

const WORDS: [(&str, Kind); 8] = [
    ("worm", Kind::Worm),
    ("phishing", Kind::Phishing),
    ("spam", Kind::Spim),
    ("botnet", Kind::Botnet),
    ("c2server", Kind::Botnet),
    ("trojan", Kind::Trojan),
    ("account-compromise", Kind::AccountHijack),
    ("exploit", Kind::Exploit),
];

/// What tags and galaxies of an event say.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// The strictest TLP tag.
    pub(super) tlp: Option<Tlp>,
    /// Names of malicious programs.
    pub(super) names: Vec<String>,
    /// Other names of those.
    pub(super) synonyms: Vec<String>,
    pub(super) kind: Option<Kind>,
    pub(super) techniques: Vec<String>,
    pub(super) networks: Vec<String>,
    pub(super) confidence: Option<u8>,
}

impl Said {
    /// By an event, or an attribute of one.
    pub(super) fn by(object: &Map<String, Value>) -> Said {
        let mut said = Said::default();
        for tag in list(object, "Tag") {
            if let Some(name) = tag.get("name").and_then(Value::as_str) {
                said.tag(name);
            }
        }
        for galaxy in list(object, "Galaxy") {
            let kind = galaxy.get("type").and_then(Value::as_str).unwrap_or_default();
            for cluster in galaxy.get("GalaxyCluster").and_then(Value::as_array).into_iter().flatten() {
                said.cluster(kind, cluster);
            }
        }
        said
    }

    fn tag(&mut self, name: &str) {
        let lower = name.to_ascii_lowercase();
        if lower.starts_with("tlp:") {
            // A level that is not known is taken for the strictest.
            let level = tlp_named(&lower).unwrap_or(Tlp::Red);
            self.tlp = Some(self.tlp.map_or(level, |have| have.max(level)));
            return;
        }
        let Some((namespace, rest)) = name.split_once(':') else { return };
        let (predicate, value) = rest.split_once('=').unwrap_or((rest, rest));
        let value = value.trim_matches('"');
        match namespace {
            "portcullis" if predicate == "kind" => {
                self.kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == value)
            }
            "portcullis" if predicate == "network" => self.networks.push(value.to_owned()),
            "misp" if predicate == "confidence-level" => {
                self.confidence = match value {
                    "completely-confident" => Some(100),
                    "usually-confident" => Some(75),
                    "fairly-confident" => Some(50),
                    "rarely-confident" => Some(25),
                    "unconfident" => Some(0),
                    _ => None,
                };
            }
            "misp-galaxy" => {
                self.technique(predicate, value);
                self.name(predicate, value);
            }
            _ if TAXONOMIES.contains(&namespace) => {
                let value = value.to_ascii_lowercase();
                let told = WORDS.iter().find(|(word, _)| value.contains(word)).map(|(_, kind)| *kind);
                self.kind = self.kind.or(told);
            }
            _ => {}
        }
    }

    fn cluster(&mut self, kind: &str, cluster: &Value) {
        let Some(value) = cluster.get("value").and_then(Value::as_str) else { return };
        let meta =
            |name| cluster.get("meta").and_then(|meta| meta.get(name)).and_then(Value::as_array).into_iter().flatten();
        self.technique(kind, value);
        for id in meta("external_id").filter_map(Value::as_str) {
            self.technique(kind, id);
        }
        if self.name(kind, value) {
            self.synonyms.extend(meta("synonyms").filter_map(Value::as_str).map(str::to_owned));
        }
    }

    /// `Timestomp - T1099`: the id is the last word. Mitigations carry the ids of what they are against.
    fn technique(&mut self, galaxy: &str, value: &str) {
        if galaxy.ends_with("course-of-action") {
            return;
        }
        if let Some(id) = value.rsplit(' ').next().filter(|id| is_technique(id))
            && !self.techniques.iter().any(|have| have == id)
        {
            self.techniques.push(id.to_owned());
        }
    }

    fn name(&mut self, galaxy: &str, value: &str) -> bool {
        let Some((_, kind)) = MALWARE_GALAXIES.iter().find(|(name, _)| *name == galaxy) else { return false };
        self.kind = self.kind.or(Some(*kind));
        // `Zeus - S0330`
        let name = value.rsplit_once(" - S").filter(|(_, id)| id.bytes().all(|b| b.is_ascii_digit()));
        let name = name.map_or(value, |(name, _)| name).to_owned();
        if !self.names.contains(&name) {
            self.names.push(name);
        }
        true
    }
}

/// Tags of an event that is made of a threat.
pub(super) fn of_threat(threat: &Threat) -> Vec<String> {
    let mut tags = vec![tlp(threat.marking).to_owned(), format!("portcullis:kind=\"{}\"", threat.kind)];
    tags.extend(threat.networks.iter().map(|network| format!("portcullis:network=\"{network}\"")));
    tags.extend(threat.techniques.iter().map(|id| format!("misp-galaxy:mitre-attack-pattern=\"{id}\"")));
    tags
}

/// The tag of a level.
pub(super) fn tlp(level: Tlp) -> &'static str {
    match level {
        Tlp::Clear => "tlp:clear",
        Tlp::Green => "tlp:green",
        Tlp::Amber => "tlp:amber",
        Tlp::AmberStrict => "tlp:amber+strict",
        Tlp::Red => "tlp:red",
    }
}

/// How far an event may go: its TLP tag, or what its distribution says where there is none (0 and 4 stay in the
/// organisation or a group, 1 and 2 in the community).
pub(super) fn level(said: &Said, event: &Map<String, Value>) -> Tlp {
    let by_distribution = || match event.get("distribution").and_then(super::event::integer) {
        Some(0 | 4) => Tlp::AmberStrict,
        Some(1 | 2) => Tlp::Green,
        _ => Tlp::Clear,
    };
    said.tlp.unwrap_or_else(by_distribution)
}

/// The members of a list.
pub(super) fn list<'a>(object: &'a Map<String, Value>, name: &str) -> impl Iterator<Item = &'a Value> {
    object.get(name).and_then(Value::as_array).into_iter().flatten()
}
