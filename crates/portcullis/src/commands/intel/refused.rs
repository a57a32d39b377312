//! `portcullis intel refused`: what of all sources is not in force as it came, and why.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::super::{Outcome, safe, say};
use crate::failure::Failure;
use crate::roles::indicators;

#[derive(Args)]
pub struct RefusedArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Only what this source gave.
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// For programs.
    #[arg(long)]
    json: bool,
}

impl RefusedArgs {
    pub fn run(self) -> Outcome {
        let config = crate::config::load(&self.config)?;
        let armed = indicators::load(&config, &mut Vec::new())?;
        let wanted = |one: &&intel::arming::Rejected| self.source.as_deref().is_none_or(|name| *one.source == *name);
        let mut shown = 0;
        for one in armed.rejected.iter().filter(wanted) {
            shown += 1;
            let what = if one.weakened { "weakened" } else { "refused" };
            if self.json {
                let known = json!({
                    "outcome": what, "source": *one.source, "reference": one.reference, "pattern": one.pattern,
                    "list": *one.list, "why": one.why,
                });
                say(known.to_string());
            } else {
                let place = one.reference.as_ref().map_or(String::new(), |place| format!(" {place}"));
                say(safe(&format!("{what:<9} {}{place}: {}: {} [{}]", one.source, one.pattern, one.why, one.list)));
            }
        }
        if armed.rejected_more > 0 {
            let more = format!("{} more were refused and are not kept", armed.rejected_more);
            crate::failure::complain("warning", &more, Some("a source with so many is of little use"));
        }
        if shown == 0 && !self.json {
            if let Some(name) = self.source.filter(|_| armed.rejected.is_empty()) {
                return Err(Failure::work(format!("nothing of `{name}` was refused")));
            }
            say("nothing was refused");
        }
        Ok(ExitCode::SUCCESS)
    }
}
