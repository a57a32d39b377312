//! SOCKS 4, 4a and 5: where a client asks its proxy to connect.

use std::net::IpAddr;

use super::Reading;

/// Whom a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// By name, lower case.
    Name(Box<str>),
    /// By address.
    Address(IpAddr),
}

/// Reads the request, given both streams: target, port, and where the tunnelled client stream starts.
pub fn request(_client: &[u8], _server: &[u8]) -> Reading<(Target, u16, usize)> {
    Reading::Not
}
