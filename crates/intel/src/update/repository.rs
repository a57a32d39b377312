//! The publisher's side: a folder that any web server can serve.
//!
//! ```text
//! root.json, N.root.json    the newest root, and every one from the first
//! files/<sha256>            the files of bundles
//! N.release.json            what is in a bundle
//! N.snapshot.json           which release is the newest
//! timestamp.json            which snapshot is the newest: written last, so that nothing points at what isn't there
//! ```
//!
//! A crash between two files leaves the old bundle published; the next publication goes on from there. The
//! last few releases stay, for clients that are in the middle of one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::metadata::{Envelope, Metadata};
use super::quorum::{self, Former};
use super::{
    Attack, ContentsError, Draft, FileMeta, Header, RELEASE_BYTES, ROOT_BYTES, Refused, Release, Role, Root,
    SNAPSHOT_BYTES, SecretKey, Snapshot, TIMESTAMP_BYTES, Timestamped, Versioned, disk,
};

/// Releases that stay in the repository.
const KEPT: u64 = 8;
/// Held by the one who publishes.
const LOCK: &str = ".lock";

/// How long what is signed holds.
#[derive(Clone, Copy, Debug)]
pub struct Expiry {
    /// The timestamp: how long updates can be held back unseen.
    pub timestamp: SignedDuration,
    /// Release and snapshot.
    pub release: SignedDuration,
}

impl Default for Expiry {
    fn default() -> Expiry {
        Expiry { timestamp: SignedDuration::from_hours(7 * 24), release: SignedDuration::from_hours(90 * 24) }
    }
}

/// The keys that sign a publication.
#[derive(Debug, Default)]
pub struct Keys {
    /// Sign release and snapshot.
    pub release: Vec<SecretKey>,
    /// Signs the timestamp.
    pub timestamp: Vec<SecretKey>,
}

/// What was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Version of the release.
    pub release: u64,
    /// Version of the timestamp.
    pub timestamp: u64,
    /// Until when the timestamp holds.
    pub expires: Timestamp,
}

/// A repository on disk.
#[derive(Clone, Debug)]
pub struct Repository {
    pub(super) dir: PathBuf,
}

/// Why a repository can't be read or published to.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// A file can't be read or written.
    #[error("{}: {why}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// Somebody else publishes.
    #[error("{}: somebody else publishes here at this moment; try again", .path.display())]
    Busy {
        /// The lock file.
        path: PathBuf,
    },
    /// There is no root.
    #[error("{}: no root.json; the first `publish` with --root-key makes one", .path.display())]
    NoRoot {
        /// The repository.
        path: PathBuf,
    },
    /// Nothing was published yet.
    #[error("{}: nothing was published yet; `publish` a bundle first", .path.display())]
    Empty {
        /// The repository.
        path: PathBuf,
    },
    /// What is there, or what was to be published, does not hold up.
    #[error("{0}")]
    Refused(#[from] Refused),
    /// The bundle can't be made.
    #[error("{0}")]
    Contents(#[from] ContentsError),
    /// A change of the root that makes no sense.
    #[error("{0}")]
    Rotation(String),
}

/// What a repository says now, whether or not it expired.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The root.
    pub root: Root,
    /// Timestamp, snapshot and release; none when nothing was published yet.
    pub published: Option<(Timestamped, Snapshot, Release)>,
    /// Why no client takes what was published: after a rotation, or when the folder was tampered with.
    pub refused: Option<Refused>,
}

/// Files in the order in which they are put in place.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) writes: Vec<(String, Vec<u8>)>,
}

impl Repository {
    /// The repository at `dir`, which need not be there yet.
    pub fn new(dir: &Path) -> Repository {
        Repository { dir: dir.to_owned() }
    }

    /// What it says now.
    pub fn standing(&self) -> Result<Standing, RepositoryError> {
        let bytes =
            self.read("root.json", ROOT_BYTES)?.ok_or_else(|| RepositoryError::NoRoot { path: self.dir.clone() })?;
        let root = super::Trust::new(&bytes, super::Memory::default())?.root().clone();
        match self.published(&root) {
            Ok(published) => Ok(Standing { root, published, refused: None }),
            Err(RepositoryError::Refused(refused)) => Ok(Standing { root, published: None, refused: Some(refused) }),
            Err(error) => Err(error),
        }
    }

    fn published(&self, root: &Root) -> Result<Option<(Timestamped, Snapshot, Release)>, RepositoryError> {
        let Some(bytes) = self.read("timestamp.json", TIMESTAMP_BYTES)? else { return Ok(None) };
        let timestamp: Timestamped = says(root, "timestamp.json", &bytes)?;
        let snapshot: Snapshot = self.named(root, &timestamp.snapshot, SNAPSHOT_BYTES)?;
        let release: Release = self.named(root, &snapshot.release, RELEASE_BYTES)?;
        Ok(Some((timestamp, snapshot, release)))
    }

    /// Publishes a bundle; without `files`, the current one is signed anew.
    pub fn publish(
        &self,
        files: Option<BTreeMap<String, Vec<u8>>>,
        keys: &Keys,
        now: Timestamp,
        expiry: Expiry,
    ) -> Result<Published, RepositoryError> {
        let _lock = self.lock()?;
        let (plan, published) = self.plan(files, keys, now, expiry)?;
        self.carry_out(&plan)?;
        self.tidy(published.release)?;
        Ok(published)
    }

    /// Signs the timestamp anew, for longer.
    pub fn refresh(&self, keys: &[SecretKey], now: Timestamp, expiry: Expiry) -> Result<Published, RepositoryError> {
        let _lock = self.lock()?;
        let standing = self.standing()?;
        let Some((old, snapshot, _)) = standing.published else {
            let empty = || RepositoryError::Empty { path: self.dir.clone() };
            return Err(standing.refused.map_or_else(empty, RepositoryError::from));
        };
        let version = old.header.version + 1;
        let timestamp = Timestamped {
            header: Header::new(Role::Timestamp, version, now, after(now, expiry.timestamp)),
            snapshot: old.snapshot,
        };
        let expires = timestamp.header.expires;
        let bytes = sign(&standing.root, &timestamp, keys)?;
        self.carry_out(&Plan { writes: vec![(Role::Timestamp.file(version), bytes)] })?;
        Ok(Published { release: snapshot.release.version, timestamp: version, expires })
    }

    /// Everything a publication writes, in order.
    pub(super) fn plan(
        &self,
        files: Option<BTreeMap<String, Vec<u8>>>,
        keys: &Keys,
        now: Timestamp,
        expiry: Expiry,
    ) -> Result<(Plan, Published), RepositoryError> {
        let (root, published) = self.standing_for_signing()?;
        let mut plan = Plan::default();
        let metas = match (files, &published.files) {
            (Some(files), _) => {
                let metas = files.iter().map(|(name, bytes)| (name.clone(), FileMeta::of(bytes))).collect();
                for bytes in files.into_values() {
                    plan.writes.push((format!("files/{}", FileMeta::of(&bytes).sha256), bytes));
                }
                metas
            }
            (None, Some(metas)) => metas.clone(),
            (None, None) => return Err(RepositoryError::Empty { path: self.dir.clone() }),
        };
        // Leftovers of a publication that broke off have a version too.
        let next = |role: Role, old: u64| Ok::<u64, RepositoryError>(old.max(self.newest_on_disk(role)?) + 1);
        let until = after(now, expiry.release);
        let release = Release {
            header: Header::new(Role::Release, next(Role::Release, published.release)?, now, until),
            files: metas,
        };
        super::trust::check_files(&release).map_err(|attack| attack.of(&Role::Release.file(release.header.version)))?;
        let named = |version, bytes: &[u8]| Versioned { version, file: FileMeta::of(bytes) };
        let release_bytes = sign(&root, &release, &keys.release)?;
        let snapshot = Snapshot {
            header: Header::new(Role::Snapshot, next(Role::Snapshot, published.snapshot)?, now, until),
            release: named(release.header.version, &release_bytes),
        };
        let snapshot_bytes = sign(&root, &snapshot, &keys.release)?;
        let timestamp = Timestamped {
            header: Header::new(Role::Timestamp, published.timestamp + 1, now, after(now, expiry.timestamp)),
            snapshot: named(snapshot.header.version, &snapshot_bytes),
        };
        let timestamp_bytes = sign(&root, &timestamp, &keys.timestamp)?;
        let done = Published {
            release: release.header.version,
            timestamp: timestamp.header.version,
            expires: timestamp.header.expires,
        };
        plan.writes.push((Role::Release.file(done.release), release_bytes));
        plan.writes.push((Role::Snapshot.file(snapshot.header.version), snapshot_bytes));
        plan.writes.push((Role::Timestamp.file(done.timestamp), timestamp_bytes));
        Ok((plan, done))
    }

    /// The versions to go on from. Signatures by keys that a rotation took out are no obstacle to signing anew.
    fn standing_for_signing(&self) -> Result<(Root, Last), RepositoryError> {
        let bytes =
            self.read("root.json", ROOT_BYTES)?.ok_or_else(|| RepositoryError::NoRoot { path: self.dir.clone() })?;
        let root = super::Trust::new(&bytes, super::Memory::default())?.root().clone();
        let mut last = Last::default();
        let unsigned = |name: &str, attack: Attack| RepositoryError::Refused(attack.of(name));
        let Some(bytes) = self.read("timestamp.json", TIMESTAMP_BYTES)? else { return Ok((root, last)) };
        let timestamp: Timestamped =
            Envelope::parse(&bytes).and_then(|e| e.says()).map_err(|attack| unsigned("timestamp.json", attack))?;
        last.timestamp = timestamp.header.version;
        last.snapshot = timestamp.snapshot.version;
        let snapshot: Snapshot = self.unsigned(&timestamp.snapshot, SNAPSHOT_BYTES)?;
        last.release = snapshot.release.version;
        let release: Release = self.unsigned(&snapshot.release, RELEASE_BYTES)?;
        last.files = Some(release.files);
        Ok((root, last))
    }

    /// Puts files in place, in order.
    pub(super) fn carry_out(&self, plan: &Plan) -> Result<(), RepositoryError> {
        let files = self.dir.join("files");
        fs::create_dir_all(&files).map_err(io(&files))?;
        for (name, bytes) in &plan.writes {
            let path = self.dir.join(name);
            let there = name.starts_with("files/")
                && disk::read_bounded(&path, bytes.len() as u64).is_ok_and(|there| there.as_ref() == Some(bytes));
            if !there {
                disk::replace(&path, bytes).map_err(io(&path))?;
            }
        }
        Ok(())
    }

    /// Removes what no client can still be reading, and what a crash left behind.
    fn tidy(&self, newest: u64) -> Result<(), RepositoryError> {
        let mut wanted = BTreeSet::new();
        for (name, path) in self.list()? {
            let version = |role: Role| name.strip_suffix(&format!(".{role}.json")).and_then(|n| n.parse::<u64>().ok());
            let release = version(Role::Release);
            // Snapshots and releases are published together, so they age together.
            let old = release.or(version(Role::Snapshot)).is_some_and(|version| version + KEPT <= newest);
            if old || name.ends_with(disk::ASIDE) {
                disk::remove(&path).map_err(io(&path))?;
            } else if release.is_some() {
                let bytes = fs::read(&path).map_err(io(&path))?;
                if let Ok(release) = Envelope::parse(&bytes).and_then(|e| e.says::<Release>()) {
                    wanted.extend(release.files.into_values().map(|meta| meta.sha256));
                }
            }
        }
        let files = self.dir.join("files");
        for entry in fs::read_dir(&files).map_err(io(&files))? {
            let path = entry.map_err(io(&files))?.path();
            if !path.file_name().is_some_and(|name| name.to_str().is_some_and(|name| wanted.contains(name))) {
                disk::remove(&path).map_err(io(&path))?;
            }
        }
        Ok(())
    }

    pub(super) fn lock(&self) -> Result<File, RepositoryError> {
        fs::create_dir_all(&self.dir).map_err(io(&self.dir))?;
        let path = self.dir.join(LOCK);
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(io(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(fs::TryLockError::WouldBlock) => Err(RepositoryError::Busy { path }),
            Err(fs::TryLockError::Error(why)) => Err(RepositoryError::Io { path, why }),
        }
    }

    pub(super) fn read(&self, name: &str, most: u64) -> Result<Option<Vec<u8>>, RepositoryError> {
        let path = self.dir.join(name);
        match disk::read_bounded(&path, most) {
            Ok(Some(bytes)) => Ok(Some(bytes)),
            Ok(None) => Err(Attack::EndlessData { most }.of(name).into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err(RepositoryError::Io { path, why }),
        }
    }

    fn newest_on_disk(&self, role: Role) -> Result<u64, RepositoryError> {
        let suffix = format!(".{role}.json");
        let version = |(name, _): (String, PathBuf)| name.strip_suffix(&suffix)?.parse::<u64>().ok();
        Ok(self.list()?.into_iter().filter_map(version).max().unwrap_or(0))
    }

    fn list(&self) -> Result<Vec<(String, PathBuf)>, RepositoryError> {
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(io(&self.dir))?,
        };
        let mut all = Vec::new();
        for entry in entries {
            let entry = entry.map_err(io(&self.dir))?;
            if let Ok(name) = entry.file_name().into_string() {
                all.push((name, entry.path()));
            }
        }
        Ok(all)
    }

    fn bytes_of<T: Metadata>(&self, named: &Versioned, most: u64) -> Result<(String, Vec<u8>), RepositoryError> {
        let file = T::ROLE.file(named.version);
        let bytes = self.read(&file, most)?.ok_or_else(|| Attack::Missing.of(&file))?;
        if named.file.fits(&bytes) { Ok((file, bytes)) } else { Err(Attack::WrongHash.of(&file).into()) }
    }

    fn named<T: Metadata>(&self, root: &Root, named: &Versioned, most: u64) -> Result<T, RepositoryError> {
        let (file, bytes) = self.bytes_of::<T>(named, most)?;
        says(root, &file, &bytes)
    }

    fn unsigned<T: Metadata>(&self, named: &Versioned, most: u64) -> Result<T, RepositoryError> {
        let (file, bytes) = self.bytes_of::<T>(named, most)?;
        Envelope::parse(&bytes).and_then(|e| e.says()).map_err(|attack| attack.of(&file).into())
    }
}

/// What was published last.
#[derive(Default)]
struct Last {
    timestamp: u64,
    snapshot: u64,
    release: u64,
    files: Option<BTreeMap<String, FileMeta>>,
}

fn says<T: Metadata>(root: &Root, file: &str, bytes: &[u8]) -> Result<T, RepositoryError> {
    let read = || {
        let envelope = Envelope::parse(bytes)?;
        quorum::verify(root, T::ROLE, &envelope, &Former::new())?;
        envelope.says()
    };
    read().map_err(|attack| attack.of(file).into())
}

/// Signs with every key given, and makes sure that a client would be content.
pub(super) fn sign(root: &Root, metadata: &impl Metadata, keys: &[SecretKey]) -> Result<Vec<u8>, RepositoryError> {
    let header = metadata.header();
    let file = header.role.file(header.version);
    let mut draft = Draft::of(metadata).map_err(|why| Attack::malformed(why).of(&file))?;
    keys.iter().for_each(|key| draft.sign(key));
    let bytes = draft.bytes();
    Envelope::parse(&bytes)
        .and_then(|envelope| quorum::verify(root, header.role, &envelope, &Former::new()))
        .map_err(|attack| attack.of(&file))?;
    Ok(bytes)
}

pub(super) fn after(now: Timestamp, lasting: SignedDuration) -> Timestamp {
    now.saturating_add(lasting).unwrap_or(Timestamp::MAX)
}

pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> RepositoryError {
    let path = path.to_owned();
    move |why| RepositoryError::Io { path, why }
}
