//! DNS messages: what is asked, which addresses are answered, which services are announced.

use std::marker::PhantomData;
use std::net::IpAddr;

/// A domain name in presentation format: lower case, no final dot, foreign bytes escaped.
#[derive(Clone)]
pub struct Name {}

impl Name {
    /// The name.
    pub fn as_str(&self) -> &str {
        ""
    }
}

/// A DNS message that was found to be sound.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    message: PhantomData<&'a [u8]>,
}

/// Reads one message.
pub fn read(_message: &[u8]) -> Option<Message<'_>> {
    None
}

impl Message<'_> {
    /// Its id.
    pub fn id(&self) -> u16 {
        0
    }

    /// Whether it answers.
    pub fn is_response(&self) -> bool {
        let _ = self.message;
        false
    }

    /// The response code.
    pub fn rcode(&self) -> u8 {
        0
    }

    /// The name in the first question.
    pub fn question(&self) -> Option<Name> {
        None
    }

    /// The type asked for in the first question.
    pub fn question_type(&self) -> Option<u16> {
        None
    }

    /// Every address in the answers.
    pub fn addresses(&self, _f: impl FnMut(IpAddr)) {}

    /// Names of services asked for or announced.
    pub fn services(&self, _f: impl FnMut(&str)) {}
}
