//! What the first bytes of a conversation tell about it: names, fingerprints, media addresses.
//!
//! Readers look at a growing prefix and answer provisionally; none keeps state of its own but
//! [`quic`](self)'s reassembly. All are bounded by what they are given.

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
