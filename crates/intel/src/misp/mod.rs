//! MISP's events, both ways, and feeds made of them.
//!
//! ```text
//! import(bytes)  -> Import: threats, indicators, what can't be matched, what was refused, and the events as they came
//! export(native) -> Exported: events that may go out under a TLP ceiling, and what was withheld
//! Feed           -> a feed directory (manifest.json and a file an event), fetched event by event
//! ```
//!
//! As with STIX, nothing is lost: events of others are kept as they came and go out again so. MISP's warning lists
//! are read by [`crate::guard`].

mod attribute;
mod event;
mod export;
mod feed;
mod import;
mod tags;
#[cfg(test)]
mod tests;

pub use event::{Event, Events, Read, read};
pub use export::{Export, Exported, export};
pub use feed::{Entry, Feed, FeedError, Fetched, Manifest};
pub use import::{Import, Unmatched, import, interpret};

/// What is taken of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole.
    pub bytes: usize,
    /// Events.
    pub events: usize,
    /// Bytes of one event.
    pub event_bytes: usize,
    /// Depth of one event.
    pub depth: usize,
    /// Values in one event.
    pub values: usize,
    /// Bytes of one string.
    pub string: usize,
    /// Errors that are given back; further ones are counted.
    pub errors: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            bytes: 256 << 20,
            events: 100_000,
            event_bytes: 64 << 20,
            depth: 32,
            values: 4_000_000,
            string: 8 << 20,
            errors: 1_000,
        }
    }
}

/// An event, or an attribute of one, that was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{object}: {}{why}", if property.is_empty() { String::new() } else { format!("{property}: ") })]
pub struct EntryError {
    /// UUID of the event or attribute, or its place.
    pub object: String,
    /// The field; empty when it is about the whole.
    pub property: String,
    /// The reason.
    pub why: String,
}

/// A document that could not be read at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Too large.
    #[error("{bytes} bytes, more than the {most} that are taken: split it")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        most: usize,
    },
    /// Not UTF-8.
    #[error("not UTF-8 at byte {at}")]
    Encoding {
        /// The first wrong byte.
        at: usize,
    },
    /// Not JSON, or not MISP's.
    #[error("not MISP JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON, but no events.
    #[error("no MISP event in it: `Event`, `response` or a list of events is wanted")]
    NoEvent,
}
