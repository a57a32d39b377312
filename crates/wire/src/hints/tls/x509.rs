//! Names in an X.509 certificate.
//!
//! A walk of our own over the DER instead of a full parser: it reads a certificate of which only the beginning was
//! captured, up to the cut, and skips keys, times and signatures, which nobody asks for here.

use super::super::cursor::Cursor;
use super::super::text;

/// Names kept of one certificate.
const MOST_NAMES: usize = 32;
/// Attributes and extensions looked at in one certificate.
const MOST_STEPS: usize = 512;

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
const OCTET_STRING: u8 = 0x04;
const BMP_STRING: u8 = 0x1e;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const DNS_NAME: u8 = 0x82;

/// id-at-commonName, 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x55, 4, 3];
/// id-at-organizationName, 2.5.4.10.
const ORGANISATION: &[u8] = &[0x55, 4, 10];
/// id-ce-subjectAltName, 2.5.29.17.
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 29, 17];

/// The names in a certificate, or in the beginning of one.
pub(super) fn names(certificate: &[u8]) -> Vec<Box<str>> {
    let mut found = Vec::new();
    let _ = walk(certificate, &mut found);
    found
}

/// Stops with `None` where the bytes end or are not as they should be (RFC 5280 section 4.1).
fn walk(certificate: &[u8], found: &mut Vec<Box<str>>) -> Option<()> {
    let mut certificate = Cursor(element(&mut Cursor(certificate), SEQUENCE)?.content);
    let mut tbs = Cursor(element(&mut certificate, SEQUENCE)?.content);
    if tbs.0.first() == Some(&VERSION) {
        any_element(&mut tbs)?;
    }
    let _serial = any_element(&mut tbs)?;
    let _signature = element(&mut tbs, SEQUENCE)?;
    let issuer = element(&mut tbs, SEQUENCE)?;
    let _validity = element(&mut tbs, SEQUENCE)?;
    let subject = element(&mut tbs, SEQUENCE)?;
    distinguished_name(subject.content, found);
    distinguished_name(issuer.content, found);
    let _key = element(&mut tbs, SEQUENCE)?;
    while !tbs.is_empty() {
        let part = any_element(&mut tbs)?;
        if part.tag == EXTENSIONS {
            extensions(part.content, found);
        }
    }
    Some(())
}

/// Takes CN and O of a name: a sequence of sets of pairs (RFC 5280 section 4.1.2.4).
fn distinguished_name(name: &[u8], names: &mut Vec<Box<str>>) -> Option<()> {
    let mut name = Cursor(name);
    for _ in 0..MOST_STEPS {
        let mut set = Cursor(any_element(&mut name)?.content);
        while !set.is_empty() {
            let mut pair = Cursor(element(&mut set, SEQUENCE)?.content);
            let kind = element(&mut pair, OBJECT_IDENTIFIER)?;
            let value = any_element(&mut pair)?;
            if value.whole && (kind.content == COMMON_NAME || kind.content == ORGANISATION) {
                if value.tag == BMP_STRING {
                    keep(&utf8_of_bmp(value.content), names);
                } else {
                    keep(value.content, names);
                }
            }
        }
    }
    None
}

/// Takes the DNS names of the alternative names among the extensions.
fn extensions(extensions: &[u8], names: &mut Vec<Box<str>>) -> Option<()> {
    let mut list = Cursor(element(&mut Cursor(extensions), SEQUENCE)?.content);
    for _ in 0..MOST_STEPS {
        let mut extension = Cursor(element(&mut list, SEQUENCE)?.content);
        if element(&mut extension, OBJECT_IDENTIFIER)?.content != ALTERNATIVE_NAMES {
            continue;
        }
        let mut value = any_element(&mut extension)?;
        if value.tag != OCTET_STRING {
            // It was the mark of a critical extension.
            value = element(&mut extension, OCTET_STRING)?;
        }
        let mut alternatives = Cursor(element(&mut Cursor(value.content), SEQUENCE)?.content);
        while names.len() < MOST_NAMES {
            let alternative = any_element(&mut alternatives)?;
            if alternative.tag == DNS_NAME && alternative.whole {
                keep(alternative.content, names);
            }
        }
        return None;
    }
    None
}

fn keep(name: &[u8], names: &mut Vec<Box<str>>) {
    let Some(name) = text::text(name) else { return };
    let host = name.strip_prefix("*.").unwrap_or(name);
    let name: Box<str> = match host.contains('.').then(|| text::host(host.as_bytes())).flatten() {
        Some(_) => name.to_ascii_lowercase().into(),
        None => name.into(),
    };
    if names.len() < MOST_NAMES && !names.contains(&name) {
        names.push(name);
    }
}

/// UTF-8 of big-endian UTF-16, as far as is of interest.
fn utf8_of_bmp(bytes: &[u8]) -> Vec<u8> {
    let units = super::super::cursor::u16s(bytes).take(text::LONGEST);
    char::decode_utf16(units).map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER)).collect::<String>().into_bytes()
}

/// One element of DER.
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    /// Its content isn't cut off.
    whole: bool,
}

fn element<'a>(from: &mut Cursor<'a>, tag: u8) -> Option<Element<'a>> {
    any_element(from).filter(|element| element.tag == tag)
}

fn any_element<'a>(from: &mut Cursor<'a>) -> Option<Element<'a>> {
    let tag = from.u8()?;
    let length = match from.u8()? {
        short @ 0..=0x7f => usize::from(short),
        0x81 => usize::from(from.u8()?),
        0x82 => usize::from(from.u16()?),
        0x83 => from.u24()? as usize,
        _ => return None,
    };
    let whole = length <= from.0.len();
    let content = from.take(length.min(from.0.len()))?;
    Some(Element { tag, content, whole })
}
