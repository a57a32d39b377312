//! Settings that are changed live: names and values.

use rusqlite::{OptionalExtension, Transaction, params};

use super::{Change, Stop, Store, next_revision};
use crate::Error;
use crate::sqlite::journal::{as_i64, get_u64};

impl Store {
    /// A setting's value.
    pub fn setting(&self, key: &str) -> Result<Option<String>, Error> {
        self.read(|connection| {
            let value: Option<Option<String>> = connection
                .prepare_cached("SELECT value FROM setting WHERE key = ?1")?
                .query_row([key], |row| row.get(0))
                .optional()?;
            Ok(value.flatten())
        })
    }

    /// Makes, changes or (with `None`) removes a setting.
    pub fn set_setting(&self, key: &str, value: Option<&str>) -> Result<(), Error> {
        self.write(|transaction| {
            let revision = next_revision(transaction)?;
            // A removed one stays as a row without value, so that it shows among the changes.
            transaction
                .prepare_cached(
                    "INSERT INTO setting (key, value, revision) VALUES (?1, ?2, ?3)
                     ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision",
                )?
                .execute(params![key, value, revision])?;
            Ok(())
        })
    }

    /// Every setting that has a value, by name.
    pub fn settings(&self) -> Result<Vec<(String, String)>, Error> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT key, value FROM setting WHERE value IS NOT NULL ORDER BY key")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

pub(super) fn changes(transaction: &Transaction<'_>, since: u64) -> Result<Vec<(u64, Change)>, Stop> {
    let mut statement = transaction.prepare_cached("SELECT revision, key, value FROM setting WHERE revision > ?1")?;
    let rows = statement.query_map([as_i64(since)], |row| {
        Ok((get_u64(row, 0)?, Change::Setting { key: row.get(1)?, value: row.get(2)? }))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
