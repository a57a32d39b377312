//! The shape of an `apps/*.toml` file, and places for what is wrong with one.

use std::fmt;
use std::net::IpAddr;
use std::ops::Range;

use model::{Category, Platform, suggest};
use serde::Deserialize;
use toml::Spanned;

use super::Evidence;
use crate::view::Transport;

/// Largest file that is read, in bytes.
pub(super) const MOST_BYTES: usize = 1 << 20;

/// An entry as written. Every list but those of who and what may be left out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) id: Spanned<String>,
    pub(super) name: String,
    pub(super) category: Category,
    pub(super) about: String,
    #[serde(default)]
    pub(super) who: String,
    #[serde(default)]
    pub(super) generic: bool,
    #[serde(default)]
    pub(super) peer_to_peer: bool,
    #[serde(default)]
    pub(super) platforms: Vec<Platform>,
    #[serde(default)]
    pub(super) hosts: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) not_hosts: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) certificates: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) alpn: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) ja4: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) user_agents: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) addresses: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) ports: Vec<Spanned<String>>,
}

impl Entry {
    /// What the application is known by, without places.
    pub(super) fn evidence(&self) -> Evidence {
        let plain = |list: &[Spanned<String>]| list.iter().map(|item| item.get_ref().clone()).collect();
        Evidence {
            hosts: plain(&self.hosts),
            not_hosts: plain(&self.not_hosts),
            certificates: plain(&self.certificates),
            alpn: plain(&self.alpn),
            ja4: plain(&self.ja4),
            user_agents: plain(&self.user_agents),
            addresses: plain(&self.addresses),
            ports: plain(&self.ports),
        }
    }
}

/// What is wrong with a catalogue file, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// Its line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// What may be meant.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message)?,
            line => write!(f, "{}:{line}: {}", self.file, self.message)?,
        }
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

/// One file: its name as shown, and its text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
}

impl Source<'_> {
    /// Reads the file's shape; what stands in its lists is checked when it is indexed.
    pub(super) fn read(&self) -> Result<Entry, Problem> {
        let entry: Entry = toml::from_str(self.text).map_err(|error| {
            let message = error.message().lines().next().unwrap_or_default().to_owned();
            let hint = suggest::from_message(&message);
            self.problem(error.span().unwrap_or(0..0), message, hint)
        })?;
        self.check(&entry)?;
        Ok(entry)
    }

    fn check(&self, entry: &Entry) -> Result<(), Problem> {
        let id = entry.id.get_ref();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if id.is_empty() || !id.chars().all(plain) {
            let message = format!("id: `{id}` is not an id");
            return Err(self.problem(entry.id.span(), message, Some("lower case, digits and hyphens".to_owned())));
        }
        let stem = self.file.rsplit(['/', '\\']).next().unwrap_or_default().trim_end_matches(".toml");
        if stem != id {
            let message = format!("id: `{id}` stands in a file that is called `{stem}.toml`");
            return Err(self.problem(entry.id.span(), message, Some("both have the same name".to_owned())));
        }
        for (field, text) in [("name", &entry.name), ("about", &entry.about)] {
            if text.trim().is_empty() {
                return Err(self.problem(0..0, format!("{field}: nothing is said"), None));
            }
        }
        Ok(())
    }

    /// A problem at a span of the text.
    pub(super) fn problem(&self, span: Range<usize>, message: impl Into<String>, hint: Option<String>) -> Problem {
        let at = self.text.floor_char_boundary(span.start.min(self.text.len()));
        let line = self.text.get(..at).unwrap_or_default().matches('\n').count() + 1;
        Problem { file: self.file.to_owned(), line, message: message.into(), hint }
    }
}

/// An address or a network as first and last address: `192.0.2.0/24`, `2001:db8::/32`, `192.0.2.1`.
pub(super) fn network(text: &str) -> Result<(IpAddr, IpAddr), String> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| format!("`{text}` is not an address or network"))?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let length = match length {
        Some(length) => length.parse().map_err(|_| format!("`{length}` is not a prefix length"))?,
        None => bits,
    };
    if length > bits {
        return Err(format!("a prefix has at most {bits} bits"));
    }
    let host = u128::MAX.checked_shr(128 - bits + length).unwrap_or(0);
    let (first, last) = match address {
        IpAddr::V4(v4) => {
            let (first, host) = (v4.to_bits(), host as u32);
            (IpAddr::V4((first & !host).into()), IpAddr::V4((first | host).into()))
        }
        IpAddr::V6(v6) => {
            let first = v6.to_bits();
            (IpAddr::V6((first & !host).into()), IpAddr::V6((first | host).into()))
        }
    };
    if first != address {
        return Err(format!("`{text}` has bits set behind its prefix: {first}/{length} is meant"));
    }
    Ok((first, last))
}

/// A port or a range of ports: `tcp/5222`, `udp/27000-27050`.
pub(super) fn ports(text: &str) -> Result<(Transport, u16, u16), String> {
    let wrong = || format!("`{text}` is not a port: `tcp/5222` or `udp/27000-27050`");
    let (transport, numbers) = text.split_once('/').ok_or_else(wrong)?;
    let transport = match transport {
        "tcp" => Transport::Tcp,
        "udp" => Transport::Udp,
        _ => return Err(wrong()),
    };
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) if 0 < first && first <= last => Ok((transport, first, last)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_cover_what_their_prefix_says() {
        for (text, first, last) in [
            ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
            ("192.0.2.0/24", "192.0.2.0", "192.0.2.255"),
            ("0.0.0.0/0", "0.0.0.0", "255.255.255.255"),
            ("2001:db8::/32", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("::1", "::1", "::1"),
        ] {
            assert_eq!(network(text), Ok((first.parse().unwrap(), last.parse().unwrap())), "{text}");
        }
        for text in ["192.0.2.1/24", "192.0.2.0/33", "2001:db8::/129", "example.org", "1.2.3/8", ""] {
            assert!(network(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ports_are_read_with_their_transport() {
        assert_eq!(ports("tcp/5222"), Ok((Transport::Tcp, 5222, 5222)));
        assert_eq!(ports("udp/6881-6889"), Ok((Transport::Udp, 6881, 6889)));
        for text in ["5222", "tcp/0", "tcp/9-8", "sctp/1", "udp/65536", "udp/1-"] {
            assert!(ports(text).is_err(), "{text}");
        }
    }
}
