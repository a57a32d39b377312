//! The stream header (RFC 6120 section 4.7): what it says, and writing one.
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

use super::ns;
use super::write::escape_attr;

/// What a stream header says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The domain asked for, or the account a server speaks to.
    pub to: Option<String>,
    /// Who opens the stream.
    pub from: Option<String>,
    /// The stream's id, from a server.
    pub id: Option<String>,
    /// `1.0` where RFC 6120 is spoken.
    pub version: Option<String>,
    /// `xml:lang`: the language of everything in the stream that names none.
    pub lang: Option<String>,
    /// Default namespace of the stream's children (`jabber:client`); empty when the header declares none.
    pub content_ns: String,
}

impl Header {
    /// Writes it: XML declaration and opening tag, content namespace `jabber:client`
    /// where none is given.
    pub fn write(&self, out: &mut Vec<u8>) {
        let content = if self.content_ns.is_empty() { ns::CLIENT } else { &self.content_ns };
        out.extend_from_slice(b"<?xml version='1.0'?><stream:stream");
        let attributes = [
            ("xmlns", Some(content)),
            ("xmlns:stream", Some(ns::STREAMS)),
            ("to", self.to.as_deref()),
            ("from", self.from.as_deref()),
            ("id", self.id.as_deref()),
            ("xml:lang", self.lang.as_deref()),
            ("version", self.version.as_deref()),
        ];
        for (name, value) in attributes {
            let Some(value) = value else { continue };
            out.push(b' ');
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"='");
            escape_attr(out, value);
            out.push(b'\'');
        }
        out.push(b'>');
    }
}
