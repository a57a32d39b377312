//! A client for clamd, the ClamAV daemon, over TCP or a unix socket.
//!
//! One scan is one connection: `zINSTREAM`, the bytes in chunks with their
//! length in front, a chunk of length zero, one answer (clamd(8), "COMMANDS").
//! Every scan has one budget of time, waiting for its turn included, so that a
//! slow engine holds up a conversation no longer than the operator allows; what
//! becomes of the file then, `OnFault` decides.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Where clamd listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Host and port.
    Tcp(String),
    /// Path of a unix socket.
    Unix(PathBuf),
}

/// How clamd is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Time to connect in.
    pub connect: Duration,
    /// Time for the whole of one scan, waiting and connecting included.
    pub budget: Duration,
    /// Largest file that is sent, in bytes; clamd's own `StreamMaxLength` should be no smaller.
    pub max_bytes: u64,
    /// Scans at a time; clamd's own `MaxThreads` should be no smaller.
    pub at_once: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { connect: Duration::from_secs(2), budget: Duration::from_secs(20), max_bytes: 100_000_000, at_once: 8 }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClamdError {
    /// No connection.
    #[error("clamd at {address}: cannot connect: {source}; see that it runs and listens there")]
    Connect {
        /// Where.
        address: Address,
        /// Why.
        source: io::Error,
    },
    /// The connection broke.
    #[error("clamd at {address}: connection broke: {source}")]
    Broken {
        /// Where.
        address: Address,
        /// Why.
        source: io::Error,
    },
    /// The file itself could not be read.
    #[error("cannot read the file to be scanned: {0}")]
    File(io::Error),
    /// Out of time.
    #[error("clamd at {address}: no answer within {} ms; raise the budget or the number of its threads", budget.as_millis())]
    Late {
        /// Where.
        address: Address,
        /// The budget that ran out.
        budget: Duration,
    },
    /// Larger than is sent.
    #[error("the file is larger than the {limit} bytes that are sent to clamd")]
    TooLarge {
        /// The limit here.
        limit: u64,
    },
    /// Larger than clamd takes.
    #[error("the file is larger than clamd at {address} takes; raise StreamMaxLength in clamd.conf")]
    OverItsLimit {
        /// Where.
        address: Address,
    },
    /// Clamd answered with an error or with something that is no answer.
    #[error("clamd at {address}: answered {answer:?}")]
    Answer {
        /// Where.
        address: Address,
        /// What it said, shortened.
        answer: String,
    },
}

/// A connection to be made to clamd as often as needed. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Clamd {
    address: Address,
    options: Options,
    turns: Semaphore,
}

/// Bytes sent in one chunk.
const CHUNK: usize = 64 * 1024;
/// Longest answer that is read.
const ANSWER: u64 = 4096;

impl Clamd {
    /// A client of the clamd that listens there; nothing is connected yet.
    pub fn new(address: Address, options: Options) -> Clamd {
        let turns = Semaphore::new(options.at_once.clamp(1, Semaphore::MAX_PERMITS));
        Clamd { address, options, turns }
    }

    /// Has a file scanned: the name of what was found in it, or `None` where it is clean.
    pub async fn scan(&self, mut file: impl AsyncRead + Unpin) -> Result<Option<String>, ClamdError> {
        let answer = self.in_time(async {
            let _turn = self.turn().await;
            let mut stream = self.connect().await?;
            self.send(&mut stream, &mut file).await?;
            self.answer(&mut stream).await
        });
        self.verdict(answer.await?)
    }

    /// Whether clamd answers at all; for readiness checks.
    pub async fn ping(&self) -> Result<(), ClamdError> {
        match self.ask(b"zPING\0").await? {
            answer if answer == "PONG" => Ok(()),
            answer => Err(self.unexpected(answer)),
        }
    }

    /// Its version and that of its signatures (`ClamAV 1.4.3/27800/Mon Nov 23 …`).
    pub async fn version(&self) -> Result<String, ClamdError> {
        match self.ask(b"zVERSION\0").await? {
            answer if answer.starts_with("ClamAV ") => Ok(answer),
            answer => Err(self.unexpected(answer)),
        }
    }

    async fn ask(&self, command: &[u8]) -> Result<String, ClamdError> {
        self.in_time(async {
            let mut stream = self.connect().await?;
            stream.write_all(command).await.map_err(|e| self.broken(e))?;
            self.answer(&mut stream).await
        })
        .await
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, ClamdError>>) -> Result<T, ClamdError> {
        let budget = self.options.budget;
        let late = ClamdError::Late { address: self.address.clone(), budget };
        timeout(budget, work).await.unwrap_or(Err(late))
    }

    /// Waits for a turn. The semaphore is never closed; were it, going ahead would be right.
    async fn turn(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        self.turns.acquire().await.ok()
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, ClamdError> {
        let failed = |source| ClamdError::Connect { address: self.address.clone(), source };
        let connecting = async {
            Ok::<Box<dyn Stream>, io::Error>(match &self.address {
                Address::Tcp(host) => {
                    let stream = TcpStream::connect(host).await?;
                    stream.set_nodelay(true)?;
                    Box::new(stream)
                }
                Address::Unix(path) => Box::new(UnixStream::connect(path).await?),
            })
        };
        match timeout(self.options.connect, connecting).await {
            Ok(stream) => stream.map_err(failed),
            Err(_) => Err(failed(io::ErrorKind::TimedOut.into())),
        }
    }

    /// Sends the command and the file. Clamd hangs up early on what it will not
    /// take; then the answer says why, so a failed write is no error here.
    async fn send(&self, stream: &mut dyn Stream, file: &mut (impl AsyncRead + Unpin)) -> Result<(), ClamdError> {
        let limit = self.options.max_bytes;
        let mut left = limit;
        // The length and the bytes of a chunk go out in one write.
        let mut buffer = vec![0; 4 + CHUNK];
        if stream.write_all(b"zINSTREAM\0").await.is_err() {
            return Ok(());
        }
        loop {
            let read = file.read(&mut buffer[4..]).await.map_err(ClamdError::File)?;
            let Some(rest) = left.checked_sub(read as u64) else {
                return Err(ClamdError::TooLarge { limit });
            };
            left = rest;
            buffer[..4].copy_from_slice(&(read as u32).to_be_bytes());
            if stream.write_all(&buffer[..4 + read]).await.is_err() || read == 0 {
                return Ok(());
            }
        }
    }

    async fn answer(&self, stream: &mut dyn Stream) -> Result<String, ClamdError> {
        stream
            .flush()
            .await
            .or_else(|e| if e.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(self.broken(e)) })?;
        let mut answer = Vec::new();
        let mut reader = stream.take(ANSWER);
        let mut part = [0; 512];
        // Up to the zero byte that ends a `z` answer, or the end of the stream.
        while !answer.ends_with(b"\0") {
            match reader.read(&mut part).await {
                Ok(0) => break,
                Ok(n) => answer.extend_from_slice(&part[..n]),
                // It hung up on what was still being sent; what it said before that counts.
                Err(_) if !answer.is_empty() => break,
                Err(e) => return Err(self.broken(e)),
            }
        }
        if answer.is_empty() {
            return Err(self.broken(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(String::from_utf8_lossy(&answer).trim_end_matches(['\0', '\n', '\r']).to_owned())
    }

    fn verdict(&self, answer: String) -> Result<Option<String>, ClamdError> {
        if answer.contains("size limit exceeded") {
            return Err(ClamdError::OverItsLimit { address: self.address.clone() });
        }
        match answer.strip_prefix("stream: ") {
            Some("OK") => Ok(None),
            Some(found) if found.len() > " FOUND".len() && found.ends_with(" FOUND") => {
                Ok(Some(found[..found.len() - " FOUND".len()].to_owned()))
            }
            _ => Err(self.unexpected(answer)),
        }
    }

    fn broken(&self, source: io::Error) -> ClamdError {
        ClamdError::Broken { address: self.address.clone(), source }
    }

    fn unexpected(&self, answer: String) -> ClamdError {
        let answer = answer.chars().take(200).collect();
        ClamdError::Answer { address: self.address.clone(), answer }
    }
}

/// Either kind of connection.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => write!(f, "tcp:{address}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for Address {
    type Err = String;

    /// `tcp:HOST:PORT`, `unix:/PATH`, or either without its prefix.
    fn from_str(text: &str) -> Result<Address, String> {
        if let Some(path) = text.strip_prefix("unix:").or_else(|| text.starts_with('/').then_some(text)) {
            return match path.starts_with('/') {
                true => Ok(Address::Unix(path.into())),
                false => Err(format!("{text:?}: the path of a unix socket starts with '/'")),
            };
        }
        let address = text.strip_prefix("tcp:").unwrap_or(text);
        let port =
            address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).and_then(|(_, p)| p.parse::<u16>().ok());
        match port {
            Some(1..) => Ok(Address::Tcp(address.to_owned())),
            _ => Err(format!("{text:?} is neither tcp:HOST:PORT nor unix:/PATH")),
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the fakes end with the test's runtime")]
mod tests {
    use std::sync::Arc;

    use tokio::net::{TcpListener, UnixListener};
    use tokio::task::JoinHandle;

    use super::*;

    /// A clamd that says what `answer` makes of what it was sent; it hangs up after `takes` bytes.
    async fn fake(takes: usize, answer: fn(&[u8]) -> Option<String>) -> (Address, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::Tcp(listener.local_addr().unwrap().to_string());
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, takes, answer));
            }
        });
        (address, serving)
    }

    async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, takes: usize, answer: fn(&[u8]) -> Option<String>) {
        let mut command = Vec::new();
        while !command.ends_with(b"\0") {
            command.push(stream.read_u8().await.unwrap());
        }
        let mut body = Vec::new();
        if command == b"zINSTREAM\0" {
            while let Ok(len @ 1..) = stream.read_u32().await {
                let mut chunk = vec![0; len as usize];
                stream.read_exact(&mut chunk).await.unwrap();
                body.extend_from_slice(&chunk);
                if body.len() > takes {
                    stream.write_all(b"INSTREAM size limit exceeded. ERROR\0").await.unwrap();
                    return;
                }
            }
        } else {
            body = command;
        }
        match answer(&body) {
            Some(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
            // Never answers, never hangs up.
            None => std::future::pending().await,
        }
    }

    fn engine(body: &[u8]) -> Option<String> {
        Some(match body {
            b"zPING\0" => "PONG\0".to_owned(),
            b"zVERSION\0" => "ClamAV 1.4.3/27800/Mon Nov 23 08:00:00 2026\0".to_owned(),
            body if body.windows(3).any(|w| w == b"bad") => "stream: Test.Bad.File FOUND\0".to_owned(),
            _ => "stream: OK\0".to_owned(),
        })
    }

    #[tokio::test]
    async fn clean_and_infected_files_are_told_apart() {
        let (address, _serving) = fake(usize::MAX, engine).await;
        let clamd = Clamd::new(address, Options::default());
        clamd.ping().await.unwrap();
        assert!(clamd.version().await.unwrap().starts_with("ClamAV 1.4.3"));
        assert_eq!(clamd.scan(&b"good"[..]).await.unwrap(), None);
        assert_eq!(clamd.scan(&b""[..]).await.unwrap(), None);
        let large = [vec![b'x'; 300_000], b"bad".to_vec()].concat();
        assert_eq!(clamd.scan(&large[..]).await.unwrap(), Some("Test.Bad.File".to_owned()));
    }

    #[tokio::test]
    async fn a_unix_socket_does_as_well() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clamd.sock");
        let listener = UnixListener::bind(&path).unwrap();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            serve(stream, usize::MAX, engine).await;
        });
        let clamd = Clamd::new(Address::Unix(path), Options::default());
        assert_eq!(clamd.scan(&b"bad"[..]).await.unwrap(), Some("Test.Bad.File".to_owned()));
    }

    #[tokio::test]
    async fn what_is_too_large_is_not_called_clean() {
        let (address, _serving) = fake(100_000, engine).await;
        let clamd = Clamd::new(address, Options { max_bytes: 1_000_000, ..Options::default() });
        // Whether its answer is read before the connection breaks is up to the network; clean it is not.
        let ours = clamd.scan(&vec![b'x'; 2_000_000][..]).await;
        assert!(
            matches!(
                ours,
                Err(ClamdError::TooLarge { limit: 1_000_000 }
                    | ClamdError::OverItsLimit { .. }
                    | ClamdError::Broken { .. })
            ),
            "{ours:?}"
        );
        let theirs = clamd.scan(&vec![b'x'; 200_000][..]).await;
        assert!(matches!(theirs, Err(ClamdError::OverItsLimit { .. } | ClamdError::Broken { .. })), "{theirs:?}");
    }

    #[tokio::test]
    async fn a_silent_engine_uses_up_the_budget_and_no_more() {
        let (address, _serving) = fake(usize::MAX, |_| None).await;
        let options = Options { at_once: 1, budget: Duration::from_millis(100), ..Options::default() };
        let clamd = Arc::new(Clamd::new(address, options));
        let waiting = tokio::spawn({
            let clamd = Arc::clone(&clamd);
            async move { clamd.scan(&b"x"[..]).await }
        });
        // The second waits for the first one's turn and is late all the same.
        assert!(matches!(clamd.scan(&b"x"[..]).await, Err(ClamdError::Late { .. })));
        assert!(matches!(waiting.await.unwrap(), Err(ClamdError::Late { .. })));
    }

    #[tokio::test]
    async fn faults_say_what_and_where() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::Tcp(listener.local_addr().unwrap().to_string());
        drop(listener);
        let refused = Clamd::new(address.clone(), Options::default()).scan(&b"x"[..]).await.unwrap_err().to_string();
        assert!(refused.contains(&address.to_string()) && refused.contains("cannot connect"), "{refused}");

        for nonsense in [|_: &[u8]| Some("UNKNOWN COMMAND\0".to_owned()), |_: &[u8]| Some("stream:  FOUND".to_owned())]
        {
            let (address, _serving) = fake(usize::MAX, nonsense).await;
            let answer = Clamd::new(address, Options::default()).scan(&b"x"[..]).await;
            assert!(matches!(answer, Err(ClamdError::Answer { .. })), "{answer:?}");
        }
        let (address, _serving) = fake(usize::MAX, |_| Some(String::new())).await;
        assert!(matches!(
            Clamd::new(address, Options::default()).scan(&b"x"[..]).await,
            Err(ClamdError::Broken { .. })
        ));
    }

    #[test]
    fn addresses_are_read_and_shown() {
        for (text, shown) in [
            ("127.0.0.1:3310", Some("tcp:127.0.0.1:3310")),
            ("tcp:[::1]:3310", Some("tcp:[::1]:3310")),
            ("/run/clamav/clamd.ctl", Some("unix:/run/clamav/clamd.ctl")),
            ("unix:/run/clamd", Some("unix:/run/clamd")),
            ("unix:relative", None),
            ("localhost", None),
            (":3310", None),
            ("localhost:99999", None),
        ] {
            assert_eq!(text.parse::<Address>().ok().map(|e| e.to_string()).as_deref(), shown, "{text}");
        }
    }
}
