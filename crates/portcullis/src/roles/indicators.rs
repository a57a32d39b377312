//! Where the gateway's indicators come from: several named sources, one index.
//!
//! A source is a row of [`SOURCES`]. It keeps what it has in files (its own folder under `<data>/intel/`,
//! replaced atomically), names them in [`Source::files`], and puts what is in them into the [`Arming`] in
//! [`Source::load`]. Nothing else is to be done: `reload.rs` watches the files and, when one changes or an
//! indicator's time comes or is over, calls every source again and swaps the whole index in one step, so that
//! messages never wait. To add a source: a type that implements [`Source`], and its line in [`SOURCES`].
//!
//! Everything a source adds passes the guard (`intel::guard`); only the operator's own lists, which go
//! straight to [`Arming::builder`], are held to the index's floor alone.

use std::path::PathBuf;

use indicators::ThreatKind;
use intel::arming::{Armed, Arming};
use intel::guard::{Guard, WarningList};
use jiff::Timestamp;

use crate::config::{Config, ListKind};
use crate::failure::Failure;

/// Something that indicators come from.
pub trait Source: Sync {
    /// The files whose change means another index; a file that is not there yet may come.
    fn files(&self, config: &Config) -> Vec<PathBuf>;
    /// Adds what is in them. Warnings say what was left out; a failure leaves the old index in force, so it is
    /// for what the operator wrote himself. What was fetched and is damaged is a warning.
    fn load(&self, config: &Config, arming: &mut Arming<'_>, warnings: &mut Vec<String>) -> Result<(), Failure>;
}

/// Every source, in the order they are asked.
pub const SOURCES: &[&dyn Source] = &[&Lists, &super::own::Own, &super::feeds::Feeds, &super::subscribe::Subscribed];

/// Warnings shown of one source.
const SHOWN: usize = 20;

/// Every file whose change means another index.
pub fn files(config: &Config) -> Vec<PathBuf> {
    let sources = SOURCES.iter().flat_map(|source| source.files(config));
    sources.chain(config.intel.warning_lists.iter().cloned()).collect()
}

/// Asks every source.
pub fn load(config: &Config, warnings: &mut Vec<String>) -> Result<Armed, Failure> {
    let guard = guard(config)?;
    #[allow(clippy::disallowed_methods, reason = "the role is where time enters")]
    let mut arming = Arming::new(&guard, Timestamp::now());
    for source in SOURCES {
        source.load(config, &mut arming, warnings)?;
    }
    Ok(arming.finish())
}

/// The bundled warning list and the operator's.
pub fn guard(config: &Config) -> Result<Guard, Failure> {
    config.intel.warning_lists.iter().try_fold(Guard::bundled(), |guard, file| {
        let bytes = std::fs::read(file).map_err(|e| Failure::unreadable(file, &e))?;
        let list = WarningList::read(&file.display().to_string(), &bytes).map_err(Failure::usage)?;
        Ok(guard.with(list))
    })
}

/// The operator's own lists (`[[indicators.list]]`).
struct Lists;

impl Source for Lists {
    fn files(&self, config: &Config) -> Vec<PathBuf> {
        config.indicators.lists.iter().map(|list| list.file.clone()).collect()
    }

    fn load(&self, config: &Config, arming: &mut Arming<'_>, warnings: &mut Vec<String>) -> Result<(), Failure> {
        for list in &config.indicators.lists {
            let name = list.file.display().to_string();
            let text = std::fs::read_to_string(&list.file).map_err(|e| Failure::unreadable(&list.file, &e))?;
            let errors = arming.builder().add_list(&name, &text, list.kind.into());
            warnings.extend(errors.iter().take(SHOWN).map(|e| format!("{name}:{}: {}", e.line, e.why)));
        }
        Ok(())
    }
}

impl From<ListKind> for ThreatKind {
    fn from(kind: ListKind) -> ThreatKind {
        match kind {
            ListKind::Phishing => ThreatKind::Phishing,
            ListKind::Malware => ThreatKind::Malware,
            ListKind::Spam => ThreatKind::Spam,
            ListKind::Local => ThreatKind::Other,
        }
    }
}

/// What was not taken, as warnings.
pub fn rejections(armed: &Armed) -> impl Iterator<Item = String> {
    let refused = armed.rejected.iter().filter(|one| !one.weakened).take(SHOWN);
    refused.map(|one| {
        let place = one.reference.as_ref().map_or(String::new(), |place| format!(":{place}"));
        format!("{}{place}: {}: {}", one.source, one.pattern, one.why)
    })
}
