//! The applications that the sensor knows by name, address and fingerprint: `apps/*.toml`, compiled in.

use std::net::IpAddr;

use model::{Category, Platform};

use crate::view::Transport;

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
    /// A building block of many applications (STUN, RTP): any more specific name is better.
    pub generic: bool,
    /// Peers speak to each other directly: who speaks it on a port is remembered.
    pub peer_to_peer: bool,
    /// Platforms it runs on.
    pub platforms: Vec<Platform>,
}

/// Every known application and the look-ups into them.
#[derive(Debug, Default)]
pub struct Catalogue {
    applications: Vec<Application>,
}

impl Catalogue {
    /// The applications that come with the program.
    pub fn bundled() -> &'static Catalogue {
        static BUNDLED: std::sync::LazyLock<Catalogue> = std::sync::LazyLock::new(Catalogue::default);
        &BUNDLED
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
    pub fn by_id(&self, _id: &str) -> Option<App> {
        None
    }

    /// By a host name: server name, HTTP host or DNS name; lower case, no final dot.
    pub fn by_host(&self, _host: &str) -> Option<App> {
        None
    }

    /// By a name in a server certificate.
    pub fn by_certificate(&self, _name: &str) -> Option<App> {
        None
    }

    /// By a protocol offered in ALPN.
    pub fn by_alpn(&self, _protocol: &str) -> Option<App> {
        None
    }

    /// By JA4, whole.
    pub fn by_ja4(&self, _ja4: &str) -> Option<App> {
        None
    }

    /// By HTTP user agent.
    pub fn by_user_agent(&self, _agent: &str) -> Option<App> {
        None
    }

    /// Candidates by the server's address.
    pub fn by_address(&self, _address: IpAddr) -> &[App] {
        &[]
    }

    /// Candidates by the server's port.
    pub fn by_port(&self, _transport: Transport, _port: u16) -> &[App] {
        &[]
    }
}
