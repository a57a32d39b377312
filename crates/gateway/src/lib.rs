//! Stands in line before the chat servers: listeners, TLS legs, the session line, uploads.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod doorkeeper;
pub mod listen;
pub mod metrics;
pub mod network;
pub mod proxy_protocol;
mod recent;
pub mod registry;
pub mod release;
pub mod session;
pub mod task;
#[cfg(test)]
mod testing;
pub mod tls;
pub mod upload;
pub mod upstream;
pub mod xmpp;
