//! What is wrong with a file that people write, where, and what to do about it.

use std::fmt;
use std::ops::Range;

use model::suggest;

/// Something wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// Its line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// What may be meant, or what to do.
    pub hint: Option<String>,
}

impl Problem {
    /// With a file as a whole.
    pub fn whole(file: impl Into<String>, message: impl Into<String>) -> Problem {
        Problem { file: file.into(), line: 0, message: message.into(), hint: None }
    }

    /// At a place in the text of a file.
    pub fn at(file: &str, text: &str, span: &Range<usize>, message: impl Into<String>) -> Problem {
        let before = text.get(..span.start.min(text.len())).unwrap_or_default();
        Problem { line: before.matches('\n').count() + 1, ..Problem::whole(file, message) }
    }

    /// What TOML or serde has to say about a file.
    pub(crate) fn toml(file: &str, text: &str, error: &toml::de::Error) -> Problem {
        let message = error.message().lines().next().unwrap_or_default().to_owned();
        let hint = suggest::from_message(&message);
        Problem { hint, ..Problem::at(file, text, &error.span().unwrap_or(0..0), message) }
    }

    /// Adds what to do.
    pub fn hint(self, hint: impl Into<String>) -> Problem {
        Problem { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message),
            line => write!(f, "{}:{line}: {}", self.file, self.message),
        }
    }
}

impl std::error::Error for Problem {}
