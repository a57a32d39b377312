//! The HTTP listener: TLS, HTTP/1.1 with bounds on everything, one request after the other.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::Uploads;
use super::request::{self, Asked};
use super::response::{Answer, preflight};
use crate::doorkeeper::Doorkeeper;
use crate::listen::{Arrival, Listener};
use crate::task::Drain;
use crate::tls::{self, Certificates, Inside};

/// Largest head of a request, and most headers in it.
const HEAD_MOST: usize = 16 * 1024;
const HEADERS_MOST: usize = 64;

/// Serves uploads on `listener` until the drain begins; then what is under way is finished. Without certificates it is
/// plain HTTP, for a TLS terminator on the same machine and for tests.
pub async fn serve(
    uploads: Arc<Uploads>,
    listener: Listener,
    certificates: Option<Arc<Certificates>>,
    door: Arc<Doorkeeper>,
    drain: Drain,
) {
    let session = move |arrival: Arrival, drain: Drain| {
        let (uploads, certificates) = (Arc::clone(&uploads), certificates.clone());
        async move {
            let Arrival { stream, client, pass: _pass } = arrival;
            match certificates {
                None => converse(&uploads, stream, drain).await,
                Some(certificates) => {
                    let config = certificates.by_sni(Inside::Http);
                    match tls::accept(config, stream, uploads.limits.handshake_deadline).await {
                        Ok(stream) => converse(&uploads, stream, drain).await,
                        Err(error) => tracing::debug!(%client, "upload listener: {error}"),
                    }
                }
            }
        }
    };
    listener.serve("upload connection", door, drain, session).await;
}

/// One connection, until it ends or the drain's deadline cuts it.
async fn converse<T>(uploads: &Arc<Uploads>, io: T, mut drain: Drain)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(Patient::new(io, uploads.limits.idle_deadline));
    let service = service_fn(|request| {
        let uploads = Arc::clone(uploads);
        async move { Ok::<_, Infallible>(uploads.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(uploads.limits.head_deadline)
        .max_headers(HEADERS_MOST)
        .max_buf_size(HEAD_MOST)
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    let mut cut = drain.clone();
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = drain.begun() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = cut.cut() => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!("upload connection: {error}");
    }
}

impl Uploads {
    /// Answers one request.
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        match request::read(&head, self.slots.base()) {
            Err(refusal) => {
                metrics::counter!("portcullis_upload_requests_refused_total").increment(1);
                refusal.answer()
            }
            Ok(Asked::Preflight) => preflight(),
            Ok(Asked::Put { token, length }) => self.put(&head, &token, length, body).await,
            Ok(Asked::Get { origin, target }) => self.get(head.method, &head.headers, &origin, &target).await,
        }
    }
}

/// A connection whose reader must not stall: a write that makes no progress for `patience` is an error. hyper bounds
/// the time for a request's head and we that for its body, but nothing else bounds how long a reader may take.
struct Patient<T> {
    io: T,
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<T> Patient<T> {
    fn new(io: T, patience: Duration) -> Patient<T> {
        Patient { io, patience, stalled: None }
    }

    /// Passes progress on; gives up when there was none for too long.
    fn bounded<R>(&mut self, cx: &mut Context<'_>, progress: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if progress.is_ready() {
            self.stalled = None;
            return progress;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Patient<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Patient<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.io).poll_write(cx, buf);
        self.bounded(cx, progress)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.io).poll_flush(cx);
        self.bounded(cx, progress)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.io).poll_shutdown(cx);
        self.bounded(cx, progress)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.bounded(cx, progress)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
