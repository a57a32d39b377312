//! Takes changed files up live: policy, directory, every source of indicators. A broken
//! one leaves the old in force and says so.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use ::gateway::task::Drain;
use jiff::Timestamp;
use judge::Judge;
use tracing::{error, info};

use super::{indicators, rules};
use crate::config::Config;

/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How soon the clock alone may cause another load: many indicators may run out one by one.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// What tells that a file changed.
type Stamp = Vec<Option<(SystemTime, u64, u64)>>;

/// Watches the files until the drain begins.
///
/// `until` is when an indicator in force begins or ends to hold, which changes the index like a file.
pub async fn watch(config: Config, judge: Judge, mut until: Option<Timestamp>, mut drain: Drain) {
    let files = files(&config);
    let mut seen = stamp(&files);
    let mut loaded_at = judge.now();
    loop {
        tokio::select! {
            () = drain.begun() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let now = stamp(&files);
        let due = until.is_some_and(|until| judge.now() >= until.max(loaded_at + AGAIN_AFTER));
        if now == seen && !due {
            continue;
        }
        seen = now;
        loaded_at = judge.now();
        let reloading = config.clone();
        let loaded = tokio::task::spawn_blocking(move || rules::load(&reloading)).await;
        match loaded {
            Ok(Ok(loaded)) => {
                let policy = loaded.rules.policy.version().clone();
                let indicators = loaded.rules.indicators.clone();
                until = loaded.until;
                judge.set_rules(loaded.rules);
                judge.set_directory(loaded.directory);
                // What was decided by other rules is not found any more; by another directory it would be.
                if let Some(store) = judge.store().cloned() {
                    let cleared = tokio::task::spawn_blocking(move || store.clear_file_verdicts()).await;
                    if !matches!(cleared, Ok(Ok(()))) {
                        error!(
                            "verdicts about files at the server can't be forgotten; they stay until the next reload"
                        );
                    }
                }
                judge.note(&format!("policy {policy} and indicators {indicators} are in force"));
                info!(%policy, %indicators, "reloaded");
                metrics::counter!("portcullis_reloads_total", "outcome" => "ok").increment(1);
            }
            Ok(Err(failure)) => {
                judge.note("a changed file does not load; the old rules stay in force");
                error!(why = %failure, "a changed file does not load; the old rules stay in force");
                metrics::counter!("portcullis_reloads_total", "outcome" => "refused").increment(1);
            }
            Err(_) => error!("loading the rules failed; the old rules stay in force"),
        }
    }
}

fn files(config: &Config) -> Vec<PathBuf> {
    let sources = indicators::files(config);
    config.policy.files.iter().cloned().chain(config.identity.file.clone()).chain(sources).collect()
}

fn stamp(files: &[PathBuf]) -> Stamp {
    use std::os::unix::fs::MetadataExt;
    files
        .iter()
        .map(|file| std::fs::metadata(file).ok().and_then(|m| Some((m.modified().ok()?, m.len(), m.ino()))))
        .collect()
}
