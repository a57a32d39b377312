//! What is kept of a TCP connection to tell its packets from those that its ends would ignore.

use crate::anomaly::{Anomalies, Anomaly};
use crate::decode::{Checksum, Decoded, Segment};
use crate::view::Way;

/// A hop limit this much below the others of its direction is suspicious; routes change by less.
pub(super) const LOW_TTL: u8 = 4;
/// How far from what is expected a reset may be: the largest window without scaling, and then some.
const WINDOW: u32 = 1 << 20;

/// One direction.
#[derive(Clone, Copy, Debug, Default)]
struct Half {
    /// Sequence number of its SYN.
    syn: Option<u32>,
    /// The next byte it will send, as far as seen.
    next: Option<u32>,
    fin: bool,
    /// Hop limit of its SYN, and the highest of its data.
    syn_ttl: u8,
    data_ttl: u8,
    /// A right checksum was seen, so a wrong one means something.
    right: bool,
}

/// Both directions, by [`Way::index`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tcp {
    halves: [Half; 2],
    reset: bool,
    /// A SYN for a new connection came while this one was open; it counts once it is answered.
    pending: Option<(Way, u32)>,
}

/// What a segment means for its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It belongs here. `believed` is false where the far end may not get it.
    Here { believed: bool },
    /// The far end ignores it.
    Ignored,
    /// A new connection between the same ports begins with it. The SYN it answers, if it is an answer.
    NewConnection { syn: Option<u32> },
}

impl Tcp {
    pub(crate) fn closed(&self) -> bool {
        self.reset || (self.halves[0].fin && self.halves[1].fin)
    }

    /// Sequence number of one side's SYN.
    pub(crate) fn syn(&self, way: Way) -> Option<u32> {
        self.halves[way.index()].syn
    }

    /// Notes a SYN that was seen before this flow was made.
    pub(crate) fn note_syn(&mut self, way: Way, seq: u32) {
        self.halves[way.index()].syn = Some(seq);
        self.halves[way.index()].next = Some(seq.wrapping_add(1));
    }

    /// Takes a segment into account. `check` says whether its checksum is worth the time.
    pub(crate) fn take(
        &mut self,
        way: Way,
        packet: &Decoded,
        segment: &Segment,
        check: bool,
        odd: &mut Anomalies,
    ) -> Turn {
        let flags = segment.flags;
        if flags.syn()
            && let Some(turn) = self.syn_turn(way, segment, odd)
        {
            return turn;
        }
        if packet.payload_len > 0
            && let Some(syn) = self.goes_on(way, segment)
        {
            return Turn::NewConnection { syn: Some(syn) };
        }
        let half = &mut self.halves[way.index()];
        let mut believed = true;
        if check || flags.syn() {
            match packet.checksum() {
                Checksum::Right => half.right = true,
                Checksum::Wrong if half.right => {
                    odd.add(Anomaly::BadChecksum);
                    // The far end drops it, unless the capture was edited: its acknowledgement will tell.
                    let data = flags.0 & 0x07 == 0;
                    return if data { Turn::Here { believed: false } } else { Turn::Ignored };
                }
                // A card that fills in some checksums fills in all of them.
                Checksum::LeftToCard if half.right => believed = false,
                _ => {}
            }
        }
        let highest = half.syn_ttl.max(half.data_ttl);
        if flags.0 & 0x07 != 0 && packet.ttl.saturating_add(LOW_TTL) < highest {
            odd.add(Anomaly::LowTtl);
            return Turn::Ignored;
        }
        if flags.syn() {
            half.syn = Some(segment.seq);
            half.syn_ttl = packet.ttl;
        } else if packet.payload_len > 0 {
            believed &= packet.ttl.saturating_add(LOW_TTL) >= half.syn_ttl;
            if packet.ttl.saturating_add(LOW_TTL) < half.data_ttl {
                odd.add(Anomaly::LowTtl);
                believed = false;
            }
            half.data_ttl = half.data_ttl.max(packet.ttl);
            if flags.urg() && segment.urgent != 0 {
                odd.add(Anomaly::UrgentData);
            }
        }
        if flags.rst() {
            return self.reset_turn(way, segment, odd);
        }
        half.fin |= flags.fin();
        let length = packet.payload_len + u32::from(flags.syn()) + u32::from(flags.fin());
        let end = segment.seq.wrapping_add(length);
        // The end of a new handshake says nothing about the old connection.
        let another = self.pending.is_some_and(|(asker, syn)| asker == way && segment.seq == syn.wrapping_add(1));
        if !another && half.next.is_none_or(|next| end.wrapping_sub(next) as i32 > 0) {
            half.next = Some(end);
        }
        if packet.payload_len > 0 {
            // Whoever goes on talking was not reset.
            self.reset = false;
        }
        Turn::Here { believed }
    }

    /// Of several SYNs, the one that was answered counts.
    fn answer(&mut self, asker: Way, ack: u32, odd: &mut Anomalies) {
        let half = self.halves[asker.index()];
        let syn = ack.wrapping_sub(1);
        let silent = half.syn.is_some_and(|held| half.next == Some(held.wrapping_add(1)));
        if silent && half.syn != Some(syn) {
            odd.add(Anomaly::HandshakeMismatch);
            self.note_syn(asker, syn);
        }
    }

    /// Data that goes on after a SYN for a new connection, and does not fit the old one.
    fn goes_on(&self, way: Way, segment: &Segment) -> Option<u32> {
        let (_, syn) = self.pending.filter(|(asker, syn)| *asker == way && segment.seq == syn.wrapping_add(1))?;
        let fits = self.halves[way.index()].next.is_some_and(|next| {
            let distance = segment.seq.wrapping_sub(next);
            !(WINDOW..u32::MAX - WINDOW).contains(&distance)
        });
        (!fits).then_some(syn)
    }

    fn syn_turn(&mut self, way: Way, segment: &Segment, odd: &mut Anomalies) -> Option<Turn> {
        let half = self.halves[way.index()];
        if segment.flags.ack() {
            let answered = self.pending.filter(|(asker, seq)| *asker != way && segment.ack == seq.wrapping_add(1));
            return match answered {
                Some((_, syn)) => Some(Turn::NewConnection { syn: Some(syn) }),
                // Port reuse, of which the SYN was not seen.
                None if self.closed() && half.syn.is_some_and(|syn| syn != segment.seq) => {
                    Some(Turn::NewConnection { syn: None })
                }
                None => {
                    self.answer(way.back(), segment.ack, odd);
                    None
                }
            };
        }
        match half.syn {
            Some(syn) if syn == segment.seq => None,
            None if half.next.is_none() => {
                if self.halves[way.back().index()].syn.is_some() {
                    odd.add(Anomaly::SplitHandshake);
                }
                None
            }
            // Nobody has said more than SYN yet: a new attempt.
            Some(syn) if half.next == Some(syn.wrapping_add(1)) && self.halves[way.back().index()].next.is_none() => {
                self.note_syn(way, segment.seq);
                None
            }
            // Another SYN: a new connection if both ends have closed this one, else as soon as it is answered or goes
            // on: a lone SYN is easily forged.
            _ if self.halves[0].fin && self.halves[1].fin => Some(Turn::NewConnection { syn: None }),
            _ => {
                self.pending = Some((way, segment.seq));
                Some(Turn::Ignored)
            }
        }
    }

    /// A reset counts when it is where the far end expects the next byte, or a little after.
    fn reset_turn(&mut self, way: Way, segment: &Segment, odd: &mut Anomalies) -> Turn {
        let expected = self.halves[way.index()].next;
        let distance = expected.map_or(0, |next| segment.seq.wrapping_sub(next));
        // Answers to a SYN carry sequence number 0 and the acknowledgement instead.
        let answer = segment.seq == 0 && segment.flags.ack() && expected.is_none();
        if !answer && (WINDOW..u32::MAX - WINDOW).contains(&distance) {
            odd.add(Anomaly::ResetOutOfWindow);
            return Turn::Ignored;
        }
        self.reset = true;
        Turn::Here { believed: true }
    }
}
