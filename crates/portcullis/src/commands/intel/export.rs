//! `portcullis intel export`: what is known, as a STIX 2.1 bundle that only holds what may be passed on.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use intel::feeds::Terms;
use intel::fetch::Folder;
use intel::stix::{Export, Objects, export};
use intel::{Catalogue, Indicator, Tlp};

use super::super::{Outcome, say};
use super::now;
use crate::config::Config;
use crate::failure::{Failure, complain};
use crate::roles::feeds::subscriptions;

/// Indicators of feeds that go into one file.
const MOST: usize = 500_000;

#[derive(Args)]
#[command(after_help = "Examples:
  portcullis intel export --stix threats.json --tlp clear
  portcullis intel export --stix - --tlp green --config portcullis.toml --feeds")]
pub struct ExportArgs {
    /// The file to write; `-` for standard output.
    #[arg(long, value_name = "FILE")]
    stix: PathBuf,
    /// The strictest marking that may go out: clear, green, amber, amber+strict or red.
    #[arg(long, value_name = "MARK", value_parser = mark)]
    tlp: Tlp,
    /// Also what feeds gave, as far as their marking lets it out.
    #[arg(long, requires = "config")]
    feeds: bool,
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// In whose name.
    #[arg(long, value_name = "NAME", default_value = "portcullis")]
    author: String,
}

fn mark(text: &str) -> Result<Tlp, String> {
    serde_json::from_value(text.into())
        .map_err(|_| "not a TLP marking: write clear, green, amber, amber+strict or red".to_owned())
}

impl ExportArgs {
    pub fn run(self) -> Outcome {
        let config = self.config.as_deref().map(crate::config::load).transpose()?.unwrap_or_else(Config::default);
        let indicators = if self.feeds { of_feeds(&config)? } else { Vec::new() };
        let exported = export(&Export {
            threats: Catalogue::bundled().threats(),
            indicators: &indicators,
            kept: &Objects::default(),
            ceiling: self.tlp,
            as_of: now(),
            author: &self.author,
        });
        for error in &exported.errors {
            complain("warning", &error.to_string(), None);
        }
        let bundle = exported.objects.to_bundle();
        let told = format!(
            "{} objects written, {} withheld by their marking",
            exported.objects.len(),
            exported.withheld.len()
        );
        if self.stix.as_os_str() == "-" {
            say(bundle);
            return Ok(ExitCode::SUCCESS);
        }
        let unwritable = |e: std::io::Error| Failure::work(format!("{}: can't be written: {e}", self.stix.display()));
        let mut file = std::fs::File::create(&self.stix).map_err(unwritable)?;
        file.write_all(bundle.as_bytes()).map_err(unwritable)?;
        say(told);
        Ok(ExitCode::SUCCESS)
    }
}

/// What the feeds in force hold.
fn of_feeds(config: &Config) -> Result<Vec<Indicator>, Failure> {
    let mut all = Vec::new();
    for feed in subscriptions(config)? {
        let folder = Folder::of(&config.data_dir(), feed.name());
        let state = folder.state().map_err(Failure::work)?;
        let Some(bytes) = folder.good().map_err(Failure::work)? else { continue };
        let terms = Terms { fetched: state.fetched, ..feed.subscription.terms.clone() };
        feed.subscription.feed.read(&bytes, &terms, &mut |entry| {
            if let Ok(indicator) = entry {
                all.push(indicator);
            }
        });
        if all.len() > MOST {
            return Err(Failure::work(format!("more than {MOST} indicators"))
                .hint("publish them with `portcullis intel publish`, or export without --feeds"));
        }
    }
    Ok(all)
}
