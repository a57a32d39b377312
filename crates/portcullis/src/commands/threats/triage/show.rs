//! `portcullis threats triage show`: one campaign, for people and for programs.

use std::process::ExitCode;

use clap::Args;
use intel::campaign::{Campaign, KeyKind, Sample, Status, hour_of};

use super::{DataArgs, Outcome, find, open};
use crate::commands::{safe, say};
use crate::failure::Failure;

#[derive(Args)]
pub struct ShowArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Its id, or the beginning of it.
    id: String,
    /// Show what the samples say, from the journal.
    #[arg(long)]
    bodies: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Senders, recipients and keys that are shown.
const SHOWN: usize = 20;
/// Columns of the timeline.
const COLUMNS: i64 = 60;

impl ShowArgs {
    pub fn run(self) -> Outcome {
        let data = self.data.directory()?;
        let campaign = find(&open(&data)?, &self.id)?;
        if self.json {
            say(serde_json::to_string_pretty(&campaign).map_err(anyhow::Error::from)?);
            return Ok(ExitCode::SUCCESS);
        }
        lines(&campaign).into_iter().for_each(say);
        if self.bodies {
            let mut reader = store::reader(&data)?;
            for sample in &campaign.samples {
                say(format!("\n{}", reference(sample)));
                said(&mut reader, sample)?.into_iter().for_each(say);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A campaign for people.
fn lines(campaign: &Campaign) -> Vec<String> {
    let mut lines = vec![safe(&campaign.title()).replace('.', "[.]")];
    let mut field = |label: &str, value: String| lines.push(format!("{label:<11} {value}"));
    field("id", campaign.id.clone());
    field(
        "status",
        match &campaign.status {
            Status::Promoted { threat } => format!("promoted: {}", safe(threat)),
            Status::Dismissed { reason: Some(reason) } => format!("dismissed: {}", safe(reason)),
            status => status.as_str().to_owned(),
        },
    );
    let time = |time: jiff::Timestamp| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    field("seen", format!("{} to {}", time(campaign.first_seen), time(campaign.last_seen)));
    let counted = |counts: &std::collections::BTreeMap<Box<str>, u64>| {
        let mut counts: Vec<_> = counts.iter().collect();
        counts.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), (*name).clone()));
        counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
    };
    field("messages", format!("{} ({})", campaign.messages, counted(&campaign.verdicts)));
    let (accounts, people) = campaign.hit();
    field("hit", format!("{accounts} accounts received some, {people} of them known people"));
    let decoys: Vec<String> = campaign.decoys().map(safe).collect();
    if !decoys.is_empty() {
        field("decoys", decoys.join(", "));
    }
    field("found", counted(&campaign.symbols));
    if !campaign.techniques.is_empty() {
        field("techniques", campaign.techniques.iter().cloned().collect::<Vec<_>>().join(", "));
    }
    let (bars, from, hours) = timeline(campaign);
    field("timeline", format!("{bars}  from {from}, {hours} a column"));

    let mut keys: Vec<_> = campaign.keys.iter().collect();
    keys.sort_by_key(|(key, shared)| (std::cmp::Reverse(shared.messages), (*key).clone()));
    lines.push(format!("\nshared ({})", campaign.keys.len()));
    for (key, shared) in keys.into_iter().take(SHOWN) {
        let value = match key.kind() {
            KeyKind::Url => safe(key.value()).replace("://", "[:]//").replace('.', "[.]"),
            _ => safe(key.value()),
        };
        let (kind, shared, bad) = (key.kind().as_str(), shared.messages, shared.suspicious);
        lines.push(format!("  {kind:<8} {shared:>6} messages, {bad:>6} suspicious  {value}"));
    }
    let mut senders: Vec<_> = campaign.senders.iter().collect();
    senders.sort_by_key(|(account, sender)| (std::cmp::Reverse(sender.messages), (*account).clone()));
    lines.push(format!("\nsenders ({})", campaign.senders.len()));
    for (account, sender) in senders.into_iter().take(SHOWN) {
        let role = if sender.is_implicated() { "" } else { "  passed it on" };
        lines.push(format!("  {:>6}  {}{}{role}", sender.messages, safe(account), person(sender.person.as_deref())));
    }
    let mut recipients: Vec<_> = campaign.recipients.iter().collect();
    recipients.sort_by_key(|(account, to)| (std::cmp::Reverse((to.delivered, to.messages)), (*account).clone()));
    lines.push(format!("\nrecipients ({})", campaign.recipients.len()));
    for (account, to) in recipients.into_iter().take(SHOWN) {
        let decoy = if to.decoy { "  decoy" } else { "" };
        let (messages, person) = (to.messages, person(to.person.as_deref()));
        lines.push(format!("  {messages:>6}  {} delivered  {}{person}{decoy}", to.delivered, safe(account)));
    }
    lines.push(format!("\nsamples ({})", campaign.samples.len()));
    lines.extend(campaign.samples.iter().map(|sample| format!("  {}", reference(sample))));
    lines
}

fn person(id: Option<&str>) -> String {
    id.map_or(String::new(), |id| format!(" ({})", safe(id)))
}

fn reference(sample: &Sample) -> String {
    let (from, to) = (safe(&sample.from), safe(&sample.to));
    let (time, verdict) = (sample.time.strftime("%m-%d %H:%M:%S"), sample.verdict.name());
    format!("{}  {time}  {verdict:<10}  {from} -> {to}  {}", sample.record, sample.symbols.join(" "))
}

/// What a sample says: the body that the journal kept, if it is that record's and was not erased.
fn said(reader: &mut store::Reader, sample: &Sample) -> Result<Vec<String>, Failure> {
    let is_it = match reader.after(sample.position.saturating_sub(1)).next().transpose()? {
        Some(stored) if stored.position == sample.position => {
            stored.record().is_ok_and(|record| record.id == sample.record)
        }
        _ => false,
    };
    let body = if is_it { reader.body(sample.position)? } else { None };
    let parts: Vec<serde_json::Value> = body.and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
    if parts.is_empty() {
        return Ok(vec!["  (no body was kept)".to_owned()]);
    }
    let part = |part: &serde_json::Value| {
        let place = part.get("place").and_then(|place| place.as_str()).unwrap_or("part");
        let text = part.get("text").and_then(|text| text.as_str()).unwrap_or("(sealed)");
        format!("  {place}: {}", safe(text))
    };
    Ok(parts.iter().map(part).collect())
}

/// Bars of messages over time, where they begin, and what one stands for.
fn timeline(campaign: &Campaign) -> (String, String, String) {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let (Some((&first, _)), Some((&last, _))) =
        (campaign.timeline.first_key_value(), campaign.timeline.last_key_value())
    else {
        return Default::default();
    };
    let width = (last - first) / COLUMNS + 1;
    let mut columns = vec![0u64; usize::try_from((last - first) / width + 1).unwrap_or(1)];
    for (hour, count) in &campaign.timeline {
        let at = usize::try_from((hour - first) / width).unwrap_or_default();
        if let Some(column) = columns.get_mut(at) {
            *column += u64::from(*count);
        }
    }
    let most = columns.iter().copied().max().unwrap_or(1).max(1);
    let bar = |count: &u64| match usize::try_from((count * 8).div_ceil(most)).unwrap_or_default() {
        0 => ' ',
        height => BARS.get(height - 1).copied().unwrap_or('█'),
    };
    let from = hour_of(first).map(|time| time.strftime("%Y-%m-%d %H:00").to_string()).unwrap_or_default();
    let hours = if width == 1 { "an hour".to_owned() } else { format!("{width} hours") };
    (columns.iter().map(bar).collect(), from, hours)
}
