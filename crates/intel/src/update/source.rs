//! Where a repository is read from: a folder here, a web server through whoever speaks HTTP.

use std::io;
use std::path::{Path, PathBuf};

use super::disk;

/// What reading came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Got {
    /// The file.
    File(Vec<u8>),
    /// There is none of that name.
    Absent,
    /// It has more bytes than were asked for; reading stopped there.
    TooLong,
}

/// Reads files of a repository.
pub trait Source {
    /// Reads the file at this path of the repository, and no more than `most` bytes of it.
    ///
    /// A reader over the network also bounds the time, so that a server that trickles can't hold it up.
    fn get(&mut self, path: &str, most: u64) -> Result<Got, SourceError>;
}

/// A repository can't be reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {why}")]
pub struct SourceError {
    /// File or address.
    pub place: String,
    /// Why.
    pub why: String,
}

/// A repository in a folder.
#[derive(Clone, Debug)]
pub struct Folder {
    dir: PathBuf,
}

impl Folder {
    /// The repository at `dir`.
    pub fn new(dir: &Path) -> Folder {
        Folder { dir: dir.to_owned() }
    }
}

impl Source for Folder {
    fn get(&mut self, path: &str, most: u64) -> Result<Got, SourceError> {
        let path = self.dir.join(path);
        match disk::read_bounded(&path, most) {
            Ok(Some(bytes)) => Ok(Got::File(bytes)),
            Ok(None) => Ok(Got::TooLong),
            // A folder that is gone (an unmounted share) is no repository without a file.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.dir.is_dir() => Ok(Got::Absent),
            Err(error) => Err(SourceError { place: path.display().to_string(), why: error.to_string() }),
        }
    }
}
