//! How many attacks there are: by month, quarter and year, from vendors' counts, the catalogue and this site's journal.
//!
//! A [`Report`] is made by [`from_counts`], [`from_catalogue`] or [`from_journal`] and shown by [`render`]. What is not
//! known stays unknown in all of them: it is never 0.

pub mod breakdown;
mod by_catalogue;
mod by_counts;
mod by_journal;
pub mod counts;
pub mod figure;
pub mod period;
pub mod render;
pub mod report;
pub mod series;

#[cfg(test)]
mod journal_tests;
#[cfg(test)]
mod tests;

pub use breakdown::{Breakdown, Dimension, Item};
pub use by_catalogue::from_catalogue;
pub use by_counts::from_counts;
pub use by_journal::from_journal;
pub use counts::Vendor;
pub use figure::{Basis, Figure, Side};
pub use period::{Period, Span, Step};
pub use report::{Attacks, Report, Row, Source, YearToDate};
