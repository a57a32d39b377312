//! Feeds in: formats that indicators are published in, one file each, one table of them all.
//!
//! Reading is pure: bytes and [`Terms`] in, indicators and per-entry errors out, one after the other, so that a
//! feed of millions needs no room of its own. A bad entry spoils no other. Where the bytes come from is
//! `fetch`'s, and whether an indicator may stop anything is `guard`'s business.

mod csv;
mod hosts;
mod misp;
mod openphish;
mod phishtank;
mod plain;
mod stix;
mod taxii;
mod urlhaus;
mod xmpp;
mod yara;

use indicators::ThreatKind;
use jiff::{SignedDuration, Timestamp};

use crate::{Indicator, Pattern, Provenance, Strength, Tlp};

pub use csv::{Column, Columns, Type};

/// Every format.
pub const FEEDS: &[&dyn Feed] = &[
    &plain::Plain,
    &hosts::Hosts,
    &urlhaus::Urlhaus,
    &openphish::OpenPhish,
    &phishtank::PhishTank,
    &csv::Csv,
    &xmpp::Blocklist,
    &yara::Rules,
    &stix::Stix,
    &taxii::Taxii,
    &misp::Misp,
    &misp::MispFeed,
];

/// One format.
pub trait Feed: Sync {
    /// Its name in configuration.
    fn name(&self) -> &'static str;
    /// What it is and who publishes so, in a sentence or two.
    fn about(&self) -> &'static str;
    /// A small feed of this format; every entry in it is good.
    fn example(&self) -> &'static str;
    /// What its entries are when the configuration does not say.
    fn defaults(&self) -> Defaults;
    /// How it is fetched.
    fn transport(&self) -> Transport {
        Transport::Page
    }
    /// Reads it, entry by entry.
    fn read(&self, bytes: &[u8], terms: &Terms, each: &mut Each<'_>);
}

/// How a feed is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// One file.
    Page,
    /// Pages of TAXII collections.
    Taxii,
    /// A manifest, and the events in it.
    Misp,
}

/// Takes one entry after the other.
pub type Each<'a> = dyn FnMut(Result<Indicator, EntryError>) + 'a;

/// What entries of a format are when nobody says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// What they warn of.
    pub kind: ThreatKind,
    /// How sure they are, 0 to 100.
    pub confidence: u8,
    /// Whether they may stop a message.
    pub strength: Strength,
    /// Days an entry holds after it was last listed; none: as long as it is listed.
    pub days: Option<u16>,
}

/// Under which terms a feed is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// Name of the feed.
    pub feed: String,
    /// When it was fetched.
    pub fetched: Option<Timestamp>,
    /// How sure its entries are where they do not say.
    pub confidence: u8,
    /// Whether they may stop a message.
    pub strength: Strength,
    /// How long they hold after the fetch.
    pub lifetime: Option<SignedDuration>,
    /// How far they may be passed on.
    pub marking: Tlp,
    /// Which column is what, of CSV.
    pub columns: Columns,
}

/// An entry that could not be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {why}")]
pub struct EntryError {
    /// Line, object or rule.
    pub place: String,
    /// The reason.
    pub why: String,
}

/// What a whole feed came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// Its indicators.
    pub indicators: Vec<Indicator>,
    /// Entries that could not be taken, as many as are kept.
    pub errors: Vec<EntryError>,
    /// How many more there were.
    pub errors_more: u64,
    /// Indicators beyond the bound.
    pub left_out: u64,
}

/// Indicators taken of one feed at most.
pub const MOST: u64 = 10_000_000;
/// Errors kept of one feed.
pub const ERRORS: usize = 1_000;

/// The format of that name.
pub fn find(name: &str) -> Option<&'static dyn Feed> {
    FEEDS.iter().copied().find(|feed| feed.name() == name)
}

/// The names of all formats.
pub fn names() -> impl Iterator<Item = &'static str> {
    FEEDS.iter().map(|feed| feed.name())
}

/// Reads a whole feed into memory, bounded.
pub fn parse(feed: &dyn Feed, bytes: &[u8], terms: &Terms) -> Parsed {
    let mut parsed = Parsed::default();
    feed.read(bytes, terms, &mut |entry| match entry {
        Ok(_) if parsed.indicators.len() as u64 == MOST => parsed.left_out += 1,
        Ok(indicator) => parsed.indicators.push(indicator),
        Err(_) if parsed.errors.len() == ERRORS => parsed.errors_more += 1,
        Err(error) => parsed.errors.push(error),
    });
    parsed
}

impl Terms {
    /// The terms of a format's defaults.
    pub fn of(feed: &dyn Feed, name: &str) -> Terms {
        let Defaults { confidence, strength, days, .. } = feed.defaults();
        Terms {
            feed: name.to_owned(),
            fetched: None,
            confidence,
            strength,
            lifetime: days.map(|days| SignedDuration::from_hours(i64::from(days) * 24)),
            marking: Tlp::Clear,
            columns: Columns::default(),
        }
    }

    /// An indicator under these terms.
    pub fn indicator(&self, pattern: Pattern, place: impl Into<Option<String>>) -> Indicator {
        let until = |lifetime| self.fetched?.checked_add(lifetime).ok();
        Indicator {
            id: pattern.id(),
            pattern,
            threat: None,
            confidence: self.confidence,
            strength: self.strength,
            valid_from: None,
            valid_until: self.lifetime.and_then(until),
            source: Provenance { feed: self.feed.clone(), reference: place.into(), fetched: self.fetched },
            marking: self.marking,
        }
    }

    /// An indicator that says of itself how long it holds and how far it may go, within these terms.
    fn bounded(&self, mut indicator: Indicator) -> Indicator {
        let until = |lifetime| self.fetched?.checked_add(lifetime).ok();
        indicator.marking = indicator.marking.max(self.marking);
        indicator.valid_until = indicator.valid_until.or_else(|| self.lifetime.and_then(until));
        indicator
    }

    /// The same for what may not be a pattern, ready to be handed on.
    fn entry(&self, pattern: Result<Pattern, impl Into<String>>, place: String) -> Result<Indicator, EntryError> {
        match pattern {
            Ok(pattern) => Ok(self.indicator(pattern, place)),
            Err(why) => Err(EntryError { place, why: why.into() }),
        }
    }
}

/// The lines of a text that is mostly UTF-8, numbered from 1; each with why it can't be read, if it can't.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, Result<&str, &'static str>)> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    bytes.split(|b| *b == b'\n').zip(1..).map(|(line, at)| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let read = match std::str::from_utf8(line) {
            _ if line.len() > indicators::list::LINE_BYTES => Err("longer than 4096 bytes; one entry a line"),
            Ok(line) => Ok(line),
            Err(_) => Err("not UTF-8"),
        };
        (at, read)
    })
}

/// An error of the feed as a whole.
fn whole(why: impl Into<String>) -> Result<Indicator, EntryError> {
    Err(EntryError { place: "the whole".to_owned(), why: why.into() })
}

#[cfg(test)]
mod tests;
