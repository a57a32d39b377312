//! `portcullis scan --jsonl`: judge messages from a file, one JSON object a line.
//!
//! Each line is answered as it comes; state is kept from line to line, and the
//! lines' own `time` drives every window, so a simulation can be run through it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;
use judge::Judge;
use model::{Address, Body, Content, Direction, Effect, File, Kind, Message, Part, PartyKind, Place, Protocol};
use serde::{Deserialize, Serialize};

use super::Outcome;
use crate::config::Config;
use crate::failure::{FOUND, Failure};
use crate::roles;

/// Longest line that is read.
const LINE_BYTES: u64 = 16 << 20;

#[derive(Args)]
#[command(after_help = "Example line:
  {\"id\":\"1\",\"protocol\":\"xmpp\",\"from\":\"a@x\",\"to\":\"b@y\",\"time\":\"2026-11-23T04:00:00Z\",\"body\":\"...\"}

Keys: id, and one of body, html, files [{name, path, type}]; optional: protocol, from, to, time, kind, direction, room.")]
pub struct ScanArgs {
    /// Read JSON Lines.
    #[arg(long, required = true)]
    jsonl: bool,
    /// The file; standard input when left out or `-`.
    file: Option<PathBuf>,
    /// Take rules, lists and detectors from this configuration.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Policy file in place of the configured or built-in policy.
    #[arg(long, value_name = "FILE")]
    policy: Vec<PathBuf>,
    /// Exit with 1 when any verdict is at least this.
    #[arg(long, value_name = "VERDICT", value_parser = effect)]
    fail_on: Option<Effect>,
}

fn effect(name: &str) -> Result<Effect, String> {
    Effect::parse(name).ok_or_else(|| {
        let names: Vec<&str> = Effect::ALL.iter().map(|e| e.name()).collect();
        format!("not a verdict: write one of {}", names.join(", "))
    })
}

/// One line of input.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: serde_json::Value,
    #[serde(default)]
    protocol: Option<Protocol>,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    time: Option<Timestamp>,
    #[serde(default)]
    kind: Option<Kind>,
    #[serde(default)]
    direction: Option<Direction>,
    /// The recipient is a room.
    #[serde(default)]
    room: bool,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    html: Option<String>,
    #[serde(default)]
    files: Vec<LineFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LineFile {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    path: Option<PathBuf>,
    #[serde(default, rename = "type")]
    claimed_type: Option<String>,
}

/// One line of output.
#[derive(Serialize)]
struct Answer {
    id: serde_json::Value,
    verdict: &'static str,
    score: f32,
    findings: Vec<Seen>,
    rules: Vec<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<Arc<str>>,
}

#[derive(Serialize)]
struct Seen {
    symbol: String,
    score: f32,
    explain: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<String>,
}

impl ScanArgs {
    pub fn run(self) -> Outcome {
        let mut config = self.config.as_deref().map(crate::config::load).transpose()?.unwrap_or_else(Config::default);
        if !self.policy.is_empty() {
            config.policy.files.clone_from(&self.policy);
        }
        let judge = roles::judge_without_record(&config)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| Failure::work(format!("can't start the runtime: {e}")))?;
        let input: Box<dyn BufRead> = match self.file.as_deref() {
            Some(path) if path.as_os_str() != "-" => {
                let file = std::fs::File::open(path).map_err(|e| Failure::unreadable(path, &e))?;
                Box::new(BufReader::new(file))
            }
            _ => Box::new(BufReader::new(std::io::stdin())),
        };
        let worst = runtime.block_on(scan(&judge, input))?;
        let found = self.fail_on.is_some_and(|least| worst >= least);
        Ok(if found { ExitCode::from(FOUND) } else { ExitCode::SUCCESS })
    }
}

/// Answers every line; returns the strongest verdict.
async fn scan(judge: &Judge, mut input: Box<dyn BufRead>) -> Result<Effect, Failure> {
    let mut out = std::io::stdout().lock();
    let mut worst = Effect::Allow;
    let (mut bytes, mut number) = (Vec::new(), 0u64);
    loop {
        bytes.clear();
        number += 1;
        let mut limited = std::io::Read::take(&mut input, LINE_BYTES);
        let n = limited.read_until(b'\n', &mut bytes).map_err(|e| Failure::work(format!("line {number}: {e}")))?;
        if n == 0 {
            return Ok(worst);
        }
        let too_long = n as u64 == LINE_BYTES && bytes.last() != Some(&b'\n');
        if too_long {
            skip_line(&mut input).map_err(|e| Failure::work(format!("line {number}: {e}")))?;
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let answered = match too_long {
            true => Err(format!("longer than {LINE_BYTES} bytes")),
            false => judge_line(judge, &bytes).await,
        };
        let line = match answered {
            Ok((answer, effect)) => {
                worst = worst.max(effect);
                serde_json::to_string(&answer)
            }
            Err(error) => serde_json::to_string(&serde_json::json!({"id": null, "line": number, "error": error})),
        };
        let written = writeln!(out, "{}", line.unwrap_or_default()).and_then(|()| out.flush());
        if written.is_err() {
            return Ok(worst);
        }
    }
}

fn skip_line(input: &mut Box<dyn BufRead>) -> std::io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|b| *b == b'\n');
        let used = end.map_or(buffer.len(), |end| end + 1);
        input.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}

async fn judge_line(judge: &Judge, bytes: &[u8]) -> Result<(Answer, Effect), String> {
    let line: Line = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    let id = line.id.clone();
    let (ruled, score) = judge.scan(message(judge, line)?).await;
    let findings = ruled
        .findings
        .iter()
        .map(|finding| Seen {
            symbol: finding.symbol.to_string(),
            score: finding.score,
            explain: finding.explain.to_string(),
            evidence: finding.evidence.as_ref().map(|evidence| evidence.shown.to_string()),
        })
        .collect();
    let effect = ruled.verdict.effect;
    let answer = Answer {
        id,
        verdict: effect.name(),
        // The sum of nothing is a negative zero.
        score: score + 0.0,
        findings,
        rules: ruled.verdict.rules.clone(),
        notice: ruled.verdict.notice.clone(),
    };
    Ok((answer, effect))
}

/// The size of a file that can be looked into.
fn readable(path: &Path) -> Result<u64, String> {
    let unreadable = |why: &dyn std::fmt::Display| format!("{}: can't be read: {why}", path.display());
    // Asked first: opening a pipe would wait for its writer.
    let about = std::fs::metadata(path).map_err(|e| unreadable(&e))?;
    if !about.is_file() {
        return Err(unreadable(&"not a regular file"));
    }
    std::fs::File::open(path).map_err(|e| unreadable(&e))?;
    Ok(about.len())
}

fn message(judge: &Judge, line: Line) -> Result<Message, String> {
    if line.body.is_none() && line.html.is_none() && line.files.is_empty() {
        return Err("no content: one of body, html and files is needed".to_owned());
    }
    let protocol = line.protocol.unwrap_or(Protocol::Xmpp);
    let party = |text: Option<String>, kind| {
        let text = text.unwrap_or_default();
        let address = match (protocol, text.split_once('/')) {
            (Protocol::Xmpp, Some((bare, resource))) => Address { account: bare.into(), device: Some(resource.into()) },
            _ => Address::account(text),
        };
        judge.party(protocol, address, kind)
    };
    let kind = line.kind.unwrap_or(if line.files.is_empty() { Kind::Message } else { Kind::File });
    let to_kind = if line.room { PartyKind::Room } else { PartyKind::Person };
    let time = line.time.unwrap_or_else(|| judge.now());
    let direction = line.direction.unwrap_or(Direction::FromClient);
    let mut message =
        Message::new(protocol, kind, direction, time, party(line.from, PartyKind::Person), party(line.to, to_kind));
    if let Some(body) = line.body {
        message.say(Place::Body, body);
    }
    if let Some(html) = line.html {
        message.parts.push(Part { place: Place::Html, lang: None, body: Body::Html(html.into()) });
    }
    for file in line.files {
        if let Some(name) = &file.name {
            message.say(Place::FileName, name.as_str());
        }
        let size = file.path.as_deref().map(readable).transpose()?;
        message.files.push(File {
            name: file.name.map(Into::into),
            claimed_type: file.claimed_type.map(Into::into),
            size,
            content: file.path.map_or(Content::Offered, Content::Spooled),
        });
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_can_not_be_read_fails_its_line_alone() {
        let judge = roles::judge_without_record(&Config::default()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let judged = |path: &Path| {
            let line = serde_json::json!({"id": "1", "files": [{"path": path}]}).to_string();
            runtime.block_on(judge_line(&judge, line.as_bytes())).map(|(answer, _)| answer.verdict)
        };
        for unreadable in [folder.path(), &folder.path().join("missing")] {
            let error = judged(unreadable).unwrap_err();
            assert!(error.contains("can't be read"), "{error}");
        }
        let there = folder.path().join("note.txt");
        std::fs::write(&there, "see you at noon").unwrap();
        assert!(judged(&there).is_ok());
    }
}
