//! Stream management (XEP-0198) across a gateway: which count on one leg is which on the other.
//!
//! The two legs of a session count their own stanzas. As soon as the gateway
//! keeps a stanza back or puts in one of its own, the counts differ, and an
//! acknowledgement passed on unchanged would be a lie: the sender would forget
//! a message that never arrived, or end the stream over a count too high. One
//! [`Ledger`] keeps one direction honest.
//!
//! ```text
//! source  1 2 3 4 5          received from the source leg
//!         | x | | .          x kept back, . not decided yet
//! dest    1   2 3+4          + the gateway's own
//!
//! dest acknowledges 3   ->   source may be told 4: 1, 3 and 4 arrived, 2 is settled
//! ```
//!
//! Stanzas may be released out of order (a slow scan holds back its own
//! conversation only), so an acknowledgement counts up to the first stanza
//! that has not arrived or been settled, and those handled beyond it are
//! remembered: when the source sends them again after a resumption they are
//! swallowed.

use std::collections::VecDeque;

use bytes::Bytes;

/// What became of one stanza of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Not decided, or decided and not yet written.
    Waiting,
    /// Written as this count of the destination leg.
    Sent(u32),
    /// Kept back for good (blocked, quarantined); recorded and answered.
    Settled,
}

/// What to do with a stanza that the source sends, as far as the ledger knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// A stanza not seen before, with its count on the source leg.
    New(u32),
    /// Sent again because the destination may have missed it.
    Again(u32),
    /// Sent again although it was handled: goes nowhere.
    Handled,
}

/// An acknowledgement that claims more than was sent (XEP-0198 section 4,
/// `handled-count-too-high`) or takes back an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("acknowledges {h} of {sent} stanzas")]
pub struct BadCount {
    /// What the peer claims to have handled.
    pub h: u32,
    /// What was sent to it.
    pub sent: u32,
}

/// One direction of a stream-managed session. Counts are modulo 2^32, as in the XEP.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Source stanzas up to this count are acknowledged or acknowledgeable.
    settled: u32,
    /// Fates of the source stanzas after `settled`, in the order received.
    fates: VecDeque<Fate>,
    /// Stanzas written to the destination leg.
    sent: u32,
    /// Of those, acknowledged by the destination.
    acked: u32,
    /// The gateway's own stanzas that the destination has not acknowledged.
    own: VecDeque<(u32, Bytes)>,
    /// Bytes of those.
    own_bytes: usize,
    /// After a resumption: the stanzas to come that are old, and whether each was handled.
    replay: VecDeque<bool>,
    /// The destination was asked for an acknowledgement since its last one.
    asked: bool,
}

impl Ledger {
    /// How many unacknowledged stanzas a ledger holds before [`Ledger::asks`]
    /// says to ask the destination for an acknowledgement.
    pub const LONG: usize = 256;
    /// How many it holds at all; the session stops reading before that.
    pub const MOST: usize = 8_192;
    /// Bytes of the gateway's own stanzas it holds; the one that crosses this is still kept.
    pub const OWN_BYTES: usize = 256 << 10;

    /// A stanza came from the source.
    pub fn arrive(&mut self) -> Arrival {
        let handled = self.replay.pop_front();
        let count = self.settled.wrapping_add(self.fates.len() as u32).wrapping_add(1);
        match handled {
            Some(true) => {
                self.fates.push_back(Fate::Settled);
                Arrival::Handled
            }
            Some(false) => {
                self.fates.push_back(Fate::Waiting);
                Arrival::Again(count)
            }
            None => {
                self.fates.push_back(Fate::Waiting);
                Arrival::New(count)
            }
        }
    }

    /// The source's stanza with this count was written to the destination.
    pub fn send(&mut self, count: u32) {
        self.sent = self.sent.wrapping_add(1);
        let sent = self.sent;
        if let Some(fate) = self.fate(count) {
            *fate = Fate::Sent(sent);
        }
    }

    /// The source's stanza with this count will never be written.
    pub fn settle(&mut self, count: u32) {
        if let Some(fate) = self.fate(count) {
            *fate = Fate::Settled;
        }
    }

    /// The gateway wrote a stanza of its own to the destination. It is kept
    /// until acknowledged, because nobody else could send it again; `false` when
    /// so much is kept already that it was counted only.
    pub fn own(&mut self, bytes: Bytes) -> bool {
        let kept = self.has_room();
        self.sent = self.sent.wrapping_add(1);
        if kept {
            self.own_bytes += bytes.len();
            self.own.push_back((self.sent, bytes));
        }
        kept
    }

    /// Whether another stanza of the gateway's own can be kept.
    pub fn has_room(&self) -> bool {
        self.own.len() < Ledger::MOST && self.own_bytes < Ledger::OWN_BYTES
    }

    /// The destination acknowledged `h` stanzas; returns what the source may be told.
    pub fn acknowledge(&mut self, h: u32) -> Result<u32, BadCount> {
        let outstanding = self.sent.wrapping_sub(self.acked);
        if h.wrapping_sub(self.acked) > outstanding {
            return Err(BadCount { h, sent: self.sent });
        }
        self.acked = h;
        self.asked = false;
        while let Some((_, bytes)) = self.own.pop_front_if(|(count, _)| !is_after(*count, h)) {
            self.own_bytes -= bytes.len();
        }
        while let Some(fate) = self.fates.front() {
            match *fate {
                Fate::Settled => {}
                Fate::Sent(count) if !is_after(count, h) => {}
                Fate::Sent(_) | Fate::Waiting => break,
            }
            self.fates.pop_front();
            self.settled = self.settled.wrapping_add(1);
        }
        Ok(self.settled)
    }

    /// What the source may be told without hearing from the destination again:
    /// the count after the last acknowledgement and the stanzas settled behind it.
    pub fn acknowledged(&mut self) -> u32 {
        self.acknowledge(self.acked).unwrap_or(self.settled)
    }

    /// The session resumes, and the destination has handled `h`. Both legs
    /// agree on their counts from here on. Returns the count to tell the
    /// source; the source will send what is after it again.
    pub fn resume(&mut self, h: u32) -> Result<u32, BadCount> {
        let settled = self.acknowledge(h)?;
        let fates = self.fates.drain(..).map(|fate| match fate {
            Fate::Settled => true,
            Fate::Sent(count) => !is_after(count, h),
            Fate::Waiting => false,
        });
        // What an earlier resumption announced and has not come yet stands behind them.
        self.replay = fates.chain(std::mem::take(&mut self.replay)).collect();
        self.sent = h;
        Ok(settled)
    }

    /// After [`Ledger::resume`]: the gateway's own stanzas that the destination
    /// has not seen, to be written again (and counted by [`Ledger::own`]).
    pub fn take_own(&mut self) -> Vec<Bytes> {
        self.own_bytes = 0;
        self.own.drain(..).map(|(_, bytes)| bytes).collect()
    }

    /// Whether it is time to ask the destination what it has handled; true once
    /// until the next acknowledgement.
    pub fn asks(&mut self) -> bool {
        let long = self.fates.len() + self.own.len() >= Ledger::LONG || self.own_bytes >= Ledger::OWN_BYTES / 2;
        let due = !self.asked && long;
        self.asked |= due;
        due
    }

    /// Whether any stanza is neither written nor settled.
    pub fn is_waiting(&self) -> bool {
        self.fates.contains(&Fate::Waiting)
    }

    /// Whether the session must stop reading from the source until the destination acknowledges.
    pub fn is_full(&self) -> bool {
        self.fates.len() + self.own.len() >= Ledger::MOST
    }

    fn fate(&mut self, count: u32) -> Option<&mut Fate> {
        let index = count.wrapping_sub(self.settled).wrapping_sub(1);
        self.fates.get_mut(index as usize)
    }
}

/// Whether count `a` is after count `b`, modulo 2^32.
fn is_after(a: u32, b: u32) -> bool {
    a != b && a.wrapping_sub(b) < u32::MAX / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn new(ledger: &mut Ledger) -> u32 {
        match ledger.arrive() {
            Arrival::New(count) => count,
            other => panic!("expected a new stanza, got {other:?}"),
        }
    }

    #[test]
    fn counts_are_mapped_past_blocked_and_own_stanzas() {
        let mut l = Ledger::default();
        let counts: Vec<u32> = (0..4).map(|_| new(&mut l)).collect();
        l.send(counts[0]);
        l.settle(counts[1]);
        l.send(counts[2]);
        l.own(Bytes::from_static(b"<message/>"));
        l.send(counts[3]);
        assert_eq!(l.acknowledge(1), Ok(2), "the blocked second stanza is settled with the first");
        assert_eq!(l.acknowledge(3), Ok(3), "the third count of the destination was the gateway's own");
        assert_eq!(l.acknowledge(4), Ok(4));
        assert_eq!(l.acknowledge(5), Err(BadCount { h: 5, sent: 4 }));
        assert_eq!(l.acknowledge(3), Err(BadCount { h: 3, sent: 4 }), "an acknowledgement can't be taken back");
    }

    #[test]
    fn an_undecided_stanza_is_never_acknowledged() {
        let mut l = Ledger::default();
        let (slow, fast) = (new(&mut l), new(&mut l));
        l.send(fast);
        assert_eq!(l.acknowledge(1), Ok(0));
        l.send(slow);
        assert_eq!(l.acknowledge(2), Ok(2));
    }

    #[test]
    fn resumption_swallows_what_was_handled_out_of_order() {
        let mut l = Ledger::default();
        let counts: Vec<u32> = (0..4).map(|_| new(&mut l)).collect();
        l.send(counts[1]);
        l.settle(counts[2]);
        l.send(counts[0]);
        l.send(counts[3]);
        // The destination saw only the second stanza.
        assert_eq!(l.resume(1), Ok(0));
        assert_eq!(l.arrive(), Arrival::Again(1));
        assert_eq!(l.arrive(), Arrival::Handled);
        assert_eq!(l.arrive(), Arrival::Handled);
        assert_eq!(l.arrive(), Arrival::Again(4));
        assert_eq!(l.arrive(), Arrival::New(5));
        l.send(1);
        l.send(4);
        l.send(5);
        assert_eq!(l.acknowledge(4), Ok(5));
    }

    #[test]
    fn own_stanzas_survive_a_resumption() {
        let mut l = Ledger::default();
        l.own(Bytes::from_static(b"a"));
        l.own(Bytes::from_static(b"b"));
        l.acknowledge(1).unwrap();
        assert_eq!(l.resume(1), Ok(0));
        assert_eq!(l.take_own(), vec![Bytes::from_static(b"b")]);
    }

    #[test]
    fn what_the_gateway_keeps_is_bounded_in_bytes() {
        let mut l = Ledger::default();
        let stanza = Bytes::from(vec![b'x'; 1_000]);
        let kept = (0..10_000).take_while(|_| l.own(stanza.clone())).count();
        assert!(kept >= 256 && kept * stanza.len() <= Ledger::OWN_BYTES + stanza.len(), "{kept}");
        assert!(l.asks(), "it asks before it has to drop anything");
        l.acknowledge(10).unwrap();
        assert!(l.has_room() && l.own(stanza.clone()), "what was acknowledged makes room");
        // The one that was not kept counts all the same.
        assert_eq!(l.acknowledge(kept as u32 + 2), Ok(0));
    }

    #[test]
    fn counts_wrap_at_two_to_the_32() {
        let mut l = Ledger { settled: u32::MAX - 1, sent: u32::MAX, acked: u32::MAX, ..Ledger::default() };
        let counts: Vec<u32> = (0..3).map(|_| new(&mut l)).collect();
        assert_eq!(counts, [u32::MAX, 0, 1]);
        for c in counts {
            l.send(c);
        }
        assert_eq!(l.acknowledge(1), Ok(0));
        assert_eq!(l.acknowledge(2), Ok(1));
    }

    #[derive(Clone, Debug)]
    enum Event {
        Arrive,
        Decide { which: usize, send: bool },
        Own,
        Acknowledge(usize),
        Resume { lost: usize },
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            4 => Just(Event::Arrive),
            4 => (0usize..8, any::<bool>()).prop_map(|(which, send)| Event::Decide { which, send }),
            1 => Just(Event::Own),
            2 => (0usize..8).prop_map(Event::Acknowledge),
            1 => (0usize..8).prop_map(|lost| Event::Resume { lost }),
        ]
    }

    proptest! {
        /// A model source that keeps its unacknowledged stanzas, and a model
        /// destination that counts: whatever happens, each stanza that was to be
        /// sent arrives exactly once, and none is acknowledged before.
        #[test]
        fn each_stanza_arrives_exactly_once(events in proptest::collection::vec(event(), 1..200)) {
            let mut l = Ledger::default();
            let mut unacked: VecDeque<u32> = VecDeque::new(); // the source's queue, by identity
            let mut acked = 0u32;
            let mut next = 0u32;
            let mut waiting: Vec<(u32, u32)> = Vec::new(); // (count, identity)
            let mut arrived: Vec<Option<u32>> = Vec::new(); // what the destination read, in order
            let mut blocked = std::collections::HashSet::new();
            let mut confirmed = 0u32;
            let mut finish = events.clone();
            finish.extend((0..600).flat_map(|_| [Event::Decide { which: 0, send: true }]));
            for e in finish {
                match e {
                    Event::Arrive => {
                        let id = next;
                        next += 1;
                        unacked.push_back(id);
                        let Arrival::New(count) = l.arrive() else { panic!("a fresh stanza is new") };
                        waiting.push((count, id));
                    }
                    Event::Decide { which, send } if !waiting.is_empty() => {
                        let (count, id) = waiting.remove(which % waiting.len());
                        if send { l.send(count); arrived.push(Some(id)); } else { l.settle(count); blocked.insert(id); }
                    }
                    Event::Own => { l.own(Bytes::from_static(b"x")); arrived.push(None); }
                    Event::Acknowledge(back) => {
                        let h = (arrived.len() as u32).saturating_sub(back as u32).max(confirmed);
                        confirmed = h;
                        let told = l.acknowledge(h).unwrap();
                        while acked != told {
                            let id = unacked.pop_front().unwrap();
                            prop_assert!(blocked.contains(&id) || arrived[..h as usize].contains(&Some(id)), "{id} acknowledged too early");
                            acked += 1;
                        }
                    }
                    Event::Resume { lost } => {
                        // The destination's link broke: the last `lost` writes never arrived.
                        let h = (arrived.len() as u32).saturating_sub(lost as u32).max(confirmed);
                        arrived.truncate(h as usize);
                        confirmed = h;
                        waiting.clear();
                        let told = l.resume(h).unwrap();
                        while acked != told { unacked.pop_front(); acked += 1; }
                        for own in l.take_own() { l.own(own); arrived.push(None); }
                        for &id in &unacked {
                            match l.arrive() {
                                Arrival::Handled => {}
                                Arrival::Again(count) | Arrival::New(count) => waiting.push((count, id)),
                            }
                        }
                    }
                    Event::Decide { .. } => {}
                }
            }
            for id in 0..next {
                let times = arrived.iter().filter(|a| **a == Some(id)).count();
                prop_assert_eq!(times, usize::from(!blocked.contains(&id)), "stanza {}", id);
            }
        }
    }
}
