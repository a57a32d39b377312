//! The detectors, one file each, and the table that lists them.

mod brands;
mod config;
mod decoy;
mod file;
mod known;
mod link;
mod lookalike;
mod numbers;
mod pattern;
mod secrets;
mod weigh;

use std::sync::Arc;

use indicators::Index;

use crate::Detector;

pub use config::{Brand, Config, ConfigError, LocalPattern};

/// Every detector, in the order they look.
pub fn table(config: &Config, indicators: Arc<Index>) -> Result<Vec<Box<dyn Detector>>, ConfigError> {
    let detectors: Vec<Box<dyn Detector>> = vec![
        Box::new(file::Files::new(Arc::clone(&indicators))),
        Box::new(link::Links::new(config, Arc::clone(&indicators))?),
        Box::new(known::Known::new(indicators)),
        Box::new(pattern::Patterns::new(config)?),
        Box::new(decoy::Decoys),
    ];
    weigh::reweighed(detectors, &config.scores)
}
