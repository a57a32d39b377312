//! The trackers, one file each, and the table that lists them.
//!
//! A tracker remembers: who has written to whom, who sent which link. All of
//! it stands in tables of fixed size ([`table`]), under keyed 64-bit hashes of
//! accounts, links and files; no text and no address is kept. Time is that of
//! the messages, so that a recording plays the same at any speed, and it may
//! step back.

mod contacts;
mod outbreak;
mod shapes;
mod table;

use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, Mutex};

use foldhash::quality::FixedState;
use model::{Kind, Message, Party, PartyKind, Protocol, Record, Then};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Tracker;

/// What the operator can set about trackers.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Size of the tables: links and files remembered at a time. Everything
    /// else is in proportion; the default of 16,384 takes about 24 MiB in all.
    pub entries: usize,
    /// Hours after its last appearance that a link or file is remembered.
    pub window_hours: u32,
    /// Days after the last word between two accounts that they count as acquainted.
    pub memory_days: u32,
    /// New contacts an account may make at once before that is a finding.
    pub burst: u16,
    /// Minutes for each further new contact.
    pub burst_minutes: u16,
    /// Random value that keys the hashes; new for each process.
    #[serde(skip)]
    pub secret: u64,
}

impl Default for Config {
    fn default() -> Config {
        Config { entries: 16_384, window_hours: 24, memory_days: 30, burst: 15, burst_minutes: 5, secret: 0 }
    }
}

impl Config {
    /// Bounds that the tables are made with, whatever was set.
    const ENTRIES: std::ops::RangeInclusive<usize> = 64..=1 << 20;

    fn entries(&self) -> usize {
        self.entries.clamp(*Config::ENTRIES.start(), *Config::ENTRIES.end())
    }
}

/// Every tracker.
pub fn table(config: &Config) -> Vec<Box<dyn Tracker>> {
    let acquaintance = Arc::new(Mutex::new(contacts::Acquaintance::new(config)));
    vec![
        Box::new(contacts::Contacts::new(config, Arc::clone(&acquaintance))),
        Box::new(outbreak::Outbreak::new(config, acquaintance)),
    ]
}

/// Makes ids: keyed hashes, a number for each kind of thing in front.
#[derive(Clone)]
struct Ids(FixedState);

impl Ids {
    fn new(config: &Config) -> Ids {
        Ids(FixedState::with_seed(config.secret))
    }

    fn of(&self, space: u8, bytes: &[u8]) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write_u8(space);
        hasher.write(bytes);
        hasher.finish()
    }

    fn join(&self, space: u8, a: u64, b: u64) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write_u8(space);
        hasher.write_u64(a);
        hasher.write_u64(b);
        hasher.finish()
    }

    fn account(&self, protocol: Protocol, account: &str) -> u64 {
        self.of(protocol as u8, account.as_bytes())
    }

    /// A person by account; an occupant of a room by nick, since the room's
    /// address is all that is known of him.
    fn party(&self, protocol: Protocol, party: &Party) -> u64 {
        let account = self.account(protocol, &party.address.account);
        match (&party.address.device, party.kind) {
            (Some(nick), PartyKind::Room) => self.join(SPACE_NICK, account, self.of(SPACE_NICK, nick.as_bytes())),
            _ => account,
        }
    }
}

/// Spaces of ids; protocols take the first few.
const SPACE_NICK: u8 = 16;
const SPACE_LINK: u8 = 17;
const SPACE_FILE: u8 = 18;
const SPACE_PAIR: u8 = 19;
const SPACE_EDGE: u8 = 20;
const SPACE_SENDER: u8 = 21;
const SPACE_RECEIPT: u8 = 22;

/// One account writing to another (or to a room), as trackers see it.
#[derive(Clone, Copy, Debug)]
struct Sending {
    /// Milliseconds since 1970.
    now: i64,
    from: u64,
    to: u64,
    /// To a person rather than to a room or a service.
    direct: bool,
}

impl Sending {
    /// `None` for what is no sending: a copy, a bounce, a reaction, a note to oneself.
    fn of(ids: &Ids, message: &Message) -> Option<Sending> {
        if message.copy || message.bounce || message.resent || !is_sending(message.kind) {
            return None;
        }
        let from = ids.party(message.protocol, &message.from);
        let to = ids.party(message.protocol, &message.to);
        // An occupant of a room who is addressed by nick is a person all the same.
        let occupant = message.to.kind == PartyKind::Room && message.to.address.device.is_some();
        let direct = message.to.kind == PartyKind::Person || occupant;
        (from != to).then_some(Sending { now: message.time.as_millisecond(), from, to, direct })
    }

    /// The same from the journal.
    fn recorded(ids: &Ids, record: &Record) -> Option<Sending> {
        let (from, to) = (record.from.as_ref()?, record.to.as_ref()?);
        let protocol = record.protocol?;
        if record.copy || !record.what.is_some_and(is_sending) {
            return None;
        }
        let id = |then: &Then| ids.account(protocol, &then.account);
        let direct = to.kind == PartyKind::Person;
        let (from, to) = (id(from), id(to));
        (from != to).then_some(Sending { now: record.time.as_millisecond(), from, to, direct })
    }
}

fn is_sending(kind: Kind) -> bool {
    matches!(kind, Kind::Message | Kind::File | Kind::Correction | Kind::Invite | Kind::Call)
}

#[cfg(test)]
mod simulation;

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use model::{Address, Direction, Side};

    use super::*;

    #[test]
    fn what_comes_back_undelivered_is_no_answer() {
        let party =
            |account: &str| Arc::new(Party::stranger(Address::account(account), PartyKind::Person, Side::External));
        let (from, to) = (party("juliet@capulet.example"), party("romeo@montague.example"));
        let (kind, direction, time) = (Kind::Message, Direction::ToClient, Timestamp::UNIX_EPOCH);
        let mut message = Message::new(Protocol::Xmpp, kind, direction, time, from, to);
        let ids = Ids::new(&Config::default());
        assert!(Sending::of(&ids, &message).is_some());
        message.bounce = true;
        assert!(Sending::of(&ids, &message).is_none());
    }
}
