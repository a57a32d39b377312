//! `cargo xtask test`: installs what is missing and runs every test. The last lines are the test runner's.

use anyhow::Result;

use crate::{docs, install, shell};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only install what is missing.
    #[arg(long)]
    install_only: bool,
    /// For the test runner: a filter, `--nocapture`, ...
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    install::everything(false)?;
    if arguments.install_only {
        return Ok(());
    }
    if !arguments.rest.is_empty() {
        return tests(&arguments.rest);
    }
    docs::run(&docs::Arguments { check: true })?;
    shell::run(
        shell::cargo()
            .args(["doc", "--workspace", "--no-deps", "--locked", "--quiet"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    shell::run(shell::cargo().args(["test", "--workspace", "--locked", "--doc", "--quiet"]))?;
    tests(&[])
}

/// cargo-nextest runs each test in a process of its own, several at a time; cargo's own runner does too well
/// enough.
fn tests(rest: &[String]) -> Result<()> {
    if shell::cargo_has("nextest") {
        return shell::run(shell::cargo().args(["nextest", "run", "--workspace", "--locked"]).args(rest));
    }
    let mut cargo = shell::cargo();
    cargo.args(["test", "--workspace", "--locked", "--lib", "--bins", "--tests", "--no-fail-fast"]);
    if !rest.is_empty() {
        cargo.arg("--").args(rest);
    }
    shell::run(&mut cargo)
}
