//! Group commit: the journal's thread takes what is queued, chains it, and gives
//! it to a [`Log`] in one transaction. While that is being made durable, the
//! next group gathers by itself.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::chain::{self, ChainHash, Tip};
use crate::journal::Shared;
use crate::queue::{Pending, Taken};
use crate::{Entry, Fault, FaultKind, Head, Heads, Options, Signer};

/// What a backend of the journal does: one transaction at a time, all or nothing.
pub trait Log: Send {
    /// The chain as it was last committed. After a fault it is asked again, and
    /// is then expected to have repaired what can be repaired (reconnected).
    fn state(&mut self) -> Result<State, Fault>;
    /// Begins a transaction.
    fn begin(&mut self) -> Result<(), Fault>;
    /// Adds the next record.
    fn insert(&mut self, row: &Row<'_>) -> Result<(), Fault>;
    /// Adds a signed head for the record inserted or committed last.
    fn head(&mut self, head: &Head) -> Result<(), Fault>;
    /// Makes the transaction durable as chosen when it was opened.
    fn commit(&mut self, state: &State) -> Result<(), Fault>;
    /// Gives the transaction up.
    fn rollback(&mut self);
    /// Makes all that was committed survive loss of power, whatever the durability.
    fn sync(&mut self) -> Result<(), Fault>;
    /// Signed heads after record `seq`, oldest first, a bounded number.
    fn heads_after(&mut self, seq: u64) -> Result<Vec<Head>, Fault>;
}

/// One record as it is stored.
#[derive(Debug)]
pub struct Row<'a> {
    /// Its number in the chain.
    pub seq: u64,
    /// The JSON that the chain is over.
    pub json: &'a [u8],
    /// Its hash.
    pub hash: &'a ChainHash,
    /// Salt and body, when one is kept.
    pub body: Option<(&'a [u8; 16], &'a [u8])>,
}

/// How far a writer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The last record.
    pub tip: Tip,
    /// The last record that a head was signed for.
    pub headed: u64,
    /// The last record whose head is in the heads file.
    pub filed: u64,
}

/// The journal's thread.
pub(crate) struct Writer {
    log: Box<dyn Log>,
    name: String,
    signer: Signer,
    heads: Heads,
    shared: Arc<Shared>,
    /// As committed; replaced by a group's own copy when that commits.
    state: State,
    /// After a fault: ask the log what was committed before going on.
    doubtful: bool,
    max_group: usize,
    segment_records: u64,
    segment: Duration,
    sync_heads: bool,
    /// When the oldest record without a head has to have one.
    due: Option<Instant>,
    json: Vec<u8>,
    salts: Salts,
    faults: Loud,
    head_faults: Loud,
    /// After the heads file failed: not tried again before this.
    heads_pause: Option<Instant>,
}

/// How long a heads file that failed is left alone.
const HEADS_PAUSE: Duration = Duration::from_secs(5);

impl Writer {
    pub(crate) fn new(
        log: Box<dyn Log>,
        state: State,
        signer: Signer,
        heads: Heads,
        options: &Options,
        shared: Arc<Shared>,
    ) -> Writer {
        Writer {
            log,
            name: options.writer.clone(),
            signer,
            heads,
            shared,
            state,
            doubtful: false,
            max_group: options.max_group.max(1),
            segment_records: options.segment_records.max(1),
            segment: Duration::from_secs(options.segment_seconds.max(1)),
            sync_heads: options.durability == crate::Durability::Process,
            due: None,
            json: Vec::with_capacity(4_096),
            salts: Salts::new(),
            faults: Loud::default(),
            head_faults: Loud::default(),
            heads_pause: None,
        }
    }

    /// Works until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        let shared = self.shared.clone();
        let _abandon = Abandon(&shared);
        self.sign_tail();
        self.file_heads();
        let mut batch = VecDeque::new();
        let mut group = Vec::with_capacity(self.max_group);
        loop {
            match shared.queue.take(&mut batch, self.due) {
                Taken::Work => {
                    while !batch.is_empty() {
                        group.extend(batch.drain(..batch.len().min(self.max_group)));
                        self.commit(&mut group);
                    }
                }
                Taken::Late => self.sign_tail(),
                Taken::Closed => break,
            }
            self.file_heads();
        }
        self.sign_tail();
        self.heads_pause = None;
        self.file_heads();
    }

    /// Makes one group durable and resolves its tickets, for better or worse.
    fn commit(&mut self, group: &mut Vec<Pending>) {
        let outcome = self.transact(group);
        let bytes = group.iter().map(|pending| pending.weight).sum();
        self.count(&outcome, group.len());
        self.shared.queue.settle(group.len(), bytes);
        for pending in group.iter() {
            pending.promise.resolve(outcome.clone().map(|()| pending.seq));
        }
        group.clear();
    }

    fn transact(&mut self, group: &mut [Pending]) -> Result<(), Fault> {
        let written = self.write(group);
        match written {
            Ok(state) => {
                let headed = state.headed > self.state.headed;
                self.state = state;
                if headed {
                    self.due = None;
                } else if state.tip.seq > state.headed && self.due.is_none() {
                    self.due = Some(Instant::now() + self.segment);
                }
                Ok(())
            }
            Err(fault) => {
                self.log.rollback();
                self.doubtful = true;
                Err(fault)
            }
        }
    }

    fn write(&mut self, group: &mut [Pending]) -> Result<State, Fault> {
        self.settle_doubt()?;
        let mut state = self.state;
        self.log.begin()?;
        for pending in group {
            let salt = match encode(&mut self.json, &mut self.salts, pending) {
                Ok(salt) => salt,
                Err(fault) if fault.kind == FaultKind::Invalid => {
                    self.shared.invalid();
                    pending.promise.resolve(Err(fault));
                    continue;
                }
                Err(fault) => return Err(fault),
            };
            state.tip = state.tip.next(&self.json);
            pending.seq = state.tip.seq;
            let body = salt.as_ref().zip(pending.entry.body.as_deref());
            self.log.insert(&Row { seq: state.tip.seq, json: &self.json, hash: &state.tip.hash, body })?;
        }
        if state.tip.seq - state.headed >= self.segment_records {
            self.add_head(&mut state)?;
        }
        self.log.commit(&state)?;
        Ok(state)
    }

    /// After a fault the log may hold more than this thread knows (a commit that
    /// failed late), so it is asked.
    fn settle_doubt(&mut self) -> Result<(), Fault> {
        if self.doubtful {
            self.state = self.log.state()?;
            self.doubtful = false;
        }
        Ok(())
    }

    fn add_head(&mut self, state: &mut State) -> Result<(), Fault> {
        self.log.head(&self.signer.sign(&self.name, &state.tip, Timestamp::now()))?;
        state.headed = state.tip.seq;
        Ok(())
    }

    /// Signs a head for the records that have none.
    fn sign_tail(&mut self) {
        self.due = None;
        if self.state.tip.seq == self.state.headed {
            return;
        }
        let mut sign = || {
            self.settle_doubt()?;
            let mut state = self.state;
            self.log.begin()?;
            self.add_head(&mut state)?;
            self.log.commit(&state)?;
            Ok(state)
        };
        match sign() {
            Ok(state) => self.state = state,
            Err(fault) => {
                self.log.rollback();
                self.doubtful = true;
                self.due = Some(Instant::now() + self.segment);
                self.faults.tell(&fault, "a head cannot be signed", 0);
            }
        }
    }

    /// Brings heads that are committed to the heads file. What fails is tried
    /// again a little later and at the end; that it was done is noted with the
    /// next commit.
    fn file_heads(&mut self) {
        let paused = self.heads_pause.is_some_and(|until| Instant::now() < until);
        if self.state.headed == self.state.filed || self.doubtful || paused {
            return;
        }
        match self.append_heads() {
            Ok(()) => {
                self.heads_pause = None;
                self.head_faults.recovered("the heads file is written again");
            }
            Err(fault) => {
                self.heads_pause = Some(Instant::now() + HEADS_PAUSE);
                self.head_faults.tell(&fault, "signed heads do not reach their file", 0);
            }
        }
    }

    fn append_heads(&mut self) -> Result<(), Fault> {
        // A head that left this machine must not be ahead of what a loss of power leaves.
        if self.sync_heads {
            self.log.sync()?;
        }
        while self.state.filed < self.state.headed {
            let heads = self.log.heads_after(self.state.filed)?;
            let lines: Vec<_> = heads.iter().map(Head::line).collect();
            self.heads.append(&lines).map_err(|error| {
                let detail = format!("{}: {error}", self.heads.path().display());
                Fault::new(FaultKind::Io, detail)
            })?;
            self.shared.heads(lines.len());
            self.state.filed = heads.last().map_or(self.state.headed, |head| head.seq);
        }
        Ok(())
    }

    fn count(&mut self, outcome: &Result<(), Fault>, records: usize) {
        match outcome {
            Ok(()) => {
                self.shared.committed(self.state.tip.seq, records);
                self.faults.recovered("records are durable again");
            }
            Err(fault) => {
                self.shared.failed(fault, records);
                self.faults.tell(fault, "records are not durable", records);
            }
        }
    }
}

/// Fails whatever is queued when the thread ends, however it ends.
struct Abandon<'a>(&'a Shared);

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        self.0.queue.abandon();
    }
}

/// Writes a record's JSON into `json`, with the commitment to its body as the last member; gives the salt.
fn encode(json: &mut Vec<u8>, salts: &mut Salts, pending: &Pending) -> Result<Option<[u8; 16]>, Fault> {
    let Entry { json: record, body } = &pending.entry;
    let Some(members) = record.strip_suffix(b"}") else {
        return Err(Fault::new(
            FaultKind::Invalid,
            "the record can't be said in JSON (a score is not a finite number)",
        ));
    };
    json.clear();
    let Some(body) = body else {
        json.extend_from_slice(record);
        return Ok(None);
    };
    let salt = salts.next()?;
    json.extend_from_slice(members);
    json.extend_from_slice(b",\"body\":");
    let commitment = chain::commitment(&salt, body);
    serde_json::to_writer(&mut *json, &commitment).map_err(|e| Fault::new(FaultKind::Invalid, e.to_string()))?;
    json.push(b'}');
    Ok(Some(salt))
}

/// Random salts, fetched from the system many at a time.
struct Salts {
    bytes: Vec<u8>,
    used: usize,
}

impl Salts {
    const BYTES: usize = 4_096;

    fn new() -> Salts {
        Salts { bytes: vec![0; Salts::BYTES], used: Salts::BYTES }
    }

    fn next(&mut self) -> Result<[u8; 16], Fault> {
        if self.used >= Salts::BYTES {
            getrandom::fill(&mut self.bytes).map_err(|error| Fault::new(FaultKind::Io, error.to_string()))?;
            self.used = 0;
        }
        let mut salt = [0; 16];
        salt.copy_from_slice(&self.bytes[self.used..self.used + 16]);
        self.bytes[self.used..self.used + 16].fill(0);
        self.used += 16;
        Ok(salt)
    }
}

/// Says a fault at once, then at most every ten seconds what has come together.
#[derive(Default)]
struct Loud {
    last: Option<Instant>,
    faults: u64,
    records: u64,
}

impl Loud {
    const EVERY: Duration = Duration::from_secs(10);

    fn tell(&mut self, fault: &Fault, what: &str, records: usize) {
        self.faults += 1;
        self.records += records as u64;
        let now = Instant::now();
        if self.last.is_none_or(|last| now.duration_since(last) >= Loud::EVERY) {
            let (faults, records) = (self.faults, self.records);
            tracing::error!(
                kind = fault.kind.name(),
                faults,
                records,
                "journal: {what}: {}: {}",
                fault.detail,
                fault.kind.advice()
            );
            *self = Loud { last: Some(now), ..Loud::default() };
        }
    }

    fn recovered(&mut self, what: &str) {
        if self.last.is_some() {
            tracing::warn!(faults = self.faults, records = self.records, "journal: {what}");
            *self = Loud::default();
        }
    }
}
