//! From an accepted connection to a session: each leg alone until its TLS is up.

use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tracing::{debug, error, warn};
use wire::xmpp::dialect::{Binding, Settings, Xmpp};
use wire::xmpp::starttls::{Accepting, Next};
use wire::xmpp::{Condition, Fault, Header, Limits, Read, Reader, ns, write};

use super::server::{self, ServerLeg};
use super::{Gateway, Served};
use crate::listen::{Arrival, Opening, first_bytes};
use crate::session::{Leg, Session, Stream};
use crate::tls::{self, Inside};

/// How long last words may take to be written.
const FAREWELL: Duration = Duration::from_secs(2);

/// A client whose stream is open, and that is to be led on.
struct Opened {
    stream: Stream,
    /// Everything read since TLS began, the header first.
    unread: BytesMut,
    domain: String,
}

impl Gateway {
    /// Leads a client to its server. `None`: the connection ended before there was a session.
    pub(super) async fn greet(&self, arrival: Arrival, started: Instant) -> Option<Session> {
        let deadline = tokio::time::Instant::from_std(started + self.parts.shared.deadlines.login);
        let Arrival { stream, client, pass } = arrival;
        let opened = tokio::time::timeout_at(deadline, self.open(stream)).await;
        let Ok(Some(opened)) = opened else {
            debug!(%client, "gone before it opened a stream");
            return None;
        };
        let door = pass.door().clone();
        if door.login_allowed(client.ip(), Instant::now()).is_err() {
            let text = "too many failed logins from this address; try again later";
            refuse(opened, Fault::new(Condition::PolicyViolation, text)).await;
            return None;
        }
        let Some(served) = self.served(&opened.domain) else {
            debug!(%client, domain = opened.domain, "asked for a domain that is not served");
            refuse(opened, Fault::new(Condition::HostUnknown, "this domain is not served here")).await;
            return None;
        };
        let dial = tokio::time::Instant::now() + self.parts.dial;
        let leg = match server::connect(&served, dial.min(deadline)).await {
            Ok(leg) => leg,
            Err(error) => {
                metrics::counter!("portcullis_upstream_failures_total", "why" => error.name()).increment(1);
                error!(%client, domain = &*served.domain, %error, "the server can't be used");
                let text = "the server behind this gateway can't be reached; try again later";
                refuse(opened, Fault::new(Condition::RemoteConnectionFailed, text)).await;
                return None;
            }
        };
        let binding = self.binding(&served, &leg);
        let settings = Settings { binding, ..self.parts.settings };
        let dialect = Xmpp::new(settings, served.host.clone(), &served.domain, &stream_id());
        Some(Session::new(
            self.parts.shared.clone(),
            Box::new(dialect),
            Leg::new(opened.stream, opened.unread),
            Leg::new(leg.stream, BytesMut::new()),
            (client, pass),
            started,
        ))
    }

    fn binding(&self, served: &Served, leg: &ServerLeg) -> Binding {
        match (&leg.leaf, self.parts.certificates.leaf(&served.domain)) {
            (Some(theirs), Some(ours)) if *theirs == ours => Binding::SameCertificate,
            _ => Binding::Broken,
        }
    }

    /// TLS by whichever way the client chose, and its stream header.
    async fn open(&self, mut tcp: TcpStream) -> Option<Opened> {
        let login = self.parts.shared.deadlines.login;
        match first_bytes(&tcp, login).await {
            Opening::Tls => {
                let config = self.parts.certificates.by_sni(Inside::XmppClient);
                let secured = tls::accept(config, tcp, login).await.ok()?;
                header(Stream::Tls(Box::new(secured.into())), BytesMut::new()).await
            }
            Opening::Stream if self.parts.allow_plain => header(Stream::Plain(tcp), BytesMut::new()).await,
            Opening::Stream => {
                let domain = start_tls(&mut tcp).await?;
                let config =
                    self.parts.certificates.for_domain(Inside::XmppClient, domain.as_deref().unwrap_or_default());
                let secured = tls::accept(config, tcp, login).await.ok()?;
                header(Stream::Tls(Box::new(secured.into())), BytesMut::new()).await
            }
            Opening::Foreign | Opening::Closed | Opening::Late => None,
        }
    }
}

/// Takes a client in the open as far as TLS; returns the domain it named there.
async fn start_tls(tcp: &mut TcpStream) -> Option<Option<String>> {
    let mut leg = Accepting::new(Limits::UNAUTHENTICATED, &stream_id());
    let mut heard = BytesMut::with_capacity(1_024);
    let mut spent = 0;
    loop {
        let n = tcp.read_buf(&mut heard).await.ok().filter(|n| *n > 0)?;
        spent += n;
        let next = if spent > Limits::UNAUTHENTICATED.stanza_bytes {
            Err(Fault::new(Condition::PolicyViolation, "too much data before TLS"))
        } else {
            leg.hear(&heard)
        };
        match next {
            Ok(Next::More { used, say }) => {
                heard.advance(used);
                tcp.write_all(&say).await.ok()?;
            }
            Ok(Next::Secure { say }) => {
                let domain = leg.domain().map(str::to_owned);
                tcp.write_all(&say).await.ok()?;
                return Some(domain);
            }
            Ok(Next::End) => {
                let _gone = tcp.write_all(b"</stream:stream>").await;
                return None;
            }
            Err(fault) => {
                warn!(client = ?tcp.peer_addr().ok(), %fault, "refused before TLS");
                metrics::counter!("portcullis_refused_total", "what" => fault.limit().unwrap_or("before_tls"))
                    .increment(1);
                let _gone = tokio::time::timeout(FAREWELL, tcp.write_all(&leg.farewell(&fault))).await;
                let _gone = tcp.shutdown().await;
                return None;
            }
        }
    }
}

/// Reads the header that opens the client's stream; its bytes stay for the dialect.
async fn header(mut stream: Stream, mut unread: BytesMut) -> Option<Opened> {
    let mut reader = Reader::new(Limits::UNAUTHENTICATED);
    loop {
        let read = if unread.is_empty() { Ok(Read::More) } else { reader.next(&unread) };
        match read {
            Ok(Read::More) => {
                if stream.read_buf(&mut unread).await.ok()? == 0 {
                    return None;
                }
            }
            Ok(Read::Header { header, .. }) => {
                let Some(domain) = header.to else {
                    let opened = Opened { stream, unread, domain: String::new() };
                    let text = "the stream header names no domain (to)";
                    refuse(opened, Fault::new(Condition::HostUnknown, text)).await;
                    return None;
                };
                return Some(Opened { stream, unread, domain });
            }
            Ok(Read::Space { .. } | Read::Stanza { .. } | Read::End { .. }) => return None,
            Err(fault) => {
                metrics::counter!("portcullis_refused_total", "what" => fault.limit().unwrap_or("header")).increment(1);
                refuse(Opened { stream, unread, domain: String::new() }, fault).await;
                return None;
            }
        }
    }
}

/// Ends a client's stream before it became a session, with the reason.
async fn refuse(mut opened: Opened, fault: Fault) {
    let from = Some(opened.domain).filter(|domain| !domain.is_empty());
    let header = Header {
        from,
        id: Some(stream_id()),
        version: Some("1.0".into()),
        content_ns: ns::CLIENT.into(),
        ..Header::default()
    };
    let mut words = Vec::new();
    header.write(&mut words);
    write::stream_error(&mut words, &fault);
    words.extend_from_slice(b"</stream:stream>");
    let say = async {
        opened.stream.write_all(&words).await?;
        opened.stream.flush().await?;
        opened.stream.shutdown().await
    };
    let _gone = tokio::time::timeout(FAREWELL, say).await;
}

/// A stream id nobody can guess (RFC 6120 section 4.7.3).
fn stream_id() -> String {
    let mut random = [0u8; 16];
    // Without random numbers there is no TLS either.
    let _unlikely = getrandom::fill(&mut random);
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}
