//! References: the five entities XML predefines, and characters by number.
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

use super::super::chars::{self, NAME, NAME_START};
use super::super::fault::Fault;
use super::{malformed, restricted};

/// `#…;` behind an ampersand: the character and the length, or nothing while it may go on.
pub(super) fn char_reference(here: &[u8]) -> Result<Option<(char, usize)>, Fault> {
    const BAD: Fault = malformed("a character reference that XML does not allow");
    /// Room for the largest code point with a few leading zeros.
    const DIGITS: usize = 12;
    let hex = here.get(1) == Some(&b'x');
    let start = if hex { 2 } else { 1 };
    let mut code = 0u32;
    for (nth, &byte) in here.iter().enumerate().skip(start) {
        if byte == b';' && nth > start {
            let c = char::from_u32(code).filter(|&c| chars::is_char(c)).ok_or(BAD)?;
            return Ok(Some((c, nth + 1)));
        }
        let digit = char::from(byte).to_digit(if hex { 16 } else { 10 }).ok_or(BAD)?;
        code = code.saturating_mul(if hex { 16 } else { 10 }).saturating_add(digit);
        if nth >= start + DIGITS {
            return Err(BAD);
        }
    }
    Ok(None)
}

/// `name;` behind an ampersand: only the five entities that XML predefines.
pub(super) fn entity(here: &[u8]) -> Result<Option<(char, usize)>, Fault> {
    const KNOWN: [(&[u8], char); 5] = [(b"lt;", '<'), (b"gt;", '>'), (b"amp;", '&'), (b"apos;", '\''), (b"quot;", '"')];
    const UNKNOWN: Fault = restricted("an entity that XML does not predefine");
    /// Nobody needs more to see that a name is not one of the five.
    const LONGEST: usize = 32;
    if let Some((name, c)) = KNOWN.into_iter().find(|(name, _)| here.starts_with(name)) {
        return Ok(Some((c, name.len())));
    }
    if !here.first().is_some_and(|&b| chars::is(b, NAME_START)) {
        return Err(malformed("& in text: write &amp;"));
    }
    let len = chars::skip(here, 0, NAME);
    match here.get(len) {
        _ if len > LONGEST => Err(UNKNOWN),
        None => Ok(None),
        Some(b';') => Err(UNKNOWN),
        Some(_) => Err(malformed("& in text: write &amp;")),
    }
}
