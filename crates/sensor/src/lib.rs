//! The sensor: packets in, named flows out.
//!
//! `capture` reads packets, `decode` finds the innermost conversation, `reassemble` puts segments in order,
//! `engine` is the straight line of one packet, `classify` and `apps` name the flow, `eve` says so.
//! Threads, not async.
#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod anomaly;
pub mod apps;
mod bytes;
pub mod capture;
pub mod classify;
pub mod decode;
pub mod engine;
pub mod eve;
pub mod event;
pub mod flow;
mod limits;
pub mod lore;
pub mod names;
pub mod platform;
pub mod read;
pub mod reassemble;
mod siphash;
pub mod summary;
#[cfg(test)]
mod testing;
pub mod view;

pub use limits::Limits;
