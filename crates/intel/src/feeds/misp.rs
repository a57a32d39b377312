//! MISP events: as a file, or as a directory with a manifest.

use indicators::ThreatKind;

use super::{Defaults, Each, EntryError, Feed, Terms, Transport, whole};
use crate::Strength;
use crate::misp::{Limits, import};
use crate::stix::Context;

/// Events in one file.
pub(super) struct Misp;

/// Events in a directory.
pub(super) struct MispFeed;

impl Feed for Misp {
    fn name(&self) -> &'static str {
        "misp"
    }

    fn about(&self) -> &'static str {
        "MISP events in one file: `{\"Event\": {}}`, `{\"response\": [...]}` or a list. Attributes without `to_ids` \
         are notes at most."
    }

    fn example(&self) -> &'static str {
        r#"{"Event":{"uuid":"5c6983c8-3af8-4304-869c-12fe8ab2b5a1","info":"A worm","date":"2026-11-23","timestamp":"1795320000","Attribute":[{"uuid":"6c6983c8-3af8-4304-869c-12fe8ab2b5a1","type":"domain","category":"Network activity","value":"evil.example","to_ids":true,"timestamp":"1795320000"}]}}"#
    }

    fn defaults(&self) -> Defaults {
        Defaults { kind: ThreatKind::Malware, confidence: 60, strength: Strength::Block, days: None }
    }

    fn read(&self, bytes: &[u8], terms: &Terms, each: &mut Each<'_>) {
        let context = Context::feed(&terms.feed, terms.fetched, terms.strength);
        let import = match import(bytes, &Limits::default(), &context) {
            Ok(import) => import,
            Err(error) => return each(whole(error.to_string())),
        };
        for error in import.errors {
            let why = if error.property.is_empty() { error.why } else { format!("{}: {}", error.property, error.why) };
            each(Err(EntryError { place: error.object, why }));
        }
        for unmatched in import.unmatched {
            let why = format!("{}: not matched: {}", unmatched.kind, unmatched.why);
            each(Err(EntryError { place: unmatched.attribute, why }));
        }
        for indicator in import.indicators {
            each(Ok(terms.bounded(indicator)));
        }
    }
}

impl Feed for MispFeed {
    fn name(&self) -> &'static str {
        "misp-feed"
    }

    fn about(&self) -> &'static str {
        "A MISP feed directory with a `manifest.json`, as sharing communities publish them. Only events that changed \
         are asked for."
    }

    fn example(&self) -> &'static str {
        Misp.example()
    }

    fn defaults(&self) -> Defaults {
        Misp.defaults()
    }

    fn transport(&self) -> Transport {
        Transport::Misp
    }

    fn read(&self, bytes: &[u8], terms: &Terms, each: &mut Each<'_>) {
        Misp.read(bytes, terms, each);
    }
}
