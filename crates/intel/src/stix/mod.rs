//! STIX 2.1, both ways.
//!
//! ```text
//! import(bytes)   -> Import: threats, indicators, what can't be matched, what was refused, and the objects as they came
//! export(native)  -> Exported: objects that may go out under a TLP ceiling, and what was withheld
//! ```
//!
//! Nothing is lost: every object is kept as it came ([`Objects`]) and goes out again so. Objects of others are never
//! rewritten, as only their creator may make versions of them (STIX 2.1 section 3.6.2); what the native model says
//! that STIX has no place for is in a property extension.

mod attack;
mod bundle;
mod check;
mod export;
mod extension;
mod id;
mod import;
mod objects;
pub mod pattern;
#[cfg(test)]
mod tests;
mod threat;
mod tlp;

use jiff::Timestamp;

pub(crate) use attack::is_technique;
pub use bundle::{Read, read};
pub(crate) use check::short;
pub use export::{Export, Exported, Withheld, export};
pub use id::Id;
pub(crate) use import::yara_name;
pub use import::{Context, Import, Unmatched, import, interpret};
pub use objects::{Inserted, Object, Objects};
pub(crate) use tlp::level_named as tlp_named;

/// How sure something is whose source does not say.
pub const UNSTATED: u8 = 50;

/// What is taken of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole.
    pub bytes: usize,
    /// Objects.
    pub objects: usize,
    /// Bytes of one object.
    pub object_bytes: usize,
    /// Depth of one object.
    pub depth: usize,
    /// Values in one object.
    pub values: usize,
    /// Bytes of one string.
    pub string: usize,
    /// Errors that are given back; further ones are counted.
    pub errors: usize,
    /// Objects that say they were made later are refused: such a version could never be followed by another.
    pub latest: Option<Timestamp>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            bytes: 256 << 20,
            objects: 1_000_000,
            object_bytes: 16 << 20,
            depth: 64,
            values: 200_000,
            string: 8 << 20,
            errors: 1_000,
            latest: None,
        }
    }
}

/// An object that was refused, or a property of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{object}: {}{why}", if property.is_empty() { String::new() } else { format!("{property}: ") })]
pub struct ObjectError {
    /// Its id, or its place.
    pub object: String,
    /// The property; empty when it is about the whole object.
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
    /// Not JSON, or not a bundle.
    #[error("not a STIX bundle: {0}")]
    Json(#[from] serde_json::Error),
}
