//! `portcullis quarantine`: what was kept back, and what becomes of it.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use model::{Record, RecordKind};
use serde_json::json;
use store::{Decision, Entry, HeldSummary, Journal, Options, QuarantineFilter, Status, Store, StoreOptions};
use uuid::Uuid;

use super::{DataArgs, Outcome, safe, say};
use crate::failure::Failure;

#[derive(Subcommand)]
#[command(after_help = "A released message goes out on a live session of its account, or at the next login,
marked as delayed. It works beside a running gateway.")]
pub enum QuarantineCommand {
    /// List messages that wait for a decision.
    List {
        #[command(flatten)]
        data: DataArgs,
        /// Also those that were decided.
        #[arg(long)]
        all: bool,
        /// Of this account only.
        #[arg(long, value_name = "ADDRESS")]
        account: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: u64,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Show a message with its content.
    Show {
        #[command(flatten)]
        data: DataArgs,
        /// Its id, or the beginning of it.
        id: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Let a message go on.
    Release(DecideArgs),
    /// Destroy a message: its content is wiped, its record stays.
    Destroy(DecideArgs),
}

#[derive(Args)]
pub struct DecideArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Its id, or the beginning of it.
    id: String,
    /// Why, for the record.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl QuarantineCommand {
    pub fn run(self) -> Outcome {
        match self {
            QuarantineCommand::List { data, all, account, limit, json } => {
                let status = (!all).then_some(Status::Held);
                let filter = QuarantineFilter { status, account, before: None, limit };
                for held in open(&data.directory()?)?.quarantine(&filter)? {
                    say(if json { as_json(&held).to_string() } else { line(&held) });
                }
            }
            QuarantineCommand::Show { data, id, json } => {
                let store = open(&data.directory()?)?;
                let held = find(&store, &id)?;
                say(if json { as_json(&held).to_string() } else { page(&held) });
            }
            QuarantineCommand::Release(args) => args.decide(true)?,
            QuarantineCommand::Destroy(args) => args.decide(false)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl DecideArgs {
    fn decide(self, release: bool) -> Result<(), Failure> {
        let data = self.data.directory()?;
        let store = open(&data)?;
        let held = find(&store, &self.id)?;
        let id = held.message.id;
        let decision = Decision { by: operator(), at: Timestamp::now(), reason: self.reason };
        // On record first: nothing is released or destroyed that nobody can be asked about.
        let journal = Journal::open(&data, Options::operator())?;
        let kind = if release { RecordKind::Release } else { RecordKind::Destroy };
        let mut record = Record::new(Uuid::now_v7(), decision.at, kind);
        record.about = Some(id);
        let verb = if release { "released" } else { "destroyed" };
        let reason = decision.reason.as_deref().map_or(String::new(), |reason| format!(": {reason}"));
        record.note = Some(format!("{verb} by {}{reason}", decision.by).into());
        if held.status != Status::Held && (release || held.status != Status::Released) {
            return Err(Failure::work(format!("{id} is {} already", held.status)));
        }
        journal.append(Entry::from(record)).wait().map_err(Failure::work)?;
        journal.close();
        if release { store.release(id, &decision)? } else { store.destroy(id, &decision)? }
        say(format!("{id} {verb}"));
        Ok(())
    }
}

fn open(data: &std::path::Path) -> Result<Store, Failure> {
    Ok(Store::open(data, StoreOptions::default())?)
}

/// The entry an id or the beginning of one names.
fn find(store: &Store, id: &str) -> Result<HeldSummary, Failure> {
    let missing = || Failure::work(format!("{id}: no such message in quarantine")).hint("`portcullis quarantine list --all` shows them");
    if let Ok(id) = id.parse::<Uuid>() {
        return store.quarantined(id)?.ok_or_else(missing);
    }
    let listed = store.quarantine(&QuarantineFilter::default())?;
    let mut fitting = listed.into_iter().filter(|held| held.message.id.to_string().starts_with(id));
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => store.quarantined(only.message.id)?.ok_or_else(missing),
        (Some(_), Some(_)) => Err(Failure::usage(format!("{id}: more than one message begins so")).hint("write more of the id")),
        _ => Err(missing()),
    }
}

/// Who decides: the user of the shell.
fn operator() -> String {
    ["SUDO_USER", "USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "operator".to_owned())
}

fn line(held: &HeldSummary) -> String {
    let m = &held.message;
    format!(
        "{}  {}  {:<9}  {} -> {}  {}",
        m.id,
        m.time.strftime("%Y-%m-%d %H:%M:%S"),
        held.status.name(),
        safe(&m.from),
        safe(&m.to),
        m.rule.as_deref().map(safe).unwrap_or_default()
    )
}

fn page(held: &HeldSummary) -> String {
    let m = &held.message;
    let mut out = format!(
        "id        {}\ntime      {}\nstatus    {}\nfrom      {}\nto        {}\ndirection {}\nrule      {}\nnotice    {}\n",
        m.id,
        m.time,
        held.status.name(),
        safe(&m.from),
        safe(&m.to),
        m.direction.name(),
        safe(m.rule.as_deref().unwrap_or("-")),
        safe(m.notice.as_deref().unwrap_or("-")),
    );
    if let Some(decision) = &held.decision {
        out.push_str(&format!("decided   by {} at {}\n", safe(&decision.by), decision.at));
    }
    let findings: Vec<model::Finding> = serde_json::from_str(&m.findings).unwrap_or_default();
    for finding in findings {
        out.push_str(&format!("finding   {} ({}): {}\n", finding.symbol, finding.score, safe(&finding.explain)));
    }
    let parts: Vec<serde_json::Value> = serde_json::from_str(&m.parts).unwrap_or_default();
    for part in parts {
        let place = part.get("place").and_then(|p| p.as_str()).unwrap_or("part");
        let text = part.get("text").and_then(|t| t.as_str()).unwrap_or("(sealed)");
        out.push_str(&format!("{place:<9} {}\n", safe(text)));
    }
    out.trim_end().to_owned()
}

fn as_json(held: &HeldSummary) -> serde_json::Value {
    let m = &held.message;
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap_or_default();
    json!({
        "id": m.id, "time": m.time, "status": held.status.name(), "protocol": m.protocol, "direction": m.direction,
        "account": m.account, "peer": m.peer, "from": m.from, "to": m.to, "rule": m.rule, "notice": m.notice,
        "findings": parse(&m.findings), "parts": parse(&m.parts), "bytes": held.bytes,
        "decided_by": held.decision.as_ref().map(|d| &d.by), "decided_at": held.decision.as_ref().map(|d| d.at),
        "reason": held.decision.as_ref().and_then(|d| d.reason.as_ref()),
    })
}

