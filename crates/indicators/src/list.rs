//! Plain lists, as they are published and as people write them: one entry a line.
//!
//! | line | is |
//! | --- | --- |
//! | `evil.test`, `*.evil.test`, `.evil.test`, `\|\|evil.test^` | a host and everything below it |
//! | `0.0.0.0 evil.test other.test` | a hosts file's line: its names |
//! | `https://evil.test/a`, `evil.test/a`, `hxxps://evil[.]test/a` | a page; under it, when it ends in `/` |
//! | 64 hexadecimal digits, with a file name or not | a file's SHA-256 |
//! | `198.51.100.7`, `198.51.100.0/24` | an address or range |
//! | `xmpp:a@spam.test`, `xmpp:spam.test`, `a@spam.test`, `@a:spam.test`, `irc:nick`, `sip:a@b` | an account, or a server's |
//! | `text:claim your free prize` | words of a message, whatever their case and spelling tricks |
//! | `shape:0123456789abcdef` | a text much like the one of this shape |
//!
//! `#`, `!` and `;` at the start of a line and ` #` later begin a comment.

use std::net::IpAddr;
use std::sync::Arc;

use model::Protocol;

use crate::builder::Source;
use crate::index::{Strength, ThreatKind};
use crate::net::Net;
use crate::refang::refang;

/// One entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// List, kind and line.
    pub source: Source,
    /// What to match.
    pub pattern: Pattern,
}

/// What an entry matches, not yet checked (see [`crate::Builder`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// A host and everything below it.
    Host(Box<str>),
    /// A page or all under a path, with a scheme.
    Url(Box<str>),
    /// A file.
    Sha256([u8; 32]),
    /// A range of addresses.
    Net(Net),
    /// An account, or a server's name for all its accounts.
    Account(Protocol, Box<str>),
    /// Words of a message.
    Text(Box<str>),
    /// The shape of a text.
    Shape(u64),
}

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct LineError {
    /// Line, from 1.
    pub line: u32,
    /// The reason.
    pub why: &'static str,
}

/// The longest line read, in bytes.
pub const LINE_BYTES: usize = 4_096;
/// Errors that are given back; a list with more is not a list.
pub const ERRORS: usize = 1_000;

/// Reads a list. Lines that make no sense are given back, the others count.
pub fn parse(name: &str, text: &str, kind: ThreatKind) -> (Vec<Entry>, Vec<LineError>) {
    let list: Arc<str> = name.into();
    let mut entries = Vec::new();
    let mut errors = Vec::new();
    for (line, at) in text.trim_start_matches('\u{feff}').lines().zip(1u32..) {
        let mut add = |pattern| {
            let source = Source { list: list.clone(), kind, strength: Strength::Block, line: at };
            entries.push(Entry { source, pattern });
        };
        if let Err(why) = read_line(line, &mut add) {
            if errors.len() == ERRORS {
                break;
            }
            errors.push(LineError { line: at, why });
        }
    }
    (entries, errors)
}

/// Reads one line, which may hold several entries or none.
pub fn read_line(line: &str, add: &mut dyn FnMut(Pattern)) -> Result<(), &'static str> {
    if line.len() > LINE_BYTES {
        return Err("longer than 4096 bytes; one entry a line");
    }
    let line = without_comment(line);
    if let Some(words) = line.strip_prefix("text:") {
        add(Pattern::Text(words.trim().into()));
        return Ok(());
    }
    let refanged = refang(line);
    let line = refanged.as_ref().map_or(line, |refanged| &refanged.text);
    let mut words = line.split_whitespace();
    let Some(first) = words.next() else { return Ok(()) };
    let rest: Vec<&str> = words.collect();
    if let Some(hash) = sha256(first) {
        add(Pattern::Sha256(hash));
        return Ok(());
    }
    if rest.is_empty() {
        add(entry(first)?);
        return Ok(());
    }
    let sink: IpAddr = first.parse().map_err(|_| "more than one word; one entry a line")?;
    if !(sink.is_loopback() || sink.is_unspecified()) {
        return Err("a hosts file's line for an address that is not loopback; list the name alone");
    }
    for name in rest.iter().filter(|name| !is_hosts_boilerplate(name)) {
        add(Pattern::Host((*name).into()));
    }
    Ok(())
}

fn entry(word: &str) -> Result<Pattern, &'static str> {
    if let Some(shape) = word.strip_prefix("shape:") {
        let shape = Some(shape).filter(|shape| shape.len() == 16 && shape.bytes().all(|b| b.is_ascii_hexdigit()));
        let shape = shape.and_then(|shape| u64::from_str_radix(shape, 16).ok());
        return shape.map(Pattern::Shape).ok_or("not a shape: write 16 hexadecimal digits");
    }
    if word.len() >= 32 && word.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err("only SHA-256 hashes (64 digits) can be matched");
    }
    if let Some(net) = Net::parse(word) {
        return Ok(Pattern::Net(net));
    }
    for (prefix, protocol) in
        [("xmpp:", Protocol::Xmpp), ("irc:", Protocol::Irc), ("matrix:", Protocol::Matrix), ("sip:", Protocol::Sip)]
    {
        match word.strip_prefix(prefix) {
            Some(account) if !account.starts_with("//") => return Ok(Pattern::Account(protocol, account.into())),
            _ => {}
        }
    }
    if word.contains("://") {
        return Ok(Pattern::Url(word.into()));
    }
    let word = match word.strip_prefix("||") {
        Some(rule) => rule.trim_end_matches('^'),
        None => word,
    };
    if word.starts_with('@') && word.contains(':') {
        return Ok(Pattern::Account(Protocol::Matrix, word.into()));
    }
    if let Some((authority, _)) = word.split_once('/') {
        if authority.contains('@') {
            return Err("a URL with a user name; write its scheme");
        }
        return Ok(Pattern::Url(format!("http://{word}").into()));
    }
    if word.contains('@') {
        return Ok(Pattern::Account(Protocol::Xmpp, word.into()));
    }
    let host = word.strip_prefix("*.").or_else(|| word.strip_prefix('.')).unwrap_or(word);
    if host.is_empty() || host.contains(['*', '|', '^', '$', ',', ':', '=', '\\']) {
        return Err("not a host, URL, SHA-256, address or account");
    }
    Ok(Pattern::Host(host.into()))
}

fn without_comment(line: &str) -> &str {
    let line = line.trim();
    if line.starts_with(['#', '!', ';']) {
        return "";
    }
    let comment = line.match_indices('#').map(|(at, _)| at).find(|at| line[..*at].ends_with([' ', '\t']));
    comment.map_or(line, |at| line[..at].trim_end())
}

fn sha256(word: &str) -> Option<[u8; 32]> {
    if word.len() != 64 || !word.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut out = [0; 32];
    for (byte, pair) in out.iter_mut().zip(word.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

/// Names that every hosts file begins with.
fn is_hosts_boilerplate(name: &str) -> bool {
    matches!(name, "localhost" | "localhost.localdomain" | "local" | "broadcasthost" | "0.0.0.0")
        || name.starts_with("ip6-")
}
