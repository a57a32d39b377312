//! From a judgement to an entry of the journal.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use inspect::Facts;
use jiff::Timestamp;
use model::{
    Body, Digest, Direction, Effect, Finding, Message, MessageRecord, Party, PartyKind, Protocol, Record, RecordKind,
    Side, Then, Verdict,
};
use serde::Serialize;
use store::{Entry, Held, Store};
use uuid::Uuid;

use crate::{Inner, RecordBodies, Rules};

/// Makes record ids: UUIDv7, unique within and across processes without a
/// system call for each.
#[derive(Default)]
pub(crate) struct Ids {
    secret: foldhash::quality::RandomState,
    count: AtomicU64,
}

impl Ids {
    pub(crate) fn next(&self, time: Timestamp) -> Uuid {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let mut random = [0u8; 10];
        let (low, high) = (self.secret.hash_one(count), self.secret.hash_one(!count));
        random[..8].copy_from_slice(&low.to_le_bytes());
        random[8..].copy_from_slice(&high.to_le_bytes()[..2]);
        let millis = u64::try_from(time.as_millisecond()).unwrap_or_default();
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}

/// A message with everything that was made of it.
pub(crate) struct Made<'a> {
    pub(crate) id: Uuid,
    pub(crate) message: &'a Message,
    pub(crate) facts: &'a Facts,
    pub(crate) findings: &'a [Finding],
    pub(crate) score: f32,
    pub(crate) verdict: &'a Verdict,
}

/// Room for most records, so that they are written without growing.
const RECORD_BYTES: usize = 768;

impl Made<'_> {
    pub(crate) fn entry(&self, rules: &Rules, bodies: RecordBodies) -> Entry {
        let message = self.message;
        let record = MessageRecord {
            id: self.id,
            time: message.time,
            kind: RecordKind::Message,
            protocol: message.protocol,
            what: message.kind,
            direction: message.direction,
            from: (&*message.from).into(),
            to: (&*message.to).into(),
            copy: message.copy || message.bounce,
            message_id: message.id.as_deref(),
            digest: self.facts.digest,
            keys: &self.facts.keys,
            findings: self.findings,
            score: self.score,
            verdict: self.verdict.effect,
            rules: &self.verdict.rules,
            observed: &self.verdict.observed,
            policy: rules.policy.version(),
            indicators: &rules.indicators,
        };
        let mut json = Vec::with_capacity(RECORD_BYTES);
        if serde_json::to_writer(&mut json, &record).is_err() {
            // Nothing in it can fail; an empty entry would be refused by the journal, loudly.
            json.clear();
        }
        let flagged = self.verdict.effect != Effect::Allow || !self.findings.is_empty();
        let keep = match bodies {
            RecordBodies::All => true,
            RecordBodies::Flagged => flagged,
            RecordBodies::None => false,
        };
        Entry { json, body: keep.then(|| body_json(message)) }
    }
}

/// One part of a body as the journal keeps it.
#[derive(Serialize)]
struct KeptPart<'a> {
    place: model::Place,
    #[serde(skip_serializing_if = "Option::is_none")]
    lang: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<model::Sealing>,
}

/// The parts of a message as a JSON array: what the journal commits to and quarantine shows.
fn body_json(message: &Message) -> Vec<u8> {
    let parts: Vec<KeptPart<'_>> = message
        .parts
        .iter()
        .map(|part| KeptPart {
            place: part.place,
            lang: part.lang.as_deref(),
            text: part.body.expose(),
            sealed: match &part.body {
                Body::Sealed(sealed) => Some(sealed.scheme),
                Body::Text(_) | Body::Html(_) => None,
            },
        })
        .collect();
    // Strings and enum names only: there is nothing JSON can't express.
    serde_json::to_vec(&parts).unwrap_or_default()
}

/// Counts findings by symbol.
pub(crate) fn count(findings: &[Finding]) {
    for finding in findings {
        metrics::counter!("portcullis_findings_total", "symbol" => finding.symbol.to_string()).increment(1);
    }
}

/// A message as quarantine keeps it; `None` for what can't wait: a request that has to be answered, presence, an
/// upload (there is no frame to send later; its sender can try again).
pub(crate) fn held(
    id: Uuid,
    message: &Message,
    digest: Digest,
    findings: &[Finding],
    verdict: &Verdict,
    frame: Option<&[u8]>,
) -> Option<Held> {
    let frame = frame?;
    let (session, peer) = match message.direction {
        Direction::FromClient => (&message.from, &message.to),
        Direction::ToClient => (&message.to, &message.from),
    };
    Some(Held {
        id,
        time: message.time,
        protocol: message.protocol,
        direction: message.direction,
        account: session.address.account.to_string(),
        peer: peer.address.account.to_string(),
        from: message.from.address.to_string(),
        to: message.to.address.to_string(),
        findings: serde_json::to_string(findings).unwrap_or_default(),
        rule: verdict.rules.first().map(|rule| rule.to_string()),
        notice: verdict.notice.as_deref().map(str::to_owned),
        digest,
        frame: frame.to_vec(),
        parts: String::from_utf8(body_json(message)).unwrap_or_default(),
    })
}

/// Keeps a message for review; the verdict instead when that is not possible.
pub(crate) async fn keep(store: Option<Arc<Store>>, held: Option<Held>, verdict: &Verdict) -> Option<Verdict> {
    let refused = |notice: &str| Verdict {
        effect: Effect::Block,
        notice: verdict.notice.clone().or_else(|| Some(notice.into())),
        ..verdict.clone()
    };
    let (Some(store), Some(held)) = (store, held) else {
        return Some(refused("This can't be kept for review, so it was not delivered."));
    };
    let kept = tokio::task::spawn_blocking(move || store.hold(&held)).await;
    let why = match kept {
        Ok(Ok(())) => return None,
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    metrics::counter!("portcullis_faults_total", "what" => "quarantine").increment(1);
    tracing::error!(why, "a message can't be kept in quarantine; it is blocked instead");
    Some(refused("The message can't be kept for review at the moment; please try again later."))
}

impl Inner {
    pub(crate) fn note_login(
        &self,
        party: Option<&Party>,
        account: &str,
        client: IpAddr,
        mechanism: &str,
        why_not: Option<&str>,
    ) {
        let Some(journal) = &self.journal else { return };
        let time = now();
        let mut record = Record::new(self.ids.next(time), time, RecordKind::Login);
        record.protocol = Some(Protocol::Xmpp);
        record.from = Some(party.map_or_else(
            || Then {
                account: account.into(),
                device: None,
                kind: PartyKind::Person,
                side: Side::Internal,
                person: None,
                groups: Vec::new(),
            },
            Then::from,
        ));
        record.note = Some(match why_not {
            None => format!("logged in from {client} with {mechanism}").into(),
            Some(why) => format!("login from {client} with {mechanism} failed: {why}").into(),
        });
        drop(journal.append(Entry::from(record)));
    }

    pub(crate) fn note(&self, text: &str) {
        let Some(journal) = &self.journal else { return };
        let time = now();
        let mut record = Record::new(self.ids.next(time), time, RecordKind::Administration);
        record.note = Some(text.into());
        drop(journal.append(Entry::from(record)));
    }
}

fn now() -> Timestamp {
    #[allow(clippy::disallowed_methods, reason = "the judge is where time enters")]
    Timestamp::now()
}
