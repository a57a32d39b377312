//! One message as campaigns see it: who, to whom, what repeats in it, and how suspicious it is.

use std::sync::Arc;

use jiff::Timestamp;
use model::{Digest, Effect, Finding, Kind, PartyKind, Protocol, Record, RecordKind, Side, Then};
use uuid::Uuid;

use super::{Key, KeyKind};

/// The symbol that says that somebody wrote to an address no person uses.
pub const DECOY: &str = "decoy.contacted";

/// Keys of one message that are looked at.
const KEYS: usize = 40;
/// What a message's findings have to weigh before it counts as suspicious.
const SUSPICIOUS: f32 = 3.0;

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighting {
    /// Its record.
    pub record: Uuid,
    /// Where that stands in the journal.
    pub position: u64,
    /// When it crossed.
    pub time: Timestamp,
    /// Where it was spoken.
    pub protocol: Protocol,
    /// Who spoke.
    pub from: Who,
    /// Who was spoken to.
    pub to: Who,
    /// What was decided.
    pub verdict: Effect,
    /// What was found, without doubles.
    pub symbols: Vec<Box<str>>,
    /// MITRE ATT&CK techniques of the findings.
    pub techniques: Vec<Box<str>>,
    /// What the findings that speak of an attack weigh.
    pub weight: f32,
    /// It went to a decoy, and no rule let it pass.
    pub decoy: bool,
    /// What may repeat.
    pub keys: Vec<Key>,
}

/// A party of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// The account; an occupant of a room with the nick.
    pub account: Arc<str>,
    /// The person behind it.
    pub person: Option<Arc<str>>,
    /// Which side of the border.
    pub side: Side,
    /// What kind of party.
    pub kind: PartyKind,
}

impl From<&Then> for Who {
    fn from(then: &Then) -> Who {
        let account = match (&then.device, then.kind) {
            (Some(nick), PartyKind::Room) => format!("{}/{nick}", then.account).into(),
            _ => Arc::from(&*then.account),
        };
        Who { account, person: then.person.clone(), side: then.side, kind: then.kind }
    }
}

impl Sighting {
    /// What a record says; `None` for what nobody sent just now, or has nothing that could repeat.
    pub fn of(record: &Record, position: u64) -> Option<Sighting> {
        let sent = matches!(record.what?, Kind::Message | Kind::File | Kind::Correction | Kind::Invite | Kind::Call);
        if record.kind != RecordKind::Message || record.copy || !sent {
            return None;
        }
        let (from, to) = (Who::from(record.from.as_ref()?), Who::from(record.to.as_ref()?));
        if from.kind == PartyKind::Service || from.account == to.account {
            return None;
        }
        let verdict = record.verdict.unwrap_or_default();
        let protocol = record.protocol?;
        // A rule that let it pass exempts its sender; one that is only watched does not.
        let exempt = verdict == Effect::Allow && record.observed.is_empty();
        let decoy = !exempt && record.findings.iter().any(|finding| finding.symbol == DECOY);
        let mut keys: Vec<Key> = record.keys.iter().take(KEYS).filter_map(|key| implicated(record, key)).collect();
        if !keys.iter().any(|key| key.kind() == KeyKind::Shape)
            && let Some(digest) = record.digest.filter(|digest| *digest != Digest::default())
        {
            keys.push(Key::new(KeyKind::Text, &digest.to_string()));
        }
        if decoy {
            keys.push(Key::new(KeyKind::Sender, &format!("{}:{}", protocol.name(), from.account)));
        }
        keys.sort_unstable();
        keys.dedup();
        let mut symbols: Vec<Box<str>> = record.findings.iter().map(|finding| (&*finding.symbol).into()).collect();
        symbols.sort_unstable();
        symbols.dedup();
        let mut techniques: Vec<Box<str>> =
            record.findings.iter().filter_map(|finding| finding.technique.as_deref().map(Into::into)).collect();
        techniques.sort_unstable();
        techniques.dedup();
        let weight = record.findings.iter().map(weight).fold(0.0, |sum: f32, weight| sum + weight);
        Some(Sighting {
            record: record.id,
            position,
            time: record.time,
            protocol,
            from,
            to,
            verdict,
            symbols,
            techniques,
            weight,
            decoy,
            keys,
        })
    }

    /// Whether what was found speaks of an attack.
    pub fn is_suspicious(&self) -> bool {
        self.decoy || self.weight >= SUSPICIOUS
    }
}

/// What a finding says about an attack. What must not leave the house (cards, secrets, the operator's own words)
/// is no attack on anybody, however often it is stopped; neither is a decoy's exempted visitor.
fn weight(finding: &Finding) -> f32 {
    let symbol = &*finding.symbol;
    let counts = match finding.family() {
        "pattern" => symbol == "pattern.eicar",
        "decoy" => false,
        _ => true,
    };
    if counts && finding.score.is_finite() { finding.score.max(0.0) } else { 0.0 }
}

/// The key, unless findings about links name only other links of the message.
fn implicated(record: &Record, text: &str) -> Option<Key> {
    let key = Key::parse(text)?;
    let Some(host) = key.host() else { return Some(key) };
    let mut named = record
        .findings
        .iter()
        .filter(|finding| finding.family() == "link")
        .filter_map(|finding| finding.evidence.as_ref())
        .peekable();
    let others = record.keys.iter().filter(|key| key.starts_with("url:")).count() > 1;
    if !others || named.peek().is_none() {
        return Some(key);
    }
    let host = host.trim_start_matches("www.").replace('.', "[.]");
    named.any(|evidence| evidence.shown.to_lowercase().contains(&host)).then_some(key)
}
