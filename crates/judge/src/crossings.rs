//! One message, one record: what has crossed before, by who said it and what it says.
//!
//! A message crosses more than once: up from its sender, down to each of its
//! readers, again as a carbon, out of the archive, after a resumption. Ids are
//! the sender's to choose, so crossings are known by content. People do say
//! the same thing twice, so crossings are counted: a session that is told "ok"
//! for the second time while it was said (and recorded) once has been told
//! something new.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::quality::RandomState;
use model::{Digest, Direction, Effect, Message, PartyKind, Record, RecordKind, Verdict};
use smallvec::SmallVec;

/// Sessions remembered for one crossing; more are taken to be told copies.
const READERS: usize = 16;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key(u64, Digest);

struct Crossing {
    verdict: Arc<Verdict>,
    /// How often it was said and recorded.
    said: u32,
    /// How often each session was told it.
    told: SmallVec<[(u64, u32); 2]>,
}

impl Crossing {
    /// Tells a session once more; false when it was told as often as it was said already.
    fn tells(&mut self, reader: u64) -> bool {
        let known = self.told.iter().position(|(session, _)| *session == reader);
        let full = self.told.len() >= READERS;
        match known.and_then(|at| self.told.get_mut(at)) {
            Some((_, times)) if *times >= self.said => false,
            Some((_, times)) => {
                *times += 1;
                true
            }
            None if full => true,
            None => {
                self.told.push((reader, 1));
                self.said > 0
            }
        }
    }
}

/// What has crossed lately. Bounded: two generations, the older one forgotten
/// when the younger is full.
pub struct Crossings {
    hash: RandomState,
    half: usize,
    young: HashMap<Key, Crossing, RandomState>,
    old: HashMap<Key, Crossing, RandomState>,
    /// What clients of an earlier run may send again, by sender, content and id.
    resends: HashMap<(Key, u64), Effect, RandomState>,
}

impl Crossings {
    /// Remembers about `most` crossings.
    pub fn new(most: usize) -> Crossings {
        Crossings {
            hash: RandomState::default(),
            half: (most / 2).max(1),
            young: HashMap::default(),
            old: HashMap::default(),
            resends: HashMap::default(),
        }
    }

    /// The verdict of an earlier crossing, when this is the same message again.
    pub fn crossed(&mut self, message: &Message, digest: &Digest) -> Option<Arc<Verdict>> {
        match message.direction {
            Direction::FromClient if message.resent => {
                let key = self.key(message, digest);
                self.find(key).map(|crossing| crossing.verdict.clone())
            }
            Direction::FromClient => self.sent_to_an_earlier_run(message, digest),
            Direction::ToClient => {
                let copy = message.copy || message.resent;
                let key = if copy { self.author_key(message, digest) } else { self.key(message, digest) };
                let reader = self.reader(message);
                let crossing = self.find(key)?;
                if copy {
                    return Some(crossing.verdict.clone());
                }
                crossing.tells(reader).then(|| crossing.verdict.clone())
            }
        }
    }

    /// A message was judged: its next crossings are copies.
    pub fn crossed_as(&mut self, message: &Message, digest: &Digest, verdict: Arc<Verdict>) {
        let reader = (message.direction == Direction::ToClient).then(|| self.reader(message));
        let keys = [self.key(message, digest), self.author_key(message, digest)];
        for key in keys {
            if self.young.len() >= self.half {
                self.old = std::mem::take(&mut self.young);
            }
            let known = self.old.remove(&key);
            let crossing = self.young.entry(key).or_insert_with(|| {
                known.unwrap_or_else(|| Crossing { verdict: verdict.clone(), said: 0, told: SmallVec::new() })
            });
            crossing.verdict = verdict.clone();
            crossing.said = crossing.said.saturating_add(1);
            if let Some(reader) = reader {
                crossing.tells(reader);
            }
            if keys[0] == keys[1] {
                break;
            }
        }
    }

    /// A record of an earlier run: the client may not know that it arrived.
    pub fn replay(&mut self, record: &Record) {
        if record.kind != RecordKind::Message || record.direction != Some(Direction::FromClient) {
            return;
        }
        if let (Some(from), Some(digest), Some(id), Some(effect)) =
            (&record.from, record.digest, &record.message_id, record.verdict)
            && self.resends.len() < self.half
        {
            let key = Key(self.account(&[&from.account]), digest);
            let id = self.account(&[id]);
            self.resends.insert((key, id), effect);
        }
    }

    /// Whether an earlier run has recorded this one and its client sends it
    /// again. Only what was simply allowed is taken as known: anything else is
    /// judged anew, so that its sender is told again.
    fn sent_to_an_earlier_run(&mut self, message: &Message, digest: &Digest) -> Option<Arc<Verdict>> {
        if self.resends.is_empty() {
            return None;
        }
        let key = Key(self.account(&[&message.from.address.account]), *digest);
        let id = self.account(&[message.id.as_deref()?]);
        let effect = self.resends.remove(&(key, id))?;
        (effect == Effect::Allow).then(|| {
            let verdict = Arc::<Verdict>::default();
            self.crossed_as(message, digest, verdict.clone());
            verdict
        })
    }

    fn find(&mut self, key: Key) -> Option<&mut Crossing> {
        match self.young.get_mut(&key) {
            Some(crossing) => Some(crossing),
            None => self.old.get_mut(&key),
        }
    }

    /// Who says it to whom; in a room, the room: its echoes come from there.
    fn key(&self, message: &Message, digest: &Digest) -> Key {
        let (from, to) = (&message.from, &message.to);
        let hash = match (from.kind, to.kind) {
            (PartyKind::Room, _) => self.account(&[&from.address.account]),
            (_, PartyKind::Room) => self.account(&[&to.address.account]),
            _ => self.account(&[&from.address.account, &to.address.account]),
        };
        Key(hash, *digest)
    }

    /// Who says it: what carbons and the archive tell.
    fn author_key(&self, message: &Message, digest: &Digest) -> Key {
        let author = match (message.from.kind, message.to.kind) {
            (PartyKind::Room, _) => &message.from,
            (_, PartyKind::Room) => &message.to,
            _ => &message.from,
        };
        Key(self.account(&[&author.address.account]), *digest)
    }

    fn reader(&self, message: &Message) -> u64 {
        let to = &message.to.address;
        self.account(&[&to.account, to.device.as_deref().unwrap_or_default()])
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
    use jiff::Timestamp;
    use model::{Address, Kind, Party, Protocol, Side};

    fn party(account: &str, device: &str, kind: PartyKind) -> Arc<Party> {
        let address = Address { account: account.into(), device: Some(device.into()) };
        Arc::new(Party::stranger(address, kind, Side::Internal))
    }

    fn message(direction: Direction, from: &str, to: &str) -> Message {
        let kind = |jid: &str| if jid.starts_with("room") { PartyKind::Room } else { PartyKind::Person };
        let split = |jid: &str| {
            let (account, device) = jid.split_once('/').unwrap_or((jid, "x"));
            party(account, device, kind(jid))
        };
        Message::new(Protocol::Xmpp, Kind::Message, direction, Timestamp::UNIX_EPOCH, split(from), split(to))
    }

    const OK: Digest = Digest([1; 16]);

    /// Crosses, and is judged when new; says whether it was new.
    fn cross(crossings: &mut Crossings, message: &Message) -> bool {
        let new = crossings.crossed(message, &OK).is_none();
        if new {
            crossings.crossed_as(message, &OK, Arc::default());
        }
        new
    }

    #[test]
    fn a_message_is_new_once_however_often_it_crosses() {
        let mut c = Crossings::new(100);
        assert!(cross(&mut c, &message(Direction::FromClient, "alice", "bob")));
        assert!(!cross(&mut c, &message(Direction::ToClient, "alice", "bob/phone")));
        assert!(!cross(&mut c, &message(Direction::ToClient, "alice", "bob/desk")));
        let mut carbon = message(Direction::ToClient, "alice", "alice/other");
        carbon.copy = true;
        assert!(!cross(&mut c, &carbon));
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
        assert!(cross(&mut c, &message(Direction::ToClient, "eve", "carol/phone")), "another reader, another message");
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
    fn what_an_earlier_run_recorded_is_known_once() {
        let mut c = Crossings::new(100);
        let mut sent = message(Direction::FromClient, "alice", "bob");
        sent.id = Some("m1".into());
        let mut record = Record::new(uuid::Uuid::nil(), Timestamp::UNIX_EPOCH, RecordKind::Message);
        record.direction = Some(Direction::FromClient);
        record.from = Some((&*sent.from).into());
        record.digest = Some(OK);
        record.message_id = sent.id.clone();
        record.verdict = Some(Effect::Allow);
        c.replay(&record);
        assert!(!cross(&mut c, &sent));
        assert!(cross(&mut c, &sent), "the second time it is said again");
    }

    #[test]
    fn memory_is_bounded() {
        let mut c = Crossings::new(100);
        for i in 0..10_000u32 {
            let mut digest = [0; 16];
            digest[..4].copy_from_slice(&i.to_le_bytes());
            c.crossed_as(&message(Direction::FromClient, "a", "b"), &Digest(digest), Arc::default());
        }
        assert!(c.young.len() + c.old.len() <= 102);
    }
}
