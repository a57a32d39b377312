//! What a policy does, seen from outside.
#![allow(clippy::unwrap_used, missing_docs)]

mod cached;
mod cases;
mod decide;
mod problems;
mod symbols;

/// Reads a fixture.
fn fixture(path: &str) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/policies/");
    std::fs::read_to_string(format!("{root}{path}")).unwrap()
}
