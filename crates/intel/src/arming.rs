//! Putting indicators into the matching index: each passes the guard, and what may not match is listed.

use std::net::IpAddr;
use std::sync::Arc;

use indicators::net::Net;
use indicators::{Builder, Index, Source, ThreatKind};
use jiff::Timestamp;

use crate::guard::{Guard, Ruling, good_for};
use crate::{Indicator, Kind, Pattern, Strength};

/// What the guard did not let pass as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The source it is from.
    pub source: Arc<str>,
    /// Its place there.
    pub reference: Option<String>,
    /// The pattern, shortened and not clickable.
    pub pattern: String,
    /// Taken as a note; otherwise not at all.
    pub weakened: bool,
    /// The warning list.
    pub list: Arc<str>,
    /// The reason.
    pub why: String,
}

/// A YARA rule that is to be in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YaraRule {
    /// The source it is from.
    pub source: Arc<str>,
    /// Whether a match may stop a message.
    pub strength: Strength,
    /// Its name.
    pub name: String,
    /// Its text.
    pub rule: String,
}

/// Collects the indicators of every source.
#[derive(Debug)]
pub struct Arming<'g> {
    guard: &'g Guard,
    now: Timestamp,
    builder: Builder,
    yara: Vec<YaraRule>,
    rejected: Vec<Rejected>,
    rejected_more: u64,
    expired: u64,
    until: Option<Timestamp>,
}

/// What gateways match against.
#[derive(Debug)]
pub struct Armed {
    /// Everything but rules for files.
    pub index: Index,
    /// Rules for files.
    pub yara: Vec<YaraRule>,
    /// What was refused or weakened, as much as is kept.
    pub rejected: Vec<Rejected>,
    /// How many more were.
    pub rejected_more: u64,
    /// Indicators whose time is over.
    pub expired: u64,
    /// When the next one begins or ends to hold, so that all this is to be done again.
    pub until: Option<Timestamp>,
}

impl<'g> Arming<'g> {
    /// Rejections that are kept; further ones are counted.
    pub const REJECTED: usize = 10_000;
    /// YARA rules in force.
    pub const YARA: usize = 20_000;

    /// Nothing yet; `now` decides what is expired.
    pub fn new(guard: &'g Guard, now: Timestamp) -> Arming<'g> {
        Arming {
            guard,
            now,
            builder: Index::builder(),
            yara: Vec::new(),
            rejected: Vec::new(),
            rejected_more: 0,
            expired: 0,
            until: None,
        }
    }

    /// The clock.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The index's own builder, for lists that the operator keeps himself.
    pub fn builder(&mut self) -> &mut Builder {
        &mut self.builder
    }

    /// Adds an indicator of a source. `kind` is what findings say it warns of.
    pub fn add(&mut self, source: &Arc<str>, kind: ThreatKind, indicator: &Indicator) {
        if !self.holds(indicator) {
            return;
        }
        let strength = match self.guard.rule(indicator) {
            Ruling::Take(strength) => strength,
            Ruling::Weaken(refusal) => {
                self.reject(source, indicator, true, refusal.list, refusal.why.into_owned());
                Strength::Note
            }
            Ruling::Refuse(refusal) => {
                return self.reject(source, indicator, false, refusal.list, refusal.why.into_owned());
            }
        };
        let said = Source { list: source.clone(), kind, strength: good_for(strength), line: 0 };
        match &indicator.pattern {
            Pattern::Domain { value } => self.builder.add_host(&said, value),
            Pattern::Url { value, prefix } => {
                if !(*prefix && value.ends_with('/')) {
                    self.builder.add_url(&said, value);
                }
                if *prefix {
                    self.builder.add_url(&said, &format!("{}/", value.trim_end_matches('/')));
                }
            }
            Pattern::File { hash } => {
                if let Some(hash) = sha256(hash) {
                    self.builder.add_hash(&said, &hash);
                }
            }
            Pattern::Net { address, bits } => self.builder.add_ip_range(&said, net(*address, *bits)),
            Pattern::Account { protocol, value } => self.builder.add_account(&said, *protocol, value),
            Pattern::Text { value } => self.builder.add_text(&said, value),
            Pattern::NearText { shape } => match u64::from_str_radix(shape, 16) {
                Ok(shape) => self.builder.add_shape(&said, shape),
                Err(_) => self.reject(source, indicator, false, "portcullis".into(), "not a shape".to_owned()),
            },
            Pattern::Yara { name, rule } => {
                if self.yara.len() == Arming::YARA {
                    let why = format!("more than {} rules", Arming::YARA);
                    return self.reject(source, indicator, false, "portcullis".into(), why);
                }
                let (name, rule) = (name.clone(), rule.clone());
                self.yara.push(YaraRule { source: source.clone(), strength, name, rule });
            }
        }
    }

    /// The index, and what became of what was added.
    pub fn finish(mut self) -> Armed {
        let more = self.builder.refused_more();
        let (index, refused) = self.builder.build();
        for one in refused {
            if self.rejected.len() == Arming::REJECTED {
                self.rejected_more += 1;
                continue;
            }
            self.rejected.push(Rejected {
                source: one.list,
                reference: (one.line > 0).then(|| format!("line {}", one.line)),
                pattern: one.entry.into(),
                weakened: false,
                list: "portcullis".into(),
                why: one.why.to_owned(),
            });
        }
        Armed {
            index,
            yara: self.yara,
            rejected: self.rejected,
            rejected_more: self.rejected_more + more,
            expired: self.expired,
            until: self.until,
        }
    }

    /// Whether an indicator holds now; notes when that changes.
    fn holds(&mut self, indicator: &Indicator) -> bool {
        let (from, until) = (indicator.valid_from, indicator.valid_until);
        let next = from.filter(|from| *from > self.now).or(until).filter(|next| *next > self.now);
        self.until = [self.until, next].into_iter().flatten().min();
        let over = until.is_some_and(|until| until <= self.now);
        self.expired += u64::from(over);
        !over && from.is_none_or(|from| from <= self.now)
    }

    fn reject(&mut self, source: &Arc<str>, indicator: &Indicator, weakened: bool, list: Arc<str>, why: String) {
        if self.rejected.len() == Arming::REJECTED {
            self.rejected_more += 1;
            return;
        }
        let reference = indicator.source.reference.clone();
        let pattern = indicator.pattern.shown();
        self.rejected.push(Rejected { source: source.clone(), reference, pattern, weakened, list, why });
    }
}

/// What findings say that indicators of such a threat warn of.
pub fn warns_of(kind: Kind) -> ThreatKind {
    match kind {
        Kind::Phishing | Kind::AccountHijack => ThreatKind::Phishing,
        Kind::Spim => ThreatKind::Spam,
        Kind::Worm | Kind::Trojan | Kind::Botnet | Kind::Exploit | Kind::P2pMalware => ThreatKind::Malware,
    }
}

fn net(ip: IpAddr, length: u8) -> Net {
    Net { ip, length: length.min(if ip.is_ipv4() { 32 } else { 128 }) }
}

fn sha256(hash: &str) -> Option<[u8; 32]> {
    let bytes = hash.as_bytes();
    if bytes.len() != 64 {
        return None;
    }
    let mut out = [0; 32];
    for (byte, pair) in out.iter_mut().zip(bytes.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Provenance, Tlp};

    fn indicator(pattern: Pattern) -> Indicator {
        let source = Provenance { feed: "f".into(), reference: Some("line 3".into()), fetched: None };
        Indicator {
            id: pattern.id(),
            pattern,
            threat: None,
            confidence: 80,
            strength: Strength::Block,
            valid_from: None,
            valid_until: None,
            source,
            marking: Tlp::Clear,
        }
    }

    #[test]
    fn what_holds_now_matches_and_the_rest_waits_or_is_over() {
        let now: Timestamp = "2026-11-23T04:00:00Z".parse().unwrap();
        let later: Timestamp = "2026-11-24T04:00:00Z".parse().unwrap();
        let guard = Guard::bundled();
        let mut arming = Arming::new(&guard, now);
        let source: Arc<str> = "f".into();
        let domain = |value: &str| indicator(Pattern::Domain { value: value.into() });
        for one in [
            domain("now.badcdn.top"),
            Indicator { valid_until: Some(later), ..domain("until.badcdn.top") },
            Indicator { valid_from: Some(later), ..domain("later.badcdn.top") },
            Indicator { valid_until: Some(now), ..domain("over.badcdn.top") },
            domain("github.com"),
            domain("login.microsoftonline.com"),
        ] {
            arming.add(&source, ThreatKind::Malware, &one);
        }
        let armed = arming.finish();
        for (host, hit) in [("now", true), ("until", true), ("later", false), ("over", false)] {
            assert_eq!(armed.index.host(&format!("{host}.badcdn.top")).is_some(), hit, "{host}");
        }
        assert_eq!((armed.expired, armed.until), (1, Some(later)));
        assert!(armed.index.host("github.com").is_none());
        let noted = armed.index.host("login.microsoftonline.com").unwrap();
        assert_eq!(noted.strength, indicators::Strength::Note);
        let said: Vec<_> = armed.rejected.iter().map(|r| (r.pattern.as_str(), r.weakened)).collect();
        assert_eq!(said, [("github[.]com", false), ("login[.]microsoftonline[.]com", true)]);
    }

    #[test]
    fn a_url_prefix_is_the_page_and_what_lies_below() {
        let guard = Guard::bundled();
        let mut arming = Arming::new(&guard, Timestamp::UNIX_EPOCH);
        let url = Pattern::Url { value: "https://badcdn.top/a".into(), prefix: true };
        arming.add(&"f".into(), ThreatKind::Malware, &indicator(url));
        let index = arming.finish().index;
        for (url, hit) in [("a", true), ("a/b", true), ("ab", false)] {
            assert_eq!(index.url(&format!("http://badcdn.top/{url}")).is_some(), hit, "{url}");
        }
    }
}
