//! The client, without I/O: what it trusts, what it wants to read next, and what it makes of it.
//!
//! ```text
//! let mut update = trust.update(now);
//! while let Step::Fetch(request) = update.wants() {
//!     update.take(answer to the request)?;      // judged; what was learned stays in the trust
//! }
//! ```
//!
//! The order is TUF's (section 5): roots one by one, timestamp, snapshot, release, then the files. Every length
//! is known before a byte is read. What a verified file teaches (a newer root, versions) is kept at once, so
//! that an attacker who breaks the exchange later takes nothing back.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::metadata::{Envelope, Metadata};
use super::quorum::{self, Former};
use super::{
    Attack, BUNDLE_BYTES, BUNDLE_FILES, FILE_BYTES, FileMeta, Header, Part, RELEASE_BYTES, ROOT_BYTES, Refused,
    Release, Role, Root, SKEW, SNAPSHOT_BYTES, Snapshot, TIMESTAMP_BYTES, Timestamped, Versioned,
};

/// Roots that are walked in one update.
const MOST_ROTATIONS: u32 = 256;
/// Former keys remembered.
const MOST_FORMER: usize = 512;

/// What a client remembers of a repository between updates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Memory {
    /// The newest version seen and verified, of each role but root.
    versions: BTreeMap<Role, u64>,
    /// SHA-256 of the newest timestamp's signed part: a version says one thing only.
    timestamp: Option<String>,
    /// The newest signed time seen: it is not earlier now.
    newest: Option<Timestamp>,
    /// The newest timestamp known when something was found expired: it stays expired, however the clock is set.
    stale: u64,
    /// Keys that counted once.
    former: Former,
}

impl Memory {
    fn version(&self, role: Role) -> u64 {
        self.versions.get(&role).copied().unwrap_or(0)
    }
}

/// A trusted root, and what was learned since.
#[derive(Clone, Debug)]
pub struct Trust {
    root: Root,
    root_bytes: Vec<u8>,
    memory: Memory,
    held: Option<Held>,
}

/// The release that the caller already has.
#[derive(Clone, Debug)]
struct Held {
    snapshot: Versioned,
    expires: Timestamp,
}

impl Trust {
    /// Trusts a root that came by a safe way: with the configuration, or from an earlier update.
    pub fn new(root: &[u8], memory: Memory) -> Result<Trust, Refused> {
        let read = |bytes| {
            let envelope = Envelope::parse(bytes)?;
            let root: Root = envelope.says()?;
            root.check().map_err(Attack::malformed)?;
            quorum::verify(&root, Role::Root, &envelope, &Former::new())?;
            Ok(root)
        };
        let parsed = read(root).map_err(|attack: Attack| attack.of("root.json"))?;
        Ok(Trust { root: parsed, root_bytes: root.to_vec(), memory, held: None })
    }

    /// The root that is trusted now.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Its file, to be kept for the next start.
    pub fn root_bytes(&self) -> &[u8] {
        &self.root_bytes
    }

    /// What was learned, to be kept for the next start.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Says that the bundle of this snapshot, good until `expires`, is there: it is not asked for again.
    pub fn holds(&mut self, snapshot: Versioned, expires: Timestamp) {
        self.held = Some(Held { snapshot, expires });
    }

    /// Asks for it again.
    pub fn forget_held(&mut self) {
        self.held = None;
    }

    /// Begins to look for something newer.
    pub fn update(&mut self, now: Timestamp) -> Update<'_> {
        Update { trust: self, now, stage: Stage::Roots { walked: 0 } }
    }

    /// The time that expiry is held against: no earlier than what was signed before.
    fn time(&self, now: Timestamp) -> Timestamp {
        self.memory.newest.map_or(now, |newest| newest.max(now))
    }

    /// Checks a header's times.
    fn check_times(&mut self, header: &Header, now: Timestamp) -> Result<(), Attack> {
        if header.issued > later(now) {
            return Err(Attack::FromTheFuture { issued: header.issued });
        }
        self.check_expiry(header.role, header.expires, now)?;
        self.memory.newest = self.memory.newest.max(Some(header.issued));
        Ok(())
    }

    fn check_expiry(&mut self, role: Role, expires: Timestamp, now: Timestamp) -> Result<(), Attack> {
        if self.time(now) <= later(expires) {
            return Ok(());
        }
        self.memory.stale = self.memory.stale.max(self.memory.version(Role::Timestamp));
        Err(match role {
            Role::Root => Attack::RootExpired { expires },
            _ => Attack::Frozen { expires },
        })
    }

    /// Takes a root that follows from the trusted one.
    pub(super) fn rotate(&mut self, bytes: &[u8]) -> Result<(), Attack> {
        let from = self.root.header.version;
        let broken = |why: String| Attack::BrokenRotation { from, why };
        let envelope = Envelope::parse(bytes)?;
        quorum::verify(&self.root, Role::Root, &envelope, &self.memory.former).map_err(|attack| match attack {
            Attack::Unsigned | Attack::KeyRevoked { .. } => attack,
            attack => broken(format!("by the old root's keys: {attack}")),
        })?;
        let new: Root = envelope.says()?;
        if new.header.version != from + 1 {
            return Err(broken(format!("it says version {}", new.header.version)));
        }
        new.check().map_err(broken)?;
        quorum::verify(&new, Role::Root, &envelope, &self.memory.former)
            .map_err(|attack| broken(format!("by its own keys: {attack}")))?;
        let lost = quorum::taken_out(&self.root, &new);
        for role in [Role::Release, Role::Snapshot, Role::Timestamp] {
            // Whoever had that key may have signed a version so high that no honest one comes after it.
            if lost.iter().any(|(of, _)| *of == role) {
                self.memory.versions.remove(&role);
            }
        }
        if lost.iter().any(|(role, _)| *role == Role::Timestamp) {
            self.memory.timestamp = None;
            self.memory.stale = 0;
        }
        self.memory.former.extend(lost);
        self.memory.former.retain(|(role, id)| new.roles.get(role).is_none_or(|quorum| !quorum.keyids.contains(id)));
        while self.memory.former.len() > MOST_FORMER {
            self.memory.former.pop_first();
        }
        self.root = new;
        self.root_bytes = bytes.to_vec();
        Ok(())
    }

    /// Signatures, then what it says, then whether it is older than what was seen.
    fn read<T: Metadata>(&self, bytes: &[u8]) -> Result<T, Attack> {
        let envelope = Envelope::parse(bytes)?;
        quorum::verify(&self.root, T::ROLE, &envelope, &self.memory.former)?;
        let value: T = envelope.says()?;
        let (version, seen) = (value.header().version, self.memory.version(T::ROLE));
        if version < seen {
            return Err(Attack::Rollback { version, seen });
        }
        Ok(value)
    }

    fn timestamp(&mut self, bytes: &[u8], now: Timestamp) -> Result<Timestamped, Attack> {
        let timestamp: Timestamped = self.read(bytes)?;
        let version = timestamp.header.version;
        let digest = super::key::sha256_hex(Envelope::parse(bytes)?.signed);
        if version == self.memory.version(Role::Timestamp)
            && self.memory.timestamp.as_ref().is_some_and(|d| *d != digest)
        {
            return Err(Attack::TwoFaced { version });
        }
        let snapshot = timestamp.snapshot.version;
        if snapshot < self.memory.version(Role::Snapshot) {
            return Err(Attack::Rollback { version: snapshot, seen: self.memory.version(Role::Snapshot) });
        }
        if version <= self.memory.stale {
            return Err(Attack::Frozen { expires: timestamp.header.expires });
        }
        // Its version counts even when it is out of date: that is what `stale` goes by.
        if timestamp.header.issued <= later(now) {
            self.memory.versions.insert(Role::Timestamp, version);
            self.memory.timestamp = Some(digest);
        }
        self.check_times(&timestamp.header, now)?;
        Ok(timestamp)
    }

    /// A snapshot or release that another file named.
    fn named<T: Metadata>(&mut self, bytes: &[u8], named: &Versioned, now: Timestamp) -> Result<T, Attack> {
        if !named.file.fits(bytes) {
            // Properly signed, but another one: a mix. Anything else was changed on the way.
            return Err(match self.read::<T>(bytes) {
                Ok(other) => Attack::MixAndMatch { wanted: named.version, found: other.header().version },
                Err(rollback @ Attack::Rollback { .. }) => rollback,
                Err(_) => Attack::WrongHash,
            });
        }
        let value: T = self.read(bytes)?;
        let found = value.header().version;
        if found != named.version {
            return Err(Attack::MixAndMatch { wanted: named.version, found });
        }
        self.check_times(value.header(), now)?;
        self.memory.versions.insert(T::ROLE, found);
        Ok(value)
    }
}

/// Verified metadata from the timestamp down to the release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Which snapshot the timestamp named.
    pub(super) snapshot_meta: Versioned,
    pub(super) snapshot: Snapshot,
    /// The release.
    pub release: Release,
    /// Its file.
    pub(super) release_bytes: Vec<u8>,
}

/// One look for something newer.
#[derive(Debug)]
pub struct Update<'t> {
    trust: &'t mut Trust,
    now: Timestamp,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Roots { walked: u32 },
    Timestamp,
    Snapshot { named: Versioned },
    Release { named: Versioned, meta: Versioned, snapshot: Snapshot },
    Files { chain: Box<Chain>, left: Vec<(String, FileMeta)> },
    Unchanged,
    Spoilt,
}

/// What an update wants next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// This file.
    Fetch(Request),
    /// Nothing: what the caller holds is the newest.
    Unchanged,
    /// Nothing: everything was verified.
    Complete(Box<Chain>),
}

/// A file that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Where it lies in the repository.
    pub path: String,
    /// How many bytes may be read.
    pub most: u64,
    /// Name in the bundle and hash, where it is one of its files: it may be at hand already.
    pub part: Option<(String, FileMeta)>,
}

/// What came of a request.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    /// The file.
    File(&'a [u8]),
    /// There is none.
    Absent,
    /// It has more bytes than were allowed.
    TooLong,
}

impl Update<'_> {
    /// What it wants next.
    pub fn wants(&self) -> Step {
        let fetch = |path: String, most: u64| Step::Fetch(Request { path, most, part: None });
        match &self.stage {
            Stage::Roots { .. } => fetch(Role::Root.file(self.trust.root.header.version + 1), ROOT_BYTES),
            Stage::Timestamp => fetch(Role::Timestamp.file(0), TIMESTAMP_BYTES),
            Stage::Snapshot { named } => fetch(Role::Snapshot.file(named.version), named.file.length),
            Stage::Release { named, .. } => fetch(Role::Release.file(named.version), named.file.length),
            Stage::Files { chain, left } => match left.last() {
                None => Step::Complete(chain.clone()),
                Some((name, meta)) => Step::Fetch(Request {
                    path: format!("files/{}", meta.sha256),
                    most: meta.length,
                    part: Some((name.clone(), meta.clone())),
                }),
            },
            Stage::Unchanged | Stage::Spoilt => Step::Unchanged,
        }
    }

    /// Judges what was read. After an error the update is over; what was learned before it stays.
    pub fn take(&mut self, answer: Answer<'_>) -> Result<(), Refused> {
        let Step::Fetch(request) = self.wants() else { return Ok(()) };
        let stage = std::mem::replace(&mut self.stage, Stage::Spoilt);
        let bytes = match answer {
            Answer::File(bytes) if bytes.len() as u64 <= request.most => Some(bytes),
            Answer::Absent => None,
            Answer::File(_) | Answer::TooLong => {
                return Err(Attack::EndlessData { most: request.most }.of(&request.path));
            }
        };
        self.stage = self.judge(stage, bytes).map_err(|attack| attack.of(&request.path))?;
        Ok(())
    }

    fn judge(&mut self, stage: Stage, bytes: Option<&[u8]>) -> Result<Stage, Attack> {
        let now = self.now;
        match stage {
            Stage::Roots { walked } => {
                let Some(bytes) = bytes else {
                    let expires = self.trust.root.header.expires;
                    self.trust.check_expiry(Role::Root, expires, now)?;
                    return Ok(Stage::Timestamp);
                };
                if walked == MOST_ROTATIONS {
                    return Err(Attack::EndlessData { most: ROOT_BYTES * u64::from(MOST_ROTATIONS) });
                }
                self.trust.rotate(bytes)?;
                Ok(Stage::Roots { walked: walked + 1 })
            }
            Stage::Timestamp => {
                let timestamp = self.trust.timestamp(bytes.ok_or(Attack::Missing)?, now)?;
                let named = timestamp.snapshot;
                if named.file.length > SNAPSHOT_BYTES {
                    return Err(Attack::EndlessData { most: SNAPSHOT_BYTES });
                }
                match &self.trust.held {
                    Some(held) if held.snapshot == named => {
                        let expires = held.expires;
                        self.trust.check_expiry(Role::Release, expires, now)?;
                        Ok(Stage::Unchanged)
                    }
                    _ => Ok(Stage::Snapshot { named }),
                }
            }
            Stage::Snapshot { named: meta } => {
                let bytes = bytes.ok_or(Attack::Missing)?;
                let snapshot: Snapshot = self.trust.named(bytes, &meta, now)?;
                let named = snapshot.release.clone();
                if named.file.length > RELEASE_BYTES {
                    return Err(Attack::EndlessData { most: RELEASE_BYTES });
                }
                let seen = self.trust.memory.version(Role::Release);
                if named.version < seen {
                    return Err(Attack::Rollback { version: named.version, seen });
                }
                Ok(Stage::Release { named, meta, snapshot })
            }
            Stage::Release { named, meta, snapshot } => {
                let bytes = bytes.ok_or(Attack::Missing)?;
                let release: Release = self.trust.named(bytes, &named, now)?;
                check_files(&release)?;
                let left = release.files.iter().rev().map(|(name, meta)| (name.clone(), meta.clone())).collect();
                let release_bytes = bytes.to_vec();
                let chain = Chain { snapshot_meta: meta, snapshot, release, release_bytes };
                Ok(Stage::Files { chain: Box::new(chain), left })
            }
            Stage::Files { chain, mut left } => {
                let bytes = bytes.ok_or(Attack::Missing)?;
                if left.pop().is_some_and(|(_, meta)| !meta.fits(bytes)) {
                    return Err(Attack::WrongHash);
                }
                Ok(Stage::Files { chain, left })
            }
            over @ (Stage::Unchanged | Stage::Spoilt) => Ok(over),
        }
    }
}

/// Names that can't leave their folder, and sizes within bounds.
pub(super) fn check_files(release: &Release) -> Result<(), Attack> {
    if release.files.len() > BUNDLE_FILES {
        return Err(Attack::malformed(format!("more than {BUNDLE_FILES} files")));
    }
    let mut total = 0u64;
    for (name, meta) in &release.files {
        if Part::of(name).is_none() {
            return Err(Attack::malformed(format!("{name:?} is no file of a bundle")));
        }
        if super::key::unhex::<32>(&meta.sha256).is_none() {
            return Err(Attack::malformed(format!("the hash of {name} is no SHA-256")));
        }
        total = total.saturating_add(meta.length);
        if meta.length > FILE_BYTES || total > BUNDLE_BYTES {
            return Err(Attack::EndlessData { most: FILE_BYTES });
        }
    }
    Ok(())
}

/// The last moment that may be meant, with clocks apart by [`SKEW`].
fn later(time: Timestamp) -> Timestamp {
    time.saturating_add(SKEW).unwrap_or(Timestamp::MAX)
}
