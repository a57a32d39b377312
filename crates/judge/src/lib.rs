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
//! or the journal fails is [`Settings::on_fault`], applied in `fault.rs`.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod clamd;
mod crossings;
mod fault;
mod filerules;
mod first;
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
use model::{
    Address, Content, Digest, Direction, Effect, File, Finding, Kind, Message, OnFault, Party, PartyKind, Protocol,
    Verdict,
};
use parking_lot::Mutex;
use policy::{Policy, Subject};
use serde::{Deserialize, Serialize};
use store::{Held, Journal, Store};
use uuid::Uuid;

use crossings::{Crossings, Entered, Standing};
use first::{First, Settled};

pub use filerules::FileRules;
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
    /// Version of the indicators the detectors hold, and of the rules for files.
    pub indicators: Arc<str>,
    /// YARA rules for files.
    pub files: Option<Arc<FileRules>>,
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
    nothing: Arc<[Finding]>,
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
            nothing: Arc::from([]),
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

    /// Judges a message. `frame` is what quarantine would keep; `None` when it can't wait for a person
    /// to decide, and is blocked instead.
    pub fn message(&self, message: Box<Message>, frame: Option<&Bytes>) -> Ticket {
        let digest = facts::digest(&message);
        let first = match self.inner.enter(&message, &digest) {
            Entered::New(first) => first,
            Entered::Known(standing) => {
                self.inner.copies.fetch_add(1, Ordering::Relaxed);
                return match standing {
                    Standing::First(first) => Ticket::copy(self.clone(), first, message),
                    Standing::Plain => Ticket::known(self.inner.rule_plain_copy(message)),
                    Standing::Passed => {
                        let verdict = self.inner.allow.clone();
                        Ticket::known(Ruled { verdict, findings: self.inner.nothing.clone(), message })
                    }
                };
            }
        };
        let facts = facts::extract_known(&message, digest);
        let mut judged = None;
        if !lookup::is_needed(&message) {
            let at_once = self.inner.judge(&message, &facts, &Answers::default());
            if at_once.verdict.effect != Effect::Quarantine {
                let id = self.inner.ids.next(message.time);
                let ruled = self.inner.rule(id, at_once, message, &facts, &first);
                return Ticket::recording(self.clone(), first, ruled);
            }
            judged = Some(at_once);
        }
        // Look-ups and keeping a message in quarantine wait for others; this session's task does not.
        let (sender, ticket) = Ticket::slow(self.clone(), &message);
        let (judge, frame) = (self.clone(), frame.cloned());
        #[allow(
            clippy::disallowed_methods,
            reason = "ends with its own look-up; a panic resolves the ticket as a fault"
        )]
        tokio::spawn(async move {
            let reserved = Reserved(first);
            let (ruled, first) = judge.inner.rule_slowly(message, facts, judged, frame, reserved).await;
            // The session may be gone; the record is made all the same.
            let _gone = sender.send((ruled, first));
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
        let facts = facts::extract(&message);
        let reserved = Reserved(Arc::default());
        let (ruled, first) = self.inner.rule_slowly(Box::new(message), facts, None, None, reserved).await;
        Ticket::recording(self.clone(), first, ruled).await
    }

    /// Judges without a record, for `portcullis scan` and `policy test`: every
    /// message is new, and `message.time` is the clock.
    pub async fn scan(&self, message: Message) -> (Ruled, f32) {
        let mut facts = facts::extract(&message);
        let rules = self.inner.rules.load().files.clone();
        let answers = self.inner.lookups.look_up(&message, &mut facts, rules).await;
        let judged = self.inner.judge(&message, &facts, &answers);
        (Ruled { verdict: judged.verdict, findings: judged.findings, message: Box::new(message) }, judged.score)
    }

    /// A frame was rewritten before it went on: its echoes say this now.
    pub fn expect(&self, message: &Message) {
        let digest = facts::digest(message);
        self.inner.crossings.lock().pass(&message.from, &message.to, &digest);
    }

    /// A message was released from quarantine: it passes where it crosses next.
    pub fn released(&self, held: &Held) {
        self.inner.crossings.lock().released(held);
    }

    /// The ruling on a copy, from what its first crossing found.
    fn rule_copy(&self, first: &First, message: Box<Message>) -> Ruled {
        self.inner.rule_copy(first, message)
    }

    fn on_fault(&self) -> OnFault {
        self.inner.settings.on_fault
    }

    /// A client has logged in; goes on record.
    pub fn login(&self, party: &Party, client: IpAddr, mechanism: &str) {
        self.inner.note_login(Some(party), &party.address.account, client, mechanism, None);
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

/// What judging came to.
struct Judged {
    verdict: Arc<Verdict>,
    findings: Arc<[Finding]>,
    score: f32,
    file_kinds: Vec<&'static str>,
}

/// A first crossing that is being judged. Should judging die, its copies are not left waiting.
struct Reserved(Arc<First>);

impl Drop for Reserved {
    fn drop(&mut self) {
        if self.0.settled().is_none() {
            self.0.settle(Settled {
                verdict: fault::of_judging(),
                findings: Arc::from([]),
                score: 0.0,
                file_kinds: Vec::new(),
                record: None,
            });
        }
    }
}

impl Inner {
    fn enter(&self, message: &Message, digest: &Digest) -> Entered {
        let rules = self.rules.load();
        self.crossings.lock().enter(message, digest, rules.policy.version(), &rules.indicators)
    }

    /// Detects and decides.
    fn judge(&self, message: &Message, facts: &Facts, answers: &Answers) -> Judged {
        let rules = self.rules.load();
        let case = Case { message, facts, answers };
        let mut findings = Findings::default();
        for detector in &rules.detectors {
            detector.inspect(&case, &mut findings);
        }
        for tracker in self.trackers.lock().iter_mut() {
            tracker.observe(&case, &mut findings);
        }
        let file_kinds: Vec<&'static str> = answers.files.iter().map(|answer| answer.facts.kind).collect();
        let score = findings.score();
        let verdict = self.decide(&rules, message, findings.as_slice(), score, &file_kinds);
        let verdict = fault::of_lookups(verdict, &answers.faults, self.settings.on_fault);
        let findings = if findings.as_slice().is_empty() { self.nothing.clone() } else { findings.into_vec().into() };
        Judged { verdict, findings, score, file_kinds }
    }

    fn decide(
        &self,
        rules: &Rules,
        message: &Message,
        findings: &[Finding],
        score: f32,
        kinds: &[&str],
    ) -> Arc<Verdict> {
        let subject = Subject {
            kind: message.kind,
            direction: message.direction,
            protocol: message.protocol,
            from: &message.from,
            to: &message.to,
            findings,
            score,
            sealed: message.sealed(),
            file_kinds: kinds,
            time: message.time,
        };
        rules.policy.decide(&subject).unwrap_or_else(|eval| fault::of_rule(&eval, self.settings.on_fault))
    }

    /// Puts what was judged on record.
    fn rule(&self, id: Uuid, judged: Judged, message: Box<Message>, facts: &Facts, first: &First) -> Ruled {
        let Judged { verdict, findings, score, file_kinds } = judged;
        let rules = self.rules.load();
        let record = self.journal.as_ref().map(|journal| {
            let made = record::Made { id, message: &message, facts, findings: &findings, score, verdict: &verdict };
            journal.append(made.entry(&rules, self.settings.record_bodies))
        });
        record::count(&findings);
        first.settle(Settled { verdict: verdict.clone(), findings: findings.clone(), score, file_kinds, record });
        Ruled { verdict, findings, message }
    }

    /// The same with look-ups, and with quarantine where it is decided.
    async fn rule_slowly(
        &self,
        message: Box<Message>,
        mut facts: Facts,
        judged: Option<Judged>,
        frame: Option<Bytes>,
        reserved: Reserved,
    ) -> (Ruled, Arc<First>) {
        let mut judged = match judged {
            Some(judged) => judged,
            None => {
                let rules = self.rules.load().files.clone();
                let answers = self.lookups.look_up(&message, &mut facts, rules).await;
                self.judge(&message, &facts, &answers)
            }
        };
        let first = reserved.0.clone();
        let id = self.ids.next(message.time);
        if judged.verdict.effect == Effect::Quarantine {
            let held = record::held(id, &message, facts.digest, &judged.findings, &judged.verdict, frame.as_deref());
            if let Some(refused) = record::keep(self.store.clone(), held, &judged.verdict).await {
                judged.verdict = Arc::new(refused);
            }
        }
        (self.rule(id, judged, message, &facts, &first), first)
    }

    /// Decides a copy for its own reader, by the rules in force now and what the first crossing found.
    fn rule_copy(&self, first: &First, message: Box<Message>) -> Ruled {
        let Some(settled) = first.settled() else {
            return Ruled { verdict: fault::of_judging(), findings: self.nothing.clone(), message };
        };
        let verdict = match settled.verdict.on_fault {
            true => settled.verdict.clone(),
            false => {
                let rules = self.rules.load();
                self.decide(&rules, &message, &settled.findings, settled.score, &settled.file_kinds)
            }
        };
        Ruled { verdict, findings: settled.findings.clone(), message }
    }

    /// The same for a copy of something in which nothing was found.
    fn rule_plain_copy(&self, message: Box<Message>) -> Ruled {
        let rules = self.rules.load();
        let verdict = self.decide(&rules, &message, &[], 0.0, &[]);
        Ruled { verdict, findings: self.nothing.clone(), message }
    }
}
