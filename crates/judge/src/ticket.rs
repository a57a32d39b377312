//! A [`Ticket`] turns into a ruling once the ruling is on record.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use model::{Finding, Message, Verdict};
use tokio::sync::oneshot;

use crate::first::First;
use crate::{Judge, fault};

/// What was decided about a message.
#[derive(Debug)]
pub struct Ruled {
    /// What is to be done and why.
    pub verdict: Arc<Verdict>,
    /// What was found.
    pub findings: Arc<[Finding]>,
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
    Recording(Judge, Arc<First>, Option<Ruled>),
    /// Waits for a look-up. The message without its content, should the look-up die.
    Slow(Judge, oneshot::Receiver<(Ruled, Arc<First>)>, Option<Box<Message>>),
    /// A copy of a message whose first crossing is being judged or recorded.
    Copy(Judge, Arc<First>, Option<Box<Message>>),
}

impl Ticket {
    pub(crate) fn known(ruled: Ruled) -> Ticket {
        Ticket { state: State::Known(Some(ruled)) }
    }

    pub(crate) fn recording(judge: Judge, first: Arc<First>, ruled: Ruled) -> Ticket {
        Ticket { state: State::Recording(judge, first, Some(ruled)) }
    }

    pub(crate) fn copy(judge: Judge, first: Arc<First>, message: Box<Message>) -> Ticket {
        Ticket { state: State::Copy(judge, first, Some(message)) }
    }

    pub(crate) fn slow(judge: Judge, message: &Message) -> (oneshot::Sender<(Ruled, Arc<First>)>, Ticket) {
        let (sender, receiver) = oneshot::channel();
        let m = message;
        let envelope = Message::new(m.protocol, m.kind, m.direction, m.time, m.from.clone(), m.to.clone());
        (sender, Ticket { state: State::Slow(judge, receiver, Some(Box::new(envelope))) })
    }

    /// Whether it waits for a look-up rather than for the disk: frames of other
    /// conversations need not wait behind it.
    pub fn is_slow(&self) -> bool {
        match &self.state {
            State::Slow(..) => true,
            State::Copy(_, first, _) => first.settled().is_none(),
            State::Known(_) | State::Recording(..) => false,
        }
    }

    /// The ruling, once it is on record. Not to be polled again after that.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ruled> {
        loop {
            match &mut self.state {
                State::Known(ruled) => return ruled.take().map_or(Poll::Pending, Poll::Ready),
                State::Recording(judge, first, ruled) => {
                    let outcome = std::task::ready!(first.poll(cx));
                    let Some(mut ruled) = ruled.take() else { return Poll::Pending };
                    if let Err(fault) = outcome {
                        ruled.verdict = fault::of_journal(ruled.verdict, &fault, judge.on_fault());
                    }
                    return Poll::Ready(ruled);
                }
                State::Copy(judge, first, message) => {
                    let outcome = std::task::ready!(first.poll(cx));
                    let Some(message) = message.take() else { return Poll::Pending };
                    let mut ruled = judge.rule_copy(first, message);
                    if let Err(fault) = outcome {
                        ruled.verdict = fault::of_journal(ruled.verdict, &fault, judge.on_fault());
                    }
                    return Poll::Ready(ruled);
                }
                State::Slow(judge, receiver, envelope) => {
                    let judge = judge.clone();
                    match std::task::ready!(Pin::new(receiver).poll(cx)) {
                        Ok((ruled, first)) => self.state = State::Recording(judge, first, Some(ruled)),
                        Err(_) => {
                            let Some(message) = envelope.take() else { return Poll::Pending };
                            judge.note("judging a message ended without a result; it was not delivered");
                            let verdict = fault::of_judging();
                            return Poll::Ready(Ruled { verdict, findings: Arc::from([]), message });
                        }
                    }
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
