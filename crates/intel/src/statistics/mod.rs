//! How many attacks there are: by month, quarter and year, from vendors' counts, the catalogue and this site's journal.

pub mod period;

pub use period::{Period, Span, Step};
