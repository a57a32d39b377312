//! XMPP in line: what is particular about its connections until two encrypted
//! legs stand; from there on it is a [`Session`](crate::session::Session) like any other.

mod greet;
pub(crate) mod host;
mod probe;
mod server;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustls::ClientConfig;
use wire::xmpp::dialect::Settings;

use crate::listen::Arrival;
use crate::session::Shared;
use crate::task::Drain;
use crate::tls::{Certificates, Inside};
use crate::upload::SlotKeeper;
use crate::upstream::{Dialer, TrustError, Upstream, UpstreamTls, client_config};

pub use probe::{Probed, probe};
pub use server::ServerError;

/// A domain that is served, and the server behind it.
#[derive(Clone, Debug)]
pub struct Domain {
    /// The XMPP domain; `None`: any that the server knows.
    pub name: Option<String>,
    /// The server.
    pub upstream: Upstream,
}

/// What an XMPP gateway needs besides what all sessions share.
pub struct Parts {
    /// What sessions share.
    pub shared: Arc<Shared>,
    /// Domains and their servers.
    pub domains: Vec<Domain>,
    /// Certificates shown to clients.
    pub certificates: Arc<Certificates>,
    /// Protocol limits.
    pub settings: Settings,
    /// Whether a client may speak without TLS.
    pub allow_plain: bool,
    /// Where uploads are led through; `None`: they are not offered.
    pub uploads: Option<Arc<SlotKeeper>>,
    /// How long connecting to a server may take.
    pub dial: Duration,
}

/// Leads XMPP clients to their servers.
pub struct Gateway {
    parts: Parts,
    /// What the server of each domain is checked against, in the order of the domains.
    checks: Vec<Arc<ClientConfig>>,
    /// One host a served domain, made at first use.
    hosts: Mutex<HashMap<String, Served>>,
}

/// A domain as sessions see it.
#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) domain: Arc<str>,
    pub(crate) tls: UpstreamTls,
    pub(crate) dialer: Dialer,
    pub(crate) host: Arc<host::Host>,
}

/// Domains remembered when any is served.
const SERVED: usize = 256;

impl Gateway {
    /// A gateway, its settings checked and the files they name read.
    pub fn new(parts: Parts) -> Result<Arc<Gateway>, TrustError> {
        let mut checks = Vec::with_capacity(parts.domains.len());
        for Domain { upstream, .. } in &parts.domains {
            let check = client_config(&upstream.trust, Inside::XmppClient)?;
            dialer(upstream, &upstream.domain, &check)?;
            checks.push(check);
        }
        Ok(Arc::new(Gateway { parts, checks, hosts: Mutex::new(HashMap::new()) }))
    }

    /// Runs one client's connection to its end.
    pub async fn run(self: Arc<Self>, arrival: Arrival, mut drain: Drain) {
        let started = Instant::now();
        let greeted = tokio::select! {
            greeted = self.greet(arrival, started) => greeted,
            () = drain.begun() => None,
        };
        if let Some(session) = greeted {
            if drain.has_begun() {
                return;
            }
            tokio::select! {
                () = session => {}
                () = drain.cut() => {}
            }
        }
    }

    /// The domain a client asked for, when it is served.
    fn served(&self, name: &str) -> Option<Served> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let mut hosts = self.hosts.lock();
        if let Some(served) = hosts.get(&name) {
            return Some(served.clone());
        }
        let mut domains = self.parts.domains.iter().zip(&self.checks);
        let named = domains.clone().find(|(domain, _)| domain.name.as_deref() == Some(&*name));
        let (domain, check) = named.or_else(|| domains.find(|(domain, _)| domain.name.is_none()))?;
        let dialer = dialer(&domain.upstream, &name, check).ok()?;
        let shared: Arc<str> = name.as_str().into();
        let host = host::Host::new(self.parts.shared.judge.clone(), shared.clone(), self.parts.uploads.clone());
        let served = Served { domain: shared, tls: domain.upstream.tls, dialer, host: Arc::new(host) };
        if hosts.len() >= SERVED {
            hosts.clear();
        }
        hosts.insert(name, served.clone());
        Some(served)
    }
}

/// Who dials a domain's server, whose certificate has to name `name`.
fn dialer(upstream: &Upstream, name: &str, check: &Arc<ClientConfig>) -> Result<Dialer, TrustError> {
    Dialer::with_config(upstream.address.clone(), name, &upstream.trust, Arc::clone(check))
}
