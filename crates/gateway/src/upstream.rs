//! The leg to the chat server: dialled with a deadline, verified the way the operator says, with errors that tell what
//! failed and what to do.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError as Cause, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::listen::set_options;
use crate::tls::{self, BUFFER_LIMIT, Inside, fingerprint};

/// Sessions kept for resumption with one upstream; each saves a full handshake and costs some kB.
const SESSIONS_KEPT: usize = 64;
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

/// What a server's certificate is checked against.
#[derive(Clone, Debug, Default)]
pub enum Trust {
    /// The system's certificate authorities.
    #[default]
    Roots,
    /// The authorities in a PEM file. A certificate that stands in the file itself is trusted as it is while it is
    /// valid and names the server, so that a self-signed one works.
    CaFile(PathBuf),
    /// Exactly these certificates, whatever they say.
    Pin(Vec<Pin>),
    /// Anything. Only for loopback, unless the operator says `anywhere`.
    Insecure {
        /// Also for servers that are not on this machine.
        anywhere: bool,
    },
}

/// SHA-256 of a certificate, as `openssl x509 -fingerprint -sha256` prints it, colons or not.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pin(pub [u8; 32]);

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

/// The upstream's settings can't work.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The domain can't stand in a certificate.
    #[error("`{0}` is not a host name that a certificate can name; check the domain")]
    Name(String),
    /// A CA file.
    #[error("upstream CA: {0}")]
    CaFile(#[from] tls::CertificateError),
    /// A certificate in the CA file is not one that can be trusted.
    #[error("{}: {why}; give PEM certificates of authorities or of the server", path.display())]
    BadAnchor {
        /// The CA file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The system has none.
    #[error(
        "no certificate authorities found on this system ({0}); install ca-certificates, or give a CA file or a pin"
    )]
    NoRoots(String),
    /// No pin given.
    #[error("no pin given; add the SHA-256 fingerprint of the server's certificate")]
    NoPin,
    /// rustls refuses the configuration.
    #[error("TLS library: {0}")]
    Tls(rustls::Error),
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

/// Why a certificate is refused, and what to do.
fn explain_certificate(cause: &Cause) -> (String, &'static str) {
    match cause {
        Cause::Expired | Cause::ExpiredContext { .. } => {
            ("it has expired".to_owned(), "renew the server's certificate, or check this machine's clock")
        }
        Cause::NotValidYet | Cause::NotValidYetContext { .. } => {
            ("it is not valid yet".to_owned(), "check the clocks of both machines")
        }
        Cause::UnknownIssuer => (
            "its issuer is not trusted".to_owned(),
            "give the issuer (or the self-signed certificate itself) as the upstream's CA file, or pin it",
        ),
        Cause::NotValidForName => ("it is for another name".to_owned(), "check the domain, or pin the certificate"),
        Cause::NotValidForNameContext { presented, .. } => {
            // The server's own words, bounded.
            let mut names = presented.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
            if names.is_empty() {
                names.push_str("no name at all");
            }
            (format!("it is for {names}"), "check the domain, or pin the certificate")
        }
        Cause::Other(rustls::OtherError(other)) => match other.downcast_ref::<NotPinned>() {
            Some(not_pinned) => {
                (not_pinned.to_string(), "if the server's certificate was renewed on purpose, pin the new fingerprint")
            }
            None => (other.to_string(), "check the server's certificate"),
        },
        other => (format!("{other:?}"), "check the server's certificate"),
    }
}

/// TLS towards servers that `trust` accepts. Read once; a changed CA file needs a new configuration.
pub fn client_config(trust: &Trust, inside: Inside) -> Result<Arc<ClientConfig>, TrustError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(TrustError::Tls)?;
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        Trust::Roots => webpki(native_roots()?, &provider)?,
        Trust::CaFile(path) => Arc::new(ca_file(path, &provider)?),
        Trust::Pin(pins) if pins.is_empty() => return Err(TrustError::NoPin),
        Trust::Pin(pins) => Arc::new(Pinned { pins: Some(pins.clone()), provider }),
        Trust::Insecure { .. } => Arc::new(Pinned { pins: None, provider }),
    };
    let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.alpn_protocols = vec![inside.alpn().to_vec()];
    config.resumption = Resumption::in_memory_sessions(SESSIONS_KEPT);
    config.enable_early_data = false;
    Ok(Arc::new(config))
}

fn webpki(roots: RootCertStore, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, TrustError> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| TrustError::Tls(rustls::Error::General(error.to_string())))
}

fn native_roots() -> Result<RootCertStore, TrustError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _ignored) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let why = found.errors.first().map_or_else(|| "none installed".to_owned(), ToString::to_string);
        return Err(TrustError::NoRoots(why));
    }
    Ok(roots)
}

fn ca_file(path: &Path, provider: &Arc<CryptoProvider>) -> Result<Anchored, TrustError> {
    let certificates = tls::read_chain(path)?;
    let mut roots = RootCertStore::empty();
    for certificate in &certificates {
        roots.add(certificate.clone()).map_err(|error| TrustError::BadAnchor {
            path: path.to_owned(),
            why: format!("not a usable certificate: {error}"),
        })?;
    }
    Ok(Anchored { authorities: webpki(roots, provider)?, itself: certificates })
}

/// Trusts what the authorities signed, and their own certificates when a server shows one of them. The latter because
/// servers make self-signed certificates marked as an authority, which webpki refuses as a server's own.
#[derive(Debug)]
struct Anchored {
    authorities: Arc<WebPkiServerVerifier>,
    itself: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Anchored {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.itself.contains(end_entity) {
            check_validity(end_entity, now)?;
            let parsed = rustls::server::ParsedCertificate::try_from(end_entity)?;
            rustls::client::verify_server_name(&parsed, server_name)?;
            return Ok(ServerCertVerified::assertion());
        }
        self.authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authorities.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authorities.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

fn check_validity(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), rustls::Error> {
    let (_, parsed) =
        X509Certificate::from_der(certificate).map_err(|_| rustls::Error::InvalidCertificate(Cause::BadEncoding))?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let validity = parsed.validity();
    if now > validity.not_after.timestamp() {
        return Err(Cause::Expired.into());
    }
    if now < validity.not_before.timestamp() {
        return Err(Cause::NotValidYet.into());
    }
    Ok(())
}

/// Trusts the pinned certificates and nothing else, or anything (`pins` is `None`, for loopback). That the server has
/// the certificate's key is proved either way.
#[derive(Debug)]
struct Pinned {
    pins: Option<Vec<Pin>>,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug, thiserror::Error)]
#[error("its fingerprint {0} is not pinned")]
struct NotPinned(String);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let is_trusted = match &self.pins {
            None => true,
            Some(pins) => pins.contains(&Pin::of(end_entity)),
        };
        if is_trusted {
            return Ok(ServerCertVerified::assertion());
        }
        let why = NotPinned(fingerprint(end_entity));
        Err(Cause::Other(rustls::OtherError(Arc::new(why))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl Pin {
    /// The pin of a certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Pin {
        Pin(Sha256::digest(certificate.as_ref()).into())
    }
}

impl FromStr for Pin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Pin, &'static str> {
        const WANT: &str = "a pin is the SHA-256 fingerprint of a certificate: 64 hexadecimal digits, colons allowed";
        let digits: Vec<u8> = text.bytes().filter(|&b| b != b':').collect();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(WANT);
        }
        let mut out = [0; 32];
        for (byte, pair) in out.iter_mut().zip(digits.chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| WANT)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| WANT)?;
        }
        Ok(Pin(out))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
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
