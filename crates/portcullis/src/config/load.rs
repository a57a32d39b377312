//! Reading the file: every problem with its place and a suggestion.

use std::fmt;
use std::path::{Path, PathBuf};

use model::suggest;

use super::Config;
use crate::failure::Failure;

/// Something wrong with the configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file.display(), self.line, self.column, self.message)
    }
}

impl std::error::Error for Problem {}

/// Loads and checks a configuration file. Relative paths in it start at its own directory.
pub fn load(path: &Path) -> Result<Config, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| Failure::unreadable(path, &e))?;
    let mut config = parse(path, &text)?;
    let base = std::path::absolute(path).ok().and_then(|p| p.parent().map(Path::to_owned)).unwrap_or_default();
    config.anchor(&base);
    Ok(config)
}

/// Parses the text of a configuration file.
pub fn parse(path: &Path, text: &str) -> Result<Config, Problem> {
    toml::from_str::<Config>(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        let before = text.get(..offset).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
        let message = error.message().trim().replace('\n', " ");
        Problem { file: path.to_owned(), line, column, hint: suggest::from_message(&message), message }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> Problem {
        parse(Path::new("p.toml"), text).expect_err("the text is wrong")
    }

    #[test]
    fn a_misspelt_key_is_refused_with_its_place_and_a_suggestion() {
        let p = problem("[journal]\ndurabilty = \"power\"\n");
        assert_eq!((p.line, p.column), (2, 1));
        assert_eq!(p.hint.as_deref(), Some("did you mean `durability`?"));
        assert!(p.to_string().starts_with("p.toml:2:1: "), "{p}");
    }

    #[test]
    fn a_wrong_value_names_its_line() {
        let p = problem("\n[log]\nformat = \"jsn\"\n");
        assert_eq!(p.line, 3);
        assert_eq!(p.hint.as_deref(), Some("did you mean `json`?"));
        assert_eq!(problem("[gateway.http]\nlisten = \"nowhere\"").line, 2);
        assert_eq!(problem("[log\n").line, 1);
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        let config = parse(Path::new("p.toml"), "").unwrap();
        assert_eq!(toml::to_string(&config).unwrap(), toml::to_string(&Config::default()).unwrap());
    }
}
