//! The command line: one file a command.

mod archive;
mod config;
mod gateway;
mod intel;
mod policy;
mod quarantine;
mod scan;
mod sensor;
mod threats;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::failure::Failure;
use crate::roles;

/// What a command comes to: an exit code, or a failure that says why.
pub type Outcome = Result<ExitCode, Failure>;

/// Instant-messaging security for self-hosted chat: guard, record, prove.
#[derive(Parser)]
#[command(name = "portcullis", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Examples:
  portcullis gateway xmpp --listen 0.0.0.0:5222 --upstream 127.0.0.1:15222 --upstream-insecure
  portcullis run --config /etc/portcullis/portcullis.toml
  portcullis sensor --read office.pcap --eve eve.json
  portcullis quarantine list
  portcullis archive verify

Exit codes: 0 done; 1 found what the command looks for; 2 usage or configuration; 3 could not do the work.")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run every role that the configuration names, in one process.
    Run(RunArgs),
    /// Run the gateway: in front of one server by flags, or by a configuration file.
    Gateway(gateway::GatewayArgs),
    /// Name the instant messaging and peer-to-peer flows in captures.
    Sensor(sensor::SensorArgs),
    /// Judge messages from a JSON Lines file or standard input, without a server.
    Scan(scan::ScanArgs),
    /// List, show, release or destroy messages kept for review.
    #[command(subcommand)]
    Quarantine(quarantine::QuarantineCommand),
    /// Read the journal and prove that nothing in it was changed.
    #[command(subcommand)]
    Archive(archive::ArchiveCommand),
    /// Signed updates: keys, publishing, versions everywhere.
    #[command(subcommand)]
    Intel(intel::IntelCommand),
    /// The threat catalogue and its statistics.
    #[command(subcommand)]
    Threats(threats::ThreatsCommand),
    /// Check and test policy files.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Check the configuration and print its reference.
    #[command(subcommand)]
    Config(config::ConfigCommand),
}

/// `run` and the roles alone.
#[derive(Args)]
struct RunArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Where the data is.
#[derive(Args, Clone, Debug)]
pub struct DataArgs {
    /// Data directory of the gateway.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    data: Option<PathBuf>,
    /// Configuration file that names it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl DataArgs {
    /// Where it is, whether or not it is there.
    pub fn path(&self) -> Result<PathBuf, Failure> {
        Ok(match (&self.data, &self.config) {
            (Some(dir), _) => dir.clone(),
            (None, Some(file)) => crate::config::load(file)?.data_dir(),
            (None, None) => crate::config::default_data_dir(),
        })
    }

    /// The directory, which must exist.
    pub fn directory(&self) -> Result<PathBuf, Failure> {
        let dir = self.path()?;
        if dir.is_dir() {
            return Ok(dir);
        }
        Err(Failure::work(format!("{}: no such data directory", dir.display()))
            .hint("name the gateway's with --data, or its configuration file with --config"))
    }
}

impl Cli {
    /// Does what was asked.
    pub fn run(self) -> Outcome {
        match self.command {
            Command::Run(args) => roles::run(crate::config::load(&args.config)?),
            Command::Gateway(args) => args.run(),
            Command::Sensor(args) => args.run(),
            Command::Scan(args) => args.run(),
            Command::Quarantine(command) => command.run(),
            Command::Archive(command) => command.run(),
            Command::Intel(command) => command.run(),
            Command::Threats(command) => command.run(),
            Command::Policy(command) => command.run(),
            Command::Config(command) => command.run(),
        }
    }

    /// The command line's own description, for the reference.
    pub fn description() -> clap::Command {
        Cli::command()
    }
}

/// Writes a line to standard output. A reader that has gone away (`| head`) ends the program quietly.
pub fn say(line: impl AsRef<str>) {
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{}", line.as_ref()).and_then(|()| out.flush());
    if written.is_err() {
        std::process::exit(0);
    }
}

/// Text from a message or an address, safe for a terminal: control and bidirectional characters escaped.
pub fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let hidden =
            matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if c.is_control() || hidden {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}
