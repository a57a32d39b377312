//! What a server's certificate is checked against, and why it is refused.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError as Cause, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::tls::{self, Inside, fingerprint};

/// Sessions kept for resumption with one upstream; each saves a full handshake and costs some kB.
const SESSIONS_KEPT: usize = 64;

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

/// Why a certificate is refused, and what to do.
pub(super) fn explain_certificate(cause: &Cause) -> (String, &'static str) {
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
            // webpki's own error, which rustls passes on without a type that could be named here.
            None if other.to_string() == "CaUsedAsEndEntity" => (
                "it is an authority's own (self-signed) certificate, and not in the CA file".to_owned(),
                "give that certificate as the upstream's CA file, or pin it",
            ),
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
