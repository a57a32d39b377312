//! A certificate authority for one run, and the certificates it signs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};
use sha2::{Digest, Sha256};

use crate::{DOMAIN, ROOMS, UPLOADS};

/// An authority with its certificate in a file.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// PEM file for clients to trust.
    pub file: PathBuf,
    /// SHA-256 of the certificate, `AB:CD:...`, as clients show it.
    pub fingerprint: String,
}

/// A certificate chain and its key, as PEM files.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate.
    pub chain: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// SHA-256 of the certificate, `AB:CD:...`, as clients show it.
    pub fingerprint: String,
}

impl Authority {
    /// Makes an authority in a directory.
    pub fn make(directory: &Path, name: &str) -> Result<Authority> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        limit_validity(&mut params)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key)?;
        let file = directory.join("ca.pem");
        write(&file, &certificate.pem())?;
        Ok(Authority { issuer: Issuer::new(params, key), file, fingerprint: fingerprint(certificate.der()) })
    }

    /// Signs a certificate for [`DOMAIN`], its services and 127.0.0.1, under `name` in a directory.
    pub fn issue(&self, directory: &Path, name: &str) -> Result<Certificate> {
        let key = KeyPair::generate()?;
        let names = [DOMAIN, ROOMS, UPLOADS, "*.localhost", "127.0.0.1"].map(String::from);
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, DOMAIN);
        limit_validity(&mut params)?;
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let made = Certificate {
            chain: directory.join(format!("{name}.pem")),
            key: directory.join(format!("{name}.key")),
            fingerprint: fingerprint(certificate.der()),
        };
        write(&made.chain, &certificate.pem())?;
        write(&made.key, &key.serialize_pem())?;
        Ok(made)
    }
}

/// From yesterday for a year: ejabberd cannot count to rcgen's default, and phones refuse more than 825 days.
fn limit_validity(params: &mut CertificateParams) -> Result<()> {
    let today = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC).date();
    let (start, end) = (today.yesterday()?, today.checked_add(jiff::Span::new().days(365))?);
    let date = |date: jiff::civil::Date| -> Result<_> {
        Ok(date_time_ymd(i32::from(date.year()), u8::try_from(date.month())?, u8::try_from(date.day())?))
    };
    params.not_before = date(start)?;
    params.not_after = date(end)?;
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn fingerprint(der: &[u8]) -> String {
    let pairs: Vec<String> = Sha256::digest(der).iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}
