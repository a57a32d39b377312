//! Probes in use and to use again, within a number and a size.

use std::collections::VecDeque;

use super::probe::Probe;
use crate::flow::{Flow, Place, Table};

/// Probes that wait to be used again.
const MOST_SPARE: usize = 128;
/// How many flows are looked at to find one that nobody has answered.
const LOOKED_AT: usize = 32;

/// Who holds a probe, oldest first.
#[derive(Default)]
pub(super) struct Pool {
    #[expect(clippy::vec_box, reason = "a probe moves between here and its flow without being copied")]
    spare: Vec<Box<Probe>>,
    /// Flows that were given one, with their serial to tell them from later ones. Some have given it back.
    order: VecDeque<(Place, u64)>,
    held: usize,
    bytes: usize,
}

impl Pool {
    /// A probe that nobody uses.
    pub(super) fn take(&mut self) -> Box<Probe> {
        self.spare.pop().unwrap_or_default()
    }

    /// A flow keeps its new probe.
    pub(super) fn keeps(&mut self, place: Place, flow: &Flow) {
        self.held += 1;
        self.order.push_back((place, flow.serial));
    }

    /// A probe has grown.
    pub(super) fn weigh(&mut self, probe: &mut Probe) {
        let weight = probe.weight();
        self.bytes = self.bytes + weight - std::mem::replace(&mut probe.weighed, weight);
    }

    /// A flow that kept its probe gives it back.
    pub(super) fn give_back(&mut self, probe: Box<Probe>) {
        self.held -= 1;
        self.spare(probe);
    }

    /// A probe that was not kept.
    pub(super) fn spare(&mut self, mut probe: Box<Probe>) {
        self.bytes -= std::mem::take(&mut probe.weighed);
        if self.spare.len() < MOST_SPARE {
            self.spare.push(probe);
        }
    }

    /// The flow that has to let go of its probe, if one has: one that nobody has answered, else the oldest.
    pub(super) fn too_many(&mut self, most: usize, most_bytes: usize, table: &mut Table) -> Option<Place> {
        if self.order.len() > 2 * most + LOOKED_AT {
            self.order.retain(|entry| holds(table, entry));
        }
        if self.held <= most && self.bytes <= most_bytes {
            return None;
        }
        let mut oldest = None;
        let mut looked = 0;
        while looked < LOOKED_AT
            && let Some(entry) = self.order.pop_front()
        {
            if !holds(table, &entry) {
                continue;
            }
            looked += 1;
            if table.get_mut(entry.0).is_some_and(|flow| !flow.established()) {
                if let Some(oldest) = oldest {
                    self.order.push_front(oldest);
                }
                return Some(entry.0);
            }
            match oldest {
                None => oldest = Some(entry),
                Some(_) => self.order.push_back(entry),
            }
        }
        oldest.map(|(place, _)| place)
    }

    /// Nobody holds anything any more.
    pub(super) fn clear(&mut self) {
        self.order.clear();
    }
}

fn holds(table: &mut Table, (place, serial): &(Place, u64)) -> bool {
    table.get_mut(*place).is_some_and(|flow| flow.serial == *serial && flow.probe.is_some())
}
