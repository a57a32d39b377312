//! The one integration-test binary: the portcullis program before real servers, spoken to by real
//! clients. Foreign programs come from `cargo xtask test`; one that is missing fails its tests with
//! the command that installs it, none is skipped.
#![allow(clippy::unwrap_used)]

mod feeds;
mod intel;
mod sensor;
mod support;
mod updates;
mod xmpp;
