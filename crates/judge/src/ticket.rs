//! A [`Ticket`] turns into a ruling once the ruling is on record.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use model::{Effect, Finding, Message, Verdict};
use tokio::sync::oneshot;

use crate::{Judge, fault};

/// What was decided about a message.
#[derive(Debug)]
pub struct Ruled {
    /// What is to be done and why.
    pub verdict: Arc<Verdict>,
    /// What was found.
    pub findings: Vec<Finding>,
    /// The message, for carrying the verdict out.
    pub message: Box<Message>,
}

/// A message that is being judged or recorded. Polled by one task at a time.
#[must_use = "a message may be delivered only when its ticket says so"]
pub struct Ticket {
    state: State,
}

enum State {
    /// Decided, nothing to wait for; `None` once taken.
    Known(Option<Ruled>),
    /// Decided; the record is on its way to the disk.
    Recording(Judge, store::Ticket, Option<Ruled>),
    /// Waits for a look-up; the message without its content, should the look-up die.
    Slow(Judge, oneshot::Receiver<(Ruled, Option<store::Ticket>)>, Box<Message>),
}

/// The judge's half of a slow ticket.
pub(crate) struct Promise(oneshot::Sender<(Ruled, Option<store::Ticket>)>);

impl Promise {
    pub(crate) fn send(self, outcome: (Ruled, Option<store::Ticket>)) {
        // The session may be gone; the record is made all the same.
        let _gone = self.0.send(outcome);
    }
}

impl Ticket {
    pub(crate) fn known(ruled: Ruled) -> Ticket {
        Ticket { state: State::Known(Some(ruled)) }
    }

    pub(crate) fn recorded(judge: Judge, ruled: Ruled, recorded: Option<store::Ticket>) -> Ticket {
        match recorded {
            None => Ticket::known(ruled),
            Some(recorded) => Ticket { state: State::Recording(judge, recorded, Some(ruled)) },
        }
    }

    pub(crate) fn slow(judge: Judge, message: &Message) -> (Promise, Ticket) {
        let (sender, receiver) = oneshot::channel();
        let m = message;
        let envelope = Message::new(m.protocol, m.kind, m.direction, m.time, m.from.clone(), m.to.clone());
        (Promise(sender), Ticket { state: State::Slow(judge, receiver, Box::new(envelope)) })
    }

    /// Whether it waits for a look-up rather than for the disk: frames of other
    /// conversations need not wait behind it.
    pub fn is_slow(&self) -> bool {
        matches!(self.state, State::Slow(..))
    }

    /// The ruling, once it is on record.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ruled> {
        loop {
            match &mut self.state {
                State::Known(ruled) => {
                    // Polled again after it was ready: a fault of ours, answered on the safe side.
                    return ruled.take().map_or(Poll::Pending, Poll::Ready);
                }
                State::Recording(judge, recorded, ruled) => {
                    let outcome = std::task::ready!(recorded.poll(cx));
                    let Some(mut ruled) = ruled.take() else { return Poll::Pending };
                    if let Err(fault) = outcome {
                        ruled.verdict = fault::of_journal(ruled.verdict, &fault, judge.inner.settings.on_fault);
                    }
                    self.state = State::Known(None);
                    return Poll::Ready(ruled);
                }
                State::Slow(judge, receiver, envelope) => {
                    let outcome = std::task::ready!(Pin::new(receiver).poll(cx));
                    let judge = judge.clone();
                    let (ruled, recorded) = outcome.unwrap_or_else(|_| {
                        let faults = ["judging ended without a result".to_owned()];
                        let verdict = fault::of_lookups(Arc::default(), &faults, judge.inner.settings.on_fault);
                        (Ruled { verdict, findings: Vec::new(), message: envelope.clone() }, None)
                    });
                    *self = Ticket::recorded(judge, ruled, recorded);
                }
            }
        }
    }
}

impl Future for Ticket {
    type Output = Ruled;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ruled> {
        self.get_mut().poll(cx)
    }
}

impl Ruled {
    /// Whether the message goes on unchanged.
    pub fn is_allowed(&self) -> bool {
        self.verdict.effect == Effect::Allow
    }
}
