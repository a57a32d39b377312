//! The [`Journal`]: what a process appends to. It hands entries to its own
//! thread and gives a ticket for each; nothing here waits for the disk.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use parking_lot::Mutex;

use crate::group::{Log, Writer};
use crate::queue::{Queue, Relief};
use crate::sqlite::journal::SqliteLog;
use crate::{Entry, Error, Fault, Heads, Options, Signer, Ticket, sqlite};

/// One writer's chain, open for appending. Shared behind an `Arc`.
///
/// Dropping it does what [`Journal::close`] does.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Journal {
    /// Opens the journal of a data directory on SQLite, creating what is
    /// missing, and continues the writer's chain after its last record.
    ///
    /// The end of the chain is checked; a head is signed for what a crash left
    /// without one.
    pub fn open(dir: &Path, options: Options) -> Result<Journal, Error> {
        options.check()?;
        sqlite::create_dir(dir)?;
        let signer = Signer::open(dir)?;
        let heads = Heads::at(options.heads.clone().unwrap_or_else(|| dir.join(sqlite::HEADS)));
        let log = SqliteLog::open(dir, &options, &heads)?;
        Journal::start(Box::new(log), signer, heads, &options)
    }

    /// Starts the journal's thread on any backend.
    pub fn start(mut log: Box<dyn Log>, signer: Signer, heads: Heads, options: &Options) -> Result<Journal, Error> {
        let state = log.state()?;
        let shared = Arc::new(Shared {
            queue: Arc::new(Queue::new(options.max_backlog, options.max_backlog_bytes)),
            durable: AtomicU64::new(state.tip.seq),
            counters: Counters::default(),
            last_fault: Mutex::new(None),
        });
        let writer = Writer::new(log, state, signer, heads, options, shared.clone());
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run())
            .map_err(Error::Thread)?;
        Ok(Journal { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Appends a record; the ticket resolves when it is durable.
    ///
    /// It never blocks on the disk and never waits: when the queue is full, the
    /// ticket has already failed with [`FaultKind::Saturated`] and the record
    /// was not taken. Sessions that look at [`Journal::saturated`] before they
    /// read (or await [`Journal::relief`]) do not get there.
    ///
    /// [`FaultKind::Saturated`]: crate::FaultKind::Saturated
    pub fn append(&self, entry: Entry) -> Ticket {
        self.shared.queue.push(entry)
    }

    /// Records that are not durable yet.
    pub fn backlog(&self) -> usize {
        self.shared.queue.backlog()
    }

    /// Whether so much waits that nothing more should be read: from three
    /// quarters of a bound until below one half.
    pub fn saturated(&self) -> bool {
        self.shared.queue.saturated()
    }

    /// Resolves once the journal is not saturated.
    pub fn relief(&self) -> Relief {
        Relief::new(self.shared.queue.clone())
    }

    /// Number of the last durable record in this writer's chain.
    pub fn durable(&self) -> u64 {
        self.shared.durable.load(Ordering::Acquire)
    }

    /// Whether the journal takes records: `false` after [`Journal::close`], or
    /// when its thread has ended for any other reason.
    pub fn is_open(&self) -> bool {
        !self.shared.queue.is_closed()
    }

    /// Counters since it was opened, and the fault that is in force.
    pub fn stats(&self) -> Stats {
        let counters = &self.shared.counters;
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            durable: self.durable(),
            backlog: self.backlog(),
            records: get(&counters.records),
            groups: get(&counters.groups),
            failed_records: get(&counters.failed_records),
            failed_groups: get(&counters.failed_groups),
            refused: self.shared.queue.refused() as u64,
            heads: get(&counters.heads),
            fault: self.shared.last_fault.lock().clone(),
        }
    }

    /// Takes nothing more, makes durable what waits, signs the last head, and
    /// gives the writer's name free. Blocks until that is done; does nothing the
    /// second time.
    pub fn close(&self) {
        self.shared.queue.close();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("journal: its thread had panicked; records after {} were refused", self.durable());
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}

/// What a journal has done, for metrics and health checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Number of the last durable record in the chain.
    pub durable: u64,
    /// Records that are not durable yet.
    pub backlog: usize,
    /// Records made durable.
    pub records: u64,
    /// Transactions they took.
    pub groups: u64,
    /// Records that failed.
    pub failed_records: u64,
    /// Transactions that failed.
    pub failed_groups: u64,
    /// Records refused because the queue was full.
    pub refused: u64,
    /// Heads brought to the heads file.
    pub heads: u64,
    /// Why the last group failed; `None` once one succeeds.
    pub fault: Option<Fault>,
}

/// What the journal's thread and its callers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) queue: Arc<Queue>,
    durable: AtomicU64,
    counters: Counters,
    last_fault: Mutex<Option<Fault>>,
}

#[derive(Debug, Default)]
struct Counters {
    records: AtomicU64,
    groups: AtomicU64,
    failed_records: AtomicU64,
    failed_groups: AtomicU64,
    heads: AtomicU64,
}

impl Shared {
    pub(crate) fn committed(&self, seq: u64, records: usize) {
        self.durable.store(seq, Ordering::Release);
        self.counters.records.fetch_add(records as u64, Ordering::Relaxed);
        self.counters.groups.fetch_add(1, Ordering::Relaxed);
        let mut last = self.last_fault.lock();
        if last.is_some() {
            *last = None;
        }
    }

    pub(crate) fn failed(&self, fault: &Fault, records: usize) {
        self.counters.failed_records.fetch_add(records as u64, Ordering::Relaxed);
        self.counters.failed_groups.fetch_add(1, Ordering::Relaxed);
        *self.last_fault.lock() = Some(fault.clone());
    }

    pub(crate) fn invalid(&self) {
        self.counters.failed_records.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn heads(&self, count: usize) {
        self.counters.heads.fetch_add(count as u64, Ordering::Relaxed);
    }
}
