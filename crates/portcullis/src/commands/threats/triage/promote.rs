//! `portcullis threats triage promote`: from a campaign to a threat of the site's own catalogue, and on to everybody
//! who follows a repository.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use intel::campaign::{Choice, Decision, Draft, Drafting, Status, Terms, draft, held_against, promote};
use intel::guard::Guard;
use intel::update::{Expiry, Keys, SecretKey};
use intel::{Catalogue, Kind, Strength, Tlp};
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use serde_json::json;

use super::{DataArgs, Outcome, find, fit, now, on_record, open};
use crate::commands::quarantine::operator;
use crate::commands::{safe, say};
use crate::failure::{Failure, complain};
use crate::roles::{WITNESSES, guard, month_before};

#[derive(Args)]
pub struct PromoteArgs {
    #[command(flatten)]
    data: DataArgs,
    /// The campaign: its id, or the beginning of it.
    id: String,
    /// What the threat is called (default: the campaign's name).
    #[arg(long)]
    name: Option<String>,
    /// The threat's id (default: made of the name).
    #[arg(long, value_name = "ID")]
    threat: Option<String>,
    /// What kind of attack it is (default: what it looks like).
    #[arg(long, value_parser = kind)]
    kind: Option<Kind>,
    /// How far it may be passed on: clear, green, amber, amber+strict or red.
    #[arg(long, value_name = "MARK", default_value = "amber", value_parser = mark)]
    tlp: Tlp,
    /// How long the indicators hold, as 7d or 12h (default: until somebody takes them back).
    #[arg(long, value_name = "SPAN", value_parser = span)]
    valid_for: Option<SignedDuration>,
    /// Only show what would be drafted.
    #[arg(long)]
    dry_run: bool,
    /// Also publish it: into this repository's bundle, beside what is in it.
    #[arg(long, value_name = "REPO", requires_all = ["release_key", "timestamp_key"])]
    publish: Option<PathBuf>,
    /// Release key to publish with.
    #[arg(long, value_name = "FILE")]
    release_key: Vec<PathBuf>,
    /// Timestamp key to publish with.
    #[arg(long, value_name = "FILE")]
    timestamp_key: Vec<PathBuf>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl PromoteArgs {
    pub fn run(self) -> Outcome {
        let data = self.data.directory()?;
        let mut archive = open(&data)?;
        let campaign = find(&archive, &self.id)?;
        if let Status::Promoted { threat } = &campaign.status {
            return Err(Failure::work(format!("{} is in the catalogue already, as {threat}", campaign.id))
                .hint("change its file in the data directory under intel/catalogue"));
        }
        let name = fit("a name", self.name.as_deref().unwrap_or(&campaign.title()))?;
        let id = self.threat_id(&name, &campaign.id)?;
        let now = now();
        let until = self.valid_for.map(|span| now.checked_add(span).unwrap_or(Timestamp::MAX));
        let guard = match &self.data.config {
            Some(file) => guard(&crate::config::load(file)?)?,
            None => Guard::bundled(),
        };
        let terms = Terms { threat: &id, feed: "triage", now, until, marking: self.tlp };
        let drafting = Drafting::new(&campaign, &guard, &terms);
        let (drafts, looked) = held_against(drafting, &data, month_before(now), WITNESSES)?;
        let kind = self.kind.unwrap_or_else(|| draft::looks_like(&campaign));
        let mut threat = promote::threat(&campaign, id.clone(), name, kind, self.tlp);
        threat.indicators = drafts.iter().filter(|draft| !draft.refused).map(|draft| draft.indicator.clone()).collect();
        if !self.json {
            say(format!("{} ({kind}), held against {looked} records of the past month", safe(&threat.name)));
            drafts.iter().map(line).for_each(say);
        }
        if !self.dry_run && drafts.iter().all(|draft| draft.indicator.strength == Strength::Note || draft.refused) {
            complain("warning", "none of the indicators may stop a message", None);
        }
        let (mut file, mut release) = (None, None);
        if !self.dry_run {
            let keys = self.keys()?;
            let choice = Choice::Promote { threat: id.clone() };
            let decision = Decision { campaign: campaign.id.clone(), at: now, by: operator(), choice };
            let said = format!("campaign {} is promoted to threat {id}", campaign.id);
            on_record(&data, &decision, &said)?;
            let written = promote::write(&data, &threat)?;
            archive.decide(&decision)?;
            if let Some(repository) = &self.publish {
                let said = format!("threat {id} is published to {}", repository.display());
                on_record(&data, &decision, &said)?;
                let own = [threat.clone()];
                let most = Tlp::AmberStrict;
                let published = promote::publish(repository, &own, &[], most, &keys, now, Expiry::default())?;
                release = Some(published.release);
            }
            if !self.json {
                say(format!("written to {}", written.display()));
                if let Some(release) = release {
                    say(format!("published as release {release}"));
                }
            }
            file = Some(written);
        }
        if self.json {
            let drafts: Vec<_> = drafts.iter().map(as_json).collect();
            let all = json!({
                "campaign": campaign.id, "threat": threat, "drafts": drafts, "records": looked, "file": file,
                "release": release,
            });
            say(serde_json::to_string_pretty(&all).map_err(anyhow::Error::from)?);
        }
        Ok(ExitCode::SUCCESS)
    }

    /// An id that nothing in the catalogue has.
    fn threat_id(&self, name: &str, campaign: &str) -> Result<String, Failure> {
        let bundled = Catalogue::bundled();
        if let Some(id) = &self.threat {
            if *id != promote::slug(id) || id.starts_with("decoy-") {
                return Err(Failure::usage(format!("{}: not an id", safe(id)))
                    .hint("write lower-case letters, digits and hyphens; `decoy-` is the gateway's own"));
            }
            return match bundled.get(id) {
                Some(_) => Err(Failure::usage(format!("{id}: there is a threat of that id already"))),
                None => Ok(id.clone()),
            };
        }
        let id = promote::slug(name);
        let free = !id.is_empty() && !id.starts_with("decoy-") && bundled.get(&id).is_none();
        Ok(if free { id } else { format!("local-{campaign}") })
    }

    /// The keys to publish with, read before anything is decided.
    fn keys(&self) -> Result<Keys, Failure> {
        let read = |files: &[PathBuf]| -> Result<Vec<SecretKey>, Failure> {
            files.iter().map(|file| SecretKey::read(file).map_err(Failure::usage)).collect()
        };
        Ok(Keys { release: read(&self.release_key)?, timestamp: read(&self.timestamp_key)? })
    }
}

fn line(draft: &Draft) -> String {
    let what = match (draft.refused, draft.indicator.strength) {
        (true, _) => "refused",
        (false, Strength::Block) => "block",
        (false, Strength::Note) => "note",
    };
    let against = draft.against.as_deref().map_or(String::new(), |why| format!("  {}", safe(why)));
    format!("  {what:<8} {}{against}", safe(&draft.indicator.pattern.shown()))
}

fn as_json(draft: &Draft) -> serde_json::Value {
    json!({
        "indicator": draft.indicator, "messages": draft.messages, "refused": draft.refused, "against": draft.against,
        "bystanders": {
            "messages": draft.bystanders.messages, "people": draft.bystanders.people,
            "example": draft.bystanders.example,
        },
    })
}

fn kind(name: &str) -> Result<Kind, String> {
    let names = || Kind::ALL.map(Kind::as_str).join(", ");
    Kind::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or_else(|| format!("not a kind: {}", names()))
}

fn mark(name: &str) -> Result<Tlp, String> {
    serde_json::from_value(name.into()).map_err(|_| "not a mark: clear, green, amber, amber+strict or red".to_owned())
}

fn span(text: &str) -> Result<SignedDuration, String> {
    let wrong = || "not a time span; write it as 7d, 12h or 30m".to_owned();
    let span: Span = text.parse().map_err(|_| wrong())?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    if duration.is_positive() { Ok(duration) } else { Err(wrong()) }
}

impl From<promote::PromoteError> for Failure {
    fn from(error: promote::PromoteError) -> Failure {
        match error {
            promote::PromoteError::Taken { .. } => {
                Failure::usage(error).hint("give another one with --threat, or another --name")
            }
            error => Failure::work(error),
        }
    }
}
