//! Gadu-Gadu: the server's welcome and the client's login.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::{contains, le32};
use crate::view::{FlowView, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "gadu-gadu",
    applications: &["gadu-gadu"],
    looks_for: "the welcome and the login of Gadu-Gadu",
    over: Over::Tcp,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

/// Kinds of logins, from the oldest client to the newest.
const LOGINS: [u32; 9] = [0x0c, 0x13, 0x15, 0x19, 0x29, 0x31, 0x60, 0x7b, 0x83];

fn classify(view: &FlowView) -> Opinion {
    let (client, server) = (view.first(Way::ToServer), view.first(Way::ToClient));
    if view.midstream && is_welcome(client) {
        // The server speaks first: without its SYN it looks like the client.
        return talk(client, server, view.last);
    }
    if server.is_empty() && is_login(client).is_some() && contains(client, b"Gadu-Gadu Client build ", 256) {
        return Opinion::payload("gadu-gadu", "Gadu-Gadu login that names its client");
    }
    match server.len() {
        0..4 if view.last || view.midstream || !client.is_empty() => Opinion::No,
        0..4 => Opinion::NeedMore,
        _ => talk(server, client, view.last),
    }
}

/// The welcome: packet 1 of 4 bytes, a seed. The server speaks first.
fn is_welcome(server: &[u8]) -> bool {
    (le32(server, 0), le32(server, 4)) == (Some(1), Some(4))
}

/// How long a login says that it is, without its header.
fn is_login(client: &[u8]) -> Option<usize> {
    let (kind, length) = (le32(client, 0)?, le32(client, 4)?);
    (LOGINS.contains(&kind) && (12..1024).contains(&length)).then_some(length as usize)
}

fn talk(server: &[u8], client: &[u8], last: bool) -> Opinion {
    if !is_welcome(server) {
        return if server.len() < 8 && server.starts_with(&[1, 0, 0, 0]) && !last {
            Opinion::NeedMore
        } else {
            Opinion::No
        };
    }
    match is_login(client) {
        Some(length) if client.len() <= 8 + length + 64 => Opinion::payload("gadu-gadu", "Gadu-Gadu welcome and login"),
        None if client.len() < 8 && !last => Opinion::NeedMore,
        _ => Opinion::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::{Talk, hex};

    #[test]
    fn a_welcome_needs_its_login() {
        let talk = Talk::tcp().server(hex("01000000 04000000 12345678"));
        assert_eq!(talk.ask(&CLASSIFIER), Opinion::NeedMore);
        let mut login = hex("31000000 10000000");
        login.extend([1; 16]);
        assert_eq!(talk.client(&login).named(&CLASSIFIER), Some("gadu-gadu"));
        let turned = Talk::tcp().midstream().client(hex("01000000 04000000 12345678")).server(&login);
        assert_eq!(turned.named(&CLASSIFIER), Some("gadu-gadu"));
        let mut alone = hex("31000000 40000000");
        alone.extend([1; 40]);
        alone.extend(b"Gadu-Gadu Client build 10");
        assert_eq!(Talk::tcp().client(alone).named(&CLASSIFIER), Some("gadu-gadu"));
        let other = Talk::tcp().server(hex("01000000 04000000 12345678")).client(hex("02000000 04000000 00000000"));
        assert_eq!(other.last().named(&CLASSIFIER), None);
    }
}
