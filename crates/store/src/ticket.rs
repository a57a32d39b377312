//! A [`Ticket`]: one word that turns from "waiting" to "durable" or "failed",
//! and the waker of the one task that waits for it.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use atomic_waker::AtomicWaker;

use crate::{Fault, FaultKind};

const WAITING: u8 = 0;
const DURABLE: u8 = 1;
const FAILED: u8 = 2;

/// Resolves when a record is durable, to its number in the writer's chain, or
/// with the reason why it is not.
///
/// It can be polled from any task, awaited, or waited for by a thread; one at a
/// time, for it remembers the last waker only. Dropping it does not take the
/// record back.
#[must_use = "a record is durable only when its ticket says so"]
#[derive(Debug)]
pub struct Ticket {
    slot: Arc<Slot>,
}

/// The journal's half. Dropped unresolved (the thread is gone), it fails the ticket.
#[derive(Debug)]
pub(crate) struct Promise {
    slot: Arc<Slot>,
}

#[derive(Debug, Default)]
struct Slot {
    state: AtomicU8,
    seq: AtomicU64,
    fault: OnceLock<Fault>,
    waker: AtomicWaker,
}

pub(crate) fn pair() -> (Promise, Ticket) {
    let slot = Arc::new(Slot::default());
    (Promise { slot: slot.clone() }, Ticket { slot })
}

impl Ticket {
    /// Whether it is resolved, and how; registers the task when it is not.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<u64, Fault>> {
        if let Some(outcome) = self.outcome() {
            return Poll::Ready(outcome);
        }
        self.slot.waker.register(cx.waker());
        // It may have been resolved between the look and the registration.
        self.outcome().map_or(Poll::Pending, Poll::Ready)
    }

    /// Whether it is resolved, without waiting.
    pub fn is_done(&self) -> bool {
        self.slot.state.load(Ordering::Acquire) != WAITING
    }

    /// How it was resolved, when it is.
    pub fn outcome(&self) -> Option<Result<u64, Fault>> {
        match self.slot.state.load(Ordering::Acquire) {
            WAITING => None,
            DURABLE => Some(Ok(self.slot.seq.load(Ordering::Relaxed))),
            _ => Some(Err(self.slot.fault.get().cloned().unwrap_or_else(closed))),
        }
    }

    /// Blocks the thread until it is resolved. For tools and tests, not for tasks.
    pub fn wait(&self) -> Result<u64, Fault> {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut cx = Context::from_waker(&waker);
        loop {
            match self.poll(&mut cx) {
                Poll::Ready(outcome) => return outcome,
                Poll::Pending => std::thread::park(),
            }
        }
    }
}

impl Future for Ticket {
    type Output = Result<u64, Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Ticket::poll(&self, cx)
    }
}

impl Promise {
    /// Resolves the ticket; the first outcome stands.
    pub(crate) fn resolve(&self, outcome: Result<u64, Fault>) {
        if self.slot.state.load(Ordering::Relaxed) != WAITING {
            return;
        }
        let state = match outcome {
            Ok(seq) => {
                self.slot.seq.store(seq, Ordering::Relaxed);
                DURABLE
            }
            Err(fault) => {
                self.slot.fault.get_or_init(|| fault);
                FAILED
            }
        };
        self.slot.state.store(state, Ordering::Release);
        self.slot.waker.wake();
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.resolve(Err(closed()));
    }
}

fn closed() -> Fault {
    Fault::new(FaultKind::Closed, "the journal has ended")
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_outcome_stands() {
        let (promise, ticket) = pair();
        assert!(!ticket.is_done());
        promise.resolve(Ok(7));
        promise.resolve(Err(closed()));
        drop(promise);
        assert_eq!(ticket.wait(), Ok(7));
    }

    #[test]
    fn a_ticket_fails_when_nobody_is_left_to_resolve_it() {
        let (promise, ticket) = pair();
        let waiter = std::thread::spawn(move || ticket.wait());
        drop(promise);
        assert_eq!(waiter.join().unwrap().unwrap_err().kind, FaultKind::Closed);
    }
}
