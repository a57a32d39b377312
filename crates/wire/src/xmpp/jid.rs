//! Addresses (RFC 7622): split, checked and lower-cased.
//!
//! PRECIS is enforced where it keeps people from being deceived and parsers
//! from disagreeing: controls, spaces, bidirectional and invisible characters,
//! noncharacters and prohibited punctuation are refused, ASCII is folded. Full
//! normalisation is left to the server, which is the authority on its accounts.
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// Most bytes of each part (RFC 7622 section 3).
pub const PART_BYTES: usize = 1_023;

/// An address, local part and domain in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Jid {
    /// The account at the domain; absent for a server or service.
    pub local: Option<String>,
    /// Domain name, or an IP literal.
    pub domain: String,
    /// The device, or the nick in a room.
    pub resource: Option<String>,
}

/// The parts of an address, checked, as they were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// The account at the domain.
    pub local: Option<&'a str>,
    /// Domain name without a trailing dot, or an IP literal.
    pub domain: &'a str,
    /// The device, or the nick in a room.
    pub resource: Option<&'a str>,
}

/// Why an address is refused (`jid-malformed`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// There is no domain, or nothing before `@` or after `/`.
    #[error("a part of the address is empty: write local@domain/resource")]
    Empty,
    /// A part is longer than [`PART_BYTES`].
    #[error("a part of the address is longer than 1023 bytes: shorten it")]
    Long,
    /// The local part has a character that RFC 7622 section 3.3.1 prohibits.
    #[error("the local part holds a prohibited character: leave out \" & ' / : < > @ and spaces")]
    Local,
    /// The domain is neither a domain name nor an IP literal.
    #[error("the domain is not a domain name: write it as DNS knows it")]
    Domain,
    /// A control, bidirectional, invisible or unassigned character.
    #[error("the address holds a control or invisible character: leave it out")]
    Invisible,
}

/// Splits an address and checks its parts; no allocation.
pub fn split(s: &str) -> Result<Parts<'_>, Malformed> {
    let (bare, resource) = match s.split_once('/') {
        Some((bare, resource)) => (bare, Some(resource)),
        None => (s, None),
    };
    let (local, domain) = match bare.split_once('@') {
        Some((local, domain)) => (Some(local), domain),
        None => (None, bare),
    };
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    for part in [local, Some(domain), resource].into_iter().flatten() {
        if part.is_empty() {
            return Err(Malformed::Empty);
        }
        if part.len() > PART_BYTES {
            return Err(Malformed::Long);
        }
    }
    local.map_or(Ok(()), check_local)?;
    check_domain(domain)?;
    resource.map_or(Ok(()), check_resource)?;
    Ok(Parts { local, domain, resource })
}

impl Jid {
    /// Reads an address.
    pub fn parse(s: &str) -> Result<Jid, Malformed> {
        let parts = split(s)?;
        Ok(Jid {
            local: parts.local.map(str::to_ascii_lowercase),
            domain: parts.domain.to_ascii_lowercase(),
            resource: parts.resource.map(str::to_owned),
        })
    }

    /// The account: `local@domain`, or the domain alone.
    pub fn bare(&self) -> String {
        match &self.local {
            Some(local) => format!("{local}@{}", self.domain),
            None => self.domain.clone(),
        }
    }

    /// The whole address.
    pub fn full(&self) -> String {
        self.to_string()
    }
}

impl<'a> Parts<'a> {
    /// The account in lower case, borrowed where it was written that way.
    pub fn bare(&self, whole: &'a str) -> Cow<'a, str> {
        let len = self.local.map_or(0, |l| l.len() + 1) + self.domain.len();
        let bare = whole.get(..len).unwrap_or(self.domain);
        if bare.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(bare.to_ascii_lowercase())
        } else {
            Cow::Borrowed(bare)
        }
    }
}

impl fmt::Display for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(local) = &self.local {
            write!(f, "{local}@")?;
        }
        f.write_str(&self.domain)?;
        if let Some(resource) = &self.resource {
            write!(f, "/{resource}")?;
        }
        Ok(())
    }
}

impl FromStr for Jid {
    type Err = Malformed;

    fn from_str(s: &str) -> Result<Jid, Malformed> {
        Jid::parse(s)
    }
}

fn check_local(local: &str) -> Result<(), Malformed> {
    for c in local.chars() {
        if matches!(c, '"' | '&' | '\'' | '/' | ':' | '<' | '>' | '@') || c.is_whitespace() {
            return Err(Malformed::Local);
        }
        if is_unseen(c) || is_variation(c) {
            return Err(Malformed::Invisible);
        }
    }
    Ok(())
}

fn check_resource(resource: &str) -> Result<(), Malformed> {
    match resource.chars().any(is_unseen) {
        true => Err(Malformed::Invisible),
        false => Ok(()),
    }
}

fn check_domain(domain: &str) -> Result<(), Malformed> {
    if let Some(literal) = domain.strip_prefix('[').and_then(|d| d.strip_suffix(']')) {
        return literal.parse::<std::net::Ipv6Addr>().map(|_| ()).map_err(|_| Malformed::Domain);
    }
    for label in domain.split('.') {
        let hyphens = label.starts_with('-') || label.ends_with('-');
        if label.is_empty() || hyphens || (label.is_ascii() && label.len() > 63) {
            return Err(Malformed::Domain);
        }
        for c in label.chars() {
            if is_unseen(c) || is_variation(c) {
                return Err(Malformed::Invisible);
            }
            // The underscore is no part of a host name, but of names people give to hosts.
            let letter = if c.is_ascii() { c.is_ascii_alphanumeric() || c == '-' || c == '_' } else { is_label(c) };
            if !letter {
                return Err(Malformed::Domain);
            }
        }
    }
    Ok(())
}

/// Whether a non-ASCII character may stand in a domain label: no spaces, and
/// none of the characters that look like a dot, slash or at sign.
fn is_label(c: char) -> bool {
    !c.is_whitespace()
        && !matches!(c, '\u{2024}' | '\u{2044}' | '\u{2215}' | '\u{29F8}' | '\u{3002}' | '\u{FE52}' | '\u{FE6B}')
        && !matches!(c, '\u{FF01}'..='\u{FF0F}' | '\u{FF1A}'..='\u{FF20}' | '\u{FF61}')
}

/// Characters that are not shown, or that change how others are shown.
fn is_unseen(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    let code = u32::from(c);
    c.is_control()
        || matches!(
            c,
            '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{3164}'
        )
        || matches!(c, '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}')
        || matches!(c, '\u{2060}'..='\u{206F}' | '\u{FDD0}'..='\u{FDEF}' | '\u{FEFF}' | '\u{FFA0}')
        || matches!(c, '\u{FFF0}'..='\u{FFFD}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}')
        || matches!(c, '\u{E000}'..='\u{F8FF}' | '\u{E0000}'..='\u{10FFFF}')
        || code & 0xFFFE == 0xFFFE
}

/// Variation selectors: they choose the picture of an emoji, which is fine in
/// a nick and not in an account.
fn is_variation(c: char) -> bool {
    matches!(c, '\u{FE00}'..='\u{FE0F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_split_and_folded() {
        for (written, bare, resource) in [
            ("Romeo@Example.NET/Orchard", "romeo@example.net", Some("Orchard")),
            ("example.net", "example.net", None),
            ("example.net.", "example.net", None),
            ("room@muc.example.net/Nick with spaces / and @", "room@muc.example.net", Some("Nick with spaces / and @")),
            ("a@[::1]/x", "a@[::1]", Some("x")),
            ("a@192.0.2.1", "a@192.0.2.1", None),
            ("пётр@пример.рф", "пётр@пример.рф", None),
            ("a@b/❤\u{FE0F}", "a@b", Some("❤\u{FE0F}")),
            ("alice\\40home@my_host", "alice\\40home@my_host", None),
        ] {
            let jid = Jid::parse(written).unwrap();
            assert_eq!(jid.bare(), bare, "{written}");
            assert_eq!(jid.resource.as_deref(), resource, "{written}");
            assert_eq!(split(written).unwrap().bare(written), bare, "{written}");
            assert_eq!(Jid::parse(&jid.full()).unwrap(), jid, "{written}");
        }
    }

    #[test]
    fn malformed_addresses_are_refused() {
        let long = "a".repeat(PART_BYTES + 1);
        for (written, why) in [
            ("", Malformed::Empty),
            ("@example.net", Malformed::Empty),
            ("a@", Malformed::Empty),
            ("a@b/", Malformed::Empty),
            ("/x", Malformed::Empty),
            (&format!("{long}@b"), Malformed::Long),
            (&format!("a@b/{long}"), Malformed::Long),
            ("a b@c", Malformed::Local),
            ("a<b@c", Malformed::Local),
            ("a:b@c", Malformed::Local),
            ("a\u{3000}b@c", Malformed::Local),
            ("a@b@c", Malformed::Domain),
            ("a@b..c", Malformed::Domain),
            ("a@.b", Malformed::Domain),
            ("a@-b", Malformed::Domain),
            ("a@b c", Malformed::Domain),
            ("a@b\u{3002}c", Malformed::Domain),
            ("a@[::1", Malformed::Domain),
            ("a@[zz]", Malformed::Domain),
            ("a\u{202E}b@c", Malformed::Invisible),
            ("a@exa\u{200B}mple.test", Malformed::Invisible),
            ("a@b/r\u{2028}s", Malformed::Invisible),
            ("a@b/\u{7}", Malformed::Invisible),
            ("a@b/\u{9F}", Malformed::Invisible),
            ("a@b/\u{2067}", Malformed::Invisible),
            ("a\u{FEFF}@b", Malformed::Invisible),
            ("a\u{FE0F}@b", Malformed::Invisible),
            ("a@b/\u{1FFFE}", Malformed::Invisible),
        ] {
            assert_eq!(Jid::parse(written), Err(why), "{written:?}");
        }
    }
}
