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
    /// A copy (archive result, carbon, room history) whose original is not known here, or a bounce: nobody spoke just now.
    #[serde(default, skip_serializing_if = "is_false")]
    pub copy: bool,
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

/// A message's record by reference: the same JSON as [`Record`]'s, without its
/// `body`, and without a copy of every field on the way.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MessageRecord<'a> {
    /// UUIDv7.
    pub id: Uuid,
    /// When it crossed.
    pub time: Timestamp,
    /// Always [`RecordKind::Message`].
    pub kind: RecordKind,
    /// Where it was spoken.
    pub protocol: Protocol,
    /// What was said or done.
    pub what: Kind,
    /// Which way it crossed.
    pub direction: Direction,
    /// Who spoke.
    pub from: ThenRef<'a>,
    /// Who was spoken to.
    pub to: ThenRef<'a>,
    /// As [`Record::copy`].
    #[serde(skip_serializing_if = "is_false")]
    pub copy: bool,
    /// As [`Record::message_id`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<&'a str>,
    /// As [`Record::digest`].
    pub digest: Digest,
    /// As [`Record::keys`].
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub keys: &'a [Box<str>],
    /// As [`Record::findings`].
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub findings: &'a [Finding],
    /// As [`Record::score`].
    #[serde(skip_serializing_if = "is_zero")]
    pub score: f32,
    /// What was decided.
    pub verdict: Effect,
    /// As [`Record::rules`].
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub rules: &'a [Arc<str>],
    /// As [`Record::observed`].
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub observed: &'a [Arc<str>],
    /// Version of the policy in force.
    pub policy: &'a str,
    /// Version of the indicator index in force.
    pub indicators: &'a str,
}

/// A party by reference, in the form of [`Then`].
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ThenRef<'a> {
    account: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<&'a str>,
    #[serde(skip_serializing_if = "is_person")]
    kind: PartyKind,
    side: Side,
    #[serde(skip_serializing_if = "Option::is_none")]
    person: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    groups: &'a [Arc<str>],
}

impl<'a> From<&'a Party> for ThenRef<'a> {
    fn from(party: &'a Party) -> ThenRef<'a> {
        ThenRef {
            account: &party.address.account,
            device: party.address.device.as_deref(),
            kind: party.kind,
            side: party.side,
            person: party.person.as_deref(),
            groups: &party.groups,
        }
    }
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
            copy: false,
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

fn is_false(is: &bool) -> bool {
    !is
}

fn is_zero(score: &f32) -> bool {
    *score == 0.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Address, Evidence};

    #[test]
    fn a_message_record_reads_as_a_record() {
        let address = |account: &str| Address { account: account.into(), device: Some("r".into()) };
        let mut from = Party::stranger(address("a@x.test"), PartyKind::Person, Side::Internal);
        from.person = Some("p1".into());
        from.groups = Arc::from([Arc::from("staff")]);
        let to = Party::stranger(address("room@x.test"), PartyKind::Room, Side::External);
        let evidence = Evidence { part: 0, start: 1, end: 2, shown: "x".into() };
        let findings = [Finding {
            symbol: "link.x".into(),
            score: 2.5,
            explain: "why".into(),
            evidence: Some(evidence),
            technique: None,
        }];
        let (keys, rules): ([Box<str>; 1], [Arc<str>; 1]) = (["url:x".into()], ["r1".into()]);
        let by_reference = MessageRecord {
            id: Uuid::nil(),
            time: Timestamp::UNIX_EPOCH,
            kind: RecordKind::Message,
            protocol: Protocol::Xmpp,
            what: Kind::Message,
            direction: Direction::ToClient,
            from: (&from).into(),
            to: (&to).into(),
            copy: true,
            message_id: Some("m"),
            digest: Digest([3; 16]),
            keys: &keys,
            findings: &findings,
            score: 2.5,
            verdict: Effect::Warn,
            rules: &rules,
            observed: &rules,
            policy: "p",
            indicators: "i",
        };
        let json = serde_json::to_string(&by_reference).unwrap();
        let record: Record = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&record).unwrap(), json, "the same members in the same order");
        assert_eq!(record.to, Some(Then::from(&to)));
    }
}
