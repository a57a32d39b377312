//! One certificate with its key: read, checked, and known again when its files change.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::CertificateSource;

/// Largest PEM file that is read.
const FILE_MOST: u64 = 1024 * 1024;
/// How long before its end a certificate is spoken about.
const EXPIRY_NOTICE_DAYS: i64 = 14;

/// A certificate can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// Nothing was given.
    #[error("no certificate configured; give a certificate and key, or let a self-signed one be made")]
    NoSource,
    /// A file can't be read or written.
    #[error("{}: {source}; check that it exists and that the gateway's user may read it", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds nothing of the kind that is needed.
    #[error("{}: no {what} in it; {hint}", path.display())]
    Empty {
        /// Which file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// A file is not what it should be.
    #[error("{}: {why}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The key belongs to another certificate.
    #[error("{} does not belong to the certificate in {}; give the key that the certificate was requested with", key.display(), certificate.display())]
    KeyMismatch {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        certificate: PathBuf,
    },
    /// The key fits a later certificate of the chain.
    #[error("{}: the chain is in the wrong order; put the domain's certificate first, then intermediates", .0.display())]
    Order(PathBuf),
    /// rustls refuses it.
    #[error("TLS library: {0}")]
    Tls(rustls::Error),
    /// A self-signed certificate can't be made.
    #[error("can't make a self-signed certificate: {0}; give a certificate and key instead")]
    SelfSigned(String),
}

/// SHA-256 of a certificate, in upper-case hexadecimal with colons.
pub fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let digest = Sha256::digest(certificate.as_ref());
    let pairs: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

/// A certificate in force.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) certified: Arc<CertifiedKey>,
    leaf: CertificateDer<'static>,
    not_after: Timestamp,
    names: Vec<String>,
    /// The files as they were last looked at, good or bad.
    seen: Mutex<Option<[Stamp; 2]>>,
}

/// What tells that a file was replaced or rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: (i64, i64),
    inode: u64,
    length: u64,
}

impl Loaded {
    /// Reads and checks a source; logs what works but is questionable.
    pub(super) fn read(
        source: &CertificateSource,
        provider: &CryptoProvider,
        now: Timestamp,
    ) -> Result<Loaded, CertificateError> {
        // Before reading, so that a change during it is seen by the next look.
        let seen = stamps(source);
        let chain = read_chain(&source.certificate)?;
        let key = read_key(&source.key)?;
        let leaf = chain.first().cloned().ok_or_else(|| no_certificate(&source.certificate))?;
        let certified = certify(&chain, key, source, provider)?;
        let (not_after, names) = check_leaf(&leaf, source, now)?;
        check_order(&chain, &source.certificate);
        Ok(Loaded { certified: Arc::new(certified), leaf, not_after, names, seen: Mutex::new(seen) })
    }

    pub(super) fn leaf(&self) -> &CertificateDer<'static> {
        &self.leaf
    }

    pub(super) fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// DNS names that the certificate itself holds.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether the files differ from when they were last looked at. Files that are gone for the moment have not
    /// changed: the certificate in force needs them no more.
    pub(super) fn has_changed(&self, source: &CertificateSource) -> bool {
        let now = stamps(source);
        now.is_some() && now != *self.seen.lock()
    }

    /// Takes note of files that were refused, so that they are not tried again until they change again.
    pub(super) fn mark_seen(&self, source: &CertificateSource) {
        *self.seen.lock() = stamps(source);
    }
}

fn stamps(source: &CertificateSource) -> Option<[Stamp; 2]> {
    let stamp = |path: &Path| {
        let of = |m: Metadata| Stamp { modified: (m.mtime(), m.mtime_nsec()), inode: m.ino(), length: m.len() };
        std::fs::metadata(path).ok().map(of)
    };
    Some([stamp(&source.certificate)?, stamp(&source.key)?])
}

fn read_pem(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let failed = |source| CertificateError::File { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(FILE_MOST + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_MOST {
        let why = format!("larger than {FILE_MOST} bytes; give a PEM file with one chain or key");
        return Err(CertificateError::Malformed { path: path.to_owned(), why });
    }
    Ok(bytes)
}

/// The certificates of a PEM file, in order.
pub(crate) fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let bytes = read_pem(path)?;
    let chain = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>().map_err(|error| {
        CertificateError::Malformed { path: path.to_owned(), why: format!("not valid PEM: {error:?}") }
    })?;
    if chain.is_empty() { Err(no_certificate(path)) } else { Ok(chain) }
}

fn no_certificate(path: &Path) -> CertificateError {
    let hint = "it should hold `-----BEGIN CERTIFICATE-----`";
    CertificateError::Empty { path: path.to_owned(), what: "certificate", hint }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, CertificateError> {
    let bytes = read_pem(path)?;
    if let Ok(metadata) = std::fs::metadata(path)
        && metadata.mode() & 0o007 != 0
    {
        tracing::warn!(path = %path.display(), "the private key can be read by everyone; chmod 600 or 640");
    }
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => {
            let hint =
                "it should hold an unencrypted `-----BEGIN PRIVATE KEY-----`; `openssl pkey` removes a passphrase";
            CertificateError::Empty { path: path.to_owned(), what: "private key", hint }
        }
        other => CertificateError::Malformed { path: path.to_owned(), why: format!("not valid PEM: {other:?}") },
    })
}

/// Joins chain and key, after checking that they fit.
fn certify(
    chain: &[CertificateDer<'static>],
    key: PrivateKeyDer<'static>,
    source: &CertificateSource,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, CertificateError> {
    let signer = provider.key_provider.load_private_key(key).map_err(|error| CertificateError::Malformed {
        path: source.key.clone(),
        why: format!("key of a kind that is not supported: {error}; use RSA (2048 to 8192 bits), ECDSA or Ed25519"),
    })?;
    let certified = CertifiedKey::new(chain.to_vec(), signer);
    let mismatch =
        || CertificateError::KeyMismatch { key: source.key.clone(), certificate: source.certificate.clone() };
    match certified.keys_match() {
        Ok(()) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => {
            let fits = |certificate: &CertificateDer<'static>| {
                CertifiedKey::new(vec![certificate.clone()], Arc::clone(&certified.key)).keys_match().is_ok()
            };
            let is_misplaced = chain.iter().skip(1).any(fits);
            Err(if is_misplaced { CertificateError::Order(source.certificate.clone()) } else { mismatch() })
        }
        Err(error) => {
            let why = format!("not a usable certificate: {error}");
            Err(CertificateError::Malformed { path: source.certificate.clone(), why })
        }
    }
}

/// When the leaf ends and what it names; warns of what clients will refuse.
fn check_leaf(
    leaf: &CertificateDer<'_>,
    source: &CertificateSource,
    now: Timestamp,
) -> Result<(Timestamp, Vec<String>), CertificateError> {
    let path = &source.certificate;
    let malformed = |why: String| CertificateError::Malformed { path: path.clone(), why };
    let (_, leaf) =
        X509Certificate::from_der(leaf).map_err(|error| malformed(format!("not a certificate: {error}")))?;
    let second = |time: x509_parser::time::ASN1Time| Timestamp::from_second(time.timestamp());
    let not_before = second(leaf.validity().not_before).unwrap_or(Timestamp::MIN);
    let not_after = second(leaf.validity().not_after).unwrap_or(Timestamp::MAX);
    let days_left = not_after.duration_since(now).as_hours() / 24;
    let path = path.display();
    if not_after <= now {
        tracing::warn!(%path, %not_after, "the certificate has expired; clients will refuse it");
    } else if not_before > now {
        tracing::warn!(%path, %not_before, "the certificate is not valid yet; check the clock");
    } else if days_left < EXPIRY_NOTICE_DAYS {
        tracing::warn!(%path, %not_after, days_left, "the certificate expires soon; renew it");
    }
    let names: Vec<String> = match leaf.subject_alternative_name() {
        Ok(Some(extension)) => extension.value.general_names.iter().filter_map(dns_name).collect(),
        Ok(None) | Err(_) => Vec::new(),
    };
    for domain in &source.domains {
        let seconds = not_after.as_second() as f64;
        metrics::gauge!("portcullis_certificate_expiry_timestamp_seconds", "domain" => domain.clone()).set(seconds);
        let ascii = super::ascii(domain);
        let parent = ascii.split_once('.').map(|(_, parent)| format!("*.{parent}"));
        if !names.iter().any(|name| *name == ascii || Some(name) == parent.as_ref()) {
            tracing::warn!(%path, %domain, "the certificate does not name the domain; clients will refuse it");
        }
    }
    Ok((not_after, names))
}

fn dns_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    }
}

/// Warns when a certificate does not issue the one before it.
fn check_order(chain: &[CertificateDer<'_>], path: &Path) {
    let parsed: Vec<_> = chain.iter().filter_map(|der| X509Certificate::from_der(der).ok()).map(|(_, c)| c).collect();
    if parsed.len() != chain.len() {
        tracing::warn!(path = %path.display(), "the chain holds something that is not a certificate");
    }
    let is_ordered = parsed.windows(2).all(|pair| pair[0].issuer().as_raw() == pair[1].subject().as_raw());
    if !is_ordered {
        tracing::warn!(path = %path.display(), "the chain is out of order or has gaps; put each certificate before its issuer");
    }
}
