//! What the first bytes of a conversation tell about it: names, fingerprints, media addresses.
//!
//! Readers look at a growing prefix and answer provisionally; none keeps state of its own but
//! [`quic::Initials`], which has to collect what clients spread over encrypted packets. All are
//! bounded by what they are given, and none allocates before it has something to say.

mod cursor;
pub mod dhcp;
pub mod dns;
pub mod dtls;
pub mod http;
pub mod quic;
mod ranges;
pub mod sdp;
pub mod socks;
pub mod stun;
mod text;
pub mod tls;

/// What a reader makes of the beginning of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading<T> {
    /// It is this.
    Is(T),
    /// Could be; more bytes will tell.
    More,
    /// It is not.
    Not,
}
