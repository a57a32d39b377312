//! Proving a journal: reads every record once and says the first that does not
//! fit. It needs no secret, only the public key, and is only as good as where
//! that key and the heads it is compared with were kept.
//!
//! | tampering | found by |
//! | --- | --- |
//! | a record changed | its hash, or, when the hashes were computed anew, the next signed head |
//! | deleted, inserted, reordered | numbers that do not follow |
//! | the end cut off, an older copy put back | a head in the heads file or kept elsewhere that is ahead |
//! | a head changed or made without the key | its signature |
//! | a body changed or exchanged | the commitment in its record |
//!
//! Not found: the loss of records after the last head that was kept elsewhere.
//! So heads are signed once a minute, and should be shipped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::{Connection, params, types::ValueRef};

use crate::chain::{ChainHash, Tip};
use crate::key::PUBLIC;
use crate::sqlite::journal::{SCHEMA, as_i64, get_u64};
use crate::sqlite::{self, HEADS, JOURNAL};
use crate::{Error, Head, Heads, PublicKeys};

mod chain;

use chain::{Chain, Claim, Columns};

/// Rows read in one snapshot.
const BATCH: i64 = 20_000;

/// How often progress is told.
const TELL: Duration = Duration::from_millis(200);

/// What to compare the journal with.
#[derive(Default)]
pub struct VerifyOptions {
    /// Public keys in the form of `journal.pub`; the data directory's own when
    /// `None`, which proves nothing against who can write there.
    pub public_key: Option<PathBuf>,
    /// Signed heads that were kept elsewhere, in the form of `heads.jsonl`. The
    /// data directory's own are compared too.
    pub anchored_heads: Option<PathBuf>,
    /// Told a few times a second.
    pub progress: Option<Box<dyn FnMut(Progress)>>,
}

impl std::fmt::Debug for VerifyOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifyOptions")
            .field("public_key", &self.public_key)
            .field("anchored_heads", &self.anchored_heads)
            .finish_non_exhaustive()
    }
}

/// How far the proof has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Records read.
    pub records: u64,
    /// Position reached, of `end`.
    pub position: u64,
    /// The last position when it began.
    pub end: u64,
    /// Records a second so far.
    pub per_second: f64,
}

/// What the proof found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Each chain.
    pub writers: Vec<WriterReport>,
    /// Records read, of all writers.
    pub records: u64,
    /// Segments: signed heads that fit the chains.
    pub segments: u64,
    /// Records that have a body beside them, which fits.
    pub bodies: u64,
    /// Records whose body was erased.
    pub erased: u64,
    /// Records after their writer's last head: consistent, but not signed yet.
    pub unsigned: u64,
    /// Lines of the heads files that are no heads.
    pub unreadable_heads: u64,
    /// How many things do not fit.
    pub bad: u64,
    /// The first of them.
    pub first_bad: Option<Bad>,
    /// How long it took.
    pub elapsed: Duration,
}

impl Report {
    /// Whether everything fits.
    pub fn is_good(&self) -> bool {
        self.first_bad.is_none()
    }
}

/// One chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriterReport {
    /// Whose.
    pub name: Arc<str>,
    /// Records in it.
    pub records: u64,
    /// Its last record.
    pub tip: Tip,
    /// The last record that a fitting head was signed for.
    pub signed: u64,
    /// When that head was signed.
    pub signed_at: Option<Timestamp>,
}

/// Something that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    /// Whose chain.
    pub writer: Arc<str>,
    /// Which record of it.
    pub seq: u64,
    /// Which row of the journal; 0 when there is none.
    pub position: u64,
    /// What does not fit.
    pub what: String,
}

/// Proves the journal of a data directory. Tampering is in the report; an error
/// means that there was nothing to prove (no journal, no key).
///
/// It may run beside a gateway: records appended after it began are left out.
pub fn verify(dir: &Path, options: VerifyOptions) -> Result<Report, Error> {
    let started = Instant::now();
    let path = dir.join(JOURNAL);
    let connection = sqlite::connect_read_only(&path, &SCHEMA)?;
    let keys = PublicKeys::read(options.public_key.as_deref().unwrap_or(&dir.join(PUBLIC)))?;
    let mut proof = Proof { connection, path, keys, writers: BTreeMap::new(), end: 0, report: Report::default() };
    // Before the database: a head is filed after its records are committed, so
    // none of these may be ahead of the snapshot that comes after.
    let mut filed = Vec::new();
    for (file, needed) in [(Some(dir.join(HEADS)), false), (options.anchored_heads, true)] {
        let Some(file) = file else { continue };
        if needed || file.exists() {
            let (heads, unreadable) = Heads::at(file).read_all()?;
            filed.extend(heads);
            proof.report.unreadable_heads += unreadable;
        }
    }
    proof.load()?;
    proof.add_heads(filed);
    proof.walk(started, options.progress);
    proof.finish();
    proof.report.elapsed = started.elapsed();
    Ok(proof.report)
}

struct Proof {
    connection: Connection,
    path: PathBuf,
    keys: PublicKeys,
    writers: BTreeMap<i64, Chain>,
    /// The last row to look at.
    end: u64,
    report: Report,
}

impl Proof {
    /// Reads the writers, the heads and the end in one snapshot, so that they
    /// agree; what is appended later is left for the next time.
    fn load(&mut self) -> Result<(), Error> {
        let transaction = self.connection.unchecked_transaction().map_err(Error::sqlite(&self.path))?;
        let mut writers = BTreeMap::new();
        let mut heads = Vec::new();
        let mut end = 0;
        let mut read = || -> rusqlite::Result<()> {
            end = transaction.query_row("SELECT coalesce(max(position), 0) FROM record", [], |row| get_u64(row, 0))?;
            let mut statement = transaction.prepare("SELECT id, name, seq, hash, position FROM writer ORDER BY id")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let name: String = row.get(1)?;
                let tip = Tip { seq: get_u64(row, 2)?, hash: ChainHash(row.get(3)?) };
                writers.insert(row.get(0)?, Chain::new(name.into(), Some((tip, get_u64(row, 4)?))));
            }
            let mut statement = transaction.prepare("SELECT writer, seq, json FROM head ORDER BY writer, seq")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                heads.push((row.get::<_, i64>(0)?, get_u64(row, 1)?, row.get::<_, String>(2)?));
            }
            Ok(())
        };
        read().map_err(Error::sqlite(&self.path))?;
        drop(transaction);
        for (writer, seq, line) in heads {
            let chain =
                writers.entry(writer).or_insert_with(|| Chain::new(format!("unknown writer {writer}").into(), None));
            match Head::parse(&line) {
                Some(head) if head.seq == seq && *head.writer == *chain.name => {
                    let checked = self.keys.verify(&head);
                    chain.claim(head, checked);
                }
                _ => {
                    chain.heads.insert(seq, Claim::Bad("the head stored for it is not one".to_owned()));
                }
            }
        }
        self.writers = writers;
        self.end = end;
        Ok(())
    }

    fn add_heads(&mut self, heads: Vec<Head>) {
        for head in heads {
            let known = self.writers.values_mut().find(|chain| *chain.name == *head.writer);
            let chain = match known {
                Some(chain) => chain,
                None => {
                    // A chain that is gone from the database: kept under an id that no row has.
                    let id = self.writers.keys().next().map_or(-1, |least| (*least).min(0) - 1);
                    self.writers.entry(id).or_insert_with(|| Chain::new((*head.writer).into(), None))
                }
            };
            if let Some(Claim::Signed(same)) = chain.heads.get(&head.seq)
                && *same == head
            {
                continue;
            }
            let checked = self.keys.verify(&head);
            chain.claim(head, checked);
        }
    }

    fn walk(&mut self, started: Instant, mut progress: Option<Box<dyn FnMut(Progress)>>) {
        let end = self.end;
        let mut position = 0;
        let mut told = started;
        loop {
            match self.batch(position, end) {
                Ok(Some(last)) => position = last,
                Ok(None) => break,
                Err((after, error)) => {
                    self.bad(Bad {
                        writer: "(any)".into(),
                        seq: 0,
                        position: after + 1,
                        what: format!("the database is damaged after this row: {error}"),
                    });
                    return;
                }
            }
            if let Some(tell) = &mut progress
                && told.elapsed() >= TELL
            {
                told = Instant::now();
                let records = self.report.records;
                let per_second = records as f64 / started.elapsed().as_secs_f64();
                tell(Progress { records, position, end, per_second });
            }
        }
    }

    /// Checks the next rows; the last position, `None` at the end, or where reading failed.
    fn batch(&mut self, after: u64, end: u64) -> Result<Option<u64>, (u64, rusqlite::Error)> {
        let mut last = after;
        let mut found = Vec::new();
        let mut check = || -> rusqlite::Result<()> {
            let mut statement = self.connection.prepare_cached(
                "SELECT position, writer, seq, json, hash, salt, body FROM record
                 WHERE position > ?1 AND position <= ?2 ORDER BY position LIMIT ?3",
            )?;
            let mut rows = statement.query(params![as_i64(after), as_i64(end), BATCH])?;
            while let Some(row) = rows.next()? {
                last = get_u64(row, 0)?;
                let writer = int(row.get_ref(1)?).unwrap_or(i64::MIN);
                let chain = self
                    .writers
                    .entry(writer)
                    .or_insert_with(|| Chain::new(format!("unknown writer {writer}").into(), None));
                let stored = Columns {
                    seq: int(row.get_ref(2)?).and_then(|seq| u64::try_from(seq).ok()).unwrap_or(0),
                    json: bytes(row.get_ref(3)?).unwrap_or_default(),
                    hash: bytes(row.get_ref(4)?).and_then(|hash| hash.try_into().ok()).unwrap_or_default(),
                    salt: bytes(row.get_ref(5)?),
                    body: bytes(row.get_ref(6)?),
                };
                self.report.records += 1;
                chain.check(last, &stored, &mut self.report, &mut found);
            }
            Ok(())
        };
        let outcome = check();
        for bad in found {
            self.bad(bad);
        }
        match outcome {
            Ok(()) if last == after => Ok(None),
            Ok(()) => Ok(Some(last)),
            Err(error) => Err((last, error)),
        }
    }

    /// What remains when every row was seen: ends, and heads that nothing reached.
    fn finish(&mut self) {
        let mut found = Vec::new();
        for chain in self.writers.values() {
            if let Some((tip, position)) = chain.claimed
                && (tip != chain.tip || position != chain.position)
            {
                let what = format!("the chain ends at record {}, its writer had come to {}", chain.tip.seq, tip.seq);
                found.push(chain.bad(chain.tip.seq.min(tip.seq) + 1, 0, what));
            }
            for (seq, claim) in chain.heads.range(chain.tip.seq + 1..) {
                let what = match claim {
                    Claim::Signed(head) => format!(
                        "a head signed at {} says that it was there, and it is missing: the end was cut off, or an older copy put back",
                        head.time
                    ),
                    Claim::Bad(what) => what.clone(),
                };
                found.push(chain.bad(*seq, 0, what));
            }
            let signed = chain.signed.as_ref().map_or(0, |head| head.seq);
            self.report.unsigned += chain.tip.seq.saturating_sub(signed);
            self.report.writers.push(WriterReport {
                name: chain.name.clone(),
                records: chain.records,
                tip: chain.tip,
                signed,
                signed_at: chain.signed.as_ref().map(|head| head.time),
            });
        }
        for bad in found {
            self.bad(bad);
        }
    }

    fn bad(&mut self, bad: Bad) {
        self.report.bad += 1;
        self.report.first_bad.get_or_insert(bad);
    }
}

fn int(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Integer(value) => Some(value),
        _ => None,
    }
}

fn bytes(value: ValueRef<'_>) -> Option<&[u8]> {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(bytes),
        _ => None,
    }
}
