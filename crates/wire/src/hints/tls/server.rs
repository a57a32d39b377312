//! What a server says before it encrypts: ServerHello and, up to TLS 1.2, its certificate.

use super::super::cursor::Cursor;
use super::super::text;
use super::hello::tls_version;
use super::{ServerFlight, x509};

const HELLO_REQUEST: u8 = 0;
const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;

const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;

/// How far a server's flight has been read.
pub(in super::super) struct Flight {
    /// What it has said; `None` until the ServerHello is whole.
    pub(in super::super) said: Option<ServerFlight>,
    /// Nothing more of interest will come.
    pub(in super::super) done: bool,
}

/// Reads handshake messages back to back; with `cut`, also the names of a certificate that isn't whole. `None`: these
/// aren't a server's.
pub(super) fn read_messages(mut messages: &[u8], cut: bool) -> Option<Flight> {
    let mut flight = Flight { said: None, done: false };
    while let Some((&[kind, high, middle, low], rest)) = messages.split_first_chunk::<4>() {
        let length = u32::from_be_bytes([0, high, middle, low]) as usize;
        let (body, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        let whole = body.len() == length;
        match (kind, &mut flight.said) {
            (HELLO_REQUEST, None) if length == 0 => {}
            (SERVER_HELLO, None) if !whole => {
                return server_hello_begins(body, length).then_some(flight);
            }
            (SERVER_HELLO, None) => {
                let said = server_hello(body)?;
                // From TLS 1.3 on the certificate is encrypted.
                flight.done = said.version >= 0x0304;
                flight.said = Some(said);
            }
            (CERTIFICATE, Some(said)) => flight.done = certificate(body, cut, said),
            // CertificateStatus comes behind the certificate; SessionTicket, Finished: this session is resumed.
            (_, None) => return None,
            (_, Some(_)) => flight.done = true,
        }
        if flight.done || !whole {
            return Some(flight);
        }
        messages = after;
    }
    match messages.first() {
        Some(&kind) if flight.said.is_none() && !matches!(kind, HELLO_REQUEST | SERVER_HELLO) => None,
        _ => Some(flight),
    }
}

fn server_hello_begins(body: &[u8], length: usize) -> bool {
    (38..=0xffff).contains(&length) && body.first().is_none_or(|major| matches!(major, 3 | 0x7f | 0xfe))
}

/// Reads the body of a ServerHello or HelloRetryRequest (RFC 8446 section 4.1.3).
pub(in super::super) fn server_hello(body: &[u8]) -> Option<ServerFlight> {
    let mut body = Cursor(body);
    let mut version = body.u16().filter(|version| matches!(version >> 8, 3 | 0x7f | 0xfe | 1))?;
    let _random = body.take(32)?;
    // Drafts of TLS 1.3 left out session and compression.
    if version >> 8 != 0x7f {
        body.vector8().filter(|session| session.len() <= 32)?;
        let _cipher = body.u16()?;
        let _compression = body.u8()?;
    } else {
        let _cipher = body.u16()?;
    }
    let mut alpn = None;
    let mut extensions = Cursor(if body.is_empty() { &[] } else { body.vector16()? });
    while !extensions.is_empty() {
        let kind = extensions.u16()?;
        let mut inside = Cursor(extensions.vector16()?);
        match kind {
            SUPPORTED_VERSIONS => version = inside.u16().unwrap_or(version),
            ALPN => {
                let chosen = inside.vector16().and_then(|list| Cursor(list).vector8());
                alpn = chosen.and_then(text::text).map(Box::from);
            }
            _ => {}
        }
    }
    Some(ServerFlight { version: tls_version(version), alpn, ..ServerFlight::default() })
}

/// Reads the leaf of a Certificate message (RFC 5246 section 7.4.2) when it is whole; with `cut`, as far as it is
/// there. Says whether it is whole.
pub(in super::super) fn certificate(body: &[u8], cut: bool, said: &mut ServerFlight) -> bool {
    let mut chain = Cursor(body);
    let (Some(total), Some(length)) = (chain.u24(), chain.u24()) else {
        // A chain of no certificates.
        return chain.is_empty() && body.first_chunk() == Some(&[0, 0, 0]);
    };
    let (leaf, whole) = match chain.0.get(..length as usize) {
        Some(leaf) => (leaf, true),
        None => (chain.0, total < length),
    };
    if whole || cut {
        said.certificate = x509::names(leaf);
    }
    whole
}
