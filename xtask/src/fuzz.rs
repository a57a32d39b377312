//! `cargo xtask fuzz [TARGET] [--seconds N]`: one target until it is stopped, or each for a while.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::shell;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A target of fuzz/; all of them without one.
    target: Option<String>,
    /// How long each target runs.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let known = targets()?;
    let chosen = match &arguments.target {
        Some(name) if known.contains(name) => vec![name.clone()],
        Some(name) => bail!("no fuzz target {name}: there are {}", known.join(", ")),
        None => known,
    };
    ensure!(
        shell::succeeds(Command::new("cargo").args(["+nightly", "fuzz", "--version"])),
        "cargo-fuzz is not installed: run `rustup toolchain install nightly` and `cargo install cargo-fuzz`"
    );
    for name in chosen {
        shell::run(
            Command::new("cargo")
                .current_dir(shell::root())
                .args(["+nightly", "fuzz", "run", &name, "--"])
                .arg(format!("-max_total_time={}", arguments.seconds)),
        )?;
    }
    Ok(())
}

/// The files of fuzz/fuzz_targets, by name.
fn targets() -> Result<Vec<String>> {
    let folder = shell::root().join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}
