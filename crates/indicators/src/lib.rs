//! The matching index: domains, URLs, hashes, addresses. No I/O.

/// One immutable index of indicators.
#[derive(Debug, Default)]
pub struct Index {}
