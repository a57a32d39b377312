//! `portcullis sensor`: name what captures hold, and say what can be named.

use std::fs;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use intel::update::{Subscription, folder};
use model::Category;
use sensor::apps::{self, Catalogue};
use sensor::capture::{Capture, CaptureError};
use sensor::eve::{Eve, Output, Rotation};
use sensor::event::Sink;
use sensor::summary::Summary;
use sensor::{Limits, read};

use super::{Outcome, safe, say};
use crate::failure::{Failure, WORK, complain};

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "Examples:
  portcullis sensor --read office.pcap                          a table of what is in it
  portcullis sensor --read *.pcapng.gz --eve - | jq .im         every flow as EVE JSON
  portcullis sensor --read big.pcap --eve eve.json --progress   with a bar, into a file
  portcullis sensor apps whatsapp                               how an application is known
  portcullis sensor --apps ours/ --read office.pcap             with entries of your own

A damaged capture gives what could be read, an anomaly event and a warning; the exit code is then 3.")]
pub struct SensorArgs {
    #[command(subcommand)]
    command: Option<SensorCommand>,
    #[command(flatten)]
    read: ReadArgs,
}

#[derive(Subcommand)]
enum SensorCommand {
    /// List the applications that are known, or explain one.
    Apps(AppsArgs),
}

/// Which applications are known.
#[derive(Args)]
struct KnownArgs {
    /// Take application entries from the .toml files of this folder, too; they go before what is built in.
    #[arg(long, value_name = "DIR")]
    apps: Vec<PathBuf>,
    /// Take application signatures from the signed update in force in this data directory, too.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Args)]
struct AppsArgs {
    /// Explain this application: hosts, certificates, fingerprints, classifiers.
    id: Option<String>,
    /// For programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    known: KnownArgs,
}

#[derive(Args)]
struct ReadArgs {
    /// Capture files (pcap, pcapng, gzip of either), or folders of them and of other things, which are left out; each is
    /// read with fresh tables.
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    read: Vec<PathBuf>,
    /// Write EVE JSON lines here; `-` is standard output.
    #[arg(long, value_name = "PATH")]
    eve: Option<PathBuf>,
    /// Begin a new EVE file after so many megabytes; 0 is never.
    #[arg(long, value_name = "MB", default_value_t = 0)]
    eve_max_size: u64,
    /// Old EVE files to keep.
    #[arg(long, value_name = "N", default_value_t = 5)]
    eve_keep: usize,
    /// The sensor's name in events.
    #[arg(long, value_name = "NAME", default_value = "portcullis")]
    name: String,
    #[command(flatten)]
    known: KnownArgs,
    /// Show a bar with rate and remaining time.
    #[arg(long)]
    progress: bool,
    /// Leave out the table at the end.
    #[arg(long)]
    quiet: bool,
}

impl SensorArgs {
    pub fn run(self) -> Outcome {
        match self.command {
            Some(SensorCommand::Apps(args)) => args.run(),
            None => self.read.run(),
        }
    }
}

impl ReadArgs {
    fn run(self) -> Outcome {
        let catalogue = self.known.catalogue()?;
        let mut damaged = false;
        let files = captures(&self.read, &mut damaged);
        let bar = bar(self.progress, &files);
        let mut summary = Summary::default();
        let mut eve = match &self.eve {
            Some(path) => {
                let rotation = Rotation { max_bytes: self.eve_max_size << 20, keep: self.eve_keep };
                let output = Output::open(path, rotation).map_err(|error| {
                    Failure::work(format!("{}: can't be written: {error}", path.display()))
                        .hint("name a file in a folder that this user may write to, or - for standard output")
                })?;
                Some(Eve::new(output, &self.name))
            }
            None => None,
        };
        let mut done = 0;
        for file in &files {
            let mut progress = |bytes: u64, packets: u64| {
                bar.set_position(done + bytes);
                bar.set_message(format!("{packets} packets of {}", safe(&file.to_string_lossy())));
            };
            let whole = match &mut eve {
                Some(eve) => {
                    eve.capture(&file.to_string_lossy());
                    let outcome = one(file, catalogue, &mut (&mut *eve, &mut summary), &mut progress);
                    match &outcome {
                        Ok(read::Outcome { counters, last, error }) => {
                            if let Some(error) = error {
                                eve.damaged(*last, &error.to_string());
                            }
                            eve.stats(*last, counters);
                        }
                        Err(error) => eve.damaged(0, &error.to_string()),
                    }
                    outcome
                }
                None => one(file, catalogue, &mut summary, &mut progress),
            };
            done += fs::metadata(file).map_or(0, |metadata| metadata.len());
            if let Err(error) | Ok(read::Outcome { error: Some(error), .. }) = whole {
                damaged = true;
                bar.suspend(|| tell_why(file, &error));
            }
            if eve.as_ref().is_some_and(Eve::failed) {
                break;
            }
        }
        bar.finish_and_clear();
        let ended = if damaged { ExitCode::from(WORK) } else { ExitCode::SUCCESS };
        if let Some(eve) = &mut eve
            && let Err(error) = eve.flush()
        {
            // A reader that has gone away has what it wanted.
            if error.kind() == std::io::ErrorKind::BrokenPipe {
                return Ok(ended);
            }
            return Err(
                Failure::work(format!("events can't be written: {error}")).hint("make room, or name another file")
            );
        }
        if !self.quiet {
            tell(&summary, catalogue, self.eve.is_none());
        }
        Ok(ended)
    }
}

fn one(
    file: &Path,
    catalogue: &'static Catalogue,
    sink: &mut impl Sink,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<read::Outcome, CaptureError> {
    let mut capture = Capture::open(file)?;
    Ok(read::capture(&mut capture, Limits::default(), catalogue, sink, progress))
}

/// The files that were named, and those in folders that were named, in order.
fn captures(named: &[PathBuf], damaged: &mut bool) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in named {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        match fs::read_dir(path) {
            Ok(entries) => {
                let mut inside: Vec<PathBuf> =
                    entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file()).collect();
                inside.sort();
                let (others, inside): (Vec<_>, Vec<_>) = inside.into_iter().partition(|file| is_something_else(file));
                tell_left_out(path, &others);
                *damaged |= inside.is_empty();
                files.extend(inside);
            }
            Err(error) => {
                *damaged = true;
                tell_why(path, &error.into());
            }
        }
    }
    files
}

/// Whether a file in a folder neither begins as a capture does nor is called one: lists and notes lie beside them.
fn is_something_else(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let called = name.contains(".pcap") || name.ends_with(".cap") || name.ends_with(".gz");
    !called && matches!(Capture::open(file), Err(CaptureError::Unknown(_)))
}

fn tell_left_out(folder: &Path, files: &[PathBuf]) {
    const TOLD: usize = 5;
    if files.is_empty() {
        return;
    }
    let names = files.iter().take(TOLD).filter_map(|file| file.file_name());
    let mut names: Vec<String> = names.map(|name| safe(&name.to_string_lossy())).collect();
    if files.len() > TOLD {
        names.push(format!("and {} more", files.len() - TOLD));
    }
    let folder = safe(&folder.to_string_lossy());
    complain("note", &format!("{folder}: left out what is no capture: {}", names.join(", ")), None);
}

/// Says why a file was not read to its end: a warning where something was there to read, an error where not.
fn tell_why(file: &Path, error: &CaptureError) {
    let (how_bad, hint) = match error {
        CaptureError::Io(_) => ("error", "name an existing file that this user may read"),
        CaptureError::Unknown(_) => ("warning", "captures are pcap or pcapng, plain or packed with gzip"),
        CaptureError::Truncated { .. } | CaptureError::Damaged { .. } => {
            ("warning", "what came before was read; write the capture again, or repair it with `editcap`")
        }
    };
    complain(how_bad, &format!("{}: {error}", safe(&file.to_string_lossy())), Some(hint));
}

fn bar(wanted: bool, files: &[PathBuf]) -> ProgressBar {
    if !wanted {
        return ProgressBar::hidden();
    }
    let total = files.iter().filter_map(|file| fs::metadata(file).ok()).map(|metadata| metadata.len()).sum();
    let template = "{bar:30} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left: {wide_msg}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style)
}

/// The table at the end: on standard output, unless events go there.
fn tell(summary: &Summary, catalogue: &Catalogue, on_stdout: bool) {
    let colour = if on_stdout { std::io::stdout().is_terminal() } else { std::io::stderr().is_terminal() };
    let mut text = String::new();
    let rows = summary.rows(catalogue);
    if !rows.is_empty() {
        let width = rows.iter().map(|row| row.application.chars().count()).max().unwrap_or(0).max(11);
        text += &format!(
            "{:width$}  {:7}  {:>8}  {:>6}  {:>9}  {:11}  {}\n",
            "application", "kind", "flows", "hosts", "bytes", "surest by", "platforms"
        );
        for row in rows {
            let platforms: Vec<String> =
                row.platforms.iter().map(|(platform, flows)| format!("{platform} {flows}")).collect();
            let kind = format!("{:7}", row.category.as_str());
            let kind = if colour { format!("\u{1b}[{}m{kind}\u{1b}[0m", colour_of(row.category)) } else { kind };
            let line = format!(
                "{:width$}  {kind}  {:>8}  {:>6}  {:>9}  {:11}  {}",
                row.application,
                row.flows,
                row.hosts,
                size(row.bytes),
                row.surest.as_str(),
                platforms.join(", ")
            );
            text += line.trim_end();
            text.push('\n');
        }
    }
    text += &format!(
        "{} flows: {} named, {} with candidates only, {} not instant messaging or peer-to-peer as far as can be told; {} anomalies",
        summary.flows,
        summary.named,
        summary.candidates,
        summary.flows - summary.named - summary.candidates,
        summary.anomalies
    );
    if on_stdout {
        say(text);
    } else {
        let _ = writeln!(std::io::stderr(), "{text}");
    }
}

fn colour_of(category: Category) -> u8 {
    match category {
        Category::Im => 36,
        Category::Uc => 32,
        Category::P2p => 33,
        Category::P2ptv => 35,
        Category::P2pcoin => 93,
        Category::Anon => 31,
    }
}

fn size(bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", units[unit]) }
}

impl KnownArgs {
    /// The bundled applications, over them those of the update in force, over these the operator's own.
    fn catalogue(&self) -> Result<&'static Catalogue, Failure> {
        let mut folders = Vec::new();
        if let Some(data) = &self.data {
            let bundle = Subscription::last_good(&folder(data)).map_err(Failure::work)?;
            folders.extend(bundle.and_then(|bundle| bundle.apps()));
        }
        folders.extend(self.apps.iter().cloned());
        if folders.is_empty() {
            return Ok(Catalogue::bundled());
        }
        match Catalogue::load(&folders) {
            // One for the life of the process.
            Ok(catalogue) => Ok(Box::leak(Box::new(catalogue))),
            Err(problems) => Err(Failure::wrong(problems.into_iter().map(|p| (p.to_string(), p.hint)))),
        }
    }
}

impl AppsArgs {
    fn run(self) -> Outcome {
        let catalogue = self.known.catalogue()?;
        let text = match &self.id {
            Some(id) => {
                let known = apps::explain(catalogue, id)
                    .map_err(|why| Failure::usage(why).hint("`portcullis sensor apps` lists all of them"))?;
                if self.json { json(&known)? } else { known.to_string() }
            }
            None if self.json => json(&apps::rows(catalogue))?,
            None => apps::table(catalogue),
        };
        say(text.trim_end());
        Ok(ExitCode::SUCCESS)
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(|error| Failure::work(format!("can't be written as JSON: {error}")))
}
