//! One vendor's figures over one medium: what was said, what follows from it, and what does not fit together.
//!
//! Within a year, figures of months and quarters are differences of running totals. What is missing is filled in from
//! what was said as long as anything follows; what was said is never changed, and where it contradicts itself that is noted.

use std::collections::BTreeMap;

use super::counts::{Count, Said, Vendor};
use super::figure::Figure;
use super::{Period, Step};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Which of a count's figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Instant messaging.
    Im,
    /// Peer-to-peer.
    P2p,
    /// All that the vendor counted, together.
    All,
}

impl Part {
    /// Its name in reports for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Part::Im => "im",
            Part::P2p => "p2p",
            Part::All => "all",
        }
    }

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Part::Im => "IM threats",
            Part::P2p => "P2P threats",
            Part::All => "IM and P2P threats together",
        }
    }

    /// What was said about it.
    pub fn of(self, count: &Count) -> &Said {
        match self {
            Part::Im => &count.im,
            Part::P2p => &count.p2p,
            Part::All => &count.all,
        }
    }
}

/// A year of a series.
#[derive(Clone, Debug)]
struct Year {
    /// Totals from January to the end of a month; 0 is before January.
    totals: [Option<Figure>; 13],
    /// Figures between two of those: a month or a quarter.
    between: BTreeMap<(usize, usize), Figure>,
    /// The year's own figure.
    whole: Option<Figure>,
    contradictions: Vec<(usize, String)>,
}

/// A vendor's figures over one medium.
#[derive(Clone, Debug)]
pub struct Series {
    part: Part,
    years: BTreeMap<i32, Year>,
    bounds: BTreeMap<Period, u64>,
}

impl Series {
    /// Everything that follows from what a vendor said.
    pub fn new(vendor: &Vendor, part: Part) -> Series {
        let mut series = Series { part, years: BTreeMap::new(), bounds: BTreeMap::new() };
        for (period, count) in &vendor.counts {
            let said = part.of(count);
            if let Some(bound) = said.more_than {
                series.bounds.insert(*period, bound);
            }
            if said.new.is_none() && said.year_to_date.is_none() {
                continue;
            }
            let year = series.years.entry(period.year()).or_insert_with(Year::empty);
            let end = usize::try_from(period.last_month_of_year()).unwrap_or(12).min(12);
            let length = usize::try_from(period.step.months()).unwrap_or(12);
            if let Some(new) = said.new {
                let figure = said.figure(new);
                match period.step {
                    Step::Year => year.whole = Some(figure),
                    Step::Month | Step::Quarter => _ = year.between.insert((end.saturating_sub(length), end), figure),
                }
            }
            if let Some(total) = said.year_to_date {
                year.set(end, said.figure(total));
            }
        }
        series.years.values_mut().for_each(Year::solve);
        series
    }

    /// How many were new in a period.
    pub fn new_in(&self, period: Period) -> Figure {
        let known = self.years.get(&period.year()).and_then(|year| year.figure(period));
        known.unwrap_or_else(|| Figure { more_than: self.bounds.get(&period).copied(), ..Figure::UNKNOWN })
    }

    /// How many since January, the period included.
    pub fn year_to_date(&self, period: Period) -> Figure {
        let end = usize::try_from(period.last_month_of_year()).unwrap_or(12);
        let known = self.years.get(&period.year()).and_then(|year| year.totals.get(end)?.clone());
        known.unwrap_or(Figure::UNKNOWN)
    }

    /// What was said that does not fit together, about a period.
    pub fn contradictions(&self, period: Period) -> Vec<String> {
        let Some(year) = self.years.get(&period.year()) else { return Vec::new() };
        let end = usize::try_from(period.last_month_of_year()).unwrap_or(12);
        let begin = end.saturating_sub(usize::try_from(period.step.months()).unwrap_or(12));
        let within = year.contradictions.iter().filter(|(at, _)| (begin + 1..=end).contains(at));
        within.map(|(_, what)| format!("{}: {what}.", self.part.name())).collect()
    }
}

impl Said {
    fn figure(&self, value: u64) -> Figure {
        Figure { value: Some(value), more_than: None, basis: self.basis, how: self.how.clone() }
    }
}

impl Year {
    fn empty() -> Year {
        let mut totals = [const { None }; 13];
        totals[0] = Some(Figure::counted(0));
        Year { totals, between: BTreeMap::new(), whole: None, contradictions: Vec::new() }
    }

    fn total(&self, month: usize) -> Option<u64> {
        self.totals.get(month)?.as_ref()?.value
    }

    fn set(&mut self, month: usize, figure: Figure) {
        if let Some(total) = self.totals.get_mut(month) {
            *total = Some(figure);
        }
    }

    fn figure(&self, period: Period) -> Option<Figure> {
        let end = usize::try_from(period.last_month_of_year()).ok()?;
        match period.step {
            Step::Year => self.whole.clone().or_else(|| self.totals.get(12)?.clone()),
            Step::Month => self.between.get(&(end.checked_sub(1)?, end)).cloned(),
            Step::Quarter => self.between.get(&(end.checked_sub(3)?, end)).cloned(),
        }
    }

    /// Fills in what follows, until nothing more does.
    fn solve(&mut self) {
        if self.total(12).is_none() {
            self.totals[12] = self.whole.clone();
        }
        self.note_contradictions();
        let months = (1..=12).map(|end| (end - 1, end));
        let spans: Vec<(usize, usize)> = months.chain([3, 6, 9, 12].map(|end| (end - 3, end))).collect();
        // Each round fills in at least one of 13 totals and 16 differences, or is the last.
        loop {
            let quarters = self.add_up_quarters();
            // Months first: a quarter's sum may rest on figures that contradict a total.
            let filled = spans.iter().any(|span| self.fill(*span));
            if !quarters && !filled {
                return;
            }
        }
    }

    /// Sums the months of quarters that have no figure of their own. Whether there was one.
    fn add_up_quarters(&mut self) -> bool {
        let mut added = false;
        for end in [3, 6, 9, 12] {
            if self.between.contains_key(&(end - 3, end)) {
                continue;
            }
            let months = [end - 2, end - 1, end].map(|month| self.between.get(&(month - 1, month))?.value);
            if let [Some(a), Some(b), Some(c)] = months {
                self.between.insert(
                    (end - 3, end),
                    Figure::computed(a.saturating_add(b).saturating_add(c), format!("{a} + {b} + {c}")),
                );
                added = true;
            }
        }
        added
    }

    /// Of the totals before and after a span and the difference between them, two give the third. Whether they did.
    fn fill(&mut self, (begin, end): (usize, usize)) -> bool {
        let difference = self.between.get(&(begin, end)).and_then(|figure| figure.value);
        let to = |month: usize, total: u64| match month {
            0 => "nothing before January".to_owned(),
            _ => format!("{total} to {}", name(month)),
        };
        match (self.total(begin), difference, self.total(end)) {
            (Some(before), Some(new), None) => {
                let how = if begin == 0 {
                    format!("the first {new} of the year")
                } else {
                    format!("{} + {new}", to(begin, before))
                };
                self.set(end, Figure::computed(before.saturating_add(new), how));
                true
            }
            (None, Some(new), Some(after)) if after >= new => {
                self.set(begin, Figure::computed(after - new, format!("{} - {new}", to(end, after))));
                true
            }
            (Some(before), None, Some(after)) if after >= before => {
                let how =
                    if begin == 0 { to(end, after) } else { format!("{} - {}", to(end, after), to(begin, before)) };
                self.between.insert((begin, end), Figure::computed(after - before, how));
                true
            }
            _ => false,
        }
    }

    /// Running totals that were said and do not grow by what was said to be new.
    fn note_contradictions(&mut self) {
        let mut found = Vec::new();
        for (&(begin, end), new) in &self.between {
            let (Some(before), Some(new), Some(after)) = (self.total(begin), new.value, self.total(end)) else {
                continue;
            };
            let sum = before.saturating_add(new);
            if sum != after {
                let total = if end == 12 { "for the year".to_owned() } else { format!("to {}", name(end)) };
                found.push((
                    end,
                    format!(
                        "{before} to {} and {new} in {} make {sum}, but {after} was said {total}: they differ by {}",
                        name(begin),
                        name(end),
                        sum.abs_diff(after)
                    ),
                ));
            }
        }
        self.contradictions.extend(found);
    }
}

fn name(month: usize) -> &'static str {
    month.checked_sub(1).and_then(|at| MONTHS.get(at)).copied().unwrap_or("the beginning")
}
