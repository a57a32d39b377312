//! A campaign: everything that is known of one attack by the messages that were part of it. All of it is bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{Timestamp, Unit};
use model::{Effect, Side};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::sighting::{Sighting, Who};
use super::{Key, KeyKind};

/// Things that repeat, of one campaign.
pub const KEYS: usize = 256;
/// Senders that are kept by name.
pub const SENDERS: usize = 512;
/// Recipients that are kept by name.
pub const RECIPIENTS: usize = 2_048;
/// Messages that are kept as samples: half of them the first, half the newest.
pub const SAMPLES: usize = 16;
/// Hours of the timeline: a month.
pub const HOURS: usize = 31 * 24;
/// Symbols and techniques.
const SYMBOLS: usize = 64;
/// To this many, an account is not just passing on what it received.
pub(super) const MANY: usize = 4;

/// One campaign.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Campaign {
    /// Its id, for ever the same.
    pub id: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What became of it.
    pub status: Status,
    /// The first message of it.
    pub first_seen: Timestamp,
    /// The newest.
    pub last_seen: Timestamp,
    /// Messages in all.
    pub messages: u64,
    /// Of them, not delivered.
    pub stopped: u64,
    /// Messages by verdict.
    pub verdicts: BTreeMap<Box<str>, u64>,
    /// Messages by what was found in them.
    pub symbols: BTreeMap<Box<str>, u64>,
    /// MITRE ATT&CK techniques seen.
    pub techniques: BTreeSet<Box<str>>,
    /// Protocols it uses.
    pub protocols: BTreeSet<Box<str>>,
    /// The most that one message weighed.
    pub weight: f32,
    /// What its messages share.
    pub keys: BTreeMap<Key, Shared>,
    /// Who sent them.
    pub senders: BTreeMap<Arc<str>, Sender>,
    /// Who they were sent to.
    pub recipients: BTreeMap<Arc<str>, Recipient>,
    /// Messages, by reference to the journal.
    pub samples: Vec<Sample>,
    /// Messages by hour, counted from 1970.
    pub timeline: BTreeMap<i64, u32>,
    /// What there was no room for.
    #[serde(default)]
    pub more: More,
}

/// What became of a campaign.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "is")]
pub enum Status {
    /// Nobody has decided yet.
    #[default]
    Open,
    /// It is in the catalogue.
    Promoted {
        /// Id of the threat.
        threat: String,
    },
    /// It is nothing to act on.
    Dismissed {
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// It is part of another.
    Merged {
        /// Id of that one.
        into: String,
    },
}

impl Status {
    /// Its name in lists.
    pub fn as_str(&self) -> &'static str {
        match self {
            Status::Open => "open",
            Status::Promoted { .. } => "promoted",
            Status::Dismissed { .. } => "dismissed",
            Status::Merged { .. } => "merged",
        }
    }
}

/// How often something was seen in a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    /// Messages.
    pub messages: u64,
    /// Of them, suspicious by themselves.
    pub suspicious: u64,
}

/// An account that sent some of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    /// The person behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<Arc<str>>,
    /// Which side of the border.
    pub side: Side,
    /// Messages.
    pub messages: u64,
    /// Of them, suspicious by themselves.
    pub suspicious: u64,
    /// Whom it wrote to, as far as it tells a sender from one who passes something on.
    pub told: BTreeSet<Arc<str>>,
}

impl Sender {
    /// Whether it takes part in the attack, willingly or as a victim, rather than having passed something on.
    pub fn is_implicated(&self) -> bool {
        self.suspicious > 0 || self.told.len() >= MANY
    }
}

/// An account that it was sent to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// The person behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<Arc<str>>,
    /// Which side of the border.
    pub side: Side,
    /// Messages.
    pub messages: u64,
    /// Of them, delivered.
    pub delivered: u64,
    /// It is a decoy.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub decoy: bool,
}

/// One message of a campaign, by reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Id of the record.
    pub record: Uuid,
    /// Where it stands in the journal.
    pub position: u64,
    /// When it crossed.
    pub time: Timestamp,
    /// Who sent it.
    pub from: Arc<str>,
    /// To whom.
    pub to: Arc<str>,
    /// What was decided.
    pub verdict: Effect,
    /// What was found in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub symbols: Vec<Box<str>>,
}

/// What a campaign has no room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct More {
    /// Further things that repeat.
    pub keys: u64,
    /// Messages of senders that are not kept by name.
    pub senders: u64,
    /// Messages to recipients that are not kept by name.
    pub recipients: u64,
}

impl Campaign {
    /// One that begins with a message. Its id comes from that message's record.
    pub(super) fn begin(id: String, first: &Sighting) -> Campaign {
        Campaign {
            id,
            name: None,
            status: Status::Open,
            first_seen: first.time,
            last_seen: first.time,
            messages: 0,
            stopped: 0,
            verdicts: BTreeMap::new(),
            symbols: BTreeMap::new(),
            techniques: BTreeSet::new(),
            protocols: BTreeSet::new(),
            weight: 0.0,
            keys: BTreeMap::new(),
            senders: BTreeMap::new(),
            recipients: BTreeMap::new(),
            samples: Vec::new(),
            timeline: BTreeMap::new(),
            more: More::default(),
        }
    }

    /// Counts one more message.
    pub(super) fn add(&mut self, sighting: &Sighting) {
        self.first_seen = self.first_seen.min(sighting.time);
        self.last_seen = self.last_seen.max(sighting.time);
        self.messages += 1;
        self.stopped += u64::from(!sighting.verdict.delivers());
        self.weight = self.weight.max(sighting.weight);
        *self.verdicts.entry(sighting.verdict.name().into()).or_default() += 1;
        self.protocols.insert(sighting.protocol.name().into());
        for symbol in &sighting.symbols {
            if self.symbols.len() < SYMBOLS || self.symbols.contains_key(symbol) {
                *self.symbols.entry(symbol.clone()).or_default() += 1;
            }
        }
        for technique in &sighting.techniques {
            if self.techniques.len() < SYMBOLS {
                self.techniques.insert(technique.clone());
            }
        }
        let suspicious = u64::from(sighting.is_suspicious());
        for key in &sighting.keys {
            if let Some(shared) = self.keys.get_mut(key) {
                shared.messages += 1;
                shared.suspicious += suspicious;
            }
        }
        self.count_sender(&sighting.from, &sighting.to, suspicious);
        self.count_recipient(sighting);
        *self.timeline.entry(hour(sighting.time)).or_default() += 1;
        while self.timeline.len() > HOURS {
            self.timeline.pop_first();
        }
        self.sample(Sample {
            record: sighting.record,
            position: sighting.position,
            time: sighting.time,
            from: sighting.from.account.clone(),
            to: sighting.to.account.clone(),
            verdict: sighting.verdict,
            symbols: sighting.symbols.clone(),
        });
    }

    /// Takes in another campaign.
    pub(super) fn absorb(&mut self, other: &Campaign) {
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
        self.messages += other.messages;
        self.stopped += other.stopped;
        self.weight = self.weight.max(other.weight);
        if self.name.is_none() {
            self.name.clone_from(&other.name);
        }
        self.protocols.extend(other.protocols.iter().cloned());
        let room = SYMBOLS.saturating_sub(self.techniques.len());
        self.techniques.extend(other.techniques.iter().take(room).cloned());
        for (verdict, count) in &other.verdicts {
            *self.verdicts.entry(verdict.clone()).or_default() += count;
        }
        for (symbol, count) in &other.symbols {
            if self.symbols.len() < SYMBOLS || self.symbols.contains_key(symbol) {
                *self.symbols.entry(symbol.clone()).or_default() += count;
            }
        }
        for (hour, count) in &other.timeline {
            let here = self.timeline.entry(*hour).or_default();
            *here = here.saturating_add(*count);
        }
        while self.timeline.len() > HOURS {
            self.timeline.pop_first();
        }
        for (key, shared) in &other.keys {
            if self.share(key)
                && let Some(here) = self.keys.get_mut(key)
            {
                here.messages += shared.messages;
                here.suspicious += shared.suspicious;
            }
        }
        for (account, sender) in &other.senders {
            if let Some(here) = self.senders.get_mut(account) {
                here.messages += sender.messages;
                here.suspicious += sender.suspicious;
                let room = MANY.saturating_sub(here.told.len());
                here.told.extend(sender.told.iter().take(room).cloned());
            } else if self.senders.len() < SENDERS {
                self.senders.insert(account.clone(), sender.clone());
            } else {
                self.more.senders += sender.messages;
            }
        }
        for (account, recipient) in &other.recipients {
            if let Some(here) = self.recipients.get_mut(account) {
                here.messages += recipient.messages;
                here.delivered += recipient.delivered;
                here.decoy |= recipient.decoy;
            } else if self.recipients.len() < RECIPIENTS {
                self.recipients.insert(account.clone(), recipient.clone());
            } else {
                self.more.recipients += recipient.messages;
            }
        }
        other.samples.iter().cloned().for_each(|sample| self.sample(sample));
        self.more.keys += other.more.keys;
        self.more.senders += other.more.senders;
        self.more.recipients += other.more.recipients;
    }

    /// Makes something a key of it; whether there is room.
    pub(super) fn share(&mut self, key: &Key) -> bool {
        if self.keys.contains_key(key) {
            return true;
        }
        let room = self.keys.len() < KEYS;
        if room {
            self.keys.insert(key.clone(), Shared { messages: 0, suspicious: 0 });
        } else {
            self.more.keys += 1;
        }
        room
    }

    /// What is left of it once it is part of another.
    pub(super) fn emptied(&mut self, into: &str) {
        self.status = Status::Merged { into: into.to_owned() };
        self.keys.clear();
        self.senders.clear();
        self.recipients.clear();
        self.samples.clear();
        self.timeline.clear();
    }

    /// What it is called: its name, or what it is made of.
    pub fn title(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let by_weight = |kind: KeyKind| {
            let of_kind = self.keys.iter().filter(move |(key, _)| key.kind() == kind);
            of_kind.max_by_key(|(key, shared)| (shared.messages, std::cmp::Reverse((*key).clone())))
        };
        let most = KeyKind::ALL.into_iter().find_map(by_weight);
        match most {
            Some((key, _)) if key.kind() == KeyKind::Url => {
                format!("link to {}", key.host().unwrap_or_default())
            }
            Some((key, _)) if key.kind() == KeyKind::Sha256 => {
                format!("file {}", key.value().get(..12).unwrap_or_default())
            }
            Some((key, _)) if matches!(key.kind(), KeyKind::Shape | KeyKind::Text) => {
                format!("text {}", key.value().get(..16).unwrap_or_default())
            }
            Some((key, _)) => format!("{} {}", key.kind().as_str(), key.value()),
            None => self.id.clone(),
        }
    }

    /// People to whom it was delivered: accounts, and known persons among them.
    pub fn hit(&self) -> (usize, usize) {
        let hit = || self.recipients.values().filter(|recipient| recipient.delivered > 0 && !recipient.decoy);
        let people: BTreeSet<&str> = hit().filter_map(|recipient| recipient.person.as_deref()).collect();
        (hit().count(), people.len())
    }

    /// Decoys that it reached for.
    pub fn decoys(&self) -> impl Iterator<Item = &str> {
        self.recipients.iter().filter(|(_, recipient)| recipient.decoy).map(|(account, _)| &**account)
    }

    /// Whether a person has decided about it.
    pub fn is_decided(&self) -> bool {
        self.status != Status::Open || self.name.is_some()
    }

    fn count_sender(&mut self, from: &Who, to: &Who, suspicious: u64) {
        if !self.senders.contains_key(&from.account) {
            if self.senders.len() >= SENDERS {
                self.more.senders += 1;
                return;
            }
            let new = Sender {
                person: from.person.clone(),
                side: from.side,
                messages: 0,
                suspicious: 0,
                told: BTreeSet::new(),
            };
            self.senders.insert(from.account.clone(), new);
        }
        let Some(sender) = self.senders.get_mut(&from.account) else { return };
        sender.messages += 1;
        sender.suspicious += suspicious;
        if sender.told.len() < MANY {
            sender.told.insert(to.account.clone());
        }
    }

    fn count_recipient(&mut self, sighting: &Sighting) {
        let to = &sighting.to;
        if !self.recipients.contains_key(&to.account) {
            if self.recipients.len() >= RECIPIENTS {
                self.more.recipients += 1;
                return;
            }
            let new = Recipient { person: to.person.clone(), side: to.side, messages: 0, delivered: 0, decoy: false };
            self.recipients.insert(to.account.clone(), new);
        }
        let Some(recipient) = self.recipients.get_mut(&to.account) else { return };
        recipient.messages += 1;
        recipient.delivered += u64::from(sighting.verdict.delivers());
        recipient.decoy |= sighting.decoy;
    }

    /// Keeps the first and the newest.
    fn sample(&mut self, sample: Sample) {
        let order = |sample: &Sample| (sample.time, sample.position);
        let at = self.samples.partition_point(|kept| order(kept) <= order(&sample));
        self.samples.insert(at, sample);
        if self.samples.len() > SAMPLES {
            self.samples.remove(SAMPLES / 2);
        }
    }
}

/// The hour of a time, counted from 1970.
pub(super) fn hour(time: Timestamp) -> i64 {
    time.as_second().div_euclid(3_600)
}

/// The hour that a number of the timeline stands for.
pub fn hour_of(number: i64) -> Option<Timestamp> {
    Timestamp::from_second(number.checked_mul(3_600)?).ok()?.round(Unit::Hour).ok()
}
