//! Files of YARA rules: one indicator a rule.

use indicators::ThreatKind;

use super::{Defaults, Each, EntryError, Feed, Terms, whole};
use crate::{Pattern, Strength};

/// The format.
pub(super) struct Rules;

impl Feed for Rules {
    fn name(&self) -> &'static str {
        "yara"
    }

    fn about(&self) -> &'static str {
        "YARA rules, matched on every file the gateway sees and on files in archives. Each rule is compiled by \
         itself; global rules, includes, and rules that match everyday files are refused."
    }

    fn example(&self) -> &'static str {
        "rule spreader {\n  strings:\n    $a = \"spread me to all contacts\" ascii wide\n  condition:\n    $a\n}\n"
    }

    fn defaults(&self) -> Defaults {
        Defaults { kind: ThreatKind::Malware, confidence: 70, strength: Strength::Note, days: None }
    }

    fn read(&self, bytes: &[u8], terms: &Terms, each: &mut Each<'_>) {
        let Ok(text) = std::str::from_utf8(bytes) else { return each(whole("not UTF-8, as YARA rules are")) };
        let (rules, wrong) = yara::split(text);
        for wrong in wrong {
            each(Err(EntryError { place: format!("line {}", wrong.line), why: wrong.why }));
        }
        for rule in rules {
            let place = format!("line {}: {}", rule.line, rule.name);
            let pattern = yara::check(&rule.text).map(|()| Pattern::Yara { name: rule.name, rule: rule.text });
            each(terms.entry(pattern, place));
        }
    }
}
