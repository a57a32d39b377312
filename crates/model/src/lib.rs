//! The nouns of Portcullis, one type each, shared by every role. No I/O, no clock, no randomness.
#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod body;
mod digest;
mod file;
mod finding;
mod flow;
mod limit;
mod message;
mod party;
mod record;
pub mod suggest;
mod verdict;

pub use body::{Body, Sealed, Sealing};
pub use digest::Digest;
pub use file::{Content, File};
pub use finding::{Evidence, Finding, Symbol, SymbolInfo};
pub use flow::{Category, Confidence, Platform};
pub use limit::{Limit, LimitHit};
pub use message::{Direction, Kind, Message, Part, Place, Protocol};
pub use party::{Address, Party, PartyKind, Side};
pub use record::{Commitment, MessageRecord, Record, RecordKind, Then, ThenRef};
pub use verdict::{Effect, OnFault, Verdict};
