//! URLhaus (abuse.ch): URLs that serve malicious software, as CSV, as a list of URLs, or as a hosts file.

use indicators::ThreatKind;

use super::csv::records;
use super::{Defaults, Each, EntryError, Feed, Terms, hosts, lines};
use crate::{Pattern, Strength};

/// The format.
pub(super) struct Urlhaus;

/// Columns of the CSV dump.
const URL: usize = 2;
const STATUS: usize = 3;

impl Feed for Urlhaus {
    fn name(&self) -> &'static str {
        "urlhaus"
    }

    fn about(&self) -> &'static str {
        "URLhaus of abuse.ch in any of its forms: CSV (`csv_recent`, `csv_online`), URLs (`text`), hosts (`hostfile`)."
    }

    fn example(&self) -> &'static str {
        "# id,dateadded,url,url_status,last_online,threat,tags,urlhaus_link,reporter\n\
         \"1\",\"2026-11-23 04:00:00\",\"http://evil.example/a.exe\",\"online\",\"\",\"malware_download\",\"exe,worm\",\
         \"https://urlhaus.example/1/\",\"someone\"\n"
    }

    fn defaults(&self) -> Defaults {
        Defaults { kind: ThreatKind::Malware, confidence: 85, strength: Strength::Block, days: Some(30) }
    }

    fn read(&self, bytes: &[u8], terms: &Terms, each: &mut Each<'_>) {
        let first = lines(bytes)
            .filter_map(|(_, line)| line.ok())
            .map(str::trim)
            .find(|line| !line.is_empty() && !line.starts_with('#'));
        match first {
            Some(line) if line.starts_with('"') => csv(bytes, terms, each),
            Some(line) if line.split_whitespace().count() > 1 => hosts::Hosts.read(bytes, terms, each),
            _ => urls(bytes, terms, each),
        }
    }
}

fn csv(bytes: &[u8], terms: &Terms, each: &mut Each<'_>) {
    for (line, record) in records(bytes, b',') {
        let place = || format!("line {line}");
        let record = match record {
            Ok(record) => record,
            Err(why) => {
                each(Err(EntryError { place: place(), why: why.to_owned() }));
                continue;
            }
        };
        let url = record.get(URL).map(String::as_str).ok_or("too few columns; this is not URLhaus' CSV");
        let entry = terms.entry(url.and_then(|url| Pattern::url(url, false)), place());
        each(entry.map(|mut indicator| {
            indicator.source.reference = record.first().filter(|id| !id.is_empty()).map(|id| format!("id {id}"));
            if record.get(STATUS).is_some_and(|status| status == "offline") {
                // It may come back, and somebody else may have got the place.
                indicator.confidence = indicator.confidence.saturating_sub(20);
            }
            indicator
        }));
    }
}

/// One URL a line.
pub(super) fn urls(bytes: &[u8], terms: &Terms, each: &mut Each<'_>) {
    for (at, line) in lines(bytes) {
        let place = format!("line {at}");
        match line.map(str::trim) {
            Ok("") => {}
            Ok(line) if line.starts_with('#') => {}
            Ok(line) => each(terms.entry(Pattern::url(line, false), place)),
            Err(why) => each(Err(EntryError { place, why: why.to_owned() })),
        }
    }
}
