//! One connection of a session: bytes read and not yet understood, bytes to be written.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsStream;

/// A connection, encrypted or not.
pub enum Stream {
    /// Without TLS, where the operator allows it.
    Plain(TcpStream),
    /// With TLS, either side.
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(s) => Pin::new(s).poll_read(cx, buf),
            Stream::Tls(s) => Pin::new(s).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(s) => Pin::new(s).poll_write(cx, buf),
            Stream::Tls(s) => Pin::new(s).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(s) => Pin::new(s).poll_flush(cx),
            Stream::Tls(s) => Pin::new(s).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(s) => Pin::new(s).poll_shutdown(cx),
            Stream::Tls(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}

/// How far a leg's sending side is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    Open,
    /// Finish what is to be written, then half-close.
    Finishing,
    Finished,
}

/// One connection of a session. Its buffers hold memory only while there is
/// something in them, so that an idle session is cheap.
pub struct Leg {
    stream: Stream,
    /// Read and not yet understood (a partial frame, or bytes that came while
    /// the dialect was not listening).
    pub unread: BytesMut,
    unwritten: BytesMut,
    /// Something was given to the TLS layer that may not have left it.
    unflushed: bool,
    /// Since when the peer has taken nothing of what waits for it.
    stuck_since: Option<Instant>,
    sending: Sending,
    /// The peer has closed its side of the connection.
    pub eof: bool,
    /// The peer has ended its stream: what comes after that is not read.
    pub ended: bool,
}

impl Leg {
    /// Most bytes read at a time.
    pub const READ: usize = 16 << 10;
    /// Bytes that may wait to be written before the other leg is no longer read.
    pub const HIGH: usize = 64 << 10;

    /// Bytes that may wait to be written before the leg itself is no longer read. Higher than what the other leg can
    /// bring it to with any frame, so that only answers to what it says do: a peer that writes without reading, with
    /// both sides waiting for one another, is not brought to a halt by what others send it.
    pub const FLOODED: usize = 512 << 10;

    /// A leg over a connection, with bytes already read from it.
    pub fn new(stream: Stream, unread: BytesMut) -> Leg {
        Leg {
            stream,
            unread,
            unwritten: BytesMut::new(),
            unflushed: false,
            stuck_since: None,
            sending: Sending::Open,
            eof: false,
            ended: false,
        }
    }

    /// Reads what there is into `scratch`; 0 is the end.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(scratch);
        match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf)) {
            Ok(()) => {}
            // Many clients drop the connection without a TLS goodbye. The protocol has its own
            // (`</stream:stream>`), so this is an ordinary end.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {}
            Err(e) => return Poll::Ready(Err(e)),
        }
        let n = buf.filled().len();
        self.eof |= n == 0;
        Poll::Ready(Ok(n))
    }

    /// Queues bytes; after [`Leg::finish`] they are dropped.
    pub fn write(&mut self, bytes: &[u8]) {
        if self.sending == Sending::Open {
            self.unwritten.extend_from_slice(bytes);
        }
    }

    /// Half-closes once everything queued is written.
    pub fn finish(&mut self) {
        if self.sending == Sending::Open {
            self.sending = Sending::Finishing;
        }
    }

    /// Gives the connection up: nothing more is read or written.
    pub fn abandon(&mut self) {
        self.eof = true;
        self.ended = true;
        self.sending = Sending::Finished;
        self.unwritten = BytesMut::new();
        self.unflushed = false;
        self.stuck_since = None;
    }

    /// Whether the other leg should pause.
    pub fn is_high(&self) -> bool {
        self.unwritten.len() >= Leg::HIGH
    }

    /// Whether the leg itself should not be read, since what it says is answered and the answers are not.
    pub fn is_flooded(&self) -> bool {
        self.unwritten.len() >= Leg::FLOODED
    }

    /// Whether bytes wait for the peer to read.
    pub fn is_stuck(&self) -> bool {
        self.sending != Sending::Finished && (!self.unwritten.is_empty() || self.unflushed)
    }

    /// Since when the peer has read nothing of what waits for it. A slow reader takes something now and then.
    pub fn stuck_since(&self) -> Option<Instant> {
        self.stuck_since
    }

    /// Whether everything was written and the sending side is closed.
    pub fn is_finished(&self) -> bool {
        self.sending == Sending::Finished
    }

    /// Writes as much as the peer takes; `Ok(true)` when anything moved.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let moved = self.poll_send(cx)?;
        self.stuck_since = match self.stuck_since {
            _ if !self.is_stuck() => None,
            Some(since) if !moved => Some(since),
            _ => Some(Instant::now()),
        };
        Ok(moved)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        if self.sending == Sending::Finished {
            return Ok(false);
        }
        let mut moved = false;
        while !self.unwritten.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.unwritten) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(n)) => {
                    self.unwritten.advance(n);
                    self.unflushed = true;
                    moved = true;
                }
                Poll::Ready(Err(e)) => return Err(e),
                Poll::Pending => return Ok(moved),
            }
        }
        if self.unwritten.capacity() > 0 {
            self.unwritten = BytesMut::new();
        }
        if self.unflushed {
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Ready(result) => {
                    result?;
                    self.unflushed = false;
                    moved = true;
                }
                Poll::Pending => return Ok(moved),
            }
        }
        if self.sending == Sending::Finishing
            && let Poll::Ready(result) = Pin::new(&mut self.stream).poll_shutdown(cx)
        {
            self.sending = Sending::Finished;
            result?;
            moved = true;
        }
        Ok(moved)
    }
}
