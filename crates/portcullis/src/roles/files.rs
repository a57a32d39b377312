//! The antivirus engine, as configured.

use std::time::Duration;

use judge::clamd::{Address, Clamd, Options};

use crate::config::ClamdConfig;
use crate::failure::Failure;

/// A client of clamd.
pub fn clamd(config: &ClamdConfig) -> Result<Clamd, Failure> {
    let address: Address = config.address.parse().map_err(|e| {
        Failure::usage(format!("files.clamd.address: {e}")).hint("write HOST:PORT or the path of clamd's socket")
    })?;
    let options =
        Options { budget: Duration::from_secs(config.timeout_seconds), at_once: config.at_once, ..Options::default() };
    Ok(Clamd::new(address, options))
}
