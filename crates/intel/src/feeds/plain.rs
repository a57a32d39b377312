//! Plain lists, one entry a line, as `indicators::list` reads them.

use indicators::ThreatKind;
use indicators::list;

use super::{Defaults, Each, EntryError, Feed, Terms, lines};
use crate::{Pattern, Strength};

/// The format.
pub(super) struct Plain;

impl Feed for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }

    fn about(&self) -> &'static str {
        "One domain, URL, SHA-256, address, range, account, `text:` or `shape:` a line; `#` begins a comment."
    }

    fn example(&self) -> &'static str {
        "# ours\nevil.example\nhxxps://bad[.]example/login\n198.18.0.0/15\nxmpp:spam.example\ntext: claim your free prize\n"
    }

    fn defaults(&self) -> Defaults {
        Defaults { kind: ThreatKind::Other, confidence: 75, strength: Strength::Block, days: None }
    }

    fn read(&self, bytes: &[u8], terms: &Terms, each: &mut Each<'_>) {
        for (at, line) in lines(bytes) {
            let place = || format!("line {at}");
            let read =
                line.and_then(|line| list::read_line(line, &mut |entry| each(terms.entry(pattern(entry), place()))));
            if let Err(why) = read {
                each(Err(EntryError { place: place(), why: why.to_owned() }));
            }
        }
    }
}

/// A list's entry as a pattern.
fn pattern(entry: list::Pattern) -> Result<Pattern, &'static str> {
    match entry {
        list::Pattern::Host(host) => Pattern::domain(&host),
        list::Pattern::Url(url) => Pattern::url(&url, url.ends_with('/') && !url.contains('?')),
        list::Pattern::Sha256(hash) => Ok(Pattern::File { hash: hex(&hash) }),
        list::Pattern::Net(net) => Ok(Pattern::Net { address: net.ip, bits: net.length }),
        list::Pattern::Account(protocol, account) => Pattern::account(protocol, &account),
        list::Pattern::Text(words) => Pattern::text(&words),
        list::Pattern::Shape(shape) => Ok(Pattern::NearText { shape: format!("{shape:016x}") }),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
