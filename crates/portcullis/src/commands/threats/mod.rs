//! `portcullis threats`: what attacks are known, and how many there are. One file a subcommand.

mod list;
mod report;
mod show;
mod triage;

use clap::Subcommand;
use intel::Catalogue;

use super::{DataArgs, Outcome};
use crate::failure::Failure;

#[derive(Subcommand)]
pub enum ThreatsCommand {
    /// Count attacks by month, quarter or year: a table, JSON, CSV, or a page with plots.
    Report(report::ReportArgs),
    /// List the catalogue's threats, all or some.
    List(list::ListArgs),
    /// Show all that is known of a threat, and what is not known.
    Show(show::ShowArgs),
    /// Look through campaigns: findings that repeat. Name, merge, dismiss them, or promote them to the catalogue.
    #[command(subcommand)]
    Triage(Box<triage::TriageCommand>),
}

impl ThreatsCommand {
    pub fn run(self) -> Outcome {
        match self {
            ThreatsCommand::Report(args) => args.run(),
            ThreatsCommand::List(args) => args.run(),
            ThreatsCommand::Show(args) => args.run(),
            ThreatsCommand::Triage(command) => command.run(),
        }
    }
}

/// What comes with the program, and the operator's own from `intel/catalogue` in the data directory. A data directory
/// is needed only where one is named.
fn catalogue(data: &DataArgs) -> Result<Catalogue, Failure> {
    let bundled = Catalogue::bundled();
    let folder = data.path()?.join("intel").join("catalogue");
    if !folder.is_dir() {
        return Ok(bundled.clone());
    }
    let own = Catalogue::load(&folder)
        .map_err(|problems| Failure::wrong(problems.into_iter().map(|problem| (problem.to_string(), problem.hint))))?;
    Ok(bundled.with(own.threats().iter().cloned()))
}
