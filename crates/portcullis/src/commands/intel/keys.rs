//! `portcullis intel keys`: make a key, show what a key file or a root holds.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use intel::update::{PublicKey, Role, SecretKey};

use super::super::{Outcome, say};
use crate::failure::Failure;

#[derive(Subcommand)]
pub enum KeysCommand {
    /// Make a key: a secret file (mode 0600), and FILE.pub beside it, which is for everybody.
    New {
        /// What it is for: root and release keys stay offline, the timestamp key is on the machine that publishes.
        #[arg(long)]
        role: KeyRole,
        /// Where it goes; never over a file that is there.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Show role and id of key files, secret or public.
    Show {
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum KeyRole {
    /// Says which keys count.
    Root,
    /// Signs bundles.
    Release,
    /// Says every few days that nothing newer is held back.
    Timestamp,
}

impl From<KeyRole> for Role {
    fn from(role: KeyRole) -> Role {
        match role {
            KeyRole::Root => Role::Root,
            KeyRole::Release => Role::Release,
            KeyRole::Timestamp => Role::Timestamp,
        }
    }
}

impl KeysCommand {
    pub fn run(self) -> Outcome {
        match self {
            KeysCommand::New { role, out } => {
                let mut seed = [0; 32];
                getrandom::fill(&mut seed).map_err(|e| Failure::work(format!("no random numbers: {e}")))?;
                let key = SecretKey::from_seed(role.into(), &seed);
                let public = key.create(&out)?;
                say(format!("{} key {}", key.role(), key.id().as_str()));
                say(format!("secret  {}", out.display()));
                say(format!("public  {}", public.display()));
            }
            KeysCommand::Show { files } => {
                for file in files {
                    let (role, key) = PublicKey::read(&file)?;
                    say(format!("{:<9}  {}  {}", role.as_str(), key.id().as_str(), file.display()));
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
