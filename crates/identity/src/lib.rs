//! Who is behind an address: people, groups and the organisation's border. No I/O.
//!
//! The directory comes from one TOML file:
//!
//! ```toml
//! internal_domains = ["example.org"]        # beside the domains the gateway serves
//!
//! [people.alice]
//! name = "Alice Example"
//! xmpp = ["alice@example.org"]
//! groups = ["finance"]
//!
//! [groups.finance]
//!
//! [groups.partners]
//! domains = ["partner.example"]             # everyone there and below
//! accounts = ["bob@freemail.example"]       # and one more; `*@domain` is everyone at that very domain
//! includes = ["contractors"]                # members of contractors are partners too
//!
//! [groups.contractors]
//! accounts = ["*@contractor.example"]
//!
//! [[decoy]]                                 # addresses that no person uses: who writes to one gives himself away
//! xmpp = ["helpdesk2@example.org", "lobby@rooms.example.org/Front desk"]
//! ```
//!
//! Everything is worked out when the file is read; a look-up finds one entry
//! and clones two reference counts.
#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod build;
mod file;
mod problem;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use model::{Address, Party, PartyKind, Protocol, Side};

pub use problem::Problem;

use file::Source;

pub(crate) type Map<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;
pub(crate) type Set<K> = std::collections::HashSet<K, foldhash::fast::RandomState>;

/// People, groups and the organisation's own domains. Immutable; replaced as a whole.
pub struct Directory {
    /// A domain to the side on which it and everything below it is; the longest match decides.
    sides: Map<Box<str>, Side>,
    /// By protocol.
    accounts: [Accounts; 4],
    domains: Map<Box<str>, Domain>,
    groups: Vec<Arc<str>>,
    /// Addresses that no person uses, by protocol; an occupant of a room with the nick.
    decoys: [Set<Box<str>>; 4],
    /// The empty list, shared by all strangers.
    no_groups: Arc<[Arc<str>]>,
}

/// What is known of the accounts of one protocol.
#[derive(Default)]
pub(crate) struct Accounts {
    exact: Map<Box<str>, Known>,
    /// By the domain of `*@domain`.
    all_at: Map<Box<str>, Known>,
}

/// What a look-up finds.
#[derive(Clone)]
pub(crate) struct Known {
    person: Option<Arc<str>>,
    groups: Arc<[Arc<str>]>,
}

/// Groups of everyone at a domain, and of everyone below it.
pub(crate) struct Domain {
    here: Known,
    below: Known,
}

impl Directory {
    /// Nobody known; only the given domains, and what is below them, are internal.
    pub fn empty(served: &[&str]) -> Directory {
        Directory {
            sides: served.iter().map(|domain| (fold(domain).into(), Side::Internal)).collect(),
            accounts: Default::default(),
            domains: Map::default(),
            groups: Vec::new(),
            decoys: Default::default(),
            no_groups: Arc::from([]),
        }
    }

    /// Reads a directory file; `file` is its name in problems, `served` the gateway's own domains.
    ///
    /// # Errors
    /// Everything wrong with it, in the order of the text.
    pub fn load(text: &str, file: &str, served: &[&str]) -> Result<Directory, Vec<Problem>> {
        let source = Source::new(file, text);
        let read = source.read().map_err(|problem| vec![problem])?;
        build::build(&read, &source, served)
    }

    /// Who is behind an address. Rooms and servers are on a side and in the
    /// groups of their domain too, but nobody's person.
    pub fn party(&self, protocol: Protocol, address: Address, kind: PartyKind) -> Party {
        let side = self.side(domain(&address.account));
        let decoy = kind != PartyKind::Service && self.is_decoy(protocol, &address);
        let Some(known) = self.known(protocol, &address) else {
            return Party { address, kind, side, person: None, groups: self.no_groups.clone(), decoy };
        };
        let person = if kind == PartyKind::Person { known.person.clone() } else { None };
        Party { kind, side, person, groups: known.groups.clone(), decoy, address }
    }

    /// How many addresses no person uses.
    pub fn decoys(&self) -> usize {
        self.decoys.iter().map(Set::len).sum()
    }

    /// On which side of the organisation's border a domain is.
    pub fn side(&self, domain: &str) -> Side {
        suffixes(&fold(domain)).find_map(|d| self.sides.get(d).copied()).unwrap_or(Side::External)
    }

    /// Every group that exists, sorted: what rules may name.
    pub fn groups(&self) -> &[Arc<str>] {
        &self.groups
    }

    /// The domains that are internal, with everything below them, sorted.
    pub fn internal_domains(&self) -> Vec<&str> {
        let internal = self.sides.iter().filter(|(_, side)| **side == Side::Internal);
        let mut domains: Vec<&str> = internal.map(|(domain, _)| &**domain).collect();
        domains.sort_unstable();
        domains
    }

    /// Whether an account, with any device, or an occupant of a room is a decoy.
    fn is_decoy(&self, protocol: Protocol, address: &Address) -> bool {
        let decoys = &self.decoys[build::index(protocol)];
        if decoys.is_empty() {
            return false;
        }
        let account = fold(&address.account);
        let occupant = || address.device.as_deref().map(|nick| format!("{account}/{}", fold(nick)));
        decoys.contains(&*account) || occupant().is_some_and(|occupant| decoys.contains(&*occupant))
    }

    fn known(&self, protocol: Protocol, address: &Address) -> Option<&Known> {
        let accounts = &self.accounts[build::index(protocol)];
        if let Some(known) = accounts.exact.get(&*fold(&address.account)) {
            return Some(known);
        }
        let domain = fold(domain(&address.account));
        if let Some(known) = accounts.all_at.get(&*domain) {
            return Some(known);
        }
        if self.domains.is_empty() {
            return None;
        }
        let is_whole = |d: &str| d.len() == domain.len();
        suffixes(&domain).find_map(|d| {
            let found = self.domains.get(d)?;
            Some(if is_whole(d) { &found.here } else { &found.below })
        })
    }

    fn set_sides(&mut self, internal: Vec<Box<str>>, external: Vec<Box<str>>) {
        self.sides.extend(internal.into_iter().map(|domain| (domain, Side::Internal)));
        self.sides.extend(external.into_iter().map(|domain| (domain, Side::External)));
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let accounts: usize = self.accounts.iter().map(|a| a.exact.len() + a.all_at.len()).sum();
        write!(f, "Directory({accounts} accounts, {} groups)", self.groups.len())
    }
}

/// Addresses are compared in lower case (RFC 7622 section 3.3 for accounts, RFC 4343 for domains).
pub(crate) fn fold(text: &str) -> Cow<'_, str> {
    match text.chars().any(char::is_uppercase) {
        true => Cow::Owned(text.to_lowercase()),
        false => Cow::Borrowed(text),
    }
}

/// The domain of an account: what follows the colon of a Matrix id (without a
/// port), the last `@` of others, or all of a server's or room service's name.
pub(crate) fn domain(account: &str) -> &str {
    let server = account.strip_prefix('@').and_then(|id| id.split_once(':'));
    match server {
        Some((_, server)) => server.split_once(':').map_or(server, |(host, _)| host),
        None => account.rsplit('@').next().unwrap_or(account),
    }
}

/// A domain and the domains above it: `a.b.c`, `b.c`, `c`.
pub(crate) fn suffixes(domain: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(domain), |d| d.split_once('.').map(|(_, above)| above))
}
