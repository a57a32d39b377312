//! STUN and TURN messages.

use std::marker::PhantomData;
use std::net::SocketAddr;

use super::Reading;

/// What kind of message it is (RFC 8489 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Asks.
    Request,
    /// Tells, expecting no answer.
    Indication,
    /// Answers.
    Success,
    /// Refuses.
    Error,
}

/// One STUN message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stun<'a> {
    message: PhantomData<&'a [u8]>,
}

/// Reads a datagram that is exactly one STUN message.
pub fn read(_datagram: &[u8]) -> Option<Stun<'_>> {
    None
}

/// Reads the STUN message at the beginning of a TCP stream; also says how many bytes it took.
pub fn read_stream(_stream: &[u8]) -> Reading<(Stun<'_>, usize)> {
    Reading::Not
}

/// TURN ChannelData: channel and data.
pub fn channel_data(_datagram: &[u8]) -> Option<(u16, &[u8])> {
    None
}

impl<'a> Stun<'a> {
    /// The method.
    pub fn method(&self) -> u16 {
        let _ = self.message;
        0
    }

    /// The class.
    pub fn class(&self) -> Class {
        Class::Request
    }

    /// Whether it is of RFC 3489, without the magic cookie.
    pub fn classic(&self) -> bool {
        false
    }

    /// The transaction id: 12 bytes, or 16 in classic STUN.
    pub fn transaction(&self) -> &'a [u8] {
        &[]
    }

    /// Every attribute: type and value.
    pub fn attributes(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        std::iter::empty()
    }

    /// The first attribute of this type.
    pub fn attribute(&self, wanted: u16) -> Option<&'a [u8]> {
        self.attributes().find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
    }

    /// SOFTWARE.
    pub fn software(&self) -> Option<&'a str> {
        None
    }

    /// USERNAME.
    pub fn username(&self) -> Option<&'a [u8]> {
        None
    }

    /// REALM.
    pub fn realm(&self) -> Option<&'a str> {
        None
    }

    /// ORIGIN.
    pub fn origin(&self) -> Option<&'a str> {
        None
    }

    /// Every address in it, with the type of its attribute.
    pub fn addresses(&self, _f: impl FnMut(u16, SocketAddr)) {}

    /// Whether FINGERPRINT is right; `None` without one.
    pub fn fingerprint_ok(&self) -> Option<bool> {
        None
    }

    /// Bytes, with header.
    #[expect(clippy::len_without_is_empty, reason = "a message has a header, so it is never empty")]
    pub fn len(&self) -> usize {
        0
    }
}
