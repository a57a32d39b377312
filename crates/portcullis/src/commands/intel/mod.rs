//! `portcullis intel`: feeds in, signed updates out to gateways and sensors. One file a subcommand.

mod export;
mod feeds;
mod import;
mod keys;
mod publish;
mod refused;
mod root;
mod status;
mod update;

use std::path::Path;

use clap::Subcommand;
use intel::update::{KeyError, RepositoryError, Role, SecretKey};
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

use super::Outcome;
use crate::failure::Failure;

#[derive(Subcommand)]
pub enum IntelCommand {
    /// Show the feeds: what is in force, what does not come, what waits for a person.
    Feeds(feeds::FeedsArgs),
    /// List the formats that feeds may have.
    Formats(feeds::FormatsArgs),
    /// Fetch the feeds now.
    Fetch(feeds::FetchArgs),
    /// Put a feed in force that changed too much to be taken without a person.
    Accept(feeds::AcceptArgs),
    /// Try a file: what would be taken of it, what refused, what is wrong in it.
    Import(import::ImportArgs),
    /// List what the warning lists keep from stopping messages, and why.
    Refused(refused::RefusedArgs),
    /// Write what is known as a STIX 2.1 bundle, as far as its markings let it out.
    Export(export::ExportArgs),
    /// Make and show the keys that updates are signed with.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Publish a signed bundle of threats, indicators, signatures and rules.
    Publish(Box<publish::PublishArgs>),
    /// Make the repository's root, or replace it: which keys count, and how many of them.
    RotateRoot(Box<root::RotateArgs>),
    /// Sign a drafted root on the machine where the key is.
    Sign(root::SignArgs),
    /// Look for a signed update once: for sensors, which have no role running.
    Update(update::UpdateArgs),
    /// Show versions everywhere: what a repository offers, what is in force, what went wrong.
    Status(status::StatusArgs),
}

impl IntelCommand {
    pub fn run(self) -> Outcome {
        match self {
            IntelCommand::Feeds(args) => args.run(),
            IntelCommand::Formats(args) => args.run(),
            IntelCommand::Fetch(args) => args.run(),
            IntelCommand::Accept(args) => args.run(),
            IntelCommand::Import(args) => args.run(),
            IntelCommand::Refused(args) => args.run(),
            IntelCommand::Export(args) => args.run(),
            IntelCommand::Keys(command) => command.run(),
            IntelCommand::Publish(args) => args.run(),
            IntelCommand::RotateRoot(args) => args.run(),
            IntelCommand::Sign(args) => args.run(),
            IntelCommand::Update(args) => args.run(),
            IntelCommand::Status(args) => args.run(),
        }
    }
}

/// Where the time of a command comes from.
fn now() -> Timestamp {
    #[allow(clippy::disallowed_methods, reason = "commands are where time enters")]
    Timestamp::now()
}

/// A time span as people write it: `7d`, `12h`, `1h 30m`.
fn lasting(text: &str) -> Result<SignedDuration, String> {
    let wrong = |_| "not a time span; write it as 7d, 12h or 30m".to_owned();
    let span: Span = text.parse().map_err(wrong)?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(wrong)?;
    if duration.is_positive() { Ok(duration) } else { Err("what has expired can't be signed".to_owned()) }
}

/// The keys in these files, which have to be of that role.
fn read_keys(role: Role, files: &[impl AsRef<Path>]) -> Result<Vec<SecretKey>, Failure> {
    files
        .iter()
        .map(|file| {
            let file = file.as_ref();
            let key = SecretKey::read(file)?;
            if key.role() == role {
                return Ok(key);
            }
            Err(Failure::usage(format!("{}: a {} key where a {role} key belongs", file.display(), key.role()))
                .hint("each role has keys of its own, so that a stolen one can do little"))
        })
        .collect()
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Failure {
        match error {
            KeyError::Io { .. } => Failure::work(error),
            KeyError::Wrong { .. } => Failure::usage(error),
        }
    }
}

impl From<RepositoryError> for Failure {
    fn from(error: RepositoryError) -> Failure {
        match &error {
            RepositoryError::Rotation(_) | RepositoryError::Contents(_) => Failure::usage(error),
            _ => Failure::work(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_people_do() {
        assert_eq!(lasting("7d"), Ok(SignedDuration::from_hours(7 * 24)));
        assert_eq!(lasting("1w"), lasting("7d"));
        assert_eq!(lasting("1h 30m"), Ok(SignedDuration::from_mins(90)));
        for wrong in ["", "7", "soon", "-1d", "0s", "1y"] {
            assert!(lasting(wrong).is_err(), "{wrong}");
        }
    }
}
