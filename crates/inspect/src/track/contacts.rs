//! Who is acquainted with whom, and accounts that suddenly write to many
//! strangers.
//!
//! After Williamson, Parry and Byde, "Virus Throttling for Instant Messaging"
//! (HP Labs, 2004): people write to few contacts they have not written to
//! before, and malicious code to many at once. Theirs delays such messages;
//! here each one beyond the allowance is a finding, which policy weighs.
//!
//! The allowance is a leaky bucket: [`Config::burst`] new contacts at once, and
//! one more every [`Config::burst_minutes`]. An answer is not a new contact,
//! and neither is a second message to the same one.

use std::sync::{Arc, Mutex, PoisonError};

use model::{Record, SymbolInfo};

use super::table::{Table, Worth};
use super::{Config, Ids, SPACE_PAIR, Sending};
use crate::{Case, Findings, Tracker};

/// Two accounts count as acquainted once this long has passed since their
/// first word: a program that says "hi" before it sends its link gains nothing.
const SETTLED: u64 = 10 * 60 * 1000;
/// An account's habits are known once it has this many acquaintances …
const HABITS: u16 = 3;
/// … and has been seen for this long, in milliseconds.
const SEEN: u64 = 60 * 60 * 1000;

const HOUR: u64 = 60 * 60 * 1000;

static SYMBOLS: &[SymbolInfo] = &[SymbolInfo {
    symbol: "contact.burst",
    score: 2.0,
    about: "The account writes to many it has not written to before",
    technique: Some("T1534"),
}];

/// Two accounts that have exchanged messages.
#[derive(Clone, Default)]
struct Pair {
    first: i64,
    /// Who wrote first, to see when the other answers.
    opener: u64,
    /// Counted among the acquaintances of both.
    settled: bool,
}

impl Worth for Pair {
    fn worth(&self) -> u8 {
        u8::from(self.settled)
    }
}

#[derive(Clone, Default)]
struct Account {
    since: i64,
    /// When the bucket was last looked at, and how full it was.
    at: i64,
    level: f32,
    acquaintances: u16,
}

impl Worth for Account {
    fn worth(&self) -> u8 {
        u8::from(self.acquaintances > 0) + u8::from(self.level > 1.0)
    }
}

/// What the recipient is to the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// They have written to each other before.
    Acquainted,
    /// They have not, and the sender's habits are known.
    New,
    /// They have not, but too little has been seen of the sender for that to mean anything.
    Unknown,
}

/// The memory of who has written to whom; shared by the trackers.
pub(super) struct Acquaintance {
    pairs: Table<Pair>,
    accounts: Table<Account>,
    ids: Ids,
}

impl Acquaintance {
    pub(super) fn new(config: &Config) -> Acquaintance {
        let life = u64::from(config.memory_days.max(1)) * 24 * HOUR;
        Acquaintance {
            pairs: Table::new(config.entries() * 16, life),
            accounts: Table::new(config.entries() * 4, life),
            ids: Ids::new(config),
        }
    }

    fn pair(&self, a: u64, b: u64) -> u64 {
        self.ids.join(SPACE_PAIR, a.min(b), a.max(b))
    }

    /// What the recipient is to the sender. The message at hand, and others of
    /// the last minutes, do not make acquaintances.
    pub(super) fn relation(&self, sending: &Sending) -> Relation {
        if self.pairs.get(self.pair(sending.from, sending.to), sending.now).is_some_and(|p| p.is_settled(sending.now)) {
            return Relation::Acquainted;
        }
        let account = self.accounts.get(sending.from, sending.now);
        let known = account.is_some_and(|a| a.acquaintances >= HABITS && a.since.abs_diff(sending.now) >= SEEN);
        if known { Relation::New } else { Relation::Unknown }
    }

    /// Takes in one message; whether the recipient is new to the sender.
    fn meet(&mut self, sending: &Sending) -> bool {
        let Sending { now, from, to, .. } = *sending;
        let id = self.pair(from, to);
        let (pair, new) = self.pairs.entry(id, now);
        if new {
            *pair = Pair { first: now, opener: from, settled: false };
            return true;
        }
        let answered = pair.opener != from;
        if !pair.settled && (answered || pair.is_settled(now)) {
            pair.settled = true;
            for account in [from, to] {
                let (account, new) = self.accounts.entry(account, now);
                if new {
                    account.since = now;
                }
                account.acquaintances = account.acquaintances.saturating_add(1);
            }
        }
        false
    }

    /// Bytes it takes, for ever.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.pairs.bytes() + self.accounts.bytes()
    }
}

impl Pair {
    fn is_settled(&self, now: i64) -> bool {
        self.settled || now.saturating_sub(self.first) >= SETTLED.cast_signed()
    }
}

/// The tracker of accounts that make many new contacts.
pub(super) struct Contacts {
    acquaintance: Arc<Mutex<Acquaintance>>,
    ids: Ids,
    burst: f32,
    /// Milliseconds for the bucket to lose one contact.
    drain: f32,
}

impl Contacts {
    pub(super) fn new(config: &Config, acquaintance: Arc<Mutex<Acquaintance>>) -> Contacts {
        Contacts {
            acquaintance,
            ids: Ids::new(config),
            burst: f32::from(config.burst.max(1)),
            drain: f32::from(config.burst_minutes.max(1)) * 60_000.0,
        }
    }

    /// Takes in one message; how many new contacts beyond the allowance, if it makes one.
    fn learn(&mut self, sending: &Sending) -> Option<u32> {
        let mut acquaintance = self.acquaintance.lock().unwrap_or_else(PoisonError::into_inner);
        if !acquaintance.meet(sending) {
            return None;
        }
        let (account, new) = acquaintance.accounts.entry(sending.from, sending.now);
        if new {
            account.since = sending.now;
        }
        let passed = sending.now.saturating_sub(account.at).max(0) as f32;
        // A limit on the debt lets an account recover within hours, whatever it did.
        account.level = ((account.level - passed / self.drain).max(0.0) + 1.0).min(self.burst * 4.0);
        account.at = sending.now;
        (account.level > self.burst).then_some(account.level as u32)
    }
}

impl Tracker for Contacts {
    fn symbols(&self) -> &'static [SymbolInfo] {
        SYMBOLS
    }

    fn observe(&mut self, case: &Case<'_>, findings: &mut Findings) {
        let Some(sending) = Sending::of(&self.ids, case.message) else { return };
        if let Some(level) = self.learn(&sending) {
            let explain = format!("The account has written to {level} it had not written to before, in short order");
            findings.push(SYMBOLS[0].found(explain, None));
        }
    }

    fn replay(&mut self, record: &Record) {
        if let Some(sending) = Sending::recorded(&self.ids, record) {
            self.learn(&sending);
        }
    }
}
