//! A file that a message carries, offers or links to.

use std::path::PathBuf;
use std::sync::Arc;

/// A file as the message presents it; what it really is, `inspect` finds out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// The name the sender gave it, untrusted and unescaped.
    pub name: Option<Box<str>>,
    /// The media type the sender claims.
    pub claimed_type: Option<Box<str>>,
    /// Size in bytes as announced or known.
    pub size: Option<u64>,
    /// Where its bytes are.
    pub content: Content,
}

/// Where a file's bytes are.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// In the message itself (XEP-0231, vCard photo, data URI).
    Inline(Arc<[u8]>),
    /// Spooled by the gateway at this path, complete.
    Spooled(PathBuf),
    /// Offered peer to peer; the gateway does not see the bytes.
    Offered,
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Content::Inline(bytes) => write!(f, "Inline({} bytes)", bytes.len()),
            Content::Spooled(path) => write!(f, "Spooled({})", path.display()),
            Content::Offered => f.write_str("Offered"),
        }
    }
}
