//! The threat centre: what attacks are known, how many there are, and what arms gateways and sensors.
//!
//! A [`Threat`] is a catalogued attack, an [`Indicator`] a fact to match that belongs to one.
#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod arming;
pub mod campaign;
pub mod catalogue;
pub mod feeds;
pub mod fetch;
pub mod guard;
pub mod http;
mod indicator;
mod json;
pub mod misp;
pub mod network;
mod pattern;
mod problem;
pub mod statistics;
pub mod stix;
pub mod taxii;
pub mod technique;
mod threat;
pub mod update;

pub use catalogue::Catalogue;
pub use indicator::{Indicator, Pattern, Provenance, Strength};
pub use problem::Problem;
pub use threat::{Kind, Precision, Reference, Threat, Tlp, When};
