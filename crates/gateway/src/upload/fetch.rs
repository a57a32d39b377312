//! The connection to the server that keeps the files: one a request, verified like the chat leg, no redirects
//! followed, everything bounded.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::http::request::Builder;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout, timeout_at};

use super::Limits;
use super::origins::{Resource, Routes};
use super::response::{self, Body, BodyFault};
use super::slots::Slot;
use super::spool::Spooled;
use crate::task::spawn_named;
use crate::upstream::DialError;

/// Largest head of an answer, and most headers in it.
const HEAD_MOST: usize = 32 * 1024;
const HEADERS_MOST: usize = 64;

/// The server did not do its part.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// The domain has no route any more.
    #[error("no upload server is configured for {0}; add it to the configuration")]
    NoRoute(String),
    /// The route can't be used.
    #[error(transparent)]
    Route(#[from] crate::upstream::TrustError),
    /// No connection.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// It did not answer in time.
    #[error("the server did not answer in time")]
    Late,
    /// It broke off or spoke no HTTP.
    #[error("the server broke off: {0}")]
    Http(#[from] hyper::Error),
    /// The request can't be put into words.
    #[error("the request is not valid: {0}")]
    Request(#[from] hyper::http::Error),
    /// The spool.
    #[error("spool: {0}")]
    Spool(#[from] io::Error),
    /// What it sent can't be checked as it is.
    #[error("the server sent {0}")]
    Unusable(&'static str),
}

/// A body on its way to the server.
type Outgoing = UnsyncBoxBody<Bytes, io::Error>;

/// Reaches the servers.
pub(super) struct Fetcher {
    routes: Arc<Routes>,
    limits: Limits,
}

impl Fetcher {
    pub(super) fn new(routes: Arc<Routes>, limits: Limits) -> Fetcher {
        Fetcher { routes, limits }
    }

    /// Puts a checked file to the server with the slot's own headers; the status says what became of it.
    pub(super) async fn put(&self, slot: &Slot, file: &Arc<Spooled>) -> Result<StatusCode, FetchError> {
        let mut request = request(Method::PUT, &slot.put).header(header::CONTENT_LENGTH, file.size);
        if let Some(claimed) = &slot.claimed_type {
            request = request.header(header::CONTENT_TYPE, &**claimed);
        }
        for (name, value) in &slot.put_headers {
            request = request.header(name, value);
        }
        let deadline = self.limits.upstream_deadline + self.limits.body_allowance(file.size);
        let chunks = file.read(0, file.size, Instant::now() + deadline).await?.map_ok(Frame::data);
        let request = request.body(StreamBody::new(chunks).boxed_unsync())?;
        let answer = self.send(&slot.put, request, deadline).await?;
        Ok(answer.status())
    }

    /// Asks for a file. Of the client's headers only ranges and conditions go along; no encodings are asked for, so
    /// that what is checked is what the reader gets.
    pub(super) async fn get(
        &self,
        method: Method,
        resource: &Resource,
        along: &HeaderMap,
    ) -> Result<Response<Incoming>, FetchError> {
        let mut request = request(method, resource);
        for (name, value) in along {
            request = request.header(name, value);
        }
        let request = request.body(nothing())?;
        let answer = self.send(resource, request, self.limits.upstream_deadline).await?;
        let is_encoded = answer.headers().get(header::CONTENT_ENCODING).is_some_and(|value| value != "identity");
        if is_encoded {
            return Err(FetchError::Unusable("an encoded file, which was not asked for"));
        }
        Ok(answer)
    }

    /// Connects and asks; `deadline` covers everything until the answer's body begins.
    async fn send(
        &self,
        resource: &Resource,
        request: Request<Outgoing>,
        deadline: Duration,
    ) -> Result<Response<Incoming>, FetchError> {
        let no_route = || FetchError::NoRoute(resource.domain.clone());
        let dialer = self.routes.dialer(resource).ok_or_else(no_route)??;
        let connect_deadline = Instant::now() + self.limits.upstream_deadline;
        let tcp = dialer.connect_tcp(connect_deadline).await?;
        let io: Box<dyn Connection> = if resource.origin.scheme() == "https" {
            Box::new(dialer.wrap_tls(tcp, connect_deadline).await?.stream)
        } else {
            Box::new(tcp)
        };
        let exchange = async {
            let (mut sender, connection) = http1::Builder::new()
                .max_headers(HEADERS_MOST)
                .max_buf_size(HEAD_MOST)
                .handshake(TokioIo::new(io))
                .await?;
            // Ends with the answer's body, or when that is dropped.
            spawn_named("upload server connection", async move {
                if let Err(error) = connection.await {
                    tracing::debug!("connection to an upload server: {error}");
                }
            });
            Ok(sender.send_request(request).await?)
        };
        timeout_at(Instant::now() + deadline, exchange).await.map_err(|_elapsed| FetchError::Late)?
    }
}

/// Plain or secured.
trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

fn request(method: Method, resource: &Resource) -> Builder {
    Request::builder()
        .method(method)
        .uri(resource.target.as_str())
        .header(header::HOST, resource.authority())
        .header(header::CONNECTION, HeaderValue::from_static("close"))
}

fn nothing() -> Outgoing {
    http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// The next bytes of a body, within the deadline for one; `None` at its end.
pub(super) async fn next_bytes(body: &mut Incoming, idle: Duration) -> Result<Option<Bytes>, FetchError> {
    loop {
        let Some(frame) = timeout(idle, body.frame()).await.map_err(|_elapsed| FetchError::Late)? else {
            return Ok(None);
        };
        // Trailers say nothing about the file.
        if let Ok(bytes) = frame?.into_data() {
            return Ok(Some(bytes));
        }
    }
}

/// The server's body passed through as it comes.
pub(super) fn passed_through(body: Incoming, idle: Duration) -> Body {
    let chunks = futures_util::stream::try_unfold(body, move |mut body| async move {
        match next_bytes(&mut body, idle).await {
            Ok(Some(bytes)) => Ok(Some((Frame::data(bytes), body))),
            Ok(None) => Ok(None),
            Err(error) => Err(BodyFault::Server(error.to_string())),
        }
    });
    StreamBody::new(chunks).boxed_unsync()
}

/// Bytes `start..end` of a spooled file as a body.
pub(super) async fn from_spool(file: &Arc<Spooled>, start: u64, end: u64, deadline: Instant) -> io::Result<Body> {
    if start == end {
        return Ok(response::empty());
    }
    let chunks = file.read(start, end, deadline).await?.map_ok(Frame::data).map_err(BodyFault::Spool);
    Ok(StreamBody::new(chunks).boxed_unsync())
}

/// Headers of a client's GET that go along to the server.
pub(super) fn along(client: &HeaderMap) -> HeaderMap {
    const ALONG: [HeaderName; 4] = [header::RANGE, header::IF_RANGE, header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE];
    let mut out = HeaderMap::new();
    for name in ALONG {
        if let Some(value) = client.get(&name) {
            out.insert(name, value.clone());
        }
    }
    out
}
