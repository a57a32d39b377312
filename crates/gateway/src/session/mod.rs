//! One session in a straight line: two pumps, two outboxes, an inbox.
//!
//! ```text
//! client leg -> hear -> judge -> outbox -> server leg
//! client leg <- outbox <- judge <- hear <- server leg
//!                 inbox: releases, shutdown, a client that came back
//! ```
//!
//! A session is one task and never waits for one thing while another could go
//! on: whatever is ready is done, in both directions, and writes are never
//! awaited. It is protocol-blind; what frames are and mean is the dialect's.

mod leg;
mod outbox;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use judge::Judge;
use model::Effect;
use tokio::sync::oneshot;
use tokio::time::Sleep;
use tracing::{debug, info, warn};
use wire::dialect::{Dialect, End, Ending, Event, Lane, Parked, Ruling, Step, Tag};
use wire::xmpp::Condition;

pub use leg::{Leg, Stream};
use outbox::{Outbox, Slot, Wait};

use crate::doorkeeper::Pass;
use crate::metrics::Metrics;
use crate::registry::{Claim, Letter, Live, Registry};

/// How long the phases of a session may take.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// From the first byte to being logged in.
    pub login: Duration,
    /// A peer that does not read what is written to it.
    pub stall: Duration,
    /// From the decision to end to the end.
    pub close: Duration,
}

impl Default for Deadlines {
    fn default() -> Deadlines {
        Deadlines { login: Duration::from_secs(30), stall: Duration::from_secs(60), close: Duration::from_secs(5) }
    }
}

/// What all sessions of a gateway share.
pub struct Shared {
    /// Decides on every message.
    pub judge: Judge,
    /// Who is connected, and what waits for those who are not.
    pub registry: Registry,
    /// Counters and histograms.
    pub metrics: Metrics,
    /// Phase deadlines.
    pub deadlines: Deadlines,
}

/// Why the clock is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alarm {
    Login,
    Stall,
    Close,
}

/// How a session ends.
#[derive(Debug)]
enum Close {
    /// Both streams were ended by their peers.
    Orderly,
    /// The client is gone; what it sent is delivered, and its session is kept for its return.
    ClientLost,
    /// The server is gone or has to be left.
    Fault(Ending),
}

/// One client's session, ready to run.
pub struct Session {
    shared: Arc<Shared>,
    dialect: Box<dyn Dialect>,
    legs: [Leg; 2],
    outboxes: [Outbox; 2],
    live: Live,
    /// The client's address, and its place at the door.
    client: SocketAddr,
    pass: Pass,
    unparking: Option<Claim>,
    yielding: Option<oneshot::Sender<Option<Parked>>>,
    closing: Option<Close>,
    alarm: Option<(Alarm, Pin<Box<Sleep>>)>,
    steps: Vec<Step>,
}

const SIDES: [End; 2] = [End::Client, End::Server];

fn index(end: End) -> usize {
    match end {
        End::Client => 0,
        End::Server => 1,
    }
}

thread_local! {
    /// Where bytes are read before it is known whether they have to be kept.
    static SCRATCH: std::cell::RefCell<Vec<u8>> = std::cell::RefCell::new(vec![0; Leg::READ]);
}

impl Session {
    /// A session over two legs that have their TLS. `client_unread` holds what
    /// was read of the client's stream already.
    pub fn new(
        shared: Arc<Shared>,
        dialect: Box<dyn Dialect>,
        client: Leg,
        server: Leg,
        (address, pass): (SocketAddr, Pass),
        started: Instant,
    ) -> Session {
        let live = shared.registry.enter();
        let login = started + shared.deadlines.login;
        Session {
            shared,
            dialect,
            legs: [client, server],
            outboxes: [Outbox::default(), Outbox::default()],
            live,
            client: address,
            pass,
            unparking: None,
            yielding: None,
            closing: None,
            alarm: Some((Alarm::Login, Box::pin(tokio::time::sleep_until(login.into())))),
            steps: Vec::new(),
        }
    }

    fn leg(&mut self, end: End) -> &mut Leg {
        match end {
            End::Client => &mut self.legs[0],
            End::Server => &mut self.legs[1],
        }
    }

    /// Does everything that can be done now; true when anything was.
    fn turn(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = self.read_inbox(cx);
        moved |= self.poll_unpark(cx);
        for end in SIDES {
            moved |= self.pump(end, cx);
        }
        for end in SIDES {
            moved |= self.deliver(end, cx);
        }
        for end in SIDES {
            match self.leg(end).poll_flush(cx) {
                Ok(flushed) => moved |= flushed,
                Err(error) => moved |= self.leg_failed(end, &error),
            }
        }
        moved
    }

    /// Reads one leg and hears what it says.
    fn pump(&mut self, from: End, cx: &mut Context<'_>) -> bool {
        if self.closing.is_some() && !self.hears_while_closing(from) {
            return false;
        }
        let i = index(from);
        let blocked = self.outboxes[i].is_full()
            || self.legs[index(from.far())].is_high()
            || !self.dialect.listens_to(from)
            || (self.shared.judge.is_saturated() && !self.outboxes[i].is_empty());
        if blocked || self.legs[i].ended {
            return false;
        }
        if !self.legs[i].unread.is_empty() && self.hear_unread(from) {
            return true;
        }
        if self.legs[i].eof {
            self.legs[i].ended = true;
            self.leg_ended(from);
            return true;
        }
        SCRATCH.with_borrow_mut(|scratch| match self.legs[i].poll_read(cx, scratch) {
            Poll::Pending => false,
            Poll::Ready(Err(error)) => self.leg_failed(from, &error),
            Poll::Ready(Ok(n)) => {
                let fresh = scratch.get(..n).unwrap_or_default();
                if !self.legs[i].unread.is_empty() {
                    self.legs[i].unread.extend_from_slice(fresh);
                    self.hear_unread(from);
                    return true;
                }
                let used = self.hear(from, fresh);
                if let Some(rest) = fresh.get(used..).filter(|rest| !rest.is_empty()) {
                    self.legs[i].unread = BytesMut::from(rest);
                }
                true
            }
        })
    }

    /// Hears what was kept of a leg; true when any of it was used.
    fn hear_unread(&mut self, from: End) -> bool {
        let mut bytes = std::mem::take(&mut self.legs[index(from)].unread);
        let used = self.hear(from, &bytes);
        bytes.advance(used);
        if !bytes.is_empty() {
            self.legs[index(from)].unread = bytes;
        }
        used > 0
    }

    /// While ending in order the other side's last words are still passed on.
    fn hears_while_closing(&self, from: End) -> bool {
        matches!(self.closing, Some(Close::Orderly)) && from == End::Server
    }

    /// Lets the dialect hear bytes and carries out what follows. Returns how many were used.
    fn hear(&mut self, from: End, bytes: &[u8]) -> usize {
        let mut steps = std::mem::take(&mut self.steps);
        let heard = self.dialect.hear(from, bytes, self.shared.judge.now(), &mut steps);
        for step in steps.drain(..) {
            self.step(from, step);
        }
        if steps.capacity() <= 64 {
            self.steps = steps;
        }
        match heard {
            Ok(used) => used,
            Err(ending) => {
                self.fault(ending);
                bytes.len()
            }
        }
    }

    fn step(&mut self, from: End, step: Step) {
        let i = index(from);
        let since = Instant::now();
        match step {
            Step::Forward { bytes, lane, tag } => {
                let at_once = lane == Lane::Free || self.outboxes[i].is_empty();
                if at_once {
                    self.write(from, tag, bytes);
                } else {
                    self.outboxes[i].push(Slot { bytes, lane, tag, wait: Wait::Turn, since });
                }
            }
            Step::Judge { message, bytes, lane, tag } => {
                let ticket = self.shared.judge.message(*message, &bytes);
                self.outboxes[i].push(Slot { bytes, lane, tag, wait: Wait::Ticket(ticket), since });
            }
            Step::Reply { bytes, tag } => self.write(from.far(), tag, bytes),
            Step::Event(event) => self.event(event),
            Step::End(bytes) => {
                self.legs[i].ended = true;
                self.outboxes[i].push(Slot { bytes, lane: Lane::Barrier, tag: Tag::default(), wait: Wait::End, since });
            }
        }
    }

    /// Writes a frame that came from `from` (or that answers the far end) to the far leg.
    fn write(&mut self, from: End, tag: Tag, bytes: Bytes) {
        self.leg(from.far()).write(&bytes);
        if let Some(more) = self.dialect.wrote(from, tag, &bytes) {
            self.leg(from.far()).write(&more);
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::LoggedIn { party, mechanism, resumed } => {
                info!(client = %self.client, account = %party.address, %mechanism, resumed, "logged in");
                self.shared.metrics.login("ok");
                self.shared.judge.login(&party, self.client.ip(), &mechanism, None);
                self.live.log_in(&party);
                if matches!(self.alarm, Some((Alarm::Login, _))) {
                    self.alarm = None;
                }
            }
            Event::LoginFailed { account, mechanism, condition } => {
                let name = account.as_deref().unwrap_or("unknown");
                self.shared.metrics.login("failed");
                self.shared.judge.login_failed(name, self.client.ip(), &mechanism, &condition);
                let door = self.pass.door().clone();
                if door.login_failed(self.client.ip(), account.as_deref(), Instant::now()).is_some() {
                    self.fault(Ending {
                        at: End::Client,
                        condition: Condition::PolicyViolation,
                        text: "too many failed logins from this address; try again later",
                    });
                }
            }
            Event::Resumable(id) => self.live.resumable(&id),
            Event::Unpark(id) => self.unparking = Some(self.shared.registry.claim(&id)),
            Event::Refused(what) => {
                debug!(client = %self.client, what, "refused");
                self.shared.metrics.refused(what);
            }
        }
    }

    fn poll_unpark(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(claim) = &mut self.unparking else { return false };
        let Poll::Ready(parked) = Pin::new(claim).poll(cx) else { return false };
        self.unparking = None;
        let mut steps = std::mem::take(&mut self.steps);
        self.dialect.unpark(parked, self.shared.judge.now(), &mut steps);
        for step in steps.drain(..) {
            self.step(End::Client, step);
        }
        self.steps = steps;
        true
    }

    /// Sends what may go from one end's outbox to the far leg.
    fn deliver(&mut self, from: End, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        while !self.legs[index(from.far())].is_high() {
            let Some(ready) = self.outboxes[index(from)].poll_next(cx) else { break };
            moved = true;
            let slot = ready.slot;
            match (slot.wait, ready.ruled) {
                (Wait::End, _) => {
                    self.leg(from.far()).write(&slot.bytes);
                    self.ended_in_order(from);
                }
                (_, None) => self.write(from, slot.tag, slot.bytes),
                (_, Some(ruled)) => {
                    if ruled.verdict.effect == Effect::Allow {
                        self.write(from, slot.tag, slot.bytes);
                    } else {
                        self.enforce(from, slot.tag, &slot.bytes, &ruled);
                    }
                    self.shared.metrics.message(from, ruled.verdict.effect, slot.since.elapsed());
                }
            }
        }
        moved
    }

    fn enforce(&mut self, from: End, tag: Tag, bytes: &Bytes, ruled: &judge::Ruled) {
        let ruling = Ruling { verdict: &ruled.verdict, findings: &ruled.findings, message: &ruled.message };
        let enforced = self.dialect.enforce(from, bytes, ruling);
        if let Some(says) = enforced.says {
            self.shared.judge.expect(&says);
        }
        match enforced.forward {
            Some(bytes) => self.write(from, tag, bytes),
            None => self.dialect.kept(from, tag),
        }
        if let Some(reply) = enforced.reply {
            let tag = self.dialect.own(from);
            self.write(from.far(), tag, reply);
        }
        if enforced.disconnect {
            self.fault(Ending { at: End::Client, condition: Condition::PolicyViolation, text: "ended by messaging policy" });
        }
    }

    fn read_inbox(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        while let Some(letter) = self.live.poll_letter(cx) {
            moved = true;
            self.post(letter);
        }
        moved
    }

    /// Something from inside the house: a release, the end of the day, a client that came back.
    fn post(&mut self, letter: Letter) {
        match letter {
            Letter::Release { bytes, to, since, receipt } => {
                if self.closing.is_some() {
                    return;
                }
                let Some(late) = self.dialect.late(&bytes, since) else {
                    receipt.failed("the kept message can't be read any more");
                    return;
                };
                let tag = self.dialect.own(to);
                self.write(to.far(), tag, late);
                receipt.delivered();
            }
            Letter::Yield(answer) => {
                self.yielding = Some(answer);
                self.begin(Close::ClientLost);
            }
            Letter::Shutdown => self.fault(Ending {
                at: End::Server,
                condition: Condition::SystemShutdown,
                text: "the gateway is being restarted; connect again",
            }),
        }
    }

    /// One side stopped sending, with or without a goodbye.
    fn leg_ended(&mut self, end: End) {
        match &self.closing {
            None => {}
            Some(Close::Orderly) if end == End::Server => {
                // It left without an answer; the client is owed one.
                let goodbye = self.dialect.goodbye();
                self.leg(End::Client).write(&goodbye);
                return self.ended_in_order(End::Server);
            }
            Some(_) => return self.leg(end).abandon(),
        }
        if self.dialect.is_mid_frame(end) {
            debug!(client = %self.client, ?end, "the stream ended inside a stanza");
        }
        match end {
            End::Client => self.begin(Close::ClientLost),
            End::Server => self.fault(Ending {
                at: End::Server,
                condition: Condition::RemoteConnectionFailed,
                text: "the server closed the connection; connect again",
            }),
        }
    }

    fn leg_failed(&mut self, end: End, error: &std::io::Error) -> bool {
        debug!(client = %self.client, ?end, %error, "connection lost");
        self.leg(end).abandon();
        self.leg_ended(end);
        true
    }

    /// The goodbye of one side was passed on. The server answers a client's
    /// with its own, so its leg stays open for that; after the server's there
    /// is nothing more to say.
    fn ended_in_order(&mut self, from: End) {
        if from == End::Server {
            self.leg(End::Server).finish();
            self.leg(End::Client).finish();
        }
        if self.closing.is_none() {
            self.begin(Close::Orderly);
        }
    }

    /// Ends the session over a fault, with a reason for whom it concerns.
    fn fault(&mut self, ending: Ending) {
        if matches!(self.closing, Some(Close::Fault(_))) {
            return;
        }
        if ending.at == End::Client {
            info!(client = %self.client, condition = %ending.condition, reason = ending.text, "session refused");
        } else {
            warn!(client = %self.client, condition = %ending.condition, reason = ending.text, "session ended");
        }
        self.shared.metrics.ending(ending.condition.name());
        self.begin(Close::Fault(ending));
    }

    fn begin(&mut self, close: Close) {
        if let Close::Fault(ending) = &close {
            let words = self.dialect.farewell(End::Client, ending);
            self.leg(End::Client).write(&words);
            self.leg(End::Client).finish();
            // The server forgets the session only when it can't be taken up again.
            if ending.at == End::Client || ending.condition == Condition::SystemShutdown {
                let goodbye = Slot {
                    bytes: self.dialect.goodbye(),
                    lane: Lane::Barrier,
                    tag: Tag::default(),
                    wait: Wait::End,
                    since: Instant::now(),
                };
                self.outboxes[index(End::Client)].push(goodbye);
            }
        }
        let deadline = self.shared.deadlines.close;
        if !matches!(self.alarm, Some((Alarm::Close, _))) {
            self.alarm = Some((Alarm::Close, Box::pin(tokio::time::sleep(deadline))));
        }
        self.closing = Some(close);
    }

    /// Whether everything that an ending waits for has happened.
    fn is_over(&self) -> bool {
        let [client, server] = &self.legs;
        // What the client sent is on record, and is delivered though the client may be gone.
        let sent_on = server.is_finished() || (self.outboxes[0].is_empty() && !server.is_stuck());
        match &self.closing {
            None => false,
            Some(Close::Orderly) => client.is_finished() && server.is_finished(),
            Some(Close::ClientLost) => sent_on,
            Some(Close::Fault(_)) => sent_on && client.is_finished(),
        }
    }

    /// The last act: state for a client that may come back.
    fn bury(&mut self) {
        let resumable = !matches!(self.closing, Some(Close::Orderly));
        let client_at_fault = matches!(&self.closing, Some(Close::Fault(e)) if e.at == End::Client);
        let parked = if resumable && !client_at_fault { self.dialect.park() } else { None };
        match self.yielding.take() {
            Some(answer) => {
                let _gone = answer.send(parked);
            }
            None => {
                if let Some(parked) = parked {
                    self.shared.registry.park(parked);
                }
            }
        }
        debug!(client = %self.client, "session over");
    }

    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<Alarm> {
        let stuck = self.legs.iter().any(Leg::is_stuck);
        match &mut self.alarm {
            None if stuck => {
                let sleep = Box::pin(tokio::time::sleep(self.shared.deadlines.stall));
                self.alarm = Some((Alarm::Stall, sleep));
            }
            Some((Alarm::Stall, _)) if !stuck => self.alarm = None,
            _ => {}
        }
        let Some((alarm, sleep)) = &mut self.alarm else { return Poll::Pending };
        sleep.as_mut().poll(cx).map(|()| *alarm)
    }
}

impl Future for Session {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let session = self.get_mut();
        loop {
            while session.turn(cx) {}
            if session.is_over() {
                session.bury();
                return Poll::Ready(());
            }
            match session.poll_alarm(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Alarm::Login) => {
                    session.alarm = None;
                    if !session.dialect.is_in_session() {
                        session.fault(Ending {
                            at: End::Client,
                            condition: Condition::ConnectionTimeout,
                            text: "the login took too long",
                        });
                    }
                }
                Poll::Ready(Alarm::Stall) => {
                    debug!(client = %session.client, "a peer does not read");
                    session.shared.metrics.refused("stalled");
                    session.bury();
                    return Poll::Ready(());
                }
                Poll::Ready(Alarm::Close) => {
                    session.bury();
                    return Poll::Ready(());
                }
            }
        }
    }
}
