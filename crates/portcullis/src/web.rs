//! Asking web servers: one GET at a time over HTTP/1.1, with bounds on bytes and time. For blocking tasks.
//!
//! A redirect is an answer like any other; nothing is decompressed. `http:` goes to this machine only.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use intel::http::{Request, Response};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

/// How long a connection, its handshake and the beginning of an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes a second that a body has to come with, beside [`PATIENCE`]: who trickles is given up on.
const SLOWEST: u64 = 32 << 10;
/// Bytes of an answer's head.
const HEAD_BYTES: usize = 64 << 10;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// It can't be asked at all.
    #[error("{0}")]
    Address(&'static str),
    /// The network, TLS or HTTP failed.
    #[error("{0}")]
    Failed(String),
    /// It took too long.
    #[error("no answer in time; the server is down or too slow")]
    Slow,
    /// The body is longer than it may be.
    #[error("more than {0} bytes")]
    TooLong(u64),
}

/// Whether a URL is one that is asked: `https`, or `http` on this machine.
pub fn check(url: &Url) -> Result<(), WebError> {
    let here = match url.host() {
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => return Err(WebError::Address("no host in it")),
    };
    match url.scheme() {
        "https" => Ok(()),
        "http" if here => Ok(()),
        "http" => Err(WebError::Address("http is for this machine only; use https")),
        _ => Err(WebError::Address("neither https nor http")),
    }
}

/// Asks, and reads at most `most` bytes of the body. Blocks; has to be called in a blocking task of a runtime.
pub fn ask(request: &Request, most: u64) -> Result<Response, WebError> {
    check(&request.url)?;
    let budget = PATIENCE + Duration::from_secs(most / SLOWEST);
    tokio::runtime::Handle::current()
        .block_on(tokio::time::timeout(budget, exchange(request, most)))
        .unwrap_or(Err(WebError::Slow))
}

async fn exchange(request: &Request, most: u64) -> Result<Response, WebError> {
    let url = &request.url;
    let answer = async {
        let port = url.port_or_known_default().unwrap_or(443);
        let host = url.host_str().unwrap_or_default();
        let plain = TcpStream::connect((host.trim_matches(['[', ']']), port)).await.map_err(failed)?;
        if url.scheme() == "http" {
            return send(request, plain).await;
        }
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(failed)?;
        let connector = TlsConnector::from(tls()?);
        send(request, connector.connect(name, plain).await.map_err(failed)?).await
    };
    let answer = tokio::time::timeout(PATIENCE, answer).await.map_err(|_| WebError::Slow)??;
    let (head, mut body) = answer.into_parts();
    if head.headers.get(CONTENT_ENCODING).is_some_and(|value| value != "identity") {
        return Err(WebError::Failed("a compressed answer that nobody asked for".to_owned()));
    }
    let announced = head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > most) {
        return Err(WebError::TooLong(most));
    }
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(failed)?.into_data() {
            if (bytes.len() + data.len()) as u64 > most {
                return Err(WebError::TooLong(most));
            }
            bytes.extend_from_slice(&data);
        }
    }
    let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    Ok(Response { status: head.status.as_u16(), headers, body: bytes })
}

async fn send<S>(request: &Request, stream: S) -> Result<hyper::Response<Incoming>, WebError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(HEAD_BYTES).handshake(TokioIo::new(stream)).await.map_err(failed)?;
    gateway::task::spawn_named("web", async move {
        // What breaks the connection breaks the exchange, which says so.
        let _broken = connection.await;
    });
    let url = &request.url;
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let host = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
        None => url.host_str().unwrap_or_default().to_owned(),
    };
    let mut asked = hyper::Request::get(target)
        .header(HOST, host)
        .header(USER_AGENT, concat!("portcullis/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT_ENCODING, "identity")
        .header(CONNECTION, "close");
    for (name, value) in &request.headers {
        asked = asked.header(*name, value);
    }
    let asked = asked.body(Empty::<Bytes>::new()).map_err(failed)?;
    sender.send_request(asked).await.map_err(failed)
}

/// The system's authorities (`SSL_CERT_FILE` may name others), read once.
fn tls() -> Result<Arc<ClientConfig>, WebError> {
    static TLS: LazyLock<Result<Arc<ClientConfig>, String>> = LazyLock::new(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err("no certificate authorities on this system; install ca-certificates".to_owned());
        }
        Ok(Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
    });
    TLS.clone().map_err(WebError::Failed)
}

fn failed(why: impl std::error::Error) -> WebError {
    let why: &dyn std::error::Error = &why;
    let mut said = why.to_string();
    let mut cause = why.source();
    while let Some(deeper) = cause {
        said = format!("{said}: {deeper}");
        cause = deeper.source();
    }
    WebError::Failed(said)
}

impl From<io::Error> for WebError {
    fn from(error: io::Error) -> WebError {
        failed(error)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// Answers one request with these bytes; gives the request.
    fn serve(answer: &'static [u8]) -> (Url, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/a/b.json?c=d", listener.local_addr().unwrap()).parse().unwrap();
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                asked.extend(byte);
            }
            let _gone = stream.write_all(answer);
            String::from_utf8(asked).unwrap()
        });
        (url, served)
    }

    fn asked(request: &Request, most: u64) -> Result<Response, WebError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let request = request.clone();
        runtime.block_on(async move { tokio::task::spawn_blocking(move || ask(&request, most)).await.unwrap() })
    }

    #[test]
    fn a_request_says_what_it_wants_and_an_answer_is_read_as_it_is() {
        let (url, served) =
            serve(b"HTTP/1.1 200 OK\r\nETag: \"x\"\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
        let response = asked(&Request::get(url).with("If-None-Match", "\"x\""), 3).unwrap();
        assert_eq!((response.status, &*response.body, response.header("etag")), (200, &b"abc"[..], Some("\"x\"")));
        let request = served.join().unwrap().to_lowercase();
        assert!(request.starts_with("get /a/b.json?c=d http/1.1\r\n"), "{request}");
        for header in ["if-none-match: \"x\"", "accept-encoding: identity", "connection: close", "host: 127.0.0.1:"] {
            assert!(request.contains(header), "{request}");
        }
    }

    #[test]
    fn what_is_too_long_packed_or_elsewhere_is_refused() {
        for (answer, why) in [
            (&b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd"[..], "more than 3 bytes"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n", "more than 3 bytes"),
            (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\na", "compressed"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na", "end of file"),
            (b"nonsense\r\n\r\n", "parse"),
        ] {
            let (url, served) = serve(answer);
            let refused = asked(&Request::get(url), 3).unwrap_err().to_string();
            assert!(refused.contains(why), "{refused}");
            served.join().unwrap();
        }
        for (url, why) in
            [("http://intel.example/", "use https"), ("ftp://intel.example/", "neither"), ("http://10.0.0.1/", "https")]
        {
            let refused = asked(&Request::get(url.parse().unwrap()), 3).unwrap_err().to_string();
            assert!(refused.contains(why), "{refused}");
        }
    }
}
