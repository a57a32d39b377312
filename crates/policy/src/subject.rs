//! What a decision is about: everything a rule may ask, and nothing else.

use jiff::Timestamp;
use model::{Direction, Finding, Kind, Party, Protocol, Sealing};

/// One thing said or done, as policy sees it: who, to whom, what was found. Never what was said.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// What was said or done; the rule's `action`.
    pub kind: Kind,
    /// Which way it crosses; `context.direction`.
    pub direction: Direction,
    /// Where it was spoken; `context.protocol`.
    pub protocol: Protocol,
    /// Who speaks; `principal`.
    pub from: &'a Party,
    /// Who is spoken to; `resource`.
    pub to: &'a Party,
    /// What was seen; `context.symbols`, with the families of each symbol.
    pub findings: &'a [Finding],
    /// Sum of the findings' scores; `context.score`.
    pub score: f32,
    /// The encryption scheme, when any part is sealed; `context.sealed`.
    pub sealed: Option<Sealing>,
    /// Kinds of the files carried, by content; `context.file_kinds`.
    pub file_kinds: &'a [&'a str],
    /// When; `context.time`, `context.hour` and `context.weekday` (UTC).
    pub time: Timestamp,
}

impl Subject<'_> {
    /// Hour of the day and day of the week (Monday is 0), in UTC.
    pub(crate) fn clock(&self) -> (u8, u8) {
        const DAY: i64 = 86_400;
        let second = self.time.as_second();
        let hour = second.rem_euclid(DAY) / 3_600;
        // 1970-01-01 was a Thursday.
        let weekday = (second.div_euclid(DAY) + 3).rem_euclid(7);
        (hour as u8, weekday as u8)
    }

    /// One account is one entity: a message to oneself has one party, as its sender is known.
    pub(crate) fn settled(self) -> Self {
        match self.from.address.account == self.to.address.account {
            true => Subject { to: self.from, ..self },
            false => self,
        }
    }
}
