//! The gateway's own certificates and the TLS that clients see.
//!
//! [`Certificates`] holds one certificate a domain, picks by SNI or by the domain a stream was opened to, and takes
//! changed files over while running; a bad new file is refused and the old certificate kept.

mod certificate;
mod handshake;
mod self_signed;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::task::Drain;
use certificate::Loaded;
pub(crate) use certificate::read_chain;
pub use certificate::{CertificateError, fingerprint};
pub use handshake::{BUFFER_LIMIT, HandshakeError, accept};
pub use self_signed::self_signed;

/// How often certificate files are looked at.
pub const WATCH_EVERY: Duration = Duration::from_secs(5);

/// What is spoken inside TLS; decides the ALPN that is offered. Clients without ALPN are taken as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside {
    /// XMPP client streams (XEP-0368).
    XmppClient,
    /// HTTP/1.1.
    Http,
}

impl Inside {
    const ALL: [Inside; 2] = [Inside::XmppClient, Inside::Http];

    /// The protocol's name in ALPN.
    pub fn alpn(self) -> &'static [u8] {
        match self {
            Inside::XmppClient => b"xmpp-client",
            Inside::Http => b"http/1.1",
        }
    }
}

/// A certificate chain and its key, and the domains they serve.
#[derive(Clone, Debug)]
pub struct CertificateSource {
    /// Domains as configured; also what is picked without SNI.
    pub domains: Vec<String>,
    /// PEM file: the domain's certificate first, then intermediates.
    pub certificate: PathBuf,
    /// PEM file: the unencrypted private key (PKCS#8, SEC1 or PKCS#1).
    pub key: PathBuf,
}

/// The certificates in force.
pub struct Certificates {
    sources: Vec<CertificateSource>,
    provider: Arc<CryptoProvider>,
    current: ArcSwap<Current>,
    /// One reload at a time.
    reloading: Mutex<()>,
}

/// What is in force at one time, replaced whole.
struct Current {
    /// One for each source, in the same order.
    loaded: Vec<Arc<Loaded>>,
    /// ASCII domain to index.
    by_domain: HashMap<String, usize>,
    configs: Vec<Configs>,
    /// Picks by SNI.
    by_name: Configs,
}

/// A TLS configuration for each thing that is spoken inside, in the order of [`Inside::ALL`].
struct Configs([Arc<ServerConfig>; 2]);

impl Certificates {
    /// Loads and checks every source. The first one is the default. What is questionable but works (expired, wrong
    /// name, file mode) is logged.
    pub fn load(sources: Vec<CertificateSource>, now: Timestamp) -> Result<Arc<Certificates>, CertificateError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        if sources.is_empty() {
            return Err(CertificateError::NoSource);
        }
        let loaded = sources
            .iter()
            .map(|source| Loaded::read(source, &provider, now).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()?;
        let current = Current::new(&sources, loaded, &provider)?;
        Ok(Arc::new(Certificates {
            sources,
            provider,
            current: ArcSwap::from_pointee(current),
            reloading: Mutex::new(()),
        }))
    }

    /// The configuration for a new connection that picks the certificate by SNI, or the default without.
    pub fn by_sni(&self, inside: Inside) -> Arc<ServerConfig> {
        self.current.load().by_name.pick(inside)
    }

    /// The configuration with `domain`'s certificate whatever the SNI says: for STARTTLS, where the stream's `to`
    /// already told. An unknown domain gets the configuration by SNI.
    pub fn for_domain(&self, inside: Inside, domain: &str) -> Arc<ServerConfig> {
        let current = self.current.load();
        match current.index(domain).and_then(|index| current.configs.get(index)) {
            Some(configs) => configs.pick(inside),
            None => current.by_name.pick(inside),
        }
    }

    /// The leaf certificate shown for `domain`, in DER: what `tls-server-end-point` binds to (RFC 5929 section 4).
    pub fn leaf(&self, domain: &str) -> Option<CertificateDer<'static>> {
        let current = self.current.load();
        current.loaded.get(current.index(domain)?).map(|loaded| loaded.leaf().clone())
    }

    /// SHA-256 of `domain`'s leaf certificate, as `openssl x509 -fingerprint -sha256` prints it.
    pub fn fingerprint(&self, domain: &str) -> Option<String> {
        self.leaf(domain).map(|leaf| fingerprint(&leaf))
    }

    /// Loads what changed on disk. A source that can't be loaded keeps its old certificate and is logged, once for
    /// each change. Returns how many were replaced. Blocks on small files.
    pub fn reload(&self, now: Timestamp) -> usize {
        let _one_at_a_time = self.reloading.lock();
        let old = self.current.load_full();
        let mut replaced = 0;
        let loaded = self.sources.iter().zip(&old.loaded).map(|(source, old)| {
            if !old.has_changed(source) {
                return Arc::clone(old);
            }
            match Loaded::read(source, &self.provider, now) {
                Ok(new) => {
                    replaced += 1;
                    tracing::info!(
                        domains = ?source.domains, fingerprint = %fingerprint(new.leaf()), expires = %new.not_after(),
                        "certificate reloaded"
                    );
                    Arc::new(new)
                }
                Err(error) => {
                    metrics::counter!("portcullis_certificate_reload_failures_total").increment(1);
                    tracing::error!(domains = ?source.domains, "new certificate refused, the old one stays: {error}");
                    old.mark_seen(source);
                    Arc::clone(old)
                }
            }
        });
        let loaded: Vec<_> = loaded.collect();
        if replaced > 0 {
            match Current::new(&self.sources, loaded, &self.provider) {
                Ok(current) => self.current.store(Arc::new(current)),
                Err(error) => tracing::error!("new certificates refused, the old ones stay: {error}"),
            }
        }
        replaced
    }

    /// Reloads on change until the drain begins; run it as a named task.
    pub async fn watch(self: Arc<Self>, every: Duration, mut drain: Drain) {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                () = drain.begun() => return,
                _ = ticks.tick() => {}
            }
            let certificates = Arc::clone(&self);
            if let Err(error) = tokio::task::spawn_blocking(move || certificates.reload(Timestamp::now())).await {
                tracing::error!("looking at certificate files failed: {error}");
            }
        }
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("sources", &self.sources).finish_non_exhaustive()
    }
}

impl Current {
    fn new(
        sources: &[CertificateSource],
        loaded: Vec<Arc<Loaded>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Current, CertificateError> {
        let default = loaded.first().ok_or(CertificateError::NoSource)?;
        let mut by_domain = HashMap::new();
        for (index, source) in sources.iter().enumerate() {
            for domain in &source.domains {
                by_domain.entry(ascii(domain)).or_insert(index);
            }
        }
        // Beside the configured domains, what the certificates themselves name (an upload host, a wildcard).
        let mut names: HashMap<String, Arc<CertifiedKey>> = HashMap::new();
        for (domain, &index) in &by_domain {
            names.insert(domain.clone(), Arc::clone(&loaded[index].certified));
        }
        for loaded in &loaded {
            for name in loaded.names() {
                names.entry(name.to_ascii_lowercase()).or_insert_with(|| Arc::clone(&loaded.certified));
            }
        }
        let by_name = Configs::new(&Resolver { names, default: Arc::clone(&default.certified) }, provider)?;
        let configs = loaded
            .iter()
            .map(|loaded| {
                let resolver = Resolver { names: HashMap::new(), default: Arc::clone(&loaded.certified) };
                Configs::new(&resolver, provider)
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Current { loaded, by_domain, configs, by_name })
    }

    fn index(&self, domain: &str) -> Option<usize> {
        self.by_domain.get(&ascii(domain)).copied()
    }
}

impl Configs {
    fn new(resolver: &Resolver, provider: &Arc<CryptoProvider>) -> Result<Configs, CertificateError> {
        let [xmpp, http] = Inside::ALL.map(|inside| server_config(resolver.clone(), inside, provider));
        Ok(Configs([xmpp?, http?]))
    }

    fn pick(&self, inside: Inside) -> Arc<ServerConfig> {
        let [xmpp, http] = &self.0;
        Arc::clone(match inside {
            Inside::XmppClient => xmpp,
            Inside::Http => http,
        })
    }
}

/// TLS 1.2 and 1.3, no early data. Sessions resume by stateless tickets under keys that rotate and that die with the
/// certificate they were issued under, so no client takes memory here between its connections.
fn server_config(
    resolver: Resolver,
    inside: Inside,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<ServerConfig>, CertificateError> {
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(CertificateError::Tls)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![inside.alpn().to_vec()];
    config.max_early_data_size = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = rustls::crypto::ring::Ticketer::new().map_err(CertificateError::Tls)?;
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

/// Picks a certificate by SNI.
#[derive(Clone, Debug)]
struct Resolver {
    names: HashMap<String, Arc<CertifiedKey>>,
    default: Arc<CertifiedKey>,
}

impl Resolver {
    fn find(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        let name = name.trim_end_matches('.');
        self.names.get(name).or_else(|| {
            let (_, parent) = name.split_once('.')?;
            self.names.get(&format!("*.{parent}"))
        })
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| self.find(name));
        Some(Arc::clone(named.unwrap_or(&self.default)))
    }
}

/// A domain as it stands in SNI and certificates: lower case, IDNA A-labels. What is not a host stays as it is and
/// matches nothing.
fn ascii(domain: &str) -> String {
    match url::Host::parse(domain.trim_end_matches('.')) {
        Ok(host) => host.to_string(),
        Err(_) => domain.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests;
