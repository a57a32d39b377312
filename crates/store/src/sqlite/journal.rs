//! The journal on SQLite: one flat table that rows are only ever added to.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, Row as SqlRow, ToSql, params, types::ToSqlOutput, types::ValueRef};

use crate::chain::{ChainHash, Tip};
use crate::sqlite::{self, JOURNAL, Schema};
use crate::{Durability, Error, Fault, FaultKind, Head, Heads, Log, Options, Row, State};

/// The journal's schema. `record` has no secondary index: an insert touches the
/// right edge of one tree. `writer` says where each chain ends, so that opening
/// does not search for it.
pub(crate) const SCHEMA: Schema = Schema {
    application: 0x506a_6f75,
    steps: &["
CREATE TABLE writer (
    id       INTEGER PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE,
    seq      INTEGER NOT NULL,
    hash     BLOB NOT NULL,
    position INTEGER NOT NULL,
    headed   INTEGER NOT NULL,
    filed    INTEGER NOT NULL
);
CREATE TABLE record (
    position INTEGER PRIMARY KEY,
    writer   INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    json     TEXT NOT NULL,
    hash     BLOB NOT NULL,
    salt     BLOB,
    body     BLOB
);
CREATE TABLE head (
    writer   INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    position INTEGER NOT NULL,
    json     TEXT NOT NULL,
    PRIMARY KEY (writer, seq)
) WITHOUT ROWID;
"],
};

const INSERT: &str = "INSERT INTO record (writer, seq, json, hash, salt, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

/// Pages in the write-ahead log after which a commit also copies them into the
/// database: 8 MiB, a few milliseconds of sequential writing.
const CHECKPOINT_PAGES: i64 = 1_000;

/// Heads read at once.
const HEADS_AT_ONCE: i64 = 1_024;

/// One writer's side of `journal.db`.
pub(crate) struct SqliteLog {
    connection: Connection,
    path: PathBuf,
    /// Device and inode of the file that was opened.
    file: (u64, u64),
    name: String,
    writer: i64,
    durability: Durability,
    busy: Duration,
    max_bytes: Option<u64>,
    /// The row inserted or committed last.
    position: i64,
    /// Held for as long as this exists.
    _lock: Lock,
}

impl SqliteLog {
    /// Takes the writer's lock, opens the database and checks that its chain
    /// ends as its writer left it.
    pub(crate) fn open(dir: &Path, options: &Options, heads: &Heads) -> Result<SqliteLog, Error> {
        let lock = lock(dir, options)?;
        let path = dir.join(JOURNAL);
        let connection = sqlite::open(&path, &SCHEMA, options.busy_timeout)?;
        let genesis = Tip::genesis(&options.writer);
        let writer = connection
            .execute(
                "INSERT INTO writer (name, seq, hash, position, headed, filed) VALUES (?1, 0, ?2, 0, 0, 0)
                 ON CONFLICT DO NOTHING",
                params![options.writer, genesis.hash.0],
            )
            .and_then(|_| {
                connection.query_row("SELECT id FROM writer WHERE name = ?1", [&options.writer], |row| row.get(0))
            })
            .map_err(Error::sqlite(&path))?;
        let mut log = SqliteLog {
            file: identity(&path).map_err(Error::io(&path))?,
            connection,
            name: options.writer.clone(),
            writer,
            durability: options.durability,
            busy: options.busy_timeout,
            max_bytes: options.max_bytes,
            position: 0,
            _lock: lock,
            path,
        };
        log.tune().map_err(Error::sqlite(&log.path))?;
        let state = log.load().map_err(Error::sqlite(&log.path))?;
        log.check_tail(&state)?;
        log.check_heads(&state, heads)?;
        Ok(log)
    }

    fn tune(&self) -> rusqlite::Result<()> {
        let connection = &self.connection;
        let synchronous = match self.durability {
            Durability::Power => "FULL",
            Durability::Process => "NORMAL",
        };
        connection.pragma_update(None, "synchronous", synchronous)?;
        connection.pragma_update_and_check(None, "wal_autocheckpoint", CHECKPOINT_PAGES, |_| Ok(()))?;
        connection.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))?;
        if let Some(bytes) = self.max_bytes {
            let page: u64 =
                connection.pragma_query_value(None, "page_size", |row| row.get::<_, i64>(0))?.max(512) as u64;
            let pages = i64::try_from((bytes / page).max(1)).unwrap_or(i64::MAX);
            connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
        }
        Ok(())
    }

    fn load(&mut self) -> rusqlite::Result<State> {
        let (state, position) = self.connection.query_row(
            "SELECT seq, hash, headed, filed, position FROM writer WHERE id = ?1",
            [self.writer],
            |row| {
                let tip = Tip { seq: get_u64(row, 0)?, hash: ChainHash(row.get(1)?) };
                Ok((State { tip, headed: get_u64(row, 2)?, filed: get_u64(row, 3)? }, row.get(4)?))
            },
        )?;
        self.position = position;
        Ok(state)
    }

    /// Walks from the last signed record to the end, and compares with what the
    /// writer noted: a chain that does not fit must not be continued.
    fn check_tail(&self, state: &State) -> Result<(), Error> {
        let broken = |seq: u64, what: &str| Error::Broken {
            path: self.path.clone(),
            writer: self.name.clone(),
            seq,
            what: what.to_owned(),
        };
        let head = self
            .connection
            .query_row(
                "SELECT position, json FROM head WHERE writer = ?1 AND seq = ?2",
                params![self.writer, as_i64(state.headed)],
                |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)),
            )
            .optional()
            .map_err(Error::sqlite(&self.path))?;
        let (mut position, mut tip) = match head {
            Some((position, json)) => {
                let head = Head::parse(&json).ok_or_else(|| broken(state.headed, "its signed head is unreadable"))?;
                (position, head.tip())
            }
            None if state.headed == 0 => (0, Tip::genesis(&self.name)),
            None => return Err(broken(state.headed, "its signed head is missing")),
        };
        if state.headed > 0 {
            let stored: Option<[u8; 32]> = self
                .connection
                .query_row(
                    "SELECT hash FROM record WHERE position = ?1 AND writer = ?2 AND seq = ?3",
                    params![position, self.writer, as_i64(tip.seq)],
                    |row| row.get(0),
                )
                .optional()
                .map_err(Error::sqlite(&self.path))?;
            match stored {
                Some(hash) if hash == tip.hash.0 => {}
                Some(_) => return Err(broken(tip.seq, "it differs from its signed head")),
                None => return Err(broken(tip.seq, "a head is signed for it, and it is missing")),
            }
        }
        let mut statement = self
            .connection
            .prepare(
                "SELECT position, seq, json, hash FROM record WHERE position > ?1 AND writer = ?2 ORDER BY position",
            )
            .map_err(Error::sqlite(&self.path))?;
        let mut rows = statement.query(params![position, self.writer]).map_err(Error::sqlite(&self.path))?;
        while let Some(row) = rows.next().map_err(Error::sqlite(&self.path))? {
            let next = row
                .get_ref(2)
                .and_then(|json| Ok(tip.next(json.as_bytes()?)))
                .and_then(|next| Ok((row.get::<_, i64>(0)?, get_u64(row, 1)?, row.get::<_, [u8; 32]>(3)?, next)));
            let (at, seq, hash, next) = next.map_err(|error| broken(tip.seq + 1, &error.to_string()))?;
            if seq != next.seq {
                return Err(broken(next.seq, "it is missing"));
            }
            if hash != next.hash.0 {
                return Err(broken(seq, "its hash does not follow from the record before it"));
            }
            (position, tip) = (at, next);
        }
        if tip != state.tip || position != self.position {
            return Err(broken(state.tip.seq, "the chain does not end where its writer left it"));
        }
        Ok(())
    }

    /// A head that was signed and filed must be covered by what is here. What
    /// the file has need not be filed again.
    fn check_heads(&self, state: &State, heads: &Heads) -> Result<(), Error> {
        let Some(head) = heads.newest(&self.name)? else { return Ok(()) };
        if head.seq > state.tip.seq {
            return Err(Error::RolledBack {
                path: self.path.clone(),
                heads: heads.path().to_owned(),
                writer: self.name.clone(),
                found: state.tip.seq,
                signed: head.seq,
            });
        }
        if head.seq > state.filed {
            self.connection
                .execute("UPDATE writer SET filed = ?2 WHERE id = ?1", params![self.writer, as_i64(head.seq)])
                .map_err(Error::sqlite(&self.path))?;
        }
        Ok(())
    }

    /// Whether the path still leads to the file that is open: what is written
    /// to a file that was moved away or deleted is not durable.
    fn check_identity(&self) -> Result<(), Fault> {
        match identity(&self.path) {
            Ok(file) if file == self.file => Ok(()),
            Ok(_) => Err(Fault::new(FaultKind::Damaged, format!("{} was replaced while in use", self.path.display()))),
            Err(error) => Err(Fault::new(FaultKind::Damaged, format!("{}: {error}", self.path.display()))),
        }
    }

    fn run(&self, sql: &str) -> Result<(), Fault> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}

impl Log for SqliteLog {
    fn state(&mut self) -> Result<State, Fault> {
        self.check_identity()?;
        match self.load() {
            Ok(state) => Ok(state),
            Err(_) => {
                // The connection may be what is broken, not the file.
                self.connection = sqlite::connect(&self.path, self.busy)
                    .map_err(|error| Fault::new(FaultKind::Io, error.to_string()))?;
                self.tune()?;
                Ok(self.load()?)
            }
        }
    }

    fn begin(&mut self) -> Result<(), Fault> {
        self.check_identity()?;
        self.run("BEGIN IMMEDIATE")
    }

    fn insert(&mut self, row: &Row<'_>) -> Result<(), Fault> {
        let mut statement = self.connection.prepare_cached(INSERT)?;
        let (salt, body) = row.body.unzip();
        self.position = statement.insert(params![
            self.writer,
            as_i64(row.seq),
            Text(row.json),
            row.hash.0.as_slice(),
            salt.map(|salt| salt.as_slice()),
            body
        ])?;
        Ok(())
    }

    fn head(&mut self, head: &Head) -> Result<(), Fault> {
        self.connection
            .prepare_cached("INSERT INTO head (writer, seq, position, json) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![self.writer, as_i64(head.seq), self.position, head.line()])?;
        Ok(())
    }

    fn commit(&mut self, state: &State) -> Result<(), Fault> {
        self.connection
            .prepare_cached(
                "UPDATE writer SET seq = ?2, hash = ?3, position = ?4, headed = ?5, filed = ?6 WHERE id = ?1",
            )?
            .execute(params![
                self.writer,
                as_i64(state.tip.seq),
                state.tip.hash.0.as_slice(),
                self.position,
                as_i64(state.headed),
                as_i64(state.filed)
            ])?;
        self.run("COMMIT")
    }

    fn rollback(&mut self) {
        // SQLite may have rolled back already; then there is nothing to do.
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!("{}: rollback: {error}", self.path.display());
        }
    }

    fn sync(&mut self) -> Result<(), Fault> {
        for path in [sqlite::sidecar(&self.path, "-wal"), self.path.clone()] {
            match File::open(&path).and_then(|file| file.sync_data()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Fault::new(FaultKind::Io, format!("{}: {error}", path.display())));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn heads_after(&mut self, seq: u64) -> Result<Vec<Head>, Fault> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT json FROM head WHERE writer = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3")?;
        let lines =
            statement.query_map(params![self.writer, as_i64(seq), HEADS_AT_ONCE], |row| row.get::<_, String>(0))?;
        let mut heads = Vec::new();
        for line in lines {
            let head =
                Head::parse(&line?).ok_or_else(|| Fault::new(FaultKind::Damaged, "a signed head is unreadable"))?;
            heads.push(head);
        }
        Ok(heads)
    }
}

/// JSON bytes bound as text, without looking at them again.
struct Text<'a>(&'a [u8]);

impl ToSql for Text<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}

/// Sequences and positions fit: a writer that appends a million a second fills an i64 in 292,000 years.
pub(crate) fn as_i64(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A column that must not be negative.
pub(crate) fn get_u64(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|meta| (meta.dev(), meta.ino()))
}

/// A writer's lock, which the kernel gives free when the process ends.
///
/// Given up by name when dropped: closing the file is not enough while a child
/// process that is just being started holds a copy of it.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!("journal: its lock could not be given up: {error}");
        }
    }
}

/// Takes the writer's lock.
fn lock(dir: &Path, options: &Options) -> Result<Lock, Error> {
    const RETRY: Duration = Duration::from_millis(20);
    let path = dir.join(format!("journal.{}.lock", options.writer));
    let file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(Error::io(&path))?;
    let deadline = Instant::now() + options.lock_timeout;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock(file)),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(RETRY),
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Locked { dir: dir.to_owned(), writer: options.writer.clone() });
            }
            Err(TryLockError::Error(error)) => return Err(Error::io(&path)(error)),
        }
    }
}
