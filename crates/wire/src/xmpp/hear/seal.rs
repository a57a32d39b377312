//! End-to-end encryption: what cannot be read is at least said to be there.
//!
//! The cleartext beside an encrypted payload (the usual "this message is encrypted") is heard as text all the same,
//! since a reader without the extension shows it.

use memchr::{memchr, memchr_iter, memmem};
use model::{Body, Part, Place, Sealed, Sealing};

use super::heard::{Heard, Origin};
use crate::xmpp::ns;
use crate::xmpp::tree::{Element, Node};

/// Off-the-Record's offer hidden in white space (OTR protocol version 3, "Tagged plaintext messages").
const OTR_TAG: &[u8] = b"\x20\x09\x20\x20\x09\x09\x09\x09\x20\x09\x20\x09\x20\x09\x20\x20";

impl<'a> Heard<'a> {
    /// An element whose content is ciphertext, with keys and headers beside it.
    pub(super) fn sealed(&mut self, element: Element<'a>, scheme: Sealing) {
        let bytes = text_len(element);
        self.whole(Place::Body, element, Body::Sealed(Sealed { scheme, bytes }));
        self.sweep_opaque(element);
    }

    /// OMEMO (XEP-0384): messages are sealed, device lists and key bundles say nothing.
    pub(super) fn omemo(&mut self, element: Element<'a>) {
        if element.name() == "encrypted" {
            self.sealed(element, Sealing::Omemo);
        } else {
            self.sweep_opaque(element);
        }
    }

    /// OpenPGP for XMPP (XEP-0373): the same.
    pub(super) fn ox(&mut self, element: Element<'a>) {
        if element.name() == "openpgp" {
            self.sealed(element, Sealing::Openpgp);
        } else {
            self.sweep_opaque(element);
        }
    }

    /// An announcement of encryption (XEP-0380): counts where the payload itself is not recognised.
    pub(super) fn announced(&mut self, element: Element<'a>) {
        let scheme = match element.attr("namespace").unwrap_or_default() {
            ns::OMEMO_LEGACY | ns::OMEMO0 | ns::OMEMO1 | ns::OMEMO2 => Sealing::Omemo,
            ns::OX | ns::PGP_ENCRYPTED => Sealing::Openpgp,
            "urn:xmpp:otr:0" => Sealing::Otr,
            _ => Sealing::Other,
        };
        if !self.quoting {
            self.announced = self.announced.or(Some(scheme));
        }
        self.linked_attrs(element);
        self.loose_text(element, Place::Unknown);
    }

    /// Encryption that travels in plain text: OTR messages, offers and tags; `aesgcm:` links (XEP-0454). An offer
    /// is sealed with nothing in it.
    pub(super) fn hear_seal_in_text(&mut self, text: &str, origin: Origin) {
        let (scheme, bytes) = if let Some(bytes) = otr(text) {
            (Sealing::Otr, bytes)
        } else if has_aesgcm(text) {
            (Sealing::Aesgcm, text.len())
        } else {
            return;
        };
        self.push(Part { place: Place::Body, lang: None, body: Body::Sealed(Sealed { scheme, bytes }) }, origin);
    }
}

/// Size of the ciphertext when text is an OTR message, zero when it is an offer. Readers that know OTR look for the
/// marker anywhere in the text; people who merely write about it do not follow it with these characters.
fn otr(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if memchr(b'?', bytes).is_some() {
        for at in memmem::find_iter(bytes, b"?OTR") {
            match bytes.get(at + 4) {
                Some(b':' | b',' | b'|') => return Some(bytes.len()),
                Some(b'?' | b'v') => return Some(0),
                _ if text.trim_start().starts_with("?OTR") => return Some(0),
                _ => {}
            }
        }
    }
    (memchr(b'\t', bytes).is_some() && memmem::find(bytes, OTR_TAG).is_some()).then_some(0)
}

/// Whether there is an `aesgcm:` link, in any case.
fn has_aesgcm(text: &str) -> bool {
    const SCHEME: &[u8] = b"aesgcm";
    let bytes = text.as_bytes();
    memchr_iter(b':', bytes).any(|at| {
        at.checked_sub(SCHEME.len())
            .and_then(|from| bytes.get(from..at))
            .is_some_and(|s| s.eq_ignore_ascii_case(SCHEME))
    })
}

/// Bytes of text in an element and below.
fn text_len(element: Element<'_>) -> usize {
    element
        .children()
        .map(|node| match node {
            Node::Text(text) => text.len(),
            Node::Element(child) => text_len(child),
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn otr_is_told_from_talk_about_it() {
        assert_eq!(otr("?OTR:AAMDJ="), Some(11));
        assert_eq!(otr("?OTRv23? I would like to talk in private"), Some(0));
        assert_eq!(otr("hi \t  \t\t\t\t \t \t \t   "), Some(0));
        assert_eq!(otr("what is ?OTR good for"), None);
        assert_eq!(otr("a\ttab"), None);
        assert!(has_aesgcm("see AESGCM://up.example/x#00"));
        assert!(!has_aesgcm("see https://up.example/aesgcm"));
        assert!(!has_aesgcm("gcm:"));
    }
}
