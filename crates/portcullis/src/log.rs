//! Logs on standard error: readable lines for people, JSON for machines.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};
use crate::failure::Failure;

/// Starts logging as configured. `PORTCULLIS_LOG` overrides the level.
pub fn start(config: &Log) -> Result<(), Failure> {
    let level = std::env::var("PORTCULLIS_LOG").unwrap_or_else(|_| config.level.clone());
    let filter = EnvFilter::try_new(&level).map_err(|e| {
        Failure::usage(format!("log.level: `{level}` is not a level or filter: {e}"))
            .hint("try `info` or `info,gateway=debug`")
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second call in one process (tests) keeps the first.
    let _already = match config.format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}
