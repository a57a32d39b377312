//! Campaigns on disk: `campaigns.db` under `<data>/intel`, with the position in the journal that they stand for, and
//! what people decided about them.
//!
//! The follower of the journal writes campaigns and its position in one transaction; the command line appends
//! decisions, which the follower takes up and a reader applies by itself until then. So neither overwrites the other.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::{Campaign, Decision, Status};

/// The file's name under `<data>/intel`.
pub const FILE: &str = "campaigns.db";
/// Campaigns that are kept; beyond, the longest quiet ones go that nobody promoted.
pub const KEPT: usize = 10_000;

/// Marks the file as ours: "PcCp".
const APPLICATION: i32 = 0x5063_4370;
const VERSION: i64 = 1;
const SCHEMA: &str = "
CREATE TABLE campaign (
    id TEXT PRIMARY KEY,
    status TEXT NOT NULL,
    last_seen INTEGER NOT NULL,
    json TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX campaign_last_seen ON campaign (last_seen);
CREATE TABLE decision (number INTEGER PRIMARY KEY AUTOINCREMENT, json TEXT NOT NULL);
CREATE TABLE state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
";

/// Why campaigns can't be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system says no.
    #[error("{path}: {error}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The database says no.
    #[error("{path}: {error}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        error: rusqlite::Error,
    },
    /// It is no file of campaigns, or one of a newer version.
    #[error("{path}: {what}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        what: String,
    },
    /// What is in it does not read.
    #[error("{path}: {what} does not read: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Which entry.
        what: String,
        /// Why.
        error: serde_json::Error,
    },
}

/// Campaigns on disk.
#[derive(Debug)]
pub struct Archive {
    connection: Connection,
    path: PathBuf,
}

/// How far the follower is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Position in the journal of the last record taken in.
    pub position: u64,
    /// Number of the last decision put into effect.
    pub decision: u64,
}

impl Archive {
    /// Opens the campaigns of a data directory, creating what is missing.
    pub fn open(data: &Path) -> Result<Archive, Error> {
        let folder = data.join("intel");
        let io = |path: &Path| {
            let path = path.to_owned();
            move |error| Error::Io { path, error }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(io(&folder))?;
        let path = folder.join(FILE);
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => drop(file),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(io(&path))?;
            }
            Err(error) => return Err(io(&path)(error)),
        }
        let opened = Connection::open(&path).and_then(|connection| {
            connection.busy_timeout(Duration::from_secs(10))?;
            connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
            // What a loss of power takes is made again from the journal.
            connection.pragma_update(None, "synchronous", "normal")?;
            connection.pragma_update(None, "trusted_schema", false)?;
            connection.pragma_update(None, "cell_size_check", true)?;
            Ok(connection)
        });
        let connection = opened.map_err(|error| Error::Sqlite { path: path.clone(), error })?;
        let mut archive = Archive { connection, path };
        archive.migrate()?;
        Ok(archive)
    }

    /// Whether a data directory has campaigns.
    pub fn exists(data: &Path) -> bool {
        data.join("intel").join(FILE).is_file()
    }

    /// How far the follower is.
    pub fn cursor(&self) -> Result<Cursor, Error> {
        let value = |name: &str| -> rusqlite::Result<u64> {
            let found: Option<i64> = self
                .connection
                .query_row("SELECT value FROM state WHERE name = ?1", [name], |row| row.get(0))
                .optional()?;
            Ok(found.and_then(|value| u64::try_from(value).ok()).unwrap_or_default())
        };
        let read = || Ok(Cursor { position: value("position")?, decision: value("decision")? });
        read().map_err(|error| self.sqlite(error))
    }

    /// Keeps changed campaigns and how far the follower is, all or nothing.
    pub fn keep(&mut self, changed: &[Campaign], cursor: Cursor) -> Result<(), Error> {
        let rows = changed.iter().map(|campaign| Ok((campaign, self.encode(&campaign.id, campaign)?)));
        let rows: Vec<(&Campaign, String)> = rows.collect::<Result<_, Error>>()?;
        let write = |connection: &mut Connection| -> rusqlite::Result<()> {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for (campaign, json) in &rows {
                transaction
                    .prepare_cached(
                        "INSERT INTO campaign (id, status, last_seen, json) VALUES (?1, ?2, ?3, ?4)
                         ON CONFLICT (id) DO UPDATE
                         SET status = excluded.status, last_seen = excluded.last_seen, json = excluded.json",
                    )?
                    .execute(params![campaign.id, campaign.status.as_str(), campaign.last_seen.as_second(), json])?;
            }
            let count: i64 = transaction.query_row("SELECT count(*) FROM campaign", [], |row| row.get(0))?;
            let over = count.saturating_sub(KEPT as i64);
            if over > 0 {
                transaction.execute(
                    "DELETE FROM campaign WHERE id IN
                     (SELECT id FROM campaign WHERE status != 'promoted' ORDER BY last_seen, id LIMIT ?1)",
                    [over],
                )?;
            }
            for (name, value) in [("position", cursor.position), ("decision", cursor.decision)] {
                transaction
                    .prepare_cached(
                        "INSERT INTO state (name, value) VALUES (?1, ?2)
                         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                    )?
                    .execute(params![name, i64::try_from(value).unwrap_or(i64::MAX)])?;
            }
            transaction.commit()
        };
        write(&mut self.connection).map_err(|error| self.sqlite(error))
    }

    /// Appends what a person decided.
    pub fn decide(&mut self, decision: &Decision) -> Result<(), Error> {
        let json = self.encode(&decision.campaign, decision)?;
        self.connection
            .execute("INSERT INTO decision (json) VALUES (?1)", [json])
            .map(drop)
            .map_err(|error| self.sqlite(error))
    }

    /// Decisions after a number, with theirs.
    pub fn decisions(&self, after: u64) -> Result<Vec<(u64, Decision)>, Error> {
        let read = || -> rusqlite::Result<Vec<(i64, String)>> {
            let mut statement = self
                .connection
                .prepare_cached("SELECT number, json FROM decision WHERE number > ?1 ORDER BY number")?;
            let rows = statement
                .query_map([i64::try_from(after).unwrap_or(i64::MAX)], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        };
        let rows = read().map_err(|error| self.sqlite(error))?;
        rows.into_iter()
            .map(|(number, json)| {
                let decision = self.decode(&format!("decision {number}"), &json)?;
                Ok((u64::try_from(number).unwrap_or_default(), decision))
            })
            .collect()
    }

    /// What the follower goes on with, longest quiet first: at most so many campaigns, and what became part of them.
    pub fn going_on(&self, most: usize) -> Result<Vec<Campaign>, Error> {
        let mut known = self.select("WHERE status != 'merged'", most)?;
        known.extend(self.select("WHERE status = 'merged'", KEPT)?);
        known.reverse();
        Ok(known)
    }

    fn select(&self, wanted: &str, most: usize) -> Result<Vec<Campaign>, Error> {
        let sql = format!("SELECT id, json FROM campaign {wanted} ORDER BY last_seen DESC, id LIMIT ?1");
        let read = || -> rusqlite::Result<Vec<(String, String)>> {
            let mut statement = self.connection.prepare_cached(&sql)?;
            let rows =
                statement.query_map([i64::try_from(most).unwrap_or(i64::MAX)], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        };
        let rows = read().map_err(|error| self.sqlite(error))?;
        rows.into_iter().map(|(id, json)| self.decode(&id, &json)).collect()
    }

    /// Every campaign as people see it: with decisions that the follower has not taken up yet.
    pub fn all(&self) -> Result<Vec<Campaign>, Error> {
        let mut campaigns: BTreeMap<String, Campaign> =
            self.select("", KEPT)?.into_iter().map(|campaign| (campaign.id.clone(), campaign)).collect();
        for (_, decision) in self.decisions(self.cursor()?.decision)? {
            let Some(mut campaign) = campaigns.remove(&decision.campaign) else { continue };
            if let super::Choice::Merge { into } = &decision.choice
                && let Some(home) = campaigns.get_mut(into)
                && !matches!(campaign.status, Status::Merged { .. })
            {
                home.absorb(&campaign);
            }
            decision.apply(&mut campaign);
            campaigns.insert(campaign.id.clone(), campaign);
        }
        let mut all: Vec<Campaign> = campaigns.into_values().collect();
        all.sort_by(|a, b| b.last_seen.cmp(&a.last_seen).then_with(|| a.id.cmp(&b.id)));
        Ok(all)
    }

    fn migrate(&mut self) -> Result<(), Error> {
        let look = |connection: &Connection| -> rusqlite::Result<(i64, i64, i64)> {
            let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
            let tables = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
            Ok((pragma("application_id")?, pragma("user_version")?, tables))
        };
        let found = look(&self.connection).map_err(|error| self.sqlite(error))?;
        let foreign = |what: String| Error::Foreign { path: self.path.clone(), what };
        match found {
            (0, 0, 0) => {}
            (application, VERSION, _) if application == i64::from(APPLICATION) => return Ok(()),
            (application, version, _) if application == i64::from(APPLICATION) => {
                return Err(foreign(format!("version {version}, made by a newer program than this; upgrade it")));
            }
            _ => return Err(foreign("no file of campaigns; move it away".to_owned())),
        }
        let make = |connection: &mut Connection| -> rusqlite::Result<()> {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            // Another process may have come first.
            if look(&transaction)?.1 == 0 {
                transaction.execute_batch(SCHEMA)?;
                transaction.pragma_update(None, "application_id", APPLICATION)?;
                transaction.pragma_update(None, "user_version", VERSION)?;
            }
            transaction.commit()
        };
        make(&mut self.connection).map_err(|error| self.sqlite(error))
    }

    fn sqlite(&self, error: rusqlite::Error) -> Error {
        Error::Sqlite { path: self.path.clone(), error }
    }

    fn encode(&self, what: &str, value: &impl serde::Serialize) -> Result<String, Error> {
        let unreadable = |error| Error::Unreadable { path: self.path.clone(), what: what.to_owned(), error };
        serde_json::to_string(value).map_err(unreadable)
    }

    fn decode<T: serde::de::DeserializeOwned>(&self, what: &str, json: &str) -> Result<T, Error> {
        let unreadable = |error| Error::Unreadable { path: self.path.clone(), what: what.to_owned(), error };
        serde_json::from_str(json).map_err(unreadable)
    }
}
