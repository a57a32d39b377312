//! A figure, and how it is known.

use serde::{Deserialize, Serialize};

/// How a figure is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// Somebody counted: the vendor, or we.
    #[default]
    Counted,
    /// It follows from other figures.
    Computed,
    /// It is not known.
    Unknown,
}

impl Basis {
    /// Its name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Basis::Counted => "counted",
            Basis::Computed => "computed",
            Basis::Unknown => "unknown",
        }
    }
}

/// A number of attacks, or that it is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// The number, when known.
    pub value: Option<u64>,
    /// There were more than this many, when that is all that is known.
    pub more_than: Option<u64>,
    /// How it is known.
    pub basis: Basis,
    /// From what it follows.
    pub how: Option<String>,
}

impl Figure {
    /// Not known.
    pub const UNKNOWN: Figure = Figure { value: None, more_than: None, basis: Basis::Unknown, how: None };

    /// Counted.
    pub fn counted(value: u64) -> Figure {
        Figure { value: Some(value), basis: Basis::Counted, ..Figure::UNKNOWN }
    }

    /// Following from other figures.
    pub fn computed(value: u64, how: impl Into<String>) -> Figure {
        Figure { value: Some(value), basis: Basis::Computed, how: Some(how.into()), ..Figure::UNKNOWN }
    }
}

/// The change from one figure to another in per cent, to one decimal; `None` when one is unknown or the first is 0.
pub fn change_pct(from: &Figure, to: &Figure) -> Option<f64> {
    let (from, to) = (from.value?, to.value?);
    if from == 0 {
        return None;
    }
    let tenths = (to as f64 - from as f64) * 1_000.0 / from as f64;
    Some(tenths.round() / 10.0)
}

/// A figure beside those before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Side {
    /// How many were new.
    pub new: Figure,
    /// How many were in the period before.
    pub previous: Figure,
    /// How many were in the same period a year before.
    pub year_before: Figure,
    /// The change on the period before as the press said it, in per cent.
    pub said: Option<f64>,
    /// The change on the year before as the press said it, in per cent.
    pub said_year: Option<f64>,
}

impl Side {
    /// Nothing is known.
    pub const UNKNOWN: Side = Side {
        new: Figure::UNKNOWN,
        previous: Figure::UNKNOWN,
        year_before: Figure::UNKNOWN,
        said: None,
        said_year: None,
    };

    /// The change on the period before, in per cent.
    pub fn change_pct(&self) -> Option<f64> {
        change_pct(&self.previous, &self.new)
    }

    /// The change on the same period a year before, in per cent.
    pub fn change_year_pct(&self) -> Option<f64> {
        change_pct(&self.year_before, &self.new)
    }

    /// Whether anything at all is known.
    pub fn is_known(&self) -> bool {
        let figures = [&self.new, &self.previous, &self.year_before];
        figures.into_iter().any(|figure| *figure != Figure::UNKNOWN) || self.said.is_some() || self.said_year.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_known_when_both_figures_are() {
        let (zero, eight, twenty_one) = (Figure::counted(0), Figure::computed(8, "x"), Figure::counted(21));
        assert_eq!(change_pct(&eight, &twenty_one), Some(162.5));
        assert_eq!(change_pct(&twenty_one, &eight), Some(-61.9));
        assert_eq!(change_pct(&eight, &zero), Some(-100.0));
        assert_eq!(change_pct(&zero, &eight), None);
        assert_eq!(change_pct(&Figure::UNKNOWN, &eight), None);
        assert_eq!(change_pct(&eight, &Figure::UNKNOWN), None);
    }
}
