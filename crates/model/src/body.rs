//! The content of a message, kept in a type that cannot slip into a log.

use std::fmt;

/// What a message says.
///
/// There is no `Display`, and `Debug` prints sizes only, so that neither a log
/// line nor a metric can carry it by accident. Every reader has to name what it
/// wants ([`Body::expose`]), and has to face [`Body::Sealed`].
#[derive(Clone, PartialEq, Eq)]
pub enum Body {
    /// Plain text as a person reads it.
    Text(Box<str>),
    /// Markup (XHTML-IM, HTML) as received, not yet reduced to text.
    Html(Box<str>),
    /// End-to-end encrypted: nothing inside can be judged.
    Sealed(Sealed),
}

/// An encrypted payload: which scheme, and how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The scheme that was recognised.
    pub scheme: Sealing,
    /// Size of the ciphertext in bytes.
    pub bytes: usize,
}

/// End-to-end encryption schemes that are recognised in chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sealing {
    /// OMEMO (XEP-0384), any version.
    Omemo,
    /// Off-the-Record messaging (XEP-0364).
    Otr,
    /// OpenPGP for XMPP, old (XEP-0027) and new (XEP-0373).
    Openpgp,
    /// An encrypted file whose key is in the link (`aesgcm:`, XEP-0454).
    Aesgcm,
    /// Some other scheme named by XEP-0380 or found by its shape.
    Other,
}

impl Sealing {
    /// The name used in policy and records.
    pub fn name(self) -> &'static str {
        match self {
            Sealing::Omemo => "omemo",
            Sealing::Otr => "otr",
            Sealing::Openpgp => "openpgp",
            Sealing::Aesgcm => "aesgcm",
            Sealing::Other => "other",
        }
    }
}

impl Body {
    /// Plain text.
    pub fn text(text: impl Into<Box<str>>) -> Body {
        Body::Text(text.into())
    }

    /// The readable content, for a detector or the archive; `None` when sealed.
    pub fn expose(&self) -> Option<&str> {
        match self {
            Body::Text(s) | Body::Html(s) => Some(s),
            Body::Sealed(_) => None,
        }
    }

    /// Size in bytes.
    pub fn len(&self) -> usize {
        match self {
            Body::Text(s) | Body::Html(s) => s.len(),
            Body::Sealed(s) => s.bytes,
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Text(s) => write!(f, "Text({} bytes)", s.len()),
            Body::Html(s) => write!(f, "Html({} bytes)", s.len()),
            Body::Sealed(s) => write!(f, "Sealed({}, {} bytes)", s.scheme.name(), s.bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_does_not_print_itself() {
        let body = Body::text("the launch code is 0000");
        assert_eq!(format!("{body:?}"), "Text(23 bytes)");
    }
}
