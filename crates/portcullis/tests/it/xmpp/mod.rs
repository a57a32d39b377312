//! XMPP end to end.

mod clients;
mod control;
mod enforce;
mod faults;
mod flows;
mod hostile;
mod streams;
mod through;
