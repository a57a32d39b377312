//! `portcullis intel feeds|formats|accept|fetch`: what is fetched, what came of it, what waits for a person.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use intel::feeds::FEEDS;
use intel::fetch::{self, Folder, Outcome as Fetched};
use serde_json::json;

use super::super::{Outcome, safe, say};
use super::now;
use crate::config::Config;
use crate::failure::{FOUND, Failure, WORK};
use crate::roles::feeds::{Followed, fetch_now, subscriptions};

/// Which configuration.
#[derive(Args, Clone)]
pub struct ConfigArg {
    /// The configuration file that names the feeds and the data directory.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl ConfigArg {
    /// The configuration, and its feeds.
    fn load(&self) -> Result<(Config, Vec<Followed>), Failure> {
        let config = crate::config::load(&self.config)?;
        let feeds = subscriptions(&config)?;
        Ok((config, feeds))
    }
}

/// One feed of them.
fn named<'a>(feeds: &'a [Followed], name: &str) -> Result<&'a Followed, Failure> {
    feeds.iter().find(|feed| feed.name() == name).ok_or_else(|| {
        let names: Vec<&str> = feeds.iter().map(Followed::name).collect();
        Failure::usage(format!("no feed is named `{name}`")).hint(match names.is_empty() {
            true => "add it to the configuration as [[intel.feeds]]".to_owned(),
            false => format!("there are {}", names.join(", ")),
        })
    })
}

#[derive(Args)]
#[command(after_help = "Exit code 1: a feed is held for a person, or does not come.")]
pub struct FeedsArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// For programs.
    #[arg(long)]
    json: bool,
}

impl FeedsArgs {
    pub fn run(self) -> Outcome {
        let (config, feeds) = self.config.load()?;
        let data = config.data_dir();
        let mut well = true;
        if feeds.is_empty() && !self.json {
            say("no feeds are configured");
        }
        for feed in &feeds {
            let subscription = &feed.subscription;
            let state = Folder::of(&data, feed.name()).state().map_err(Failure::work)?;
            well &= state.held.is_none() && state.failures == 0;
            let standing = match (&state.held, state.failures, state.fetched) {
                (Some(_), ..) => "held",
                (None, 0, Some(_)) => "ok",
                (None, 0, None) => "new",
                (None, ..) => "failing",
            };
            if self.json {
                let known = json!({
                    "name": feed.name(), "format": subscription.feed.name(), "place": subscription.place.to_string(),
                    "kind": feed.kind.name(), "strength": subscription.terms.strength, "standing": standing,
                    "entries": state.entries, "errors": state.errors, "fetched": state.fetched, "tried": state.tried,
                    "failures": state.failures, "error": state.error, "held": state.held.map(|waiting| waiting.held),
                });
                say(known.to_string());
                continue;
            }
            say(format!(
                "{:<20} {:<14} {:<8} {:>9} indicators, {} not taken, {}",
                feed.name(),
                subscription.feed.name(),
                standing,
                state.entries,
                state.errors,
                state.fetched.map_or("never fetched".to_owned(), |at| format!("fetched {at:.0}"))
            ));
            if let Some(error) = &state.error {
                say(format!("    {} attempts failed: {}", state.failures, safe(error)));
            }
            if let Some(waiting) = &state.held {
                say(format!(
                    "    held since {:.0}: {}; `portcullis intel accept {}` puts it in force",
                    waiting.since,
                    waiting.held.why,
                    feed.name()
                ));
            }
        }
        Ok(if well { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
    }
}

#[derive(Args)]
pub struct FormatsArgs {
    /// For programs.
    #[arg(long)]
    json: bool,
}

impl FormatsArgs {
    pub fn run(self) -> Outcome {
        for feed in FEEDS {
            let defaults = feed.defaults();
            if self.json {
                let known = json!({
                    "name": feed.name(), "about": feed.about(), "example": feed.example(),
                    "kind": defaults.kind.name(), "confidence": defaults.confidence, "strength": defaults.strength,
                    "days": defaults.days,
                });
                say(known.to_string());
                continue;
            }
            let strength = if defaults.strength == intel::Strength::Block { "block" } else { "note" };
            let lasting = defaults.days.map_or("while listed".to_owned(), |days| format!("{days} days"));
            say(format!("{:<15} {}", feed.name(), feed.about()));
            say(format!(
                "{:15} {}, {strength}, confidence {}, {lasting}\n",
                "",
                defaults.kind.name(),
                defaults.confidence
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Args)]
pub struct AcceptArgs {
    /// The feed.
    feed: String,
    #[command(flatten)]
    config: ConfigArg,
}

impl AcceptArgs {
    pub fn run(self) -> Outcome {
        let (config, feeds) = self.config.load()?;
        let feed = named(&feeds, &self.feed)?;
        match fetch::accept(&Folder::of(&config.data_dir(), feed.name()), now()).map_err(Failure::work)? {
            Some(entries) => {
                say(format!("{}: {entries} indicators are in force", feed.name()));
                Ok(ExitCode::SUCCESS)
            }
            None => Err(Failure::work(format!("{}: nothing is held", feed.name()))
                .hint("`portcullis intel feeds` shows what waits")),
        }
    }
}

#[derive(Args)]
#[command(after_help = "A running gateway takes up what came within half a second.
Exit code 1: a feed is held for a person; 3: a feed did not come.")]
pub struct FetchArgs {
    /// Only this feed.
    #[arg(long, value_name = "NAME")]
    once: Option<String>,
    #[command(flatten)]
    config: ConfigArg,
}

impl FetchArgs {
    pub fn run(self) -> Outcome {
        let (config, feeds) = self.config.load()?;
        let feeds = match &self.once {
            Some(name) => vec![named(&feeds, name)?.clone()],
            None => feeds,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|e| Failure::work(format!("can't start the runtime: {e}")))?;
        let mut worst = 0;
        for feed in feeds {
            let name = feed.name().to_owned();
            let folder = Folder::of(&config.data_dir(), &name);
            let fetched = runtime.block_on(runtime.spawn_blocking(move || fetch_now(&feed, &folder, now())));
            let outcome = fetched.map_err(Failure::work)?.map_err(Failure::work)?;
            let (said, code) = match outcome {
                Fetched::Same => ("unchanged".to_owned(), 0),
                Fetched::Taken { entries, errors } => {
                    (format!("{entries} indicators are in force; {errors} entries were not taken"), 0)
                }
                Fetched::Held(held) => (format!("held for a person: {}", held.why), FOUND),
                Fetched::Failed(why) => (format!("did not come: {}", safe(&why)), WORK),
            };
            say(format!("{name}: {said}"));
            worst = worst.max(code);
        }
        Ok(ExitCode::from(worst))
    }
}
