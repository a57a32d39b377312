//! STIX 2.1 bundles, and what TAXII 2.1 servers send.

use indicators::ThreatKind;
use jiff::SignedDuration;

use super::{Defaults, Each, EntryError, Feed, Terms, whole};
use crate::Strength;
use crate::stix::{Context, Import, Limits, import};

/// The format.
pub(super) struct Stix;

impl Feed for Stix {
    fn name(&self) -> &'static str {
        "stix"
    }

    fn about(&self) -> &'static str {
        "STIX 2.1: indicators and the threats they belong to; object by object, bad ones refused alone."
    }

    fn example(&self) -> &'static str {
        r#"{"type":"bundle","id":"bundle--0c1d2e3f-0000-4000-8000-000000000001","objects":[{"type":"indicator","spec_version":"2.1","id":"indicator--0c1d2e3f-0000-4000-8000-000000000002","created":"2026-11-23T04:00:00.000Z","modified":"2026-11-23T04:00:00.000Z","pattern":"[domain-name:value = 'evil.example']","pattern_type":"stix","valid_from":"2026-11-23T04:00:00Z"}]}"#
    }

    fn defaults(&self) -> Defaults {
        Defaults { kind: ThreatKind::Malware, confidence: 60, strength: Strength::Block, days: None }
    }

    fn read(&self, bytes: &[u8], terms: &Terms, each: &mut Each<'_>) {
        let context = Context::feed(&terms.feed, terms.fetched, terms.strength);
        // Clocks differ; what says it was made after tomorrow was not.
        let latest = terms.fetched.and_then(|fetched| fetched.checked_add(SignedDuration::from_hours(24)).ok());
        match import(bytes, &Limits { latest, ..Limits::default() }, &context) {
            Err(error) => each(whole(error.to_string())),
            Ok(import) => give(import, terms, each),
        }
    }
}

/// Hands on what an import came to. What the objects say of themselves counts for more than the terms.
fn give(import: Import, terms: &Terms, each: &mut Each<'_>) {
    for error in import.errors {
        let why = if error.property.is_empty() { error.why } else { format!("{}: {}", error.property, error.why) };
        each(Err(EntryError { place: error.object, why }));
    }
    for unmatched in import.unmatched {
        let part = if unmatched.partly { "in part " } else { "" };
        let why = format!("{part}not a pattern that can be matched: {}", unmatched.why);
        each(Err(EntryError { place: unmatched.object.to_string(), why }));
    }
    for indicator in import.indicators {
        each(Ok(terms.bounded(indicator)));
    }
}
