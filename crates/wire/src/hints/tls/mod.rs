//! TLS: the client's hello, and what servers say in the clear.

use super::Reading;

/// What a ClientHello says (of TLS, DTLS or QUIC).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHello {
    /// The server name asked for: lower case, valid host characters.
    pub sni: Option<Box<str>>,
    /// Protocols offered (ALPN), at most 8.
    pub alpn: Vec<Box<str>>,
    /// JA4, as FoxIO defines it.
    pub ja4: Box<str>,
    /// An encrypted inner hello comes along, or something that is made to look like one.
    pub ech: bool,
    /// The highest version offered, as TLS numbers it (0x0303 is TLS 1.2; also for DTLS).
    pub version: u16,
}

/// What a server says before it encrypts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFlight {
    /// The version chosen, as TLS numbers it.
    pub version: u16,
    /// The protocol chosen (ALPN), when it is said in the clear.
    pub alpn: Option<Box<str>>,
    /// Names in the leaf certificate: subject CN and O, DNS alternative names, issuer CN and O. At most 32.
    pub certificate: Vec<Box<str>>,
    /// The leaf certificate names itself as its issuer.
    pub self_signed: bool,
}

/// Whether these bytes begin a stream of TLS records.
pub fn looks_like(_stream: &[u8]) -> Reading<()> {
    Reading::Not
}

/// Reads the ClientHello at the beginning of a client's stream.
pub fn client_hello(_stream: &[u8], _scratch: &mut Vec<u8>) -> Reading<ClientHello> {
    Reading::Not
}

/// Reads the beginning of a server's stream.
pub fn server_flight(_stream: &[u8], _scratch: &mut Vec<u8>) -> Reading<ServerFlight> {
    Reading::Not
}
