//! TLS: the client's hello, and what servers say in the clear.
//!
//! A hello may be spread over records and segments. As long as it lies in one record it is read where it is; otherwise
//! the records' contents are put together in the caller's scratch buffer.

pub(super) mod hello;
mod ja4;
pub(super) mod server;
#[cfg(test)]
pub(super) mod tests;
mod x509;

use super::Reading;
pub(super) use hello::Carrier;
use server::Flight;

/// What a ClientHello says (of TLS, DTLS or QUIC).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHello {
    /// The server name asked for: lower case, valid host characters, at most 253 bytes.
    pub sni: Option<Box<str>>,
    /// Protocols offered (ALPN), at most 8; those that are no printable text are left out.
    pub alpn: Vec<Box<str>>,
    /// JA4, as FoxIO defines it.
    pub ja4: Box<str>,
    /// An encrypted inner hello comes along (ECH or its forerunner ESNI), or random bytes in its place: browsers send
    /// these (GREASE) so that nobody can tell. With the real thing, `sni` names only the front.
    pub ech: bool,
    /// The highest version offered, as TLS numbers it (0x0303 is TLS 1.2; also for DTLS and QUIC).
    pub version: u16,
}

/// What a server says before it encrypts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerFlight {
    /// The version chosen, as TLS numbers it.
    pub version: u16,
    /// The protocol chosen (ALPN), when it is said in the clear: TLS 1.2 and before.
    pub alpn: Option<Box<str>>,
    /// Names in the leaf certificate: subject's CN and O, issuer's CN and O, DNS alternative names. Each once, at most
    /// 32. Host names (also `*.host`) are in lower case, the others as written.
    pub certificate: Vec<Box<str>>,
}

/// A server's flight of this many bytes is read as far as it goes.
const LONGEST_FLIGHT: usize = 16 * 1024;
/// No handshake message is put together beyond this.
const LONGEST_MESSAGE: usize = 64 * 1024;
/// Content of a record: 2^14, and what encryption may add in the oldest versions (RFC 5246 section 6.2.3).
const LONGEST_RECORD: usize = (1 << 14) + 2048;
/// Warnings passed over before and between handshake records; OpenSSL puts up with five in a row.
const MOST_WARNINGS: usize = 5;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

const CLIENT_HELLO: u8 = 1;
/// The lower level of an alert.
const WARNING: u8 = 1;

/// Whether these bytes begin a stream of TLS records: types, versions, lengths and the beginning of what is inside
/// have to be those of TLS, in the first record and in the second as far as it is there. Also recognises the
/// ClientHello in SSL 2.0 format that old clients send to servers of any version (RFC 5246 appendix E.2).
pub fn looks_like(stream: &[u8]) -> Reading<()> {
    match stream.first() {
        None => return Reading::More,
        Some(20..=23) => {}
        Some(0x80..) => return sslv2_hello(stream),
        Some(_) => return Reading::Not,
    }
    match record(stream) {
        Record::Not => Reading::Not,
        Record::Whole { kind: HANDSHAKE, content, .. } | Record::Cut { kind: HANDSHAKE, content }
            if !begins_handshake(content) =>
        {
            Reading::Not
        }
        Record::Whole { rest, .. } if matches!(record(rest), Record::Not) => Reading::Not,
        Record::Whole { .. } => Reading::Is(()),
        // Five bytes of header and a few inside are enough.
        Record::Cut { content, .. } if content.len() >= 6 => Reading::Is(()),
        Record::Cut { .. } => Reading::More,
    }
}

/// Reads the ClientHello at the beginning of a client's stream.
pub fn client_hello(stream: &[u8], scratch: &mut Vec<u8>) -> Reading<ClientHello> {
    if stream.is_empty() {
        return Reading::More;
    }
    let mut warnings = 0;
    let stream = after_warnings(stream, &mut warnings);
    let body = match record(stream) {
        Record::Cut { kind: ALERT, content: [] | [WARNING] } if warnings < MOST_WARNINGS => return Reading::More,
        Record::Cut { kind, .. } | Record::Whole { kind, .. } if kind != HANDSHAKE => return Reading::Not,
        Record::Not => return Reading::Not,
        Record::Cut { content, .. } => match message(content) {
            Message::Whole(CLIENT_HELLO, body) => body,
            Message::Cut(None | Some(CLIENT_HELLO)) => return Reading::More,
            _ => return Reading::Not,
        },
        Record::Whole { content, .. } => match message(content) {
            Message::Whole(CLIENT_HELLO, body) => body,
            Message::Cut(None | Some(CLIENT_HELLO)) => {
                let gathered = gather(stream, scratch);
                match message(scratch) {
                    Message::Whole(CLIENT_HELLO, body) => body,
                    Message::Cut(None | Some(CLIENT_HELLO)) if gathered == Gathered::Open => return Reading::More,
                    _ => return Reading::Not,
                }
            }
            _ => return Reading::Not,
        },
    };
    match hello::read(body, Carrier::Tls) {
        Some(hello) => Reading::Is(hello.summary()),
        None => Reading::Not,
    }
}

/// Reads the beginning of a server's stream. Answers as soon as the leaf certificate is whole, or once it is known that
/// none will come in the clear.
pub fn server_flight(stream: &[u8], scratch: &mut Vec<u8>) -> Reading<ServerFlight> {
    if stream.first().is_some_and(|first| !matches!(*first, HANDSHAKE | ALERT)) {
        return Reading::Not;
    }
    let enough = stream.len() >= LONGEST_FLIGHT;
    match read_flight(stream, scratch, enough) {
        Some(Flight { said: Some(said), done }) if done || enough => Reading::Is(said),
        Some(Flight { said: None, done }) if done || enough => Reading::Not,
        Some(_) => Reading::More,
        None => Reading::Not,
    }
}

/// What a server has said so far, for when no more will come: a certificate that was cut off gives the names before
/// the cut.
pub fn server_flight_so_far(stream: &[u8], scratch: &mut Vec<u8>) -> Option<ServerFlight> {
    read_flight(stream, scratch, true)?.said
}

fn read_flight(stream: &[u8], scratch: &mut Vec<u8>, cut: bool) -> Option<Flight> {
    let gathered = gather(stream, scratch);
    if gathered != Gathered::Open && scratch.is_empty() {
        return None;
    }
    let mut flight = server::read_messages(scratch, cut)?;
    flight.done |= gathered != Gathered::Open;
    Some(flight)
}

/// One record.
enum Record<'a> {
    Whole { kind: u8, content: &'a [u8], rest: &'a [u8] },
    Cut { kind: u8, content: &'a [u8] },
    Not,
}

/// Reads the record header (RFC 8446 section 5.1) and looks inside a little.
fn record(stream: &[u8]) -> Record<'_> {
    let &[kind, ref after @ ..] = stream else { return Record::Cut { kind: HANDSHAKE, content: &[] } };
    if !(CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(&kind) {
        return Record::Not;
    }
    if after.first().is_some_and(|major| *major != 3) || after.get(1).is_some_and(|minor| *minor > 4) {
        return Record::Not;
    }
    let Some((&[_, _, high, low], inside)) = after.split_first_chunk::<4>() else {
        return Record::Cut { kind, content: &[] };
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if !plausible(kind, length, inside) {
        return Record::Not;
    }
    match inside.split_at_checked(length) {
        Some((content, rest)) => Record::Whole { kind, content, rest },
        None => Record::Cut { kind, content: inside },
    }
}

/// Whether a record of this type may have this length and begin like this.
fn plausible(kind: u8, length: usize, inside: &[u8]) -> bool {
    if length == 0 || length > LONGEST_RECORD {
        return false;
    }
    match kind {
        CHANGE_CIPHER_SPEC => length == 1 && inside.first().is_none_or(|byte| *byte == 1),
        // In the clear: level and description; otherwise encrypted, with at least a MAC or tag.
        ALERT => (length == 2 && inside.first().is_none_or(|level| matches!(level, 1 | 2))) || length >= 18,
        APPLICATION_DATA => length >= 16,
        _ => true,
    }
}

/// Whether this may be the beginning of the first handshake message (RFC 8446 section 4): HelloRequest, both hellos,
/// NewSessionTicket, or from Certificate to Finished when the beginning is missing.
fn begins_handshake(content: &[u8]) -> bool {
    content.first().is_none_or(|kind| matches!(kind, 0..=2 | 4 | 11..=16 | 20 | 22))
        && !matches!(message(content), Message::Not)
}

/// The first handshake message.
enum Message<'a> {
    Whole(u8, &'a [u8]),
    Cut(Option<u8>),
    Not,
}

fn message(bytes: &[u8]) -> Message<'_> {
    let Some((&[kind, high, middle, low], rest)) = bytes.split_first_chunk::<4>() else {
        return Message::Cut(bytes.first().copied());
    };
    let length = u32::from_be_bytes([0, high, middle, low]) as usize;
    if length > LONGEST_MESSAGE {
        return Message::Not;
    }
    if kind == CLIENT_HELLO && rest.first().is_some_and(|major| *major != 3) {
        return Message::Not;
    }
    match rest.get(..length) {
        Some(body) => Message::Whole(kind, body),
        None => Message::Cut(Some(kind)),
    }
}

/// How a run of handshake records ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gathered {
    /// With the bytes.
    Open,
    /// With a record of another type: encryption begins.
    Over,
    /// With something that is no record.
    Broken,
}

/// Passes over warnings in the clear (RFC 5246 section 7.2): peers that don't care for them go on, so nothing may hide
/// behind them. A close notification (0) is an end.
fn after_warnings<'a>(stream: &'a [u8], passed: &mut usize) -> &'a [u8] {
    let mut left = stream;
    while *passed < MOST_WARNINGS
        && let Record::Whole { kind: ALERT, content: [WARNING, 1..=255], rest } = record(left)
    {
        *passed += 1;
        left = rest;
    }
    left
}

/// Puts the contents of the leading handshake records together, without warnings between them.
fn gather(stream: &[u8], scratch: &mut Vec<u8>) -> Gathered {
    scratch.clear();
    let mut warnings = 0;
    let mut left = after_warnings(stream, &mut warnings);
    while !left.is_empty() && scratch.len() < LONGEST_MESSAGE {
        let (content, rest) = match record(left) {
            Record::Whole { kind: HANDSHAKE, content, rest } => (content, rest),
            Record::Cut { kind: HANDSHAKE, content } => (content, &[][..]),
            // Half a warning.
            Record::Cut { kind: ALERT, content: [] | [WARNING] } if warnings < MOST_WARNINGS => return Gathered::Open,
            Record::Whole { .. } | Record::Cut { .. } => return Gathered::Over,
            Record::Not => return Gathered::Broken,
        };
        scratch.extend_from_slice(content);
        left = after_warnings(rest, &mut warnings);
    }
    Gathered::Open
}

/// The ClientHello of SSL 2.0, offering SSL 3.0 or TLS.
fn sslv2_hello(stream: &[u8]) -> Reading<()> {
    let Some((&[high, low, kind, major, minor, c1, c2, s1, s2, h1, h2], _)) = stream.split_first_chunk::<11>() else {
        let begins = stream.get(2).is_none_or(|kind| *kind == 1) && stream.get(3).is_none_or(|major| *major <= 3);
        return if begins { Reading::More } else { Reading::Not };
    };
    let length = usize::from(u16::from_be_bytes([high & 0x7f, low]));
    let [ciphers, session, challenge] = [[c1, c2], [s1, s2], [h1, h2]].map(u16::from_be_bytes).map(usize::from);
    let sound = kind == 1
        && matches!((major, minor), (0, 2) | (3, 0..=3))
        && ciphers > 0
        && ciphers.is_multiple_of(3)
        && matches!(session, 0 | 16 | 32)
        && (16..=32).contains(&challenge)
        && length == 9 + ciphers + session + challenge;
    if sound { Reading::Is(()) } else { Reading::Not }
}
