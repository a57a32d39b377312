//! PhishTank: phishing pages that people reported and others verified, as JSON or CSV.

use indicators::ThreatKind;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::csv::records;
use super::{Defaults, Each, EntryError, Feed, Terms, whole};
use crate::{Pattern, Strength};

/// The format.
pub(super) struct PhishTank;

#[derive(Deserialize)]
struct Entry {
    phish_id: serde_json::Value,
    url: String,
    #[serde(default)]
    verified: String,
    #[serde(default)]
    online: String,
}

impl Feed for PhishTank {
    fn name(&self) -> &'static str {
        "phishtank"
    }

    fn about(&self) -> &'static str {
        "PhishTank's `online-valid` in JSON or CSV. What nobody has verified is taken as a note."
    }

    fn example(&self) -> &'static str {
        r#"[{"phish_id":"1","url":"https://evil.example/bank","verified":"yes","online":"yes","target":"Other"}]"#
    }

    fn defaults(&self) -> Defaults {
        Defaults { kind: ThreatKind::Phishing, confidence: 80, strength: Strength::Block, days: Some(14) }
    }

    fn read(&self, bytes: &[u8], terms: &Terms, each: &mut Each<'_>) {
        let start = bytes.iter().find(|b| !b.is_ascii_whitespace());
        if matches!(start, Some(b'[')) { json(bytes, terms, each) } else { csv(bytes, terms, each) }
    }
}

fn json(bytes: &[u8], terms: &Terms, each: &mut Each<'_>) {
    let entries: Vec<&RawValue> = match serde_json::from_slice(bytes) {
        Ok(entries) => entries,
        Err(error) => return each(whole(format!("not a JSON array of reports: {error}"))),
    };
    for (at, entry) in entries.into_iter().enumerate() {
        let place = format!("entry {at}");
        match serde_json::from_str::<Entry>(entry.get()) {
            Ok(entry) => take(&entry, place, terms, each),
            Err(error) => each(Err(EntryError { place, why: error.to_string() })),
        }
    }
}

fn csv(bytes: &[u8], terms: &Terms, each: &mut Each<'_>) {
    let mut columns: Option<[usize; 4]> = None;
    for (line, record) in records(bytes, b',') {
        let place = format!("line {line}");
        let record = match record {
            Ok(record) => record,
            Err(why) => {
                each(Err(EntryError { place, why: why.to_owned() }));
                continue;
            }
        };
        let Some([id, url, verified, online]) = columns else {
            let of = |name: &str| record.iter().position(|column| column == name);
            match (of("phish_id"), of("url"), of("verified"), of("online")) {
                (Some(id), Some(url), Some(verified), Some(online)) => columns = Some([id, url, verified, online]),
                _ => return each(whole("neither a JSON array nor CSV with phish_id, url, verified and online")),
            }
            continue;
        };
        let column = |at: usize| record.get(at).cloned().unwrap_or_default();
        let entry =
            Entry { phish_id: column(id).into(), url: column(url), verified: column(verified), online: column(online) };
        take(&entry, place, terms, each);
    }
}

fn take(entry: &Entry, place: String, terms: &Terms, each: &mut Each<'_>) {
    if entry.online == "no" {
        return;
    }
    each(terms.entry(Pattern::url(&entry.url, false), place).map(|mut indicator| {
        let id = entry.phish_id.as_str().map_or_else(|| entry.phish_id.to_string(), str::to_owned);
        indicator.source.reference = Some(format!("phish_id {}", id.chars().take(40).collect::<String>()));
        if entry.verified != "yes" {
            indicator.strength = Strength::Note;
        }
        indicator
    }));
}
