//! Hosts files: names that are to be sent nowhere.

use std::net::IpAddr;

use indicators::ThreatKind;

use super::{Defaults, Each, EntryError, Feed, Terms, lines};
use crate::{Pattern, Strength};

/// The format.
pub(super) struct Hosts;

impl Feed for Hosts {
    fn name(&self) -> &'static str {
        "hosts"
    }

    fn about(&self) -> &'static str {
        "A hosts file: `0.0.0.0 evil.example`; every name sent to a loopback or unspecified address."
    }

    fn example(&self) -> &'static str {
        "127.0.0.1 localhost\n0.0.0.0 evil.example worse.example # why\n::1 bad.example\n"
    }

    fn defaults(&self) -> Defaults {
        Defaults { kind: ThreatKind::Malware, confidence: 60, strength: Strength::Block, days: None }
    }

    fn read(&self, bytes: &[u8], terms: &Terms, each: &mut Each<'_>) {
        for (at, line) in lines(bytes) {
            let place = || format!("line {at}");
            let wrong = |why: &str| Err(EntryError { place: place(), why: why.to_owned() });
            let line = match line {
                Ok(line) => line.split('#').next().unwrap_or_default(),
                Err(why) => {
                    each(wrong(why));
                    continue;
                }
            };
            let mut words = line.split_whitespace();
            let Some(first) = words.next() else { continue };
            match first.parse::<IpAddr>() {
                Ok(sink) if sink.is_loopback() || sink.is_unspecified() => {
                    for name in words.filter(|name| !is_boilerplate(name)) {
                        each(terms.entry(Pattern::domain(name), place()));
                    }
                }
                // What machines nearby are called is no concern of a feed.
                Ok(_) if words.clone().all(is_boilerplate) => {}
                Ok(_) => each(wrong("a name that is sent to an address other than loopback")),
                Err(_) => each(wrong("not a hosts file's line; it begins with an address")),
            }
        }
    }
}

/// Names that every hosts file has.
fn is_boilerplate(name: &str) -> bool {
    !name.contains('.') || name == "localhost.localdomain" || name.parse::<IpAddr>().is_ok()
}
