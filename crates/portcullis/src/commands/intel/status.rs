//! `portcullis intel status`: versions everywhere, from the files of a repository and of subscribers.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use intel::update::{Repository, Role, State, folder};
use jiff::{SignedDuration, SignedDurationRound, Timestamp, Unit};
use serde_json::{Value, json};

use super::super::{Outcome, safe, say};
use super::now;
use crate::failure::{FOUND, Failure};

#[derive(Args)]
#[command(after_help = "Exit code 1: something expired, is in trouble, or a subscriber lags behind the repository.")]
pub struct StatusArgs {
    /// A repository's folder.
    #[arg(long, value_name = "DIR")]
    repo: Vec<PathBuf>,
    /// A subscriber's data directory; its own configuration's or the default one when nothing is named.
    #[arg(long, value_name = "DIR")]
    data: Vec<PathBuf>,
    /// A configuration that names the data directory.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// For programs.
    #[arg(long)]
    json: bool,
}

impl StatusArgs {
    pub fn run(self) -> Outcome {
        let now = now();
        let mut data = self.data;
        if let Some(file) = &self.config {
            data.push(crate::config::load(file)?.data_dir());
        }
        if data.is_empty() && self.repo.is_empty() {
            data.push(crate::config::default_data_dir());
        }
        let mut all = Vec::new();
        for dir in &self.repo {
            all.push(repository(dir, now)?);
        }
        let newest = all.iter().filter_map(|entry| entry["release"]["version"].as_u64()).max();
        for dir in &data {
            all.push(subscriber(dir, newest, now)?);
        }
        if self.json {
            say(Value::from(all.clone()).to_string());
        } else {
            all.iter().for_each(show);
        }
        let well = all.iter().all(|entry| entry["well"] == true);
        Ok(if well { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
    }
}

fn repository(dir: &std::path::Path, now: Timestamp) -> Result<Value, Failure> {
    let repository = Repository::new(dir);
    let standing = repository.standing()?;
    let root = &standing.root;
    let roles: serde_json::Map<String, Value> = root
        .roles
        .iter()
        .filter(|(role, _)| **role != Role::Snapshot)
        .map(|(role, quorum)| (role.to_string(), json!({"threshold": quorum.threshold, "keys": quorum.keyids})))
        .collect();
    let mut well = root.header.expires > now;
    let mut entry = json!({
        "repository": dir,
        "root": {"version": root.header.version, "expires": root.header.expires, "roles": roles},
    });
    if let Some(refused) = &standing.refused {
        well = false;
        entry["error"] = json!({"class": refused.attack.class(), "what": refused.to_string()});
    }
    if let Some((timestamp, _, release)) = &standing.published {
        well &= timestamp.header.expires > now && release.header.expires > now;
        let bytes: u64 = release.files.values().map(|meta| meta.length).sum();
        entry["timestamp"] = json!({"version": timestamp.header.version, "expires": timestamp.header.expires});
        entry["release"] = json!({
            "version": release.header.version, "issued": release.header.issued, "expires": release.header.expires,
            "files": release.files.len(), "bytes": bytes,
        });
    }
    if let Some(staged) = repository.staged()? {
        entry["staged_root"] = json!({"version": staged.version, "missing": staged.missing.map(|m| m.to_string())});
    }
    entry["well"] = well.into();
    Ok(entry)
}

fn subscriber(data: &std::path::Path, newest: Option<u64>, now: Timestamp) -> Result<Value, Failure> {
    let Some(state) = State::read(&folder(data)).map_err(Failure::work)? else {
        return Ok(json!({"subscriber": data, "subscribed": false, "well": true}));
    };
    let version = state.current.as_ref().map(|current| current.version);
    let behind = newest.is_some_and(|newest| version.unwrap_or(0) < newest);
    let expired = state.current.as_ref().is_some_and(|current| current.expires <= now);
    Ok(json!({
        "subscriber": data,
        "subscribed": true,
        "root": {"version": state.root},
        "last_good": state.current.as_ref().map(|current| json!({
            "version": current.version, "issued": current.issued, "expires": current.expires, "applied": current.applied,
        })),
        "checked": state.checked,
        "error": state.trouble,
        "behind": behind,
        "well": state.trouble.is_none() && version.is_some() && !behind && !expired,
    }))
}

fn show(entry: &Value) {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), safe);
    let until = |value: &Value| value.as_str().and_then(|t| t.parse().ok()).map_or_else(|| "never".to_owned(), away);
    if let Some(dir) = entry["repository"].as_str() {
        say(format!("repository {}", safe(dir)));
        for (role, quorum) in entry["root"]["roles"].as_object().into_iter().flatten() {
            let keys = quorum["keys"].as_array().map_or(0, Vec::len);
            say(format!("  {role:<9} {} of {keys} keys have to sign", quorum["threshold"]));
            for id in quorum["keys"].as_array().into_iter().flatten() {
                say(format!("            {}", text(id)));
            }
        }
        say(format!("  root      version {}, expires {}", entry["root"]["version"], until(&entry["root"]["expires"])));
        if let Some(staged) = entry["staged_root"].as_object() {
            let waits = staged["missing"].as_str().unwrap_or("nothing; put it in force with rotate-root --finish");
            say(format!("  root {} is drafted and waits for: {}", staged["version"], safe(waits)));
        }
        if let Some(error) = entry["error"].as_object() {
            return say(format!("  error     {}: publish anew, with keys that count", text(&error["what"])));
        }
        let Some(release) = entry["release"].as_object() else { return say("  nothing published yet") };
        let (version, expires) = (&release["version"], until(&release["expires"]));
        say(format!(
            "  release   version {version}, {} files, {} bytes, expires {expires}",
            release["files"], release["bytes"]
        ));
        let timestamp = &entry["timestamp"];
        say(format!("  timestamp version {}, expires {}", timestamp["version"], until(&timestamp["expires"])));
        return;
    }
    say(format!("subscriber {}", text(&entry["subscriber"])));
    if entry["subscribed"] == false {
        return say("  not subscribed, or never started");
    }
    say(format!("  root      version {}", entry["root"]["version"]));
    match entry["last_good"].as_object() {
        Some(good) => {
            let (signed, expires) = (until(&good["issued"]), until(&good["expires"]));
            let lag = if entry["behind"] == true { "; the repository has a newer one" } else { "" };
            say(format!("  in force  version {}, signed {signed}, expires {expires}{lag}", good["version"]));
        }
        None => say("  in force  nothing yet"),
    }
    say(format!("  checked   {}", until(&entry["checked"])));
    if let Some(error) = entry["error"].as_object() {
        let (class, what, times) = (text(&error["class"]), text(&error["what"]), &error["times"]);
        say(format!("  error     {class}, {times} times since {}: {what}", text(&error["since"])));
    }
}

/// A moment as people say it: `in 6d 23h`, `2h ago`.
fn away(moment: Timestamp) -> String {
    let from_now = moment.duration_since(now());
    let round = |duration: SignedDuration| {
        let unit = if duration >= SignedDuration::from_hours(1) { Unit::Hour } else { Unit::Second };
        duration.round(SignedDurationRound::new().smallest(unit)).unwrap_or(duration)
    };
    let shown = round(from_now.abs());
    let (days, rest) = (shown.as_hours() / 24, shown - SignedDuration::from_hours(shown.as_hours() / 24 * 24));
    let text = match days {
        0 => format!("{rest:#}"),
        days if rest.is_zero() => format!("{days}d"),
        days => format!("{days}d {rest:#}"),
    };
    if from_now.is_negative() { format!("{text} ago") } else { format!("in {text}") }
}
