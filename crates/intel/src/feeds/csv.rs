//! CSV with a mapping: any table that has indicators in a column.

use indicators::ThreatKind;
use jiff::Timestamp;
use model::Protocol;
use serde::{Deserialize, Serialize};

use super::{Defaults, Each, EntryError, Feed, Terms, whole};
use crate::{Pattern, Strength};

/// The format.
pub(super) struct Csv;

/// Which column is what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Columns {
    /// What stands between columns: one character; a comma when left out.
    pub delimiter: Option<char>,
    /// The first line names the columns.
    pub header: bool,
    /// The column with the indicator, by its name in the header or its number from 1.
    pub value: Column,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: Type,
    /// The column with a reference: an id, a link.
    pub reference: Option<Column>,
    /// The column with the confidence, 0 to 100.
    pub confidence: Option<Column>,
    /// The column with the time until which it holds (RFC 3339).
    pub until: Option<Column>,
}

/// A column, by number or name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Column {
    /// From 1.
    Number(usize),
    /// As the header has it.
    Name(String),
}

impl Default for Column {
    fn default() -> Column {
        Column::Number(1)
    }
}

/// What a column's values are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Type {
    /// What they look like: a hash, an address, a URL, an account or a domain.
    #[default]
    Auto,
    /// Domains.
    Domain,
    /// URLs.
    Url,
    /// Hashes of files.
    Hash,
    /// Addresses and ranges.
    Address,
    /// XMPP accounts and servers.
    Xmpp,
    /// Matrix accounts.
    Matrix,
    /// IRC nicks.
    Irc,
    /// SIP addresses.
    Sip,
    /// Words of messages.
    Text,
}

impl Feed for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn about(&self) -> &'static str {
        "Any table: `columns` says which column holds the indicator and what it is, which its reference, confidence \
         and end."
    }

    fn example(&self) -> &'static str {
        "evil.example,phishing,someone\n\"https://bad.example/a,b\",phishing,someone\n"
    }

    fn defaults(&self) -> Defaults {
        Defaults { kind: ThreatKind::Other, confidence: 60, strength: Strength::Block, days: Some(30) }
    }

    fn read(&self, bytes: &[u8], terms: &Terms, each: &mut Each<'_>) {
        let columns = &terms.columns;
        let delimiter = columns.delimiter.map_or(Ok(b','), |c| u8::try_from(u32::from(c)));
        let Ok(delimiter) = delimiter else { return each(whole("columns.delimiter: one ASCII character")) };
        let mut records = records(bytes, delimiter);
        let header = match columns.header.then(|| records.next()).flatten() {
            None => Vec::new(),
            Some((_, Ok(header))) => header,
            Some((_, Err(why))) => return each(whole(format!("the header: {why}"))),
        };
        let place_of = |column: &Column| match column {
            Column::Number(at) => at.checked_sub(1).ok_or("columns are counted from 1".to_owned()),
            Column::Name(name) => {
                let found = header.iter().position(|have| have.eq_ignore_ascii_case(name));
                found.ok_or_else(|| format!("no column `{name}`; the header has {}", header.join(", ")))
            }
        };
        let optional = |column: &Option<Column>| column.as_ref().map(place_of).transpose();
        let places = (|| {
            let value = place_of(&columns.value)?;
            Ok((value, optional(&columns.reference)?, optional(&columns.confidence)?, optional(&columns.until)?))
        })();
        let (value, reference, confidence, until) = match places {
            Ok(places) => places,
            Err::<_, String>(why) => return each(whole(why)),
        };
        for (line, record) in records {
            let place = format!("line {line}");
            let cell = |at: Option<usize>, record: &[String]| at.and_then(|at| record.get(at).cloned());
            each(record.map_err(|why| EntryError { place: place.clone(), why: why.to_owned() }).and_then(|record| {
                let text = record.get(value).ok_or("too few columns");
                let mut indicator = terms.entry(text.and_then(|text| columns.kind.pattern(text)), place)?;
                if let Some(reference) = cell(reference, &record).filter(|text| !text.is_empty()) {
                    indicator.source.reference = Some(reference.chars().take(200).collect());
                }
                if let Some(sure) = cell(confidence, &record).and_then(|text| text.trim().parse::<f64>().ok()) {
                    indicator.confidence = sure.clamp(0.0, 100.0) as u8;
                }
                if let Some(until) = cell(until, &record).and_then(|text| text.trim().parse::<Timestamp>().ok()) {
                    indicator.valid_until = Some(until);
                }
                Ok(indicator)
            }));
        }
    }
}

impl Type {
    fn pattern(self, text: &str) -> Result<Pattern, &'static str> {
        let text = text.trim();
        match self {
            Type::Auto => guess(text),
            Type::Domain => Pattern::domain(text.trim_start_matches("*.").trim_start_matches('.')),
            Type::Url if text.contains("://") => Pattern::url(text, false),
            Type::Url => Pattern::url(&format!("http://{text}"), false),
            Type::Hash => Pattern::file(text),
            Type::Address => Pattern::net(text),
            Type::Xmpp => Pattern::account(Protocol::Xmpp, text),
            Type::Matrix => Pattern::account(Protocol::Matrix, text),
            Type::Irc => Pattern::account(Protocol::Irc, text),
            Type::Sip => Pattern::account(Protocol::Sip, text),
            Type::Text => Pattern::text(text),
        }
    }
}

fn guess(text: &str) -> Result<Pattern, &'static str> {
    if text.contains("://") {
        return Pattern::url(text, false);
    }
    if let Ok(net) = Pattern::net(text) {
        return Ok(net);
    }
    if text.starts_with('@') && text.contains(':') {
        return Pattern::account(Protocol::Matrix, text);
    }
    if text.contains('@') {
        return Pattern::account(Protocol::Xmpp, text);
    }
    if text.contains('/') {
        return Pattern::url(&format!("http://{text}"), false);
    }
    Pattern::file(text)
        .or_else(|_| Type::Domain.pattern(text))
        .map_err(|_| "neither domain, URL, hash, address nor account")
}

/// Bytes of one record.
const RECORD: usize = 64 * 1024;
/// Columns of one record.
const COLUMNS: usize = 256;

/// The records of a CSV file (RFC 4180), each with the line it begins on. Lines that begin with `#` are comments.
/// After a record that can't be read, the next line is tried.
pub(super) fn records(bytes: &[u8], delimiter: u8) -> Records<'_> {
    Records { rest: bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes), line: 1, delimiter }
}

/// See [`records`].
pub(super) struct Records<'a> {
    rest: &'a [u8],
    line: usize,
    delimiter: u8,
}

impl Iterator for Records<'_> {
    type Item = (usize, Result<Vec<String>, &'static str>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let end = self.rest.iter().position(|b| *b == b'\n').unwrap_or(self.rest.len());
            let line = self.rest.get(..end).unwrap_or_default();
            if !line.starts_with(b"#") && !line.iter().all(u8::is_ascii_whitespace) {
                break;
            }
            self.skip(end + 1);
        }
        let at = self.line;
        let window = self.rest.get(..RECORD.min(self.rest.len())).unwrap_or_default();
        match record(window, self.delimiter) {
            Ok((columns, used)) => {
                self.skip(used);
                Some((at, Ok(columns)))
            }
            Err(why) => {
                let end = self.rest.iter().position(|b| *b == b'\n').unwrap_or(self.rest.len());
                self.skip(end + 1);
                Some((at, Err(why)))
            }
        }
    }
}

impl Records<'_> {
    fn skip(&mut self, bytes: usize) {
        let (gone, rest) = self.rest.split_at(bytes.min(self.rest.len()));
        self.line += gone.iter().filter(|b| **b == b'\n').count();
        self.rest = rest;
    }
}

/// One record, and how many bytes it took.
fn record(bytes: &[u8], delimiter: u8) -> Result<(Vec<String>, usize), &'static str> {
    let mut columns = Vec::new();
    let mut at = 0;
    loop {
        let mut field = Vec::new();
        while matches!(bytes.get(at), Some(b' ')) && delimiter != b' ' {
            at += 1;
        }
        let begin = at;
        if bytes.get(at) == Some(&b'"') {
            at += 1;
            loop {
                match (bytes.get(at), bytes.get(at + 1)) {
                    (Some(b'"'), Some(b'"')) => {
                        field.push(b'"');
                        at += 2;
                    }
                    (Some(b'"'), _) => {
                        at += 1;
                        break;
                    }
                    (Some(byte), _) => {
                        field.push(*byte);
                        at += 1;
                    }
                    (None, _) => return Err("a quote that is never closed"),
                }
            }
        }
        let quoted = at > begin && bytes.get(begin) == Some(&b'"');
        while let Some(byte) = bytes.get(at).filter(|byte| **byte != delimiter && **byte != b'\n') {
            if quoted && !byte.is_ascii_whitespace() {
                return Err("text after a closing quote, or a quote that is never closed");
            }
            field.push(*byte);
            at += 1;
        }
        if columns.len() == COLUMNS {
            return Err("more than 256 columns");
        }
        let text = String::from_utf8(field).map_err(|_| "not UTF-8")?;
        columns.push(text.trim_end_matches('\r').trim().to_owned());
        match bytes.get(at) {
            Some(byte) if *byte == delimiter => at += 1,
            Some(_) => return Ok((columns, at + 1)),
            None if at >= RECORD => return Err("longer than 64 KiB"),
            None => return Ok((columns, at)),
        }
    }
}
