//! `portcullis threats triage`: campaigns that were recognised by themselves, and what becomes of them. Every step
//! goes on record in the journal before it is done.

mod promote;
mod show;

use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use intel::campaign::{Archive, Campaign, Choice, Decision, Status};
use jiff::Timestamp;
use model::{Record, RecordKind};
use store::{Entry, Journal, Options};
use uuid::Uuid;

use super::{DataArgs, Outcome};
use crate::commands::quarantine::operator;
use crate::commands::{safe, say};
use crate::failure::Failure;

#[derive(Subcommand)]
#[command(after_help = "Examples:
  portcullis threats triage list
  portcullis threats triage show c3f9a12bc44 --bodies
  portcullis threats triage promote c3f9a12bc44 --name \"Holiday photo worm\" --dry-run
  portcullis threats triage promote c3f9a12bc44 --name \"Holiday photo worm\" --publish /srv/intel \\
      --release-key release.key --timestamp-key timestamp.key

It works beside a running gateway, which recognises campaigns and takes decisions up.")]
pub enum TriageCommand {
    /// List campaigns, newest activity first.
    List(ListArgs),
    /// Show all that is known of a campaign.
    Show(show::ShowArgs),
    /// Say that a campaign is part of another.
    Merge {
        #[command(flatten)]
        data: DataArgs,
        /// The one that goes: its id, or the beginning of it.
        id: String,
        /// The one that stays.
        into: String,
    },
    /// Give a campaign a name.
    Name {
        #[command(flatten)]
        data: DataArgs,
        /// Its id, or the beginning of it.
        id: String,
        /// The name.
        name: String,
    },
    /// Make a campaign a threat of the site's own catalogue, with indicators drafted from the evidence.
    Promote(promote::PromoteArgs),
    /// Say that a campaign is nothing to act on; it takes in what belongs to it and is not shown any more.
    Dismiss {
        #[command(flatten)]
        data: DataArgs,
        /// Its id, or the beginning of it.
        id: String,
        /// Why, for the record.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
}

#[derive(Args)]
pub struct ListArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Also those that were dismissed or merged.
    #[arg(long)]
    all: bool,
    /// At most so many.
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

/// The longest name or reason.
const LONGEST: usize = 200;

impl TriageCommand {
    pub fn run(self: Box<Self>) -> Outcome {
        match *self {
            TriageCommand::List(args) => args.run(),
            TriageCommand::Show(args) => args.run(),
            TriageCommand::Promote(args) => args.run(),
            TriageCommand::Merge { data, id, into } => {
                let data = data.directory()?;
                let archive = open(&data)?;
                let (gone, home) = (find(&archive, &id)?, find(&archive, &into)?);
                if gone.id == home.id {
                    return Err(Failure::usage(format!("{id} and {into} are the same campaign")));
                }
                let said = format!("campaign {} is part of campaign {}", gone.id, home.id);
                decide(&data, archive, &gone.id, Choice::Merge { into: home.id }, &said)
            }
            TriageCommand::Name { data, id, name } => {
                let data = data.directory()?;
                let archive = open(&data)?;
                let campaign = find(&archive, &id)?;
                let name = fit("a name", &name)?;
                let said = format!("campaign {} is named {name:?}", campaign.id);
                decide(&data, archive, &campaign.id, Choice::Name { name }, &said)
            }
            TriageCommand::Dismiss { data, id, reason } => {
                let data = data.directory()?;
                let archive = open(&data)?;
                let campaign = find(&archive, &id)?;
                if let Status::Promoted { threat } = &campaign.status {
                    let file = intel::campaign::promote::folder(&data).join(format!("{threat}.toml"));
                    return Err(Failure::work(format!("{} is in the catalogue as {threat}", campaign.id))
                        .hint(format!("take {} away to disarm it", file.display())));
                }
                let reason = reason.map(|reason| fit("a reason", &reason)).transpose()?;
                let why = reason.as_deref().map_or(String::new(), |reason| format!(": {reason}"));
                let said = format!("campaign {} is dismissed{why}", campaign.id);
                decide(&data, archive, &campaign.id, Choice::Dismiss { reason }, &said)
            }
        }
    }
}

impl ListArgs {
    fn run(self) -> Outcome {
        let data = self.data.directory()?;
        let shown =
            |campaign: &&Campaign| self.all || matches!(campaign.status, Status::Open | Status::Promoted { .. });
        for campaign in open(&data)?.all()?.iter().filter(shown).take(self.limit) {
            say(match self.json {
                true => serde_json::to_string(campaign).map_err(anyhow::Error::from)?,
                false => line(campaign),
            });
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn line(campaign: &Campaign) -> String {
    let decoys = if campaign.decoys().next().is_some() { "  decoy" } else { "" };
    format!(
        "{:<12}  {:<9}  {:>6} messages  {:>4} from  {:>4} to  {:>4} hit  {:>5} stopped  {} .. {}  {}{decoys}",
        campaign.id,
        campaign.status.as_str(),
        campaign.messages,
        campaign.senders.len(),
        campaign.recipients.len(),
        campaign.hit().0,
        campaign.stopped,
        campaign.first_seen.strftime("%Y-%m-%d %H:%M"),
        campaign.last_seen.strftime("%Y-%m-%d %H:%M"),
        safe(&campaign.title()).replace('.', "[.]"),
    )
}

/// The campaigns of a data directory.
fn open(data: &Path) -> Result<Archive, Failure> {
    if !Archive::exists(data) {
        return Err(Failure::work(format!("{}: no campaigns there", data.display()))
            .hint("a gateway looks for them by itself, unless `intel.campaigns.enabled` is false"));
    }
    Ok(Archive::open(data)?)
}

/// The campaign that an id or the beginning of one names; of one that was merged, the one it is part of.
fn find(archive: &Archive, id: &str) -> Result<Campaign, Failure> {
    let all = archive.all()?;
    let mut wanted = id.to_ascii_lowercase();
    // Merged into merged into merged: more than there can be.
    for _ in 0..64 {
        let mut fitting = all.iter().filter(|campaign| campaign.id.starts_with(&wanted));
        let exact = all.iter().find(|campaign| campaign.id == wanted);
        let found = match (exact, fitting.next(), fitting.next()) {
            (Some(exact), ..) => exact,
            (None, Some(only), None) => only,
            (None, Some(_), Some(_)) => {
                return Err(Failure::usage(format!("{}: more than one campaign begins so", safe(id)))
                    .hint("write more of the id"));
            }
            (None, None, _) => break,
        };
        match &found.status {
            Status::Merged { into } => wanted.clone_from(into),
            _ => return Ok(found.clone()),
        }
    }
    Err(Failure::work(format!("{}: no such campaign", safe(id)))
        .hint("`portcullis threats triage list --all` shows them"))
}

fn fit(what: &str, text: &str) -> Result<String, Failure> {
    let text = text.trim();
    if text.is_empty() || text.len() > LONGEST || text.chars().any(char::is_control) {
        return Err(Failure::usage(format!("{what} has 1 to {LONGEST} printable characters")));
    }
    Ok(text.to_owned())
}

/// Puts a decision on record, then into the archive.
fn decide(data: &Path, mut archive: Archive, campaign: &str, choice: Choice, said: &str) -> Outcome {
    let decision = Decision { campaign: campaign.to_owned(), at: now(), by: operator(), choice };
    on_record(data, &decision, said)?;
    archive.decide(&decision)?;
    say(said);
    Ok(ExitCode::SUCCESS)
}

/// Says in the journal who decided what; nothing is decided that nobody can be asked about.
fn on_record(data: &Path, decision: &Decision, said: &str) -> Result<(), Failure> {
    let journal = Journal::open(data, Options::operator())?;
    let mut record = Record::new(Uuid::now_v7(), decision.at, RecordKind::Administration);
    record.note = Some(format!("{said}; decided by {}", decision.by).into());
    journal.append(Entry::from(record)).wait().map_err(Failure::work)?;
    journal.close();
    Ok(())
}

fn now() -> Timestamp {
    #[allow(clippy::disallowed_methods, reason = "commands are where time enters")]
    Timestamp::now()
}

impl From<intel::campaign::archive::Error> for Failure {
    fn from(error: intel::campaign::archive::Error) -> Failure {
        Failure::work(error)
    }
}

#[cfg(test)]
mod tests;
