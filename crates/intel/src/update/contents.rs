//! What is to be published: the files of a bundle, made from threats, indicators and folders.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{BUNDLE_BYTES, BUNDLE_FILES, FILE_BYTES, Part};
use crate::{Indicator, Threat, Tlp};

/// The files of a bundle.
#[derive(Clone, Debug)]
pub struct Contents {
    most: Tlp,
    files: BTreeMap<String, Vec<u8>>,
    threats: BTreeMap<String, Threat>,
    indicators: BTreeMap<uuid::Uuid, Indicator>,
    withheld: usize,
}

/// Why something can't go into a bundle.
#[derive(Debug, thiserror::Error)]
pub enum ContentsError {
    /// It can't be read.
    #[error("{}: {why}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// A bundle can't have a file of that name.
    #[error("{}: {name} can't be in a bundle: name it with lower-case letters, digits and hyphens", .path.display())]
    Name {
        /// The file.
        path: PathBuf,
        /// What it would be called.
        name: String,
    },
    /// More than a bundle may have.
    #[error("{what}; split it up or take something out")]
    TooMuch {
        /// What there is too much of.
        what: String,
    },
    /// It can't be written as JSON.
    #[error("{what}: {why}")]
    Unwritable {
        /// Which threat or indicator.
        what: String,
        /// Why.
        why: serde_json::Error,
    },
}

impl Contents {
    /// Nothing yet. Threats and indicators marked beyond `most` will be left out.
    pub fn new(most: Tlp) -> Contents {
        Contents { most, files: BTreeMap::new(), threats: BTreeMap::new(), indicators: BTreeMap::new(), withheld: 0 }
    }

    /// Adds threats with their indicators; a later one of the same id replaces the earlier.
    pub fn add_threats(&mut self, threats: impl IntoIterator<Item = Threat>) {
        for mut threat in threats {
            if threat.marking > self.most {
                self.withheld += 1;
                continue;
            }
            let before = threat.indicators.len();
            threat.indicators.retain(|indicator| indicator.marking <= self.most);
            self.withheld += before - threat.indicators.len();
            self.threats.insert(threat.id.clone(), threat);
        }
    }

    /// Adds indicators of no catalogued threat.
    pub fn add_indicators(&mut self, indicators: impl IntoIterator<Item = Indicator>) {
        for indicator in indicators {
            if indicator.marking > self.most {
                self.withheld += 1;
            } else {
                self.indicators.insert(indicator.id, indicator);
            }
        }
    }

    /// Adds the `.toml` files of a folder as application signatures.
    pub fn add_apps(&mut self, folder: &Path) -> Result<usize, ContentsError> {
        self.add_folder(folder, "apps", "toml")
    }

    /// Adds the `.cedar` files of a folder as policy rules.
    pub fn add_rules(&mut self, folder: &Path) -> Result<usize, ContentsError> {
        self.add_folder(folder, "rules", "cedar")
    }

    /// Threats and indicators in it.
    pub fn counts(&self) -> (usize, usize) {
        let of_threats: usize = self.threats.values().map(|threat| threat.indicators.len()).sum();
        (self.threats.len(), of_threats + self.indicators.len())
    }

    /// How many threats and indicators were left out for their marking.
    pub fn withheld(&self) -> usize {
        self.withheld
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.threats.is_empty() && self.indicators.is_empty()
    }

    /// The files by name: the same contents give the same bytes.
    pub fn files(self) -> Result<BTreeMap<String, Vec<u8>>, ContentsError> {
        let mut files = self.files;
        let threats = lines(self.threats.iter())?;
        let indicators = lines(self.indicators.iter())?;
        for (name, text) in [("threats.jsonl", threats), ("indicators.jsonl", indicators)] {
            if !text.is_empty() {
                files.insert(name.to_owned(), text);
            }
        }
        let too_much = |what: String| Err(ContentsError::TooMuch { what });
        if files.len() > BUNDLE_FILES {
            return too_much(format!("{} files; a bundle has at most {BUNDLE_FILES}", files.len()));
        }
        if let Some((name, bytes)) = files.iter().find(|(_, bytes)| bytes.len() as u64 > FILE_BYTES) {
            return too_much(format!("{name} has {} bytes; a file of a bundle has at most {FILE_BYTES}", bytes.len()));
        }
        let total: u64 = files.values().map(|bytes| bytes.len() as u64).sum();
        if total > BUNDLE_BYTES {
            return too_much(format!("{total} bytes; a bundle has at most {BUNDLE_BYTES}"));
        }
        Ok(files)
    }

    fn add_folder(&mut self, folder: &Path, into: &str, extension: &str) -> Result<usize, ContentsError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |why| ContentsError::Io { path, why }
        };
        let mut added = 0;
        for entry in fs::read_dir(folder).map_err(failed(folder))? {
            let path = entry.map_err(failed(folder))?.path();
            if path.extension().is_none_or(|found| found != extension) {
                continue;
            }
            let name = format!("{into}/{}", path.file_name().unwrap_or_default().to_string_lossy());
            if Part::of(&name).is_none() {
                return Err(ContentsError::Name { path, name });
            }
            let length = fs::metadata(&path).map_err(failed(&path))?.len();
            if length > FILE_BYTES {
                return Err(ContentsError::TooMuch { what: format!("{name} has {length} bytes") });
            }
            self.files.insert(name, fs::read(&path).map_err(failed(&path))?);
            added += 1;
        }
        Ok(added)
    }
}

fn lines<K: ToString, T: Serialize>(of: impl Iterator<Item = (K, T)>) -> Result<Vec<u8>, ContentsError> {
    let mut out = Vec::new();
    for (id, value) in of {
        serde_json::to_writer(&mut out, &value)
            .map_err(|why| ContentsError::Unwritable { what: id.to_string(), why })?;
        out.push(b'\n');
    }
    Ok(out)
}
