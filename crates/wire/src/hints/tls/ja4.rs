//! JA4, the fingerprint of a TLS client: FoxIO's published specification, `technical_details/JA4.md` in their
//! repository. Of the JA4+ family only this one is under the BSD licence, and only this one is here.

use ring::digest::{SHA256, digest};

use super::super::cursor::u16s;
use super::hello::{Carrier, Hello, is_grease};

const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;

/// The fingerprint, 36 characters: `t13d1516h2_8daaf6152771_e5627efa2ab1`.
pub(super) fn fingerprint(hello: &Hello) -> Box<str> {
    let mut ciphers: Vec<u16> = u16s(hello.ciphers).filter(|cipher| !is_grease(*cipher)).collect();
    let mut extensions: Vec<u16> = hello.extensions().filter(|kind| !is_grease(*kind)).collect();
    let carrier = match hello.carrier {
        Carrier::Tls => 't',
        Carrier::Dtls => 'd',
        Carrier::Quic => 'q',
    };
    let name = if extensions.contains(&SERVER_NAME) { 'd' } else { 'i' };
    let [first, last] = protocol(hello);
    let mut print = String::with_capacity(36);
    print.push(carrier);
    print.push_str(version(hello.version));
    print.push(name);
    push_count(&mut print, ciphers.len());
    push_count(&mut print, extensions.len());
    print.extend([first, last, '_']);

    ciphers.sort_unstable();
    let mut list = Vec::with_capacity(5 * (ciphers.len() + extensions.len()) + hello.signatures.len() * 3);
    push_hex(&mut list, ciphers.iter().copied());
    push_hash(&mut print, &list);

    print.push('_');
    extensions.retain(|kind| !matches!(*kind, SERVER_NAME | ALPN));
    extensions.sort_unstable();
    list.clear();
    push_hex(&mut list, extensions.iter().copied());
    let mut signatures = u16s(hello.signatures).filter(|signature| !is_grease(*signature)).peekable();
    if !extensions.is_empty() && signatures.peek().is_some() {
        list.push(b'_');
        push_hex(&mut list, signatures);
    }
    push_hash(&mut print, &list);
    print.into()
}

fn version(version: u16) -> &'static str {
    match version {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        0xfeff => "d1",
        0xfefd => "d2",
        0xfefc => "d3",
        _ => "00",
    }
}

/// First and last character of the first protocol; of its hexadecimal form if either isn't alphanumeric.
fn protocol(hello: &Hello) -> [char; 2] {
    let Some(protocol) = hello.protocols().next() else { return ['0', '0'] };
    let (Some(&first), Some(&last)) = (protocol.first(), protocol.last()) else { return ['0', '0'] };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [char::from(first), char::from(last)];
    }
    [digit(first >> 4), digit(last)]
}

/// Two decimal digits; 99 and more is 99.
fn push_count(print: &mut String, count: usize) {
    let count = count.min(99) as u8;
    print.extend([char::from(b'0' + count / 10), char::from(b'0' + count % 10)]);
}

/// A hexadecimal digit.
fn digit(value: u8) -> char {
    let value = value & 0x0f;
    char::from(if value < 10 { b'0' + value } else { b'a' + value - 10 })
}

/// Four hexadecimal digits each, with commas between.
fn push_hex(list: &mut Vec<u8>, values: impl Iterator<Item = u16>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u16, shift: u16| DIGITS[usize::from(value >> shift & 0x0f)];
    for value in values {
        list.extend_from_slice(&[digit(value, 12), digit(value, 8), digit(value, 4), digit(value, 0), b',']);
    }
    if list.last() == Some(&b',') {
        list.pop();
    }
}

/// The first twelve hexadecimal digits of the list's SHA-256; zeros for an empty list.
fn push_hash(print: &mut String, list: &[u8]) {
    if list.is_empty() {
        print.push_str("000000000000");
        return;
    }
    for byte in digest(&SHA256, list).as_ref().iter().take(6) {
        print.extend([digit(byte >> 4), digit(*byte)]);
    }
}
