//! QUIC: the ClientHello inside the Initial packets.

use super::{Reading, tls};

/// Whether a datagram begins with a packet of QUIC's or Google QUIC's handshake.
pub fn looks_like(_datagram: &[u8]) -> bool {
    false
}

/// Decrypts the client's Initials of one flow and puts their CRYPTO frames together.
#[derive(Debug, Default)]
pub struct Initials {}

impl Initials {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next datagram of the flow, either way.
    pub fn push(&mut self, _to_server: bool, _datagram: &[u8]) -> Reading<tls::ClientHello> {
        Reading::Not
    }

    /// What the client calls itself, where it does.
    pub fn user_agent(&self) -> Option<&str> {
        None
    }

    /// The version of the first packet that had one.
    pub fn version(&self) -> Option<u32> {
        None
    }
}
