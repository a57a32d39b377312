//! `portcullis intel import`: what would be taken of a file, what would be refused, and what is wrong in it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use intel::Strength;
use intel::feeds::{self, Columns, Terms};
use intel::fetch::unpacked;
use intel::guard::Ruling;
use serde_json::json;

use super::super::{Outcome, safe, say};
use super::now;
use crate::config::Config;
use crate::failure::{FOUND, Failure};
use crate::roles::indicators::guard;

/// Bytes of a file, unpacked.
const MOST: u64 = 256 << 20;
/// Entries of each kind that people are shown.
const SHOWN: usize = 20;

#[derive(Args)]
#[command(after_help = "Nothing is put in force: name the file as a feed in the configuration for that.
Examples:
  portcullis intel import urlhaus.csv --format urlhaus
  portcullis intel import table.tsv --format csv --delimiter '\\t' --value 2 --json
Exit code 1: an entry was refused, weakened or wrong.")]
pub struct ImportArgs {
    /// The file; gzip is unpacked.
    file: PathBuf,
    /// Its format (`portcullis intel formats` lists them).
    #[arg(long, value_name = "F")]
    format: String,
    /// Every entry on a line of its own, for programs.
    #[arg(long)]
    json: bool,
    /// Configuration whose warning lists count.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// For csv: what stands between columns; `\t` is a tab.
    #[arg(long, value_name = "CHAR")]
    delimiter: Option<String>,
    /// For csv: the first line names the columns.
    #[arg(long)]
    header: bool,
    /// For csv: the column with the indicator, a number from 1 or a name.
    #[arg(long, value_name = "COLUMN")]
    value: Option<String>,
}

impl ImportArgs {
    pub fn run(self) -> Outcome {
        let feed = feeds::find(&self.format).ok_or_else(|| {
            let formats: Vec<&str> = feeds::names().collect();
            Failure::usage(format!("format `{}` is not known", self.format)).hint(format!("use {}", formats.join(", ")))
        })?;
        let config = self.config.as_deref().map(crate::config::load).transpose()?.unwrap_or_else(Config::default);
        let guard = guard(&config)?;
        let bytes = std::fs::read(&self.file).map_err(|e| Failure::unreadable(&self.file, &e))?;
        let bytes = unpacked(bytes, MOST).map_err(|e| Failure::work(format!("{}: {e}", self.file.display())))?;
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        let terms = Terms { fetched: Some(now()), columns: self.columns()?, ..Terms::of(feed, &name) };
        let mut sorted = Sorted::default();
        feed.read(&bytes, &terms, &mut |entry| {
            let entry = match entry {
                Ok(indicator) => {
                    let place = indicator.source.reference.clone().unwrap_or_default();
                    let (outcome, list, why) = match guard.rule(&indicator) {
                        Ruling::Take(Strength::Block) => ("block", None, None),
                        Ruling::Take(Strength::Note) => ("note", None, None),
                        Ruling::Weaken(refusal) => ("weakened", Some(refusal.list), Some(refusal.why.into_owned())),
                        Ruling::Refuse(refusal) => ("refused", Some(refusal.list), Some(refusal.why.into_owned())),
                    };
                    if self.json {
                        say(json!({"outcome": outcome, "list": list, "why": why, "indicator": indicator}).to_string());
                    }
                    (outcome, place, indicator.pattern.shown(), why, list)
                }
                Err(error) => {
                    if self.json {
                        say(json!({"outcome": "error", "place": error.place, "why": error.why}).to_string());
                    }
                    ("error", error.place, String::new(), Some(error.why), None)
                }
            };
            sorted.put(entry);
        });
        if !self.json {
            sorted.tell();
        }
        Ok(if sorted.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
    }

    fn columns(&self) -> Result<Columns, Failure> {
        let delimiter = match self.delimiter.as_deref() {
            None => None,
            Some("\\t") => Some('\t'),
            Some(text) => {
                let mut chars = text.chars();
                match (chars.next(), chars.next()) {
                    (Some(only), None) => Some(only),
                    _ => return Err(Failure::usage(format!("--delimiter: `{text}` is not one character"))),
                }
            }
        };
        let value = self.value.as_ref().map_or_else(feeds::Column::default, |text| match text.parse() {
            Ok(number) => feeds::Column::Number(number),
            Err(_) => feeds::Column::Name(text.clone()),
        });
        Ok(Columns { delimiter, header: self.header, value, ..Columns::default() })
    }
}

/// Outcome, place, pattern, reason, warning list.
type Entry = (&'static str, String, String, Option<String>, Option<std::sync::Arc<str>>);

/// Entries by what becomes of them: how many, and the first few.
#[derive(Default)]
struct Sorted {
    counts: [usize; 5],
    shown: Vec<Entry>,
}

impl Sorted {
    const OUTCOMES: [&'static str; 5] = ["block", "note", "weakened", "refused", "error"];

    fn put(&mut self, entry: Entry) {
        let Some(at) = Sorted::OUTCOMES.iter().position(|outcome| *outcome == entry.0) else { return };
        if let Some(count) = self.counts.get_mut(at) {
            *count += 1;
            if *count <= SHOWN && at >= 2 {
                self.shown.push(entry);
            }
        }
    }

    fn is_clean(&self) -> bool {
        matches!(self.counts, [_, _, 0, 0, 0])
    }

    fn tell(&self) {
        let [block, note, weakened, refused, errors] = self.counts;
        for (outcome, place, pattern, why, list) in &self.shown {
            let list = list.as_ref().map_or(String::new(), |list| format!(" [{list}]"));
            let why = why.as_deref().unwrap_or_default();
            say(safe(&format!(
                "{outcome:<9} {place}: {pattern}{}{why}{list}",
                if pattern.is_empty() { "" } else { ": " }
            )));
        }
        say(format!(
            "{} would be taken: {block} may stop a message, {} are notes ({weakened} of them weakened); {refused} refused, {errors} errors",
            block + note + weakened,
            note + weakened
        ));
    }
}
