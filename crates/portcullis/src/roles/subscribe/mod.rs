//! Follows signed updates: asks the repository, checks that a verified bundle would load here, makes it the one in
//! force. The reload role then takes it up like any other changed file, so that one place swaps rules.
//!
//! ```text
//! poll     intel::update::Subscription    signatures, versions, expiry, hashes
//! check    policy, catalogue, indicators  what does not load here is not put in force
//! mark     <data>/intel/subscription/current   seen by reload.rs within half a second
//! ```

mod bundle;
mod place;
mod web;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ::gateway::task::Drain;
use intel::update::{Outcome, Subscription, SubscriptionError, Trouble, folder};
use jiff::Timestamp;
use judge::Judge;
use tracing::{error, info};

use crate::config::{Config, Subscribe};
use crate::failure::Failure;

pub use bundle::{Subscribed, rules};
use place::Place;

/// How often a folder is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Checks what the configuration says, without asking anybody.
pub fn check(config: &Config) -> Result<(), Failure> {
    let Some(subscribe) = &config.intel.subscribe else { return Ok(()) };
    Place::of(subscribe)?;
    let root = root(subscribe)?;
    intel::update::Trust::new(&root, Default::default())
        .map(drop)
        .map_err(|refused| Failure::usage(format!("intel.subscribe.root: {}: {refused}", subscribe.root.display())))
}

/// Follows the repository until the drain begins.
pub async fn follow(config: Config, subscribe: Subscribe, judge: Judge, mut drain: Drain) {
    let mut follower = loop {
        let failure = match Follower::start(&config, &subscribe, judge.now()) {
            Ok(follower) => break follower,
            Err(failure) => failure,
        };
        // What is in force stays; the root may be on a share that is not there yet.
        error!(why = %failure, "signed updates can't be followed yet");
        metrics::counter!("portcullis_intel_update_errors_total", "class" => "failed").increment(1);
        tokio::select! {
            () = drain.begun() => return,
            () = tokio::time::sleep(subscribe.every.0) => {}
        }
    };
    loop {
        if follower.is_due() {
            let now = judge.now();
            let polled = tokio::task::spawn_blocking(move || {
                let outcome = follower.poll(now);
                (follower, outcome)
            });
            match polled.await {
                Ok((back, outcome)) => {
                    follower = back;
                    follower.tell(&judge, outcome, now);
                }
                Err(_) => {
                    error!("a look for signed updates failed; what is in force stays");
                    return drain.begun().await;
                }
            }
        }
        tokio::select! {
            () = drain.begun() => return,
            () = tokio::time::sleep(follower.place.look_every(subscribe.every.0)) => {}
        }
    }
}

/// Looks once, for machines where no role runs.
pub fn once(config: &Config, now: Timestamp) -> Result<Outcome, Failure> {
    let Some(subscribe) = &config.intel.subscribe else {
        return Err(Failure::usage("the configuration follows no updates").hint("add [intel.subscribe] to it"));
    };
    let mut follower = Follower::start(config, subscribe, now)?;
    Ok(follower.poll(now)?)
}

/// A subscription and where it is fed from.
struct Follower {
    config: Arc<Config>,
    subscription: Subscription,
    place: Place,
    every: Duration,
    looked: Option<Instant>,
}

impl Follower {
    fn start(config: &Config, subscribe: &Subscribe, now: Timestamp) -> Result<Follower, Failure> {
        let subscription = Subscription::open(&folder(&config.data_dir()), &root(subscribe)?, now)?;
        let (place, every) = (Place::of(subscribe)?, subscribe.every.0);
        Ok(Follower { config: Arc::new(config.clone()), subscription, place, every, looked: None })
    }

    /// Whether something changed, or it is time to look at expiry.
    fn is_due(&mut self) -> bool {
        let changed = self.place.has_changed();
        changed || self.looked.is_none_or(|looked| looked.elapsed() >= self.every)
    }

    fn poll(&mut self, now: Timestamp) -> Result<Outcome, SubscriptionError> {
        let config = self.config.clone();
        let outcome = self.subscription.poll(now, self.place.source(), &mut |candidate| {
            bundle::check(&config, &candidate.bundle).map_err(|failure| failure.to_string())
        });
        self.looked = Some(Instant::now());
        outcome
    }

    /// Says what a poll came to: in the journal and the log when it is news, in the metrics always.
    fn tell(&self, judge: &Judge, outcome: Result<Outcome, SubscriptionError>, now: Timestamp) {
        match outcome {
            Ok(Outcome::Unchanged) => {}
            Ok(Outcome::Applied(version)) => {
                let current = self.subscription.state().current.as_ref();
                let issued = current.map_or_else(String::new, |current| format!(", signed {}", current.issued));
                judge.note(&format!("update {version}{issued}, is verified and put in force"));
                info!(version, "a signed update is put in force");
                metrics::counter!("portcullis_intel_updates_total").increment(1);
            }
            Ok(Outcome::Kept { trouble: Trouble { class, what, .. }, first }) => {
                metrics::counter!("portcullis_intel_update_errors_total", "class" => class.clone()).increment(1);
                if first {
                    judge.note(&format!("an update was refused ({class}); what is in force stays: {what}"));
                    error!(class, why = what, "an update was refused; what is in force stays");
                }
            }
            Err(failure) => {
                metrics::counter!("portcullis_intel_update_errors_total", "class" => "failed").increment(1);
                error!(why = %failure, "the state of signed updates can't be kept");
            }
        }
        let state = self.subscription.state();
        if let Some(current) = &state.current {
            let age = now.duration_since(current.issued).as_secs().max(0);
            metrics::gauge!("portcullis_intel_bundle_version").set(current.version as f64);
            metrics::gauge!("portcullis_intel_bundle_age_seconds").set(age as f64);
        }
        let trouble = if state.trouble.is_some() { 1.0 } else { 0.0 };
        metrics::gauge!("portcullis_intel_update_trouble").set(trouble);
    }
}

fn root(subscribe: &Subscribe) -> Result<Vec<u8>, Failure> {
    std::fs::read(&subscribe.root).map_err(|e| {
        Failure::work(format!("intel.subscribe.root: {}: can't be read: {e}", subscribe.root.display()))
            .hint("copy root.json of the repository here, by a way you trust")
    })
}

impl From<SubscriptionError> for Failure {
    fn from(error: SubscriptionError) -> Failure {
        Failure::work(error)
    }
}
