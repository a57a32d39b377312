//! Reading the journal: from a position on, the newest, the recent past, and
//! following what is added. Read-only; a reader never holds a snapshot for
//! longer than one batch, so that it does not keep the write-ahead log growing.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use model::Record;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use crate::Error;
use crate::chain::ChainHash;
use crate::sqlite::journal::{SCHEMA, as_i64, get_u64};
use crate::sqlite::{self, JOURNAL};

/// Rows read at once.
const BATCH: usize = 512;

/// How often a follower looks whether the database has changed.
const POLL: Duration = Duration::from_millis(50);

/// Records are appended nearly in the order of their times: writers take turns
/// by group, and a record's time is taken before it is queued.
const DISORDER: SignedDuration = SignedDuration::from_secs(120);

/// Opens the journal of a data directory for reading.
pub fn reader(dir: &Path) -> Result<Reader, Error> {
    let path = dir.join(JOURNAL);
    let connection = sqlite::connect_read_only(&path, &SCHEMA)?;
    Ok(Reader { connection, path, writers: BTreeMap::new() })
}

/// The newest `n` records, oldest first.
pub fn tail(dir: &Path, n: usize) -> Result<Vec<Stored>, Error> {
    reader(dir)?.tail(n)
}

/// Follows the journal from after a position (0: from the beginning; see
/// [`Reader::end`] for "from now on").
pub fn follow(dir: &Path, after: u64) -> Result<Follow, Error> {
    reader(dir)?.follow(after)
}

/// A record as it stands in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its place among the records of all writers; only ever grows.
    pub position: u64,
    /// Whose chain it belongs to.
    pub writer: Arc<str>,
    /// Its number in that chain.
    pub seq: u64,
    /// Its hash in that chain.
    pub hash: ChainHash,
    /// The JSON that the chain is over.
    pub json: String,
}

impl Stored {
    /// The record itself.
    pub fn record(&self) -> Result<Record, serde_json::Error> {
        serde_json::from_str(&self.json)
    }
}

/// A read-only view of a journal.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    path: PathBuf,
    writers: BTreeMap<i64, Arc<str>>,
}

const COLUMNS: &str = "SELECT position, writer, seq, hash, json FROM record";

impl Reader {
    /// The records after a position, of all writers, in their order, up to what
    /// is there when the iterator gets to it.
    pub fn after(&mut self, position: u64) -> Iter<'_> {
        Iter { reader: self, position, batch: VecDeque::new(), ended: false }
    }

    /// The records since about a time, of all writers, in their order: found by halving, so that what lies before it
    /// is not read. Some that are a little older may come first.
    pub fn since(&mut self, time: Timestamp) -> Result<Iter<'_>, Error> {
        let from = time.checked_sub(DISORDER).unwrap_or(Timestamp::MIN);
        let position = self.first_since(from)?;
        Ok(self.after(position.saturating_sub(1)))
    }

    /// The newest `n` records, oldest first.
    pub fn tail(&mut self, n: usize) -> Result<Vec<Stored>, Error> {
        let limit = i64::try_from(n).unwrap_or(i64::MAX);
        let mut found = self.select(&format!("{COLUMNS} ORDER BY position DESC LIMIT ?1"), &[&limit])?;
        found.reverse();
        Ok(found)
    }

    /// The position of the newest record; 0 when there is none.
    pub fn end(&self) -> Result<u64, Error> {
        self.connection
            .query_row("SELECT coalesce(max(position), 0) FROM record", [], |row| get_u64(row, 0))
            .map_err(Error::sqlite(&self.path))
    }

    /// The records since a time, at most `max` of the newest, oldest first: what
    /// trackers are rebuilt from. Reads backwards from the end, so the length of
    /// the journal does not matter.
    pub fn recent(&mut self, since: Timestamp, max: usize) -> Result<Vec<Record>, Error> {
        let long_before = since.checked_sub(DISORDER).unwrap_or(Timestamp::MIN);
        let mut records = Vec::new();
        let mut before = i64::MAX;
        'reading: while records.len() < max {
            let batch = BATCH as i64;
            let sql = format!("{COLUMNS} WHERE position < ?1 ORDER BY position DESC LIMIT ?2");
            let found = self.select(&sql, &[&before, &batch])?;
            let Some(last) = found.last() else { break };
            before = as_i64(last.position);
            for stored in found {
                let record = self.decode(&stored)?;
                if record.time < long_before || records.len() == max {
                    break 'reading;
                }
                if record.time >= since {
                    records.push(record);
                }
            }
        }
        records.reverse();
        Ok(records)
    }

    /// The record of an id, found by the time that is in the id: by halving to
    /// shortly before it, then reading on until well after it.
    pub fn find(&mut self, id: Uuid) -> Result<Option<Stored>, Error> {
        let Some(time) = id_time(id) else { return Ok(None) };
        let from = time.checked_sub(DISORDER).unwrap_or(Timestamp::MIN);
        let until = time.checked_add(DISORDER).unwrap_or(Timestamp::MAX);
        let position = self.first_since(from)?;
        for stored in self.after(position.saturating_sub(1)) {
            let stored = stored?;
            let found = json_id(&stored.json);
            if found == Some(id) {
                return Ok(Some(stored));
            }
            if found.and_then(id_time).is_some_and(|time| time > until) {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// The body kept beside a record; `None` when there was none, or it was erased.
    pub fn body(&self, position: u64) -> Result<Option<Vec<u8>>, Error> {
        let body = self
            .connection
            .query_row("SELECT body FROM record WHERE position = ?1", [as_i64(position)], |row| row.get(0))
            .optional()
            .map_err(Error::sqlite(&self.path))?;
        Ok(body.flatten())
    }

    /// Follows the journal from after a position.
    pub fn follow(self, after: u64) -> Result<Follow, Error> {
        let version = self.data_version()?;
        Ok(Follow { reader: self, position: after, version, batch: VecDeque::new(), look: true })
    }

    /// The first position at or after which ids carry times from `from` on, give
    /// or take the disorder that [`Reader::find`] allows for.
    fn first_since(&self, from: Timestamp) -> Result<u64, Error> {
        let (mut low, mut high) = (1, self.end()?);
        let mut probe = self
            .connection
            .prepare_cached("SELECT position, json FROM record WHERE position >= ?1 ORDER BY position LIMIT 1")
            .map_err(Error::sqlite(&self.path))?;
        while low < high {
            let middle = low + (high - low) / 2;
            let at: Option<(u64, String)> = probe
                .query_row([as_i64(middle)], |row| Ok((get_u64(row, 0)?, row.get(1)?)))
                .optional()
                .map_err(Error::sqlite(&self.path))?;
            match at {
                Some((at, json)) if json_id(&json).and_then(id_time).is_some_and(|time| time < from) => low = at + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    fn data_version(&self) -> Result<i64, Error> {
        self.connection.pragma_query_value(None, "data_version", |row| row.get(0)).map_err(Error::sqlite(&self.path))
    }

    fn batch(&mut self, after: u64) -> Result<VecDeque<Stored>, Error> {
        let limit = BATCH as i64;
        let sql = format!("{COLUMNS} WHERE position > ?1 ORDER BY position LIMIT ?2");
        self.select(&sql, &[&as_i64(after), &limit]).map(VecDeque::from)
    }

    fn select(&mut self, sql: &str, values: &[&dyn rusqlite::ToSql]) -> Result<Vec<Stored>, Error> {
        let mut found = Vec::new();
        let mut statement = self.connection.prepare_cached(sql).map_err(Error::sqlite(&self.path))?;
        let mut rows = statement.query(values).map_err(Error::sqlite(&self.path))?;
        while let Some(row) = rows.next().map_err(Error::sqlite(&self.path))? {
            let position = get_u64(row, 0).map_err(Error::sqlite(&self.path))?;
            let unreadable = |error: rusqlite::Error| Error::Unreadable {
                path: self.path.clone(),
                position,
                what: error.to_string(),
            };
            let id = row.get(1).map_err(unreadable)?;
            let writer = match self.writers.get(&id) {
                Some(name) => name.clone(),
                None => {
                    let name = writer_name(&self.connection, id).map_err(unreadable)?;
                    self.writers.insert(id, name.clone());
                    name
                }
            };
            found.push(Stored {
                position,
                writer,
                seq: get_u64(row, 2).map_err(unreadable)?,
                hash: ChainHash(row.get(3).map_err(unreadable)?),
                json: row.get(4).map_err(unreadable)?,
            });
        }
        Ok(found)
    }

    fn decode(&self, stored: &Stored) -> Result<Record, Error> {
        stored.record().map_err(|error| Error::Unreadable {
            path: self.path.clone(),
            position: stored.position,
            what: error.to_string(),
        })
    }
}

fn writer_name(connection: &Connection, id: i64) -> rusqlite::Result<Arc<str>> {
    let name: Option<String> =
        connection.query_row("SELECT name FROM writer WHERE id = ?1", [id], |row| row.get(0)).optional()?;
    Ok(name.unwrap_or_else(|| format!("unknown writer {id}")).into())
}

/// The time in a UUIDv7, to the millisecond.
fn id_time(id: Uuid) -> Option<Timestamp> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanos).ok()?).ok()
}

fn json_id(json: &str) -> Option<Uuid> {
    #[derive(serde::Deserialize)]
    struct Id {
        id: Uuid,
    }
    serde_json::from_str::<Id>(json).ok().map(|found| found.id)
}

/// Records after a position; see [`Reader::after`].
#[derive(Debug)]
pub struct Iter<'a> {
    reader: &'a mut Reader,
    position: u64,
    batch: VecDeque<Stored>,
    ended: bool,
}

impl Iterator for Iter<'_> {
    type Item = Result<Stored, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.batch.is_empty() && !self.ended {
            match self.reader.batch(self.position) {
                Ok(batch) => self.batch = batch,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        let stored = self.batch.pop_front();
        match &stored {
            Some(stored) => self.position = stored.position,
            None => self.ended = true,
        }
        stored.map(Ok)
    }
}

/// Waits for records and gives each once, in order.
#[derive(Debug)]
pub struct Follow {
    reader: Reader,
    position: u64,
    version: i64,
    batch: VecDeque<Stored>,
    /// Whether there may be more than the last batch had.
    look: bool,
}

impl Follow {
    /// The position of the record given last: where to follow from next time.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next record; `None` when none came within the time. Blocks the thread.
    ///
    /// An idle wait costs one look at a counter in shared memory every 50 ms.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<Stored>, Error> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(stored) = self.batch.pop_front() {
                self.position = stored.position;
                return Ok(Some(stored));
            }
            if self.changed()? {
                self.batch = self.reader.batch(self.position)?;
                self.look = self.batch.len() == BATCH;
                continue;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            std::thread::sleep(left.min(POLL));
        }
    }

    fn changed(&mut self) -> Result<bool, Error> {
        let version = self.reader.data_version()?;
        let changed = version != self.version || self.look;
        self.version = version;
        self.look = false;
        Ok(changed)
    }
}

/// Erases a record's body and salt. The chain stays valid; what is left of the
/// body is a commitment that cannot be guessed without the salt. Whether there
/// was one to erase.
///
/// Freed space is overwritten in the database, and the write-ahead log is
/// emptied; what the device keeps of old blocks is beyond this.
pub fn erase_body(dir: &Path, position: u64) -> Result<bool, Error> {
    let path = dir.join(JOURNAL);
    let connection = sqlite::open(&path, &SCHEMA, Duration::from_secs(5))?;
    let erase = || {
        connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
        let erased = connection.execute(
            "UPDATE record SET body = NULL, salt = NULL WHERE position = ?1 AND body IS NOT NULL",
            params![as_i64(position)],
        )?;
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(erased > 0)
    };
    erase().map_err(Error::sqlite(&path))
}
