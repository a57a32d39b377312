//! How a command fails: what, why, what to do, and with which exit code.

use std::fmt::{self, Display};
use std::io;
use std::path::Path;
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
    /// What is wrong, and what to do about it; at least one.
    said: Vec<(String, Option<String>)>,
}

impl Failure {
    /// The configuration or the command line is wrong.
    pub fn usage(what: impl Display) -> Failure {
        Failure { code: USAGE, said: vec![(what.to_string(), None)] }
    }

    /// The work could not be done.
    pub fn work(what: impl Display) -> Failure {
        Failure { code: WORK, said: vec![(what.to_string(), None)] }
    }

    /// A file that was named can't be read.
    pub fn unreadable(file: &Path, why: &io::Error) -> Failure {
        Failure::work(format!("{}: can't be read: {why}", file.display()))
            .hint("name an existing file that this user may read")
    }

    /// What was read is wrong in these ways, each with what to do about it.
    pub fn wrong(problems: impl IntoIterator<Item = (String, Option<String>)>) -> Failure {
        Failure { code: USAGE, said: problems.into_iter().collect() }
    }

    /// Adds what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        if let Some((_, last)) = self.said.last_mut() {
            *last = Some(hint.into());
        }
        self
    }

    /// Says it on standard error.
    pub fn report(self) -> ExitCode {
        for (what, hint) in &self.said {
            complain("error", what, hint.as_deref());
        }
        ExitCode::from(self.code)
    }
}

/// Says on standard error what is wrong and what to do.
#[allow(clippy::print_stderr, reason = "the command line's own output")]
pub fn complain(how_bad: &str, what: &str, hint: Option<&str>) {
    eprintln!("{how_bad}: {what}");
    for line in hint.iter().flat_map(|hint| hint.lines()) {
        eprintln!("hint: {line}");
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Failure {
        Failure { code: USAGE, said: vec![(problem.to_string(), problem.hint)] }
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
        let said: Vec<&str> = self.said.iter().map(|(what, _)| what.as_str()).collect();
        f.write_str(&said.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_work_and_what_is_wrong_is_usage() {
        let missing = Failure::unreadable(Path::new("a.toml"), &io::ErrorKind::NotFound.into());
        assert_eq!(missing.code, WORK);
        assert!(missing.to_string().starts_with("a.toml: can't be read: "), "{missing}");
        let wrong = Failure::wrong([("a:1:1: x".to_owned(), Some("y".to_owned())), ("a:2:1: z".to_owned(), None)]);
        assert_eq!((wrong.code, wrong.to_string().as_str()), (USAGE, "a:1:1: x; a:2:1: z"));
    }
}
