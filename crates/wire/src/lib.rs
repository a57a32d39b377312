//! Bytes to nouns and back, sans-I/O: one folder a protocol.
//!
//! Everything here reads hostile input: parsers are incremental, bounded and
//! never panic, and none of them opens, sends or waits for anything.
#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod dialect;
pub mod hints;
pub mod xmpp;
