//! The site's own catalogue (`<data>/intel/catalogue`) as a source of indicators: campaigns that were promoted, what
//! decoys brought in, and what the operator wrote himself.

use std::path::PathBuf;
use std::sync::Arc;

use intel::arming::{Arming, warns_of};
use intel::campaign::promote;

use super::indicators::Source;
use crate::config::Config;
use crate::failure::Failure;

/// Threats of the site's own.
pub struct Own;

impl Source for Own {
    /// The folder: files in it are replaced as a whole, which changes it.
    fn files(&self, config: &Config) -> Vec<PathBuf> {
        vec![promote::folder(&config.data_dir())]
    }

    fn load(&self, config: &Config, arming: &mut Arming<'_>, _warnings: &mut Vec<String>) -> Result<(), Failure> {
        let own = promote::own(&config.data_dir()).map_err(|problems| {
            Failure::wrong(problems.into_iter().map(|problem| (problem.to_string(), problem.hint)))
        })?;
        let source: Arc<str> = "own catalogue".into();
        for threat in own.threats() {
            for indicator in &threat.indicators {
                arming.add(&source, warns_of(threat.kind), indicator);
            }
        }
        Ok(())
    }
}
