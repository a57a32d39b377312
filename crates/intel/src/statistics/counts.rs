//! What vendors counted: `intel/counts/*.toml`, compiled in, one file a vendor.
//!
//! Vendors counted different things, so their figures are never added up or mixed in one series.

use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use toml::Spanned;

use super::figure::Basis;
use super::{Period, Span};
use crate::{Problem, Reference};

/// Files as compiled in: name and text.
pub(super) const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/counts.rs"));

static BUNDLED: LazyLock<Vec<Vendor>> = LazyLock::new(|| {
    // A file that is wrong fails this module's tests; a release has none.
    FILES.iter().filter_map(|(file, text)| Vendor::read(file, text).ok()).collect()
});

/// A vendor and all that it counted.
#[derive(Clone, Debug)]
pub struct Vendor {
    /// Its name.
    pub name: String,
    /// What it counted.
    pub about: String,
    /// What was found, by period.
    pub counts: BTreeMap<Period, Count>,
    /// What was said of no calendar period.
    pub remarks: Vec<Remark>,
}

/// What a vendor said of a period.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// The month, quarter or year.
    pub period: Period,
    /// Over instant messaging.
    #[serde(default)]
    pub im: Said,
    /// Over peer-to-peer networks.
    #[serde(default)]
    pub p2p: Said,
    /// Over all that the vendor counted, together.
    #[serde(default)]
    pub all: Said,
    /// Shares in per cent, by network.
    #[serde(default)]
    pub shares: BTreeMap<String, f64>,
    /// What else is to be known, contradictions among it.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Who says so.
    #[serde(default)]
    pub sources: Vec<Reference>,
}

/// What was said of one medium.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// How many were new.
    pub new: Option<u64>,
    /// How many there were at least, and one more, where no more is known.
    pub more_than: Option<u64>,
    /// How many since January, this period's included.
    pub year_to_date: Option<u64>,
    /// Whether the vendor said so, or it follows from what the vendor said.
    #[serde(default)]
    pub basis: Basis,
    /// From what it follows.
    pub how: Option<String>,
    /// The change on the period before, in per cent, as it was said.
    pub said_change_pct: Option<f64>,
    /// The change on the same period a year before, in per cent, as it was said.
    pub said_change_year_pct: Option<f64>,
}

/// Something said of a time that is no calendar period.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remark {
    /// The first month it may be about.
    pub from: Period,
    /// The last.
    pub to: Period,
    /// What was said.
    pub text: String,
    /// Who says so.
    pub sources: Vec<Reference>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    vendor: String,
    about: String,
    #[serde(default)]
    count: Vec<Spanned<Count>>,
    #[serde(default)]
    remark: Vec<Remark>,
}

impl Vendor {
    /// Those that come with the program, by name.
    pub fn bundled() -> &'static [Vendor] {
        &BUNDLED
    }

    /// One of them, case apart.
    pub fn named(name: &str) -> Option<&'static Vendor> {
        BUNDLED.iter().find(|vendor| vendor.name.eq_ignore_ascii_case(name))
    }

    /// Reads the text of a file.
    pub fn read(file: &str, text: &str) -> Result<Vendor, Problem> {
        let read: File = toml::from_str(text).map_err(|error| Problem::toml(file, text, &error))?;
        let mut seen = HashSet::new();
        let mut counts = BTreeMap::new();
        for count in read.count {
            let wrong = |message: String| Problem::at(file, text, &count.span(), message);
            let found = count.get_ref();
            let period = found.period;
            if !seen.insert(period) {
                return Err(wrong(format!("{period} stands here twice")).hint("put both into one table"));
            }
            for said in [&found.im, &found.p2p, &found.all] {
                if let Some(fault) = said.fault() {
                    return Err(wrong(format!("{period}: {fault}")));
                }
            }
            let says = [&found.im, &found.p2p, &found.all].into_iter().any(|said| *said != Said::default());
            if says && found.sources.is_empty() {
                return Err(wrong(format!("{period}: no source")).hint("say who says so"));
            }
            counts.insert(period, count.into_inner());
        }
        Ok(Vendor { name: read.vendor, about: read.about, counts, remarks: read.remark })
    }

    /// Whether anything was counted in or around these periods.
    pub fn knows(&self, span: Span) -> bool {
        self.counts.keys().any(|period| span.touches(*period))
    }
}

impl Said {
    fn fault(&self) -> Option<&'static str> {
        match (self.basis, &self.how) {
            (Basis::Computed, None) => Some("a computed figure says from what, as `how`"),
            (Basis::Counted, Some(_)) => Some("only a computed figure has a `how`"),
            (Basis::Unknown, _) => Some("what is unknown is left out"),
            _ if self.new.is_some() && self.more_than.is_some() => Some("either `new` or `more_than`"),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Period, D::Error> {
        let text = String::deserialize(deserializer)?;
        Period::parse(&text)
            .ok_or_else(|| D::Error::custom(format!("`{text}` is no period: write 2008, 2008-Q2 or 2008-04")))
    }
}
