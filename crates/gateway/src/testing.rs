//! Certificates for tests: an authority, and what it signs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

use crate::tls::CertificateSource;

/// An authority made for one test, and a directory for its files.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    pub(crate) dir: tempfile::TempDir,
}

/// What is to be special about a certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Good,
    Expired,
    NotYetValid,
    /// Self-signed and marked as an authority, as chat servers make them.
    OwnAuthority,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test authority");
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), pem, dir: tempfile::tempdir().unwrap() }
    }

    /// Its own certificate as a CA file.
    pub(crate) fn file(&self) -> PathBuf {
        self.write("ca.pem", &self.pem)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// PEM of a certificate and of its key.
    pub(crate) fn issue(&self, names: &[&str], kind: Kind) -> (String, String) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        let key = KeyPair::generate().unwrap();
        match kind {
            Kind::Good => {}
            Kind::Expired => params.not_after = date_time_ymd(2020, 1, 1),
            Kind::NotYetValid => params.not_before = date_time_ymd(4000, 1, 1),
            Kind::OwnAuthority => {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                return (params.self_signed(&key).unwrap().pem(), key.serialize_pem());
            }
        }
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// A certificate for `names` in files named after the first.
    pub(crate) fn source(&self, names: &[&str], kind: Kind) -> CertificateSource {
        let (certificate, key) = self.issue(names, kind);
        CertificateSource {
            domains: names.iter().map(|&name| name.to_owned()).collect(),
            certificate: self.write(&format!("{}.pem", names[0]), &certificate),
            key: self.write(&format!("{}.key", names[0]), &key),
        }
    }

    /// A client that trusts this authority, and offers `alpn`.
    pub(crate) fn client(&self, alpn: &[&[u8]]) -> Arc<rustls::ClientConfig> {
        use rustls::pki_types::pem::PemObject;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(rustls::pki_types::CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    }
}

/// Puts a file in another's place, as certificate tools do.
pub(crate) fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("renewed");
    fs::write(&beside, text).unwrap();
    fs::rename(&beside, path).unwrap();
}
