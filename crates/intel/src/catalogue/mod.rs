//! The catalogue of known attacks: `intel/catalogue/*.toml`, compiled in, and what operators add of their own.
//!
//! A file holds `[[threat]]` tables in the form of [`Threat`], under a comment that says which year it is about.

use std::collections::HashMap;
use std::path::Path;
use std::sync::LazyLock;

use crate::network::{self, Medium};
use crate::{Kind, Problem, Threat};

mod check;
mod file;

/// Files as compiled in: name and text.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));

static BUNDLED: LazyLock<Catalogue> = LazyLock::new(|| {
    // A file that is wrong fails this module's tests; a release has none.
    let read = FILES.iter().filter_map(|(name, text)| file::read(name, text).ok());
    Catalogue::new(read.flatten().map(|(threat, _)| threat))
});

/// Known attacks, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    threats: Vec<Threat>,
    places: HashMap<String, usize>,
}

impl Catalogue {
    /// What comes with the program.
    pub fn bundled() -> &'static Catalogue {
        &BUNDLED
    }

    /// Of these threats; the last of an id counts.
    pub fn new(threats: impl IntoIterator<Item = Threat>) -> Catalogue {
        let last: HashMap<String, Threat> = threats.into_iter().map(|threat| (threat.id.clone(), threat)).collect();
        let mut threats: Vec<Threat> = last.into_values().collect();
        // Undated ones come last.
        let when = |threat: &Threat| (threat.first_seen.is_none(), threat.first_seen);
        threats.sort_by(|a, b| when(a).cmp(&when(b)).then_with(|| a.id.cmp(&b.id)));
        let places = threats.iter().enumerate().map(|(at, threat)| (threat.id.clone(), at)).collect();
        Catalogue { threats, places }
    }

    /// An operator's own: every `*.toml` file of a folder, or one file. Without one that is wrong, or all that is wrong with them.
    pub fn load(folder: &Path) -> Result<Catalogue, Vec<Problem>> {
        file::load(folder).map(Catalogue::new)
    }

    /// Adds threats; one that has the id of another takes its place.
    #[must_use]
    pub fn with(&self, more: impl IntoIterator<Item = Threat>) -> Catalogue {
        Catalogue::new(self.threats.iter().cloned().chain(more))
    }

    /// All of them, by first sight; undated ones come last.
    pub fn threats(&self) -> &[Threat] {
        &self.threats
    }

    /// The threat of an id.
    pub fn get(&self, id: &str) -> Option<&Threat> {
        self.threats.get(*self.places.get(id)?)
    }

    /// The threats that go by a name, case apart: the one whose id or name it is, else those whose family or alias.
    pub fn named(&self, name: &str) -> Vec<&Threat> {
        let is = |text: &str| text.eq_ignore_ascii_case(name.trim());
        if let Some(threat) = self.threats.iter().find(|threat| is(&threat.id) || is(&threat.name)) {
            return vec![threat];
        }
        let called =
            |threat: &&Threat| threat.family.as_deref().is_some_and(is) || threat.aliases.iter().any(|alias| is(alias));
        self.threats.iter().filter(called).collect()
    }
}

/// What a threat counts as: instant messaging, peer-to-peer, or both.
///
/// Mail and the web count as neither; a threat that uses nothing else, or networks that nobody knows, counts by its kind.
pub fn media(threat: &Threat) -> (bool, bool) {
    let uses =
        |medium| threat.networks.iter().filter_map(|id| network::find(id)).any(|network| network.medium == medium);
    match (uses(Medium::Im), uses(Medium::P2p)) {
        (false, false) => (threat.kind != Kind::P2pMalware, threat.kind == Kind::P2pMalware),
        known => known,
    }
}

#[cfg(test)]
mod tests;
