//! From a campaign and its drafts to a threat of the site's own catalogue (`<data>/intel/catalogue`), which
//! `portcullis threats`, the gateway and `portcullis intel publish` read; and from there into a signed bundle.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::{Campaign, KeyKind};
use crate::update::{Contents, Expiry, Keys, Published, Repository, RepositoryError};
use crate::{Catalogue, Indicator, Kind, Precision, Reference, Threat, Tlp, When, network, stix};

/// The file that holds what decoys brought in, replaced as a whole.
pub const DECOYS: &str = "decoys.toml";
/// Bytes of a file of a bundle that is read to be published again.
const MOST_BYTES: u64 = 128 << 20;

/// Why a threat can't be written or published.
#[derive(Debug, thiserror::Error)]
pub enum PromoteError {
    /// The file system says no.
    #[error("{}: {why}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// There is something else in its place.
    #[error("{}: there is a threat of that id already", .path.display())]
    Taken {
        /// The file.
        path: PathBuf,
    },
    /// It can't be said in TOML.
    #[error("threat `{id}` can't be written: {why}")]
    Unwritable {
        /// The threat.
        id: String,
        /// Why.
        why: toml::ser::Error,
    },
    /// What the repository holds is not what was published.
    #[error("{}: {what}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The repository says no.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

/// The folder of the site's own catalogue.
pub fn folder(data: &Path) -> PathBuf {
    data.join("intel").join("catalogue")
}

/// A threat made of a campaign, without indicators.
pub fn threat(campaign: &Campaign, id: String, name: String, kind: Kind, marking: Tlp) -> Threat {
    let day = |time: Timestamp| When { date: time.to_zoned(TimeZone::UTC).date(), precision: Precision::Day };
    let networks: Vec<String> =
        campaign.protocols.iter().filter(|id| network::find(id).is_some()).map(|id| String::from(&**id)).collect();
    let has = |kind: KeyKind| campaign.keys.keys().any(|key| key.kind() == kind);
    let vectors = [(KeyKind::Url, "link"), (KeyKind::Sha256, "file-transfer"), (KeyKind::Channel, "invitation")];
    let (accounts, people) = campaign.hit();
    let about = format!(
        "{} messages of {} senders to {} recipients from {} to {}; {} were stopped, {accounts} accounts ({people} known people) \
         received some.",
        campaign.messages,
        campaign.senders.len(),
        campaign.recipients.len(),
        day(campaign.first_seen),
        day(campaign.last_seen),
        campaign.stopped,
    );
    Threat {
        id,
        name,
        aliases: Vec::new(),
        family: None,
        variant: false,
        kind,
        networks: if networks.is_empty() { vec!["im".to_owned()] } else { networks },
        platforms: Vec::new(),
        first_seen: Some(day(campaign.first_seen)),
        vectors: vectors.into_iter().filter(|(kind, _)| has(*kind)).map(|(_, name)| name.to_owned()).collect(),
        techniques: campaign
            .techniques
            .iter()
            .filter(|id| stix::is_technique(id))
            .map(|id| String::from(&**id))
            .collect(),
        payload: None,
        about,
        unknown: Vec::new(),
        sources: vec![Reference {
            by: format!("this site's journal, campaign {}", campaign.id),
            url: None,
            published: Some(day(campaign.last_seen)),
        }],
        confidence: 80,
        marking,
        indicators: Vec::new(),
    }
}

/// An id made of a name: lower case, digits and hyphens.
pub fn slug(name: &str) -> String {
    let mut id = String::new();
    for c in name.chars() {
        match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9') => id.push(c),
            _ if !id.is_empty() && !id.ends_with('-') => id.push('-'),
            _ => {}
        }
        if id.len() >= 60 {
            break;
        }
    }
    id.trim_end_matches('-').to_owned()
}

/// Writes a new threat into the site's own catalogue, in a file of its own.
pub fn write(data: &Path, threat: &Threat) -> Result<PathBuf, PromoteError> {
    let path = folder(data).join(format!("{}.toml", threat.id));
    if path.exists() {
        return Err(PromoteError::Taken { path });
    }
    replace(&path, std::slice::from_ref(threat), "A campaign of this site, promoted by triage.")?;
    Ok(path)
}

/// What decoys brought in and has not run out. A file that does not read counts as empty: it is the gateway's own,
/// and short-lived.
pub fn decoyed(data: &Path, now: Timestamp) -> Vec<Threat> {
    #[derive(serde::Deserialize)]
    struct File {
        #[serde(default)]
        threat: Vec<Threat>,
    }
    let text = fs::read_to_string(folder(data).join(DECOYS)).unwrap_or_default();
    let threats = toml::from_str::<File>(&text).map(|file| file.threat).unwrap_or_default();
    threats.into_iter().filter(|threat| holds(threat, now)).collect()
}

/// Writes what decoys brought in, all of it.
pub fn write_decoyed(data: &Path, threats: &[Threat]) -> Result<(), PromoteError> {
    let path = folder(data).join(DECOYS);
    if threats.is_empty() {
        return match fs::remove_file(&path) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => Err(PromoteError::Io { path, why }),
            _ => Ok(()),
        };
    }
    replace(&path, threats, "What was sent to decoys. Written by the gateway; it goes by itself when it runs out.")
}

/// Whether any of a threat's indicators still holds.
fn holds(threat: &Threat, now: Timestamp) -> bool {
    threat.indicators.iter().any(|indicator| indicator.valid_until.is_none_or(|until| until > now))
}

/// Publishes the bundle that a repository has, with the site's own threats in it and without those of the ids `gone`;
/// what decoys brought in and has run out is left out.
pub fn publish(
    repository: &Path,
    own: &[Threat],
    gone: &[String],
    most: Tlp,
    keys: &Keys,
    now: Timestamp,
    expiry: Expiry,
) -> Result<Published, PromoteError> {
    let standing = Repository::new(repository).standing()?;
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    if let Some((_, _, release)) = standing.published {
        for (name, meta) in release.files {
            let path = repository.join("files").join(&meta.sha256);
            let length = fs::metadata(&path).map_err(|why| PromoteError::Io { path: path.clone(), why })?.len();
            if length > MOST_BYTES {
                return Err(PromoteError::Damaged { path, what: format!("{length} bytes, more than was published") });
            }
            files.insert(name, fs::read(&path).map_err(|why| PromoteError::Io { path: path.clone(), why })?);
        }
    }
    let mut contents = Contents::new(most);
    let theirs: Vec<Threat> = lines(repository, "threats.jsonl", &files)?;
    let ran_out = |threat: &Threat| threat.id.starts_with("decoy-") && !holds(threat, now);
    contents.add_threats(theirs.into_iter().filter(|threat| !ran_out(threat) && !gone.contains(&threat.id)));
    contents.add_threats(own.iter().cloned());
    contents.add_indicators(lines::<Indicator>(repository, "indicators.jsonl", &files)?);
    files.retain(|name, _| name != "threats.jsonl" && name != "indicators.jsonl");
    files.extend(contents.files().map_err(RepositoryError::from)?);
    Ok(Repository::new(repository).publish(Some(files), keys, now, expiry)?)
}

/// The site's own catalogue; empty where there is none.
pub fn own(data: &Path) -> Result<Catalogue, Vec<crate::Problem>> {
    let folder = folder(data);
    if folder.is_dir() { Catalogue::load(&folder) } else { Ok(Catalogue::default()) }
}

fn lines<T: serde::de::DeserializeOwned>(
    repository: &Path,
    name: &str,
    files: &BTreeMap<String, Vec<u8>>,
) -> Result<Vec<T>, PromoteError> {
    let Some(bytes) = files.get(name) else { return Ok(Vec::new()) };
    let damaged =
        |error: serde_json::Error| PromoteError::Damaged { path: repository.join(name), what: error.to_string() };
    bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).map_err(damaged))
        .collect()
}

fn replace(path: &Path, threats: &[Threat], about: &str) -> Result<(), PromoteError> {
    #[derive(Serialize)]
    struct File<'a> {
        threat: &'a [Threat],
    }
    let unwritable =
        |why| PromoteError::Unwritable { id: threats.first().map(|t| t.id.clone()).unwrap_or_default(), why };
    let text = format!("# {about}\n\n{}", toml::to_string(&File { threat: threats }).map_err(unwritable)?);
    let io = |why| PromoteError::Io { path: path.to_owned(), why };
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io)?;
    }
    // Readers see the old file or the new one; what has not this ending they do not read.
    let aside = path.with_extension("part");
    fs::write(&aside, text).map_err(io)?;
    fs::rename(&aside, path).map_err(io)
}
