//! The trackers, one file each, and the table that lists them.

use crate::Tracker;

/// What the operator can set about trackers.
#[derive(Clone, Debug, Default)]
pub struct Config {}

/// Every tracker.
pub fn table(_config: &Config) -> Vec<Box<dyn Tracker>> {
    Vec::new()
}
