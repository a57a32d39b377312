//! XMPP as one piece: stanzas in, what is heard and what enforcement writes out.
#![allow(clippy::unwrap_used)]

mod bounds;
mod properties;
mod session;
mod transcripts;
