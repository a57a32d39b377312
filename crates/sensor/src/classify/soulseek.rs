//! Soulseek: logins to its server, and peers that introduce themselves.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::{byte, le32};
use crate::view::{FlowView, Way};

const ID: &str = "soulseek";

/// Its server and its peers.
pub(crate) const TCP: Classifier = Classifier {
    name: "soulseek",
    applications: &[ID],
    looks_for: "a login with name, password, version and digest, or a peer's introduction, each of exactly its length",
    over: Over::Tcp,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

fn classify(view: &FlowView) -> Opinion {
    let bytes = view.first(Way::ToServer);
    let Some(length) = le32(bytes, 0) else {
        return if bytes.is_empty() && view.count(Way::ToClient) > 0 { Opinion::No } else { Opinion::NeedMore };
    };
    if !(5..=512).contains(&length) {
        return Opinion::No;
    }
    let Some(message) = bytes.get(4..4 + length as usize) else {
        return if view.heard < 4 { Opinion::NeedMore } else { Opinion::No };
    };
    if is_login(message) {
        return Opinion::payload(ID, "Soulseek login");
    }
    if is_introduction(message) {
        return Opinion::payload(ID, "Soulseek peer");
    }
    Opinion::No
}

/// A string and what follows it: its length in four bytes, then as many.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    bytes.get(4..)?.split_at_checked(le32(bytes, 0)? as usize)
}

/// Message 1 to the server: name, password, version, MD5 of both in hexadecimal, minor version.
fn is_login(message: &[u8]) -> bool {
    let parts = || {
        let (name, rest) = string(message.strip_prefix(&[1, 0, 0, 0])?)?;
        let (_password, rest) = string(rest)?;
        let version = le32(rest, 0)?;
        let (digest, rest) = string(rest.get(4..)?)?;
        Some((name, version, digest, rest))
    };
    parts().is_some_and(|(name, version, digest, rest)| {
        (1..=30).contains(&name.len())
            && (100..=1000).contains(&version)
            && digest.len() == 32
            && digest.iter().all(u8::is_ascii_hexdigit)
            && rest.len() == 4
    })
}

/// Message 1 between peers: name, kind of connection (peer, file, distributed), and a token.
fn is_introduction(message: &[u8]) -> bool {
    let parts = || {
        let (name, rest) = string(message.strip_prefix(&[1])?)?;
        let (kind, rest) = string(rest)?;
        Some((name, kind, rest))
    };
    parts().is_some_and(|(name, kind, rest)| {
        (1..=30).contains(&name.len())
            && name.iter().all(|byte| !byte.is_ascii_control())
            && matches!(kind, b"P" | b"F" | b"D")
            && matches!(rest.len(), 4 | 8)
            && byte(rest, 3).is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Talk;
    use super::*;

    fn string(text: &[u8]) -> Vec<u8> {
        [&(text.len() as u32).to_le_bytes()[..], text].concat()
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        string(message)
    }

    #[test]
    fn logins() {
        let login = |digest: &[u8]| {
            let parts = [
                &[1, 0, 0, 0][..],
                &string(b"name"),
                &string(b"secret"),
                &160u32.to_le_bytes(),
                &string(digest),
                &[1, 0, 0, 0],
            ];
            framed(&parts.concat())
        };
        let right = login(b"0123456789abcdef0123456789abcdef");
        assert_eq!(Talk::tcp().client(&right).named(&TCP), Some(ID));
        assert_eq!(Talk::tcp().client(&right[..40]).ask(&TCP), Opinion::NeedMore);
        assert_eq!(Talk::tcp().client(login(b"0123456789abcdef0123456789abcdeg")).ask(&TCP), Opinion::No);
        assert_eq!(Talk::tcp().client(login(b"0123")).ask(&TCP), Opinion::No);
    }

    #[test]
    fn introductions() {
        let hello = |kind: &[u8]| framed(&[&[1][..], &string(b"name"), &string(kind), &[9, 0, 0, 0]].concat());
        assert_eq!(Talk::tcp().client(hello(b"P")).named(&TCP), Some(ID));
        assert_eq!(Talk::tcp().client(hello(b"X")).ask(&TCP), Opinion::No);
        assert_eq!(Talk::tcp().client([5, 0, 0, 0, 0, 1, 2, 3, 4]).ask(&TCP), Opinion::No);
    }
}
