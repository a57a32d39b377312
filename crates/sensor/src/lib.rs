//! The sensor: packets in, named flows out.
//!
//! `capture` reads packets, `decode` finds the innermost conversation, `reassemble` puts fragments and
//! segments in order, `classify` and `apps` name the flow, `eve` says so. Threads, not async.
#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod anomaly;
pub mod apps;
pub mod capture;
pub mod classify;
pub mod decode;
pub mod lore;
pub mod names;
pub mod reassemble;
pub mod view;
