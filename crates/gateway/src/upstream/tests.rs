//! Dialling fake servers on loopback.

use std::time::Duration;

use jiff::Timestamp;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use super::*;
use crate::task::spawn_named;
use crate::testing::{Authority, Kind};
use crate::tls::{self, CertificateSource, Certificates};

/// A server on loopback that shows a certificate to whoever comes.
async fn server(source: CertificateSource) -> (HostPort, CertificateDer<'static>) {
    let domain = source.domains[0].clone();
    let certificates = Certificates::load(vec![source], Timestamp::now()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let leaf = certificates.leaf(&domain).unwrap();
    spawn_named("server", async move {
        while let Ok((stream, _)) = listener.accept().await {
            let config = certificates.by_sni(Inside::XmppClient);
            if let Ok(mut stream) = tls::accept(config, stream, Duration::from_secs(30)).await {
                let _closed = stream.read(&mut [0; 16]).await;
            }
        }
    });
    (HostPort { host: "localhost".to_owned(), port }, leaf)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

async fn dial(address: &HostPort, domain: &str, trust: Trust) -> Result<Secured, String> {
    let upstream = Upstream { address: address.clone(), domain: domain.to_owned(), tls: UpstreamTls::Direct, trust };
    let dialer = Dialer::new(&upstream).map_err(|error| error.to_string())?;
    let tcp = dialer.connect_tcp(soon()).await.map_err(|error| error.to_string())?;
    dialer.wrap_tls(tcp, soon()).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn certificates_are_trusted_as_the_operator_says_and_refusals_say_why() {
    let authority = Authority::new();
    let ca = || Trust::CaFile(authority.file());
    let own = authority.source(&["own.example"], Kind::OwnAuthority);
    let own_file = Trust::CaFile(own.certificate.clone());
    let (good, leaf) = server(authority.source(&["chat.example"], Kind::Good)).await;
    let (expired, _) = server(authority.source(&["old.example"], Kind::Expired)).await;
    let (early, _) = server(authority.source(&["early.example"], Kind::NotYetValid)).await;
    let (own, own_leaf) = server(own).await;
    let wrong_pin = Pin([7; 32]);

    let table: Vec<(&HostPort, &str, Trust, Option<&str>)> = vec![
        (&good, "chat.example", ca(), None),
        (&good, "CHAT.example", ca(), None),
        (&good, "other.example", ca(), Some("it is for")),
        (&good, "chat.example", Trust::Roots, Some("its issuer is not trusted")),
        (&good, "any.example", Trust::Pin(vec![wrong_pin, Pin::of(&leaf)]), None),
        (
            &good,
            "chat.example",
            Trust::Pin(vec![wrong_pin]),
            Some("is not pinned; if the server's certificate was renewed"),
        ),
        (&good, "any.example", Trust::Insecure { anywhere: false }, None),
        (&expired, "old.example", ca(), Some("it has expired; renew")),
        (&early, "early.example", ca(), Some("not valid yet; check the clocks")),
        (&own, "own.example", own_file.clone(), None),
        (&own, "other.example", own_file, Some("it is for")),
        (&own, "own.example", ca(), Some("give that certificate as the upstream's CA file")),
        (&own, "own.example", Trust::Pin(vec![Pin::of(&own_leaf)]), None),
    ];
    for (address, domain, trust, refused) in table {
        let what = format!("{domain} {trust:?}");
        match (dial(address, domain, trust.clone()).await, refused) {
            (Ok(secured), None) => {
                assert!(secured.leaf.is_some(), "{what}");
                assert_eq!(secured.stream.get_ref().1.alpn_protocol(), Some(&b"xmpp-client"[..]));
            }
            // A machine without authorities says so instead.
            (Err(error), Some(says)) => {
                let is_bare = matches!(trust, Trust::Roots) && error.contains("no certificate authorities");
                assert!(error.contains(says) || is_bare, "{what}: {error}");
            }
            (Ok(_), Some(_)) => panic!("{what} must be refused"),
            (Err(error), None) => panic!("{what}: {error}"),
        }
    }
}

#[tokio::test]
async fn what_can_not_work_is_said_before_the_first_dial() {
    let authority = Authority::new();
    let garbage = authority.write("garbage.pem", "nothing");
    let address = HostPort { host: "localhost".to_owned(), port: 1 };
    for (domain, trust, says) in [
        ("chat.example", Trust::Pin(Vec::new()), "no pin given"),
        ("chat.example", Trust::CaFile(garbage), "no certificate in it"),
        ("chat.example", Trust::CaFile("/nonexistent/ca.pem".into()), "check that it exists"),
        ("not a host", Trust::Insecure { anywhere: true }, "check the domain"),
    ] {
        let error = dial(&address, domain, trust).await.unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}

#[tokio::test]
async fn unreachable_servers_are_told_apart() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    let dialer = |host: &str, port: u16| {
        let upstream = Upstream {
            address: HostPort { host: host.to_owned(), port },
            domain: "chat.example".to_owned(),
            tls: UpstreamTls::StartTls,
            trust: Trust::Insecure { anywhere: false },
        };
        Dialer::new(&upstream).unwrap()
    };
    assert_eq!(dialer("127.0.0.1", closed).connect_tcp(soon()).await.unwrap_err().name(), "connect");
    assert_eq!(dialer("host.invalid", 5222).connect_tcp(soon()).await.unwrap_err().name(), "resolve");
    let patient = dialer("127.0.0.1", silent_port);
    let tcp = patient.connect_tcp(soon()).await.unwrap();
    let error = patient.wrap_tls(tcp, Instant::now() + Duration::from_millis(1)).await.unwrap_err();
    assert_eq!(error.name(), "late");
}

#[test]
fn addresses_and_pins_are_read() {
    for (text, host, port) in [
        ("chat.example:5222", "chat.example", 5222),
        ("127.0.0.1:1", "127.0.0.1", 1),
        ("[2001:db8::1]:5222", "2001:db8::1", 5222),
    ] {
        let parsed: HostPort = text.parse().unwrap();
        assert_eq!((parsed.host.as_str(), parsed.port), (host, port));
        assert_eq!(parsed.to_string(), text);
    }
    for text in ["", "chat.example", ":5222", "2001:db8::1:5222", "a:b:1", "h:70000", "http://h:1", "u@h:1", "[h]:1"] {
        assert!(text.parse::<HostPort>().is_err(), "{text}");
    }
    let plain = "ab".repeat(32);
    let colons = vec!["AB"; 32].join(":");
    assert_eq!(plain.parse::<Pin>(), colons.parse::<Pin>());
    assert_eq!(colons.parse::<Pin>().unwrap().0, [0xab; 32]);
    assert!("ab".parse::<Pin>().is_err());
    assert!("é".repeat(32).parse::<Pin>().is_err());
}
