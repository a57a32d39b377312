//! `portcullis intel publish`: makes a bundle of what is known and puts it, signed, into a repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use intel::update::{Contents, ContentsError, Expiry, Keys, Published, Repository, Role, Rotation};
use intel::{Catalogue, Indicator, Threat, Tlp, stix};
use jiff::SignedDuration;
use serde::de::DeserializeOwned;

use super::super::{Outcome, say};
use super::{lasting, now, read_keys};
use crate::failure::{Failure, complain};

#[derive(Args)]
#[command(after_help = "Examples:
  portcullis intel publish --repo /srv/intel --from-data /var/lib/portcullis \\
      --root-key root.key --release-key release.key --timestamp-key timestamp.key
  portcullis intel publish --repo /srv/intel --threats june.toml --apps apps --release-key ... --timestamp-key ...
  portcullis intel publish --repo /srv/intel --refresh-timestamp --timestamp-key timestamp.key   (from cron)

The repository is a folder that any web server can serve. A bundle replaces the one before as a whole; without
any contents given, the current one is signed anew.")]
pub struct PublishArgs {
    /// The repository's folder.
    #[arg(long, value_name = "DIR")]
    repo: PathBuf,
    /// Threats: a catalogue file or folder (TOML), or JSON Lines as bundles have them.
    #[arg(long, value_name = "FILE")]
    threats: Vec<PathBuf>,
    /// Indicators of no catalogued threat, as JSON Lines.
    #[arg(long, value_name = "FILE")]
    indicators: Vec<PathBuf>,
    /// Threats and indicators of a STIX 2.1 bundle that was exported here.
    #[arg(long, value_name = "FILE")]
    stix: Vec<PathBuf>,
    /// The operator's own catalogue in a data directory.
    #[arg(long, value_name = "DIR")]
    from_data: Vec<PathBuf>,
    /// Application signatures (*.toml) for sensors.
    #[arg(long, value_name = "DIR")]
    apps: Vec<PathBuf>,
    /// Policy rules (*.cedar) for gateways, which decide whether they observe or enforce them.
    #[arg(long, value_name = "DIR")]
    rules: Vec<PathBuf>,
    /// How far subscribers may be from here: what is marked beyond is left out.
    #[arg(long, value_name = "MARK", default_value = "amber+strict")]
    tlp: Mark,
    /// Only sign the timestamp anew, for as long as --expires says.
    #[arg(long, conflicts_with_all = ["threats", "indicators", "stix", "from_data", "apps", "rules", "release_key"])]
    refresh_timestamp: bool,
    /// Root key; only needed where there is no root yet.
    #[arg(long, value_name = "FILE")]
    root_key: Vec<PathBuf>,
    /// Release key.
    #[arg(long, value_name = "FILE")]
    release_key: Vec<PathBuf>,
    /// Timestamp key.
    #[arg(long, value_name = "FILE", required = true)]
    timestamp_key: Vec<PathBuf>,
    /// How long the timestamp holds: an attacker can hold updates back so long unseen.
    #[arg(long, value_name = "SPAN", default_value = "7d", value_parser = lasting)]
    expires: SignedDuration,
    /// How long the release holds without being signed anew.
    #[arg(long, value_name = "SPAN", default_value = "90d", value_parser = lasting)]
    release_expires: SignedDuration,
    /// How long a root that is made now holds.
    #[arg(long, value_name = "SPAN", default_value = "365d", value_parser = lasting)]
    root_expires: SignedDuration,
}

/// A mark of the Traffic Light Protocol.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mark {
    Clear,
    Green,
    Amber,
    #[value(name = "amber+strict")]
    AmberStrict,
    Red,
}

impl From<Mark> for Tlp {
    fn from(mark: Mark) -> Tlp {
        match mark {
            Mark::Clear => Tlp::Clear,
            Mark::Green => Tlp::Green,
            Mark::Amber => Tlp::Amber,
            Mark::AmberStrict => Tlp::AmberStrict,
            Mark::Red => Tlp::Red,
        }
    }
}

impl PublishArgs {
    pub fn run(self) -> Outcome {
        let repository = Repository::new(&self.repo);
        let expiry = Expiry { timestamp: self.expires, release: self.release_expires };
        let timestamp = read_keys(Role::Timestamp, &self.timestamp_key)?;
        if self.refresh_timestamp {
            report(&repository.refresh(&timestamp, now(), expiry)?);
            return Ok(ExitCode::SUCCESS);
        }
        let keys = Keys { release: read_keys(Role::Release, &self.release_key)?, timestamp };
        let contents = self.contents()?;
        let counts = contents.counts();
        let withheld = contents.withheld();
        let files = match contents.is_empty() {
            true => None,
            false => Some(contents.files().map_err(refused)?),
        };
        if !self.repo.join("root.json").exists() && !self.root_key.is_empty() {
            self.make_root(&repository, &keys)?;
        }
        if let Some(files) = &files {
            say(format!("{} threats, {} indicators, {} files", counts.0, counts.1, files.len()));
        }
        if withheld > 0 {
            complain(
                "warning",
                &format!("{withheld} threats and indicators are marked beyond --tlp and left out"),
                None,
            );
        }
        report(&repository.publish(files, &keys, now(), expiry)?);
        Ok(ExitCode::SUCCESS)
    }

    /// The first root: every key given counts, all root keys have signed.
    fn make_root(&self, repository: &Repository, keys: &Keys) -> Result<(), Failure> {
        let root = read_keys(Role::Root, &self.root_key)?;
        let all = root.iter().chain(&keys.release).chain(&keys.timestamp);
        let rotation = Rotation {
            add: all.map(|key| (key.role(), key.public().clone())).collect(),
            lasting: self.root_expires,
            ..Rotation::default()
        };
        repository.stage_root(&rotation, &root, now())?;
        let version = repository.finish_root()?;
        say(format!("root {version}: give {} to subscribers", self.repo.join("root.json").display()));
        Ok(())
    }

    fn contents(&self) -> Result<Contents, Failure> {
        let mut contents = Contents::new(self.tlp.into());
        for data in &self.from_data {
            let folder = data.join("intel/catalogue");
            if !folder.is_dir() {
                return Err(Failure::work(format!("{}: no catalogue of one's own there", folder.display()))
                    .hint("promote a campaign to it with `portcullis threats triage`, or give --threats"));
            }
            contents.add_threats(catalogue(&folder)?);
        }
        for file in &self.threats {
            contents.add_threats(threats(file)?);
        }
        for file in &self.indicators {
            contents.add_indicators(lines::<Indicator>(file)?);
        }
        for file in &self.stix {
            let bytes = fs::read(file).map_err(|e| Failure::unreadable(file, &e))?;
            let imported = stix::import(&bytes, &stix::Limits::default(), &stix::Context::own())
                .map_err(|e| Failure::usage(format!("{}: {e}", file.display())))?;
            for error in &imported.errors {
                complain("warning", &format!("{}: {error}", file.display()), None);
            }
            let (threats, indicators) = imported.nested();
            contents.add_threats(threats);
            contents.add_indicators(indicators);
        }
        for folder in &self.apps {
            // What no sensor would load is not sent to every sensor.
            sensor::apps::Catalogue::load(std::slice::from_ref(folder))
                .map_err(|problems| Failure::wrong(problems.into_iter().map(|p| (p.to_string(), p.hint))))?;
            contents.add_apps(folder).map_err(refused)?;
        }
        for folder in &self.rules {
            contents.add_rules(folder).map_err(refused)?;
        }
        Ok(contents)
    }
}

fn refused(error: ContentsError) -> Failure {
    match error {
        ContentsError::Io { .. } => Failure::work(error),
        error => Failure::usage(error),
    }
}

fn report(published: &Published) {
    let Published { release, timestamp, expires } = published;
    say(format!("published release {release} under timestamp {timestamp}, good until {expires}"));
}

fn threats(path: &Path) -> Result<Vec<Threat>, Failure> {
    if path.is_dir() || path.extension().is_some_and(|extension| extension == "toml") {
        return catalogue(path);
    }
    lines(path)
}

fn catalogue(path: &Path) -> Result<Vec<Threat>, Failure> {
    let catalogue = Catalogue::load(path)
        .map_err(|problems| Failure::wrong(problems.into_iter().map(|problem| (problem.to_string(), problem.hint))))?;
    Ok(catalogue.threats().to_vec())
}

fn lines<T: DeserializeOwned>(file: &Path) -> Result<Vec<T>, Failure> {
    let text = fs::read_to_string(file).map_err(|e| Failure::unreadable(file, &e))?;
    let read = |(at, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|e| Failure::usage(format!("{}:{}: {e}", file.display(), at + 1)))
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(read).collect()
}
