//! Gadu-Gadu: the server's welcome and the client's login.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::le32;
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
    // The welcome: packet 1 of 4 bytes, a seed. The server speaks first.
    match (le32(server, 0), le32(server, 4)) {
        (Some(1), Some(4)) => {}
        (Some(_), _) => return Opinion::No,
        (None, _) if view.last || view.midstream || !client.is_empty() => return Opinion::No,
        (None, _) => return Opinion::NeedMore,
    }
    match (le32(client, 0), le32(client, 4)) {
        (Some(kind), Some(length)) if LOGINS.contains(&kind) && (12..1024).contains(&length) => {
            match client.len() <= 8 + length as usize + 64 {
                true => Opinion::payload("gadu-gadu", "Gadu-Gadu welcome and login"),
                false => Opinion::No,
            }
        }
        (Some(_), Some(_)) => Opinion::No,
        _ if view.last => Opinion::No,
        _ => Opinion::NeedMore,
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
        assert_eq!(talk.client(login).named(&CLASSIFIER), Some("gadu-gadu"));
        let other = Talk::tcp().server(hex("01000000 04000000 12345678")).client(hex("02000000 04000000 00000000"));
        assert_eq!(other.last().named(&CLASSIFIER), None);
    }
}
