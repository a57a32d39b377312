//! The leg to the chat server: dialled with a deadline, verified the way the operator says, with errors that tell what
//! failed and what to do.

mod trust;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::listen::set_options;
use crate::tls::{BUFFER_LIMIT, Inside};
use trust::explain_certificate;
pub use trust::{Pin, Trust, TrustError, client_config};

/// Addresses of one name that are tried.
const ADDRESSES_TRIED: usize = 16;

/// A host (name or address) and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// DNS name or address, IPv6 without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// How the leg to the server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpstreamTls {
    /// Not at all; for a server on the same machine.
    Off,
    /// XMPP's STARTTLS (RFC 6120 section 5); never falls back to plain text.
    #[default]
    StartTls,
    /// TLS from the first byte (XEP-0368).
    Direct,
}

/// A chat server behind the gateway.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Where it listens.
    pub address: HostPort,
    /// The chat domain, which its certificate has to name.
    pub domain: String,
    /// How the leg is encrypted.
    pub tls: UpstreamTls,
    /// What its certificate is checked against.
    pub trust: Trust,
}

/// The server could not be reached or not be trusted. Every text names the server and ends with what to do.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name has no address.
    #[error("{address}: can't resolve the name: {why}; check the upstream's address and DNS")]
    Resolve {
        /// Whom.
        address: HostPort,
        /// Why.
        why: String,
    },
    /// No address took the connection.
    #[error("{address}: can't connect: {source}; check that the server runs and listens there")]
    Connect {
        /// Whom.
        address: HostPort,
        /// The last address's error.
        source: io::Error,
    },
    /// Not done in time.
    #[error("{address}: {phase} not done in time; check the server and the network between")]
    Late {
        /// Whom.
        address: HostPort,
        /// What was under way.
        phase: &'static str,
    },
    /// Its certificate is refused.
    #[error("{address}: certificate for {name} refused: {why}; {hint}")]
    Certificate {
        /// Whom.
        address: HostPort,
        /// The name it should prove.
        name: String,
        /// Why.
        why: String,
        /// What to do.
        hint: &'static str,
    },
    /// Insecure trust towards another machine.
    #[error(
        "{address} is at {at}, which is not this machine, so it is not trusted unchecked; give a CA file or a pin, or allow insecure anywhere"
    )]
    NotLoopback {
        /// Whom.
        address: HostPort,
        /// Where it is in fact.
        at: IpAddr,
    },
    /// The handshake failed otherwise.
    #[error("{address}: TLS handshake failed: {why}; check that TLS of version 1.2 or 1.3 is spoken on that port")]
    Tls {
        /// Whom.
        address: HostPort,
        /// Why.
        why: String,
    },
}

impl DialError {
    /// The label in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            DialError::Resolve { .. } => "resolve",
            DialError::Connect { .. } => "connect",
            DialError::Late { .. } => "late",
            DialError::Certificate { .. } => "certificate",
            DialError::NotLoopback { .. } => "not_loopback",
            DialError::Tls { .. } => "tls",
        }
    }
}

/// A TLS connection to a server, and the certificate it showed.
#[derive(Debug)]
pub struct Secured {
    /// The connection.
    pub stream: TlsStream<TcpStream>,
    /// The server's leaf certificate in DER.
    pub leaf: Option<CertificateDer<'static>>,
}

/// Dials one server. Made once, used for every session; both steps can be cancelled by dropping them.
#[derive(Clone)]
pub struct Dialer {
    address: HostPort,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
    /// Loopback only, when the certificate is not checked.
    is_local_only: bool,
}

impl Dialer {
    /// Prepares to dial a chat server.
    pub fn new(upstream: &Upstream) -> Result<Dialer, TrustError> {
        let config = client_config(&upstream.trust, Inside::XmppClient)?;
        Dialer::with_config(upstream.address.clone(), &upstream.domain, &upstream.trust, config)
    }

    /// Prepares to dial `address`, whose certificate has to name `name`, with a configuration made before from the
    /// same `trust`.
    pub fn with_config(
        address: HostPort,
        name: &str,
        trust: &Trust,
        config: Arc<ClientConfig>,
    ) -> Result<Dialer, TrustError> {
        let bad_name = || TrustError::Name(name.to_owned());
        let ascii = match url::Host::parse(name).map_err(|_| bad_name())? {
            url::Host::Domain(domain) => domain,
            url::Host::Ipv4(v4) => v4.to_string(),
            url::Host::Ipv6(v6) => v6.to_string(),
        };
        let name = ServerName::try_from(ascii).map_err(|_| bad_name())?;
        let is_local_only = matches!(trust, Trust::Insecure { anywhere: false });
        Ok(Dialer { address, name, config, is_local_only })
    }

    /// Where it dials.
    pub fn address(&self) -> &HostPort {
        &self.address
    }

    /// Opens the connection: every address of the name is tried in turn until one answers, each with its share of the
    /// time that is left.
    pub async fn connect_tcp(&self, deadline: Instant) -> Result<TcpStream, DialError> {
        let address = || self.address.clone();
        let late = |phase| DialError::Late { address: address(), phase };
        let resolved = timeout_at(deadline, self.resolve()).await.map_err(|_| late("name resolution"))??;
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for (index, &at) in resolved.iter().enumerate() {
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(resolved.len() - index).unwrap_or(1);
            match timeout_at(Instant::now() + share, TcpStream::connect(at)).await {
                Ok(Ok(stream)) => {
                    set_options(&stream).map_err(|source| DialError::Connect { address: address(), source })?;
                    return Ok(stream);
                }
                Ok(Err(error)) => last = error,
                Err(_elapsed) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        if last.kind() == io::ErrorKind::TimedOut {
            return Err(late("connecting"));
        }
        Err(DialError::Connect { address: address(), source: last })
    }

    async fn resolve(&self) -> Result<Vec<SocketAddr>, DialError> {
        let failed = |why: String| DialError::Resolve { address: self.address.clone(), why };
        let found = tokio::net::lookup_host((self.address.host.as_str(), self.address.port))
            .await
            .map_err(|error| failed(error.to_string()))?;
        let found: Vec<_> = found.take(ADDRESSES_TRIED).collect();
        if found.is_empty() { Err(failed("it has no address".to_owned())) } else { Ok(found) }
    }

    /// Secures a connection that was opened before (and, for STARTTLS, told to proceed, with nothing read ahead).
    pub async fn wrap_tls(&self, tcp: TcpStream, deadline: Instant) -> Result<Secured, DialError> {
        if self.is_local_only {
            let at = tcp.peer_addr().map_err(|source| DialError::Connect { address: self.address.clone(), source })?;
            if !at.ip().to_canonical().is_loopback() {
                return Err(DialError::NotLoopback { address: self.address.clone(), at: at.ip() });
            }
        }
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let handshake = connector
            .connect_with(self.name.clone(), tcp, |connection| connection.set_buffer_limit(Some(BUFFER_LIMIT)));
        match timeout_at(deadline, handshake).await {
            Ok(Ok(stream)) => {
                let leaf = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).cloned();
                let leaf = leaf.map(CertificateDer::into_owned);
                Ok(Secured { stream, leaf })
            }
            Ok(Err(error)) => Err(self.explain(error)),
            Err(_elapsed) => Err(DialError::Late { address: self.address.clone(), phase: "the TLS handshake" }),
        }
    }

    fn explain(&self, error: io::Error) -> DialError {
        let address = self.address.clone();
        match error.downcast::<rustls::Error>() {
            Ok(rustls::Error::InvalidCertificate(cause)) => {
                let (why, hint) = explain_certificate(&cause);
                DialError::Certificate { address, name: self.name.to_str().into_owned(), why, hint }
            }
            Ok(error) => DialError::Tls { address, why: error.to_string() },
            Err(error) => DialError::Tls { address, why: error.to_string() },
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<HostPort, String> {
        let want = || format!("`{text}` is not HOST:PORT; write it as chat.example.org:5222 or [2001:db8::1]:5222");
        let (host, port) = text.rsplit_once(':').ok_or_else(want)?;
        let port = port.parse().map_err(|_| want())?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(v6) => v6.parse::<std::net::Ipv6Addr>().map_err(|_| want())?.to_string(),
            None if host.is_empty() || host.contains([':', '[', ']', '/', ' ', '@']) => return Err(want()),
            None => host.to_owned(),
        };
        Ok(HostPort { host, port })
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").field("address", &self.address).field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
