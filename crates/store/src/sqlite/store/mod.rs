//! The store on SQLite: what is true now, in `store.db`.
//!
//! Every change that another process has to react to (a decision on a
//! quarantined message, a setting, the active policy) raises one revision, in
//! the same transaction; [`Store::changes`] gives what changed since. Asking
//! costs a few microseconds when nothing did.
//!
//! Calls block on the disk: from async code they belong on a blocking thread.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use parking_lot::Mutex;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use uuid::Uuid;

use crate::sqlite::journal::{as_i64, get_u64};
use crate::sqlite::{self, STORE, Schema};
use crate::{Error, StoreOptions};

mod files;
mod policies;
mod quarantine;
mod settings;

pub use files::FileVerdict;
pub use policies::PolicyVersion;
pub use quarantine::{Decision, Held, HeldSummary, QuarantineCounts, QuarantineFilter, Status};

/// `quarantine.content` marks rows that still have their content, for the bounds.
const SCHEMA: Schema = Schema {
    application: 0x5053_746f,
    steps: &["
CREATE TABLE revision (n INTEGER NOT NULL);
INSERT INTO revision VALUES (0);
CREATE TABLE quarantine (
    number     INTEGER PRIMARY KEY,
    id         BLOB NOT NULL UNIQUE,
    revision   INTEGER NOT NULL,
    time       INTEGER NOT NULL,
    protocol   TEXT NOT NULL,
    direction  TEXT NOT NULL,
    account    TEXT NOT NULL,
    peer       TEXT NOT NULL,
    sender     TEXT NOT NULL,
    recipient  TEXT NOT NULL,
    findings   TEXT NOT NULL,
    rule       TEXT,
    notice     TEXT,
    frame      BLOB,
    parts      TEXT,
    bytes      INTEGER NOT NULL,
    status     TEXT NOT NULL,
    decided_by TEXT,
    decided_at INTEGER,
    reason     TEXT,
    leased     INTEGER,
    digest     TEXT NOT NULL
);
CREATE INDEX quarantine_status ON quarantine (status, account);
CREATE INDEX quarantine_revision ON quarantine (revision);
CREATE TABLE quarantine_total (entries INTEGER NOT NULL, bytes INTEGER NOT NULL);
INSERT INTO quarantine_total VALUES (0, 0);
CREATE TABLE upload (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, base TEXT NOT NULL);
CREATE TABLE file_verdict (
    number INTEGER PRIMARY KEY,
    key    TEXT NOT NULL UNIQUE,
    effect TEXT NOT NULL,
    rule   TEXT,
    notice TEXT,
    time   INTEGER NOT NULL
);
CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT, revision INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE policy (
    number      INTEGER PRIMARY KEY,
    version     TEXT NOT NULL UNIQUE,
    text        TEXT NOT NULL,
    imported_at INTEGER NOT NULL,
    active      INTEGER NOT NULL,
    revision    INTEGER NOT NULL
);
"],
};

/// What is true now. Shared behind an `Arc`; other processes may use the same
/// directory at the same time.
#[derive(Debug)]
pub struct Store {
    connection: Mutex<Connection>,
    path: PathBuf,
    options: StoreOptions,
}

/// What changed since a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// The revision to ask with next time.
    pub revision: u64,
    /// What changed, oldest change first; each thing once, as it is now.
    pub changes: Vec<Change>,
}

/// Something that changed, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A quarantined message was added or decided on.
    Quarantine {
        /// Which one.
        id: Uuid,
        /// The account whose session it belongs to.
        account: String,
        /// What it is now.
        status: Status,
    },
    /// A setting was made, changed or removed (`None`).
    Setting {
        /// Its name.
        key: String,
        /// Its value.
        value: Option<String>,
    },
    /// A version of the policy was imported, or became active, or no longer is.
    Policy {
        /// Which one.
        version: String,
        /// Whether it is in force.
        active: bool,
    },
}

impl Store {
    /// Opens the store of a data directory, creating what is missing.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<Store, Error> {
        sqlite::create_dir(dir)?;
        let path = dir.join(STORE);
        let connection = sqlite::open(&path, &SCHEMA, options.busy_timeout)?;
        connection
            .pragma_update(None, "synchronous", "FULL")
            .and_then(|()| connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(())))
            .and_then(|()| connection.pragma_update_and_check(None, "journal_size_limit", 16 << 20, |_| Ok(())))
            .map_err(Error::sqlite(&path))?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Store { connection: Mutex::new(connection), path, options })
    }

    /// The present revision.
    pub fn revision(&self) -> Result<u64, Error> {
        self.read(|connection| {
            Ok(connection.prepare_cached("SELECT n FROM revision")?.query_row([], |row| get_u64(row, 0))?)
        })
    }

    /// What changed since a revision (0: everything that there is).
    pub fn changes(&self, since_revision: u64) -> Result<Changes, Error> {
        if self.revision()? <= since_revision {
            return Ok(Changes { revision: since_revision, changes: Vec::new() });
        }
        self.read(|connection| {
            // One snapshot, so that nothing falls between the revision and the changes.
            let transaction = &connection.unchecked_transaction()?;
            let revision = transaction.query_row("SELECT n FROM revision", [], |row| get_u64(row, 0))?;
            let mut found: Vec<(u64, Change)> = Vec::new();
            found.extend(quarantine::changes(transaction, since_revision)?);
            found.extend(settings::changes(transaction, since_revision)?);
            found.extend(policies::changes(transaction, since_revision)?);
            found.sort_by_key(|(revision, _)| *revision);
            Ok(Changes { revision, changes: found.into_iter().map(|(_, change)| change).collect() })
        })
    }

    fn read<T>(&self, run: impl FnOnce(&Connection) -> Result<T, Stop>) -> Result<T, Error> {
        run(&self.connection.lock()).map_err(|stop| self.error(stop))
    }

    fn write<T>(&self, run: impl FnOnce(&Transaction<'_>) -> Result<T, Stop>) -> Result<T, Error> {
        let mut connection = self.connection.lock();
        let transact = || -> Result<T, Stop> {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = run(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        transact().map_err(|stop| self.error(stop))
    }

    fn error(&self, stop: Stop) -> Error {
        match stop {
            Stop::Sqlite(error) => Error::sqlite(&self.path)(error),
            Stop::Refused(error) => *error,
        }
    }
}

/// Why a transaction is not committed.
enum Stop {
    Sqlite(rusqlite::Error),
    Refused(Box<Error>),
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Stop {
        Stop::Sqlite(error)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Refused(Box::new(error))
    }
}

/// Raises the revision and gives it, for the rows that change with it.
fn next_revision(transaction: &Transaction<'_>) -> rusqlite::Result<i64> {
    transaction.prepare_cached("UPDATE revision SET n = n + 1 RETURNING n")?.query_row([], |row| row.get(0))
}

/// Keeps the newest `keep` rows of a table that is numbered in order of age.
fn keep_newest(transaction: &Transaction<'_>, table: &str, keep: u64) -> rusqlite::Result<usize> {
    let sql = format!("DELETE FROM {table} WHERE number <= (SELECT max(number) FROM {table}) - ?1");
    transaction.prepare_cached(&sql)?.execute(params![as_i64(keep.max(1))])
}

fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

fn time(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH)
}
