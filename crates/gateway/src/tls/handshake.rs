//! The TLS handshake with a client: within a deadline, counted, with small buffers.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Most bytes that rustls queues in each direction of one connection, beyond the record it works on. Idle
/// connections hold none of it.
pub const BUFFER_LIMIT: usize = 32 * 1024;

/// A client's handshake failed.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// Not done within the deadline.
    #[error("TLS handshake not done in time")]
    Late,
    /// The client said something wrong, or refuses what the gateway shows.
    #[error("TLS handshake failed: {0}")]
    Tls(rustls::Error),
    /// The connection broke.
    #[error("connection lost during the TLS handshake: {0}")]
    Io(io::Error),
}

impl HandshakeError {
    /// The label in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            HandshakeError::Late => "late",
            HandshakeError::Tls(rustls::Error::AlertReceived(_)) => "refused_by_client",
            HandshakeError::Tls(rustls::Error::NoApplicationProtocol) => "alpn",
            HandshakeError::Tls(_) => "tls",
            HandshakeError::Io(_) => "io",
        }
    }
}

/// Answers a client's handshake; `deadline` covers all of it. Dropping the future closes the connection.
pub async fn accept<T>(config: Arc<ServerConfig>, io: T, deadline: Duration) -> Result<TlsStream<T>, HandshakeError>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let handshake =
        TlsAcceptor::from(config).accept_with(io, |connection| connection.set_buffer_limit(Some(BUFFER_LIMIT)));
    let outcome = match tokio::time::timeout(deadline, handshake).await {
        Ok(Ok(stream)) => return Ok(stream),
        Ok(Err(error)) => sort(error),
        Err(_elapsed) => HandshakeError::Late,
    };
    metrics::counter!("portcullis_tls_handshakes_failed_total", "why" => outcome.name()).increment(1);
    Err(outcome)
}

fn sort(error: io::Error) -> HandshakeError {
    match error.downcast::<rustls::Error>() {
        Ok(error) => HandshakeError::Tls(error),
        Err(error) => HandshakeError::Io(error),
    }
}
