//! From a configuration to running roles, and down again.

mod admin;
mod campaigns;
mod decoys;
pub mod feeds;
mod filerules;
mod files;
mod gateway;
pub mod indicators;
mod own;
mod reload;
mod rules;
mod subscribe;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use ::gateway::task::{Drained, Roles, Shutdown};
use judge::{Judge, Lookups, Settings};
use store::{Journal, Options, Store, StoreOptions};
use tracing::{error, info, warn};

use crate::config::Config;
use crate::failure::Failure;
use crate::log;

pub use campaigns::{WITNESSES, month_before};
pub use indicators::guard;
pub use rules::{Loaded, directory, file_kinds, load, policy_problems, policy_texts, symbols};
pub use subscribe::once as update_once;

/// How long running sessions have to end when the process is told to.
const DRAIN: Duration = Duration::from_secs(20);

/// Loads everything a configuration names, without starting anything. Returns what is doubtful.
pub fn check(config: &Config) -> Result<Vec<String>, Failure> {
    let loaded = load(config)?;
    lookups(config)?;
    subscribe::check(config)?;
    feeds::subscriptions(config)?;
    if let Some(role) = &config.gateway {
        gateway::check(role)?;
    }
    Ok(loaded.warnings)
}

/// A judge for tools: the configured rules and detectors, no record.
pub fn judge_without_record(config: &Config) -> Result<Judge, Failure> {
    let loaded = load(config)?;
    let lookups = lookups(config)?;
    let settings = Settings { on_fault: config.faults.on_fault, ..Settings::default() };
    Ok(Judge::new(settings, loaded.rules, trackers(config)?, loaded.directory, lookups, None))
}

/// Runs every role that the configuration names until the process is told to end.
pub fn run(config: Config) -> Result<ExitCode, Failure> {
    log::start(&config.log)?;
    if config.gateway.is_none() {
        return Err(Failure::usage("the configuration names no role")
            .hint("add [gateway.xmpp] with a listen address and a domain"));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::work(format!("can't start the runtime: {e}")))?;
    let outcome = runtime.block_on(serve(config));
    runtime.shutdown_timeout(Duration::from_secs(5));
    outcome
}

async fn serve(config: Config) -> Result<ExitCode, Failure> {
    let metrics = admin::recorder(config.admin.is_some());
    let loaded = load(&config)?;
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    let until = loaded.until;
    let data = config.data_dir();
    let (journal, store) = records(&config)?;
    let settings = Settings {
        on_fault: config.faults.on_fault,
        record_bodies: config.journal.record_bodies,
        ..Settings::default()
    };
    let judge = Judge::new(
        settings,
        loaded.rules,
        trackers(&config)?,
        loaded.directory,
        lookups(&config)?,
        Some((journal.clone(), store)),
    );
    remember(&judge, &data, settings.memory)?;

    let (shutdown, drain) = Shutdown::new();
    let mut roles = Roles::new(drain.clone());
    let started = match &config.gateway {
        Some(role) => gateway::start(&config, role, &judge, &roles, &drain).await?,
        None => gateway::Started::default(),
    };
    roles.spawn("reload", reload::watch(config.clone(), judge.clone(), until, drain.clone()));
    if let Some(subscribe) = &config.intel.subscribe {
        let followed = subscribe::follow(config.clone(), subscribe.clone(), judge.clone(), drain.clone());
        roles.spawn("updates", followed);
    }
    if config.intel.campaigns.enabled {
        roles.spawn("campaigns", campaigns::follow(config.clone(), judge.clone(), drain.clone()));
    }
    for feed in feeds::subscriptions(&config)? {
        roles.spawn("feed", feeds::follow(feed, config.data_dir(), judge.clone(), drain.clone()));
    }
    let ready = admin::Ready::new(journal.clone(), started.doors.clone(), judge.clone());
    if let (Some(admin), Some(metrics)) = (&config.admin, metrics) {
        admin::serve(admin.listen, metrics, ready.clone(), &roles, drain.clone()).await?;
    }
    judge.note(&format!("portcullis {} started", env!("CARGO_PKG_VERSION")));
    drop(drain);
    for address in &started.listening {
        crate::commands::say(format!("listening {address}"));
    }
    info!(data = %data.display(), durability = ?config.journal.durability, "ready");
    ready.set(true);

    let code = tokio::select! {
        name = roles.ended() => {
            error!(role = name, "a role ended unasked, so the process ends");
            ExitCode::from(crate::failure::WORK)
        }
        signal = stop_signal() => {
            info!(signal, "shutting down");
            ExitCode::SUCCESS
        }
    };
    ready.set(false);
    drop(roles);
    shutdown.begin();
    started.say_goodbye();
    if let Drained::Cut(left) = shutdown.finish(DRAIN).await {
        warn!(left, "sessions did not end in time and were cut");
    }
    judge.note("portcullis stopped");
    drop(judge);
    journal.close();
    info!("stopped");
    Ok(code)
}

/// Opens journal and store under the data directory.
fn records(config: &Config) -> Result<(Arc<Journal>, Arc<Store>), Failure> {
    let data = config.data_dir();
    let journal = &config.journal;
    let options = Options {
        durability: journal.durability.into(),
        max_backlog: journal.backlog_records,
        segment_records: journal.segment_records,
        segment_seconds: journal.segment_seconds,
        max_bytes: journal.max_bytes,
        heads: journal.heads.clone(),
        ..Options::new("gateway")
    };
    let opened = Journal::open(&data, options)?;
    let store = Store::open(&data, StoreOptions::default())?;
    Ok((Arc::new(opened), Arc::new(store)))
}

/// Rebuilds trackers, and what clients may send again, from the end of the journal.
fn remember(judge: &Judge, data: &std::path::Path, memory: Duration) -> Result<(), Failure> {
    const MOST: usize = 200_000;
    let since = judge.now() - memory;
    let records = store::reader(data)?.recent(since, MOST)?;
    judge.remember(records.iter());
    if !records.is_empty() {
        info!(records = records.len(), "took up where the journal ends");
    }
    Ok(())
}

/// The trackers, their tables keyed with a secret of this process.
fn trackers(config: &Config) -> Result<Vec<Box<dyn inspect::Tracker>>, Failure> {
    let mut secret = [0; 8];
    getrandom::fill(&mut secret).map_err(|e| Failure::work(format!("no random numbers: {e}")))?;
    let keyed = inspect::track::Config { secret: u64::from_le_bytes(secret), ..config.track.clone() };
    Ok(inspect::track::table(&keyed))
}

fn lookups(config: &Config) -> Result<Lookups, Failure> {
    let files = &config.files;
    let limits = inspect::files::Limits {
        total: files.unpacked_bytes,
        depth: files.depth,
        ratio: files.ratio,
        entries: files.members,
    };
    let clamd = files.clamd.as_ref().map(files::clamd).transpose()?;
    Ok(Lookups::new(clamd, limits, Duration::from_secs(files.budget_seconds), files.at_once))
}

/// Resolves when the process is told to end.
async fn stop_signal() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => "SIGTERM",
        _ = int.recv() => "SIGINT",
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_check_looks_at_everything_that_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("empty.pem"), "").unwrap();
        let written = |domain: &str, more: &str| {
            format!(
                "[gateway.xmpp]\nlisten = [\"127.0.0.1:5222\"]\n\
                 [[gateway.xmpp.domain]]\nupstream = \"127.0.0.1:15222\"\n{domain}\n{more}"
            )
        };
        let checked = |domain: &str, more: &str| {
            let file = folder.path().join("portcullis.toml");
            std::fs::write(&file, written(domain, more)).unwrap();
            crate::config::load(Path::new(&file))
                .and_then(|config| check(&config))
                .map_err(|failure| failure.to_string())
        };
        let own = "upstream_insecure = true";
        assert_eq!(checked(own, ""), Ok(Vec::new()));
        let http = |url: &str| format!("[gateway.http]\nlisten = \"0.0.0.0:5443\"\n{url}");
        let other =
            format!("{own}\n[[gateway.xmpp.domain]]\nname = \"b\"\nupstream = \"b:5222\"\nupstream_insecure = true");
        for (domain, more, why) in [
            ("upstream_ca = \"missing.pem\"", String::new(), "missing.pem: can't be read"),
            ("upstream_ca = \"empty.pem\"", String::new(), "empty.pem"),
            ("upstream_pin = [\"zz\"]", String::new(), "upstream_pin"),
            (own, http("public_url = \"chat.example.org\""), "public_url"),
            (own, http(""), "public_url"),
            (own, "[files.clamd]\naddress = \"nowhere\"".to_owned(), "clamd"),
            (own, "[policy]\nfiles = [\"missing.cedar\"]".to_owned(), "missing.cedar: can't be read"),
            (&other, "certificate = \"missing.crt\"\nkey = \"missing.key\"".to_owned(), "can't be read"),
        ] {
            let failure = checked(domain, &more).unwrap_err();
            assert!(failure.contains(why), "{domain} {more}: {failure}");
        }
    }
}
