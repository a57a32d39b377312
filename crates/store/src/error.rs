//! What can go wrong: [`Error`] when opening, reading and changing; [`Fault`]
//! when a record could not be made durable.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::LimitHit;
use uuid::Uuid;

use crate::sqlite::store::Status;

/// A file could not be opened, read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// SQLite refused.
    #[error("{}: {source}", path.display())]
    Sqlite {
        /// The database file.
        path: PathBuf,
        /// What it said.
        source: rusqlite::Error,
    },
    /// The database file is not readable as one.
    #[error("{} is damaged ({detail}): stop what writes it, keep a copy, and run `portcullis archive verify`", path.display())]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// What does not fit.
        detail: String,
    },
    /// The chain does not continue where its writer left it.
    #[error(
        "{}: record {seq} of writer {writer} does not fit the chain ({what}): keep a copy, and run `portcullis archive verify`",
        path.display()
    )]
    Broken {
        /// The database file.
        path: PathBuf,
        /// Whose chain.
        writer: String,
        /// Which record.
        seq: u64,
        /// What does not fit.
        what: String,
    },
    /// A signed head is ahead of the database.
    #[error(
        "{} ends at record {found} of writer {writer}, but {} has a signed head at {signed}: an older copy was put in place, \
         or records were removed; put the newest copy back, or move the heads file away to accept the loss",
        path.display(), heads.display()
    )]
    RolledBack {
        /// The database file.
        path: PathBuf,
        /// The heads file.
        heads: PathBuf,
        /// Whose chain.
        writer: String,
        /// The last record there is.
        found: u64,
        /// The last record that was signed.
        signed: u64,
    },
    /// A later version changed the file's schema.
    #[error(
        "{} has schema {found}, this version knows up to {known}: run the newer version, or restore the copy made before it",
        path.display()
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The newest schema version known here.
        known: i64,
    },
    /// The file is some other program's database.
    #[error("{} is a database, but not one of Portcullis's: choose another data directory", path.display())]
    Foreign {
        /// The database file.
        path: PathBuf,
    },
    /// Another process writes this chain.
    #[error(
        "writer {writer} in {} is in use by another process: stop it, or give this one another writer name",
        dir.display()
    )]
    Locked {
        /// The data directory.
        dir: PathBuf,
        /// The writer's name.
        writer: String,
    },
    /// A writer's name cannot be part of a file name.
    #[error("writer name {0:?} is not usable: take 1 to 64 of a-z, 0-9, '-' and '_', beginning with a letter or digit")]
    WriterName(String),
    /// A key file is missing, unreadable or open to others.
    #[error("{}: {what}", path.display())]
    Key {
        /// The key file.
        path: PathBuf,
        /// What is wrong and what to do.
        what: String,
    },
    /// A stored row is not what was once written.
    #[error("{}: row {position}: {what}: run `portcullis archive verify`", path.display())]
    Unreadable {
        /// The database file.
        path: PathBuf,
        /// The row.
        position: u64,
        /// What does not fit.
        what: String,
    },
    /// A bound was reached; nothing was stored.
    #[error("{0}: decide on what is held, or raise the limit")]
    Full(#[from] LimitHit),
    /// No such quarantined message.
    #[error("no quarantined message {0}: `portcullis quarantine list` shows what is there")]
    NoSuchEntry(Uuid),
    /// The quarantined message is past that decision.
    #[error("quarantined message {id} is already {status}: nothing was changed")]
    Decided {
        /// Which one.
        id: Uuid,
        /// What it is now.
        status: Status,
    },
    /// No such policy version.
    #[error("no policy version {0}: import it first")]
    NoSuchPolicy(String),
    /// The journal's thread could not be started.
    #[error("cannot start the journal's thread: {0}")]
    Thread(io::Error),
    /// A record could not be made durable.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Error {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { path, source }
    }

    /// Tells a damaged or foreign file from an operation that failed.
    pub(crate) fn sqlite(path: &Path) -> impl FnOnce(rusqlite::Error) -> Error {
        let path = path.to_owned();
        move |source| match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                Error::Damaged { path, detail: source.to_string() }
            }
            _ => Error::Sqlite { path, source },
        }
    }
}

/// Why a record is not durable. Cheap to clone: a whole group shares one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What kind, for counters and for choosing what to do.
    pub kind: FaultKind,
    /// What the layer below said.
    pub detail: Arc<str>,
}

/// The kinds of [`Fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// No space: the disk, a quota, or the journal's own size limit.
    Full,
    /// The device or file system failed.
    Io,
    /// The database is damaged, moved away or not what this writer left.
    Damaged,
    /// Another writer held the database longer than the busy timeout.
    Busy,
    /// The queue is full; the record was never taken.
    Saturated,
    /// This one record cannot be written (a number that JSON does not have).
    Invalid,
    /// The journal is closed.
    Closed,
}

impl FaultKind {
    /// The name used in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::Full => "full",
            FaultKind::Io => "io",
            FaultKind::Damaged => "damaged",
            FaultKind::Busy => "busy",
            FaultKind::Saturated => "saturated",
            FaultKind::Invalid => "invalid",
            FaultKind::Closed => "closed",
        }
    }

    /// What an operator can do about it.
    pub fn advice(self) -> &'static str {
        match self {
            FaultKind::Full => "free space or raise the limit; writing resumes by itself",
            FaultKind::Io => "look at the disk; writing is tried again with every group",
            FaultKind::Damaged => "stop, keep a copy, and run `portcullis archive verify`",
            FaultKind::Busy => "look for a process that keeps the journal locked",
            FaultKind::Saturated => "the disk is slower than the traffic; take in less until the backlog is gone",
            FaultKind::Invalid => "the record is refused, the others are not",
            FaultKind::Closed => "the process is shutting down",
        }
    }
}

impl Fault {
    /// A fault of a kind with what the layer below said.
    pub fn new(kind: FaultKind, detail: impl Into<Arc<str>>) -> Fault {
        Fault { kind, detail: detail.into() }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Fault {
        use rusqlite::ErrorCode;
        let kind = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => FaultKind::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => FaultKind::Busy,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => FaultKind::Damaged,
            _ => FaultKind::Io,
        };
        Fault::new(kind, error.to_string())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the record is not durable: {}: {}", self.detail, self.kind.advice())
    }
}

impl std::error::Error for Fault {}
