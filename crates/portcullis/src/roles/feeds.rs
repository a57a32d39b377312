//! Feeds while a role runs: each is fetched at its own pace, and what is in force is a source of the index.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ::gateway::task::Drain;
use ::indicators::ThreatKind;
use intel::arming::Arming;
use intel::feeds::{self, Terms};
use intel::fetch::{self, Folder, Outcome, Place, Subscription, due, is_name};
use intel::guard::ChangeBounds;
use intel::http::Auth;
use intel::{Strength, Tlp};
use jiff::{SignedDuration, Timestamp};
use judge::Judge;
use tokio::sync::Semaphore;
use tracing::{error, info, warn};

use super::indicators::Source;
use crate::config::{Config, FeedConfig, FeedStrength};
use crate::failure::Failure;
use crate::web;

/// How often it is looked whether a feed is due, and whether its file changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Feeds that are fetched at a time.
static AT_ONCE: Semaphore = Semaphore::const_new(4);

/// A feed as it is configured, ready to be fetched.
#[derive(Clone)]
pub struct Followed {
    /// What is fetched.
    pub subscription: Subscription,
    /// What it warns of.
    pub kind: ThreatKind,
}

impl Followed {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.subscription.terms.feed
    }
}

/// Every feed that is configured, checked.
pub fn subscriptions(config: &Config) -> Result<Vec<Followed>, Failure> {
    let feeds = &config.intel.feeds;
    for (at, feed) in feeds.iter().enumerate() {
        if feeds.iter().take(at).any(|earlier| earlier.name == feed.name) {
            return Err(Failure::usage(format!("intel.feeds[{at}].name: `{}` stands twice", feed.name))
                .hint("a feed's name is its folder's: give each its own"));
        }
    }
    feeds.iter().enumerate().map(|(at, feed)| followed(at, feed)).collect()
}

fn followed(at: usize, config: &FeedConfig) -> Result<Followed, Failure> {
    let wrong = |field: &str, why: String| Failure::usage(format!("intel.feeds[{at}].{field}: {why}"));
    if !is_name(&config.name) {
        return Err(wrong("name", format!("`{}` is no name", config.name))
            .hint("use 1 to 64 lower-case letters, digits, hyphens, dots and underscores"));
    }
    let feed = feeds::find(&config.format).ok_or_else(|| {
        let formats: Vec<&str> = feeds::names().collect();
        wrong("format", format!("`{}` is not known", config.format)).hint(format!("use {}", formats.join(", ")))
    })?;
    let place = match (&config.url, &config.path) {
        (Some(url), None) => {
            let url: url::Url = url.parse().map_err(|e| wrong("url", format!("{url}: {e}")))?;
            match url.scheme() {
                "file" => Place::File(url.to_file_path().map_err(|()| wrong("url", format!("{url}: not a path")))?),
                _ => {
                    web::check(&url).map_err(|e| wrong("url", format!("{url}: {e}")))?;
                    Place::Web(url)
                }
            }
        }
        (None, Some(path)) => Place::File(path.clone()),
        _ => return Err(wrong("url", "either url or path is needed, not both".to_owned())),
    };
    if feed.transport() != feeds::Transport::Page && matches!(place, Place::File(_)) {
        return Err(wrong("path", format!("{} comes from a web server", config.format))
            .hint("write its url; a file of it has the format stix or misp"));
    }
    if config.confidence.is_some_and(|sure| sure > 100) {
        return Err(wrong("confidence", "more than 100".to_owned()));
    }
    if !(config.growth >= 1.0 && (0.0..=1.0).contains(&config.left)) {
        return Err(wrong("growth", "growth is at least 1, and left from 0 to 1".to_owned()));
    }
    let defaults = feed.defaults();
    let days = config.days.or(defaults.days).filter(|days| *days > 0);
    let terms = Terms {
        feed: config.name.clone(),
        fetched: None,
        confidence: config.confidence.unwrap_or(defaults.confidence),
        strength: match config.strength {
            Some(FeedStrength::Note) => Strength::Note,
            Some(FeedStrength::Block) => Strength::Block,
            None => defaults.strength,
        },
        lifetime: days.map(|days| SignedDuration::from_hours(i64::from(days) * 24)),
        marking: config.marking.max(Tlp::Clear),
        columns: (&config.columns).into(),
    };
    let subscription = Subscription {
        feed,
        terms,
        place,
        auth: auth(at, config)?,
        every: config.every.0,
        most: config.max_bytes,
        bounds: ChangeBounds { growth: config.growth, left: config.left, ..ChangeBounds::default() },
    };
    Ok(Followed { subscription, kind: config.kind.map_or(defaults.kind, Into::into) })
}

/// Who asks. Secrets stand in files of their own, so that a configuration can be shown.
fn auth(at: usize, config: &FeedConfig) -> Result<Auth, Failure> {
    let secret = |file: &Path| {
        let text = std::fs::read_to_string(file).map_err(|e| Failure::unreadable(file, &e))?;
        Ok::<_, Failure>(text.trim_end_matches(['\r', '\n']).to_owned())
    };
    match (&config.user, &config.password_file, &config.token_file) {
        (None, None, None) => Ok(Auth::None),
        (None, None, Some(file)) => Ok(Auth::Bearer { token: secret(file)? }),
        (Some(user), Some(file), None) => Ok(Auth::Basic { user: user.clone(), password: secret(file)? }),
        _ => Err(Failure::usage(format!("intel.feeds[{at}]: incomplete credentials"))
            .hint("write user and password_file, or token_file alone")),
    }
}

/// What is in force of every feed.
pub struct Feeds;

impl Source for Feeds {
    fn files(&self, config: &Config) -> Vec<PathBuf> {
        let data = config.data_dir();
        config.intel.feeds.iter().map(|feed| Folder::of(&data, &feed.name).good_file()).collect()
    }

    fn load(&self, config: &Config, arming: &mut Arming<'_>, warnings: &mut Vec<String>) -> Result<(), Failure> {
        let data = config.data_dir();
        for feed in subscriptions(config)? {
            let folder = Folder::of(&data, feed.name());
            match folder.state().and_then(|state| Ok((state, folder.good()?))) {
                Ok((state, Some(bytes))) => add(&feed, &bytes, state.fetched, arming),
                Ok((_, None)) => {}
                Err(error) => warnings.push(format!("feed {}: {error}", feed.name())),
            }
        }
        Ok(())
    }
}

/// Adds what a feed has to the index.
pub fn add(feed: &Followed, bytes: &[u8], fetched: Option<Timestamp>, arming: &mut Arming<'_>) {
    let name: Arc<str> = feed.name().into();
    let terms = Terms { fetched, ..feed.subscription.terms.clone() };
    let mut left = feeds::MOST;
    feed.subscription.feed.read(bytes, &terms, &mut |entry| {
        if let (Ok(indicator), true) = (entry, left > 0) {
            left -= 1;
            arming.add(&name, feed.kind, &indicator);
        }
    });
}

/// Fetches one feed whenever it is due, until the drain begins.
pub async fn follow(feed: Followed, data: PathBuf, judge: Judge, mut drain: Drain) {
    let folder = Folder::of(&data, feed.name());
    let mut next = next(&feed, &folder, judge.now(), true);
    let mut seen = stamp(&feed);
    loop {
        tokio::select! {
            () = drain.begun() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let stamped = stamp(&feed);
        if judge.now() < next && stamped == seen {
            continue;
        }
        seen = stamped;
        let Ok(_turn) = AT_ONCE.acquire().await else { return };
        let (fetched, into, now) = (feed.clone(), folder.clone(), judge.now());
        let fetching = tokio::task::spawn_blocking(move || fetch_now(&fetched, &into, now));
        let outcome = tokio::select! {
            () = drain.begun() => return,
            outcome = fetching => outcome,
        };
        match outcome {
            Ok(Ok(outcome)) => tell(&feed, &folder, &judge, &outcome),
            Ok(Err(fault)) => error!(feed = feed.name(), why = %fault, "a feed's state can't be kept"),
            Err(_) => error!(feed = feed.name(), "fetching a feed failed; what is in force stays"),
        }
        next = self::next(&feed, &folder, judge.now(), false);
    }
}

/// Fetches a feed now. Blocks; has to be called in a blocking task of a runtime.
pub fn fetch_now(feed: &Followed, folder: &Folder, now: Timestamp) -> Result<Outcome, fetch::FolderError> {
    fetch::fetch(&feed.subscription, folder, now, &mut |request, most| {
        web::ask(request, most).map_err(|e| format!("{}: {e}", request.url))
    })
}

/// When a feed is due. At the start a feed that is due waits a few seconds, so that not all come at once.
fn next(feed: &Followed, folder: &Folder, now: Timestamp, first: bool) -> Timestamp {
    let state = folder.state().unwrap_or_default();
    let chance = chance();
    let due = due(&state, feed.subscription.every, chance);
    let soon = if first { Duration::from_secs(5).mul_f64(chance) } else { LOOK_EVERY };
    // A file costs nothing to read, and a clock that was set back must not keep a feed away.
    let soon = if matches!(feed.subscription.place, Place::File(_)) { Duration::ZERO } else { soon };
    let latest = now + feed.subscription.every.mul_f64(1.1).max(Duration::from_secs(state.retry_after.unwrap_or(0)));
    due.max(now + soon).min(latest)
}

/// A number from 0 to 1 that nobody can guess.
fn chance() -> f64 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

fn stamp(feed: &Followed) -> Option<(SystemTime, u64)> {
    let Place::File(path) = &feed.subscription.place else { return None };
    std::fs::metadata(path).ok().and_then(|about| Some((about.modified().ok()?, about.len())))
}

/// Says what a fetch came to: in the journal and the log when it is news, in the metrics always.
fn tell(feed: &Followed, folder: &Folder, judge: &Judge, outcome: &Outcome) {
    let name = feed.name();
    let kind = match outcome {
        Outcome::Same => "same",
        Outcome::Taken { entries, errors } => {
            judge.note(&format!("feed {name}: {entries} indicators are in force"));
            info!(feed = name, entries, errors, "a feed is put in force");
            metrics::gauge!("portcullis_intel_feed_entries", "feed" => name.to_owned()).set(*entries as f64);
            "taken"
        }
        Outcome::Held(held) => {
            let state = folder.state().unwrap_or_default();
            let is_news = state.held.is_some_and(|waiting| Some(waiting.since) == state.tried);
            if is_news {
                judge.note(&format!("feed {name} is held for a person: {}", held.why));
            }
            warn!(
                feed = name,
                why = held.why,
                "a feed changed too much and is held; `portcullis intel accept` takes it"
            );
            "held"
        }
        Outcome::Failed(why) => {
            let failures = folder.state().map_or(0, |state| state.failures);
            if failures == 1 {
                judge.note(&format!("feed {name} does not come, what is in force stays: {why}"));
                error!(feed = name, why, "a feed does not come; what is in force stays");
            }
            "failed"
        }
    };
    metrics::counter!("portcullis_intel_feed_fetches_total", "outcome" => kind).increment(1);
}
