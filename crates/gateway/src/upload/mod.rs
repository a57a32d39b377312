//! File uploads (XEP-0363): slots, the HTTP listener, and the check of every file before it reaches server or client.
//!
//! | step | where |
//! | --- | --- |
//! | the server's slot passes the gateway, its URLs become the gateway's | `slots` |
//! | which servers may be contacted at all, and how their URLs look here | `origins` |
//! | the listener, and what a request may look like | `serve`, `request` |
//! | PUT: spool, judge, hand to the server | `put` |
//! | GET: fetch, spool, judge once, serve | `get`, `flights` |
//! | the file while it is checked | `spool` |
//! | the connection to the server | `fetch` |

mod desk;
mod fetch;
mod flights;
mod get;
mod origins;
mod put;
mod range;
mod request;
mod response;
mod serve;
pub mod slots;
mod spool;
mod verdict;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fetch::Fetcher;
use flights::Flights;
use spool::Spool;

pub use desk::{FileDesk, StoredOrigins, StoredVerdicts};
pub use origins::{MemoryOrigins, OriginId, OriginRefused, Origins, PublicBase, PublicBaseError, Routes, UploadDomain};
pub use serve::serve;
pub use slots::{Offer, OfferRefused, SlotKeeper, SlotRequest};
pub use verdict::{
    Crossing, FileJudge, FileVerdict, Judging, MemoryVerdicts, Ruling, UploadedFile, VerdictKey, Verdicts,
};

/// What is done with a file that is too large to be checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Oversize {
    /// Served unchecked; counted and logged.
    Pass,
    /// Refused.
    #[default]
    Refuse,
}

/// Bounds and deadlines, with their defaults.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest file that is taken or checked, in bytes.
    pub file_bytes: u64,
    /// What is done at a GET of a larger one.
    pub oversize: Oversize,
    /// Bytes in the spool at one time, all files together.
    pub spool_bytes: u64,
    /// Bytes in the spool at one time of one account's uploads.
    pub spool_bytes_per_account: u64,
    /// Slots that wait for their PUT.
    pub slots: usize,
    /// Of these, of one account.
    pub slots_per_account: usize,
    /// How long a slot waits for its PUT.
    pub slot_life: Duration,
    /// Downloads being checked at one time.
    pub checks: usize,
    /// For a request's head, and how long a connection may rest between requests.
    pub head_deadline: Duration,
    /// For the TLS handshake.
    pub handshake_deadline: Duration,
    /// A body may take this long, and a second more for every [`rate_least`](Self::rate_least) bytes.
    pub body_deadline: Duration,
    /// Bytes a second that a sender has to reach on the whole.
    pub rate_least: u64,
    /// Longest time without one byte, in bodies and towards readers.
    pub idle_deadline: Duration,
    /// For connecting to the server, and for its answer to begin.
    pub upstream_deadline: Duration,
    /// For a file's verdict; after it, the file is not served now (`503`).
    pub judge_deadline: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            file_bytes: 100 * 1024 * 1024,
            oversize: Oversize::Refuse,
            spool_bytes: 2 * 1024 * 1024 * 1024,
            spool_bytes_per_account: 256 * 1024 * 1024,
            slots: 16_384,
            slots_per_account: 64,
            slot_life: Duration::from_secs(300),
            checks: 64,
            head_deadline: Duration::from_secs(15),
            handshake_deadline: Duration::from_secs(15),
            body_deadline: Duration::from_secs(30),
            rate_least: 8 * 1024,
            idle_deadline: Duration::from_secs(30),
            upstream_deadline: Duration::from_secs(20),
            judge_deadline: Duration::from_secs(60),
        }
    }
}

impl Limits {
    /// How long a body of `bytes` may take on the whole.
    fn body_allowance(&self, bytes: u64) -> Duration {
        self.body_deadline + Duration::from_secs(bytes / self.rate_least.max(1))
    }
}

/// What the upload service is made of.
#[derive(Clone)]
pub struct Parts {
    /// Bounds and deadlines.
    pub limits: Limits,
    /// Slots offered to clients; the XMPP dialect holds the same one.
    pub slots: Arc<SlotKeeper>,
    /// Who decides on files.
    pub judge: Arc<dyn FileJudge>,
    /// What was decided about files that lie at the server.
    pub verdicts: Arc<dyn Verdicts>,
    /// Where files lie while they are checked; emptied of what a crash left there.
    pub spool_dir: PathBuf,
}

/// The upload service can't start.
#[derive(Debug, thiserror::Error)]
#[error("upload spool {}: {source}; check that the directory can be written and has room", path.display())]
pub struct SpoolError {
    /// The directory.
    pub path: PathBuf,
    /// Why.
    pub source: std::io::Error,
}

/// The upload service: answers requests, whatever listener they come from.
pub struct Uploads {
    limits: Limits,
    slots: Arc<SlotKeeper>,
    judge: Arc<dyn FileJudge>,
    verdicts: Arc<dyn Verdicts>,
    spool: Arc<Spool>,
    fetcher: Fetcher,
    flights: Flights,
}

impl Uploads {
    /// Opens the spool.
    pub fn new(parts: Parts) -> Result<Arc<Uploads>, SpoolError> {
        let Parts { limits, slots, judge, verdicts, spool_dir } = parts;
        let spool = Spool::open(&spool_dir, &limits).map_err(|source| SpoolError { path: spool_dir, source })?;
        let fetcher = Fetcher::new(Arc::clone(slots.routes()), limits.clone());
        let flights = Flights::new(limits.checks);
        Ok(Arc::new(Uploads { limits, slots, judge, verdicts, spool, fetcher, flights }))
    }
}

#[cfg(test)]
mod tests;
