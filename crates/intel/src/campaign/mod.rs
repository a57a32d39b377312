//! Findings that repeat become *campaigns*: messages with the same link, file, text, command or channel, of which
//! enough are suspicious.
//!
//! ```text
//! store::follow -> record -> Grouper::observe -> Changes      pure, bounded, deterministic
//!                            Grouper::take_changed -> Archive  SQLite, with the position reached
//! people        -> Decision -> Archive -> Grouper::decide
//! Campaign      -> drafts -> guard, bystanders -> Threat       what may stop messages elsewhere
//! ```
//!
//! What goes around is not what attacks: a link that many people pass on is never a campaign unless detectors find
//! something in the messages that carry it, and what many ordinary messages have is not taken for a sign of one. A
//! message to a *decoy*, an address that no person uses, is a campaign at once.

pub mod archive;
mod decision;
pub mod draft;
mod evidence;
mod group;
mod key;
mod past;
pub mod promote;
mod sighting;
#[cfg(test)]
mod tests;
mod window;

pub use archive::{Archive, Cursor};
pub use decision::{Choice, Decision};
pub use draft::{Bystanders, Draft, Drafting, Terms};
pub use evidence::{
    Campaign, HOURS, KEYS, More, RECIPIENTS, Recipient, SAMPLES, SENDERS, Sample, Sender, Shared, Status, hour_of,
};
pub use group::{Changes, Grouper, LIVE, Settings};
pub use key::{Key, KeyKind};
pub use past::held_against;
pub use sighting::{DECOY, Sighting, Who};
