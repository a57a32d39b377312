//! Where a repository is: a folder, whose timestamp file tells by itself when something changed, or a web server.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use intel::update::{Folder, Source};

use super::LOOK_EVERY;
use crate::config::Subscribe;
use crate::failure::Failure;

/// What tells that a file changed.
type Stamp = Option<(SystemTime, u64, u64)>;

/// A repository that is followed.
pub struct Place {
    source: Box<dyn Source + Send>,
    /// The timestamp file, and what it was like when it was last looked at.
    watched: Option<(PathBuf, Stamp)>,
}

impl Place {
    /// What the configuration names.
    pub fn of(subscribe: &Subscribe) -> Result<Place, Failure> {
        match (&subscribe.path, &subscribe.url) {
            (Some(dir), None) => {
                Ok(Place { source: Box::new(Folder::new(dir)), watched: Some((dir.join("timestamp.json"), None)) })
            }
            (None, Some(url)) => Ok(Place { source: Box::new(super::web::Web::new(url)?), watched: None }),
            _ => Err(Failure::usage("intel.subscribe: give either url or path")
                .hint("path = \"/srv/intel\" for a folder, url = \"https://...\" for a web server")),
        }
    }

    /// How long until the next look.
    pub fn look_every(&self, every: Duration) -> Duration {
        if self.watched.is_some() { LOOK_EVERY } else { every }
    }

    /// Whether the timestamp file of a folder is another than at the last look.
    pub fn has_changed(&mut self) -> bool {
        let Some((path, seen)) = &mut self.watched else { return false };
        let stamp: Stamp = fs::metadata(path).ok().and_then(|m| Some((m.modified().ok()?, m.len(), m.ino())));
        let changed = stamp != *seen;
        *seen = stamp;
        changed
    }

    /// What it is read through.
    pub fn source(&mut self) -> &mut dyn Source {
        &mut *self.source
    }
}
