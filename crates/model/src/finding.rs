//! One thing seen in a message: symbol, weight, explanation, evidence.

use std::borrow::Cow;

/// The name of what was seen, `family.thing` (`link.phishing`).
///
/// Built-in symbols are static and listed in the detector table; an operator's
/// own expressions make `pattern.local.NAME` at load.
pub type Symbol = Cow<'static, str>;

/// A detector's entry for one symbol it can raise: the source of the policy
/// schema and of the reference.
#[derive(Clone, Copy, Debug)]
pub struct SymbolInfo {
    /// `family.thing`.
    pub symbol: &'static str,
    /// What it weighs when seen once.
    pub score: f32,
    /// One sentence for the reference, without a full stop.
    pub about: &'static str,
    /// MITRE ATT&CK technique, where one fits (`T1566.002`).
    pub technique: Option<&'static str>,
}

/// One thing a detector or tracker saw.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Finding {
    /// What was seen.
    pub symbol: Symbol,
    /// Weight: 1 is a hint, 5 makes most people look, 10 is enough to block.
    pub score: f32,
    /// Why, in a sentence a person understands; never quotes the body.
    pub explain: Cow<'static, str>,
    /// Where in the message, and what may be shown of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// MITRE ATT&CK technique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub technique: Option<Cow<'static, str>>,
}

/// Where a finding was made.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Evidence {
    /// Index into `Message::parts`, or of a file counted after them.
    pub part: u16,
    /// First byte of the span in that part's exposed text.
    pub start: u32,
    /// First byte after it. `start == end` where a span makes no sense.
    pub end: u32,
    /// What may be shown: links defanged, secrets masked, control bytes escaped.
    pub shown: Box<str>,
}

impl Finding {
    /// The family part of the symbol (`link` of `link.phishing`).
    pub fn family(&self) -> &str {
        self.symbol.split('.').next().unwrap_or(&self.symbol)
    }
}

impl SymbolInfo {
    /// A finding of this symbol with its table weight.
    pub fn found(&self, explain: impl Into<Cow<'static, str>>, evidence: Option<Evidence>) -> Finding {
        Finding {
            symbol: Cow::Borrowed(self.symbol),
            score: self.score,
            explain: explain.into(),
            evidence,
            technique: self.technique.map(Cow::Borrowed),
        }
    }
}
