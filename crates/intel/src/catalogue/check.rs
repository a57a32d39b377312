//! What a catalogue entry owes its reader, beyond its shape.

use model::suggest;

use crate::{Threat, network, technique};

/// What is wrong with an entry.
pub(super) struct Fault {
    pub(super) what: String,
    pub(super) hint: Option<String>,
}

/// The longest text of an entry, in bytes.
const LONGEST: usize = 4_096;
/// Most items of a list.
const MOST: usize = 1_000;

/// Everything that is wrong with an entry.
pub(super) fn faults(threat: &Threat) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut fault = |what: String, hint: Option<&str>| faults.push(Fault { what, hint: hint.map(str::to_owned) });
    if !is_id(&threat.id) {
        fault("is not an id".to_owned(), Some("write lower case letters, digits and hyphens"));
    }
    if threat.name.trim().is_empty() {
        fault("no name".to_owned(), None);
    }
    if threat.sources.is_empty() {
        fault("no source".to_owned(), Some("say who says so: sources = [{ by = \"...\", url = \"...\" }]"));
    }
    if threat.confidence > 100 {
        fault(format!("confidence {} is over 100", threat.confidence), None);
    }
    if threat.networks.is_empty() {
        fault("no network".to_owned(), Some("write \"im\" or \"p2p\" where the network is not known"));
    }
    for id in threat.techniques.iter().filter(|id| !technique::is_id(id)) {
        fault(format!("`{id}` is no technique id"), Some("write it like T1566 or T1566.002"));
    }
    for source in &threat.sources {
        if source.by.trim().is_empty() {
            fault("a source without a name".to_owned(), None);
        }
        if let Some(url) = source.url.as_deref().filter(|url| !is_web(url)) {
            fault(format!("`{url}` is no web address"), Some("begin it with https:// or http://"));
        }
    }
    for indicator in threat.indicators.iter().filter(|indicator| indicator.confidence > 100) {
        fault(format!("indicator {}: confidence {} is over 100", indicator.id, indicator.confidence), None);
    }
    let texts = [&threat.name, &threat.about].into_iter().chain(&threat.payload).chain(&threat.unknown);
    if texts.chain(&threat.aliases).any(|text| text.len() > LONGEST) {
        fault(format!("a text of more than {LONGEST} bytes"), None);
    }
    let lists = [threat.aliases.len(), threat.networks.len(), threat.techniques.len(), threat.sources.len()];
    if lists.into_iter().chain([threat.unknown.len(), threat.vectors.len()]).any(|length| length > MOST) {
        fault(format!("a list of more than {MOST} items"), None);
    }
    for id in threat.networks.iter().filter(|id| network::find(id).is_none()) {
        let hint = suggest::nearest(id, network::ids()).map(|near| format!("did you mean `{near}`?"));
        let hint =
            hint.or_else(|| Some("networks are ids of apps/, aim, mail, or im and p2p for unnamed ones".to_owned()));
        faults.push(Fault { what: format!("`{id}` is no network that is known"), hint });
    }
    faults
}

/// Lower case, digits and hyphens.
fn is_id(id: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !id.is_empty() && id.len() <= 64 && id.chars().all(plain) && !id.starts_with('-') && !id.ends_with('-')
}

fn is_web(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| rest.contains('.')) && !url.contains(|c: char| c.is_whitespace() || c.is_control())
}
