//! What makes two messages parts of one campaign: the same link, file, text, command, channel or decoyed sender.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What kind of thing repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// A link, in canonical form.
    Url,
    /// A file, by SHA-256.
    Sha256,
    /// A text, by its shape: near-same texts have near shapes.
    Shape,
    /// A text too short for a shape, by the digest of the message.
    Text,
    /// A word that programs listen to (`!update`).
    Command,
    /// A room that people are called to.
    Channel,
    /// An account that wrote to a decoy.
    Sender,
}

impl KeyKind {
    /// Every kind.
    pub const ALL: [KeyKind; 7] = [
        KeyKind::Url,
        KeyKind::Sha256,
        KeyKind::Shape,
        KeyKind::Text,
        KeyKind::Command,
        KeyKind::Channel,
        KeyKind::Sender,
    ];

    /// The name in front of a key.
    pub fn as_str(self) -> &'static str {
        match self {
            KeyKind::Url => "url",
            KeyKind::Sha256 => "sha256",
            KeyKind::Shape => "shape",
            KeyKind::Text => "text",
            KeyKind::Command => "command",
            KeyKind::Channel => "channel",
            KeyKind::Sender => "sender",
        }
    }

    /// Whether a message that has the key belongs to its campaign even when nothing was found in it. People say the
    /// same few words, and whoever wrote to a decoy also writes other things.
    pub(super) fn is_telling(self) -> bool {
        matches!(self, KeyKind::Url | KeyKind::Sha256 | KeyKind::Shape | KeyKind::Channel)
    }
}

/// One such thing, as `kind:value`; cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Key(Arc<str>);

impl Key {
    /// The longest key that is taken; records have no longer ones but by hostile hands.
    const LONGEST: usize = 4_096;

    /// Makes a key of a kind.
    pub fn new(kind: KeyKind, value: &str) -> Key {
        Key(format!("{}:{value}", kind.as_str()).into())
    }

    /// Reads `kind:value`; `None` for what is no key, or one of a kind that is not known here.
    pub fn parse(text: &str) -> Option<Key> {
        let (kind, value) = text.split_once(':')?;
        let known = KeyKind::ALL.iter().any(|known| known.as_str() == kind);
        (known && !value.is_empty() && text.len() <= Key::LONGEST).then(|| Key(text.into()))
    }

    /// What kind of thing it is.
    pub fn kind(&self) -> KeyKind {
        let name = self.0.split(':').next().unwrap_or_default();
        KeyKind::ALL.into_iter().find(|kind| kind.as_str() == name).unwrap_or(KeyKind::Text)
    }

    /// The thing itself.
    pub fn value(&self) -> &str {
        self.0.split_once(':').map_or(&*self.0, |(_, value)| value)
    }

    /// All of it, `kind:value`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The shape, when it is one.
    pub fn shape(&self) -> Option<u64> {
        (self.kind() == KeyKind::Shape).then(|| u64::from_str_radix(self.value(), 16).ok()).flatten()
    }

    /// The host of a link.
    pub fn host(&self) -> Option<&str> {
        if self.kind() != KeyKind::Url {
            return None;
        }
        let rest = self.value().split_once("://").map_or(self.value(), |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let host = authority.rsplit('@').next().unwrap_or(authority);
        let host = match host.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or(v6),
            None => host.split(':').next().unwrap_or(host),
        };
        (!host.is_empty()).then_some(host)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
        let text = String::deserialize(deserializer)?;
        Key::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no key of a campaign")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_records_have_them() {
        let key = Key::parse("url:https://user@Evil.example:8443/a?b").unwrap();
        assert_eq!((key.kind(), key.host()), (KeyKind::Url, Some("Evil.example")));
        assert_eq!(Key::parse("shape:00000000000000ff").unwrap().shape(), Some(255));
        assert_eq!(Key::parse("url:http://[2001:db8::1]:80/").unwrap().host(), Some("2001:db8::1"));
        for wrong in ["", "url:", "odd:x", "no key", &format!("url:{}", "x".repeat(5_000))] {
            assert_eq!(Key::parse(wrong), None, "{wrong:.20}");
        }
    }
}
