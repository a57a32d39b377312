//! Every plain flow through the gateway, before each server: people notice nothing.

use super::{clients, flows};
use crate::support::{Software, World, prove};

#[test]
fn prosody() {
    prove(World::guarded(Software::Prosody), flows::all);
}

#[test]
fn ejabberd() {
    prove(World::guarded(Software::Ejabberd), flows::all);
}

#[test]
fn clients_of_others() {
    prove(World::guarded(Software::Prosody), |world| {
        clients::go_sendxmpp(world)?;
        clients::profanity(world)
    });
}
