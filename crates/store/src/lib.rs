//! The two places where roles meet: the [`Journal`] (what happened: append-only,
//! chained, signed, durable, followed) and the [`Store`] (what is true now:
//! quarantine, uploads, policy versions, settings).
//!
//! | file in the data directory | holds |
//! | --- | --- |
//! | `journal.db` | the records, one flat table, and their signed heads |
//! | `store.db` | what is true now |
//! | `journal.key`, `journal.pub` | the Ed25519 key that signs heads, and what checks them |
//! | `heads.jsonl` | every signed head, one JSON object a line, to be kept elsewhere |
//! | `journal.WRITER.lock` | held while a process writes that chain |
//!
//! Everything is created with mode 0600 in a directory of mode 0700.
//!
//! The chain ([`chain`]), the queue, group commit and tickets are the same for
//! every backend; a backend is a [`Log`] plus its reader. SQLite ([`sqlite`])
//! is the one there is. The suite in `tests/it/contract.rs` says what any
//! backend has to do.
//!
//! What is not here: consumers' positions. A follower keeps the position it has
//! reached in the same transaction as its own index, which is the only way that
//! the two cannot disagree.
#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod chain;
mod error;
mod group;
mod head;
mod journal;
mod key;
mod options;
mod queue;
pub mod sqlite;
mod ticket;

pub use error::{Error, Fault, FaultKind};
pub use group::{Log, Row, State};
pub use head::{Head, Heads};
pub use journal::{Journal, Stats};
pub use key::{PublicKeys, Signer};
pub use options::{Durability, Entry, Options, StoreOptions};
pub use queue::Relief;
pub use sqlite::reader::{Follow, Iter, Reader, Stored, erase_body, follow, reader, tail};
pub use sqlite::store::{
    Change, Changes, Decision, FileVerdict, Held, HeldSummary, PolicyVersion, QuarantineCounts, QuarantineFilter,
    Status, Store,
};
pub use sqlite::verify::{Bad, Progress, Report, VerifyOptions, WriterReport, verify};
pub use ticket::Ticket;
