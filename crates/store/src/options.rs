//! What can be chosen when a journal or a store is opened, and what is handed
//! to the journal.

use std::path::PathBuf;
use std::time::Duration;

use model::Record;

use crate::Error;

/// One record to append, with the body it commits to.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What happened: the JSON of a [`Record`] without its `body`, which the journal adds.
    pub json: Vec<u8>,
    /// What was said, when it is to be kept: stored beside the record, outside the chain.
    pub body: Option<Vec<u8>>,
}

impl Entry {
    /// A record and its body. Scores that JSON can't say make an entry that the journal refuses.
    pub fn new(record: &Record, body: Option<Vec<u8>>) -> Entry {
        let sayable = record.score.is_finite() && record.findings.iter().all(|finding| finding.score.is_finite());
        let json = if sayable { serde_json::to_vec(record).unwrap_or_default() } else { Vec::new() };
        Entry { json, body }
    }
}

impl From<Record> for Entry {
    fn from(record: Record) -> Entry {
        Entry::new(&record, None)
    }
}

/// What a resolved ticket promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// On the device (an fsync a group): survives loss of power.
    #[default]
    Power,
    /// In the kernel: survives `kill -9`, not loss of power. Faster; what was
    /// lost then is the end of the chain, which stays valid.
    Process,
}

impl Durability {
    /// The name used in configuration and beside every figure.
    pub fn name(self) -> &'static str {
        match self {
            Durability::Power => "power",
            Durability::Process => "process",
        }
    }
}

/// How a journal is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whose chain this is; one process at a time.
    pub writer: String,
    /// What a resolved ticket promises.
    pub durability: Durability,
    /// Records that may wait to become durable; more are refused.
    pub max_backlog: usize,
    /// Bytes (roughly, bodies included) that may wait; more are refused.
    pub max_backlog_bytes: usize,
    /// Records in one transaction at most.
    pub max_group: usize,
    /// A head is signed after so many records.
    pub segment_records: u64,
    /// A head is signed so many seconds after the first record it covers.
    pub segment_seconds: u64,
    /// Size limit of `journal.db` in bytes, when there is one.
    pub max_bytes: Option<u64>,
    /// Where signed heads are appended; `heads.jsonl` in the data directory when `None`.
    pub heads: Option<PathBuf>,
    /// How long a commit waits for another writer of the same database.
    pub busy_timeout: Duration,
    /// How long opening waits for another process that holds the same writer name.
    pub lock_timeout: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            writer: "gateway".to_owned(),
            durability: Durability::Power,
            max_backlog: 65_536,
            max_backlog_bytes: 64 << 20,
            max_group: 1_024,
            segment_records: 10_000,
            segment_seconds: 60,
            max_bytes: None,
            heads: None,
            busy_timeout: Duration::from_secs(5),
            lock_timeout: Duration::ZERO,
        }
    }
}

impl Options {
    /// The defaults under a writer's name.
    pub fn new(writer: impl Into<String>) -> Options {
        Options { writer: writer.into(), ..Options::default() }
    }

    /// For a tool that adds a few records beside a running gateway: the writer
    /// `operator`, which waits for another tool to finish.
    pub fn operator() -> Options {
        Options { lock_timeout: Duration::from_secs(5), ..Options::new("operator") }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let name = self.writer.as_bytes();
        let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let fits = (1..=64).contains(&name.len())
            && name.first().is_some_and(plain)
            && name.iter().all(|b| plain(b) || matches!(b, b'-' | b'_'));
        if fits { Ok(()) } else { Err(Error::WriterName(self.writer.clone())) }
    }
}

/// How a store is opened: its bounds.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Messages that may be held or await delivery; more are refused.
    pub quarantine_entries: u64,
    /// Bytes of their content; more are refused.
    pub quarantine_bytes: u64,
    /// Settled messages (delivered, destroyed) remembered; the oldest are forgotten.
    pub quarantine_settled: u64,
    /// Upload origins remembered; the oldest are forgotten.
    pub uploads: u64,
    /// File verdicts remembered; the oldest are forgotten.
    pub file_verdicts: u64,
    /// Versions of the policy remembered; the oldest that are not active are forgotten.
    pub policy_versions: u64,
    /// How long a change waits for another process that is changing something.
    pub busy_timeout: Duration,
}

impl Default for StoreOptions {
    fn default() -> StoreOptions {
        StoreOptions {
            quarantine_entries: 100_000,
            quarantine_bytes: 1 << 30,
            quarantine_settled: 100_000,
            uploads: 1_000_000,
            file_verdicts: 200_000,
            policy_versions: 100,
            busy_timeout: Duration::from_secs(5),
        }
    }
}
