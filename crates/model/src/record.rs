//! One entry of the journal.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Digest, Direction, Effect, Finding, Kind, Party, PartyKind, Protocol, Side};

/// What a journal entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordKind {
    /// A message and what was decided about it.
    Message,
    /// A quarantined message was released.
    Release,
    /// A quarantined message was destroyed.
    Destroy,
    /// A login succeeded, failed or was refused.
    Login,
    /// An operator or the process changed something: start, stop, policy, certificate.
    Administration,
}

/// One entry of the journal: what happened, who was who *then*, what was decided and why.
///
/// The serialised form is JSON with the keys in this order; the chain is over
/// those very bytes. Absent fields are left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// UUIDv7.
    pub id: Uuid,
    /// When it happened, UTC.
    pub time: Timestamp,
    /// What it is about.
    pub kind: RecordKind,
    /// Chat protocol, when a message or login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// What was said or done, when a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<Kind>,
    /// Which way it crossed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Who spoke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Then>,
    /// Who was spoken to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Then>,
    /// The protocol's message id as sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<Box<str>>,
    /// Digest of the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Links in canonical form, hashes of files: what trackers are rebuilt from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Box<str>>,
    /// What was seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// Sum of the findings' scores.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub score: f32,
    /// What was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Effect>,
    /// Rules that decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Arc<str>>,
    /// Rules in observe mode that would have decided otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed: Vec<Arc<str>>,
    /// Version of the policy in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Arc<str>>,
    /// Version of the indicator index in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub indicators: Option<Arc<str>>,
    /// The record this one is about (release, destroy).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<Uuid>,
    /// Plain words: who did what, why a login failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Box<str>>,
    /// Commitment to the body, filled in by the store when there is a body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Commitment>,
}

/// A party as known when the record was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Then {
    /// Account on its network.
    pub account: Box<str>,
    /// Device, resource or room nick.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Box<str>>,
    /// What kind of party; a person when left out.
    #[serde(default = "person", skip_serializing_if = "is_person")]
    pub kind: PartyKind,
    /// Which side of the border.
    pub side: Side,
    /// Directory id of the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<Arc<str>>,
    /// Directory groups.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub groups: Vec<Arc<str>>,
}

impl From<&Party> for Then {
    fn from(party: &Party) -> Then {
        Then {
            account: party.address.account.clone(),
            device: party.address.device.clone(),
            kind: party.kind,
            side: party.side,
            person: party.person.clone(),
            groups: party.groups.to_vec(),
        }
    }
}

/// SHA-256 over a random salt and the body, in hexadecimal.
///
/// Salt and body are kept beside the record, outside the chain: erasing both
/// leaves the chain valid and the body beyond guessing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commitment {
    /// `sha256(salt || body)`, 64 hexadecimal digits.
    pub sha256: Box<str>,
    /// Size of the body in bytes.
    pub bytes: u64,
}

impl Record {
    /// An empty record of a kind.
    pub fn new(id: Uuid, time: Timestamp, kind: RecordKind) -> Record {
        Record {
            id,
            time,
            kind,
            protocol: None,
            what: None,
            direction: None,
            from: None,
            to: None,
            message_id: None,
            digest: None,
            keys: Vec::new(),
            findings: Vec::new(),
            score: 0.0,
            verdict: None,
            rules: Vec::new(),
            observed: Vec::new(),
            policy: None,
            indicators: None,
            about: None,
            note: None,
            body: None,
        }
    }
}

fn person() -> PartyKind {
    PartyKind::Person
}

fn is_person(kind: &PartyKind) -> bool {
    *kind == PartyKind::Person
}

fn is_zero(score: &f32) -> bool {
    *score == 0.0
}
