//! What a report holds, whatever it is made from and however it is shown.

use super::breakdown::Breakdown;
use super::figure::{Figure, Side};
use super::series::Part;
use super::{Period, Span};
use crate::Reference;

/// What the figures are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// What a vendor counted.
    Counts,
    /// The catalogue's entries.
    Catalogue,
    /// What this site's gateways saw.
    Journal,
}

impl Source {
    /// Its name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Counts => "counts",
            Source::Catalogue => "catalogue",
            Source::Journal => "journal",
        }
    }

    /// What one of its figures is a number of.
    pub fn counts_what(self) -> &'static str {
        match self {
            Source::Counts => "new threats",
            Source::Catalogue => "threats first seen",
            Source::Journal => "attacks",
        }
    }
}

/// Figures of consecutive periods.
#[derive(Clone, Debug)]
pub struct Report {
    /// What the figures are from.
    pub source: Source,
    /// The vendor, where they are a vendor's.
    pub vendor: Option<String>,
    /// What the source is, in a sentence.
    pub about: String,
    /// The periods.
    pub span: Span,
    /// One row a period, in order.
    pub rows: Vec<Row>,
    /// What the whole time's attacks were like.
    pub breakdown: Breakdown,
    /// What is to be known about the report as a whole.
    pub notes: Vec<String>,
}

/// One period.
#[derive(Clone, Debug)]
pub struct Row {
    /// Which.
    pub period: Period,
    /// Over instant messaging.
    pub im: Side,
    /// Over peer-to-peer networks.
    pub p2p: Side,
    /// Over everything that the vendor counted, together.
    pub all: Side,
    /// The running total since January.
    pub year: YearToDate,
    /// What became of the attacks; for the journal.
    pub attacks: Option<Attacks>,
    /// What the period's attacks were like.
    pub breakdown: Breakdown,
    /// Shares in per cent by network, as the vendor said them.
    pub shares: Vec<(String, f64)>,
    /// What other vendors counted.
    pub others: Vec<Other>,
    /// What else is to be known, contradictions among it.
    pub notes: Vec<String>,
    /// Who says so.
    pub sources: Vec<Reference>,
}

impl Row {
    /// A period of which nothing is known.
    pub(super) fn empty(period: Period) -> Row {
        Row {
            period,
            im: Side::UNKNOWN,
            p2p: Side::UNKNOWN,
            all: Side::UNKNOWN,
            year: YearToDate { im: Figure::UNKNOWN, p2p: Figure::UNKNOWN, all: Figure::UNKNOWN },
            attacks: None,
            breakdown: Breakdown::default(),
            shares: Vec::new(),
            others: Vec::new(),
            notes: Vec::new(),
            sources: Vec::new(),
        }
    }
}

/// Running totals since January, the period included.
#[derive(Clone, Debug, PartialEq)]
pub struct YearToDate {
    /// Over instant messaging.
    pub im: Figure,
    /// Over peer-to-peer networks.
    pub p2p: Figure,
    /// Over everything that the vendor counted, together.
    pub all: Figure,
}

/// What became of the attacks that this site's gateways saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attacks {
    /// Messages that were attacks.
    pub seen: u64,
    /// Those that were kept back: quarantined or blocked.
    pub stopped: u64,
    /// Messages that were quarantined and released later.
    pub released: u64,
    /// Different people that an attack was sent to.
    pub people: u64,
    /// Different people that one was delivered to.
    pub reached: u64,
    /// Different rooms that one was sent to.
    pub rooms: u64,
    /// Different senders.
    pub senders: u64,
}

/// What another vendor counted in the same period.
#[derive(Clone, Debug, PartialEq)]
pub struct Other {
    /// The vendor.
    pub vendor: String,
    /// What was counted.
    pub what: Part,
    /// How many were new.
    pub new: Figure,
}
