//! Messages kept back until a person decides.
//!
//! ```text
//! held -> released -> delivered
//!   \________\-> destroyed
//! ```
//!
//! Content (the frame and its parts) leaves the store when a message is settled,
//! delivered or destroyed; what remains says that it was there and who decided.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use model::{Digest, Direction, LimitHit, Protocol};
use rusqlite::{OptionalExtension, Row, ToSql, Transaction, params, params_from_iter};
use uuid::Uuid;

use super::{Change, Stop, Store, micros, next_revision, time};
use crate::Error;
use crate::sqlite::journal::{as_i64, get_u64};

/// How long a released message that was handed to a session is not handed to another.
const LEASE: SignedDuration = SignedDuration::from_secs(60);

/// Entries listed at once at most.
const PAGE: u64 = 1_000;

/// Messages handed out for delivery at once.
const TAKE: i64 = 256;

/// What has become of a quarantined message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// It waits for a decision.
    Held,
    /// It may go on, and waits for its session.
    Released,
    /// It has gone on.
    Delivered,
    /// It will never go on; its content is gone.
    Destroyed,
}

impl Status {
    /// Every status.
    pub const ALL: [Status; 4] = [Status::Held, Status::Released, Status::Delivered, Status::Destroyed];

    /// The name used in the store and in output.
    pub fn name(self) -> &'static str {
        match self {
            Status::Held => "held",
            Status::Released => "released",
            Status::Delivered => "delivered",
            Status::Destroyed => "destroyed",
        }
    }

    /// The status of that name.
    pub fn parse(name: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|status| status.name() == name)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A message to be kept back.
#[derive(Clone, PartialEq, Eq)]
pub struct Held {
    /// The id of its journal record.
    pub id: Uuid,
    /// When it was stopped.
    pub time: Timestamp,
    /// Where it was spoken.
    pub protocol: Protocol,
    /// Which way it crossed.
    pub direction: Direction,
    /// The account whose session it crossed, and is delivered on.
    pub account: String,
    /// The account on the far side.
    pub peer: String,
    /// Full address of who spoke.
    pub from: String,
    /// Full address of who was spoken to.
    pub to: String,
    /// Findings as JSON, for the person who decides.
    pub findings: String,
    /// The rule that decided.
    pub rule: Option<String>,
    /// The rule's words.
    pub notice: Option<String>,
    /// Digest of the content, by which its crossings are recognised.
    pub digest: Digest,
    /// The frame to be delivered, canonical; empty once settled.
    pub frame: Vec<u8>,
    /// Its readable parts as JSON; empty once settled.
    pub parts: String,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Held({}, {} bytes)", self.id, self.frame.len() + self.parts.len())
    }
}

/// What has been decided about a message, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why, when they said so.
    pub reason: Option<String>,
}

/// A quarantined message in a list: all but its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldSummary {
    /// The message, its frame and parts left empty.
    pub message: Held,
    /// Place in the list, for paging; older ones are smaller.
    pub number: u64,
    /// Size of the content in bytes, as it was.
    pub bytes: u64,
    /// What has become of it.
    pub status: Status,
    /// Who decided, once somebody did.
    pub decision: Option<Decision>,
}

/// Which quarantined messages to list.
#[derive(Clone, Debug, Default)]
pub struct QuarantineFilter {
    /// In this status only.
    pub status: Option<Status>,
    /// Of this account's sessions only.
    pub account: Option<String>,
    /// Older than this [`HeldSummary::number`] only: the next page.
    pub before: Option<u64>,
    /// At most so many; 0 means, and nothing exceeds, 1,000.
    pub limit: u64,
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuarantineCounts {
    /// Waiting for a decision.
    pub held: u64,
    /// Waiting for delivery.
    pub released: u64,
    /// Delivered, as far as remembered.
    pub delivered: u64,
    /// Destroyed, as far as remembered.
    pub destroyed: u64,
    /// Bytes of content kept.
    pub bytes: u64,
}

const COLUMNS: &str = "SELECT number, id, time, protocol, direction, account, peer, sender, recipient, findings, \
                       rule, notice, bytes, status, decided_by, decided_at, reason, digest FROM quarantine";

impl Store {
    /// Keeps a message back. At a bound it is refused ([`Error::Full`]), and the
    /// caller has to block the message instead. An id that is there already is
    /// kept as it is.
    pub fn hold(&self, message: &Held) -> Result<(), Error> {
        let bytes = (message.frame.len() + message.parts.len()) as u64;
        self.write(|transaction| {
            let (entries, total) = totals(transaction)?;
            if entries >= self.options.quarantine_entries {
                return Err(full("quarantine.entries", self.options.quarantine_entries));
            }
            if total.saturating_add(bytes) > self.options.quarantine_bytes {
                return Err(full("quarantine.bytes", self.options.quarantine_bytes));
            }
            let revision = next_revision(transaction)?;
            let added = transaction
                .prepare_cached(
                    "INSERT INTO quarantine (id, revision, time, protocol, direction, account, peer, sender, recipient,
                                             findings, rule, notice, frame, parts, bytes, digest, status)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, 'held')
                     ON CONFLICT (id) DO NOTHING",
                )?
                .execute(params![
                    message.id.as_bytes().as_slice(),
                    revision,
                    micros(message.time),
                    message.protocol.name(),
                    message.direction.name(),
                    message.account,
                    message.peer,
                    message.from,
                    message.to,
                    message.findings,
                    message.rule,
                    message.notice,
                    message.frame,
                    message.parts,
                    as_i64(bytes),
                    message.digest.to_string(),
                ])?;
            if added > 0 {
                add_to_totals(transaction, 1, as_i64(bytes))?;
            }
            Ok(())
        })
    }

    /// Quarantined messages without their content, newest first.
    pub fn quarantine(&self, filter: &QuarantineFilter) -> Result<Vec<HeldSummary>, Error> {
        let mut sql = format!("{COLUMNS} WHERE number < ?");
        let mut values: Vec<Box<dyn ToSql>> = vec![Box::new(filter.before.map_or(i64::MAX, as_i64))];
        if let Some(status) = filter.status {
            sql.push_str(" AND status = ?");
            values.push(Box::new(status.name()));
        }
        if let Some(account) = &filter.account {
            sql.push_str(" AND account = ?");
            values.push(Box::new(account.clone()));
        }
        sql.push_str(" ORDER BY number DESC LIMIT ?");
        values.push(Box::new(as_i64(if filter.limit == 0 { PAGE } else { filter.limit.min(PAGE) })));
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map(params_from_iter(values), summary_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// One quarantined message with its content, as far as it is still kept.
    pub fn quarantined(&self, id: Uuid) -> Result<Option<HeldSummary>, Error> {
        self.read(|connection| {
            let found = connection
                .prepare_cached(&format!("{COLUMNS} WHERE id = ?1"))?
                .query_row([id.as_bytes().as_slice()], summary_row)
                .optional()?;
            let Some(mut found) = found else { return Ok(None) };
            (found.message.frame, found.message.parts) = content(connection, id)?;
            Ok(Some(found))
        })
    }

    /// Lets a held message go on.
    pub fn release(&self, id: Uuid, decision: &Decision) -> Result<(), Error> {
        self.write(|transaction| match status(transaction, id)? {
            Status::Held => decide(transaction, id, Status::Released, decision),
            status => Err(Error::Decided { id, status }.into()),
        })
    }

    /// Destroys a message that has not been delivered: its content is
    /// overwritten in the database and the write-ahead log is emptied.
    pub fn destroy(&self, id: Uuid, decision: &Decision) -> Result<(), Error> {
        self.write(|transaction| {
            match status(transaction, id)? {
                Status::Held | Status::Released => {}
                status => return Err(Error::Decided { id, status }.into()),
            }
            decide(transaction, id, Status::Destroyed, decision)?;
            self.settle(transaction, id)
        })?;
        // Readers of other processes may be in the way; then the log is emptied by a later one.
        self.read(|connection| Ok(connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?))
    }

    /// The released messages of an account, oldest first, content included, for
    /// delivery; the caller says [`Store::mark_delivered`] for each.
    ///
    /// They are lent for a minute, so that two sessions of one account do not
    /// deliver the same message; after that an undelivered one is handed out again.
    pub fn take_released(&self, account: &str, now: Timestamp) -> Result<Vec<HeldSummary>, Error> {
        let waiting = self.read(|connection| {
            Ok(connection
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM quarantine WHERE status = 'released' AND account = ?1)")?
                .query_row([account], |row| row.get::<_, bool>(0))?)
        })?;
        if !waiting {
            return Ok(Vec::new());
        }
        let expired = now.checked_sub(LEASE).unwrap_or(Timestamp::MIN);
        self.write(|transaction| {
            let sql = format!(
                "{COLUMNS} WHERE status = 'released' AND account = ?1
                 AND (leased IS NULL OR leased <= ?2 OR leased > ?3) ORDER BY number LIMIT ?4"
            );
            let mut statement = transaction.prepare_cached(&sql)?;
            let rows = statement.query_map(params![account, micros(expired), micros(now), TAKE], summary_row)?;
            let mut found = rows.collect::<Result<Vec<_>, _>>()?;
            for entry in &mut found {
                let id = entry.message.id;
                (entry.message.frame, entry.message.parts) = content(transaction, id)?;
                transaction
                    .prepare_cached("UPDATE quarantine SET leased = ?2 WHERE id = ?1")?
                    .execute(params![id.as_bytes().as_slice(), micros(now)])?;
            }
            Ok(found)
        })
    }

    /// Accounts that released messages wait for.
    pub fn released_accounts(&self) -> Result<Vec<String>, Error> {
        self.read(|connection| {
            let mut statement = connection
                .prepare_cached("SELECT DISTINCT account FROM quarantine WHERE status = 'released' ORDER BY account")?;
            let rows = statement.query_map([], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// A released message has gone on; its content is no longer needed.
    pub fn mark_delivered(&self, id: Uuid) -> Result<(), Error> {
        self.write(|transaction| {
            match status(transaction, id)? {
                Status::Released => {}
                status => return Err(Error::Decided { id, status }.into()),
            }
            let revision = next_revision(transaction)?;
            transaction.execute(
                "UPDATE quarantine SET status = 'delivered', revision = ?2 WHERE id = ?1",
                params![id.as_bytes().as_slice(), revision],
            )?;
            self.settle(transaction, id)
        })
    }

    /// How many quarantined messages there are, and how much they occupy.
    pub fn quarantine_counts(&self) -> Result<QuarantineCounts, Error> {
        self.read(|connection| {
            let mut counts = QuarantineCounts {
                bytes: connection.query_row("SELECT bytes FROM quarantine_total", [], |row| get_u64(row, 0))?,
                ..QuarantineCounts::default()
            };
            let mut statement = connection.prepare_cached("SELECT status, count(*) FROM quarantine GROUP BY status")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let count = get_u64(row, 1)?;
                match status_column(row, 0)? {
                    Status::Held => counts.held = count,
                    Status::Released => counts.released = count,
                    Status::Delivered => counts.delivered = count,
                    Status::Destroyed => counts.destroyed = count,
                }
            }
            Ok(counts)
        })
    }

    /// Removes the content of a message that nothing more happens to, and
    /// forgets the oldest of those that are settled when there are too many.
    fn settle(&self, transaction: &Transaction<'_>, id: Uuid) -> Result<(), Stop> {
        let bytes: i64 = transaction.query_row(
            "UPDATE quarantine SET frame = NULL, parts = NULL WHERE id = ?1 RETURNING bytes",
            [id.as_bytes().as_slice()],
            |row| row.get(0),
        )?;
        add_to_totals(transaction, -1, -bytes)?;
        let (open, _) = totals(transaction)?;
        let rows: i64 = transaction.query_row("SELECT count(*) FROM quarantine", [], |row| row.get(0))?;
        let settled = u64::try_from(rows).unwrap_or(0).saturating_sub(open);
        let excess = settled.saturating_sub(self.options.quarantine_settled.max(1));
        if excess > 0 {
            transaction.execute(
                "DELETE FROM quarantine WHERE number IN (SELECT number FROM quarantine
                 WHERE status IN ('delivered', 'destroyed') ORDER BY number LIMIT ?1)",
                [as_i64(excess)],
            )?;
        }
        Ok(())
    }
}

pub(super) fn changes(transaction: &Transaction<'_>, since: u64) -> Result<Vec<(u64, Change)>, Stop> {
    let mut statement =
        transaction.prepare_cached("SELECT revision, id, account, status FROM quarantine WHERE revision > ?1")?;
    let rows = statement.query_map([as_i64(since)], |row| {
        let change =
            Change::Quarantine { id: id_column(row, 1)?, account: row.get(2)?, status: status_column(row, 3)? };
        Ok((get_u64(row, 0)?, change))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn full(name: &'static str, allowed: u64) -> Stop {
    Error::Full(LimitHit { name, allowed }).into()
}

fn totals(transaction: &Transaction<'_>) -> rusqlite::Result<(u64, u64)> {
    transaction
        .prepare_cached("SELECT entries, bytes FROM quarantine_total")?
        .query_row([], |row| Ok((get_u64(row, 0)?, get_u64(row, 1)?)))
}

fn add_to_totals(transaction: &Transaction<'_>, entries: i64, bytes: i64) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("UPDATE quarantine_total SET entries = max(0, entries + ?1), bytes = max(0, bytes + ?2)")?
        .execute([entries, bytes])?;
    Ok(())
}

fn status(transaction: &Transaction<'_>, id: Uuid) -> Result<Status, Stop> {
    transaction
        .prepare_cached("SELECT status FROM quarantine WHERE id = ?1")?
        .query_row([id.as_bytes().as_slice()], |row| status_column(row, 0))
        .optional()?
        .ok_or_else(|| Error::NoSuchEntry(id).into())
}

fn decide(transaction: &Transaction<'_>, id: Uuid, status: Status, decision: &Decision) -> Result<(), Stop> {
    let revision = next_revision(transaction)?;
    transaction.execute(
        "UPDATE quarantine SET status = ?2, decided_by = ?3, decided_at = ?4, reason = ?5, revision = ?6, leased = NULL
         WHERE id = ?1",
        params![id.as_bytes().as_slice(), status.name(), decision.by, micros(decision.at), decision.reason, revision],
    )?;
    Ok(())
}

fn content(connection: &rusqlite::Connection, id: Uuid) -> rusqlite::Result<(Vec<u8>, String)> {
    connection
        .prepare_cached("SELECT frame, parts FROM quarantine WHERE id = ?1")?
        .query_row([id.as_bytes().as_slice()], |row| {
            Ok((row.get::<_, Option<_>>(0)?.unwrap_or_default(), row.get::<_, Option<_>>(1)?.unwrap_or_default()))
        })
}

fn summary_row(row: &Row<'_>) -> rusqlite::Result<HeldSummary> {
    let by: Option<String> = row.get(14)?;
    let at: Option<i64> = row.get(15)?;
    let reason = row.get(16)?;
    Ok(HeldSummary {
        number: get_u64(row, 0)?,
        message: Held {
            id: id_column(row, 1)?,
            time: time(row.get(2)?),
            protocol: name_column(row, 3)?,
            direction: name_column(row, 4)?,
            account: row.get(5)?,
            peer: row.get(6)?,
            from: row.get(7)?,
            to: row.get(8)?,
            findings: row.get(9)?,
            rule: row.get(10)?,
            notice: row.get(11)?,
            digest: digest_column(row, 17)?,
            frame: Vec::new(),
            parts: String::new(),
        },
        bytes: get_u64(row, 12)?,
        status: status_column(row, 13)?,
        decision: by.zip(at).map(|(by, at)| Decision { by, at: time(at), reason }),
    })
}

fn status_column(row: &Row<'_>, column: usize) -> rusqlite::Result<Status> {
    let name: String = row.get(column)?;
    Status::parse(&name).ok_or_else(|| unreadable(column, format!("no status {name:?}")))
}

fn digest_column(row: &Row<'_>, column: usize) -> rusqlite::Result<Digest> {
    let hex: String = row.get(column)?;
    hex.parse().map_err(|why| unreadable(column, format!("{hex:?}: {why}")))
}

fn id_column(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    Ok(Uuid::from_bytes(row.get(column)?))
}

/// A column with the name that a model type has in records.
fn name_column<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let name: String = row.get(column)?;
    serde_json::from_value(serde_json::Value::String(name)).map_err(|error| unreadable(column, error.to_string()))
}

fn unreadable(column: usize, what: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, what.into())
}
