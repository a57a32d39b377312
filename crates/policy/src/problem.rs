//! What is wrong with a policy, with the place and what to do.

use std::fmt;
use std::sync::Arc;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The policy loads, but probably not as meant.
    Warning,
    /// The policy does not load.
    Error,
}

/// One thing wrong with a policy or a table of cases.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// Whether it keeps the policy from loading.
    pub severity: Severity,
    /// Name of the source as given to the loader.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, lower case, no full stop.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Problem {
    /// Something no policy text should be able to cause.
    pub(crate) fn internal(why: String) -> Problem {
        Problem {
            severity: Severity::Error,
            file: Arc::from("policy"),
            line: 1,
            column: 1,
            message: format!("the rules can't be prepared: {why}"),
            hint: Some("look for a strange character in the name of a local pattern".to_owned()),
        }
    }
}

impl fmt::Display for Problem {
    /// `file:line:column: message`, and the hint after a dash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " - {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}
