//! The SQLite backend: one file for the journal, one for the store, each with
//! one writer at a time and any number of readers (WAL).

use std::fs::{self, DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::Error;

pub(crate) mod journal;
pub mod reader;
pub mod store;
pub mod verify;

/// The journal's file name in the data directory.
pub const JOURNAL: &str = "journal.db";
/// The store's file name in the data directory.
pub const STORE: &str = "store.db";
/// The default heads file's name in the data directory.
pub const HEADS: &str = "heads.jsonl";

/// A database file's kind: what marks it, and the steps to its present shape.
pub(crate) struct Schema {
    /// `PRAGMA application_id`, so that no other database is taken for it.
    application: i32,
    /// SQL that leads from version n to n + 1; never changed once released.
    steps: &'static [&'static str],
}

/// Makes the data directory, for its owner only.
pub(crate) fn create_dir(dir: &Path) -> Result<(), Error> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(Error::io(dir))
}

/// Opens a database for writing, creates it when it is missing (unless it has
/// to be there), and brings it to the present schema.
pub(crate) fn open(path: &Path, schema: &Schema, busy: Duration) -> Result<Connection, Error> {
    // Created here, so that it (and the -wal and -shm beside it, which take its mode) is never open to others.
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => drop(file),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(Error::io(path))?;
        }
        Err(error) => return Err(Error::io(path)(error)),
    }
    let mut connection = connect(path, busy)?;
    migrate(&mut connection, path, schema)?;
    Ok(connection)
}

/// Opens an existing database for writing.
pub(crate) fn connect(path: &Path, busy: Duration) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(Error::sqlite(path))?;
    connection.busy_timeout(busy).map_err(Error::sqlite(path))?;
    connection
        // Takes effect when the database is made: half as many writes as with SQLite's 4,096 when commits are large,
        // little more to write when they are small.
        .pragma_update(None, "page_size", 8_192)
        .and_then(|()| connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())))
        .and_then(|()| connection.pragma_update(None, "trusted_schema", false))
        .and_then(|()| connection.pragma_update(None, "cell_size_check", true))
        .map_err(Error::sqlite(path))?;
    Ok(connection)
}

/// Opens an existing database for reading; also from a medium or directory
/// that cannot be written, when no write-ahead log is left beside it.
pub(crate) fn connect_read_only(path: &Path, schema: &Schema) -> Result<Connection, Error> {
    fs::metadata(path).map_err(Error::io(path))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(path, flags).and_then(prepare_reader);
    let connection = match opened {
        Err(error) if cannot_share(&error) && !has_wal(path) => {
            let flags = flags | OpenFlags::SQLITE_OPEN_URI;
            Connection::open_with_flags(immutable_uri(path), flags).and_then(prepare_reader)
        }
        opened => opened,
    }
    .map_err(Error::sqlite(path))?;
    let version = check_version(&connection, path, schema)?;
    if version == schema.steps.len() as i64 {
        return Ok(connection);
    }
    let detail = format!("schema {version} was left unfinished; open it for writing once");
    Err(Error::Damaged { path: path.to_owned(), detail })
}

fn prepare_reader(connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    // Reads a page, which is where a missing permission shows.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

fn cannot_share(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode;
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::SystemIoFailure)
    )
}

fn has_wal(path: &Path) -> bool {
    fs::metadata(sidecar(path, "-wal")).is_ok_and(|wal| wal.len() > 0)
}

/// `path` with a suffix on its file name.
pub(crate) fn sidecar(path: &Path, suffix: &str) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn immutable_uri(path: &Path) -> String {
    use std::fmt::Write;
    use std::os::unix::ffi::OsStrExt;
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => uri.push(char::from(*byte)),
            // Writing to a string does not fail.
            other => drop(write!(uri, "%{other:02X}")),
        }
    }
    uri.push_str("?immutable=1");
    uri
}

fn migrate(connection: &mut Connection, path: &Path, schema: &Schema) -> Result<(), Error> {
    if check_version(connection, path, schema)? == schema.steps.len() as i64 {
        return Ok(());
    }
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(Error::sqlite(path))?;
    // Another process may have come first.
    let version = check_version(&transaction, path, schema)?;
    let from = usize::try_from(version).unwrap_or(usize::MAX);
    for step in schema.steps.iter().skip(from) {
        transaction.execute_batch(step).map_err(Error::sqlite(path))?;
    }
    transaction
        .pragma_update(None, "application_id", schema.application)
        .and_then(|()| transaction.pragma_update(None, "user_version", schema.steps.len() as i64))
        .and_then(|()| transaction.commit())
        .map_err(Error::sqlite(path))
}

/// The schema version, when the file is one of ours and not from the future.
fn check_version(connection: &Connection, path: &Path, schema: &Schema) -> Result<i64, Error> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let version = pragma("user_version").map_err(Error::sqlite(path))?;
    let application = pragma("application_id").map_err(Error::sqlite(path))?;
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(Error::sqlite(path))?;
    let known = schema.steps.len() as i64;
    if version == 0 && application == 0 && tables == 0 {
        return Ok(0);
    }
    if application != i64::from(schema.application) || version < 1 {
        return Err(Error::Foreign { path: path.to_owned() });
    }
    if version > known {
        return Err(Error::Newer { path: path.to_owned(), found: version, known });
    }
    Ok(version)
}
