//! Real chat servers and clients on loopback: Prosody, ejabberd and clamd with generated configurations
//! on free ports, the portcullis binary before them, slixmpp and a raw client to speak through it.
//!
//! For the integration tests and `cargo xtask up`; no role of the product may depend on it. Everything
//! started here is in its own process group and ends with the value that stands for it, also when the
//! process that started it is killed.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod clamd;
pub mod ejabberd;
pub mod gateway;
pub mod http;
pub mod ports;
pub mod process;
pub mod prosody;
pub mod raw;
pub mod secret;
pub mod slix;
pub mod terminal;
pub mod tls;
pub mod tools;

/// The domain every server here serves: clients resolve it without DNS.
pub const DOMAIN: &str = "localhost";
/// The room service of that domain.
pub const ROOMS: &str = "rooms.localhost";
/// The upload service of that domain.
pub const UPLOADS: &str = "upload.localhost";

/// An account to create.
#[derive(Clone, Debug)]
pub struct Account {
    /// The part before the `@`.
    pub user: String,
    /// In clear: it is a test account.
    pub password: String,
}

impl Account {
    /// An account of [`DOMAIN`].
    pub fn new(user: &str, password: &str) -> Account {
        Account { user: user.to_owned(), password: password.to_owned() }
    }

    /// Its bare JID.
    pub fn jid(&self) -> String {
        format!("{}@{DOMAIN}", self.user)
    }
}
