//! A self-signed certificate for a gateway that was given none: made once, kept, made anew before it ends.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::certificate::{CertificateError, fingerprint, read_chain};
use super::{CertificateSource, ascii};

/// How long a made certificate is valid.
const VALID_YEARS: i16 = 2;
/// It is made anew when less than this is left.
const RENEW_DAYS: i64 = 30;

/// The self-signed certificate for `domains` under `dir`: the one that lies there while it fits, so that clients which
/// pinned it keep working, else a new one. Says what it did in the log.
pub fn self_signed(dir: &Path, domains: &[String], now: Timestamp) -> Result<CertificateSource, CertificateError> {
    let source = CertificateSource {
        domains: domains.to_vec(),
        certificate: dir.join("self-signed.pem"),
        key: dir.join("self-signed.key"),
    };
    let path = source.certificate.display();
    if source.key.exists()
        && let Ok(chain) = read_chain(&source.certificate)
        && let Some(leaf) = chain.first()
        && still_fits(leaf, domains, now)
    {
        tracing::warn!(%path, fingerprint = %fingerprint(leaf), "using the self-signed certificate; clients have to be told to trust it");
        return Ok(source);
    }
    let leaf = make(&source, dir, now)?;
    tracing::warn!(%path, ?domains, fingerprint = %fingerprint(&leaf), "made a self-signed certificate; clients have to be told to trust it");
    Ok(source)
}

fn make(source: &CertificateSource, dir: &Path, now: Timestamp) -> Result<CertificateDer<'static>, CertificateError> {
    let failed = |error: rcgen::Error| CertificateError::SelfSigned(error.to_string());
    let names: Vec<String> = source.domains.iter().map(|domain| ascii(domain)).collect();
    let mut params = CertificateParams::new(names).map_err(failed)?;
    let title = source.domains.first().map_or("portcullis", String::as_str);
    params.distinguished_name.push(DnType::CommonName, title);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // A day earlier, for clients whose clock is behind.
    let today = now.to_zoned(TimeZone::UTC).date();
    let first = today.saturating_sub(1.day());
    let last = today.saturating_add(VALID_YEARS.years());
    let date =
        |d: jiff::civil::Date| rcgen::date_time_ymd(d.year().into(), d.month().unsigned_abs(), d.day().unsigned_abs());
    params.not_before = date(first);
    params.not_after = date(last);
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;

    let io = |path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| CertificateError::File { path, source }
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io(dir))?;
    write_private(&source.key, key.serialize_pem().as_bytes()).map_err(io(&source.key))?;
    write_private(&source.certificate, certificate.pem().as_bytes()).map_err(io(&source.certificate))?;
    Ok(certificate.der().clone())
}

/// Writes beside and renames, so that a crash leaves the old file or the new one; readable by the owner only.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

fn still_fits(leaf: &CertificateDer<'_>, domains: &[String], now: Timestamp) -> bool {
    let Ok((_, leaf)) = X509Certificate::from_der(leaf) else { return false };
    let seconds_left = leaf.validity().not_after.timestamp().saturating_sub(now.as_second());
    if seconds_left < RENEW_DAYS * 86_400 {
        return false;
    }
    let Ok(Some(names)) = leaf.subject_alternative_name() else { return false };
    domains.iter().all(|domain| {
        let domain = ascii(domain);
        names.value.general_names.iter().any(|name| match name {
            GeneralName::DNSName(name) => *name == domain,
            GeneralName::IPAddress(bytes) => match (domain.parse(), bytes) {
                (Ok(std::net::IpAddr::V4(v4)), bytes) => v4.octets() == **bytes,
                (Ok(std::net::IpAddr::V6(v6)), bytes) => v6.octets() == **bytes,
                (Err(_), _) => false,
            },
            _ => false,
        })
    })
}
