//! The digest that makes a room's echo, a carbon and an archive result the same message.

use model::{Body, Content, Digest, Message};

/// The digest of a message's content.
///
/// What counts, in this order: the kind; what it refers to; each part's place and
/// content (of a sealed part the scheme and size); each file's name, claimed
/// type, size, and its bytes or where they were spooled.
///
/// What does not count: the message's own id, time, direction, addresses (so neither the room nick,
/// which is part of an address) and languages.
///
/// Everything that a detector looks at counts, since a message that has the digest of
/// an earlier one gets that one's verdict. An unsealed message is therefore known by its
/// content alone; as nothing is known of a sealed one's content, its id counts too.
pub(super) fn of(message: &Message) -> Digest {
    let mut hash = Fields(blake3::Hasher::new());
    hash.field(1, message.kind.name().as_bytes());
    if let Some(refers_to) = &message.refers_to {
        hash.field(2, refers_to.as_bytes());
    }
    for part in &message.parts {
        hash.field(3, part.place.name().as_bytes());
        match &part.body {
            Body::Text(text) => hash.field(4, text.as_bytes()),
            Body::Html(markup) => hash.field(5, markup.as_bytes()),
            Body::Sealed(sealed) => {
                hash.field(6, sealed.scheme.name().as_bytes());
                hash.field(7, &(sealed.bytes as u64).to_le_bytes());
            }
        }
    }
    if let (Some(_), Some(id)) = (message.sealed(), &message.id) {
        hash.field(8, id.as_bytes());
    }
    for file in &message.files {
        hash.field(9, file.name.as_deref().unwrap_or_default().as_bytes());
        hash.field(10, file.claimed_type.as_deref().unwrap_or_default().as_bytes());
        hash.field(11, &file.size.unwrap_or(u64::MAX).to_le_bytes());
        match &file.content {
            Content::Inline(bytes) => hash.field(12, bytes),
            Content::Spooled(path) => hash.field(13, path.as_os_str().as_encoded_bytes()),
            Content::Offered => hash.field(14, b""),
        }
    }
    let whole = hash.0.finalize();
    let mut digest = [0; 16];
    digest.copy_from_slice(&whole.as_bytes()[..16]);
    Digest(digest)
}

/// Fields with their kind and length before them, so that no two contents read alike.
struct Fields(blake3::Hasher);

impl Fields {
    fn field(&mut self, kind: u8, bytes: &[u8]) {
        let mut head = [0; 8];
        head[..7].copy_from_slice(&(bytes.len() as u64).to_le_bytes()[..7]);
        head[7] = kind;
        self.0.update(&head);
        self.0.update(bytes);
    }
}
