//! The leg to the server: connected, encrypted, and not a word said in the open.

use bytes::{Buf, BytesMut};
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use wire::xmpp::starttls::{Initiating, Next};
use wire::xmpp::{Fault, Limits};

use super::Served;
use crate::session::Stream;
use crate::upstream::{DialError, UpstreamTls};

/// The server can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Not reached, or not trusted.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// It does not start TLS.
    #[error("{address}: {fault}; check the server's TLS settings, or choose upstream TLS `direct`")]
    StartTls {
        /// Which server.
        address: String,
        /// What went wrong.
        fault: Fault,
    },
    /// The connection broke before TLS.
    #[error("{address}: the connection broke before TLS: {source}; check the server's log")]
    Broken {
        /// Which server.
        address: String,
        /// How.
        source: std::io::Error,
    },
}

impl ServerError {
    /// The label in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            ServerError::Dial(dial) => dial.name(),
            ServerError::StartTls { .. } => "starttls",
            ServerError::Broken { .. } => "broken",
        }
    }
}

/// A leg to a server, and the certificate it showed.
pub(crate) struct ServerLeg {
    pub(crate) stream: Stream,
    pub(crate) leaf: Option<CertificateDer<'static>>,
}

/// Connects to the server of a domain.
pub(crate) async fn connect(served: &Served, deadline: Instant) -> Result<ServerLeg, ServerError> {
    let mut tcp = served.dialer.connect_tcp(deadline).await?;
    match served.tls {
        UpstreamTls::Off => return Ok(ServerLeg { stream: Stream::Plain(tcp), leaf: None }),
        UpstreamTls::Direct => {}
        UpstreamTls::StartTls => start_tls(served, &mut tcp, deadline).await?,
    }
    let secured = served.dialer.wrap_tls(tcp, deadline).await?;
    Ok(ServerLeg { stream: Stream::Tls(Box::new(secured.stream.into())), leaf: secured.leaf })
}

async fn start_tls(served: &Served, tcp: &mut TcpStream, deadline: Instant) -> Result<(), ServerError> {
    let address = || served.dialer.address().to_string();
    let broken = |source| ServerError::Broken { address: address(), source };
    let (mut leg, header) = Initiating::new(Limits::AUTHENTICATED, &served.domain);
    let talk = async {
        tcp.write_all(&header).await.map_err(broken)?;
        let mut heard = BytesMut::with_capacity(2_048);
        loop {
            if tcp.read_buf(&mut heard).await.map_err(broken)? == 0 {
                return Err(broken(std::io::ErrorKind::UnexpectedEof.into()));
            }
            match leg.hear(&heard).map_err(|fault| ServerError::StartTls { address: address(), fault })? {
                Next::More { used, say } => {
                    heard.advance(used);
                    tcp.write_all(&say).await.map_err(broken)?;
                }
                Next::Secure { say } => return tcp.write_all(&say).await.map_err(broken),
                Next::End => return Err(broken(std::io::ErrorKind::ConnectionAborted.into())),
            }
        }
    };
    let late = || DialError::Late { address: served.dialer.address().clone(), phase: "STARTTLS" };
    timeout_at(deadline, talk).await.map_err(|_| late())?
}
