//! Files, calls and pictures: offered peer to peer, described with a link, or carried in the stanza itself.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use model::{Body, Content, File, Kind, Place, Sealed, Sealing};

use super::heard::{Heard, How, INLINE_BYTES, flatten, is_blank};
use crate::xmpp::ns;
use crate::xmpp::tree::Element;

impl<'a> Heard<'a> {
    /// A Jingle action (XEP-0166): files described in it are offered (XEP-0234), RTP in an initiation is a call.
    pub(super) fn jingle(&mut self, jingle: Element<'a>) {
        let initiates = matches!(jingle.attr("action"), Some("session-initiate" | "content-add"));
        for child in jingle.elements() {
            match child.name() {
                "content" if child.ns() == ns::JINGLE => self.jingle_content(child, initiates),
                "reason" if child.ns() == ns::JINGLE => {
                    child.elements().filter(|e| e.name() == "text").for_each(|text| self.text(Place::Reason, text));
                }
                _ => self.payload(child),
            }
        }
        self.loose_text(jingle, Place::Unknown);
    }

    fn jingle_content(&mut self, content: Element<'a>, initiates: bool) {
        for child in content.elements() {
            let namespace = child.ns();
            if child.name() == "description" && namespace.starts_with(ns::JINGLE_FILES_ROOT) {
                self.offered_files(child);
            } else if child.name() == "description" && namespace == ns::JINGLE_RTP {
                if initiates {
                    self.act(Kind::Call);
                }
            } else if child.name() == "transport" {
                // Addresses, ports and keys; the files that go over it were described above.
            } else {
                self.payload(child);
            }
        }
        self.loose_text(content, Place::Unknown);
    }

    /// The files of a description: directly inside, or in an `offer` or `request` as older versions have it.
    fn offered_files(&mut self, description: Element<'a>) {
        self.act(Kind::File);
        let mut any = false;
        for child in description.elements() {
            match child.name() {
                "file" => {
                    self.offered_file(child);
                    any = true;
                }
                "offer" | "request" => {
                    for file in child.elements().filter(|e| e.name() == "file") {
                        self.offered_file(file);
                        any = true;
                    }
                    self.loose_text(child, Place::Unknown);
                }
                _ => self.payload(child),
            }
        }
        if !any {
            self.file(description, offered(None, None, None));
        }
        self.loose_text(description, Place::Unknown);
    }

    fn offered_file(&mut self, file: Element<'a>) {
        let text = |name: &str| file.elements().find(|e| e.name() == name).map(|e| e.text());
        let name = text("name").map(Into::into).or_else(|| file.attr("name").map(Into::into));
        let size = text("size").as_deref().or(file.attr("size")).and_then(|s| s.trim().parse().ok());
        self.file(file, offered(name, text("media-type").map(Into::into), size));
        self.described_file(file);
    }

    /// What is said of a file (XEP-0234, XEP-0446): name and description are read by people.
    pub(super) fn described_file(&mut self, file: Element<'a>) {
        self.attr(Place::FileName, file, "name");
        for child in file.elements() {
            match child.name() {
                "name" => self.text(Place::FileName, child),
                "desc" => self.text(Place::Caption, child),
                "size" | "date" | "media-type" | "hash" | "hash-used" | "range" | "width" | "height" | "length" => {
                    self.linked_attrs(child);
                    self.sweep_opaque(child);
                }
                _ if child.ns() == file.ns() => self.sweep(child, Place::Unknown),
                _ => self.payload(child),
            }
        }
        self.loose_text(file, Place::Unknown);
    }

    /// A file that lies somewhere already (XEP-0385, XEP-0447): described, with sources.
    pub(super) fn shared_file(&mut self, sharing: Element<'a>) {
        for child in sharing.elements() {
            match child.name() {
                "sources" if child.ns() == sharing.ns() => {
                    child.elements().for_each(|source| self.payload(source));
                    self.loose_text(child, Place::Unknown);
                }
                _ => self.payload(child),
            }
        }
        self.linked_attrs(sharing);
        self.loose_text(sharing, Place::Unknown);
    }

    /// An encrypted file at a source (XEP-0448): the source is read, the file cannot be.
    pub(super) fn encrypted_file(&mut self, encrypted: Element<'a>) {
        self.whole(Place::Body, encrypted, Body::Sealed(Sealed { scheme: Sealing::Other, bytes: 0 }));
        for child in encrypted.elements() {
            match child.name() {
                "sources" => {
                    child.elements().for_each(|source| self.payload(source));
                    self.loose_text(child, Place::Unknown);
                }
                _ => self.sweep_opaque(child),
            }
        }
        self.loose_text(encrypted, Place::Unknown);
    }

    /// A call or a file announced by message (XEP-0353).
    pub(super) fn jingle_message(&mut self, announcement: Element<'a>) {
        for child in announcement.elements() {
            if child.ns() == ns::JINGLE_RTP {
                self.act(Kind::Call);
            } else if child.ns().starts_with(ns::JINGLE_FILES_ROOT) {
                self.offered_files(child);
            } else if child.ns() == ns::JINGLE && child.name() == "reason" {
                child.elements().filter(|e| e.name() == "text").for_each(|text| self.text(Place::Reason, text));
            } else {
                self.payload(child);
            }
        }
        self.linked_attrs(announcement);
        self.loose_text(announcement, Place::Unknown);
    }

    /// An invitation to a call (XEP-0482), perhaps at a link.
    pub(super) fn call_invitation(&mut self, element: Element<'a>) {
        if element.name() == "invite" {
            self.act(Kind::Call);
        }
        for child in element.elements() {
            match child.attr("uri") {
                Some(uri) if child.name() == "external" => self.say(Place::Url, child, How::Whole, uri.into()),
                _ => self.sweep(child, Place::Unknown),
            }
        }
        self.loose_text(element, Place::Unknown);
    }

    /// Stream initiation (XEP-0095) of a file (XEP-0096). The negotiation form beside it names protocols only.
    pub(super) fn stream_initiation(&mut self, si: Element<'a>) {
        for child in si.elements() {
            match child.ns() {
                ns::SI_FILES => {
                    if let Some(name) = child.attr("name") {
                        self.act(Kind::File);
                        let size = child.attr("size").and_then(|s| s.trim().parse().ok());
                        let claimed = si.attr("mime-type").map(Into::into);
                        self.file(child, offered(Some(name.into()), claimed, size));
                    }
                    self.described_file(child);
                }
                ns::FEATURE_NEG => {}
                _ => self.payload(child),
            }
        }
        self.loose_text(si, Place::Unknown);
    }

    /// In-band bytestreams (XEP-0047): the transport of a transfer between clients.
    pub(super) fn in_band_bytes(&mut self, element: Element<'a>) {
        if matches!(element.name(), "open" | "data") {
            self.act(Kind::File);
            self.file(element, offered(None, None, None));
        }
        self.sweep_opaque(element);
    }

    /// SOCKS5 bytestreams (XEP-0065): the same, when streamhosts are offered.
    pub(super) fn socks_bytes(&mut self, query: Element<'a>) {
        if query.elements().any(|e| e.name() == "streamhost") {
            self.act(Kind::File);
            self.file(query, offered(None, None, None));
        }
        self.sweep_links(query);
    }

    /// Bytes of a file in base64 as an element's text.
    pub(super) fn inline_file(&mut self, element: Element<'a>, claimed: Option<&str>) {
        let text = flattened(element);
        if is_blank(&text) {
            return;
        }
        let content = match decode(&text) {
            Some(bytes) if bytes.is_empty() => return self.sweep(element, Place::Unknown),
            Some(bytes) => Content::Inline(Arc::from(bytes)),
            None => Content::Offered,
        };
        let size = match &content {
            Content::Inline(bytes) => bytes.len() as u64,
            Content::Spooled(_) | Content::Offered => text.len() as u64 / 4 * 3,
        };
        self.file(element, File { name: None, claimed_type: claimed.map(Into::into), size: Some(size), content });
    }

    /// A vCard (XEP-0054): fields, links, and pictures, sounds and keys in base64.
    pub(super) fn vcard(&mut self, element: Element<'a>) {
        let outer = self.unit;
        self.unit = element.index();
        for child in element.elements() {
            match child.name() {
                "BINVAL" => {
                    let claimed = element.child(ns::VCARD, "TYPE").map(|t| t.text());
                    self.inline_file(child, claimed.as_deref());
                }
                "EXTVAL" => self.target(child),
                "URL" => {
                    self.unit = child.index();
                    self.target(child);
                    self.unit = element.index();
                }
                "TYPE" => self.sweep_links(child),
                _ if child.ns() == ns::VCARD => self.vcard(child),
                _ => self.payload(child),
            }
        }
        self.linked_attrs(element);
        self.loose_text(element, Place::Field);
        self.unit = outer;
    }

    /// An avatar's metadata (XEP-0084): pictures that lie elsewhere.
    pub(super) fn avatar_metadata(&mut self, metadata: Element<'a>) {
        for child in metadata.elements() {
            self.unit = child.index();
            match child.attr("url") {
                Some(url) if child.name() == "info" => self.say(Place::Url, child, How::Whole, url.into()),
                _ => self.sweep(child, Place::Unknown),
            }
            self.loose_text(child, Place::Unknown);
        }
        self.unit = metadata.index();
        self.linked_attrs(metadata);
        self.loose_text(metadata, Place::Unknown);
    }
}

/// A file that would go from client to client.
fn offered(name: Option<Box<str>>, claimed_type: Option<Box<str>>, size: Option<u64>) -> File {
    File { name, claimed_type, size, content: Content::Offered }
}

/// The text of an element and what is below it; borrowed when there is nothing below.
fn flattened<'a>(element: Element<'a>) -> Cow<'a, str> {
    if element.elements().next().is_none() { element.text() } else { flatten(element).into() }
}

/// Decodes base64 as the most lenient reader would: whatever is not of the alphabet is skipped, padding and trailing
/// bits do not matter, what follows padding counts too. `None` when it would be too long.
fn decode(text: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    if text.len() as u64 / 4 * 3 > INLINE_BYTES.default {
        return None;
    }
    let mut digits: Vec<u8> = text.bytes().filter(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/')).collect();
    if digits.len() % 4 == 1 {
        digits.pop();
    }
    LENIENT.decode(&digits).ok()
}
