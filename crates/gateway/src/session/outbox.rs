//! Frames on their way to the far leg: in order, each when it may go.

use std::collections::VecDeque;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use judge::{Ruled, Ticket};
use smallvec::SmallVec;
use wire::dialect::{Lane, Tag};

/// One frame that waits its turn.
pub(super) struct Slot {
    /// The frame as it is written if allowed.
    pub(super) bytes: Bytes,
    /// What it must stay in order with.
    pub(super) lane: Lane,
    /// The dialect's mark.
    pub(super) tag: Tag,
    /// What it waits for, besides its turn.
    pub(super) wait: Wait,
    /// When it was read.
    pub(super) since: Instant,
}

/// What a frame waits for.
pub(super) enum Wait {
    /// Nothing but its turn.
    Turn,
    /// A verdict that is on record.
    Ticket(Ticket),
    /// The end of the stream: after everything else.
    End,
}

/// What may go now.
pub(super) struct Ready {
    /// The frame.
    pub(super) slot: Slot,
    /// The ruling, when it was judged.
    pub(super) ruled: Option<Ruled>,
}

/// Slots whose memory an idle session keeps.
const KEPT: usize = 4;

/// The frames of one direction. Bounded: the session stops reading when it is full.
#[derive(Default)]
pub(super) struct Outbox {
    slots: VecDeque<Slot>,
    bytes: usize,
}

impl Outbox {
    /// Frames it holds before its source is no longer read.
    pub(super) const FRAMES: usize = 128;
    /// Bytes it holds before its source is no longer read.
    pub(super) const BYTES: usize = 512 << 10;

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether its source should pause.
    pub(super) fn is_full(&self) -> bool {
        self.slots.len() >= Outbox::FRAMES || self.bytes >= Outbox::BYTES
    }

    /// Puts a frame at the end.
    pub(super) fn push(&mut self, slot: Slot) {
        self.bytes += slot.bytes.len();
        self.slots.push_back(slot);
    }

    /// The next frame that may go: the first one, or a later one when all that
    /// stands before it belongs to other conversations and waits for a slow look-up.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Option<Ready> {
        let mut held: SmallVec<[u64; 8]> = SmallVec::new();
        for i in 0..self.slots.len() {
            let slot = self.slots.get_mut(i)?;
            match slot.lane {
                Lane::Barrier if i > 0 => return None,
                Lane::Conversation(lane) if held.contains(&lane) => continue,
                _ => {}
            }
            let ruled = match &mut slot.wait {
                Wait::Turn => None,
                Wait::End if i > 0 => return None,
                Wait::End => None,
                Wait::Ticket(ticket) => match ticket.poll(cx) {
                    Poll::Ready(ruled) => Some(ruled),
                    // Records become durable in order: nobody behind it is ready either.
                    Poll::Pending if !ticket.is_slow() => return None,
                    Poll::Pending => match slot.lane {
                        Lane::Barrier => return None,
                        Lane::Free => continue,
                        Lane::Conversation(lane) => {
                            held.push(lane);
                            continue;
                        }
                    },
                },
            };
            let slot = self.slots.remove(i)?;
            self.bytes -= slot.bytes.len();
            if self.slots.is_empty() && self.slots.capacity() > KEPT {
                self.slots = VecDeque::new();
            }
            return Some(Ready { slot, ruled });
        }
        None
    }
}
