//! What updates promise, tested against repositories on disk: honest ones, tampered ones, half-published ones.

mod attacks;
mod clocks;
mod following;
mod publishing;
mod rotating;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

use super::*;

/// Monday, 23 November 2026, 04:00 UTC.
pub(super) const NOW: Timestamp = Timestamp::constant(1_795_406_400, 0);

pub(super) fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

pub(super) fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

/// A key made of one number.
pub(super) fn key(role: Role, number: u8) -> SecretKey {
    SecretKey::from_seed(role, &[number; 32])
}

/// The keys that sign in every test unless it says otherwise.
pub(super) fn keys() -> Keys {
    Keys { release: vec![key(Role::Release, 20)], timestamp: vec![key(Role::Timestamp, 30)] }
}

pub(super) fn root_key() -> SecretKey {
    key(Role::Root, 10)
}

/// Files of a bundle with this mark in them.
pub(super) fn files(mark: &str) -> BTreeMap<String, Vec<u8>> {
    let indicator = format!(
        "{{\"id\":\"01890a5d-ac96-774b-bcce-b302099a8057\",\"type\":\"domain\",\"value\":\"{mark}.example\",\
         \"confidence\":90,\"strength\":\"block\",\"source\":{{\"feed\":\"triage\"}}}}\n"
    );
    BTreeMap::from([
        ("indicators.jsonl".to_owned(), indicator.into_bytes()),
        ("apps/skylark.toml".to_owned(), format!("# {mark}\n").into_bytes()),
    ])
}

/// A repository, and a client's folder beside it.
pub(super) struct World {
    pub(super) dir: TempDir,
    pub(super) repository: Repository,
    /// The root that clients are configured with.
    pub(super) pinned: Vec<u8>,
}

impl World {
    /// A repository with a root by the usual keys, nothing published.
    pub(super) fn bare() -> World {
        World::with(&first_root(), &[root_key()])
    }

    pub(super) fn with(rotation: &Rotation, keys: &[SecretKey]) -> World {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::new(&dir.path().join("repository"));
        let staged = repository.stage_root(rotation, keys, NOW).unwrap();
        assert_eq!(staged.missing, None);
        repository.finish_root().unwrap();
        let pinned = fs::read(repository.dir.join("root.json")).unwrap();
        World { dir, repository, pinned }
    }

    /// The same with a bundle marked `one`.
    pub(super) fn published() -> World {
        let world = World::bare();
        world.publish("one", NOW);
        world
    }

    pub(super) fn publish(&self, mark: &str, now: Timestamp) -> Published {
        self.repository.publish(Some(files(mark)), &keys(), now, Expiry::default()).unwrap()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.repository.dir.join(name)
    }

    pub(super) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    /// A copy of everything the repository serves.
    pub(super) fn served(&self) -> BTreeMap<String, Vec<u8>> {
        let mut all = BTreeMap::new();
        for folder in ["", "files"] {
            for entry in fs::read_dir(self.path(folder)).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    let name = path.strip_prefix(&self.repository.dir).unwrap().to_str().unwrap().to_owned();
                    all.insert(name, fs::read(&path).unwrap());
                }
            }
        }
        all
    }

    pub(super) fn client(&self) -> Client {
        Client::open(&self.dir.path().join("client"), &self.pinned)
    }
}

/// A subscriber and the mark of what is in force at it.
pub(super) struct Client {
    pub(super) subscription: Subscription,
    pub(super) dir: PathBuf,
    pinned: Vec<u8>,
}

impl Client {
    pub(super) fn open(dir: &Path, pinned: &[u8]) -> Client {
        Client {
            subscription: Subscription::open(dir, pinned, NOW).unwrap(),
            dir: dir.to_owned(),
            pinned: pinned.to_vec(),
        }
    }

    /// Ends and starts again.
    pub(super) fn restart(self) -> Client {
        let Client { subscription, dir, pinned } = self;
        drop(subscription);
        Client::open(&dir, &pinned)
    }

    pub(super) fn poll(&mut self, world: &World, now: Timestamp) -> Outcome {
        self.poll_source(&mut Folder::new(&world.repository.dir), now)
    }

    pub(super) fn poll_source(&mut self, source: &mut dyn Source, now: Timestamp) -> Outcome {
        self.subscription.poll(now, source, &mut |_| Ok(())).unwrap()
    }

    /// Polls and gives the class of what went wrong; empty when nothing did.
    pub(super) fn trouble(&mut self, world: &World, now: Timestamp) -> String {
        match self.poll(world, now) {
            Outcome::Kept { trouble, .. } => trouble.class,
            _ => String::new(),
        }
    }

    /// The mark of the bundle in force.
    pub(super) fn mark(&self) -> Option<String> {
        let bundle = Subscription::last_good(&self.dir).unwrap()?;
        let [indicator] = bundle.indicators().unwrap().try_into().unwrap();
        match indicator.pattern {
            crate::Pattern::Domain { value } => Some(value.strip_suffix(".example").unwrap().to_owned()),
            other => panic!("{other:?}"),
        }
    }
}

/// The first root of the usual keys.
pub(super) fn first_root() -> Rotation {
    Rotation {
        add: vec![
            (Role::Root, root_key().public().clone()),
            (Role::Release, key(Role::Release, 20).public().clone()),
            (Role::Timestamp, key(Role::Timestamp, 30).public().clone()),
        ],
        ..Rotation::default()
    }
}
