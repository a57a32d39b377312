//! The matching index: domains, URLs, hashes, addresses, accounts, words and near texts. No I/O.
//!
//! ```text
//! list::parse(text)  -> entries and the lines that could not be read
//! Builder::add_list  -> checks each entry: nothing that would hit bystanders gets in
//! Builder::build     -> Index, and what was refused and why
//! Index::{host, url, hash, ip, account, text, shape} -> Option<Hit>
//! ```
//!
//! An [`Index`] never changes; whoever holds one swaps it for the next. It is made
//! for millions of entries: 16 bytes a slot, no string kept.
//!
//! Two traps shape it. Lists of hosts contain hosts on which everybody posts under
//! one name (`github.com`, `docs.google.com`): those are matched by URL, never by host.
//! And a URL can be written in many ways: both sides of every comparison go through
//! [`canonical`].
#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod builder;
pub mod canonical;
mod index;
pub mod list;
pub mod near;
pub mod net;
pub mod refang;
mod shared;
mod table;
mod tails;
pub mod text;

pub use builder::{Builder, Refused, Source};
pub use index::{Hit, Index, Matched, Strength, ThreatKind};
pub use shared::is_shared_host;
