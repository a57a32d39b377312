//! The bounded queue between sessions and the journal's thread: what waits, how
//! much of it, and who waits for it to become less.
//!
//! A record counts as backlog until it is durable or has failed, so the bound
//! holds for what is in a transaction too.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use crate::ticket::{Promise, pair};
use crate::{Entry, Fault, FaultKind, Ticket};

/// One entry on its way.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) entry: Entry,
    pub(crate) promise: Promise,
    /// Its share of the byte bound.
    pub(crate) weight: usize,
    /// Its number, once it has one.
    pub(crate) seq: u64,
}

/// What woke the journal's thread.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// There is work in the batch.
    Work,
    /// The deadline passed.
    Late,
    /// Nothing is left and nothing more will come.
    Closed,
}

#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    work: Condvar,
    max_records: usize,
    max_bytes: usize,
    backlog: AtomicUsize,
    saturated: AtomicBool,
    refused: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Pending>,
    records: usize,
    bytes: usize,
    asleep: bool,
    closed: bool,
    waiting: BTreeMap<u64, Waker>,
    next_key: u64,
}

impl Queue {
    pub(crate) fn new(max_records: usize, max_bytes: usize) -> Queue {
        Queue {
            state: Mutex::new(State::default()),
            work: Condvar::new(),
            max_records: max_records.max(1),
            max_bytes: max_bytes.max(1),
            backlog: AtomicUsize::new(0),
            saturated: AtomicBool::new(false),
            refused: AtomicUsize::new(0),
        }
    }

    /// Takes an entry, or fails its ticket at once; never blocks on the disk.
    pub(crate) fn push(&self, entry: Entry) -> Ticket {
        let weight = weight(&entry);
        let (promise, ticket) = pair();
        let mut state = self.state.lock();
        if state.closed {
            promise.resolve(Err(Fault::new(FaultKind::Closed, "the journal is closed")));
            return ticket;
        }
        // An entry larger than the whole bound is still taken when it is alone.
        let room = state.records < self.max_records && (state.records == 0 || state.bytes + weight <= self.max_bytes);
        if !room {
            drop(state);
            self.refused.fetch_add(1, Ordering::Relaxed);
            let detail = format!("{} records wait already", self.backlog());
            promise.resolve(Err(Fault::new(FaultKind::Saturated, detail)));
            return ticket;
        }
        state.items.push_back(Pending { entry, promise, weight, seq: 0 });
        state.records += 1;
        state.bytes += weight;
        self.publish(&state);
        let wake = std::mem::take(&mut state.asleep);
        drop(state);
        if wake {
            self.work.notify_one();
        }
        ticket
    }

    /// Moves all that waits into `batch` (empty), or sleeps until there is some.
    pub(crate) fn take(&self, batch: &mut VecDeque<Pending>, deadline: Option<Instant>) -> Taken {
        let mut state = self.state.lock();
        while state.items.is_empty() {
            if state.closed {
                return Taken::Closed;
            }
            state.asleep = true;
            let late = match deadline {
                Some(deadline) => self.work.wait_until(&mut state, deadline).timed_out(),
                None => {
                    self.work.wait(&mut state);
                    false
                }
            };
            state.asleep = false;
            if late && state.items.is_empty() && !state.closed {
                return Taken::Late;
            }
        }
        std::mem::swap(&mut state.items, batch);
        Taken::Work
    }

    /// Takes resolved entries off the backlog.
    pub(crate) fn settle(&self, records: usize, bytes: usize) {
        let mut state = self.state.lock();
        state.records = state.records.saturating_sub(records);
        state.bytes = state.bytes.saturating_sub(bytes);
        self.publish(&state);
        let relieved = if self.saturated() { BTreeMap::new() } else { std::mem::take(&mut state.waiting) };
        drop(state);
        relieved.into_values().for_each(Waker::wake);
    }

    /// Refuses what comes from now on; what waits is still taken.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.work.notify_all();
        waiting.into_values().for_each(Waker::wake);
    }

    /// For the end of the journal's thread, however it comes: fails what waits.
    pub(crate) fn abandon(&self) {
        self.close();
        let left = std::mem::take(&mut self.state.lock().items);
        self.settle(left.len(), left.iter().map(|p| p.weight).sum());
        drop(left);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    pub(crate) fn backlog(&self) -> usize {
        self.backlog.load(Ordering::Relaxed)
    }

    pub(crate) fn saturated(&self) -> bool {
        self.saturated.load(Ordering::Relaxed)
    }

    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    /// Saturation begins at three quarters of a bound and ends below one half,
    /// so that sessions do not stop and start with every group.
    fn publish(&self, state: &State) {
        let above = |share: usize| {
            state.records >= (self.max_records / 4 * share).max(1) || state.bytes >= (self.max_bytes / 4 * share).max(1)
        };
        let saturated = if self.saturated() { above(2) } else { above(3) };
        self.saturated.store(saturated, Ordering::Relaxed);
        self.backlog.store(state.records, Ordering::Relaxed);
    }
}

/// What an entry occupies.
fn weight(entry: &Entry) -> usize {
    size_of::<Pending>() + entry.json.capacity() + entry.body.as_ref().map_or(0, Vec::capacity)
}

/// Resolves when the journal is not saturated (or is closed: then an append
/// says so). A session awaits it before it reads on.
#[must_use = "it does nothing unless awaited"]
#[derive(Debug)]
pub struct Relief {
    queue: Arc<Queue>,
    key: Option<u64>,
}

impl Relief {
    pub(crate) fn new(queue: Arc<Queue>) -> Relief {
        Relief { queue, key: None }
    }
}

impl Future for Relief {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if !this.queue.saturated() {
            return Poll::Ready(());
        }
        let mut state = this.queue.state.lock();
        if state.closed || !this.queue.saturated() {
            return Poll::Ready(());
        }
        let key = *this.key.get_or_insert_with(|| {
            state.next_key += 1;
            state.next_key
        });
        state.waiting.insert(key, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Relief {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.queue.state.lock().waiting.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use model::{Record, RecordKind};
    use uuid::Uuid;

    use super::*;

    fn entry(body: usize) -> Entry {
        let record = Record::new(Uuid::nil(), Timestamp::UNIX_EPOCH, RecordKind::Message);
        Entry::new(&record, Some(vec![0; body]))
    }

    #[test]
    fn a_full_queue_refuses_and_recovers() {
        let queue = Queue::new(8, 1 << 20);
        let tickets: Vec<_> = (0..8).map(|_| queue.push(entry(0))).collect();
        assert!(tickets.iter().all(|t| !t.is_done()));
        let refused = queue.push(entry(0)).outcome().unwrap().unwrap_err();
        assert_eq!(refused.kind, FaultKind::Saturated);
        assert_eq!((queue.backlog(), queue.refused()), (8, 1));

        let mut batch = VecDeque::new();
        assert_eq!(queue.take(&mut batch, None), Taken::Work);
        assert_eq!(queue.backlog(), 8, "what is in a transaction still counts");
        queue.settle(8, batch.iter().map(|p| p.weight).sum());
        assert!(!queue.push(entry(0)).is_done());
    }

    #[test]
    fn bytes_are_bounded_too_but_one_large_entry_passes() {
        let queue = Queue::new(1_000, 10_000);
        let large = queue.push(entry(50_000));
        assert!(!large.is_done());
        assert!(queue.saturated());
        assert!(queue.push(entry(1)).is_done());
    }

    #[test]
    fn relief_comes_below_half_and_not_before() {
        let queue = Arc::new(Queue::new(8, 1 << 20));
        for _ in 0..6 {
            let _ticket = queue.push(entry(0));
        }
        assert!(queue.saturated());
        let mut relief = Relief::new(queue.clone());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut relief).poll(&mut cx).is_pending());
        queue.settle(2, 0);
        assert!(Pin::new(&mut relief).poll(&mut cx).is_pending());
        queue.settle(1, 0);
        assert!(Pin::new(&mut relief).poll(&mut cx).is_ready());
    }

    #[test]
    fn a_dropped_waiter_leaves_nothing_behind() {
        let queue = Arc::new(Queue::new(1, 1 << 20));
        let _ticket = queue.push(entry(0));
        let mut relief = Relief::new(queue.clone());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut relief).poll(&mut cx).is_pending());
        drop(relief);
        assert!(queue.state.lock().waiting.is_empty());
    }
}
