//! The threat centre end to end: from what real clients send through one gateway to what another, which has never
//! seen it, refuses.

mod campaigns;
mod house;
