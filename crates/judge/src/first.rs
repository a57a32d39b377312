//! The first crossing of a message: what its copies wait for and share.

use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};

use model::{Finding, Verdict};
use parking_lot::Mutex;
use smallvec::SmallVec;

/// What the first crossing came to.
pub(crate) struct Settled {
    pub(crate) verdict: Arc<Verdict>,
    pub(crate) findings: Arc<[Finding]>,
    pub(crate) score: f32,
    pub(crate) file_kinds: Vec<&'static str>,
    /// Its record on the way to the disk; `None` where none is kept.
    pub(crate) record: Option<store::Ticket>,
}

/// A first crossing: being judged, then being recorded. Several sessions may
/// wait for it; the journal wakes it, and it wakes them all.
#[derive(Default)]
pub(crate) struct First {
    settled: OnceLock<Settled>,
    wakers: Mutex<SmallVec<[Waker; 1]>>,
}

impl First {
    /// It was judged, and its record is on its way.
    pub(crate) fn settle(&self, settled: Settled) {
        let _once = self.settled.set(settled);
        self.wake_all();
    }

    /// What it came to, when it was judged.
    pub(crate) fn settled(&self) -> Option<&Settled> {
        self.settled.get()
    }

    /// Whether nothing was found and the record is durable: there is nothing left to remember.
    pub(crate) fn is_plain(&self) -> bool {
        self.settled.get().is_some_and(|settled| {
            let durable = settled.record.as_ref().is_none_or(|record| matches!(record.outcome(), Some(Ok(_))));
            durable && settled.findings.is_empty() && settled.file_kinds.is_empty() && !settled.verdict.on_fault
        })
    }

    /// Ready when it is judged and on record, or could not be recorded.
    pub(crate) fn poll(self: &Arc<Self>, cx: &mut Context<'_>) -> Poll<Result<(), store::Fault>> {
        if let Some(settled) = self.settled.get() {
            match settled.record.as_ref().map(store::Ticket::outcome) {
                None => return Poll::Ready(Ok(())),
                Some(Some(outcome)) => return Poll::Ready(outcome.map(drop)),
                Some(None) => {}
            }
        }
        {
            let mut wakers = self.wakers.lock();
            if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
                wakers.push(cx.waker().clone());
            }
        }
        // Something may have happened between the look and the registration.
        match self.settled.get() {
            None => Poll::Pending,
            Some(Settled { record: None, .. }) => Poll::Ready(Ok(())),
            Some(Settled { record: Some(record), .. }) => {
                let all = Waker::from(Arc::clone(self));
                record.poll(&mut Context::from_waker(&all)).map(|outcome| outcome.map(drop))
            }
        }
    }

    fn wake_all(&self) {
        let wakers = std::mem::take(&mut *self.wakers.lock());
        for waker in wakers {
            waker.wake();
        }
    }
}

impl Wake for First {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }
}
