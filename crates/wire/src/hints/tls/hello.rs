//! The ClientHello, wherever it was carried.

use super::super::cursor::{Cursor, u16s};
use super::super::text;
use super::{ClientHello, ja4};

/// Protocols kept of those that are offered.
const MOST_PROTOCOLS: usize = 8;

const SERVER_NAME: u16 = 0;
const SIGNATURE_ALGORITHMS: u16 = 13;
const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;
const QUIC_TRANSPORT_PARAMETERS: u16 = 0x39;
/// In drafts before RFC 9001.
const QUIC_TRANSPORT_PARAMETERS_DRAFT: u16 = 0xffa5;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
/// What came before ECH.
const ENCRYPTED_SERVER_NAME: u16 = 0xffce;

/// What carries the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Carrier {
    /// TCP.
    Tls,
    /// Datagrams.
    Dtls,
    /// QUIC.
    Quic,
}

/// The parts of a ClientHello.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Hello<'a> {
    pub(super) carrier: Carrier,
    /// As in the hello or, where that is, the best in supported_versions; DTLS's own numbers.
    pub(super) version: u16,
    /// Two bytes each.
    pub(super) ciphers: &'a [u8],
    /// Type, length and content of each, checked to be whole.
    extensions: &'a [u8],
    pub(super) server_name: Option<&'a [u8]>,
    /// Two bytes each.
    pub(super) signatures: &'a [u8],
    /// A length before each.
    protocols: &'a [u8],
    encrypted: bool,
    /// QUIC's transport parameters.
    pub(in super::super) transport: &'a [u8],
}

/// Values that are sent so that servers learn to ignore the unknown (RFC 8701).
pub(super) fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

/// Reads the body of a ClientHello message (RFC 8446 section 4.1.2, RFC 6347 section 4.2.1).
pub(in super::super) fn read(body: &[u8], carrier: Carrier) -> Option<Hello<'_>> {
    let mut body = Cursor(body);
    let version = body.u16()?;
    let _random = body.take(32)?;
    let session = body.vector8()?;
    if session.len() > 32 {
        return None;
    }
    if carrier == Carrier::Dtls {
        body.vector8()?;
    }
    let ciphers = body.vector16()?;
    if ciphers.len() % 2 != 0 {
        return None;
    }
    body.vector8().filter(|compressions| !compressions.is_empty())?;
    // Hellos before TLS 1.2 may end here.
    let extensions = if body.is_empty() { &[] } else { body.vector16()? };
    let mut hello = Hello {
        carrier,
        version,
        ciphers,
        extensions,
        server_name: None,
        signatures: &[],
        protocols: &[],
        encrypted: false,
        transport: &[],
    };
    let mut left = Cursor(extensions);
    while !left.is_empty() {
        let kind = left.u16()?;
        let content = left.vector16()?;
        hello.take_extension(kind, content);
    }
    Some(hello)
}

impl<'a> Hello<'a> {
    /// What is malformed inside an extension is left out: it tells nothing, but the rest still does.
    fn take_extension(&mut self, kind: u16, content: &'a [u8]) {
        let mut inside = Cursor(content);
        match kind {
            SERVER_NAME => self.server_name = Some(server_name(inside).unwrap_or_default()),
            SIGNATURE_ALGORITHMS => self.signatures = inside.vector16().unwrap_or_default(),
            ALPN => self.protocols = inside.vector16().unwrap_or_default(),
            SUPPORTED_VERSIONS => {
                let offered = u16s(inside.vector8().unwrap_or_default()).filter(|version| !is_grease(*version));
                if let Some(best) = offered.max_by_key(|version| tls_version(*version)) {
                    self.version = best;
                }
            }
            // The outer hello's form; the inner one has no business in the clear.
            ENCRYPTED_CLIENT_HELLO => self.encrypted = content.first() == Some(&0),
            ENCRYPTED_SERVER_NAME => self.encrypted = true,
            QUIC_TRANSPORT_PARAMETERS | QUIC_TRANSPORT_PARAMETERS_DRAFT => self.transport = content,
            _ => {}
        }
    }

    /// The types of all extensions, in order.
    pub(super) fn extensions(&self) -> impl Iterator<Item = u16> + use<'a> {
        let mut left = Cursor(self.extensions);
        std::iter::from_fn(move || {
            let kind = left.u16()?;
            left.vector16()?;
            Some(kind)
        })
    }

    /// The protocols offered, in order.
    pub(super) fn protocols(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut left = Cursor(self.protocols);
        std::iter::from_fn(move || left.vector8())
    }

    /// What is worth keeping.
    pub(in super::super) fn summary(&self) -> ClientHello {
        ClientHello {
            // Some put the port behind the name.
            sni: self.server_name.and_then(text::authority),
            alpn: self.protocols().filter_map(text::text).take(MOST_PROTOCOLS).map(Box::from).collect(),
            ja4: ja4::fingerprint(self),
            ech: self.encrypted,
            version: tls_version(self.version),
        }
    }
}

/// The first name of type host_name (RFC 6066 section 3).
fn server_name(mut extension: Cursor<'_>) -> Option<&[u8]> {
    let mut list = Cursor(extension.vector16()?);
    while !list.is_empty() {
        let kind = list.u8()?;
        let name = list.vector16()?;
        if kind == 0 {
            return Some(name);
        }
    }
    None
}

/// TLS's number for a version that may be DTLS's: those count downwards from 1.0, which is TLS 1.1.
pub(in super::super) fn tls_version(version: u16) -> u16 {
    match version {
        // OpenSSL before 0.9.8f, still spoken by Cisco AnyConnect.
        0xfeff | 0x0100 => 0x0302,
        0xfefd => 0x0303,
        0xfefc => 0x0304,
        // Drafts of TLS 1.3, and Facebook's.
        0x7f00..=0x7f1c | 0xfb1a | 0xfb17 => 0x0304,
        other => other,
    }
}
