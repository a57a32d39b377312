//! The project's own chores: `cargo xtask up`, `test`, `lint`, `docs`, `fuzz`, `bench`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for people at a terminal")]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod attack;
mod bench;
mod docs;
mod fuzz;
mod install;
mod lint;
mod paint;
mod shell;
mod test;
#[cfg(test)]
mod tidy;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Chores of the Portcullis project.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Start a real Prosody with two accounts and Portcullis before it, until Ctrl-C.
    Up(up::Arguments),
    /// Install what is missing and run every test.
    Test(test::Arguments),
    /// Check the format and run clippy with warnings as errors.
    Lint,
    /// Generate the references under docs/.
    Docs(docs::Arguments),
    /// Fuzz one target, or each for a while.
    Fuzz(fuzz::Arguments),
    /// Run the benchmarks and measure the whole process.
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().chore {
        Chore::Up(arguments) => up::run(&arguments),
        Chore::Test(arguments) => test::run(&arguments),
        Chore::Lint => lint::run(),
        Chore::Docs(arguments) => docs::run(&arguments),
        Chore::Fuzz(arguments) => fuzz::run(&arguments),
        Chore::Bench(arguments) => bench::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{} {error:#}", paint::bad("error:"));
            ExitCode::FAILURE
        }
    }
}
