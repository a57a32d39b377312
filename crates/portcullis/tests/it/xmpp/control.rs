//! Every plain flow against the bare servers. When a test here fails, the harness or the server is at
//! fault, and not the gateway.

use super::{clients, flows};
use crate::support::{Software, World, prove};

#[test]
fn prosody() {
    prove(World::bare(Software::Prosody), flows::all);
}

#[test]
fn ejabberd() {
    prove(World::bare(Software::Ejabberd), flows::all);
}

#[test]
fn clients_of_others() {
    prove(World::bare(Software::Prosody), |world| {
        clients::go_sendxmpp(world)?;
        clients::profanity(world)
    });
}
