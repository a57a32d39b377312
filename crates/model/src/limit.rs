//! Bounds have names, so that a hit can be counted, configured and explained.

/// A named bound and its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// `place.what` as in the configuration (`xmpp.stanza_bytes`).
    pub name: &'static str,
    /// Default value, in the unit the name tells.
    pub default: u64,
}

/// A bound was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("limit {name} of {allowed} reached")]
pub struct LimitHit {
    /// The bound's name.
    pub name: &'static str,
    /// The value in force.
    pub allowed: u64,
}
