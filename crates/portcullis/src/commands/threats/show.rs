//! `portcullis threats show`: all that is known of a threat.

use std::process::ExitCode;

use clap::Args;
use intel::{Catalogue, Pattern, Strength, Threat, network, technique};
use model::suggest;

use super::{DataArgs, Outcome, catalogue};
use crate::commands::{safe, say};
use crate::failure::Failure;

#[derive(Args)]
pub struct ShowArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Its id, or a name or alias of it.
    threat: String,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl ShowArgs {
    pub fn run(self) -> Outcome {
        let catalogue = catalogue(&self.data)?;
        let threat = find(&catalogue, &self.threat)?;
        if self.json {
            say(serde_json::to_string_pretty(threat).map_err(anyhow::Error::from)?);
        } else {
            lines(threat).into_iter().for_each(say);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn find<'a>(catalogue: &'a Catalogue, name: &str) -> Result<&'a Threat, Failure> {
    if let Some(threat) = catalogue.get(name) {
        return Ok(threat);
    }
    match catalogue.named(name).as_slice() {
        [threat] => Ok(threat),
        [] => {
            let ids = catalogue.threats().iter().map(|threat| threat.id.as_str());
            let near = suggest::nearest(name, ids).map(|near| format!("did you mean `{near}`?"));
            let hint = near.unwrap_or_else(|| "list them with: portcullis threats list".to_owned());
            Err(Failure::usage(format!("{}: no such threat", safe(name))).hint(hint))
        }
        several => {
            let ids: Vec<&str> = several.iter().map(|threat| threat.id.as_str()).collect();
            Err(Failure::usage(format!("{}: several threats go by that name", safe(name)))
                .hint(format!("name one of {}", ids.join(", "))))
        }
    }
}

/// A threat for people, fields without content left out.
fn lines(threat: &Threat) -> Vec<String> {
    let mut lines = vec![safe(&threat.name)];
    let mut field = |label: &str, value: String| {
        for (number, line) in wrapped(&value).into_iter().enumerate() {
            lines.push(format!("  {:<12}{}", if number == 0 { label } else { "" }, safe(&line)));
        }
    };
    let family = threat.family.as_ref().map(|family| match threat.variant {
        true => format!("{family} (a variant)"),
        false => family.clone(),
    });
    let networks: Vec<String> = threat.networks.iter().map(|id| format!("{} ({id})", network::name(id))).collect();
    let techniques: Vec<String> = threat
        .techniques
        .iter()
        .map(|id| technique::name(id).map_or_else(|| id.clone(), |name| format!("{id} {name}")))
        .collect();
    let platforms: Vec<&str> = threat.platforms.iter().map(|platform| platform.as_str()).collect();
    field("id", threat.id.clone());
    field("also", threat.aliases.join(", "));
    field("family", family.unwrap_or_default());
    field("kind", threat.kind.to_string());
    field("first seen", threat.first_seen.map_or_else(|| "unknown".to_owned(), |when| when.to_string()));
    field("networks", networks.join(", "));
    field("platforms", platforms.join(", "));
    field("vectors", threat.vectors.join(", "));
    field("techniques", techniques.join(", "));
    field("payload", threat.payload.clone().unwrap_or_default());
    field("about", threat.about.clone());
    field("confidence", format!("{} of 100", threat.confidence));
    for unknown in &threat.unknown {
        field("not known", unknown.clone());
    }
    for indicator in &threat.indicators {
        let strength = match indicator.strength {
            Strength::Note => "shown beside other evidence",
            Strength::Block => "stops a message",
        };
        field("indicator", format!("{} ({strength})", pattern(&indicator.pattern)));
    }
    for source in &threat.sources {
        let published = source.published.map(|when| format!(", {when}")).unwrap_or_default();
        field("source", format!("{}{published} {}", source.by, source.url.as_deref().unwrap_or_default()));
    }
    lines
}

/// Text in lines that are read with ease, broken between words; none for no text.
fn wrapped(text: &str) -> Vec<String> {
    const WIDTH: usize = 96;
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(last) if last.chars().count() + 1 + word.chars().count() <= WIDTH => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// What is matched, defanged: nothing in a terminal should be a click away from an attack.
fn pattern(pattern: &Pattern) -> String {
    let defanged = |text: &str| text.replace('.', "[.]").replacen("http", "hxxp", 1);
    match pattern {
        Pattern::Domain { value } => format!("domain {}", defanged(value)),
        Pattern::Url { value, prefix } => {
            format!("url {}{}", defanged(value), if *prefix { " and below" } else { "" })
        }
        Pattern::File { hash } => format!("file {hash}"),
        Pattern::Net { address, bits } => format!("addresses {}/{bits}", defanged(&address.to_string())),
        Pattern::Account { protocol, value } => format!("account {value} on {}", protocol.name()),
        Pattern::Text { value } => format!("text \"{value}\""),
        Pattern::NearText { shape } => format!("text of shape {shape}"),
        Pattern::Yara { name, .. } => format!("YARA rule {name}"),
    }
}
