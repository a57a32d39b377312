//! Versions of the policy: imported texts, one of which is in force.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::{Change, Stop, Store, micros, next_revision, time};
use crate::Error;
use crate::sqlite::journal::{as_i64, get_u64};

/// One imported policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyVersion {
    /// Its name in records.
    pub version: String,
    /// Its text.
    pub text: String,
    /// When it was imported first.
    pub imported_at: Timestamp,
    /// Whether it is in force.
    pub active: bool,
}

const COLUMNS: &str = "SELECT version, text, imported_at, active FROM policy";

impl Store {
    /// Keeps a version of the policy; `false` when that version is known already.
    /// It is not in force until it is activated.
    pub fn add_policy(&self, version: &str, text: &str, now: Timestamp) -> Result<bool, Error> {
        self.write(|transaction| {
            let revision = next_revision(transaction)?;
            let added = transaction.execute(
                "INSERT INTO policy (version, text, imported_at, active, revision) VALUES (?1, ?2, ?3, 0, ?4)
                 ON CONFLICT (version) DO NOTHING",
                params![version, text, micros(now), revision],
            )?;
            transaction.execute(
                "DELETE FROM policy WHERE active = 0 AND number <= (SELECT max(number) FROM policy) - ?1",
                [as_i64(self.options.policy_versions.max(1))],
            )?;
            Ok(added > 0)
        })
    }

    /// Puts a version in force, instead of the one that was.
    pub fn activate_policy(&self, version: &str) -> Result<(), Error> {
        self.write(|transaction| {
            let revision = next_revision(transaction)?;
            transaction.execute(
                "UPDATE policy SET active = 0, revision = ?2 WHERE active = 1 AND version <> ?1",
                params![version, revision],
            )?;
            let found = transaction.execute(
                "UPDATE policy SET active = 1, revision = ?2 WHERE version = ?1",
                params![version, revision],
            )?;
            if found == 0 {
                return Err(Error::NoSuchPolicy(version.to_owned()).into());
            }
            Ok(())
        })
    }

    /// The version in force.
    pub fn active_policy(&self) -> Result<Option<PolicyVersion>, Error> {
        self.read(|connection| {
            let sql = format!("{COLUMNS} WHERE active = 1");
            Ok(connection.prepare_cached(&sql)?.query_row([], version_row).optional()?)
        })
    }

    /// Every version that is kept, newest first.
    pub fn policies(&self) -> Result<Vec<PolicyVersion>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!("{COLUMNS} ORDER BY number DESC"))?;
            let rows = statement.query_map([], version_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

fn version_row(row: &Row<'_>) -> rusqlite::Result<PolicyVersion> {
    Ok(PolicyVersion { version: row.get(0)?, text: row.get(1)?, imported_at: time(row.get(2)?), active: row.get(3)? })
}

pub(super) fn changes(transaction: &Transaction<'_>, since: u64) -> Result<Vec<(u64, Change)>, Stop> {
    let mut statement =
        transaction.prepare_cached("SELECT revision, version, active FROM policy WHERE revision > ?1")?;
    let rows = statement.query_map([as_i64(since)], |row| {
        Ok((get_u64(row, 0)?, Change::Policy { version: row.get(1)?, active: row.get(2)? }))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
