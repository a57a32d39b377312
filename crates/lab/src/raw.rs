//! A client that sends exactly the bytes it is told and shows exactly the bytes it got, for tests that
//! no well-behaved client can be.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::{Account, DOMAIN};

const PATIENCE: Duration = Duration::from_secs(20);
/// A server that sends this much without a word of what is awaited is not going to.
const MOST: usize = 8 * 1024 * 1024;

/// The header that opens a stream.
pub fn header() -> String {
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
         xmlns:stream='http://etherx.jabber.org/streams' to='{DOMAIN}' version='1.0'>"
    )
}

/// A connection, in clear or under TLS, and what was read from it and not yet taken.
pub struct Raw {
    leg: Leg,
    config: Arc<ClientConfig>,
    read: Vec<u8>,
}

enum Leg {
    Clear(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    /// Between the two.
    Gone,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// End of stream (TLS may have said good-bye or not).
    Closed,
    /// Reset.
    Reset,
}

impl Raw {
    /// Connects in clear.
    pub fn connect(address: SocketAddr, ca: &Path) -> Result<Raw> {
        Raw::with_alpn(address, ca, &[])
    }

    /// Connects with TLS from the first byte, offering ALPN protocols.
    pub fn direct(address: SocketAddr, ca: &Path, alpn: &[&str]) -> Result<Raw> {
        let mut raw = Raw::with_alpn(address, ca, alpn)?;
        raw.start_tls()?;
        Ok(raw)
    }

    fn with_alpn(address: SocketAddr, ca: &Path, alpn: &[&str]) -> Result<Raw> {
        let mut roots = RootCertStore::empty();
        for certificate in rustls::pki_types::CertificateDer::pem_file_iter(ca)? {
            roots.add(certificate?)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Raw { leg: Leg::Clear(stream), config: Arc::new(config), read: Vec::new() })
    }

    /// Opens a stream, upgrades with STARTTLS, logs in with PLAIN and binds a resource.
    pub fn session(address: SocketAddr, ca: &Path, account: &Account, resource: &str) -> Result<Raw> {
        let mut raw = Raw::connect(address, ca)?;
        raw.upgrade()?;
        raw.login(account)?;
        raw.ask(&format!(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
             <resource>{resource}</resource></bind></iq>"
        ))?;
        Ok(raw)
    }

    /// Opens a stream in clear and goes to TLS; what stands behind is a new stream's features.
    pub fn upgrade(&mut self) -> Result<()> {
        self.open()?;
        self.write(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")?;
        self.until(b"<proceed")?;
        self.until(b">")?;
        self.start_tls()?;
        self.open()
    }

    /// Sends a stream header and takes everything to the end of the features.
    pub fn open(&mut self) -> Result<()> {
        self.write(header().as_bytes())?;
        self.until(b"</stream:features>").map(drop)
    }

    /// Logs in with PLAIN and opens the stream behind it.
    pub fn login(&mut self, account: &Account) -> Result<()> {
        let answer = self.plain(account)?;
        if !answer.contains("<success") {
            bail!("login refused: {answer}");
        }
        self.open()
    }

    /// Tries to log in with PLAIN and gives the server's answer.
    pub fn plain(&mut self, account: &Account) -> Result<String> {
        let token = STANDARD.encode(format!("\0{}\0{}", account.user, account.password));
        self.write(
            format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{token}</auth>").as_bytes(),
        )?;
        let mut answer = self.until_any(&[b"<success", b"</failure>"])?;
        if answer.contains("<success") {
            answer.push_str(&self.until(b">")?);
        }
        Ok(answer)
    }

    /// Sends an iq and takes everything up to the end of the next iq; the answer must have content.
    pub fn ask(&mut self, xml: &str) -> Result<String> {
        self.write(xml.as_bytes())?;
        self.until(b"</iq>")
    }

    /// Negotiates TLS on the connection as it is. Bytes read before it must have been taken.
    pub fn start_tls(&mut self) -> Result<()> {
        let Leg::Clear(mut stream) = std::mem::replace(&mut self.leg, Leg::Gone) else {
            bail!("the connection is under TLS already");
        };
        if !self.read.is_empty() {
            bail!("clear text stands before TLS: {}", String::from_utf8_lossy(&self.read));
        }
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut connection = ClientConnection::new(Arc::clone(&self.config), ServerName::try_from(DOMAIN)?.to_owned())?;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream).context("TLS handshake failed")?;
        }
        self.leg = Leg::Tls(Box::new(StreamOwned::new(connection, stream)));
        Ok(())
    }

    /// The application protocol that TLS agreed on.
    pub fn alpn(&self) -> Option<String> {
        let Leg::Tls(stream) = &self.leg else { return None };
        stream.conn.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned())
    }

    /// Writes bytes in one piece.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.leg {
            Leg::Clear(stream) => stream.write_all(bytes)?,
            Leg::Tls(stream) => {
                stream.write_all(bytes)?;
                stream.flush()?;
            }
            Leg::Gone => bail!("the connection is gone"),
        }
        Ok(())
    }

    /// Takes everything up to and with a marker.
    pub fn until(&mut self, marker: &[u8]) -> Result<String> {
        self.until_any(&[marker])
    }

    /// Takes everything up to and with the first of some markers.
    pub fn until_any(&mut self, markers: &[&[u8]]) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let first =
                markers.iter().filter_map(|marker| position(&self.read, marker).map(|at| at + marker.len())).min();
            if let Some(end) = first {
                let taken: Vec<u8> = self.read.drain(..end).collect();
                return Ok(String::from_utf8_lossy(&taken).into_owned());
            }
            if let Some(end) = self.fill(deadline)? {
                let wanted: Vec<_> = markers.iter().map(|marker| String::from_utf8_lossy(marker)).collect();
                bail!("{end:?} before any of {wanted:?}; read: {}", String::from_utf8_lossy(&self.read));
            }
        }
    }

    /// Takes everything until the other side ends the connection.
    pub fn until_end(&mut self) -> Result<(String, End)> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(end) = self.fill(deadline)? {
                let taken = std::mem::take(&mut self.read);
                return Ok((String::from_utf8_lossy(&taken).into_owned(), end));
            }
        }
    }

    /// Says that nothing more will be sent, without closing the other direction.
    pub fn half_close(&mut self) -> Result<()> {
        match &mut self.leg {
            Leg::Clear(stream) => stream.shutdown(Shutdown::Write)?,
            Leg::Tls(stream) => {
                stream.conn.send_close_notify();
                stream.flush()?;
                stream.sock.shutdown(Shutdown::Write)?;
            }
            Leg::Gone => bail!("the connection is gone"),
        }
        Ok(())
    }

    fn fill(&mut self, deadline: Instant) -> Result<Option<End>> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || self.read.len() > MOST {
            let tail = &self.read[self.read.len().saturating_sub(2_000)..];
            bail!("nothing that was awaited within {PATIENCE:?}; read: {}", String::from_utf8_lossy(tail));
        }
        let mut chunk = [0_u8; 16 * 1024];
        let got = match &mut self.leg {
            Leg::Clear(stream) => {
                stream.set_read_timeout(Some(left))?;
                stream.read(&mut chunk)
            }
            Leg::Tls(stream) => {
                stream.sock.set_read_timeout(Some(left))?;
                stream.read(&mut chunk)
            }
            Leg::Gone => return Ok(Some(End::Closed)),
        };
        match got {
            Ok(0) => Ok(Some(End::Closed)),
            Ok(count) => {
                self.read.extend_from_slice(&chunk[..count]);
                Ok(None)
            }
            Err(error) => match error.kind() {
                ErrorKind::UnexpectedEof => Ok(Some(End::Closed)),
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
                    Ok(Some(End::Reset))
                }
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => Ok(None),
                _ => Err(error).context("cannot read"),
            },
        }
    }
}

fn position(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
