//! Fetching feeds: what is asked, what becomes of what comes, and when to come again. Without a network:
//! whoever has one gives [`fetch`] a function that asks.
//!
//! ```text
//! fetch -> the format's exchange    one conditional GET, TAXII pages, or a MISP directory
//!       -> unpacked, within bounds
//!       -> read once: how many entries, how many errors
//!       -> change-size guard        too large a change is held for a person
//!       -> put on disk              the last good stays in force until then, and after a restart
//! ```

mod folder;
mod page;
mod schedule;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use url::Url;

use crate::feeds::{Feed, Terms, Transport};
use crate::guard::{ChangeBounds, Held};
use crate::http::{Auth, Exchange, Request, Response, Step};
use crate::{misp, taxii};

pub use folder::{Folder, FolderError, Progress, State, is_name};
pub use page::unpacked;
pub use schedule::due;

use page::{Page, Paged};

/// A feed that is fetched.
#[derive(Clone)]
pub struct Subscription {
    /// Its format.
    pub feed: &'static dyn Feed,
    /// Under which terms it is read, its name among them.
    pub terms: Terms,
    /// Where it is.
    pub place: Place,
    /// Who asks.
    pub auth: Auth,
    /// How often.
    pub every: Duration,
    /// Bytes of it, unpacked.
    pub most: u64,
    /// How much it may change at once.
    pub bounds: ChangeBounds,
}

/// Where a feed is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On a web server.
    Web(Url),
    /// In a file.
    File(PathBuf),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Web(url) => f.write_str(url.as_str()),
            Place::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// What a fetch came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is what it was.
    Same,
    /// It is in force.
    Taken {
        /// Indicators.
        entries: usize,
        /// Entries that could not be taken.
        errors: usize,
    },
    /// It waits for a person.
    Held(Held),
    /// It did not come, or is no feed.
    Failed(String),
}

/// Asks one thing of a web server: the request, and the most bytes of the answer.
pub type Ask<'a> = dyn FnMut(&Request, u64) -> Result<Response, String> + 'a;

/// Fetches a feed and puts it where it belongs. Its state is written whatever happens.
pub fn fetch(feed: &Subscription, folder: &Folder, now: Timestamp, ask: &mut Ask<'_>) -> Result<Outcome, FolderError> {
    let mut state = folder.state()?;
    if state.place.as_deref() != Some(&*feed.place.to_string()) {
        // What is known of another place says nothing about this one; what came from it stays until this came.
        state = State { place: Some(feed.place.to_string()), entries: state.entries, ..State::default() };
    }
    state.tried = Some(now);
    let got = get(feed, folder, &state, ask).and_then(|got| judge(feed, &state, folder, got, now));
    let outcome = match got {
        Ok(Verdict::Same) => {
            (state.fetched, state.failures, state.error, state.retry_after) = (Some(now), 0, None, None);
            // What was held before has been taken back by its publisher.
            if state.held.take().is_some() {
                folder.drop_held()?;
            }
            Outcome::Same
        }
        Ok(Verdict::Good(new, entries, errors)) => {
            folder.put_good(&new.bytes)?;
            folder.drop_held()?;
            state.take(new.mark, now, entries, errors);
            Outcome::Taken { entries, errors }
        }
        Ok(Verdict::Hold(new, errors, held)) => {
            folder.put_held(&new.bytes)?;
            (state.failures, state.error, state.retry_after) = (0, None, None);
            // The same again waits no less long.
            let since = state.held.filter(|w| w.mark.digest == new.mark.digest).map_or(now, |waiting| waiting.since);
            state.held = Some(folder::Waiting { held: held.clone(), errors, since, mark: new.mark });
            Outcome::Held(held)
        }
        Err(failed) => {
            state.failures = state.failures.saturating_add(1);
            state.retry_after = failed.retry_after;
            state.error = Some(failed.why.clone());
            Outcome::Failed(failed.why)
        }
    };
    folder.put_state(&state)?;
    Ok(outcome)
}

/// Puts in force what was held, because a person says so.
pub fn accept(folder: &Folder, now: Timestamp) -> Result<Option<usize>, FolderError> {
    let mut state = folder.state()?;
    let Some(waiting) = state.held.take() else { return Ok(None) };
    let Some(bytes) = folder.held()? else { return Ok(None) };
    let entries = waiting.held.after;
    folder.put_good(&bytes)?;
    state.take(waiting.mark, now, entries, waiting.errors);
    folder.put_state(&state)?;
    folder.drop_held()?;
    Ok(Some(entries))
}

/// What came, and what to remember of it.
struct New {
    bytes: Vec<u8>,
    mark: folder::Mark,
}

enum Got {
    Same,
    New(New),
}

enum Verdict {
    Same,
    Good(New, usize, usize),
    Hold(New, usize, Held),
}

#[derive(Debug)]
struct Failed {
    why: String,
    retry_after: Option<u64>,
}

impl<T: Into<String>> From<T> for Failed {
    fn from(why: T) -> Failed {
        Failed { why: why.into(), retry_after: None }
    }
}

fn get(feed: &Subscription, folder: &Folder, state: &State, ask: &mut Ask<'_>) -> Result<Got, Failed> {
    let url = match &feed.place {
        Place::File(path) => return file(feed, path),
        Place::Web(url) => url.clone(),
    };
    // Only with the last good at hand is "what is new since" an answer.
    let good = folder.good().map_err(|e| e.to_string())?;
    match feed.feed.transport() {
        Transport::Page => {
            let known = good.as_ref().map(|_| &state.mark);
            match drive(Page::new(url, &feed.auth, known), feed.most, ask)? {
                Paged::Same => Ok(Got::Same),
                Paged::Busy { why, retry_after } => Err(Failed { why, retry_after }),
                Paged::New { body, etag, last_modified } => {
                    let bytes = unpacked(body, feed.most)?;
                    Ok(Got::New(New { bytes, mark: folder::Mark { etag, last_modified, ..Default::default() } }))
                }
            }
        }
        Transport::Taxii => taxii_fetch(feed, url, good, &state.mark.progress, ask),
        Transport::Misp => misp_fetch(feed, url, good, &state.mark.progress, ask),
    }
}

fn file(feed: &Subscription, path: &PathBuf) -> Result<Got, Failed> {
    let unreadable = |e: std::io::Error| format!("{}: can't be read: {e}", path.display());
    // Asked first: opening a pipe would wait for its writer.
    let about = fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() || about.len() > feed.most {
        return Err(format!("{}: not a file, or more than {} bytes", path.display(), feed.most).into());
    }
    let bytes = unpacked(fs::read(path).map_err(unreadable)?, feed.most)?;
    Ok(Got::New(New { bytes, mark: folder::Mark::default() }))
}

fn taxii_fetch(
    feed: &Subscription,
    url: Url,
    good: Option<Vec<u8>>,
    progress: &Progress,
    ask: &mut Ask<'_>,
) -> Result<Got, Failed> {
    let (cursor, known) = match (progress, good) {
        (Progress::Taxii(cursor), Some(good)) => (cursor.clone(), good),
        _ => (taxii::Cursor::default(), Vec::new()),
    };
    let path = url.path().trim_end_matches('/').to_owned();
    let from = match () {
        () if path.ends_with("/taxii2") => taxii::From::Discovery(url),
        () if path.contains("/collections/") => taxii::From::Collection(url),
        () => taxii::From::ApiRoot(url),
    };
    let client = taxii::Client::new(taxii::Config::new(from, feed.auth.clone(), cursor));
    let harvest = drive(client, feed.most, ask)?;
    if let (Some(failure), true) = (harvest.failures.first(), harvest.collections.is_empty()) {
        return Err(failure.to_string().into());
    }
    if harvest.objects.is_empty() && !known.is_empty() {
        return Ok(Got::Same);
    }
    let limits = crate::stix::Limits { bytes: feed.most as usize, ..Default::default() };
    let mut objects = match known.is_empty() {
        true => crate::stix::Objects::default(),
        false => crate::stix::read(&known, &limits).map_err(|e| e.to_string())?.objects,
    };
    objects.merge(harvest.objects);
    let bytes = objects.to_bundle().into_bytes();
    let mark = folder::Mark { progress: Progress::Taxii(harvest.cursor), ..Default::default() };
    within(bytes, feed.most).map(|bytes| Got::New(New { bytes, mark }))
}

fn misp_fetch(
    feed: &Subscription,
    url: Url,
    good: Option<Vec<u8>>,
    progress: &Progress,
    ask: &mut Ask<'_>,
) -> Result<Got, Failed> {
    let limits = misp::Limits::default();
    let (manifest, known) = match (progress, good) {
        (Progress::Misp(manifest), Some(good)) => (manifest.clone(), good),
        _ => (misp::Manifest::default(), Vec::new()),
    };
    let fetched = drive(misp::Feed::new(url, feed.auth.clone(), manifest, limits), feed.most, ask)?;
    if fetched.events.is_empty() && fetched.gone.is_empty() && !known.is_empty() {
        return Ok(Got::Same);
    }
    let mut events = misp::Events::default();
    if !known.is_empty() {
        let before = misp::read(&known, &limits).map_err(|e| e.to_string())?.events;
        before
            .iter()
            .filter(|event| !fetched.gone.contains(&event.uuid()))
            .for_each(|event| events.insert(event.clone()));
    }
    fetched.events.iter().for_each(|event| events.insert(event.clone()));
    let mark = folder::Mark { progress: Progress::Misp(fetched.manifest), ..Default::default() };
    within(events.to_json().into_bytes(), feed.most).map(|bytes| Got::New(New { bytes, mark }))
}

fn within(bytes: Vec<u8>, most: u64) -> Result<Vec<u8>, Failed> {
    if bytes.len() as u64 > most { Err(format!("more than {most} bytes in all").into()) } else { Ok(bytes) }
}

/// Asks until an exchange is done; it ends by itself.
fn drive<E: Exchange>(mut exchange: E, most: u64, ask: &mut Ask<'_>) -> Result<E::Outcome, Failed> {
    let mut step = exchange.start().map_err(|e| e.to_string())?;
    loop {
        match step {
            Step::Done(outcome) => return Ok(outcome),
            Step::Next(request) => {
                let response = ask(&request, most)?;
                step = exchange.step(response).map_err(|e| e.to_string())?;
            }
        }
    }
}

/// Looks at what came before it may replace what is in force.
fn judge(feed: &Subscription, state: &State, folder: &Folder, got: Got, now: Timestamp) -> Result<Verdict, Failed> {
    let Got::New(mut new) = got else { return Ok(Verdict::Same) };
    new.mark.digest = folder::digest(&new.bytes);
    let is_there =
        folder.good().map_err(|e| e.to_string())?.is_some_and(|good| folder::digest(&good) == new.mark.digest);
    if is_there && new.mark.progress == state.mark.progress {
        return Ok(Verdict::Same);
    }
    let terms = Terms { fetched: Some(now), ..feed.terms.clone() };
    let (entries, errors, first) = count(feed.feed, &new.bytes, &terms);
    if let (0, Some(first)) = (entries, first) {
        return Err(format!("nothing in it can be read as {}: {first}", feed.feed.name()).into());
    }
    match feed.bounds.check(state.entries, entries) {
        Ok(()) => Ok(Verdict::Good(new, entries, errors)),
        Err(held) => Ok(Verdict::Hold(new, errors, held)),
    }
}

/// How many entries a feed has, how many can't be taken, and the first of those.
pub fn count(feed: &dyn Feed, bytes: &[u8], terms: &Terms) -> (usize, usize, Option<String>) {
    let (mut entries, mut errors, mut first) = (0, 0, None);
    feed.read(bytes, terms, &mut |entry| match entry {
        Ok(_) => entries += 1,
        Err(error) => {
            errors += 1;
            first.get_or_insert_with(|| error.to_string());
        }
    });
    (entries, errors, first)
}

#[cfg(test)]
mod tests;
