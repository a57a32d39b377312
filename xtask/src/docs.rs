//! `cargo xtask docs`: writes the references that the program prints about itself, or checks that they
//! are as it would print them.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::shell;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only check that what is there is what would be written.
    #[arg(long)]
    pub(crate) check: bool,
}

/// A file under docs/ and the command of `portcullis` that prints it; one line a reference.
const REFERENCES: &[(&str, &[&str])] = &[
    ("reference/config.md", &["config", "reference", "config"]),
    ("reference/cli.md", &["config", "reference", "cli"]),
    ("reference/policy.md", &["config", "reference", "policy"]),
    ("reference/metrics.md", &["config", "reference", "metrics"]),
    ("reference/applications.md", &["config", "reference", "applications"]),
    ("reference/defaults.toml", &["config", "defaults"]),
];

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    shell::run(shell::cargo().args(["build", "--quiet", "--locked", "--package", "portcullis"]))?;
    let program = shell::target()?.join("debug/portcullis");
    let mut stale = Vec::new();
    for (name, command) in REFERENCES {
        let path = shell::root().join("docs").join(name);
        let out = Command::new(&program).args(*command).output().context("cannot run portcullis")?;
        ensure!(out.status.success(), "portcullis {}: {}", command.join(" "), String::from_utf8_lossy(&out.stderr));
        let there = fs::read(&path).unwrap_or_default();
        if there == out.stdout {
            continue;
        }
        if arguments.check {
            stale.push(format!("docs/{name}"));
        } else {
            fs::create_dir_all(path.parent().unwrap_or(&path))?;
            fs::write(&path, &out.stdout).with_context(|| format!("cannot write {}", path.display()))?;
            println!("wrote docs/{name}");
        }
    }
    if !stale.is_empty() {
        bail!("{} no longer true: run `cargo xtask docs`", stale.join(", "));
    }
    Ok(())
}
