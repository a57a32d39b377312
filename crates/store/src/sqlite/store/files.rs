//! Files that pass through the gateway: where an upload really lies, and what
//! was decided about a file the first time it was seen. Both tables are bounded:
//! the oldest are forgotten. Neither raises the revision.

use jiff::Timestamp;
use model::Effect;
use rusqlite::{OptionalExtension, params};

use super::{Store, keep_newest, micros, time};
use crate::Error;

/// What was decided about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileVerdict {
    /// What is done with it.
    pub effect: Effect,
    /// The rule that decided.
    pub rule: Option<String>,
    /// Text for people.
    pub notice: Option<String>,
    /// When it was decided.
    pub time: Timestamp,
}

impl Store {
    /// Remembers where the server keeps an upload: the URL without the id.
    pub fn put_upload(&self, id: &str, base: &str) -> Result<(), Error> {
        self.write(|transaction| {
            transaction
                .prepare_cached(
                    "INSERT INTO upload (id, base) VALUES (?1, ?2)
                     ON CONFLICT (id) DO UPDATE SET base = excluded.base",
                )?
                .execute([id, base])?;
            keep_newest(transaction, "upload", self.options.uploads)?;
            Ok(())
        })
    }

    /// Where the server keeps an upload.
    pub fn upload(&self, id: &str) -> Result<Option<String>, Error> {
        self.read(|connection| {
            Ok(connection
                .prepare_cached("SELECT base FROM upload WHERE id = ?1")?
                .query_row([id], |row| row.get(0))
                .optional()?)
        })
    }

    /// Remembers a verdict by `sha256:<hex>` or `url:<upstream URL>`.
    pub fn put_file_verdict(&self, key: &str, verdict: &FileVerdict) -> Result<(), Error> {
        self.write(|transaction| {
            // Replaced, not updated: a new number makes it young again.
            transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO file_verdict (key, effect, rule, notice, time) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![key, verdict.effect.name(), verdict.rule, verdict.notice, micros(verdict.time)])?;
            keep_newest(transaction, "file_verdict", self.options.file_verdicts)?;
            Ok(())
        })
    }

    /// What was decided about a file, when it is remembered.
    pub fn file_verdict(&self, key: &str) -> Result<Option<FileVerdict>, Error> {
        self.read(|connection| {
            let verdict = connection
                .prepare_cached("SELECT effect, rule, notice, time FROM file_verdict WHERE key = ?1")?
                .query_row([key], |row| {
                    let effect: String = row.get(0)?;
                    // An effect of a later version is read as the strictest known: never as "allow".
                    let effect = Effect::parse(&effect).unwrap_or(Effect::Block);
                    Ok(FileVerdict { effect, rule: row.get(1)?, notice: row.get(2)?, time: time(row.get(3)?) })
                })
                .optional()?;
            Ok(verdict)
        })
    }

    /// Forgets every file verdict: after the policy or the indicators changed.
    pub fn clear_file_verdicts(&self) -> Result<(), Error> {
        self.write(|transaction| {
            transaction.execute("DELETE FROM file_verdict", [])?;
            Ok(())
        })
    }
}
