//! How a command fails: what, why, what to do, and with which exit code.

use std::fmt::{self, Display};
use std::process::ExitCode;

use crate::config::Problem;

/// Ran, and found what the command exists to find.
pub const FOUND: u8 = 1;
/// Usage or configuration error.
pub const USAGE: u8 = 2;
/// Could not do the work (file, network).
pub const WORK: u8 = 3;

/// A command's failure.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    what: String,
    hint: Option<String>,
}

impl Failure {
    /// The configuration or the command line is wrong.
    pub fn usage(what: impl Display) -> Failure {
        Failure { code: USAGE, what: what.to_string(), hint: None }
    }

    /// The work could not be done.
    pub fn work(what: impl Display) -> Failure {
        Failure { code: WORK, what: what.to_string(), hint: None }
    }

    /// Adds what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// Says it on standard error.
    #[allow(clippy::print_stderr, reason = "the command line's own output")]
    pub fn report(self) -> ExitCode {
        eprintln!("error: {}", self.what);
        if let Some(hint) = self.hint {
            for line in hint.lines() {
                eprintln!("hint: {line}");
            }
        }
        ExitCode::from(self.code)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Failure {
        Failure { code: USAGE, what: problem.to_string(), hint: problem.hint }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::work(format!("{error:#}"))
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Failure {
        Failure::work(error)
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}
