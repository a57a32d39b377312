//! HTTP/1 requests and responses: their first lines and headers.

use std::marker::PhantomData;

use super::Reading;

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    head: PhantomData<&'a [u8]>,
}

/// Reads the request at the beginning of a client's stream.
pub fn request(_stream: &[u8]) -> Reading<Request<'_>> {
    Reading::Not
}

impl<'a> Request<'a> {
    /// The method, in upper case.
    pub fn method(&self) -> &'a str {
        let _ = self.head;
        ""
    }

    /// The target, as sent.
    pub fn target(&self) -> &'a [u8] {
        &[]
    }

    /// The host asked for, lower case, without port.
    pub fn host(&self) -> Option<Box<str>> {
        None
    }

    /// User-Agent.
    pub fn user_agent(&self) -> Option<&'a str> {
        None
    }

    /// The first header field of this name.
    pub fn header(&self, _name: &str) -> Option<&'a [u8]> {
        None
    }

    /// Where the body starts.
    pub fn body_start(&self) -> usize {
        0
    }
}

/// A response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response<'a> {
    head: PhantomData<&'a [u8]>,
}

/// Reads the response at the beginning of a server's stream.
pub fn response(_stream: &[u8]) -> Reading<Response<'_>> {
    Reading::Not
}

impl<'a> Response<'a> {
    /// The status code.
    pub fn status(&self) -> u16 {
        let _ = self.head;
        0
    }

    /// The first header field of this name.
    pub fn header(&self, _name: &str) -> Option<&'a [u8]> {
        None
    }

    /// Server.
    pub fn server(&self) -> Option<&'a str> {
        None
    }

    /// Where the body starts.
    pub fn body_start(&self) -> usize {
        0
    }
}
