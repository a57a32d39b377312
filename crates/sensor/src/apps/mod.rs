//! The applications that the sensor knows by name, address and fingerprint: `apps/*.toml`, compiled in,
//! and what operators add to them.
//!
//! Look-ups are made for every flow with a name: they cost tens of nanoseconds and allocate nothing.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;

use model::{Category, Platform};
use serde::Serialize;
use smallvec::SmallVec;

use crate::view::Transport;

mod agents;
mod entry;
mod explain;
mod hosts;
mod load;
mod ranges;

pub use entry::Problem;
pub use explain::{Explanation, Reader, Row, explain, reference, rows, table};

pub(crate) use hosts::Hosts;

use agents::Agents;
use ranges::Ranges;

/// An application: an index into the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct App(pub u16);

/// One `apps/` entry.
#[derive(Clone, Debug)]
pub struct Application {
    /// Its id: lower case, digits and hyphens; also the name of its file.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// What kind of software it is.
    pub category: Category,
    /// What it is, in a sentence.
    pub about: String,
    /// Who uses it; empty where that goes without saying.
    pub who: String,
    /// A building block of many applications (STUN, RTP): any more specific name is better.
    pub generic: bool,
    /// Peers speak to each other directly: who speaks it on a port is remembered.
    pub peer_to_peer: bool,
    /// Platforms it runs on.
    pub platforms: Vec<Platform>,
    /// What it is known by beside payload, as written.
    pub evidence: Evidence,
}

/// What tells an application without reading its payload, as an entry says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Hosts and everything below them; `*` in a label stands for any characters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Hosts below those that are not the application's after all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_hosts: Vec<String>,
    /// Names in server certificates: hosts like above, or whole names of who holds it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<String>,
    /// Protocols in ALPN that nothing else offers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alpn: Vec<String>,
    /// JA4 fingerprints of clients that are nothing else.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ja4: Vec<String>,
    /// Words in HTTP user agents.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub user_agents: Vec<String>,
    /// Networks of its servers. These alone only make it a candidate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Ports of its servers. These alone only make it a candidate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
}

/// Whose a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// An application's.
    App(App),
    /// Nobody's, though it lies below an application's: a carve-out.
    Nobody,
}

impl Owner {
    fn app(self) -> Option<App> {
        match self {
            Owner::App(app) => Some(app),
            Owner::Nobody => None,
        }
    }
}

/// Every known application and the look-ups into them.
#[derive(Debug, Default)]
pub struct Catalogue {
    applications: Vec<Application>,
    hosts: Hosts<Owner>,
    certificate_hosts: Hosts<Owner>,
    certificate_names: HashMap<Box<str>, App>,
    alpn: HashMap<Box<str>, App>,
    ja4: HashMap<Box<str>, App>,
    agents: Agents,
    v4: Ranges<u32>,
    v6: Ranges<u128>,
    ports: Ranges<u32>,
}

impl Catalogue {
    /// The applications that come with the program.
    pub fn bundled() -> &'static Catalogue {
        static BUNDLED: std::sync::LazyLock<Catalogue> = std::sync::LazyLock::new(|| {
            let sources = load::BUNDLED.iter().map(|&(file, text)| (0, entry::Source { file, text }));
            let (catalogue, problems) = load::build(sources);
            debug_assert!(problems.is_empty(), "{problems:?}");
            catalogue
        });
        &BUNDLED
    }

    /// The bundled applications and those of `.toml` files in these folders. Later folders go before
    /// earlier ones: an entry of a known id replaces it, a host that is named again changes its owner.
    pub fn load(folders: &[PathBuf]) -> Result<Catalogue, Vec<Problem>> {
        load::load(folders)
    }

    /// Every application, in the order of their ids.
    pub fn all(&self) -> &[Application] {
        &self.applications
    }

    /// The entry of an application.
    pub fn entry(&self, app: App) -> &Application {
        &self.applications[usize::from(app.0)]
    }

    /// By id.
    pub fn by_id(&self, id: &str) -> Option<App> {
        let found = self.applications.binary_search_by(|application| application.id.as_str().cmp(id));
        found.ok().map(|at| App(at as u16))
    }

    /// By a host name: server name, HTTP host or DNS name; lower case, no final dot.
    pub fn by_host(&self, host: &str) -> Option<App> {
        self.hosts.owner(host).and_then(Owner::app)
    }

    /// By a name in a server certificate: a host, also with `*.` before it, or who holds or issued it.
    pub fn by_certificate(&self, name: &str) -> Option<App> {
        let mut lower: SmallVec<[u8; 64]> = SmallVec::from_slice(name.as_bytes());
        lower.make_ascii_lowercase();
        let name = std::str::from_utf8(&lower).ok()?;
        match name.strip_prefix("*.").unwrap_or(name) {
            host if is_host(host) => self.certificate_hosts.owner(host).and_then(Owner::app),
            _ => self.certificate_names.get(name).copied(),
        }
    }

    /// By a protocol offered in ALPN.
    pub fn by_alpn(&self, protocol: &str) -> Option<App> {
        self.alpn.get(protocol).copied()
    }

    /// By JA4, whole.
    pub fn by_ja4(&self, ja4: &str) -> Option<App> {
        self.ja4.get(ja4).copied()
    }

    /// By HTTP user agent.
    pub fn by_user_agent(&self, agent: &str) -> Option<App> {
        self.agents.owner(agent)
    }

    /// Candidates by the server's address.
    pub fn by_address(&self, address: IpAddr) -> &[App] {
        match address.to_canonical() {
            IpAddr::V4(v4) => self.v4.of(v4.to_bits()),
            IpAddr::V6(v6) => self.v6.of(v6.to_bits()),
        }
    }

    /// Candidates by the server's port.
    pub fn by_port(&self, transport: Transport, port: u16) -> &[App] {
        port_key(transport, port).map_or(&[], |key| self.ports.of(key))
    }
}

/// Whether a name in a certificate is a host: it has a dot, and no space that names of people have.
fn is_host(name: &str) -> bool {
    name.contains('.') && !name.contains(' ')
}

/// One number for a port and its transport.
fn port_key(transport: Transport, port: u16) -> Option<u32> {
    match transport {
        Transport::Tcp => Some(u32::from(port)),
        Transport::Udp => Some(1 << 16 | u32::from(port)),
        Transport::Other(_) => None,
    }
}

#[cfg(test)]
mod tests;
