//! `portcullis archive`: read the journal, prove it whole.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use model::{Effect, Record, RecordKind, Then};
use serde_json::json;
use store::{Stored, VerifyOptions};

use super::{DataArgs, Outcome, safe, say};
use crate::failure::{FOUND, Failure};

#[derive(Subcommand)]
pub enum ArchiveCommand {
    /// Show the newest records; bodies are shown only when asked for.
    Tail {
        #[command(flatten)]
        data: DataArgs,
        /// How many.
        #[arg(short = 'n', long, default_value_t = 20)]
        lines: usize,
        /// Go on showing records as they are made.
        #[arg(short, long)]
        follow: bool,
        /// Show what was said, too.
        #[arg(long)]
        bodies: bool,
        /// One JSON object a line: the record as the chain covers it.
        #[arg(long)]
        json: bool,
    },
    /// Prove that no record was changed, removed or put in; print the first that does not fit.
    Verify {
        #[command(flatten)]
        data: DataArgs,
        /// Check signatures with this public key instead of the one in the data directory.
        #[arg(long, value_name = "FILE")]
        public_key: Option<PathBuf>,
        /// Signed heads kept elsewhere (a copy of heads.jsonl): proves that nothing was rolled back.
        #[arg(long, value_name = "FILE")]
        heads: Option<PathBuf>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

impl ArchiveCommand {
    pub fn run(self) -> Outcome {
        match self {
            ArchiveCommand::Tail { data, lines, follow, bodies, json } => {
                let dir = data.directory()?;
                let mut reader = store::reader(&dir)?;
                let newest = reader.tail(lines)?;
                let mut position = newest.last().map_or(0, |stored| stored.position);
                for stored in newest {
                    show(&mut reader, &stored, bodies, json)?;
                }
                if follow {
                    position = position.max(if lines == 0 { reader.end()? } else { position });
                    let mut following = store::follow(&dir, position)?;
                    loop {
                        if let Some(stored) = following.next(Duration::from_secs(3_600))? {
                            show(&mut reader, &stored, bodies, json)?;
                        }
                    }
                }
                Ok(ExitCode::SUCCESS)
            }
            ArchiveCommand::Verify { data, public_key, heads, json } => {
                verify(&data.directory()?, public_key, heads, json)
            }
        }
    }
}

fn show(reader: &mut store::Reader, stored: &Stored, bodies: bool, as_json: bool) -> Result<(), Failure> {
    let body = if bodies { reader.body(stored.position)? } else { None };
    let body = body.map(|body| String::from_utf8_lossy(&body).into_owned());
    if as_json {
        let record: serde_json::Value = serde_json::from_str(&stored.json).unwrap_or_default();
        let mut line = json!({
            "position": stored.position, "writer": &*stored.writer, "seq": stored.seq, "hash": stored.hash.to_string(),
            "record": record,
        });
        if let (Some(body), Some(object)) = (&body, line.as_object_mut()) {
            object.insert("body".to_owned(), serde_json::from_str(body).unwrap_or_default());
        }
        say(line.to_string());
        return Ok(());
    }
    match stored.record() {
        Ok(record) => say(line(stored, &record, body.as_deref())),
        Err(error) => say(format!("{:>8}  unreadable record: {error}", stored.position)),
    }
    Ok(())
}

/// One record for people.
fn line(stored: &Stored, record: &Record, body: Option<&str>) -> String {
    let who = |then: &Option<Then>| then.as_ref().map_or_else(|| "-".to_owned(), |then| safe(&then.account));
    let what = match record.kind {
        RecordKind::Message => record.what.map_or("message", model::Kind::name),
        RecordKind::Release => "release",
        RecordKind::Destroy => "destroy",
        RecordKind::Login => "login",
        RecordKind::Administration => "admin",
    };
    let mut out = format!("{:>8}  {}  {what:<10}", stored.position, record.time.strftime("%Y-%m-%d %H:%M:%S%.3f"));
    match record.kind {
        RecordKind::Message => out.push_str(&format!(" {} -> {}", who(&record.from), who(&record.to))),
        RecordKind::Login => out.push_str(&format!(" {}", who(&record.from))),
        RecordKind::Release | RecordKind::Destroy | RecordKind::Administration => {}
    }
    if let Some(verdict) = record.verdict {
        out.push_str(&format!("  {}", painted(verdict)));
    }
    if !record.findings.is_empty() {
        let symbols: Vec<&str> = record.findings.iter().map(|f| &*f.symbol).collect();
        out.push_str(&format!("  [{}]", symbols.join(" ")));
    }
    if !record.rules.is_empty() {
        out.push_str(&format!("  by {}", record.rules.join(", ")));
    }
    if let Some(note) = &record.note {
        out.push_str(&format!("  {}", safe(note)));
    }
    if let Some(body) = body {
        let parts: Vec<serde_json::Value> = serde_json::from_str(body).unwrap_or_default();
        for part in parts {
            let place = part.get("place").and_then(|p| p.as_str()).unwrap_or("part");
            let text = part.get("text").and_then(|t| t.as_str()).unwrap_or("(sealed)");
            out.push_str(&format!("\n          {place}: {}", safe(text)));
        }
    }
    out
}

fn painted(effect: Effect) -> String {
    if !std::io::stdout().is_terminal() {
        return effect.name().to_owned();
    }
    let colour = match effect {
        Effect::Allow => 32,
        Effect::Warn | Effect::Redact => 33,
        Effect::Quarantine => 35,
        Effect::Block | Effect::Disconnect => 31,
    };
    format!("\u{1b}[{colour}m{}\u{1b}[0m", effect.name())
}

fn verify(dir: &std::path::Path, public_key: Option<PathBuf>, heads: Option<PathBuf>, as_json: bool) -> Outcome {
    let bar = ProgressBar::new(0).with_style(
        ProgressStyle::with_template("{bar:40} {pos}/{len} records, {per_sec}, {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let shown = bar.clone();
    let progress: Box<dyn FnMut(store::Progress)> = Box::new(move |progress| {
        shown.set_length(progress.end);
        shown.set_position(progress.position);
    });
    let options = VerifyOptions { public_key, anchored_heads: heads, progress: Some(progress) };
    let report = store::verify(dir, options)?;
    bar.finish_and_clear();
    if as_json {
        let writers: Vec<_> = report
            .writers
            .iter()
            .map(|w| json!({"writer": &*w.name, "records": w.records, "signed": w.signed, "signed_at": w.signed_at}))
            .collect();
        let bad = report
            .first_bad
            .as_ref()
            .map(|b| json!({"writer": &*b.writer, "seq": b.seq, "position": b.position, "what": b.what}));
        say(json!({
            "good": report.is_good(), "records": report.records, "segments": report.segments, "bodies": report.bodies,
            "erased": report.erased, "unsigned": report.unsigned, "bad": report.bad, "first_bad": bad, "writers": writers,
        })
        .to_string());
    } else if let Some(bad) = &report.first_bad {
        say(format!("BROKEN: record {} of {} (position {}): {}", bad.seq, bad.writer, bad.position, bad.what));
        if report.bad > 1 {
            say(format!("{} records or heads do not fit in all", report.bad));
        }
    } else {
        say(format!(
            "good: {} records in {} signed segments, {} bodies fit their commitments ({} erased), {:.1} s",
            report.records,
            report.segments,
            report.bodies,
            report.erased,
            report.elapsed.as_secs_f64()
        ));
        if report.unsigned > 0 {
            say(format!("{} newest records are chained but not signed yet", report.unsigned));
        }
    }
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}
