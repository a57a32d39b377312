//! A bundle as it lies in a folder: threats, indicators, application signatures and policy rules.
//!
//! ```text
//! threats.jsonl      a threat a line, its indicators in it
//! indicators.jsonl   an indicator a line, of no catalogued threat
//! apps/ID.toml       what a sensor knows an application by
//! rules/NAME.cedar   policy rules
//! ```

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::metadata::Envelope;
use super::{Attack, FileMeta, RELEASE_BYTES, Refused, Release, trust};
use crate::{Indicator, Threat};

/// The longest line of `threats.jsonl` and `indicators.jsonl`.
const MOST_LINE: usize = 4 << 20;
/// A policy file or signature longer than this is none.
const MOST_TEXT: u64 = 1 << 20;
/// The release file inside a bundle's folder.
pub(super) const RELEASE: &str = "release.json";

/// What a file of a bundle is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// `threats.jsonl`.
    Threats,
    /// `indicators.jsonl`.
    Indicators,
    /// `apps/ID.toml`.
    App,
    /// `rules/NAME.cedar`.
    Rule,
}

impl Part {
    /// What a file of that name is; `None` when a bundle can't have it.
    pub fn of(name: &str) -> Option<Part> {
        let stem = |folder: &str, extension: &str| {
            let stem = name.strip_prefix(folder)?.strip_suffix(extension)?;
            let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
            let begins = stem.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            (begins && stem.len() <= 64 && stem.bytes().all(fits)).then_some(())
        };
        match name {
            "threats.jsonl" => Some(Part::Threats),
            "indicators.jsonl" => Some(Part::Indicators),
            _ if stem("apps/", ".toml").is_some() => Some(Part::App),
            _ if stem("rules/", ".cedar").is_some() => Some(Part::Rule),
            _ => None,
        }
    }
}

/// A verified bundle in its folder.
#[derive(Clone, Debug)]
pub struct Bundle {
    dir: PathBuf,
    release: Release,
}

/// What is wrong with a bundle's folder or with what is in its files.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// It can't be read.
    #[error("{}: {why}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// A file is not the one that was signed for.
    #[error("{0}")]
    Refused(#[from] Refused),
    /// A line is not what it should be.
    #[error("{file}:{line}: {why}")]
    Line {
        /// The file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Why.
        why: String,
    },
}

impl Bundle {
    /// Opens a folder that was filled after verification, and checks lengths and hashes again.
    pub fn open(dir: &Path) -> Result<Bundle, BundleError> {
        let bytes = read_bounded(&dir.join(RELEASE), RELEASE_BYTES)?;
        let release: Release =
            Envelope::parse(&bytes).and_then(|envelope| envelope.says()).map_err(|attack| attack.of(RELEASE))?;
        trust::check_files(&release).map_err(|attack| attack.of(RELEASE))?;
        let bundle = Bundle { dir: dir.to_owned(), release };
        for (name, meta) in &bundle.release.files {
            if !bundle.read(name, meta.length).is_ok_and(|bytes| meta.fits(&bytes)) {
                return Err(Attack::WrongHash.of(name).into());
            }
        }
        Ok(bundle)
    }

    /// What was signed: version, times, files.
    pub fn release(&self) -> &Release {
        &self.release
    }

    /// Its version.
    pub fn version(&self) -> u64 {
        self.release.header.version
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder of its application signatures, when it has any.
    pub fn apps(&self) -> Option<PathBuf> {
        self.files(Part::App).next().map(|_| self.dir.join("apps"))
    }

    /// The threats, with their indicators.
    pub fn threats(&self) -> Result<Vec<Threat>, BundleError> {
        self.lines(Part::Threats)
    }

    /// Every indicator once: those of threats, and those of none.
    pub fn indicators(&self) -> Result<Vec<Indicator>, BundleError> {
        let of_threats = self.threats()?.into_iter().flat_map(|threat| {
            let id = threat.id;
            threat.indicators.into_iter().map(move |mut indicator| {
                indicator.threat.get_or_insert_with(|| id.clone());
                indicator
            })
        });
        let mut all: Vec<Indicator> = of_threats.collect();
        all.extend(self.lines::<Indicator>(Part::Indicators)?);
        let mut seen = HashSet::with_capacity(all.len());
        all.retain(|indicator| seen.insert(indicator.id));
        Ok(all)
    }

    /// The policy rules: name and text.
    pub fn rules(&self) -> Result<Vec<(String, String)>, BundleError> {
        let read = |(name, meta): (&String, &FileMeta)| {
            let line = |why: &str| BundleError::Line { file: name.clone(), line: 1, why: why.to_owned() };
            if meta.length > MOST_TEXT {
                return Err(line("a file of rules has at most 1 MiB"));
            }
            let text = String::from_utf8(self.read(name, meta.length)?).map_err(|_| line("not UTF-8"))?;
            Ok((name.clone(), text))
        };
        self.files(Part::Rule).map(read).collect()
    }

    fn files(&self, part: Part) -> impl Iterator<Item = (&String, &FileMeta)> {
        self.release.files.iter().filter(move |(name, _)| Part::of(name) == Some(part))
    }

    fn read(&self, name: &str, most: u64) -> Result<Vec<u8>, BundleError> {
        read_bounded(&self.dir.join(name), most)
    }

    fn lines<T: DeserializeOwned>(&self, part: Part) -> Result<Vec<T>, BundleError> {
        let mut all = Vec::new();
        for (name, _) in self.files(part) {
            let path = self.dir.join(name);
            let failed = |why| BundleError::Io { path: path.clone(), why };
            let mut reader = BufReader::new(File::open(&path).map_err(failed)?);
            let mut text = Vec::new();
            for line in 1.. {
                text.clear();
                let mut part = (&mut reader).take(MOST_LINE as u64 + 1);
                if part.read_until(b'\n', &mut text).map_err(failed)? == 0 {
                    break;
                }
                let wrong = |why: String| BundleError::Line { file: name.clone(), line, why };
                if text.len() > MOST_LINE {
                    return Err(wrong("longer than 4 MiB".to_owned()));
                }
                all.push(serde_json::from_slice(&text).map_err(|why| wrong(why.to_string()))?);
            }
        }
        Ok(all)
    }
}

/// Names of the folders that a bundle's files need.
pub(super) fn folders(release: &Release) -> BTreeSet<&str> {
    release.files.keys().filter_map(|name| name.split_once('/').map(|(folder, _)| folder)).collect()
}

fn read_bounded(path: &Path, most: u64) -> Result<Vec<u8>, BundleError> {
    let read = || {
        let mut bytes = Vec::with_capacity(most.min(fs::metadata(path)?.len()) as usize + 1);
        File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|why| BundleError::Io { path: path.to_owned(), why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_stay_in_their_folder_are_files_of_a_bundle() {
        for (name, part) in [
            ("threats.jsonl", Part::Threats),
            ("indicators.jsonl", Part::Indicators),
            ("apps/8x8.toml", Part::App),
            ("rules/office-hours.cedar", Part::Rule),
        ] {
            assert_eq!(Part::of(name), Some(part), "{name}");
        }
        let long = format!("apps/{}.toml", "a".repeat(65));
        for name in [
            "",
            "x",
            "release.json",
            "../threats.jsonl",
            "/etc/passwd",
            "apps/../x.toml",
            "apps/.toml",
            "apps/.x.toml",
            "apps/a/b.toml",
            "apps/a.b.toml",
            "apps/A.toml",
            "apps\\a.toml",
            "apps/a.cedar",
            "rules/a.toml",
            "rules/é.cedar",
            "rules/a\0.cedar",
            "rules/-a.cedar",
            "THREATS.jsonl",
            &long,
        ] {
            assert_eq!(Part::of(name), None, "{name}");
        }
    }
}
