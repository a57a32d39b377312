//! DTLS: hellos and certificates, put together from datagrams.

use super::{Reading, tls};

/// Whether a datagram is made of DTLS records.
pub fn looks_like(_datagram: &[u8]) -> bool {
    false
}

/// Reads the ClientHello from a client's datagrams.
pub fn client_hello<'a>(
    _datagrams: impl Iterator<Item = &'a [u8]>,
    _scratch: &mut Vec<u8>,
) -> Reading<tls::ClientHello> {
    Reading::Not
}

/// Reads what the server says before it encrypts.
pub fn server_flight<'a>(
    _datagrams: impl Iterator<Item = &'a [u8]>,
    _scratch: &mut Vec<u8>,
) -> Reading<tls::ServerFlight> {
    Reading::Not
}
