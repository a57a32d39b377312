//! `portcullis intel rotate-root` and `sign`: which keys count, signed wherever the root keys are.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use intel::update::{Draft, PublicKey, Repository, Role, Rotation, Staged};
use jiff::SignedDuration;

use super::super::{Outcome, say};
use super::keys::KeyRole;
use super::{lasting, now, read_keys};
use crate::failure::{FOUND, Failure};

#[derive(Args)]
#[command(after_help = "Examples:
  portcullis intel rotate-root --repo /srv/intel --add timestamp=new.key.pub --remove 3f9a21 --root-key root.key
  portcullis intel rotate-root --repo /srv/intel --add root=r2.pub --threshold root=2      (drafted, not signed)
  portcullis intel sign --role root --key /media/stick/r1.key /srv/intel/staged.root.json  (anywhere, each key)
  portcullis intel rotate-root --repo /srv/intel --finish

A root that follows another needs signatures by enough keys of both. Publish after it, so that what is offered is
signed by keys that count. Exit code 1: signatures are missing.")]
pub struct RotateArgs {
    /// The repository's folder.
    #[arg(long, value_name = "DIR")]
    repo: PathBuf,
    /// A key that counts from now on.
    #[arg(long, value_name = "ROLE=FILE", value_parser = role_and(|text| Ok::<_, String>(PathBuf::from(text))))]
    add: Vec<(KeyRole, PathBuf)>,
    /// A key that counts no more: its id, or the beginning of it.
    #[arg(long, value_name = "ID")]
    remove: Vec<String>,
    /// How many keys of a role have to sign.
    #[arg(long, value_name = "ROLE=N", value_parser = role_and(str::parse::<u32>))]
    threshold: Vec<(KeyRole, u32)>,
    /// Root key that is at hand here.
    #[arg(long, value_name = "FILE")]
    root_key: Vec<PathBuf>,
    /// How long the root holds.
    #[arg(long, value_name = "SPAN", default_value = "365d", value_parser = lasting)]
    expires: SignedDuration,
    /// Put the drafted root in force, now that it is signed.
    #[arg(long, conflicts_with_all = ["add", "remove", "threshold", "root_key"])]
    finish: bool,
}

#[derive(Args)]
pub struct SignArgs {
    /// The role to sign for.
    #[arg(long)]
    role: KeyRole,
    /// The secret key.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The file to sign, in place.
    file: PathBuf,
}

/// Reads `ROLE=VALUE`.
fn role_and<T, E: std::fmt::Display>(
    value: impl Fn(&str) -> Result<T, E> + Clone,
) -> impl Fn(&str) -> Result<(KeyRole, T), String> + Clone {
    move |text| {
        let (role, rest) = text.split_once('=').ok_or("write ROLE=VALUE, as in release=new.key.pub")?;
        let role = KeyRole::from_str(role, false).map_err(|_| "the roles are root, release and timestamp")?;
        Ok((role, value(rest).map_err(|e| e.to_string())?))
    }
}

impl RotateArgs {
    pub fn run(self) -> Outcome {
        let repository = Repository::new(&self.repo);
        if !self.finish {
            let mut add = Vec::new();
            for (role, file) in &self.add {
                let (made_for, key) = PublicKey::read(file)?;
                let role = Role::from(*role);
                if made_for != role {
                    return Err(Failure::usage(format!("{}: a {made_for} key, not a {role} key", file.display()))
                        .hint("each role has keys of its own, so that a stolen one can do little"));
                }
                add.push((made_for, key));
            }
            let thresholds: BTreeMap<Role, u32> = self.threshold.iter().map(|(role, n)| ((*role).into(), *n)).collect();
            let rotation = Rotation { add, remove: self.remove, thresholds, lasting: self.expires };
            let keys = read_keys(Role::Root, &self.root_key)?;
            let Staged { version, path, missing } = repository.stage_root(&rotation, &keys, now())?;
            if let Some(missing) = missing {
                say(format!("root {version} is drafted in {}: {missing}", path.display()));
                say(format!("next: portcullis intel sign --role root --key FILE {}", path.display()));
                return Ok(ExitCode::from(FOUND));
            }
        }
        let version = repository.finish_root()?;
        say(format!("root {version} is in force; publish now, so that what is offered is signed by keys that count"));
        Ok(ExitCode::SUCCESS)
    }
}

impl SignArgs {
    pub fn run(self) -> Outcome {
        let bytes = fs::read(&self.file).map_err(|e| Failure::unreadable(&self.file, &e))?;
        let wrong = |why: &dyn std::fmt::Display| Failure::usage(format!("{}: {why}", self.file.display()));
        let mut draft = Draft::parse(&bytes).map_err(|e| wrong(&e))?;
        let (role, wanted) = (draft.role().map_err(|e| wrong(&e))?, Role::from(self.role));
        if role != wanted {
            return Err(wrong(&format!("a {role} file, not a {wanted} file")).hint("name what you mean to sign"));
        }
        let [key] = read_keys(wanted, &[&self.key])?.try_into().map_err(|_| wrong(&"no key"))?;
        draft.sign(&key);
        draft
            .replace(&self.file)
            .map_err(|e| Failure::work(format!("{}: can't be written: {e}", self.file.display())))?;
        say(format!("signed by {} key {}", key.role(), key.id().as_str()));
        Ok(ExitCode::SUCCESS)
    }
}
