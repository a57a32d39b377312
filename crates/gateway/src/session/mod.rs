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
#[cfg(test)]
mod tests;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use judge::Judge;
use model::Effect;
use store::Relief;
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
    /// A peer that takes nothing of what is written to it; one that reads slowly is waited for.
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
    /// The end was brought forward because somebody waits for it.
    hurried: bool,
    /// Wakes the session when the journal, which was behind, has caught up.
    relief: Option<Relief>,
    closing: Option<Close>,
    alarm: Option<(Alarm, Pin<Box<Sleep>>)>,
    steps: Vec<Step>,
}

/// How long the server may take to close its side while the client already waits on another connection.
const LINGER: Duration = Duration::from_secs(1);

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
            hurried: false,
            relief: None,
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
        let saturated = self.is_saturated(cx);
        moved |= self.poll_unpark(cx);
        for end in SIDES {
            moved |= match self.hears(end) {
                true if saturated => false,
                true => self.pump(end, cx),
                false => self.discard(end, cx),
            };
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
        self.finish_server();
        moved
    }

    /// Whether so much waits for the disk that nothing may be read; when it does, the session is woken after.
    fn is_saturated(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.shared.judge.is_saturated() {
            self.relief = None;
            return false;
        }
        let Some(journal) = self.shared.judge.journal() else { return false };
        let relief = self.relief.get_or_insert_with(|| journal.relief());
        let waits = Pin::new(relief).poll(cx).is_pending();
        if !waits {
            self.relief = None;
        }
        waits
    }

    /// Whether what this leg says still matters. While ending in order the server's last words are passed on.
    fn hears(&self, from: End) -> bool {
        let closing = match self.closing {
            None => false,
            Some(Close::Orderly) => from == End::Client,
            Some(Close::ClientLost | Close::Fault(_)) => true,
        };
        !closing && !self.legs[index(from)].ended
    }

    /// Reads what no longer matters: a connection closed with bytes unread is reset, and what was written last would
    /// be lost with it.
    fn discard(&mut self, from: End, cx: &mut Context<'_>) -> bool {
        let leg = self.leg(from);
        leg.unread = BytesMut::new();
        if leg.eof {
            return false;
        }
        SCRATCH.with_borrow_mut(|scratch| match leg.poll_read(cx, scratch) {
            Poll::Pending => false,
            Poll::Ready(Ok(_)) => true,
            Poll::Ready(Err(_)) => {
                leg.abandon();
                true
            }
        })
    }

    /// Half-closes the server's leg once all that the client said is written. The server's own end is then waited for,
    /// but not for long when the client is back already and waits for its session.
    fn finish_server(&mut self) {
        let ending = matches!(self.closing, Some(Close::ClientLost | Close::Fault(_)));
        if !ending || !self.outboxes[0].is_empty() {
            return;
        }
        self.leg(End::Server).finish();
        let soon = tokio::time::Instant::now() + LINGER;
        if self.yielding.is_some()
            && !self.hurried
            && let Some((_, sleep)) = &mut self.alarm
        {
            self.hurried = true;
            if sleep.deadline() > soon {
                sleep.as_mut().reset(soon);
            }
        }
    }

    /// Reads one leg and hears what it says.
    fn pump(&mut self, from: End, cx: &mut Context<'_>) -> bool {
        let i = index(from);
        // Forwarded frames go to the far leg, answers back to this one.
        let blocked = self.outboxes[i].is_full()
            || self.legs[index(from.far())].is_high()
            || self.legs[i].is_flooded()
            || !self.dialect.listens_to(from);
        if blocked {
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
            // Whether it can wait for a review is for the judge, who keeps it.
            Step::Judge { message, bytes, lane, tag, can_wait } => {
                let ticket = self.shared.judge.message(message, can_wait.then_some(&bytes));
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
                self.shared.judge.login(&party, self.client.ip(), &mechanism);
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
            Event::Unpark { id, domain, account } => {
                self.unparking = Some(self.shared.registry.claim(&domain, &id, account.as_deref()));
            }
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
            None => {
                if let Some(more) = self.dialect.kept(from, tag) {
                    self.leg(from.far()).write(&more);
                }
            }
        }
        if let Some(reply) = enforced.reply {
            let tag = self.dialect.own();
            self.write(from.far(), tag, reply);
        }
        if enforced.disconnect {
            self.fault(Ending {
                at: End::Client,
                condition: Condition::PolicyViolation,
                text: "ended by messaging policy",
            });
        }
    }

    fn read_inbox(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        loop {
            let (legs, dialect) = (&self.legs, &self.dialect);
            let has_room = |to: End| !legs[index(to)].is_high() && dialect.has_room(to);
            let Some(letter) = self.live.poll_letter(cx, has_room) else { break };
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
                let Some(late) = self.dialect.late(to, &bytes, since) else {
                    receipt.failed("the kept message can't be read any more");
                    return;
                };
                let tag = self.dialect.own();
                self.write(to.far(), tag, late);
                receipt.delivered();
            }
            Letter::Yield(answer) => {
                self.yielding = Some(answer);
                if self.closing.is_none() {
                    self.begin(Close::ClientLost);
                }
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
        // What the client sent is on record, and is delivered though the client may be gone. Once the server has
        // closed its side as well, it has read all of it.
        let sent_on = server.is_finished() && server.eof;
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
        // Found, but not taken over any more.
        let found = self.unparking.take().and_then(Claim::give_up);
        let parked = match self.yielding.take() {
            Some(answer) => answer.send(parked).err().flatten(),
            None => parked,
        };
        for parked in found.into_iter().chain(parked) {
            self.shared.registry.park(parked);
        }
        debug!(client = %self.client, "session over");
    }

    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<Alarm> {
        let stuck =
            self.legs.iter().filter_map(Leg::stuck_since).min().map(|since| since + self.shared.deadlines.stall);
        match (&mut self.alarm, stuck) {
            (None, Some(deadline)) => {
                self.alarm = Some((Alarm::Stall, Box::pin(tokio::time::sleep_until(deadline))));
            }
            (Some((Alarm::Stall, _)), None) => self.alarm = None,
            _ => {}
        }
        let Some((alarm, sleep)) = &mut self.alarm else { return Poll::Pending };
        loop {
            std::task::ready!(sleep.as_mut().poll(cx));
            match stuck {
                // Something has moved since the clock was set.
                Some(deadline) if *alarm == Alarm::Stall && deadline > sleep.deadline() => {
                    sleep.as_mut().reset(deadline);
                }
                _ => return Poll::Ready(*alarm),
            }
        }
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
