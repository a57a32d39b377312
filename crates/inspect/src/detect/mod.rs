//! The detectors, one file each, and the table that lists them.

use std::sync::Arc;

use indicators::Index;

use crate::Detector;

/// What the operator can set about detectors.
#[derive(Clone, Debug, Default)]
pub struct Config {}

/// A setting that can't work: field and reason.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{field}: {why}")]
pub struct ConfigError {
    /// Configuration field.
    pub field: String,
    /// What is wrong with it.
    pub why: String,
}

/// Every detector, in the order they look.
pub fn table(_config: &Config, _indicators: Arc<Index>) -> Result<Vec<Box<dyn Detector>>, ConfigError> {
    Ok(Vec::new())
}
