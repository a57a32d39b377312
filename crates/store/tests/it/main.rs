//! The store's integration tests: one binary, one module a subject.
#![allow(clippy::unwrap_used)]

mod contract;
mod faults;
mod kill;
mod open;
mod read;
mod support;
mod tamper;
