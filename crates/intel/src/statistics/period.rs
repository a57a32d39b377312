//! Months, quarters and years, and ranges of them.

use std::fmt;

use jiff::civil::Date;

/// Most periods of a report.
pub const MOST_PERIODS: usize = 1_200;

/// How long a period is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// A month.
    #[default]
    Month,
    /// A quarter of a year.
    Quarter,
    /// A year.
    Year,
}

impl Step {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Step::Month => "month",
            Step::Quarter => "quarter",
            Step::Year => "year",
        }
    }

    /// How many months.
    pub fn months(self) -> i32 {
        match self {
            Step::Month => 1,
            Step::Quarter => 3,
            Step::Year => 12,
        }
    }
}

/// A month, quarter or year of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    /// How long it is.
    pub step: Step,
    /// Periods of that length since the year 0.
    index: i32,
}

impl Period {
    /// The period that a day is in.
    pub fn of(date: Date, step: Step) -> Period {
        let months = i32::from(date.year()) * 12 + i32::from(date.month()) - 1;
        Period { step, index: months.div_euclid(step.months()) }
    }

    /// A month of a year.
    pub fn month(year: i32, month: i32) -> Period {
        Period { step: Step::Month, index: year * 12 + month - 1 }
    }

    /// Reads `2008`, `2008-Q2` or `2008-04`.
    pub fn parse(text: &str) -> Option<Period> {
        let number = |part: &str, digits: usize| {
            (part.len() == digits && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse::<i32>().ok())?
        };
        let Some((year, part)) = text.split_once('-') else {
            return number(text, 4).map(|year| Period { step: Step::Year, index: year });
        };
        let year = number(year, 4)?;
        if let Some(quarter) = part.strip_prefix(['Q', 'q']) {
            let quarter = number(quarter, 1).filter(|quarter| (1..=4).contains(quarter))?;
            return Some(Period { step: Step::Quarter, index: year * 4 + quarter - 1 });
        }
        let month = number(part, 2).filter(|month| (1..=12).contains(month))?;
        Some(Period::month(year, month))
    }

    /// The year that it is in.
    pub fn year(self) -> i32 {
        self.first_month().div_euclid(12)
    }

    /// Its first month, counted from the year 0.
    fn first_month(self) -> i32 {
        self.index * self.step.months()
    }

    /// The month after its last.
    fn end_month(self) -> i32 {
        self.first_month() + self.step.months()
    }

    /// The number of its last month in its year, from 1.
    pub fn last_month_of_year(self) -> i32 {
        (self.first_month() + self.step.months() - 1).rem_euclid(12) + 1
    }

    /// Its months.
    pub fn months(self) -> impl Iterator<Item = Period> {
        let first = self.first_month();
        (first..first + self.step.months()).map(|index| Period { step: Step::Month, index })
    }

    /// The one before.
    #[must_use]
    pub fn previous(self) -> Period {
        Period { index: self.index - 1, ..self }
    }

    /// The first of the twelve that end with it.
    #[must_use]
    pub fn eleven_before(self) -> Period {
        Period { index: self.index - 11, ..self }
    }

    /// The same period a year before.
    #[must_use]
    pub fn year_before(self) -> Period {
        Period { index: self.index - 12 / self.step.months(), ..self }
    }

    /// Its first day, where the calendar has one.
    pub fn first_day(self) -> Option<Date> {
        let month = self.first_month().rem_euclid(12) + 1;
        Date::new(i16::try_from(self.year()).ok()?, i8::try_from(month).ok()?, 1).ok()
    }

    /// From January of its year to its end, by months.
    pub fn since_january(self) -> Span {
        let year = self.year();
        Span { first: Period::month(year, 1), last: Period::month(year, self.last_month_of_year()) }
    }

    /// The periods of its length from the beginning of its year up to itself.
    pub fn since_january_by_step(self) -> impl Iterator<Item = Period> {
        let first = self.year() * 12 / self.step.months();
        (first..=self.index).map(move |index| Period { index, ..self })
    }

    /// The year it is in, as a period.
    #[must_use]
    pub fn whole_year(self) -> Period {
        Period { step: Step::Year, index: self.year() }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let year = self.year();
        match self.step {
            Step::Month => write!(f, "{year:04}-{:02}", self.index.rem_euclid(12) + 1),
            Step::Quarter => write!(f, "{year:04}-Q{}", self.index.rem_euclid(4) + 1),
            Step::Year => write!(f, "{year:04}"),
        }
    }
}

/// Consecutive periods of one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub first: Period,
    /// The last.
    pub last: Period,
}

impl Span {
    /// From the period that `from` begins in to the one that `to` ends in; in words why that is none.
    pub fn new(from: Period, to: Period, step: Step) -> Result<Span, String> {
        let first = Period { step, index: from.first_month().div_euclid(step.months()) };
        let last_month = to.first_month() + to.step.months() - 1;
        let last = Period { step, index: last_month.div_euclid(step.months()) };
        if last < first {
            return Err(format!("{from} is after {to}"));
        }
        let span = Span { first, last };
        if span.len() > MOST_PERIODS {
            return Err(format!("{from} to {to} is more than {MOST_PERIODS} {}s", step.as_str()));
        }
        Ok(span)
    }

    /// The periods, first to last.
    pub fn periods(self) -> impl Iterator<Item = Period> {
        let step = self.first.step;
        (self.first.index..=self.last.index).map(move |index| Period { step, index })
    }

    /// How many.
    pub fn len(self) -> usize {
        usize::try_from(self.last.index - self.first.index + 1).unwrap_or(0)
    }

    /// None at all.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether all of a period lies in it.
    pub fn contains(self, period: Period) -> bool {
        self.first.first_month() <= period.first_month() && period.end_month() <= self.last.end_month()
    }

    /// Whether any of a period lies in it.
    pub fn touches(self, period: Period) -> bool {
        period.first_month() < self.last.end_month() && period.end_month() > self.first.first_month()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            return self.first.fmt(f);
        }
        write!(f, "{} to {}", self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_read_and_written_alike() {
        for text in ["2008", "2008-Q2", "2008-04", "1999-12"] {
            assert_eq!(Period::parse(text).unwrap().to_string(), text);
        }
        for wrong in ["", "08", "2008-4", "2008-13", "2008-00", "2008-Q5", "2008-Q0", "2008-04-01", "+008", "2008-"] {
            assert_eq!(Period::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn neighbours_are_one_step_and_one_year_away() {
        for (text, previous, year_before, last_month) in [
            ("2008-01", "2007-12", "2007-01", 1),
            ("2008-Q1", "2007-Q4", "2007-Q1", 3),
            ("2008-Q4", "2008-Q3", "2007-Q4", 12),
            ("2008", "2007", "2007", 12),
        ] {
            let period = Period::parse(text).unwrap();
            assert_eq!(period.previous().to_string(), previous);
            assert_eq!(period.year_before().to_string(), year_before);
            assert_eq!(period.last_month_of_year(), last_month);
        }
    }

    #[test]
    fn spans_take_whole_periods() {
        let span = |from, to, step| Span::new(Period::parse(from).unwrap(), Period::parse(to).unwrap(), step);
        let shown = |from, to, step| span(from, to, step).map(|span| span.to_string());
        assert_eq!(shown("2008-01", "2008-05", Step::Month).unwrap(), "2008-01 to 2008-05");
        assert_eq!(shown("2008-02", "2008-05", Step::Quarter).unwrap(), "2008-Q1 to 2008-Q2");
        assert_eq!(shown("2007-06", "2008-05", Step::Year).unwrap(), "2007 to 2008");
        assert_eq!(shown("2007", "2008", Step::Month).unwrap(), "2007-01 to 2008-12");
        assert_eq!(shown("2008-06", "2008-05", Step::Month).unwrap_err(), "2008-06 is after 2008-05");
        assert!(shown("0001", "9999", Step::Month).unwrap_err().contains("more than 1200"));
        let quarter = span("2008", "2008", Step::Quarter).unwrap();
        assert_eq!(quarter.len(), 4);
        assert!(quarter.touches(Period::parse("2008-12").unwrap()));
        assert!(!quarter.touches(Period::parse("2009").unwrap()));
    }
}
