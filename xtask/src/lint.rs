//! `cargo xtask lint`: the format and clippy.

use anyhow::{Result, ensure};

use crate::shell;

pub(crate) fn run() -> Result<()> {
    ensure!(shell::cargo_has("fmt"), "cargo fmt is not installed: run `rustup component add rustfmt`");
    ensure!(shell::cargo_has("clippy"), "cargo clippy is not installed: run `rustup component add clippy`");
    shell::run(shell::cargo().args(["fmt", "--all", "--check"]))?;
    shell::run(shell::cargo().args(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))
}
