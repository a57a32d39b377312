//! SDP: the addresses at which media will be sent.

use std::net::SocketAddr;

/// What a media description is for (RFC 8866 section 5.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Media {
    /// Sound.
    Audio,
    /// Pictures that move.
    Video,
    /// Messages (MSRP).
    Message,
    /// Fax (T.38).
    Image,
    /// Data channels, floor control, other.
    Application,
}

/// Gives each address at which a session description expects media.
pub fn media(_body: &[u8], _f: impl FnMut(SocketAddr, Media)) {}
