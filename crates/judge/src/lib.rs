//! The one judgement seam: message in, ticket out.
//!
//! ```text
//! extract(message)          -> Facts       sync, bounded, once
//! lookup(files, budget)     -> Answers     what may wait: archive walks, clamd
//! detect(case)              -> Findings    the detector table, then the trackers
//! decide(subject, findings) -> Verdict     cached policy
//! submit(record)            -> Ticket      resolves when the record is durable
//! ```
//!
//! Gateway sessions, uploads and `portcullis scan` all come through here, so
//! they agree by construction. A message without files is judged on the spot;
//! only what needs a look-up costs a task. What happens when a look-up, a rule
//! or the journal fails is [`Settings::on_fault`], applied in [`fault`].
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod clamd;
mod crossings;
mod fault;
mod lookup;
mod record;
mod ticket;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use identity::Directory;
use inspect::{Answers, Case, Detector, Facts, Findings, Tracker, facts};
use jiff::Timestamp;
use model::{Address, Content, Direction, Effect, File, Kind, Message, OnFault, Party, PartyKind, Protocol, Verdict};
use parking_lot::Mutex;
use policy::{Policy, Subject};
use serde::{Deserialize, Serialize};
use store::{Journal, Store};

pub use crossings::Crossings;
pub use lookup::Lookups;
pub use ticket::{Ruled, Ticket};

/// Whose bodies the journal keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordBodies {
    /// Every message's.
    #[default]
    All,
    /// Of messages that were not simply allowed, or in which something was found.
    Flagged,
    /// Nobody's: records only.
    None,
}

/// What the operator sets about judging.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// What happens when something needed for a decision fails.
    pub on_fault: OnFault,
    /// Whose bodies the journal keeps.
    pub record_bodies: RecordBodies,
    /// Crossings remembered.
    pub crossings: usize,
    /// How far back the journal is read at start, to know what clients send again.
    pub memory: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            on_fault: OnFault::Refuse,
            record_bodies: RecordBodies::All,
            crossings: 262_144,
            memory: Duration::from_secs(3_600),
        }
    }
}

/// What is decided by: replaced as a whole when the operator changes it.
pub struct Rules {
    /// The operator's rules.
    pub policy: Policy,
    /// The detector table, made for the operator's settings and indicators.
    pub detectors: Vec<Box<dyn Detector>>,
    /// Version of the indicators the detectors hold.
    pub indicators: Arc<str>,
}

/// Judges every message of a process. Cheap to clone.
#[derive(Clone)]
pub struct Judge {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    rules: ArcSwap<Rules>,
    directory: ArcSwap<Directory>,
    trackers: Mutex<Vec<Box<dyn Tracker>>>,
    crossings: Mutex<Crossings>,
    /// `None` for `portcullis scan`, which keeps no record.
    journal: Option<Arc<Journal>>,
    store: Option<Arc<Store>>,
    lookups: Lookups,
    ids: record::Ids,
    allow: Arc<Verdict>,
    copies: AtomicU64,
}

/// A file that a client has uploaded and that nobody else has seen yet.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Who uploads it; the server itself when it is looked at on its way out.
    pub from: Arc<Party>,
    /// The upload service it is for.
    pub to: Arc<Party>,
    /// Which way it crosses.
    pub direction: Direction,
    /// Name as announced.
    pub name: Option<Box<str>>,
    /// Media type as announced.
    pub claimed_type: Option<Box<str>>,
    /// Size in bytes.
    pub size: u64,
    /// Where it is spooled.
    pub path: PathBuf,
}

impl Judge {
    /// A judge over a rule set. `journal` and `store` are absent only where no record is wanted.
    pub fn new(
        settings: Settings,
        rules: Rules,
        trackers: Vec<Box<dyn Tracker>>,
        directory: Directory,
        lookups: Lookups,
        records: Option<(Arc<Journal>, Arc<Store>)>,
    ) -> Judge {
        let (journal, store) = records.unzip();
        let inner = Inner {
            settings,
            rules: ArcSwap::from_pointee(rules),
            directory: ArcSwap::from_pointee(directory),
            trackers: Mutex::new(trackers),
            crossings: Mutex::new(Crossings::new(settings.crossings)),
            journal,
            store,
            lookups,
            ids: record::Ids::default(),
            allow: Arc::default(),
            copies: AtomicU64::new(0),
        };
        Judge { inner: Arc::new(inner) }
    }

    /// Takes in what the journal kept of the past, oldest first: trackers go on
    /// where they were, and what a client sends again is recognised.
    pub fn remember<'a>(&self, records: impl Iterator<Item = &'a model::Record>) {
        let mut trackers = self.inner.trackers.lock();
        let mut crossings = self.inner.crossings.lock();
        for record in records {
            for tracker in trackers.iter_mut() {
                tracker.replay(record);
            }
            crossings.replay(record);
        }
    }

    /// Judges a message. `bytes` is the frame that quarantine would keep.
    pub fn message(&self, message: Message, bytes: &Bytes) -> Ticket {
        let facts = facts::extract(&message);
        if let Some(verdict) = self.inner.crossings.lock().crossed(&message, &facts.digest) {
            self.inner.copies.fetch_add(1, Ordering::Relaxed);
            return Ticket::known(Ruled { verdict, findings: Vec::new(), message: Box::new(message) });
        }
        if !lookup::is_needed(&message) {
            let (ruled, recorded) = self.inner.rule(message, &facts, &Answers::default(), Some(bytes));
            return Ticket::recorded(self.clone(), ruled, recorded);
        }
        let (promise, ticket) = Ticket::slow(self.clone(), &message);
        let (judge, bytes) = (self.clone(), bytes.clone());
        #[allow(clippy::disallowed_methods, reason = "ends with its own look-up; a panic resolves the ticket as a fault")]
        tokio::spawn(async move {
            let mut facts = facts;
            let answers = judge.inner.lookups.look_up(&message, &mut facts).await;
            promise.send(judge.inner.rule(message, &facts, &answers, Some(&bytes)));
        });
        ticket
    }

    /// Judges an uploaded file and waits until the verdict is on record.
    pub async fn upload(&self, upload: Upload) -> Ruled {
        let mut message =
            Message::new(Protocol::Xmpp, Kind::File, upload.direction, self.now(), upload.from, upload.to);
        if let Some(name) = &upload.name {
            message.say(model::Place::FileName, name.clone());
        }
        message.files.push(File {
            name: upload.name,
            claimed_type: upload.claimed_type,
            size: Some(upload.size),
            content: Content::Spooled(upload.path),
        });
        let mut facts = facts::extract(&message);
        let answers = self.inner.lookups.look_up(&message, &mut facts).await;
        let (ruled, recorded) = self.inner.rule(message, &facts, &answers, None);
        Ticket::recorded(self.clone(), ruled, recorded).await
    }

    /// Judges without a record, for `portcullis scan` and `policy test`: every
    /// message is new, and `message.time` is the clock.
    pub async fn scan(&self, message: Message) -> (Ruled, f32) {
        let mut facts = facts::extract(&message);
        let answers = self.inner.lookups.look_up(&message, &mut facts).await;
        let (findings, verdict) = self.inner.weigh(&message, &facts, &answers);
        let score = findings.score();
        (Ruled { verdict, findings: findings.into_vec(), message: Box::new(message) }, score)
    }

    /// A frame was rewritten before it went on: its echoes say this now.
    pub fn expect(&self, message: &Message) {
        let digest = facts::extract(message).digest;
        self.inner.crossings.lock().crossed_as(message, &digest, self.inner.allow.clone());
    }

    /// A client has logged in; goes on record.
    pub fn login(&self, party: &Party, client: IpAddr, mechanism: &str, why_not: Option<&str>) {
        self.inner.note_login(Some(party), &party.address.account, client, mechanism, why_not);
    }

    /// A login was refused; goes on record with the address it came from.
    pub fn login_failed(&self, account: &str, client: IpAddr, mechanism: &str, condition: &str) {
        self.inner.note_login(None, account, client, mechanism, Some(condition));
    }

    /// Something an operator or the process did; goes on record.
    pub fn note(&self, text: &str) {
        self.inner.note(text);
    }

    /// Who is behind an address.
    pub fn party(&self, protocol: Protocol, address: Address, kind: PartyKind) -> Arc<Party> {
        Arc::new(self.inner.directory.load().party(protocol, address, kind))
    }

    /// The clock of the role.
    pub fn now(&self) -> Timestamp {
        #[allow(clippy::disallowed_methods, reason = "the judge is where time enters")]
        Timestamp::now()
    }

    /// Whether nothing more should be read until the journal has caught up.
    pub fn is_saturated(&self) -> bool {
        self.inner.journal.as_ref().is_some_and(|journal| journal.saturated())
    }

    /// Puts another rule set in force.
    pub fn set_rules(&self, rules: Rules) {
        self.inner.rules.store(Arc::new(rules));
    }

    /// The rule set in force.
    pub fn rules(&self) -> Arc<Rules> {
        self.inner.rules.load_full()
    }

    /// Puts another directory in force.
    pub fn set_directory(&self, directory: Directory) {
        self.inner.directory.store(Arc::new(directory));
    }

    /// Copies and echoes that were recognised since the start.
    pub fn copies(&self) -> u64 {
        self.inner.copies.load(Ordering::Relaxed)
    }

    /// The journal, for roles that put their own entries on record.
    pub fn journal(&self) -> Option<&Arc<Journal>> {
        self.inner.journal.as_ref()
    }

    /// The store.
    pub fn store(&self) -> Option<&Arc<Store>> {
        self.inner.store.as_ref()
    }
}

impl Inner {
    /// Detects, decides and puts on record.
    fn rule(
        &self,
        message: Message,
        facts: &Facts,
        answers: &Answers,
        bytes: Option<&Bytes>,
    ) -> (Ruled, Option<store::Ticket>) {
        let (findings, mut verdict) = self.weigh(&message, facts, answers);
        let score = findings.score();
        let findings = findings.into_vec();
        let id = self.ids.next(message.time);
        if verdict.effect == Effect::Quarantine
            && let Some(refused) = self.keep(id, &message, &findings, &verdict, bytes)
        {
            verdict = Arc::new(refused);
        }
        self.crossings.lock().crossed_as(&message, &facts.digest, verdict.clone());
        let rules = self.rules.load();
        let recorded = self.journal.as_ref().map(|journal| {
            let made = record::Judged { id, message: &message, facts, findings: &findings, score, verdict: &verdict };
            journal.append(made.entry(&rules, self.settings.record_bodies))
        });
        record::count(&findings);
        (Ruled { verdict, findings, message: Box::new(message) }, recorded)
    }

    /// What is seen in a message, and what the rules say to it.
    fn weigh(&self, message: &Message, facts: &Facts, answers: &Answers) -> (Findings, Arc<Verdict>) {
        let rules = self.rules.load();
        let case = Case { message, facts, answers };
        let mut findings = Findings::default();
        for detector in &rules.detectors {
            detector.inspect(&case, &mut findings);
        }
        for tracker in self.trackers.lock().iter_mut() {
            tracker.observe(&case, &mut findings);
        }
        let kinds: Vec<&str> = answers.files.iter().map(|answer| answer.facts.kind).collect();
        let subject = Subject {
            kind: message.kind,
            direction: message.direction,
            protocol: message.protocol,
            from: &message.from,
            to: &message.to,
            findings: findings.as_slice(),
            score: findings.score(),
            sealed: message.sealed(),
            file_kinds: &kinds,
            time: message.time,
        };
        let verdict = match rules.policy.decide(&subject) {
            Ok(verdict) => fault::of_lookups(verdict, &answers.faults, self.settings.on_fault),
            Err(eval) => fault::of_rule(&eval, self.settings.on_fault),
        };
        (findings, verdict)
    }
}
