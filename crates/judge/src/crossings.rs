//! One message, one record: what has crossed before, by who says what to whom.
//!
//! A message crosses more than once: up from its sender, down to each of its
//! readers, again as a carbon, out of the archive, after a resumption. Ids are
//! the sender's to choose, so crossings are known by author, recipient (in a
//! room: the room) and content. People do say the same thing twice, so crossings
//! are counted: a session that is told "ok" for the second time, while it was
//! said and recorded once, has been told something new.
//!
//! Remembered is what was *found*, not what was decided: each reader's copy is
//! decided for that reader, by the rules in force then.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::quality::RandomState;
use jiff::{SignedDuration, Timestamp};
use model::{Digest, Direction, Effect, Message, Party, PartyKind, Record, RecordKind};
use smallvec::SmallVec;
use store::Held;

use crate::first::First;

/// Sessions remembered for one crossing; more are taken to be told copies.
const READERS: usize = 16;
/// Recipients remembered for the same words of one author; more make new messages.
const ROUTES: usize = 64;
/// How long after its record a client may send a message again, having lost its gateway.
const RESEND: SignedDuration = SignedDuration::from_mins(15);

/// Who says what (in a room, the room says it): the digest of the content, blended with a keyed hash of the author.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key(u128);

impl Key {
    fn new(author: u64, digest: Digest) -> Key {
        Key(u128::from_le_bytes(digest.0) ^ (u128::from(author) << 64 | u128::from(author.rotate_left(32))))
    }
}

/// What is known of a crossing.
#[derive(Clone)]
pub(crate) enum Standing {
    /// It passes without asking: a person released it, or the gateway wrote it itself.
    Passed,
    /// Nothing was found in it, and it is on record.
    Plain,
    /// What the first crossing found, or is finding.
    First(Arc<First>),
}

/// What a message is.
pub(crate) enum Entered {
    /// Said for the first time: to be judged and recorded.
    New(Arc<First>),
    /// A copy of what crossed before.
    Known(Standing),
}

struct Route {
    to: u64,
    /// How often it was said and recorded.
    said: u32,
    standing: Standing,
}

#[derive(Default)]
struct Crossing {
    routes: SmallVec<[Route; 1]>,
    /// How often each session was told it.
    told: SmallVec<[(u32, u32); 3]>,
}

impl Crossing {
    fn route(&mut self, to: u64) -> Option<&mut Route> {
        let route = self.routes.iter_mut().find(|route| route.to == to)?;
        if let Standing::First(first) = &route.standing
            && first.is_plain()
        {
            route.standing = Standing::Plain;
        }
        Some(route)
    }

    /// It is said once more, and will come to this.
    fn say(&mut self, to: u64, standing: Standing) {
        match self.routes.iter_mut().find(|route| route.to == to) {
            Some(route) => {
                route.said = route.said.saturating_add(1);
                route.standing = standing;
            }
            None => {
                if self.routes.len() >= ROUTES {
                    self.routes.remove(0);
                }
                self.routes.push(Route { to, said: 1, standing });
            }
        }
    }

    /// Tells a session once more; false when it was told as often as it was said already.
    fn tells(&mut self, reader: u32, said: u32) -> bool {
        let known = self.told.iter().position(|(session, _)| *session == reader);
        let full = self.told.len() >= READERS;
        match known.and_then(|at| self.told.get_mut(at)) {
            Some((_, times)) if *times >= said => false,
            Some((_, times)) => {
                *times += 1;
                true
            }
            None if full => true,
            None => {
                self.told.push((reader, 1));
                said > 0
            }
        }
    }
}

/// A message that an earlier run recorded and its client may send again.
struct Resend {
    at: Timestamp,
    rules: u64,
}

/// What has crossed lately. Bounded: two generations, the older one forgotten
/// when the younger is full.
pub(crate) struct Crossings {
    hash: RandomState,
    half: usize,
    young: HashMap<Key, Crossing, RandomState>,
    old: HashMap<Key, Crossing, RandomState>,
    /// By author and content, recipient, and id.
    resends: HashMap<(Key, u64, u64), Resend, RandomState>,
}

impl Crossings {
    /// Remembers about `most` crossings.
    pub(crate) fn new(most: usize) -> Crossings {
        Crossings {
            hash: RandomState::default(),
            half: (most / 2).max(1),
            young: HashMap::with_capacity_and_hasher((most / 2).max(1), RandomState::default()),
            old: HashMap::default(),
            resends: HashMap::default(),
        }
    }

    /// A message crosses: new, or known. `policy` and `indicators` are the versions in force.
    pub(crate) fn enter(&mut self, message: &Message, digest: &Digest, policy: &str, indicators: &str) -> Entered {
        let (key, to) = self.key(&message.from, &message.to, digest);
        let reader = self.reader(message);
        if message.direction == Direction::FromClient && !self.resends.is_empty() {
            let id = self.account(&[message.id.as_deref().unwrap_or_default()]);
            let rules = self.account(&[policy, indicators]);
            if let Some(resend) = self.resends.remove(&(key, to, id))
                && resend.rules == rules
                && message.time.duration_since(resend.at) < RESEND
            {
                self.crossing(key).say(to, Standing::Plain);
                return Entered::Known(Standing::Plain);
            }
        }
        let crossing = self.crossing(key);
        let again = message.resent || (message.copy && message.direction == Direction::ToClient);
        let fans_out = message.direction == Direction::ToClient;
        if (again || fans_out)
            && let Some(route) = crossing.route(to)
        {
            let (said, standing) = (route.said, route.standing.clone());
            if again || crossing.tells(reader, said) {
                return Entered::Known(standing);
            }
        }
        let first = Arc::new(First::default());
        crossing.say(to, Standing::First(first.clone()));
        if fans_out {
            let said = crossing.route(to).map_or(1, |route| route.said);
            crossing.tells(reader, said);
        }
        Entered::New(first)
    }

    /// The gateway rewrote a message or a person released it: its crossings pass.
    pub(crate) fn pass(&mut self, from: &Party, to: &Party, digest: &Digest) {
        let (key, to) = self.key(from, to, digest);
        self.crossing(key).say(to, Standing::Passed);
    }

    /// A message was released from quarantine. What kind its parties are is not
    /// kept, so both ways of knowing it are told.
    pub(crate) fn released(&mut self, held: &Held) {
        let account = |address: &str| address.split('/').next().unwrap_or(address).to_owned();
        let (from, to) = (account(&held.from), account(&held.to));
        let direct = (Key::new(self.account(&[&from]), held.digest), self.account(&[&to]));
        let room = (Key::new(self.account(&[&to]), held.digest), 0);
        for (key, to) in [direct, room] {
            self.crossing(key).say(to, Standing::Passed);
        }
    }

    /// A record of an earlier run: its client may not know that it arrived, and
    /// its reader may not have seen what was released.
    pub(crate) fn replay(&mut self, record: &Record) {
        let (Some(from), Some(to), Some(digest)) = (&record.from, &record.to, record.digest) else { return };
        let room = to.kind == PartyKind::Room;
        let author = if room { &to.account } else { &from.account };
        let key = Key::new(self.account(&[author]), digest);
        let to = if room { 0 } else { self.account(&[&to.account]) };
        match record.kind {
            RecordKind::Release => {
                self.crossing(key).say(to, Standing::Passed);
                // Its recipient may be a room.
                let recipient = record.to.as_ref().map_or("", |to| &to.account);
                let key = Key::new(self.account(&[recipient]), digest);
                self.crossing(key).say(0, Standing::Passed);
            }
            // Only what was simply allowed is taken as known: anything else is judged anew, so that its
            // sender is told again.
            RecordKind::Message
                if record.direction == Some(Direction::FromClient)
                    && record.verdict == Some(Effect::Allow)
                    && self.resends.len() < self.half =>
            {
                let Some(id) = &record.message_id else { return };
                let id = self.account(&[id]);
                let versions = [record.policy.as_deref(), record.indicators.as_deref()].map(Option::unwrap_or_default);
                let rules = self.account(&versions);
                self.resends.insert((key, to, id), Resend { at: record.time, rules });
            }
            _ => {}
        }
    }

    fn crossing(&mut self, key: Key) -> &mut Crossing {
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            // The table of the generation that is forgotten serves the next: growing would cost more than all else.
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
            self.young.reserve(self.half);
        }
        let old = &mut self.old;
        self.young.entry(key).or_insert_with(|| old.remove(&key).unwrap_or_default())
    }

    /// Who says it, and to whom; in a room, the room: its echoes come from there.
    fn key(&self, from: &Party, to: &Party, digest: &Digest) -> (Key, u64) {
        let (author, to) = match (from.kind, to.kind) {
            (PartyKind::Room, _) => (self.account(&[&from.address.account]), 0),
            (_, PartyKind::Room) => (self.account(&[&to.address.account]), 0),
            _ => (self.account(&[&from.address.account]), self.account(&[&to.address.account])),
        };
        (Key::new(author, *digest), to)
    }

    fn reader(&self, message: &Message) -> u32 {
        let to = &message.to.address;
        self.account(&[&to.account, to.device.as_deref().unwrap_or_default()]) as u32
    }

    fn account(&self, parts: &[&str]) -> u64 {
        let mut hasher = self.hash.build_hasher();
        for part in parts {
            hasher.write(part.as_bytes());
            hasher.write_u8(0xff);
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Address, Kind, Protocol, Side};

    fn party(jid: &str) -> Arc<Party> {
        let kind = if jid.starts_with("room") { PartyKind::Room } else { PartyKind::Person };
        let (account, device) = jid.split_once('/').unwrap_or((jid, "x"));
        let address = Address { account: account.into(), device: Some(device.into()) };
        Arc::new(Party::stranger(address, kind, Side::Internal))
    }

    fn message(direction: Direction, from: &str, to: &str) -> Message {
        Message::new(Protocol::Xmpp, Kind::Message, direction, Timestamp::UNIX_EPOCH, party(from), party(to))
    }

    const OK: Digest = Digest([1; 16]);

    /// Crosses; says whether it was new.
    fn cross(crossings: &mut Crossings, message: &Message) -> bool {
        matches!(crossings.enter(message, &OK, "p", "i"), Entered::New(_))
    }

    #[test]
    fn a_message_is_new_once_however_often_it_crosses() {
        let mut c = Crossings::new(100);
        assert!(cross(&mut c, &message(Direction::FromClient, "alice", "bob")));
        assert!(!cross(&mut c, &message(Direction::ToClient, "alice", "bob/phone")));
        assert!(!cross(&mut c, &message(Direction::ToClient, "alice", "bob/desk")));
        let mut carbon = message(Direction::ToClient, "alice", "bob");
        carbon.copy = true;
        for _ in 0..3 {
            assert!(!cross(&mut c, &carbon));
        }
    }

    #[test]
    fn the_same_words_said_twice_are_two_messages() {
        let mut c = Crossings::new(100);
        for _ in 0..2 {
            assert!(cross(&mut c, &message(Direction::FromClient, "alice", "bob")));
        }
        for _ in 0..2 {
            assert!(!cross(&mut c, &message(Direction::ToClient, "alice", "bob/phone")));
        }
        // From outside there is no crossing up: each telling of one session is a message.
        for _ in 0..3 {
            assert!(cross(&mut c, &message(Direction::ToClient, "eve", "bob/phone")));
            assert!(!cross(&mut c, &message(Direction::ToClient, "eve", "bob/desk")));
        }
    }

    #[test]
    fn another_reader_is_another_message() {
        let mut c = Crossings::new(100);
        assert!(cross(&mut c, &message(Direction::ToClient, "eve", "bob/phone")));
        let mut forged = message(Direction::ToClient, "eve", "carol/phone");
        assert!(cross(&mut c, &forged));
        forged.copy = true;
        forged.to = party("dave/phone");
        assert!(cross(&mut c, &forged), "a copy of something never said to dave is new");
    }

    #[test]
    fn a_room_echoes_to_all_its_occupants() {
        let mut c = Crossings::new(100);
        assert!(cross(&mut c, &message(Direction::FromClient, "alice", "room@rooms")));
        for occupant in 0..40 {
            let told = message(Direction::ToClient, "room@rooms/nick", &format!("user{occupant}/x"));
            assert!(!cross(&mut c, &told));
        }
    }

    #[test]
    fn what_was_released_or_rewritten_passes() {
        let mut c = Crossings::new(100);
        assert!(cross(&mut c, &message(Direction::FromClient, "alice", "bob")));
        c.pass(&party("alice"), &party("bob"), &OK);
        let told = c.enter(&message(Direction::ToClient, "alice", "bob/phone"), &OK, "p", "i");
        assert!(matches!(told, Entered::Known(Standing::Passed)));
    }

    #[test]
    fn what_an_earlier_run_recorded_is_known_once_to_the_same_recipient_under_the_same_rules() {
        let sent = |to: &str| {
            let mut sent = message(Direction::FromClient, "alice", to);
            sent.id = Some("m1".into());
            sent
        };
        let mut record = Record::new(uuid::Uuid::nil(), Timestamp::UNIX_EPOCH, RecordKind::Message);
        record.direction = Some(Direction::FromClient);
        record.from = Some((&*party("alice")).into());
        record.to = Some((&*party("bob")).into());
        record.digest = Some(OK);
        record.message_id = Some("m1".into());
        record.verdict = Some(Effect::Allow);
        record.policy = Some("p".into());
        record.indicators = Some("i".into());
        let replayed = || {
            let mut c = Crossings::new(100);
            c.replay(&record);
            c
        };
        let mut c = replayed();
        assert!(!cross(&mut c, &sent("bob")));
        assert!(cross(&mut c, &sent("bob")), "the second time it is said again");
        assert!(cross(&mut replayed(), &sent("carol")));
        assert!(matches!(replayed().enter(&sent("bob"), &OK, "other", "i"), Entered::New(_)));
        let mut late = sent("bob");
        late.time = Timestamp::UNIX_EPOCH + RESEND;
        assert!(cross(&mut replayed(), &late));
    }

    #[test]
    fn memory_is_bounded() {
        let mut c = Crossings::new(100);
        for i in 0..10_000u32 {
            let mut digest = [0; 16];
            digest[..4].copy_from_slice(&i.to_le_bytes());
            c.enter(&message(Direction::FromClient, "a", "b"), &Digest(digest), "p", "i");
            c.enter(&message(Direction::FromClient, "a", &format!("b{i}")), &OK, "p", "i");
        }
        assert!(c.young.len() + c.old.len() <= 102);
        assert!(c.young.values().all(|crossing| crossing.routes.len() <= ROUTES));
    }
}
