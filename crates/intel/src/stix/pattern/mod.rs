//! The STIX pattern language (STIX 2.1 section 9): read within bounds, and turned into what the index can match.
//!
//! ```text
//! parse(text)       -> Observation, the whole expression
//! matchable(&expr)  -> patterns of the native model, and why the rest of it can't be one
//! text(&Pattern)    -> a native pattern in this language
//! ```

mod lexer;
mod matchable;
mod parser;
mod write;

use jiff::Timestamp;

pub use matchable::{Matchable, matchable, parse_matchable};
pub use parser::parse;
pub use write::text;

/// Brackets within each other.
pub const DEPTH: usize = 64;
/// Comparisons in one pattern, members of sets included.
pub const COMPARISONS: usize = 20_000;

/// What is seen: comparisons about one observation, and how observations go together.
#[derive(Clone, Debug, PartialEq)]
pub enum Observation {
    /// Something observed at one time: `[...]`.
    One(Comparison),
    /// All of them.
    And(Vec<Observation>),
    /// Any of them.
    Or(Vec<Observation>),
    /// One after the other.
    FollowedBy(Vec<Observation>),
    /// With a condition.
    Qualified(Box<Observation>, Qualifier),
}

/// When and how often.
#[derive(Clone, Debug, PartialEq)]
pub enum Qualifier {
    /// All within so many seconds.
    Within(f64),
    /// So many times.
    Repeats(u64),
    /// In this time.
    StartStop(Timestamp, Timestamp),
}

/// What is true of one observation.
#[derive(Clone, Debug, PartialEq)]
pub enum Comparison {
    /// All of them.
    And(Vec<Comparison>),
    /// Any of them.
    Or(Vec<Comparison>),
    /// There is such a property.
    Exists(Path),
    /// A property is compared.
    Test(Test),
}

/// One comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// What is compared.
    pub path: Path,
    /// It must not hold.
    pub negated: bool,
    /// How.
    pub operator: Operator,
    /// With what; one value but for `IN`.
    pub values: Vec<Literal>,
}

/// `file:hashes.'SHA-256'`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// Type of the object.
    pub object: Box<str>,
    /// Where in it.
    pub steps: Vec<PathStep>,
}

/// A step into an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathStep {
    /// A property.
    Property(Box<str>),
    /// A place in a list.
    Index(u64),
    /// Any place in a list.
    Any,
}

/// How values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `IN`
    In,
    /// `LIKE`
    Like,
    /// `MATCHES`
    Matches,
    /// `ISSUBSET`
    Subset,
    /// `ISSUPERSET`
    Superset,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// `'text'`
    Text(Box<str>),
    /// `1`
    Integer(i64),
    /// `1.0`
    Float(f64),
    /// `true`
    Bool(bool),
    /// `t'2016-01-01T00:00:00Z'`
    Time(Timestamp),
    /// `h'ff'`
    Hex(Vec<u8>),
    /// `b'/w=='`
    Binary(Vec<u8>),
}

/// Why a pattern could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at character {at}: {why}")]
pub struct PatternError {
    /// Where, in bytes from the start.
    pub at: usize,
    /// The reason.
    pub why: String,
}
