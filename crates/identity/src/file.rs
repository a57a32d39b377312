//! The directory file: its shape, and places for what is wrong with it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use crate::problem::Problem;
use model::suggest;

/// Largest directory file, in bytes.
const MOST_BYTES: usize = 64 << 20;

/// A directory file as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// The organisation's own domains beside those the gateway serves; what is below them is internal too.
    #[serde(default)]
    pub(crate) internal_domains: Vec<Spanned<String>>,
    /// Domains below an internal one that are nevertheless not the organisation's own.
    #[serde(default)]
    pub(crate) external_domains: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) people: BTreeMap<Spanned<String>, Person>,
    #[serde(default)]
    pub(crate) groups: BTreeMap<Spanned<String>, Group>,
    /// Addresses that no person uses.
    #[serde(default, rename = "decoy")]
    pub(crate) decoys: Vec<Decoy>,
}

/// A person: addresses by protocol, and groups.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Person {
    /// For people who read the file; nothing else uses it.
    #[serde(default, rename = "name")]
    pub(crate) _name: Option<String>,
    #[serde(default)]
    pub(crate) groups: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) xmpp: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) irc: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) matrix: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) sip: Vec<Spanned<String>>,
}

/// Addresses that no person uses: whoever writes to one has it from a list, or is a program that writes to everybody.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decoy {
    /// For people who read the file; nothing else uses it.
    #[serde(default, rename = "name")]
    pub(crate) _name: Option<String>,
    /// An account, or an occupant of a room: `room@service/nick`.
    #[serde(default)]
    pub(crate) xmpp: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) irc: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) matrix: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) sip: Vec<Spanned<String>>,
}

/// A group: who is in it beside the people who name it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Group {
    /// Everyone at these domains and below them.
    #[serde(default)]
    pub(crate) domains: Vec<Spanned<String>>,
    /// These accounts on any network; `*@domain` is everyone at that very domain.
    #[serde(default)]
    pub(crate) accounts: Vec<Spanned<String>>,
    /// Groups whose members are members of this one too.
    #[serde(default)]
    pub(crate) includes: Vec<Spanned<String>>,
}

/// The text, and where its lines begin.
pub(crate) struct Source<'a> {
    file: Arc<str>,
    text: &'a str,
}

impl<'a> Source<'a> {
    pub(crate) fn new(file: &str, text: &'a str) -> Source<'a> {
        Source { file: file.into(), text }
    }

    /// Reads the file's shape; what the names in it mean is checked later.
    pub(crate) fn read(&self) -> Result<File, Problem> {
        if self.text.len() > MOST_BYTES {
            let message = format!("the file has {} bytes", self.text.len());
            return Err(self.problem(0..0, message, Some(format!("a directory file has at most {MOST_BYTES}"))));
        }
        toml::from_str(self.text).map_err(|error| {
            let message = error.message().lines().next().unwrap_or_default().to_owned();
            let hint = suggest::from_message(&message);
            self.problem(error.span().unwrap_or(0..0), message, hint)
        })
    }

    /// A problem at a span of the text.
    pub(crate) fn problem(&self, span: Range<usize>, message: impl Into<String>, hint: Option<String>) -> Problem {
        let at = self.text.floor_char_boundary(span.start.min(self.text.len()));
        let before = &self.text[..at];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        Problem {
            file: self.file.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: message.into(),
            hint,
        }
    }
}
