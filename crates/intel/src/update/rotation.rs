//! Making and replacing the root: drafted in the repository, signed wherever the root keys are, then put in force.
//!
//! A root that follows another carries signatures by both quorums, the old one's and its own. Clients walk from
//! the root they trust to the newest one by one, so every root stays in the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};

use super::metadata::Envelope;
use super::quorum::{self, Former};
use super::repository::{Plan, after};
use super::{
    Attack, Draft, Header, KeyId, Memory, PublicKey, Quorum, ROOT_BYTES, Repository, RepositoryError, Role, Root,
    SecretKey, Trust,
};

/// Where the next root waits for signatures.
const STAGED: &str = "staged.root.json";

/// How the next root differs from this one.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// Keys that count from now on. A release key also signs snapshots.
    pub add: Vec<(Role, PublicKey)>,
    /// Keys that count no more, by id or its beginning.
    pub remove: Vec<String>,
    /// How many signatures roles need.
    pub thresholds: BTreeMap<Role, u32>,
    /// How long the root holds.
    pub lasting: SignedDuration,
}

impl Default for Rotation {
    fn default() -> Rotation {
        Rotation {
            add: Vec::new(),
            remove: Vec::new(),
            thresholds: BTreeMap::new(),
            lasting: SignedDuration::from_hours(365 * 24),
        }
    }
}

/// A root that waits for signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    /// Its version.
    pub version: u64,
    /// Where it lies.
    pub path: PathBuf,
    /// What is missing before it can be put in force; nothing when it can.
    pub missing: Option<Attack>,
}

impl Repository {
    /// Drafts the next root (the first, where there is none) and signs it with the keys at hand.
    pub fn stage_root(
        &self,
        rotation: &Rotation,
        keys: &[SecretKey],
        now: Timestamp,
    ) -> Result<Staged, RepositoryError> {
        let _lock = self.lock()?;
        let old = self.current_root()?;
        let next = next_root(old.as_ref().map(Trust::root), rotation, now)?;
        let mut draft = Draft::of(&next).map_err(|why| Attack::malformed(why).of(STAGED))?;
        keys.iter().for_each(|key| draft.sign(key));
        self.carry_out(&Plan { writes: vec![(STAGED.to_owned(), draft.bytes())] })?;
        self.staged()?.ok_or_else(|| Attack::Missing.of(STAGED).into())
    }

    /// The root that waits for signatures.
    pub fn staged(&self) -> Result<Option<Staged>, RepositoryError> {
        let Some(bytes) = self.read(STAGED, ROOT_BYTES)? else { return Ok(None) };
        let root: Root = Envelope::parse(&bytes).and_then(|e| e.says()).map_err(|attack| attack.of(STAGED))?;
        let missing = self.would_accept(&bytes)?.err();
        Ok(Some(Staged { version: root.header.version, path: self.dir.join(STAGED), missing }))
    }

    /// Puts the staged root in force, once enough keys signed it.
    pub fn finish_root(&self) -> Result<u64, RepositoryError> {
        let _lock = self.lock()?;
        let bytes = self.read(STAGED, ROOT_BYTES)?.ok_or_else(|| {
            RepositoryError::Rotation("no root waits for signatures; begin with `rotate-root --add ...`".to_owned())
        })?;
        let version = self.would_accept(&bytes)?.map_err(|attack| attack.of(STAGED))?;
        // Its number first: a client finds the next root by it, and `root.json` is for newcomers.
        let writes = vec![(Role::Root.file(version), bytes.clone()), ("root.json".to_owned(), bytes)];
        self.carry_out(&Plan { writes })?;
        let staged = self.dir.join(STAGED);
        super::disk::remove(&staged).map_err(super::repository::io(&staged))?;
        Ok(version)
    }

    fn current_root(&self) -> Result<Option<Trust>, RepositoryError> {
        let Some(bytes) = self.read("root.json", ROOT_BYTES)? else { return Ok(None) };
        Ok(Some(Trust::new(&bytes, Memory::default())?))
    }

    /// Whether a client that trusts the current root would take this one.
    fn would_accept(&self, bytes: &[u8]) -> Result<Result<u64, Attack>, RepositoryError> {
        let accepted = match self.current_root()? {
            Some(mut trust) => trust.rotate(bytes).map(|()| trust.root().header.version),
            None => first_root(bytes),
        };
        Ok(accepted)
    }
}

fn first_root(bytes: &[u8]) -> Result<u64, Attack> {
    let envelope = Envelope::parse(bytes)?;
    let root: Root = envelope.says()?;
    root.check().map_err(Attack::malformed)?;
    quorum::verify(&root, Role::Root, &envelope, &Former::new())?;
    Ok(root.header.version)
}

fn next_root(old: Option<&Root>, rotation: &Rotation, now: Timestamp) -> Result<Root, RepositoryError> {
    let nobody = || Quorum { keyids: BTreeSet::new(), threshold: 1 };
    let mut keys: BTreeMap<KeyId, PublicKey> = old.map(|root| root.keys.clone()).unwrap_or_default();
    let mut roles = old
        .map(|root| root.roles.clone())
        .unwrap_or_else(|| Role::ALL.into_iter().map(|role| (role, nobody())).collect());
    for given in &rotation.remove {
        let found: Vec<KeyId> = keys.keys().filter(|id| id.as_str().starts_with(given.as_str())).cloned().collect();
        let [id] = found.as_slice() else {
            let what = if found.is_empty() { "no key" } else { "more than one key" };
            return Err(RepositoryError::Rotation(format!("{what} of this root begins with {given:?}; see `status`")));
        };
        keys.remove(id);
        roles.values_mut().for_each(|quorum| _ = quorum.keyids.remove(id));
    }
    let both = |role: Role| match role {
        Role::Release => vec![Role::Release, Role::Snapshot],
        role => vec![role],
    };
    for (role, key) in &rotation.add {
        keys.insert(key.id(), key.clone());
        for role in both(*role) {
            roles.entry(role).or_insert_with(nobody).keyids.insert(key.id());
        }
    }
    for (role, threshold) in &rotation.thresholds {
        for role in both(*role) {
            roles.entry(role).or_insert_with(nobody).threshold = *threshold;
        }
    }
    let version = old.map_or(1, |root| root.header.version + 1);
    let header = Header::new(Role::Root, version, now, after(now, rotation.lasting));
    let root = Root { header, consistent_snapshot: true, keys, roles };
    root.check().map_err(RepositoryError::Rotation)?;
    Ok(root)
}
