//! Signed updates: how threats, indicators, signatures and rules get from who publishes them to gateways and
//! sensors, over any web server or file share, in the manner of The Update Framework (TUF 1.0).
//!
//! ```text
//! Repository::publish(contents)   files/<sha256>, N.release.json, N.snapshot.json, then timestamp.json
//! Trust::update(now) -> Update    says which file it wants and how long it may be; is given it; judges it
//! Subscription::poll(source)      drives an Update, keeps what was good on disk, asks the role to put it in force
//! ```
//!
//! | role | says | key |
//! | --- | --- | --- |
//! | root | which keys count for each role, and how many of them | offline |
//! | release (TUF: targets) | the files of a bundle: name, length, hash | offline |
//! | snapshot | which release is the newest | the release keys |
//! | timestamp | which snapshot is the newest, every few days anew | online |
//!
//! The snapshot is signed by the release keys, so that who steals the online key can hold updates back for as
//! long as the release does not expire, and nothing else.
//!
//! **Time.** Clocks may differ by [`SKEW`]. What was found expired stays so until a newer timestamp is signed,
//! however the clock is set; and no time before the newest signed one seen is believed.

mod bundle;
pub mod canonical;
mod contents;
mod disk;
mod key;
mod metadata;
mod quorum;
mod refused;
mod repository;
mod rotation;
mod source;
mod subscription;
mod trust;

#[cfg(test)]
mod tests;

use jiff::SignedDuration;

pub use bundle::{Bundle, BundleError, Part};
pub use contents::{Contents, ContentsError};
pub use key::{KeyError, KeyId, PublicKey, SecretKey};
pub use metadata::{Draft, FileMeta, Header, Quorum, Release, Role, Root, Snapshot, Timestamped, Versioned};
pub use refused::{Attack, Refused};
pub use repository::{Expiry, Keys, Published, Repository, RepositoryError, Standing};
pub use rotation::{Rotation, Staged};
pub use source::{Folder, Got, Source, SourceError};
pub use subscription::{Candidate, Current, Outcome, State, Subscription, SubscriptionError, Trouble, folder};
pub use trust::{Answer, Chain, Memory, Request, Step, Trust, Update};

/// How far clocks may differ.
pub const SKEW: SignedDuration = SignedDuration::from_mins(10);
/// Bytes of a root file.
pub const ROOT_BYTES: u64 = 256 << 10;
/// Bytes of a timestamp file, which is the only one whose length nobody signed.
pub const TIMESTAMP_BYTES: u64 = 16 << 10;
/// Bytes of a snapshot file.
pub const SNAPSHOT_BYTES: u64 = 64 << 10;
/// Bytes of a release file.
pub const RELEASE_BYTES: u64 = 2 << 20;
/// Bytes of one file of a bundle.
pub const FILE_BYTES: u64 = 128 << 20;
/// Bytes of all files of a bundle.
pub const BUNDLE_BYTES: u64 = 512 << 20;
/// Files of a bundle.
pub const BUNDLE_FILES: usize = 8_192;
