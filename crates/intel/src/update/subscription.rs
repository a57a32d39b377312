//! The subscriber's side on disk: what is trusted, what is in force, what went wrong last.
//!
//! ```text
//! <data>/intel/subscription/
//!   root.json        the newest root that was trusted
//!   state.json       memory, current bundle, last error; written last
//!   files/<sha256>   verified files
//!   bundles/<N>/     the bundle in force and the one before, hard links to those
//!   current          version of the bundle in force: written when it changes, for who watches files
//! ```
//!
//! Whatever goes wrong, the bundle in force stays; it also is what the next start begins with, without a network.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::bundle::{RELEASE, folders};
use super::key::sha256_hex;
use super::trust::Chain;
use super::{
    Answer, Bundle, BundleError, FileMeta, Got, Memory, ROOT_BYTES, Refused, Source, SourceError, Step, Trust,
    Versioned, disk,
};

/// The form of `state.json`.
const FORMAT: u32 = 1;
/// A bundle whose contents were refused is tried again after this time: the reason may lie here.
const TRY_AGAIN: SignedDuration = SignedDuration::from_mins(10);
/// A state file longer than this is none.
const STATE_BYTES: u64 = 4 << 20;

/// What a subscription remembers, and what `intel status` shows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct State {
    format: u32,
    /// SHA-256 of the root that the operator configured.
    pinned: String,
    /// Version of the root trusted now.
    pub root: u64,
    /// What was learned of the repository.
    pub memory: Memory,
    /// The bundle in force.
    pub current: Option<Current>,
    /// When the repository was last found to be in order.
    pub checked: Option<Timestamp>,
    /// What is wrong now.
    pub trouble: Option<Trouble>,
}

/// The bundle in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Current {
    /// Version of its release.
    pub version: u64,
    /// When it was signed.
    pub issued: Timestamp,
    /// Until when it holds.
    pub expires: Timestamp,
    /// When it was put in force here.
    pub applied: Timestamp,
    /// The snapshot that named it.
    snapshot: Versioned,
}

/// What is wrong with the subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// The attack's class, `unreachable`, `contents` or `damaged`.
    pub class: String,
    /// In words.
    pub what: String,
    /// Since when.
    pub since: Timestamp,
    /// How often since.
    pub times: u64,
}

/// Why a subscription can't be kept at all.
#[derive(Debug, thiserror::Error)]
pub enum SubscriptionError {
    /// Its folder can't be read or written.
    #[error("{}: {why}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// Another process follows the same repository into the same folder.
    #[error("{}: another process follows updates here", .path.display())]
    Busy {
        /// The lock file.
        path: PathBuf,
    },
    /// The configured root is none.
    #[error("the configured root: {0}")]
    Root(Refused),
}

/// A bundle that was verified and is not in force yet.
#[derive(Debug)]
pub struct Candidate {
    /// The bundle.
    pub bundle: Bundle,
    /// The version in force until now.
    pub before: Option<u64>,
}

/// What a poll came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The newest is in force.
    Unchanged,
    /// A new bundle is in force.
    Applied(u64),
    /// Something is wrong; what was in force stays. `first` the first time it is.
    Kept {
        /// What is wrong.
        trouble: Trouble,
        /// Whether it is news.
        first: bool,
    },
}

/// A subscription to a repository.
#[derive(Debug)]
pub struct Subscription {
    dir: PathBuf,
    trust: Trust,
    state: State,
    /// When the contents of the newest bundle were refused, and why.
    rejected: Option<(Timestamp, String)>,
    /// Held as long as this lives: two would undo what the other remembers.
    _lock: File,
}

/// Where a data directory keeps its subscription.
pub fn folder(data: &Path) -> PathBuf {
    data.join("intel/subscription")
}

impl State {
    /// Reads the state of a subscription; `None` where there is none.
    pub fn read(dir: &Path) -> Result<Option<State>, SubscriptionError> {
        let path = dir.join("state.json");
        let bytes = match disk::read_bounded(&path, STATE_BYTES) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(failed(&path)(io::Error::other("too long"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(why) => return Err(failed(&path)(why)),
        };
        let state: State = serde_json::from_slice(&bytes).map_err(|why| failed(&path)(why.into()))?;
        Ok(Some(state))
    }
}

impl Subscription {
    /// Opens the subscription in `dir`, with the root that the operator configured.
    ///
    /// A damaged state is not trusted: the subscription then begins anew from the configured root.
    pub fn open(dir: &Path, pinned: &[u8], now: Timestamp) -> Result<Subscription, SubscriptionError> {
        for folder in [dir.to_owned(), dir.join("files"), dir.join("bundles")] {
            fs::create_dir_all(&folder).map_err(failed(&folder))?;
        }
        let lock = lock(&dir.join(".lock"))?;
        let kept = State::read(dir).ok().flatten().filter(|state| state.format == FORMAT);
        let mut state = kept.unwrap_or_default();
        let configured = Trust::new(pinned, state.memory.clone()).map_err(SubscriptionError::Root)?;
        let digest = sha256_hex(pinned);
        let walked = disk::read_bounded(&dir.join("root.json"), ROOT_BYTES).ok().flatten();
        let walked = walked.and_then(|bytes| Trust::new(&bytes, state.memory.clone()).ok());
        let trust = match walked {
            // The operator's word counts where it is newer than what updates led to.
            Some(walked)
                if state.pinned == digest || walked.root().header.version > configured.root().header.version =>
            {
                walked
            }
            _ => configured,
        };
        state.format = FORMAT;
        state.pinned = digest;
        state.root = trust.root().header.version;
        let mut subscription = Subscription { dir: dir.to_owned(), trust, state, rejected: None, _lock: lock };
        if let Some(current) = &subscription.state.current {
            match Bundle::open(&subscription.bundle_dir(current.version)) {
                Ok(_) => subscription.trust.holds(current.snapshot.clone(), current.expires),
                Err(error) => {
                    subscription.state.current = None;
                    subscription.trouble("damaged", &error.to_string(), now);
                }
            }
        }
        Ok(subscription)
    }

    /// The bundle in force according to `dir`, if there is one and it is whole.
    pub fn last_good(dir: &Path) -> Result<Option<Bundle>, BundleError> {
        let Some(current) = State::read(dir).ok().flatten().and_then(|state| state.current) else { return Ok(None) };
        Bundle::open(&dir.join("bundles").join(current.version.to_string())).map(Some)
    }

    /// What is known of it.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Looks for a newer bundle, verifies it and hands it to `accept`, which puts it in force or says why not.
    pub fn poll(
        &mut self,
        now: Timestamp,
        source: &mut dyn Source,
        accept: &mut dyn FnMut(&Candidate) -> Result<(), String>,
    ) -> Result<Outcome, SubscriptionError> {
        if self.rejected.as_ref().is_some_and(|(at, _)| now.duration_since(*at).abs() >= TRY_AGAIN) {
            self.rejected = None;
            self.trust.forget_held();
        }
        let before = self.state.current.as_ref().map(|current| current.version);
        let outcome = match self.fetch(now, source)? {
            Err(trouble) => Err(trouble),
            Ok(None) => match &self.rejected {
                None => Ok(Outcome::Unchanged),
                Some((_, why)) => Err(("contents", why.clone())),
            },
            Ok(Some(chain)) => self.put_in_force(&chain, now, accept)?,
        };
        let outcome = match outcome {
            Ok(outcome) => {
                self.state.checked = Some(now);
                self.state.trouble = None;
                outcome
            }
            Err((class, what)) => self.trouble(class, &what, now),
        };
        self.save()?;
        if let Outcome::Applied(version) = outcome {
            let current = self.dir.join("current");
            disk::replace(&current, format!("{version}\n").as_bytes()).map_err(failed(&current))?;
            self.tidy(&[Some(version), before])?;
        }
        Ok(outcome)
    }

    /// Runs an update as far as it goes; verified files end up in `files/`.
    #[allow(clippy::type_complexity, reason = "trouble is a class and words, told apart from failures here")]
    fn fetch(
        &mut self,
        now: Timestamp,
        source: &mut dyn Source,
    ) -> Result<Result<Option<Box<Chain>>, (&'static str, String)>, SubscriptionError> {
        let mut update = self.trust.update(now);
        loop {
            let request = match update.wants() {
                Step::Fetch(request) => request,
                Step::Unchanged => return Ok(Ok(None)),
                Step::Complete(chain) => return Ok(Ok(Some(chain))),
            };
            let kept = request.part.as_ref().map(|(_, meta)| (self.dir.join("files").join(&meta.sha256), meta));
            if let Some((path, meta)) = &kept
                && let Ok(Some(bytes)) = disk::read_bounded(path, meta.length)
                && meta.fits(&bytes)
            {
                match update.take(Answer::File(&bytes)) {
                    Ok(()) => continue,
                    Err(refused) => return Ok(Err((refused.attack.class(), refused.to_string()))),
                }
            }
            let got = match source.get(&request.path, request.most) {
                Ok(got) => got,
                Err(SourceError { place, why }) => return Ok(Err(("unreachable", format!("{place}: {why}")))),
            };
            let answer = match &got {
                Got::File(bytes) => Answer::File(bytes),
                Got::Absent => Answer::Absent,
                Got::TooLong => Answer::TooLong,
            };
            if let Err(refused) = update.take(answer) {
                return Ok(Err((refused.attack.class(), refused.to_string())));
            }
            if let (Some((path, _)), Got::File(bytes)) = (kept, got) {
                disk::replace(&path, &bytes).map_err(failed(&path))?;
            }
        }
    }

    #[allow(clippy::type_complexity, reason = "as in fetch")]
    fn put_in_force(
        &mut self,
        chain: &Chain,
        now: Timestamp,
        accept: &mut dyn FnMut(&Candidate) -> Result<(), String>,
    ) -> Result<Result<Outcome, (&'static str, String)>, SubscriptionError> {
        let header = &chain.release.header;
        let dir = self.bundle_dir(header.version);
        let in_force = self.state.current.as_ref().map(|current| current.version);
        if in_force != Some(header.version) {
            self.lay_out(chain, &dir)?;
        }
        let expires = header.expires.min(chain.snapshot.header.expires);
        self.trust.holds(chain.snapshot_meta.clone(), expires);
        let accepted = Bundle::open(&dir).map_err(|error| error.to_string()).and_then(|bundle| {
            let candidate = Candidate { bundle, before: in_force };
            if in_force == Some(header.version) { Ok(()) } else { accept(&candidate) }
        });
        if let Err(why) = accepted {
            self.rejected = Some((now, why.clone()));
            return Ok(Err(("contents", why)));
        }
        self.rejected = None;
        let applied = match &self.state.current {
            Some(current) if current.version == header.version => current.applied,
            _ => now,
        };
        let (version, issued) = (header.version, header.issued);
        self.state.current = Some(Current { version, issued, expires, applied, snapshot: chain.snapshot_meta.clone() });
        let outcome = if in_force == Some(version) { Outcome::Unchanged } else { Outcome::Applied(version) };
        Ok(Ok(outcome))
    }

    /// Makes a bundle's folder out of verified files.
    fn lay_out(&self, chain: &Chain, dir: &Path) -> Result<(), SubscriptionError> {
        disk::remove(dir).map_err(failed(dir))?;
        fs::create_dir_all(dir).map_err(failed(dir))?;
        for folder in folders(&chain.release) {
            let folder = dir.join(folder);
            fs::create_dir_all(&folder).map_err(failed(&folder))?;
        }
        for (name, FileMeta { sha256, .. }) in &chain.release.files {
            let (from, to) = (self.dir.join("files").join(sha256), dir.join(name));
            // Not every file system has hard links.
            fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop)).map_err(failed(&to))?;
        }
        let release = dir.join(RELEASE);
        disk::replace(&release, &chain.release_bytes).map_err(failed(&release))
    }

    /// Removes all but these bundles and their files. The one before stays: somebody may be reading it.
    fn tidy(&self, keep: &[Option<u64>]) -> Result<(), SubscriptionError> {
        let kept: Vec<u64> = keep.iter().flatten().copied().collect();
        self.retain("bundles", |name| kept.iter().any(|version| name == version.to_string()))?;
        let opened = kept.iter().filter_map(|version| Bundle::open(&self.bundle_dir(*version)).ok());
        let hashes: BTreeSet<String> =
            opened.flat_map(|bundle| bundle.release().files.clone()).map(|(_, meta)| meta.sha256).collect();
        self.retain("files", |name| hashes.contains(name))
    }

    fn retain(&self, folder: &str, keep: impl Fn(&str) -> bool) -> Result<(), SubscriptionError> {
        let folder = self.dir.join(folder);
        for entry in fs::read_dir(&folder).map_err(failed(&folder))? {
            let entry = entry.map_err(failed(&folder))?;
            if !entry.file_name().to_str().is_some_and(&keep) {
                disk::remove(&entry.path()).map_err(failed(&entry.path()))?;
            }
        }
        Ok(())
    }

    fn trouble(&mut self, class: &str, what: &str, now: Timestamp) -> Outcome {
        let (class, what) = (class.to_owned(), what.to_owned());
        let first = !self.state.trouble.as_ref().is_some_and(|old| old.class == class && old.what == what);
        let trouble = match self.state.trouble.take() {
            Some(old) if !first => Trouble { times: old.times.saturating_add(1), ..old },
            _ => Trouble { class, what, since: now, times: 1 },
        };
        self.state.trouble = Some(trouble.clone());
        Outcome::Kept { trouble, first }
    }

    fn save(&mut self) -> Result<(), SubscriptionError> {
        let root = self.dir.join("root.json");
        if self.state.root != self.trust.root().header.version || !root.exists() {
            disk::replace(&root, self.trust.root_bytes()).map_err(failed(&root))?;
        }
        self.state.root = self.trust.root().header.version;
        self.state.memory = self.trust.memory().clone();
        let path = self.dir.join("state.json");
        let bytes = serde_json::to_vec_pretty(&self.state).map_err(|why| failed(&path)(why.into()))?;
        disk::replace(&path, &bytes).map_err(failed(&path))
    }

    fn bundle_dir(&self, version: u64) -> PathBuf {
        self.dir.join("bundles").join(version.to_string())
    }
}

fn lock(path: &Path) -> Result<File, SubscriptionError> {
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(failed(path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SubscriptionError::Busy { path: path.to_owned() }),
        Err(TryLockError::Error(why)) => Err(failed(path)(why)),
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> SubscriptionError {
    let path = path.to_owned();
    move |why| SubscriptionError::Io { path, why }
}
