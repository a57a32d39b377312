//! Accepts connections: who the client really is (PROXY protocol), whether it is let in, and what it speaks first.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use crate::doorkeeper::{Doorkeeper, Pass};
use crate::network::Network;
use crate::proxy_protocol::{self, Parsed};
use crate::task::{Drain, spawn_named};

/// Connections the kernel completes ahead of the accept loop; the system's `somaxconn` may bound it further.
const BACKLOG: i32 = 1024;
/// Waits after failed accepts, from the first to the longest.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const ACCEPT_PAUSE_MOST: Duration = Duration::from_secs(1);
/// How often a lasting accept error is logged.
const ACCEPT_LOG_EVERY: Duration = Duration::from_secs(10);
/// When a silent connection is first probed, and how often after that: a client that vanished is noticed in minutes.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(90);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(30);

/// Where and how to listen.
#[derive(Clone, Debug)]
pub struct ListenConfig {
    /// Address and port; port 0 takes a free one.
    pub address: SocketAddr,
    /// Lets several processes share the port, for a restart without a gap.
    pub reuse_port: bool,
    /// Load balancers that must send a PROXY protocol header and are believed; empty: none is expected and a header is
    /// refused like any other foreign protocol. Connections from elsewhere are taken as clients themselves.
    pub proxies: Vec<Network>,
    /// For the whole of the PROXY header.
    pub proxy_deadline: Duration,
}

impl ListenConfig {
    /// Listens for clients directly.
    pub fn new(address: SocketAddr) -> ListenConfig {
        ListenConfig { address, reuse_port: false, proxies: Vec::new(), proxy_deadline: Duration::from_secs(5) }
    }
}

/// The port can't be listened on.
#[derive(Debug, thiserror::Error)]
#[error("can't listen on {address}: {source}; {}", hint(source))]
pub struct ListenError {
    /// Where.
    pub address: SocketAddr,
    /// Why.
    pub source: io::Error,
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "stop what listens there or choose another port",
        io::ErrorKind::PermissionDenied => "choose a port above 1023 or grant CAP_NET_BIND_SERVICE",
        io::ErrorKind::AddrNotAvailable => "choose an address that this machine has",
        _ => "check the address and the port",
    }
}

/// An open port.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    local: SocketAddr,
    config: ListenConfig,
}

/// A connection that was let in.
#[derive(Debug)]
pub struct Arrival {
    /// The connection; what the client said first is still unread.
    pub stream: TcpStream,
    /// Who the client is: from the PROXY header where one was believed, else the connection's own address.
    pub client: SocketAddr,
    /// Its place; keep it as long as the session lives.
    pub pass: Pass,
}

impl Listener {
    /// Opens the port. Needs a tokio runtime.
    pub fn bind(config: ListenConfig) -> Result<Listener, ListenError> {
        let address = config.address;
        let open = || -> io::Result<(TcpListener, SocketAddr)> {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
            socket.set_reuse_address(true)?;
            if config.reuse_port {
                socket.set_reuse_port(true)?;
            }
            socket.set_nonblocking(true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            let socket = TcpListener::from_std(socket.into())?;
            let local = socket.local_addr()?;
            Ok((socket, local))
        };
        let (socket, local) = open().map_err(|source| ListenError { address, source })?;
        Ok(Listener { socket, local, config })
    }

    /// The address and port in fact.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Accepts until the drain begins; each connection that is let in becomes one task that runs `session`.
    pub async fn serve<F, S>(self, name: &'static str, door: Arc<Doorkeeper>, mut drain: Drain, session: F)
    where
        F: Fn(Arrival, Drain) -> S + Clone + Send + Sync + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let config = Arc::new(self.config);
        let mut trouble = AcceptTrouble::default();
        loop {
            let accepted = tokio::select! {
                biased;
                () = drain.begun() => return,
                accepted = self.socket.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    if let Some(pause) = trouble.note(&error, self.local, Instant::now()) {
                        tokio::select! {
                            () = drain.begun() => return,
                            () = tokio::time::sleep(pause) => {}
                        }
                    }
                    continue;
                }
            };
            trouble.over();
            let (config, door, session, drain) =
                (Arc::clone(&config), Arc::clone(&door), session.clone(), drain.clone());
            spawn_named(name, async move {
                if let Some(arrival) = receive(stream, peer, &config, &door).await {
                    session(arrival, drain).await;
                }
            });
        }
    }
}

/// Tells the client's address and asks the doorkeeper.
async fn receive(
    mut stream: TcpStream,
    peer: SocketAddr,
    config: &ListenConfig,
    door: &Arc<Doorkeeper>,
) -> Option<Arrival> {
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let is_proxy = config.proxies.iter().any(|network| network.contains(peer.ip()));
    if !is_proxy {
        let pass = door.admit(peer.ip(), Instant::now()).ok()?;
        return Some(settle(stream, peer, pass));
    }
    let client = match tokio::time::timeout(config.proxy_deadline, proxied(&mut stream)).await {
        Ok(Ok(client)) => client.unwrap_or(peer),
        Ok(Err(error)) => {
            metrics::counter!("portcullis_connections_refused_total", "why" => "proxy").increment(1);
            tracing::warn!(%peer, "load balancer's connection closed: {error}");
            return None;
        }
        Err(_elapsed) => {
            metrics::counter!("portcullis_connections_refused_total", "why" => "proxy").increment(1);
            tracing::warn!(%peer, "load balancer sent no whole PROXY protocol header in time");
            return None;
        }
    };
    let client = SocketAddr::new(client.ip().to_canonical(), client.port());
    let pass = door.admit(client.ip(), Instant::now()).ok()?;
    Some(settle(stream, client, pass))
}

fn settle(stream: TcpStream, client: SocketAddr, pass: Pass) -> Arrival {
    if let Err(error) = set_options(&stream) {
        tracing::debug!(%client, "socket options not set: {error}");
    }
    Arrival { stream, client, pass }
}

/// No delay for small stanzas, and probes that notice a peer that vanished.
pub(crate) fn set_options(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_EVERY);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

/// Why a PROXY header was not read.
#[derive(Debug, thiserror::Error)]
enum ProxyError {
    #[error(transparent)]
    Fault(#[from] proxy_protocol::Fault),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads exactly the PROXY header: what follows it stays unread.
async fn proxied(stream: &mut TcpStream) -> Result<Option<SocketAddr>, ProxyError> {
    let mut buffer = vec![0; proxy_protocol::V2_MOST];
    let mut held = 0;
    loop {
        let Some(free) = buffer.get_mut(held..).filter(|free| !free.is_empty()) else {
            return Err(proxy_protocol::Fault::TooLong(proxy_protocol::V2_MOST).into());
        };
        let seen = stream.peek(free).await?;
        if seen == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let parsed = proxy_protocol::parse(&buffer[..held + seen])?;
        // Until the header is complete everything seen belongs to it, so it can be taken off the socket.
        let take = match parsed {
            Parsed::More => seen,
            Parsed::Header { used, .. } => used - held,
        };
        stream.read_exact(&mut buffer[held..held + take]).await?;
        held += take;
        if let Parsed::Header { client, .. } = parsed {
            return Ok(client);
        }
    }
}

/// Errors of `accept` itself, such as no file descriptors left.
#[derive(Default)]
struct AcceptTrouble {
    pause: Option<Duration>,
    logged: Option<Instant>,
}

impl AcceptTrouble {
    /// How long to wait before the next accept; `None` for an error of one connection only.
    fn note(&mut self, error: &io::Error, local: SocketAddr, now: Instant) -> Option<Duration> {
        metrics::counter!("portcullis_accept_errors_total").increment(1);
        let is_of_one_connection = matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionRefused
                | io::ErrorKind::Interrupted
        );
        if is_of_one_connection {
            return None;
        }
        if self.logged.is_none_or(|at| now.duration_since(at) >= ACCEPT_LOG_EVERY) {
            self.logged = Some(now);
            tracing::error!(%local, "can't accept connections: {error}; raise the limit of open files (LimitNOFILE, ulimit -n)");
        }
        let pause = self.pause.map_or(ACCEPT_PAUSE, |pause| (pause * 2).min(ACCEPT_PAUSE_MOST));
        self.pause = Some(pause);
        Some(pause)
    }

    fn over(&mut self) {
        self.pause = None;
    }
}

/// What a client's first byte says it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// A TLS record with a handshake: direct TLS.
    Tls,
    /// `<`, white space or a byte order mark: an XML stream.
    Stream,
    /// Anything else, such as an HTTP verb that a web page made a browser send. Close without an answer.
    Foreign,
    /// Closed before it said anything.
    Closed,
    /// Nothing came before the deadline.
    Late,
}

impl Opening {
    /// What a first byte opens.
    pub fn of(byte: u8) -> Opening {
        match byte {
            // RFC 8446 section 5.1: ContentType handshake.
            0x16 => Opening::Tls,
            b'<' | b' ' | b'\t' | b'\r' | b'\n' | 0xEF => Opening::Stream,
            _ => Opening::Foreign,
        }
    }
}

/// Looks at the first byte and leaves it unread. What is neither TLS nor a stream is counted.
pub async fn first_bytes(stream: &TcpStream, deadline: Duration) -> Opening {
    let mut byte = [0];
    let opening = match tokio::time::timeout(deadline, stream.peek(&mut byte)).await {
        Ok(Ok(1..)) => Opening::of(byte[0]),
        Ok(Ok(0) | Err(_)) => Opening::Closed,
        Err(_elapsed) => Opening::Late,
    };
    let why = match opening {
        Opening::Tls | Opening::Stream => return opening,
        Opening::Foreign => "foreign",
        Opening::Closed => "closed",
        Opening::Late => "late",
    };
    metrics::counter!("portcullis_openings_refused_total", "why" => why).increment(1);
    opening
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::sync::mpsc;

    use super::*;
    use crate::doorkeeper::Limits;
    use crate::task::Shutdown;

    /// What the session saw: the client's address, the opening, and the rest of what was sent.
    type Seen = (SocketAddr, Opening, Vec<u8>);

    fn listening(proxies: &[&str], drain: Drain) -> (SocketAddr, mpsc::Receiver<Seen>) {
        let (tell, seen) = mpsc::channel(16);
        let config = ListenConfig {
            proxies: proxies.iter().map(|p| p.parse().unwrap()).collect(),
            ..ListenConfig::new("127.0.0.1:0".parse().unwrap())
        };
        let listener = Listener::bind(config).unwrap();
        let address = listener.local_addr();
        let door = Doorkeeper::new(Limits::default());
        let session = move |mut arrival: Arrival, _drain: Drain| {
            let tell = tell.clone();
            async move {
                let opening = first_bytes(&arrival.stream, Duration::from_secs(30)).await;
                let mut rest = Vec::new();
                arrival.stream.read_to_end(&mut rest).await.unwrap();
                tell.send((arrival.client, opening, rest)).await.unwrap();
            }
        };
        spawn_named("listener", listener.serve("session", door, drain, session));
        (address, seen)
    }

    async fn send(address: SocketAddr, chunks: &[&[u8]]) -> SocketAddr {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let local = stream.local_addr().unwrap();
        for chunk in chunks {
            stream.write_all(chunk).await.unwrap();
            stream.flush().await.unwrap();
            tokio::task::yield_now().await;
        }
        stream.shutdown().await.unwrap();
        local
    }

    #[tokio::test]
    async fn the_proxy_header_names_the_client_and_the_rest_is_left_unread() {
        let (_shutdown, drain) = Shutdown::new();
        let (address, mut seen) = listening(&["127.0.0.0/8"], drain);
        let line: &[u8] = b"PROXY TCP4 192.0.2.1 10.0.0.1 56324 5222\r\n<stream>";
        for chunks in [vec![line], line.chunks(7).collect(), line.chunks(1).collect()] {
            send(address, &chunks).await;
            let (client, opening, rest) = seen.recv().await.unwrap();
            assert_eq!(client, "192.0.2.1:56324".parse().unwrap());
            assert_eq!((opening, &rest[..]), (Opening::Stream, &b"<stream>"[..]));
        }
        let local: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00\x16\x03";
        let from = send(address, &[local]).await;
        assert_eq!(seen.recv().await.unwrap(), (from, Opening::Tls, b"\x16\x03".to_vec()));
    }

    #[tokio::test]
    async fn a_trusted_load_balancer_must_send_the_header() {
        let (shutdown, drain) = Shutdown::new();
        let (address, mut seen) = listening(&["127.0.0.1"], drain);
        for bytes in [&b"<stream:stream>"[..], b"PROXY TCP4 1.2.3.4\r\n", b"", b"PROXY TCP4 1.2"] {
            send(address, &[bytes]).await;
        }
        shutdown.finish(Duration::from_secs(30)).await;
        assert!(seen.recv().await.is_none(), "no session may begin");
    }

    #[tokio::test]
    async fn a_header_from_elsewhere_is_not_believed() {
        let (_shutdown, drain) = Shutdown::new();
        let (address, mut seen) = listening(&["192.0.2.0/24"], drain);
        let line = b"PROXY TCP4 198.51.100.1 10.0.0.1 1 2\r\n<stream>";
        let from = send(address, &[line]).await;
        assert_eq!(seen.recv().await.unwrap(), (from, Opening::Foreign, line.to_vec()));
    }

    #[test]
    fn first_bytes_tell_protocols_apart() {
        let table: &[(&[u8], Opening)] = &[
            (b"\x16\x03\x01", Opening::Tls),
            (b"<?xml", Opening::Stream),
            (b"\n<stream", Opening::Stream),
            (b"\xEF\xBB\xBF<", Opening::Stream),
            (b"GET / HTTP/1.1", Opening::Foreign),
            (b"POST /", Opening::Foreign),
            (b"\x80\x2e\x01\x03\x01", Opening::Foreign),
            (b"PROXY ", Opening::Foreign),
            (b"\0", Opening::Foreign),
        ];
        for (bytes, opening) in table {
            assert_eq!(Opening::of(bytes[0]), *opening, "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn a_silent_client_is_late() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        assert_eq!(first_bytes(&stream, Duration::from_millis(1)).await, Opening::Late);
    }

    #[test]
    fn lasting_accept_errors_back_off_and_passing_ones_do_not() {
        let local = "127.0.0.1:5222".parse().unwrap();
        let now = Instant::now();
        let mut trouble = AcceptTrouble::default();
        let no_files = io::Error::from_raw_os_error(24);
        let pauses: Vec<_> =
            (0..6).filter_map(|_| trouble.note(&no_files, local, now)).map(|p| p.as_millis()).collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1000]);
        assert_eq!(trouble.note(&io::ErrorKind::ConnectionAborted.into(), local, now), None);
        trouble.over();
        assert_eq!(trouble.note(&no_files, local, now), Some(ACCEPT_PAUSE));
    }
}
