//! The report from the catalogue: how many of its threats were first seen when.
//!
//! A catalogue holds what somebody wrote down. A period without an entry is one of which nothing is known, not one
//! without threats.

use super::breakdown::{self, Breakdown};
use super::report::{Report, Row, Source, YearToDate};
use super::{Figure, Period, Side, Span, Step};
use crate::catalogue::media;
use crate::{Catalogue, Precision, Threat};

/// How many of the catalogue's threats were first seen in these periods.
pub fn from_catalogue(catalogue: &Catalogue, span: Span) -> Report {
    let dated: Vec<Dated> = catalogue.threats().iter().filter_map(Dated::of).collect();
    let row = |period: Period| {
        let side = |of: fn(&Dated) -> bool| Side {
            new: new_in(&dated, period, of),
            previous: new_in(&dated, period.previous(), of),
            year_before: new_in(&dated, period.year_before(), of),
            ..Side::UNKNOWN
        };
        let total = |of: fn(&Dated) -> bool| year_to_date(&dated, period, of);
        Row {
            im: side(|dated| dated.im),
            p2p: side(|dated| dated.p2p),
            year: YearToDate { im: total(|dated| dated.im), p2p: total(|dated| dated.p2p), all: Figure::UNKNOWN },
            breakdown: breakdown(catalogue, Span { first: period, last: period }),
            ..Row::empty(period)
        }
    };
    let rows: Vec<Row> = span.periods().map(row).collect();
    let mut notes =
        vec!["The catalogue holds what was written down: a period without an entry is unknown, not quiet.".to_owned()];
    if span.first.step != Step::Year {
        let years = (span.first.year()..=span.last.year()).map(|year| Period::month(year, 1).whole_year());
        for year in years {
            let coarse = dated.iter().filter(|dated| dated.period == year).count();
            if coarse > 0 {
                notes.push(format!(
                    "{coarse} of {year} are known by their year only and stand in no {}.",
                    span.first.step.as_str()
                ));
            }
        }
    }
    Report {
        source: Source::Catalogue,
        vendor: None,
        about: format!("The {} threats of the catalogue, by when they were first seen.", catalogue.threats().len()),
        span,
        rows,
        breakdown: breakdown(catalogue, span),
        notes,
    }
}

/// How the threats first seen in a span divide.
pub(super) fn breakdown(catalogue: &Catalogue, span: Span) -> Breakdown {
    let within = |threat: &&Threat| Dated::of(threat).is_some_and(|dated| span.contains(dated.period));
    breakdown::of_threats(catalogue.threats().iter().filter(within))
}

/// A threat of which is known when it was first seen.
struct Dated {
    /// As precisely as a report can use it.
    period: Period,
    im: bool,
    p2p: bool,
}

impl Dated {
    fn of(threat: &Threat) -> Option<Dated> {
        let when = threat.first_seen?;
        let step = if when.precision == Precision::Year { Step::Year } else { Step::Month };
        let (im, p2p) = media(threat);
        Some(Dated { period: Period::of(when.date, step), im, p2p })
    }
}

fn new_in(dated: &[Dated], period: Period, of: fn(&Dated) -> bool) -> Figure {
    let span = Span { first: period, last: period };
    known(dated.iter().filter(|dated| of(dated) && span.contains(dated.period)).count())
}

fn year_to_date(dated: &[Dated], period: Period, of: fn(&Dated) -> bool) -> Figure {
    let span = period.since_january();
    known(dated.iter().filter(|dated| of(dated) && span.contains(dated.period)).count())
}

/// No entry says nothing.
fn known(count: usize) -> Figure {
    if count == 0 { Figure::UNKNOWN } else { Figure::counted(count as u64) }
}
