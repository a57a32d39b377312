//! The report from what a vendor counted, with the catalogue's entries of the time beside it.

use super::by_catalogue;
use super::counts::{Count, Vendor};
use super::report::{Other, Report, Row, Source, YearToDate};
use super::series::{Part, Series};
use super::{Breakdown, Period, Side, Span};
use crate::Catalogue;

/// What a vendor counted over these periods; `others` are asked what they counted at the same time.
pub fn from_counts(vendor: &Vendor, others: &[Vendor], catalogue: &Catalogue, span: Span) -> Report {
    let [im, p2p, all] = [Part::Im, Part::P2p, Part::All].map(|part| Series::new(vendor, part));
    let others: Vec<(&Vendor, Vec<(Part, Series)>)> = others
        .iter()
        .filter(|other| other.name != vendor.name)
        .map(|other| (other, [Part::Im, Part::P2p, Part::All].map(|part| (part, Series::new(other, part))).into()))
        .collect();
    let row = |period: Period| {
        let count = vendor.counts.get(&period);
        let mut row = Row {
            im: side(&im, Part::Im, count, period),
            p2p: side(&p2p, Part::P2p, count, period),
            all: side(&all, Part::All, count, period),
            year: YearToDate {
                im: im.year_to_date(period),
                p2p: p2p.year_to_date(period),
                all: all.year_to_date(period),
            },
            breakdown: by_catalogue::breakdown(catalogue, Span { first: period, last: period }),
            ..Row::empty(period)
        };
        if let Some(count) = count {
            row.shares = count.shares.iter().map(|(network, share)| (network.clone(), *share)).collect();
            row.shares.sort_by(|a, b| b.1.total_cmp(&a.1));
            row.notes.extend(count.notes.iter().cloned());
            row.sources.extend(count.sources.iter().cloned());
            let on_a_year_ago = |part: Part| {
                let change = part.of(count).said_change_year_pct?;
                Some(format!("{} were said to have changed by {change:+} % on a year before.", part.name()))
            };
            row.notes.extend([Part::Im, Part::P2p, Part::All].into_iter().filter_map(on_a_year_ago));
        }
        for series in [&im, &p2p, &all] {
            row.notes.extend(series.contradictions(period));
        }
        for remark in vendor.remarks.iter().filter(|remark| touches(period, remark.from, remark.to)) {
            row.notes.push(remark.text.clone());
            row.sources.extend(
                remark.sources.iter().filter(|source| !row.sources.contains(source)).cloned().collect::<Vec<_>>(),
            );
        }
        for (other, series) in &others {
            for (part, series) in series {
                let new = series.new_in(period);
                if new.value.is_some() || new.more_than.is_some() {
                    row.others.push(Other { vendor: other.name.clone(), what: *part, new });
                }
            }
        }
        row
    };
    let rows = span.periods().map(row).collect();
    let breakdown: Breakdown = by_catalogue::breakdown(catalogue, span);
    Report {
        source: Source::Counts,
        vendor: Some(vendor.name.clone()),
        about: vendor.about.clone(),
        span,
        rows,
        breakdown,
        notes: vec![
            "Vendors counted different things: figures of two vendors can't be compared or added up.".to_owned(),
            "How attacks divide is from the catalogue, not from the vendor's counts, and covers fewer threats."
                .to_owned(),
        ],
    }
}

fn side(series: &Series, part: Part, count: Option<&Count>, period: Period) -> Side {
    let said = count.map(|count| part.of(count));
    Side {
        new: series.new_in(period),
        previous: series.new_in(period.previous()),
        year_before: series.new_in(period.year_before()),
        said: said.and_then(|said| said.said_change_pct),
        said_year: said.and_then(|said| said.said_change_year_pct),
    }
}

fn touches(period: Period, from: Period, to: Period) -> bool {
    Span { first: from, last: to }.touches(period)
}
