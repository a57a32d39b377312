//! OpenPhish: URLs of phishing pages, one a line.

use indicators::ThreatKind;

use super::{Defaults, Each, Feed, Terms, urlhaus};
use crate::Strength;

/// The format.
pub(super) struct OpenPhish;

impl Feed for OpenPhish {
    fn name(&self) -> &'static str {
        "openphish"
    }

    fn about(&self) -> &'static str {
        "OpenPhish's community feed, and every other list of one URL a line."
    }

    fn example(&self) -> &'static str {
        "https://login.evil.example/bank/\nhttp://evil.example/verify.php?id=1\n"
    }

    fn defaults(&self) -> Defaults {
        Defaults { kind: ThreatKind::Phishing, confidence: 75, strength: Strength::Block, days: Some(7) }
    }

    fn read(&self, bytes: &[u8], terms: &Terms, each: &mut Each<'_>) {
        urlhaus::urls(bytes, terms, each);
    }
}
