//! `portcullis threats list`: the catalogue, one line a threat.

use std::process::ExitCode;

use clap::Args;
use intel::{Kind, Threat, network};
use model::{Platform, suggest};

use super::{DataArgs, Outcome, catalogue};
use crate::commands::{safe, say};

#[derive(Args)]
#[command(after_help = "Examples:
  portcullis threats list --year 2005 --network msn
  portcullis threats list --kind exploit --platform ios
  portcullis threats list --json | jq -r '.[].id'")]
pub struct ListArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Only threats of this kind.
    #[arg(long, value_parser = kind)]
    kind: Option<Kind>,
    /// Only threats that use this network: an id of `apps/`, aim, mail, or im and p2p where it is not known.
    #[arg(long, value_name = "ID", value_parser = known_network)]
    network: Option<String>,
    /// Only threats to this platform.
    #[arg(long, value_parser = platform)]
    platform: Option<Platform>,
    /// Only threats first seen in this year.
    #[arg(long)]
    year: Option<i16>,
    /// One JSON array of whole entries.
    #[arg(long)]
    json: bool,
}

fn kind(name: &str) -> Result<Kind, String> {
    let names = Kind::ALL.map(Kind::as_str);
    Kind::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or_else(|| not("a kind", name, &names))
}

fn platform(name: &str) -> Result<Platform, String> {
    let names = Platform::ALL.map(Platform::as_str);
    Platform::ALL.into_iter().find(|platform| platform.as_str() == name).ok_or_else(|| not("a platform", name, &names))
}

fn not(what: &str, word: &str, names: &[&str]) -> String {
    let hint = suggest::hint(word, names.iter().copied()).unwrap_or_else(|| names.join(", "));
    format!("not {what}: {hint}")
}

fn known_network(id: &str) -> Result<String, String> {
    if network::find(id).is_some() {
        return Ok(id.to_owned());
    }
    let near = suggest::nearest(id, network::ids()).map(|near| format!("; did you mean `{near}`?"));
    Err(format!("no such network{}", near.unwrap_or_default()))
}

impl ListArgs {
    fn wants(&self, threat: &Threat) -> bool {
        self.kind.is_none_or(|kind| threat.kind == kind)
            && self.network.as_ref().is_none_or(|network| threat.networks.contains(network))
            && self.platform.is_none_or(|platform| threat.platforms.contains(&platform))
            && self.year.is_none_or(|year| threat.first_seen.is_some_and(|when| when.date.year() == year))
    }

    pub fn run(self) -> Outcome {
        let catalogue = catalogue(&self.data)?;
        let found: Vec<&Threat> = catalogue.threats().iter().filter(|threat| self.wants(threat)).collect();
        if self.json {
            say(serde_json::to_string(&found).map_err(anyhow::Error::from)?);
            return Ok(ExitCode::SUCCESS);
        }
        let width = found.iter().map(|threat| threat.id.chars().count()).max().unwrap_or(0).max(2);
        let joined = |threat: &Threat| threat.networks.join(", ");
        let room = found.iter().map(|threat| joined(threat).chars().count()).max().unwrap_or(0).clamp(8, 40);
        if !found.is_empty() {
            say(format!("{:<10}  {:<width$}  {:<14}  {:<room$}  NAME", "FIRST SEEN", "ID", "KIND", "NETWORKS"));
        }
        for threat in &found {
            let when = threat.first_seen.map_or_else(|| "unknown".to_owned(), |when| when.to_string());
            let networks = joined(threat);
            say(format!(
                "{when:<10}  {:<width$}  {:<14}  {networks:<room$}  {}",
                threat.id,
                threat.kind.as_str(),
                safe(&threat.name)
            ));
        }
        say(format!("{} of {} threats", found.len(), catalogue.threats().len()));
        Ok(ExitCode::SUCCESS)
    }
}
