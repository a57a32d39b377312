//! TAXII 2.1 as a client, without a network: which requests to make and what the answers mean.
//!
//! ```text
//! Client::new(config)  start() -> Request; step(Response) -> Request ... -> Harvest
//! discovery -> API roots -> collections -> pages of objects
//! ```
//!
//! Servers are not trusted: pages, objects, bytes, redirects and requests are counted, a page that comes again ends
//! the fetch of its collection, credentials go to the configured server only, and no redirect leaves it. What goes
//! wrong in one API root or collection is listed and does not spoil the others.

mod answers;
mod client;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use url::Url;

use crate::http::{Auth, RedirectError, Request};
use crate::stix::{Limits, ObjectError, Objects};

/// The media type of everything.
pub const MEDIA_TYPE: &str = "application/taxii+json;version=2.1";

/// What is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// Every collection that the server's API roots have; the URL ends in `/taxii2/`.
    Discovery(Url),
    /// Every collection of this API root.
    ApiRoot(Url),
    /// This collection: `.../collections/{id}/`.
    Collection(Url),
}

/// What is fetched, by whom, how much.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where.
    pub from: From,
    /// Who asks.
    pub auth: Auth,
    /// Only collections with one of these ids, titles or aliases; all that may be read when there are none.
    pub only: Vec<String>,
    /// Objects asked for at a time.
    pub page: u32,
    /// How far collections were read before.
    pub cursor: Cursor,
    /// Bounds.
    pub bounds: Bounds,
}

impl Config {
    /// Everything that is new since `cursor`.
    pub fn new(from: From, auth: Auth, cursor: Cursor) -> Config {
        Config { from, auth, only: Vec::new(), page: 1_000, cursor, bounds: Bounds::default() }
    }
}

/// How far collections have been read: for each collection's URL, `added_after` of the next fetch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub BTreeMap<String, String>);

/// What is taken of a server in one fetch.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Requests.
    pub requests: usize,
    /// API roots.
    pub roots: usize,
    /// Collections.
    pub collections: usize,
    /// Pages of one collection.
    pub pages: usize,
    /// Redirects of one request.
    pub redirects: usize,
    /// Bytes of all answers.
    pub bytes: usize,
    /// Objects of one page, and of the whole fetch.
    pub objects: Limits,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            requests: 20_000,
            roots: 32,
            collections: 256,
            pages: 10_000,
            redirects: 5,
            bytes: 1 << 30,
            objects: Limits { bytes: 64 << 20, ..Limits::default() },
        }
    }
}

/// A collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// Where it is.
    pub url: Url,
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Objects that came.
    pub objects: usize,
    /// Pages that they came on.
    pub pages: usize,
    /// Everything there is has come.
    pub complete: bool,
}

/// What a fetch comes to.
#[derive(Debug, Default)]
pub struct Harvest {
    /// The objects: those that are new since the cursor.
    pub objects: Objects,
    /// Objects that were refused.
    pub errors: Vec<ObjectError>,
    /// Refusals beyond those.
    pub more_errors: u64,
    /// Collections that were read.
    pub collections: Vec<Collection>,
    /// API roots and collections that could not be read, or not to the end, and why.
    pub failures: Vec<Error>,
    /// Where the next fetch begins.
    pub cursor: Cursor,
}

/// What goes wrong with a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It does not let us.
    #[error("{url}: the server refuses (status {status}): check the credentials")]
    Refused {
        /// What was asked.
        url: String,
        /// The status.
        status: u16,
    },
    /// It can't now.
    #[error("{url}: the server is busy (status {status}){}", .after.map(|s| format!(", come again in {s} s")).unwrap_or_default())]
    Busy {
        /// What was asked.
        url: String,
        /// The status.
        status: u16,
        /// Seconds it asks to wait.
        after: Option<u64>,
    },
    /// Another status.
    #[error("{url}: status {status}")]
    Status {
        /// What was asked.
        url: String,
        /// The status.
        status: u16,
    },
    /// Something else than TAXII 2.1.
    #[error("{url}: not TAXII 2.1: {why}")]
    Not {
        /// What was asked.
        url: String,
        /// What it is.
        why: String,
    },
    /// More than is taken.
    #[error("{url}: more than {most} {what}")]
    TooMuch {
        /// What was asked.
        url: String,
        /// Of what.
        what: &'static str,
        /// The limit.
        most: usize,
    },
    /// Its pages go round in a circle.
    #[error("{url}: the server gives the same page again (`{cursor}`)")]
    Circle {
        /// What was asked.
        url: String,
        /// The cursor that came again.
        cursor: String,
    },
    /// An API root elsewhere.
    #[error("{url}: an API root on another server: configure it by itself if it is right")]
    Elsewhere {
        /// The root.
        url: String,
    },
    /// A redirect that is not followed.
    #[error(transparent)]
    Redirect(#[from] RedirectError),
    /// A URL that no request can be made of.
    #[error("`{url}`: not an http or https URL")]
    Url {
        /// The URL.
        url: String,
    },
}

/// The client.
#[derive(Debug)]
pub struct Client {
    config: Config,
    /// What is still to be asked, in order.
    queue: VecDeque<Ask>,
    /// What has been asked and not answered.
    asked: Option<(Ask, Request)>,
    redirects: usize,
    requests: usize,
    bytes: usize,
    roots: usize,
    harvest: Harvest,
}

/// Something to ask.
#[derive(Clone, Debug)]
enum Ask {
    Discovery(Url),
    Root(Url),
    Collections(Url),
    Collection(Url),
    Page(Box<Page>),
}

/// A page of a collection.
#[derive(Clone, Debug)]
struct Page {
    /// In the harvest's list.
    collection: usize,
    url: Url,
    added_after: Option<String>,
    next: Option<String>,
    /// Hashes of pages with the cursor to the next.
    seen: std::collections::HashSet<u64>,
    /// The latest time of addition that pages told.
    latest: Option<String>,
}
