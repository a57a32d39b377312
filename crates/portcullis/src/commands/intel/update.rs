//! `portcullis intel update`: one look at the repository that is followed.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use intel::update::{Outcome as Polled, Trouble};

use super::super::{Outcome, safe, say};
use super::now;
use crate::failure::{FOUND, complain};
use crate::roles;

#[derive(Args)]
#[command(after_help = "Gateways follow updates by themselves; this is for cron on a machine with a sensor:
  portcullis intel update --config /etc/portcullis/portcullis.toml
  portcullis sensor --data /var/lib/portcullis --read office.pcap

Exit code 1: what the repository offers was refused; what was in force stays.")]
pub struct UpdateArgs {
    /// The configuration with [intel.subscribe].
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl UpdateArgs {
    pub fn run(self) -> Outcome {
        let config = crate::config::load(&self.config)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|e| crate::failure::Failure::work(format!("can't start the runtime: {e}")))?;
        let polled =
            runtime.block_on(async { tokio::task::spawn_blocking(move || roles::update_once(&config, now())).await });
        match polled.map_err(|_| crate::failure::Failure::work("the look for updates broke off"))?? {
            Polled::Unchanged => say("the newest update is in force"),
            Polled::Applied(version) => say(format!("update {version} is put in force")),
            Polled::Kept { trouble: Trouble { class, what, .. }, .. } => {
                complain("error", &format!("{class}: {}", safe(&what)), Some("what was in force stays"));
                return Ok(ExitCode::from(FOUND));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
