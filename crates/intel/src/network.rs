//! The networks that threats use: the applications of `apps/`, and what is no application or is long gone.

use std::fmt;

/// What a network carries, as vendors have always counted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Medium {
    /// Messages between people: instant messaging, voice and meetings.
    Im,
    /// Files and commands between peers.
    P2p,
    /// Neither: mail, the web.
    Other,
}

impl Medium {
    /// Its name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Medium::Im => "im",
            Medium::P2p => "p2p",
            Medium::Other => "other",
        }
    }
}

impl fmt::Display for Medium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its id: that of its `apps/` entry, where there is one.
    pub id: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// What it carries.
    pub medium: Medium,
}

/// Networks without an entry in `apps/`.
const OTHERS: &[Network] = &[
    network("aim", "AOL Instant Messenger", Medium::Im),
    network("bonjour", "iChat over Bonjour", Medium::Im),
    network("reuters", "Reuters Messaging", Medium::Im),
    network("im", "IM, not named", Medium::Im),
    network("overnet", "Overnet", Medium::P2p),
    network("waste", "WASTE", Medium::P2p),
    network("p2p", "P2P, own or not named", Medium::P2p),
    network("github", "GitHub", Medium::Other),
    network("mail", "Mail", Medium::Other),
    network("twitter", "Twitter", Medium::Other),
    network("usb", "Removable drives", Medium::Other),
    network("web", "The web", Medium::Other),
];

/// `(id, name, category)` of every entry of `apps/`.
const APPS: &[(&str, &str, &str)] = include!(concat!(env!("OUT_DIR"), "/networks.rs"));

const fn network(id: &'static str, name: &'static str, medium: Medium) -> Network {
    Network { id, name, medium }
}

/// The network of an id.
pub fn find(id: &str) -> Option<Network> {
    if let Some(other) = OTHERS.iter().find(|other| other.id == id) {
        return Some(*other);
    }
    let at = APPS.binary_search_by(|(app, ..)| (*app).cmp(id)).ok()?;
    APPS.get(at).map(|&(id, name, category)| network(id, name, medium(category)))
}

/// The ids of all of them.
pub fn ids() -> impl Iterator<Item = &'static str> + Clone {
    OTHERS.iter().map(|other| other.id).chain(APPS.iter().map(|(id, ..)| *id))
}

/// Its name for people; the id itself of one that is not known.
pub fn name(id: &str) -> &str {
    find(id).map_or(id, |network| network.name)
}

/// What the categories of `apps/` carry.
fn medium(category: &str) -> Medium {
    match category {
        "im" | "uc" => Medium::Im,
        "p2p" | "p2ptv" | "p2pcoin" => Medium::P2p,
        _ => Medium::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applications_and_what_is_none_are_found() {
        for (id, medium) in [
            ("msn", Medium::Im),
            ("aim", Medium::Im),
            ("teams", Medium::Im),
            ("fasttrack", Medium::P2p),
            ("bittorrent", Medium::P2p),
            ("mail", Medium::Other),
            ("tor", Medium::Other),
        ] {
            assert_eq!(find(id).map(|network| network.medium), Some(medium), "{id}");
        }
        assert_eq!(find("nonesuch"), None);
        assert_eq!(name("msn"), "MSN Messenger");
    }

    #[test]
    fn no_id_means_two_networks() {
        for other in OTHERS {
            assert!(APPS.iter().all(|(id, ..)| *id != other.id), "{} has an entry in apps/", other.id);
        }
    }
}
