//! Warning lists in MISP's format: a JSON object with a name, a type and a list of strings.
//!
//! | type | a domain is refused when |
//! | --- | --- |
//! | `string` | the list has it, or a name below it |
//! | `hostname` | the same; below a listed name it is weakened to a note, unless strangers register names there |
//! | `substring` | the list has a part of it |
//! | `cidr` | (addresses) the list has a range that overlaps |
//!
//! `regex` lists are about telephone numbers and file names, which are never indicators here.

use std::collections::HashMap;
use std::sync::Arc;

use indicators::canonical::trim_dot;
use indicators::net::Net;
use serde::Deserialize;

use super::Refusal;

/// A warning list that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {why}")]
pub struct WarningError {
    /// The file.
    pub file: String,
    /// What is wrong, and what to do.
    pub why: String,
}

/// One warning list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WarningList {
    /// Its name.
    pub name: Arc<str>,
    pub(super) hosts: Vec<Box<str>>,
    /// Names below the hosts are doubtful, too.
    pub(super) below: bool,
    pub(super) nets: Vec<Net>,
    pub(super) hashes: Vec<Box<str>>,
    pub(super) substrings: Vec<Box<str>>,
    /// Strings that are none of these and guard nothing here.
    pub unused: usize,
}

#[derive(Deserialize)]
struct Written {
    name: String,
    #[serde(default, rename = "type")]
    kind: String,
    list: Vec<String>,
    /// MISP's attribute types that it is about; all when there are none.
    #[serde(default)]
    matching_attributes: Vec<String>,
}

impl Written {
    /// Whether it is about hosts, and not only about mail addresses or the like.
    fn is_about_hosts(&self) -> bool {
        let about = |name: &String| matches!(name.as_str(), "domain" | "hostname" | "url" | "uri");
        self.matching_attributes.is_empty() || self.matching_attributes.iter().any(about)
    }
}

impl WarningList {
    /// Strings taken of one list.
    pub const MOST: usize = 2_000_000;

    /// Reads a list.
    pub fn read(file: &str, bytes: &[u8]) -> Result<WarningList, WarningError> {
        let wrong = |why: String| WarningError { file: file.to_owned(), why };
        let written: Written = serde_json::from_slice(bytes)
            .map_err(|e| wrong(format!("not a MISP warning list: {e}; it needs `name`, `type` and `list`")))?;
        if written.list.len() > WarningList::MOST {
            return Err(wrong(format!("more than {} strings", WarningList::MOST)));
        }
        let mut list = WarningList {
            name: written.name.as_str().into(),
            below: written.kind == "hostname",
            ..WarningList::default()
        };
        let about_hosts = written.is_about_hosts();
        for text in &written.list {
            match written.kind.as_str() {
                "cidr" | "string" | "hostname" | "substring" => list.take(&written.kind, text.trim(), about_hosts),
                "regex" => list.unused += 1,
                other => {
                    return Err(wrong(format!("type `{other}` is not known; use string, hostname, substring, cidr")));
                }
            }
        }
        Ok(list)
    }

    fn take(&mut self, kind: &str, text: &str, about_hosts: bool) {
        if let Some(net) = Net::parse(text) {
            return self.nets.push(net);
        }
        let text = text.to_ascii_lowercase();
        let is_hash = matches!(text.len(), 32 | 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit());
        // What stands before the first dot may be a mark that names below count: they do by the type.
        let host = text.trim_start_matches('.').split('/').next().unwrap_or_default();
        match kind {
            _ if is_hash => self.hashes.push(text.into()),
            _ if !about_hosts => self.unused += 1,
            "substring" if text.len() >= 4 => self.substrings.push(text.into()),
            "string" | "hostname" if host.contains('.') => match url::Host::parse(trim_dot(host)) {
                Ok(url::Host::Domain(name)) => self.hosts.push(name.into()),
                _ => self.unused += 1,
            },
            _ => self.unused += 1,
        }
    }
}

/// How a pattern stands to the warning lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Free,
    Doubtful(Refusal),
    Unfit(Refusal),
}

/// The hosts of all lists.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<Box<str>, Entry>);

#[derive(Debug)]
struct Entry {
    list: Arc<str>,
    /// The name itself is listed, not only one below it.
    listed: bool,
    below: bool,
}

impl Names {
    /// Adds a host; what lies above it, up to its registered name, would cover it.
    pub(super) fn add(&mut self, host: &str, below: bool, list: &Arc<str>) {
        let host = host.strip_prefix("www.").unwrap_or(host);
        let registered = psl::domain_str(host).map_or(host.len(), str::len);
        let mut name = host;
        loop {
            let listed = name.len() == host.len();
            let entry = self.0.entry(name.into()).or_insert_with(|| Entry { list: list.clone(), listed, below: false });
            if listed && below && !entry.below {
                entry.list = list.clone();
            }
            entry.listed |= listed;
            entry.below |= listed && below;
            match name.split_once('.') {
                Some((_, above)) if above.len() >= registered => name = above,
                _ => return,
            }
        }
    }

    /// How a name stands: `name` is in ASCII and lower case.
    pub(super) fn standing(&self, name: &str) -> Standing {
        let name = name.strip_prefix("www.").unwrap_or(name);
        if let Some(entry) = self.0.get(name) {
            let why = if entry.listed { "a site that many use" } else { "a site that many use lies below it" };
            return Standing::Unfit(Refusal { list: entry.list.clone(), why: why.into() });
        }
        let own = psl::domain_str(name).unwrap_or(name);
        let mut rest = name;
        // Whoever registered a name of his own below a listed one has nothing to do with its owner.
        while let Some((_, above)) = rest.split_once('.').filter(|(_, above)| above.len() >= own.len()) {
            if let Some(entry) = self.0.get(above).filter(|entry| entry.listed && entry.below) {
                let why = "below a site that many use, whose owner gives such names".into();
                return Standing::Doubtful(Refusal { list: entry.list.clone(), why });
            }
            rest = above;
        }
        Standing::Free
    }
}
