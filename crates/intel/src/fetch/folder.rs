//! What is kept of a feed on disk: the last good, what is held, and what is known of the fetches. Each file is
//! replaced in one step, so that a crash leaves the old or the new.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::guard::Held;
use crate::{misp, taxii};

/// A feed's folder can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", file.display())]
pub struct FolderError {
    /// The file.
    pub file: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// One feed's folder, `<data>/intel/feeds/NAME`.
#[derive(Clone, Debug)]
pub struct Folder {
    dir: PathBuf,
}

/// What is known of a feed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// Where it came from.
    pub place: Option<String>,
    /// When it was last asked for.
    pub tried: Option<Timestamp>,
    /// When it last came, or was found to be the same.
    pub fetched: Option<Timestamp>,
    /// Attempts in a row that failed.
    pub failures: u32,
    /// Why the last one did.
    pub error: Option<String>,
    /// Seconds its server asked to wait.
    pub retry_after: Option<u64>,
    /// Indicators in the last good.
    pub entries: usize,
    /// Entries of it that could not be taken.
    pub errors: usize,
    /// What marks the last good.
    pub mark: Mark,
    /// What waits for a person.
    pub held: Option<Waiting>,
}

/// What marks one version of a feed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mark {
    /// The server's name for it.
    pub etag: Option<String>,
    /// When the server says it changed.
    pub last_modified: Option<String>,
    /// How far a feed that comes in parts has come.
    pub progress: Progress,
    /// SHA-256 of its bytes.
    pub digest: String,
}

/// How far a feed that comes in parts has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Progress {
    /// It comes whole.
    #[default]
    Whole,
    /// Collections of a TAXII server.
    Taxii(taxii::Cursor),
    /// Events of a MISP directory.
    Misp(misp::Manifest),
}

/// A version that waits for a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// Why.
    pub held: Held,
    /// Entries that could not be taken.
    pub errors: usize,
    /// Since when.
    pub since: Timestamp,
    /// What marks it.
    pub mark: Mark,
}

impl State {
    /// A version is in force now.
    pub(super) fn take(&mut self, mark: Mark, now: Timestamp, entries: usize, errors: usize) {
        *self = State {
            place: self.place.take(),
            tried: self.tried,
            fetched: Some(now),
            entries,
            errors,
            mark,
            ..State::default()
        };
    }
}

/// Whether a feed may have this name, which is also its folder's.
pub fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.'))
        && !name.starts_with('.')
}

impl Folder {
    /// The folder of a feed, whose name is one by [`is_name`], under a data directory. It need not be there yet.
    pub fn of(data: &Path, name: &str) -> Folder {
        Folder { dir: data.join("intel/feeds").join(name) }
    }

    /// The last good: the file that changes when there is another.
    pub fn good_file(&self) -> PathBuf {
        self.dir.join("good")
    }

    /// The last good.
    pub fn good(&self) -> Result<Option<Vec<u8>>, FolderError> {
        self.read("good")
    }

    /// What is held.
    pub fn held(&self) -> Result<Option<Vec<u8>>, FolderError> {
        self.read("held")
    }

    /// What is known of it. What can't be read is as good as nothing: then everything is asked for again.
    pub fn state(&self) -> Result<State, FolderError> {
        let bytes = self.read("state.json")?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
    }

    pub(super) fn put_state(&self, state: &State) -> Result<(), FolderError> {
        let bytes = serde_json::to_vec_pretty(state).map_err(|e| self.fault("state.json", e.into()))?;
        self.write("state.json", &bytes)
    }

    pub(super) fn put_good(&self, bytes: &[u8]) -> Result<(), FolderError> {
        self.write("good", bytes)
    }

    pub(super) fn put_held(&self, bytes: &[u8]) -> Result<(), FolderError> {
        self.write("held", bytes)
    }

    pub(super) fn drop_held(&self) -> Result<(), FolderError> {
        match fs::remove_file(self.dir.join("held")) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(self.fault("held", e)),
            _ => Ok(()),
        }
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, FolderError> {
        match fs::read(self.dir.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(self.fault(name, e)),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
        let new = self.dir.join(format!("{name}.new"));
        let written = fs::create_dir_all(&self.dir).and_then(|()| {
            let mut file = fs::File::create(&new)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&new, self.dir.join(name))?;
            fs::File::open(&self.dir)?.sync_all()
        });
        written.map_err(|e| self.fault(name, e))
    }

    fn fault(&self, name: &str, source: io::Error) -> FolderError {
        FolderError { file: self.dir.join(name), source }
    }
}

/// SHA-256 in hexadecimal.
pub(super) fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
