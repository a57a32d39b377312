//! From STIX objects to threats and indicators. What can't become one stays an object.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::extension::{self, IndicatorPart};
use super::id::Id;
use super::objects::{Object, Objects};
use super::pattern::{Matchable, parse_matchable};
use super::tlp::Markings;
use super::{Error, Limits, ObjectError, UNSTATED, attack, check, threat};
use crate::{Indicator, Kind, Pattern, Provenance, Strength, Threat};

/// Indicators made of one bundle: sets in patterns are a way to write very many.
const INDICATORS: usize = 1_000_000;

/// Who gives the objects, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// Name of the feed.
    pub feed: String,
    /// When it was fetched.
    pub fetched: Option<Timestamp>,
    /// How sure something is that does not say so itself.
    pub confidence: u8,
    /// The most that an indicator of it may be used for.
    pub strength: Strength,
    /// It was written here (a copy, a file of one's own): ids, provenance and strength are taken as they stand
    /// there. Never for what others send.
    pub own: bool,
}

impl Context {
    /// Of a feed whose indicators may be used up to `strength`.
    pub fn feed(name: &str, fetched: Option<Timestamp>, strength: Strength) -> Context {
        Context { feed: name.to_owned(), fetched, confidence: UNSTATED, strength, own: false }
    }

    /// Of an export that was made here.
    pub fn own() -> Context {
        Context { feed: "stix".into(), fetched: None, confidence: UNSTATED, strength: Strength::Block, own: true }
    }
}

/// An indicator, or a part of one, that can't be matched. Its object is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmatched {
    /// The object.
    pub object: Id,
    /// Language of its pattern: `stix`, `snort`.
    pub pattern_type: String,
    /// Beginning of its pattern.
    pub pattern: String,
    /// Alternatives of it are matched.
    pub partly: bool,
    /// The reasons.
    pub why: String,
}

/// What a bundle comes to.
#[derive(Clone, Debug, Default)]
pub struct Import {
    /// Threats.
    pub threats: Vec<Threat>,
    /// Indicators, with the ids of their threats.
    pub indicators: Vec<Indicator>,
    /// Indicators that can't be matched.
    pub unmatched: Vec<Unmatched>,
    /// Objects that were taken back: what came from them before no longer holds.
    pub revoked: Vec<Id>,
    /// Objects that were refused.
    pub errors: Vec<ObjectError>,
    /// Refusals beyond those.
    pub more_errors: u64,
    /// Every object as it came.
    pub objects: Objects,
}

impl Import {
    /// The threats with their indicators in them, and the indicators that belong to none.
    pub fn nested(self) -> (Vec<Threat>, Vec<Indicator>) {
        let mut threats = self.threats;
        let places: HashMap<String, usize> =
            threats.iter().enumerate().map(|(at, threat)| (threat.id.clone(), at)).collect();
        let mut free = Vec::new();
        for indicator in self.indicators {
            let place = indicator.threat.as_ref().and_then(|id| places.get(id));
            match place.and_then(|at| threats.get_mut(*at)) {
                Some(threat) => threat.indicators.push(indicator),
                None => free.push(indicator),
            }
        }
        (threats, free)
    }
}

/// Reads a bundle and makes of it what can be made.
pub fn import(bytes: &[u8], limits: &Limits, context: &Context) -> Result<Import, Error> {
    let read = super::read(bytes, limits)?;
    let mut import = interpret(read.objects, context);
    import.errors = read.errors;
    import.more_errors = read.more_errors;
    Ok(import)
}

/// Makes of objects what can be made. Only the last version of each counts.
pub fn interpret(objects: Objects, context: &Context) -> Import {
    let links = Links::of(&objects);
    let markings = Markings::of(&objects);
    let mut import = Import::default();
    let mut natives: HashMap<Id, String> = HashMap::new();
    for object in objects.iter() {
        if object.is_revoked() {
            import.revoked.push(object.id().clone());
        } else if matches!(&*object.id().kind, "malware" | "campaign" | "attack-pattern") {
            let properties = object.properties();
            if &*object.id().kind == "attack-pattern" && extension::of::<extension::ThreatPart>(&properties).is_none() {
                continue;
            }
            let techniques = links.techniques_of(object.id());
            let kind = links.kind_of(object.id(), &techniques, &objects);
            let marking = markings.level(&properties);
            if let Some(threat) = threat::read(object.id(), &properties, &techniques, kind, marking, context) {
                natives.insert(object.id().clone(), threat.id.clone());
                import.threats.push(threat);
            }
        }
    }
    for object in objects.iter().filter(|object| &*object.id().kind == "indicator" && !object.is_revoked()) {
        let threat = links.indicated_by(object.id()).find_map(|target| natives.get(target)).cloned();
        indicators(object, threat, &markings, context, &mut import);
    }
    import.objects = objects;
    import
}

/// Relationships that are interpreted. They are looked at one step at a time, so that circles among them do no harm.
#[derive(Default)]
struct Links {
    /// Who uses what.
    uses: HashMap<Id, Vec<Id>>,
    /// Which indicator indicates what.
    indicates: HashMap<Id, Vec<Id>>,
    /// Techniques of attack patterns.
    techniques: HashMap<Id, String>,
}

impl Links {
    fn of(objects: &Objects) -> Links {
        let mut links = Links::default();
        for object in objects.iter().filter(|object| !object.is_revoked()) {
            match &*object.id().kind {
                "attack-pattern" => {
                    let technique = attack::technique(&object.properties());
                    links.techniques.extend(technique.map(|technique| (object.id().clone(), technique)));
                }
                "relationship" => {
                    let properties = object.properties();
                    let id = |name| properties.get(name).and_then(Value::as_str).and_then(Id::parse);
                    let (Some(source), Some(target)) = (id("source_ref"), id("target_ref")) else { continue };
                    match properties.get("relationship_type").and_then(Value::as_str) {
                        Some("uses") => links.uses.entry(source).or_default().push(target),
                        // How a threat that is itself an attack pattern names its techniques.
                        Some("related-to") if &*source.kind == "attack-pattern" => {
                            links.uses.entry(source).or_default().push(target);
                        }
                        Some("indicates") => links.indicates.entry(source).or_default().push(target),
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        links
    }

    fn techniques_of(&self, id: &Id) -> Vec<String> {
        let mut seen = HashSet::new();
        let used = self.uses.get(id).into_iter().flatten();
        used.filter_map(|target| self.techniques.get(target)).filter(|one| seen.insert(*one)).cloned().collect()
    }

    fn indicated_by(&self, id: &Id) -> impl Iterator<Item = &Id> {
        self.indicates.get(id).into_iter().flatten()
    }

    /// What kind of attack a campaign is, where what it uses tells: phishing (T1566 of Enterprise, T1660 of Mobile),
    /// or the kind of its malware.
    fn kind_of(&self, id: &Id, techniques: &[String], objects: &Objects) -> Option<Kind> {
        if &*id.kind != "campaign" {
            return None;
        }
        let phishing = |technique: &String| technique.starts_with("T1566") || technique.starts_with("T1660");
        if techniques.iter().any(phishing) {
            return Some(Kind::Phishing);
        }
        let malware = self.uses.get(id)?.iter().filter(|target| &*target.kind == "malware").take(16);
        malware
            .filter_map(|target| objects.latest(target))
            .find_map(|object| threat::malware_kind(&object.properties()))
    }
}

/// Indicators of one object, or why there are none.
fn indicators(object: &Object, threat: Option<String>, markings: &Markings, context: &Context, import: &mut Import) {
    let properties = object.properties();
    let part: Option<IndicatorPart> = extension::of(&properties);
    let pattern = properties.get("pattern").and_then(Value::as_str).unwrap_or_default();
    let pattern_type = properties.get("pattern_type").and_then(Value::as_str).unwrap_or("stix");
    let own_pattern = part.as_ref().filter(|_| context.own).and_then(|part| part.pattern.clone());
    let mut matchable = match own_pattern {
        Some(pattern) => Matchable { patterns: vec![pattern], refused: Vec::new() },
        None => patterns(pattern_type, pattern, &properties),
    };
    if matchable.patterns.len() > INDICATORS.saturating_sub(import.indicators.len()) {
        matchable = Matchable { patterns: Vec::new(), refused: vec![format!("more than {INDICATORS} indicators")] };
    }
    if !matchable.refused.is_empty() {
        import.unmatched.push(Unmatched {
            object: object.id().clone(),
            pattern_type: check::short(pattern_type),
            pattern: check::short(pattern),
            partly: !matchable.patterns.is_empty(),
            why: matchable.refused.join("; "),
        });
    }
    let said = part.as_ref().map_or(context.strength, |part| part.strength);
    let own_source = part.as_ref().filter(|_| context.own).map(|part| part.source.clone());
    let source = own_source.unwrap_or_else(|| Provenance {
        feed: context.feed.clone(),
        reference: Some(object.id().to_string()),
        fetched: context.fetched,
    });
    let always = part.as_ref().is_some_and(|part| part.always);
    let threat = threat.or_else(|| part.as_ref().filter(|_| context.own).and_then(|part| part.threat.clone()));
    let alone = matchable.patterns.len() == 1 && matchable.refused.is_empty();
    for pattern in matchable.patterns {
        let id = match alone {
            true => object.id().uuid,
            false => object.id().part(&serde_json::to_string(&pattern).unwrap_or_default()),
        };
        import.indicators.push(Indicator {
            id,
            pattern,
            threat: threat.clone(),
            confidence: threat::confidence(&properties).unwrap_or(context.confidence),
            strength: said.min(context.strength),
            valid_from: check::time(&properties, "valid_from").filter(|_| !always),
            valid_until: check::time(&properties, "valid_until"),
            source: source.clone(),
            marking: markings.level(&properties),
        });
    }
}

fn patterns(pattern_type: &str, pattern: &str, properties: &Map<String, Value>) -> Matchable {
    match pattern_type {
        "stix" => parse_matchable(pattern),
        "yara" => {
            let name = yara_name(pattern).or_else(|| properties.get("name").and_then(Value::as_str));
            let rule = Pattern::Yara { name: name.unwrap_or("unnamed").to_owned(), rule: pattern.to_owned() };
            Matchable { patterns: vec![rule], refused: Vec::new() }
        }
        other => Matchable {
            patterns: Vec::new(),
            refused: vec![format!("patterns in the language `{}` are not matched", check::short(other))],
        },
    }
}

/// The name of the first rule of a YARA text.
pub(crate) fn yara_name(text: &str) -> Option<&str> {
    let mut words = text.split(|c: char| c.is_whitespace() || matches!(c, '{' | ':')).filter(|word| !word.is_empty());
    words.find(|word| *word == "rule")?;
    words.next().filter(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
}
