//! A feed directory: `manifest.json` says which events there are and when they changed, each is a file by its UUID.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;
use uuid::Uuid;

use super::event::{Events, integer, parse_uuid, read};
use super::{EntryError, Limits};
use crate::http::{Auth, Exchange, RedirectError, Request, Response, Step, redirect};
use crate::stix::short;

/// An event as the manifest has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it was changed, in seconds since 1970.
    pub timestamp: i64,
}

/// What events there are, by UUID.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Manifest(pub BTreeMap<Uuid, Entry>);

impl Manifest {
    /// Events listed in one manifest.
    pub const MOST: usize = 200_000;

    /// Reads `manifest.json`; entries that make no sense are given back.
    pub fn read(bytes: &[u8]) -> Result<(Manifest, Vec<EntryError>), serde_json::Error> {
        let written: BTreeMap<String, Value> = serde_json::from_slice(bytes)?;
        let mut manifest = Manifest::default();
        let mut errors = Vec::new();
        for (name, entry) in written.into_iter().take(Manifest::MOST) {
            // The name becomes part of a URL: nothing but a UUID may.
            let uuid = parse_uuid(&name);
            let timestamp = entry.get("timestamp").and_then(integer);
            match (uuid, timestamp) {
                (Some(uuid), Some(timestamp)) => {
                    manifest.0.insert(uuid, Entry { timestamp });
                }
                (uuid, _) if errors.len() < 1_000 => {
                    let property = if uuid.is_none() { "uuid" } else { "timestamp" };
                    let why = "missing, or makes no sense".to_owned();
                    errors.push(EntryError { object: short(&name), property: property.into(), why });
                }
                _ => {}
            }
        }
        Ok((manifest, errors))
    }

    /// Events that are new or have changed since another time.
    pub fn changed_since(&self, before: &Manifest) -> Vec<Uuid> {
        let is_new =
            |(uuid, entry): &(&Uuid, &Entry)| before.0.get(*uuid).is_none_or(|have| have.timestamp < entry.timestamp);
        self.0.iter().filter(is_new).map(|(uuid, _)| *uuid).collect()
    }
}

/// Why a feed could not be fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// The manifest did not come.
    #[error("{url}: status {status}")]
    Status {
        /// What was asked.
        url: String,
        /// The status.
        status: u16,
    },
    /// It is none.
    #[error("{url}: not a MISP manifest: {why}")]
    Manifest {
        /// What was asked.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// A redirect that is not followed.
    #[error(transparent)]
    Redirect(#[from] RedirectError),
}

/// A fetch of the events that are new or have changed.
#[derive(Debug)]
pub struct Feed {
    base: Url,
    auth: Auth,
    before: Manifest,
    limits: Limits,
    /// Events still to be fetched, the last one first.
    left: Vec<Uuid>,
    asked: Option<(Option<Uuid>, Url)>,
    redirects: usize,
    bytes: usize,
    fetched: Fetched,
}

/// What a fetch comes to.
#[derive(Debug, Default)]
pub struct Fetched {
    /// Events that are new or have changed.
    pub events: Events,
    /// Events that the feed no longer has.
    pub gone: Vec<Uuid>,
    /// What was refused or did not come.
    pub errors: Vec<EntryError>,
    /// What has been fetched by now: `before` of the next time.
    pub manifest: Manifest,
}

impl Feed {
    /// Redirects of one request.
    const REDIRECTS: usize = 5;
    /// Bytes of all answers.
    const BYTES: usize = 1 << 30;

    /// Of the folder in which `manifest.json` lies; `before` is what was fetched before.
    pub fn new(mut base: Url, auth: Auth, before: Manifest, limits: Limits) -> Feed {
        if let Some(folder) = base.path().strip_suffix("manifest.json").map(str::to_owned) {
            base.set_path(&folder);
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        Feed {
            base,
            auth,
            before,
            limits,
            left: Vec::new(),
            asked: None,
            redirects: 0,
            bytes: 0,
            fetched: Fetched::default(),
        }
    }

    fn ask(&mut self, event: Option<Uuid>, url: Url) -> Step<Fetched> {
        let mut request = Request::get(url.clone()).with("Accept", "application/json");
        if let Some(auth) = self.auth.header() {
            request = request.with("Authorization", auth);
        }
        self.asked = Some((event, url));
        Step::Next(request)
    }

    fn next(&mut self) -> Step<Fetched> {
        while let Some(uuid) = self.left.pop() {
            match self.base.join(&format!("{uuid}.json")) {
                Ok(url) if self.bytes <= Feed::BYTES => {
                    self.redirects = 0;
                    return self.ask(Some(uuid), url);
                }
                _ => self.refuse(uuid, format!("not fetched: more than {} bytes", Feed::BYTES)),
            }
        }
        Step::Done(std::mem::take(&mut self.fetched))
    }

    /// What is not fetched stays as it was known before, and is asked for again next time.
    fn refuse(&mut self, uuid: Uuid, why: String) {
        match self.before.0.get(&uuid) {
            Some(have) => {
                self.fetched.manifest.0.insert(uuid, have.clone());
            }
            None => {
                self.fetched.manifest.0.remove(&uuid);
            }
        }
        if self.fetched.errors.len() < self.limits.errors {
            self.fetched.errors.push(EntryError { object: uuid.to_string(), property: String::new(), why });
        }
    }

    fn take_manifest(&mut self, url: &Url, response: &Response) -> Result<(), FeedError> {
        if !response.is_success() {
            return Err(FeedError::Status { url: url.to_string(), status: response.status });
        }
        let not = |why: String| FeedError::Manifest { url: url.to_string(), why };
        if response.body.len() > self.limits.bytes {
            return Err(not(format!("more than {} bytes", self.limits.bytes)));
        }
        let (manifest, errors) = Manifest::read(&response.body).map_err(|error| not(error.to_string()))?;
        self.left = manifest.changed_since(&self.before);
        self.left.reverse();
        self.fetched.gone = self.before.0.keys().filter(|uuid| !manifest.0.contains_key(*uuid)).copied().collect();
        self.fetched.manifest = manifest;
        self.fetched.errors = errors;
        Ok(())
    }

    fn take_event(&mut self, uuid: Uuid, response: &Response) {
        if !response.is_success() {
            return self.refuse(uuid, format!("status {}", response.status));
        }
        match read(&response.body, &self.limits) {
            Ok(read) => match read.events.get(&uuid) {
                Some(event) => self.fetched.events.insert(event.clone()),
                None => {
                    let why = read.errors.first().map(EntryError::to_string);
                    self.refuse(uuid, why.unwrap_or_else(|| "the file holds another event".to_owned()));
                }
            },
            Err(error) => self.refuse(uuid, error.to_string()),
        }
    }
}

impl Exchange for Feed {
    type Outcome = Fetched;
    type Error = FeedError;

    fn start(&mut self) -> Result<Step<Fetched>, FeedError> {
        let url = self.base.join("manifest.json");
        let wrong = |error: url::ParseError| FeedError::Manifest { url: self.base.to_string(), why: error.to_string() };
        let url = url.map_err(wrong)?;
        Ok(self.ask(None, url))
    }

    fn step(&mut self, response: Response) -> Result<Step<Fetched>, FeedError> {
        let Some((event, url)) = self.asked.take() else { return Ok(self.next()) };
        self.bytes = self.bytes.saturating_add(response.body.len());
        let too_many = || format!("more than {} redirects", Feed::REDIRECTS);
        match (event, redirect(&url, &response)) {
            (event, Ok(Some(to))) if self.redirects < Feed::REDIRECTS => {
                self.redirects += 1;
                return Ok(self.ask(event, to));
            }
            (None, Ok(Some(_))) => return Err(FeedError::Manifest { url: url.to_string(), why: too_many() }),
            (Some(uuid), Ok(Some(_))) => self.refuse(uuid, too_many()),
            (None, Ok(None)) => self.take_manifest(&url, &response)?,
            (Some(uuid), Ok(None)) => self.take_event(uuid, &response),
            (None, Err(error)) => return Err(error.into()),
            (Some(uuid), Err(error)) => self.refuse(uuid, error.to_string()),
        }
        Ok(self.next())
    }
}
