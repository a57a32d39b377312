//! Records to campaigns: the one place where it is decided that messages belong together. Pure: no clock, no I/O; the
//! same records in the same order give the same campaigns.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use model::Record;

use super::evidence::MANY;
use super::window::Window;
use super::{Campaign, Choice, Decision, Key, Sighting, Status};

/// When messages are a campaign, and how much is remembered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Different recipients that suspicious messages with the same key have to reach.
    pub recipients: usize,
    /// Different senders that have to send them; one is enough where the findings are grave.
    pub senders: usize,
    /// Suspicious messages there have to be.
    pub repeats: usize,
    /// What one message's findings have to weigh to be grave.
    pub grave: f32,
    /// Hours that messages are remembered before they are part of a campaign.
    pub window_hours: u32,
    /// Messages remembered at most.
    pub memory: usize,
    /// Days without a message until a campaign is over.
    pub quiet_days: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { recipients: 3, senders: 2, repeats: 3, grave: 5.0, window_hours: 24, memory: 32_768, quiet_days: 30 }
    }
}

/// What one record changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Campaigns that began.
    pub opened: Vec<String>,
    /// Campaigns that turned out to be one: what became part of what.
    pub merged: Vec<(String, String)>,
    /// Campaigns that have just reached for a decoy.
    pub decoyed: Vec<String>,
}

/// Campaigns that are going on at a time; beyond, the longest quiet one is over.
pub const LIVE: usize = 512;
/// Merged ids that are remembered.
const ALIASES: usize = 4_096;
/// So many people who just pass something on make it an ordinary thing.
const POPULAR: usize = 2;

/// Groups messages into campaigns.
#[derive(Debug)]
pub struct Grouper {
    settings: Settings,
    window: Window,
    campaigns: BTreeMap<Arc<str>, Campaign>,
    owner: HashMap<Key, Arc<str>>,
    /// Of merged campaigns, what they are part of.
    aliases: BTreeMap<Arc<str>, Arc<str>>,
    /// Changed since they were last taken.
    dirty: BTreeSet<Arc<str>>,
    /// Those of them that are live no more.
    ended: Vec<Campaign>,
    tidied: Option<Timestamp>,
}

impl Grouper {
    /// Goes on with campaigns that are known.
    pub fn new(settings: Settings, known: impl IntoIterator<Item = Campaign>) -> Grouper {
        let mut grouper = Grouper {
            settings,
            window: Window::new(settings.memory),
            campaigns: BTreeMap::new(),
            owner: HashMap::new(),
            aliases: BTreeMap::new(),
            dirty: BTreeSet::new(),
            ended: Vec::new(),
            tidied: None,
        };
        for campaign in known {
            let id: Arc<str> = campaign.id.as_str().into();
            if let Status::Merged { into } = &campaign.status {
                grouper.alias(id, into.as_str().into());
                continue;
            }
            for key in campaign.keys.keys() {
                grouper.owner.insert(key.clone(), id.clone());
                grouper.window.hold(key);
            }
            grouper.campaigns.insert(id, campaign);
            grouper.make_room();
        }
        grouper.ended.clear();
        grouper
    }

    /// Takes in a record that campaigns have been made of before, so that what follows is seen with its past.
    pub fn remember(&mut self, record: &Record, position: u64) {
        let Some(sighting) = Sighting::of(record, position) else { return };
        let suspicious = sighting.is_suspicious();
        let number = self.window.push(sighting);
        let Some(sighting) = self.window.get(number).cloned() else { return };
        let counts = |key: &&Key| suspicious || key.kind().is_telling();
        if let Some(owner) = sighting.keys.iter().filter(counts).find_map(|key| self.owner.get(key)).cloned() {
            self.window.count(number, &owner);
        }
    }

    /// Takes in one more record.
    pub fn observe(&mut self, record: &Record, position: u64, now: Timestamp) -> Changes {
        self.tidy(now);
        let mut changes = Changes::default();
        let Some(sighting) = Sighting::of(record, position) else { return changes };
        let number = self.window.push(sighting);
        let Some(sighting) = self.window.get(number).cloned() else { return changes };
        let suspicious = sighting.is_suspicious();
        let home = self.home(&sighting, suspicious, &mut changes);
        let home = match home {
            Some(home) => home,
            None if suspicious && self.begins(&sighting) => self.open(&sighting, &mut changes),
            None => return changes,
        };
        self.count(&home, number);
        let dismissed = self.campaigns.get(&home).is_some_and(|c| matches!(c.status, Status::Dismissed { .. }));
        if suspicious && !dismissed {
            for key in &sighting.keys {
                if !self.owner.contains_key(key) && self.joins(key, sighting.decoy) {
                    self.adopt(&home, key);
                }
            }
        }
        if sighting.decoy && !dismissed {
            changes.decoyed.push(home.to_string());
        }
        changes
    }

    /// Applies what a person decided.
    pub fn decide(&mut self, decision: &Decision) -> Changes {
        let mut changes = Changes::default();
        let id = self.resolve(&Arc::from(decision.campaign.as_str()));
        if let Choice::Merge { into } = &decision.choice {
            let into = self.resolve(&Arc::from(into.as_str()));
            if id != into && self.campaigns.contains_key(&id) && self.campaigns.contains_key(&into) {
                self.merge(&into, &id, &mut changes);
            }
            return changes;
        }
        if let Some(campaign) = self.campaigns.get_mut(&id) {
            decision.apply(campaign);
            self.dirty.insert(id);
        }
        changes
    }

    /// A campaign that is going on, by its id or that of one that became part of it.
    pub fn get(&self, id: &str) -> Option<&Campaign> {
        self.campaigns.get(&self.resolve(&Arc::from(id)))
    }

    /// All that are going on, by id.
    pub fn campaigns(&self) -> impl Iterator<Item = &Campaign> {
        self.campaigns.values()
    }

    /// What changed since this was last asked: to be kept.
    pub fn take_changed(&mut self) -> Vec<Campaign> {
        let dirty = std::mem::take(&mut self.dirty);
        let mut changed = std::mem::take(&mut self.ended);
        changed.extend(dirty.iter().filter_map(|id| self.campaigns.get(id)).cloned());
        changed
    }

    /// The campaign that a message belongs to by its keys. Those that a suspicious message joins become one.
    fn home(&mut self, sighting: &Sighting, suspicious: bool, changes: &mut Changes) -> Option<Arc<str>> {
        let counts = |key: &&Key| suspicious || key.kind().is_telling();
        let owners: BTreeSet<Arc<str>> =
            sighting.keys.iter().filter(counts).filter_map(|key| self.owner.get(key)).cloned().collect();
        let dismissed = |id: &Arc<str>| {
            self.campaigns.get(id).is_some_and(|campaign| matches!(campaign.status, Status::Dismissed { .. }))
        };
        let mut active: Vec<Arc<str>> = owners.iter().filter(|id| !dismissed(id)).cloned().collect();
        active.sort_by_key(|id| self.rank(id));
        let Some(home) = active.first().cloned() else { return owners.first().cloned() };
        if suspicious {
            for other in active.iter().skip(1) {
                let both = [&home, other].map(|id| self.campaigns.get(id).map(|campaign| &campaign.status));
                // Two threats of the catalogue do not become one by themselves.
                if !matches!(both, [Some(Status::Promoted { .. }), Some(Status::Promoted { .. })]) {
                    self.merge(&home, other, changes);
                }
            }
        }
        Some(home)
    }

    /// Which of two campaigns stays when they become one: what people decided about, then the older.
    fn rank(&self, id: &Arc<str>) -> (bool, bool, Timestamp, Arc<str>) {
        match self.campaigns.get(id) {
            Some(campaign) => {
                let promoted = matches!(campaign.status, Status::Promoted { .. });
                (!promoted, !campaign.is_decided(), campaign.first_seen, id.clone())
            }
            None => (true, true, Timestamp::MAX, id.clone()),
        }
    }

    /// Whether a suspicious message makes a campaign of what it shares with others.
    fn begins(&self, sighting: &Sighting) -> bool {
        sighting.decoy || sighting.keys.iter().any(|key| self.crosses(key))
    }

    fn crosses(&self, key: &Key) -> bool {
        let seen = self.seen(key);
        let Settings { recipients, senders, repeats, grave, .. } = self.settings;
        let enough = match seen.weight >= grave {
            true => seen.recipients >= recipients || seen.senders >= senders,
            false => seen.recipients >= recipients && seen.senders >= senders,
        };
        seen.suspicious >= repeats && enough && seen.bystanders <= seen.senders * POPULAR
    }

    /// Whether a key of a suspicious message becomes one of its campaign.
    fn joins(&self, key: &Key, decoy: bool) -> bool {
        let seen = self.seen(key);
        match decoy {
            true => seen.bystanders <= POPULAR,
            false => seen.suspicious >= 2 && seen.bystanders <= seen.senders,
        }
    }

    /// What the remembered messages with a key come to.
    fn seen(&self, key: &Key) -> Seen {
        let with = self.window.with(key);
        let sightings: Vec<&Arc<Sighting>> = with.iter().filter_map(|number| self.window.get(*number)).collect();
        let bad = || sightings.iter().filter(|sighting| sighting.is_suspicious());
        let senders: BTreeSet<&str> = bad().map(|sighting| &*sighting.from.account).collect();
        let recipients: BTreeSet<&str> = bad().map(|sighting| &*sighting.to.account).collect();
        let mut others: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for sighting in sightings.iter().filter(|sighting| !senders.contains(&*sighting.from.account)) {
            others.entry(&sighting.from.account).or_default().insert(&sighting.to.account);
        }
        Seen {
            suspicious: bad().count(),
            weight: bad().map(|sighting| sighting.weight).fold(0.0, f32::max),
            senders: senders.len(),
            recipients: recipients.len(),
            bystanders: others.values().filter(|told| told.len() < MANY).count(),
        }
    }

    fn open(&mut self, sighting: &Sighting, changes: &mut Changes) -> Arc<str> {
        let hex = sighting.record.simple().to_string();
        let ids = [10, 20, hex.len()].map(|digits| format!("c{}", &hex[hex.len().saturating_sub(digits)..]));
        let free = |id: &&String| !self.campaigns.contains_key(id.as_str()) && !self.aliases.contains_key(id.as_str());
        let id = ids.iter().find(free).unwrap_or(&ids[2]).clone();
        let shared: Arc<str> = id.as_str().into();
        self.campaigns.insert(shared.clone(), Campaign::begin(id.clone(), sighting));
        for key in &sighting.keys {
            if (sighting.decoy && self.joins(key, true)) || self.crosses(key) {
                self.adopt(&shared, key);
            }
        }
        self.make_room();
        changes.opened.push(id);
        shared
    }

    /// Makes something a key of a campaign, which takes in the messages that had it before.
    fn adopt(&mut self, home: &Arc<str>, key: &Key) {
        let shares = self.campaigns.get_mut(home).is_some_and(|campaign| campaign.share(key));
        self.dirty.insert(home.clone());
        if !shares {
            return;
        }
        self.owner.insert(key.clone(), home.clone());
        self.window.hold(key);
        for number in self.window.with(key) {
            let Some(sighting) = self.window.get(number).cloned() else { continue };
            let suspicious = sighting.is_suspicious();
            let counted = self.window.counted(number).map(|id| self.resolve(id));
            if counted.as_ref() == Some(home) {
                let shared = self.campaigns.get_mut(home).and_then(|campaign| campaign.keys.get_mut(key));
                if let Some(shared) = shared {
                    shared.messages += 1;
                    shared.suspicious += u64::from(suspicious);
                }
            } else if suspicious || key.kind().is_telling() {
                self.count(home, number);
            }
        }
    }

    /// Counts a message for a campaign, unless it was counted for one before.
    fn count(&mut self, home: &Arc<str>, number: u64) {
        if self.window.counted(number).is_some() {
            return;
        }
        let Some(sighting) = self.window.get(number).cloned() else { return };
        if let Some(campaign) = self.campaigns.get_mut(home) {
            campaign.add(&sighting);
            self.dirty.insert(home.clone());
            self.window.count(number, home);
        }
    }

    /// Makes `other` a part of `home`.
    fn merge(&mut self, home: &Arc<str>, other: &Arc<str>, changes: &mut Changes) {
        let Some(mut gone) = self.campaigns.remove(other) else { return };
        for key in gone.keys.keys() {
            self.owner.remove(key);
        }
        if let Some(campaign) = self.campaigns.get_mut(home) {
            campaign.absorb(&gone);
            for key in gone.keys.keys().filter(|key| campaign.keys.contains_key(*key)) {
                self.owner.insert(key.clone(), home.clone());
            }
        }
        self.alias(other.clone(), home.clone());
        gone.emptied(home);
        self.dirty.remove(other);
        self.dirty.insert(home.clone());
        self.ended.push(gone);
        changes.merged.push((other.to_string(), home.to_string()));
    }

    fn alias(&mut self, from: Arc<str>, to: Arc<str>) {
        if self.aliases.len() >= ALIASES {
            self.aliases.pop_first();
        }
        self.aliases.insert(from, to);
    }

    fn resolve(&self, id: &Arc<str>) -> Arc<str> {
        let mut at = id;
        // Chains are short; the bound keeps a damaged store from turning in circles.
        for _ in 0..64 {
            match self.aliases.get(at) {
                Some(next) => at = next,
                None => break,
            }
        }
        at.clone()
    }

    /// Forgets messages of long ago and ends campaigns that are over.
    fn tidy(&mut self, now: Timestamp) {
        const EVERY: SignedDuration = SignedDuration::from_mins(1);
        let due = |last: Timestamp| now.duration_since(last).abs() >= EVERY;
        if !self.tidied.is_none_or(due) {
            return;
        }
        self.tidied = Some(now);
        let ago = |hours: i64| now.checked_sub(SignedDuration::from_hours(hours)).unwrap_or(Timestamp::MIN);
        self.window.forget(ago(i64::from(self.settings.window_hours)));
        let quiet = ago(i64::from(self.settings.quiet_days) * 24);
        let over: Vec<Arc<str>> =
            self.campaigns.iter().filter(|(_, c)| c.last_seen < quiet).map(|(id, _)| id.clone()).collect();
        over.iter().for_each(|id| self.end(id));
    }

    fn make_room(&mut self) {
        while self.campaigns.len() > LIVE {
            let quietest = self.campaigns.iter().min_by_key(|(id, c)| (c.last_seen, (*id).clone()));
            let Some(id) = quietest.map(|(id, _)| id.clone()) else { return };
            self.end(&id);
        }
    }

    fn end(&mut self, id: &Arc<str>) {
        let Some(campaign) = self.campaigns.remove(id) else { return };
        for key in campaign.keys.keys() {
            self.owner.remove(key);
        }
        if self.dirty.remove(id) {
            self.ended.push(campaign);
        }
    }
}

/// What the remembered messages with one key come to.
struct Seen {
    /// Suspicious messages.
    suspicious: usize,
    /// The most that one weighs.
    weight: f32,
    /// Who sent suspicious ones.
    senders: usize,
    /// Who was to receive them.
    recipients: usize,
    /// Others who sent it to a few: people who pass something on.
    bystanders: usize,
}
