//! What clients see of the certificates, live.

use std::os::unix::fs::PermissionsExt;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio_rustls::TlsConnector;

use super::*;
use crate::task::{Shutdown, spawn_named};
use crate::testing::{Authority, Kind, replace};

const LONG: Duration = Duration::from_secs(30);

/// What a client gets to see.
struct Seen {
    leaf: Vec<u8>,
    alpn: Option<Vec<u8>>,
    resumed: bool,
}

async fn connect(
    server: Arc<ServerConfig>,
    client: &Arc<rustls::ClientConfig>,
    name: &str,
) -> Result<Seen, Option<HandshakeError>> {
    let (near, far) = duplex(64 * 1024);
    let serving = spawn_named("server", async move {
        let mut stream = accept(server, far, LONG).await?;
        stream.write_all(b"hello").await.map_err(HandshakeError::Io)?;
        stream.flush().await.map_err(HandshakeError::Io)?;
        Ok::<_, HandshakeError>(())
    });
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connected = TlsConnector::from(Arc::clone(client)).connect(name, near).await;
    let Ok(mut stream) = connected else { return Err(serving.await.unwrap().err()) };
    // TLS 1.3 tickets come with the first data.
    let mut hello = [0; 5];
    if stream.read_exact(&mut hello).await.is_err() {
        return Err(serving.await.unwrap().err());
    }
    serving.await.unwrap().map_err(Some)?;
    let connection = stream.get_ref().1;
    Ok(Seen {
        leaf: connection.peer_certificates().unwrap()[0].to_vec(),
        alpn: connection.alpn_protocol().map(<[u8]>::to_vec),
        resumed: connection.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
    })
}

fn now() -> Timestamp {
    "2026-11-23T00:00:00Z".parse().unwrap()
}

#[tokio::test]
async fn each_domain_shows_its_certificate_by_sni_and_by_stream() {
    let authority = Authority::new();
    let sources = vec![
        authority.source(&["one.example"], Kind::Good),
        authority.source(&["two.example", "*.files.example"], Kind::Good),
    ];
    let certificates = Certificates::load(sources, now()).unwrap();
    let leaf = |domain: &str| certificates.leaf(domain).unwrap().to_vec();
    let mut client = Arc::unwrap_or_clone(authority.client(&[]));
    let by_sni = || certificates.by_sni(Inside::XmppClient);

    let with_sni = Arc::new(client.clone());
    assert_eq!(connect(by_sni(), &with_sni, "one.example").await.unwrap().leaf, leaf("one.example"));
    assert_eq!(connect(by_sni(), &with_sni, "two.example").await.unwrap().leaf, leaf("two.example"));
    assert_eq!(connect(by_sni(), &with_sni, "a.files.example").await.unwrap().leaf, leaf("two.example"));

    client.enable_sni = false;
    let without_sni = Arc::new(client);
    assert_eq!(connect(by_sni(), &without_sni, "one.example").await.unwrap().leaf, leaf("one.example"));
    assert!(connect(by_sni(), &without_sni, "two.example").await.is_err(), "the default is for one.example");
    let two = certificates.for_domain(Inside::XmppClient, "Two.Example");
    assert_eq!(connect(two, &without_sni, "two.example").await.unwrap().leaf, leaf("two.example"));
    assert!(certificates.leaf("three.example").is_none());
    assert_eq!(certificates.fingerprint("one.example").unwrap().len(), 95);
}

#[tokio::test]
async fn alpn_is_taken_when_it_fits_and_not_demanded() {
    let authority = Authority::new();
    let certificates = Certificates::load(vec![authority.source(&["one.example"], Kind::Good)], now()).unwrap();
    let server = || certificates.by_sni(Inside::XmppClient);
    let none = connect(server(), &authority.client(&[]), "one.example").await.unwrap();
    assert_eq!(none.alpn, None);
    let fits = connect(server(), &authority.client(&[b"h2", b"xmpp-client"]), "one.example").await.unwrap();
    assert_eq!(fits.alpn.as_deref(), Some(&b"xmpp-client"[..]));
    // A browser that was led here must not get through (ALPACA).
    let browser = connect(server(), &authority.client(&[b"h2", b"http/1.1"]), "one.example").await;
    assert_eq!(browser.err().flatten().unwrap().name(), "alpn");
}

#[tokio::test]
async fn changed_files_are_taken_over_live_and_bad_ones_refused() {
    let authority = Authority::new();
    let source = authority.source(&["one.example"], Kind::Good);
    let (certificate, key) = (source.certificate.clone(), source.key.clone());
    let certificates = Certificates::load(vec![source], now()).unwrap();
    let old = certificates.leaf("one.example").unwrap();
    let client = authority.client(&[]);
    let shown = async || connect(certificates.by_sni(Inside::XmppClient), &client, "one.example").await.unwrap();
    assert_eq!(certificates.reload(now()), 0, "nothing changed");

    let (new_certificate, new_key) = authority.issue(&["one.example"], Kind::Good);
    replace(&certificate, &new_certificate);
    assert_eq!(certificates.reload(now()), 0, "the key does not fit yet");
    assert_eq!(shown().await.leaf, old.to_vec());
    replace(&key, &new_key);
    assert_eq!(certificates.reload(now()), 1);
    let new = certificates.leaf("one.example").unwrap();
    assert_ne!(new, old);
    let seen = shown().await;
    assert_eq!(seen.leaf, new.to_vec());
    assert!(!seen.resumed, "a session of the old certificate must not go on under the new");

    replace(&certificate, "not a certificate");
    assert_eq!(certificates.reload(now()), 0);
    std::fs::remove_file(&certificate).unwrap();
    assert_eq!(certificates.reload(now()), 0);
    assert_eq!(shown().await.leaf, new.to_vec());
}

#[tokio::test]
async fn the_watcher_notices_by_itself() {
    let authority = Authority::new();
    let source = authority.source(&["one.example"], Kind::Good);
    let (certificate, key) = (source.certificate.clone(), source.key.clone());
    let certificates = Certificates::load(vec![source], now()).unwrap();
    let old = certificates.leaf("one.example").unwrap();
    let (shutdown, drain) = Shutdown::new();
    let watching = spawn_named("certificates", Arc::clone(&certificates).watch(Duration::from_millis(1), drain));
    let (new_certificate, new_key) = authority.issue(&["one.example"], Kind::Good);
    replace(&certificate, &new_certificate);
    replace(&key, &new_key);
    let changed = async {
        while certificates.leaf("one.example").unwrap() == old {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(3600), changed).await.unwrap();
    shutdown.begin();
    watching.await.unwrap();
}

#[tokio::test]
async fn sessions_resume() {
    let authority = Authority::new();
    let certificates = Certificates::load(vec![authority.source(&["one.example"], Kind::Good)], now()).unwrap();
    let client = authority.client(&[]);
    let server = || certificates.by_sni(Inside::XmppClient);
    assert!(!connect(server(), &client, "one.example").await.unwrap().resumed);
    assert!(connect(server(), &client, "one.example").await.unwrap().resumed);
}

#[test]
fn what_does_not_fit_is_refused_with_what_to_do() {
    let authority = Authority::new();
    let good = authority.source(&["good.example"], Kind::Good);
    let other = authority.source(&["other.example"], Kind::Good);
    let text = |path: &PathBuf| std::fs::read_to_string(path).unwrap();
    let ca = text(&authority.file());
    let wrong_order = authority.write("order.pem", &format!("{ca}{}", text(&good.certificate)));
    let chain = authority.write("chain.pem", &format!("{}{ca}", text(&good.certificate)));
    let empty = authority.write("empty.pem", "");
    let garbage = authority.write("garbage.pem", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n");
    let missing = authority.dir.path().join("missing.pem");
    let load = |certificate: &PathBuf, key: &PathBuf| {
        let source = CertificateSource {
            domains: vec!["good.example".to_owned()],
            certificate: certificate.clone(),
            key: key.clone(),
        };
        Certificates::load(vec![source], now()).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(load(&good.certificate, &good.key), Ok(()));
    assert_eq!(load(&chain, &good.key), Ok(()));
    for (certificate, key, says) in [
        (&good.certificate, &other.key, "does not belong to the certificate"),
        (&wrong_order, &good.key, "put the domain's certificate first"),
        (&empty, &good.key, "no certificate in it"),
        (&good.certificate, &empty, "no private key in it"),
        (&good.certificate, &good.certificate, "no private key in it"),
        (&garbage, &good.key, "not valid PEM"),
        (&missing, &good.key, "check that it exists"),
    ] {
        let error = load(certificate, key).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
    assert!(Certificates::load(Vec::new(), now()).is_err());
    // An expired one works, for whoever still takes it; refusing to start would help nobody.
    assert!(Certificates::load(vec![authority.source(&["old.example"], Kind::Expired)], now()).is_ok());
}

#[test]
fn a_self_signed_certificate_is_made_once_and_kept_while_it_fits() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("tls");
    let domains = ["chat.example".to_owned(), "127.0.0.1".to_owned(), "müller.example".to_owned()];
    let make = |domains: &[String], at: Timestamp| {
        let source = self_signed(&dir, domains, at).unwrap();
        for path in [&source.certificate, &source.key] {
            assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        Certificates::load(vec![source], at).unwrap().fingerprint(&domains[0]).unwrap()
    };
    let first = make(&domains, now());
    assert_eq!(make(&domains, now()), first);
    assert_eq!(make(&domains[..1], now()), first);
    let more = [domains.to_vec(), vec!["new.example".to_owned()]].concat();
    let second = make(&more, now());
    assert_ne!(second, first);
    let two_years_later = "2028-11-01T00:00:00Z".parse().unwrap();
    assert_ne!(make(&more, two_years_later), second);
}

#[tokio::test]
async fn a_silent_client_is_late() {
    let authority = Authority::new();
    let certificates = Certificates::load(vec![authority.source(&["one.example"], Kind::Good)], now()).unwrap();
    let (_near, far) = duplex(1024);
    let error = accept(certificates.by_sni(Inside::Http), far, Duration::from_millis(1)).await.unwrap_err();
    assert!(matches!(error, HandshakeError::Late));
}
