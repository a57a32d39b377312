//! A new policy text while one is in force: the new one whole, or the old one.

use std::sync::Arc;

use crate::problem::Problem;
use crate::schema::Symbols;
use crate::{Policy, version};

/// What became of a new text. The caller swaps its pointer when there is a new policy.
#[derive(Debug)]
pub enum Reload {
    /// The new policy, to be put in force.
    New(Arc<Policy>),
    /// Text and symbols are those in force; its cached decisions stay.
    Same,
    /// The new text is broken; the old policy stays in force.
    Kept(Vec<Problem>),
}

/// Loads a new text beside the policy in force. Takes milliseconds: not for a thread that must not wait.
pub fn reload(current: &Policy, sources: &[(&str, &str)], symbols: impl Into<Symbols>) -> Reload {
    let symbols = symbols.into();
    if current.version == version(sources, sources.len()) && current.symbols == symbols {
        return Reload::Same;
    }
    match Policy::load(sources, symbols) {
        Ok(policy) => Reload::New(Arc::new(policy)),
        Err(problems) => Reload::Kept(problems),
    }
}
