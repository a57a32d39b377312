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
                let filter = QuarantineFilter { status, account, before: None, limit: PAGE };
                let mut left = limit;
                listed(&open(&data.directory()?)?, filter, |held| {
                    let wanted = left > 0;
                    left = left.saturating_sub(1);
                    if wanted {
                        say(if json { as_json(held).to_string() } else { line(held) });
                    }
                    left > 0
                })?;
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

/// Entries that are read at a time.
const PAGE: u64 = 1_000;

/// Shows every entry to `seen`, newest first, page by page, until it wants no more.
fn listed(
    store: &Store,
    mut filter: QuarantineFilter,
    mut seen: impl FnMut(&HeldSummary) -> bool,
) -> Result<(), store::Error> {
    loop {
        let page = store.quarantine(&filter)?;
        let Some(oldest) = page.last() else { return Ok(()) };
        filter.before = Some(oldest.number);
        if !page.iter().all(&mut seen) {
            return Ok(());
        }
    }
}

impl DecideArgs {
    fn decide(self, release: bool) -> Result<(), Failure> {
        let data = self.data.directory()?;
        let store = open(&data)?;
        let held = find(&store, &self.id)?;
        let id = held.message.id;
        let decision = Decision { by: operator(), at: Timestamp::now(), reason: self.reason };
        if held.status != Status::Held && (release || held.status != Status::Released) {
            return Err(Failure::work(format!("{id} is {} already", held.status))
                .hint("`portcullis quarantine show` says who decided"));
        }
        // On record first: nothing is released or destroyed that nobody can be asked about.
        let journal = Journal::open(&data, Options::operator())?;
        let kind = if release { RecordKind::Release } else { RecordKind::Destroy };
        let mut record = Record::new(Uuid::now_v7(), decision.at, kind);
        record.about = Some(id);
        let verb = if release { "released" } else { "destroyed" };
        let reason = decision.reason.as_deref().map_or(String::new(), |reason| format!(": {reason}"));
        record.note = Some(format!("{verb} by {}{reason}", decision.by).into());
        journal.append(Entry::from(record)).wait().map_err(Failure::work)?;
        let changed = if release { store.release(id, &decision) } else { store.destroy(id, &decision) };
        if let Err(error) = changed {
            // Someone else was faster, or the store failed: the record must not say what was not done.
            let mut record = Record::new(Uuid::now_v7(), Timestamp::now(), RecordKind::Administration);
            record.about = Some(id);
            record.note = Some(format!("{id} was not {verb} after all: {error}").into());
            let amended = journal.append(Entry::from(record)).wait();
            journal.close();
            return Err(match amended {
                Ok(_) => error.into(),
                Err(fault) => Failure::work(format!("{error}; nor can the record be amended: {fault}")),
            });
        }
        journal.close();
        say(format!("{id} {verb}"));
        Ok(())
    }
}

fn open(data: &std::path::Path) -> Result<Store, Failure> {
    Ok(Store::open(data, StoreOptions::default())?)
}

/// The entry an id or the beginning of one names.
fn find(store: &Store, id: &str) -> Result<HeldSummary, Failure> {
    let missing = || {
        Failure::work(format!("{id}: no such message in quarantine"))
            .hint("`portcullis quarantine list --all` shows them")
    };
    if let Ok(id) = id.parse::<Uuid>() {
        return store.quarantined(id)?.ok_or_else(missing);
    }
    let beginning = id.to_ascii_lowercase();
    let mut fitting = Vec::new();
    listed(store, QuarantineFilter { limit: PAGE, ..QuarantineFilter::default() }, |held| {
        fitting.extend(held.message.id.to_string().starts_with(&beginning).then_some(held.message.id));
        fitting.len() < 2
    })?;
    match *fitting {
        [only] => store.quarantined(only)?.ok_or_else(missing),
        [_, _, ..] => {
            Err(Failure::usage(format!("{id}: more than one message begins so")).hint("write more of the id"))
        }
        [] => Err(missing()),
    }
}

/// Who decides: the user of the shell.
pub(super) fn operator() -> String {
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

#[cfg(test)]
mod tests {
    use model::{Direction, Protocol};
    use store::Held;

    use super::*;

    fn held(id: Uuid) -> Held {
        Held {
            id,
            time: Timestamp::UNIX_EPOCH,
            protocol: Protocol::Xmpp,
            direction: Direction::FromClient,
            account: "alice@example.org".into(),
            peer: "bob@example.org".into(),
            from: "alice@example.org/home".into(),
            to: "bob@example.org".into(),
            findings: "[]".into(),
            rule: None,
            notice: None,
            frame: b"<message/>".to_vec(),
            parts: "[]".into(),
            digest: model::Digest([7; 16]),
        }
    }

    fn args(data: &std::path::Path, id: &str) -> DecideArgs {
        let data = DataArgs { data: Some(data.to_owned()), config: None };
        DecideArgs { data, id: id.to_owned(), reason: None }
    }

    fn notes(data: &std::path::Path) -> Vec<String> {
        let newest = store::reader(data).unwrap().tail(100).unwrap();
        newest.iter().filter_map(|stored| stored.record().unwrap().note).map(Into::into).collect()
    }

    #[test]
    fn an_entry_is_found_by_its_beginning_however_many_are_newer() {
        let data = tempfile::tempdir().unwrap();
        let store = open(data.path()).unwrap();
        let id = |n: u128| Uuid::from_u128(n << 96);
        (1..=9).for_each(|n| store.hold(&held(id(n))).unwrap());
        let mut seen = Vec::new();
        let small = QuarantineFilter { limit: 2, ..QuarantineFilter::default() };
        listed(&store, small, |held| {
            seen.push(held.message.id);
            seen.len() < 7
        })
        .unwrap();
        assert_eq!(seen, (3..=9).rev().map(id).collect::<Vec<_>>());
        assert_eq!(find(&store, "00000001").unwrap().message.id, id(1));
        assert!(find(&store, "0000000").unwrap_err().to_string().contains("more than one"));
        assert!(find(&store, "f").unwrap_err().to_string().contains("no such message"));
    }

    #[test]
    fn what_is_not_done_leaves_no_record_that_it_was() {
        let data = tempfile::tempdir().unwrap();
        let store = open(data.path()).unwrap();
        let id = Uuid::from_u128(7);
        store.hold(&held(id)).unwrap();
        args(data.path(), &id.to_string()).decide(false).unwrap();
        let refused = args(data.path(), &id.to_string()).decide(true).unwrap_err();
        assert!(refused.to_string().ends_with("is destroyed already"), "{refused}");
        let notes = notes(data.path());
        assert_eq!(notes.len(), 1);
        assert!(notes[0].starts_with("destroyed by "), "{notes:?}");
    }
}
