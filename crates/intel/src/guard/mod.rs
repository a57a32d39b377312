//! What may never stop a message, whoever lists it: shared hosts, top sites, public suffixes, private
//! addresses, hashes of nothing, patterns so short that everybody's messages have them.
//!
//! Feeds are written by strangers, and by mistake or malice some list `github.com`. A [`Guard`] is asked
//! before an indicator may match anything; what it refuses or weakens is listed with the reason and the
//! warning list that says so. The index has a floor of its own below it (`indicators::Builder`).

mod known;
mod size;
mod warning;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use indicators::canonical::{canonical, trim_dot};
use indicators::net::{Net, is_public};
use indicators::{Strength as Good, is_shared_host};
use url::{Host, Url};

use crate::{Indicator, Pattern, Strength};

pub use size::{ChangeBounds, Held};
pub use warning::{WarningError, WarningList};

use warning::{Names, Standing};

/// Why an indicator may not match, or not stop anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The warning list that says so; `portcullis` for the guard's own rules.
    pub list: Arc<str>,
    /// The reason.
    pub why: Cow<'static, str>,
}

/// What becomes of an indicator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It matches, with this strength.
    Take(Strength),
    /// It was meant to stop messages and is only shown beside other evidence.
    Weaken(Refusal),
    /// It does not match at all.
    Refuse(Refusal),
}

/// The warning lists in force.
#[derive(Debug)]
pub struct Guard {
    own: Arc<str>,
    names: Names,
    nets: Vec<(Net, Arc<str>)>,
    hashes: std::collections::HashMap<Box<str>, Arc<str>>,
    substrings: Vec<(Box<str>, Arc<str>)>,
}

impl Guard {
    /// The least confidence with which a match may stop a message.
    pub const CONFIDENT: u8 = 50;
    /// Warning lists beside the bundled one.
    pub const LISTS: usize = 256;

    /// The project's own list.
    pub fn bundled() -> Guard {
        let own: Arc<str> = "portcullis".into();
        let mut guard = Guard {
            own: own.clone(),
            names: Names::default(),
            nets: Vec::new(),
            hashes: std::collections::HashMap::new(),
            substrings: Vec::new(),
        };
        for name in known::SITES {
            guard.names.add(name, true, &own);
        }
        for hash in known::HASHES {
            guard.hashes.insert((*hash).into(), own.clone());
        }
        guard
    }

    /// With one more warning list of the operator's.
    pub fn with(mut self, list: WarningList) -> Guard {
        let name = list.name;
        for host in list.hosts {
            self.names.add(&host, list.below, &name);
        }
        self.nets.extend(list.nets.into_iter().map(|net| (net, name.clone())));
        self.hashes.extend(list.hashes.into_iter().map(|hash| (hash, name.clone())));
        self.substrings.extend(list.substrings.into_iter().map(|text| (text, name.clone())));
        self
    }

    /// What a match on an indicator may be good for, or why it may not match.
    pub fn check(&self, indicator: &Indicator) -> Result<Strength, Refusal> {
        match self.rule(indicator) {
            Ruling::Take(strength) => Ok(strength),
            Ruling::Weaken(_) => Ok(Strength::Note),
            Ruling::Refuse(refusal) => Err(refusal),
        }
    }

    /// The same with the reason of a weakening.
    pub fn rule(&self, indicator: &Indicator) -> Ruling {
        match self.standing(&indicator.pattern) {
            Standing::Free if indicator.strength == Strength::Note => Ruling::Take(Strength::Note),
            Standing::Free if indicator.confidence < Guard::CONFIDENT => {
                Ruling::Weaken(self.own("its confidence is too low to stop a message"))
            }
            Standing::Free => Ruling::Take(Strength::Block),
            Standing::Doubtful(_) if indicator.strength == Strength::Note => Ruling::Take(Strength::Note),
            Standing::Doubtful(refusal) => Ruling::Weaken(refusal),
            Standing::Unfit(refusal) => Ruling::Refuse(refusal),
        }
    }

    fn own(&self, why: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { list: self.own.clone(), why: why.into() }
    }

    fn standing(&self, pattern: &Pattern) -> Standing {
        match pattern {
            Pattern::Domain { value } => self.domain(value),
            Pattern::Url { value, prefix } => self.url(value, *prefix),
            Pattern::File { hash } => self.hash(hash),
            Pattern::Net { address, bits } => self.net(*address, *bits),
            Pattern::Account { value, .. } => self.account(value),
            Pattern::Text { value } => self.text(value),
            Pattern::NearText { .. } | Pattern::Yara { .. } => Standing::Free,
        }
    }

    fn domain(&self, value: &str) -> Standing {
        let name = match Host::parse(trim_dot(value)) {
            Ok(Host::Domain(name)) => name,
            Ok(Host::Ipv4(ip)) => return self.net(IpAddr::V4(ip), 32),
            Ok(Host::Ipv6(ip)) => return self.net(IpAddr::V6(ip), 128),
            Err(_) => return Standing::Unfit(self.own("not a host name")),
        };
        let name = trim_dot(&name);
        if psl::domain_str(name).is_none() {
            return Standing::Unfit(self.own("a public suffix or a name of the local network"));
        }
        if is_shared_host(name) {
            return Standing::Unfit(self.own("many people post under this name; list the URLs that are bad"));
        }
        if let Some(text) = self.substrings.iter().find(|(text, _)| name.contains(&**text)) {
            return Standing::Unfit(Refusal { list: text.1.clone(), why: "the list has a part of it".into() });
        }
        self.names.standing(name)
    }

    /// A page may be listed on any host where its path is deep enough to name one poster's.
    fn url(&self, value: &str, prefix: bool) -> Standing {
        let Ok(url) = Url::parse(value) else { return Standing::Unfit(self.own("not a URL")) };
        let form = canonical(&url);
        let Some(host) = Url::parse(&form).ok().and_then(|url| url.host().map(|host| host.to_owned())) else {
            return Standing::Unfit(self.own("a URL without a host can't be matched"));
        };
        let name = match host {
            Host::Ipv4(ip) => return self.net(IpAddr::V4(ip), 32),
            Host::Ipv6(ip) => return self.net(IpAddr::V6(ip), 128),
            Host::Domain(name) => name,
        };
        let shared = is_shared_host(&name);
        let whole = self.domain(&name);
        let segments: Vec<&str> = url.path().split('/').filter(|part| !part.is_empty()).collect();
        if psl::domain_str(&name).is_none() || (segments.is_empty() && url.query().is_none()) {
            return whole;
        }
        if !matches!(whole, Standing::Unfit(_)) {
            return Standing::Free;
        }
        let last = segments.last().map(|last| last.to_ascii_lowercase());
        if url.query().is_none() && last.is_some_and(|last| known::ENDPOINTS.contains(&last.as_str())) {
            return Standing::Unfit(self.own("a page that everybody's links to this site go through"));
        }
        if prefix && segments.len() < 2 && !shared {
            return Standing::Doubtful(self.own("all that lies under one folder of a site that many use"));
        }
        Standing::Free
    }

    fn hash(&self, hash: &str) -> Standing {
        let hash = hash.to_ascii_lowercase();
        if let Some(list) = self.hashes.get(&*hash) {
            return Standing::Unfit(Refusal {
                list: list.clone(),
                why: "the hash of an empty or everyday file".into(),
            });
        }
        match hash.len() {
            64 => Standing::Free,
            32 | 40 => Standing::Unfit(self.own("only SHA-256 is computed of files; the hash is kept for exchange")),
            _ => Standing::Unfit(self.own("not a hash of a file")),
        }
    }

    fn net(&self, address: IpAddr, bits: u8) -> Standing {
        if !is_public(address) {
            return Standing::Unfit(self.own("not an address of the public Internet"));
        }
        let net = Net { ip: address, length: bits };
        match self.nets.iter().find(|(listed, _)| overlaps(*listed, net)) {
            Some((_, list)) => Standing::Unfit(Refusal { list: list.clone(), why: "the list has the address".into() }),
            None if bits < indicators::Builder::SHORTEST[usize::from(address.is_ipv6())] => {
                Standing::Unfit(self.own("so broad a range hits whole networks of bystanders"))
            }
            None => Standing::Free,
        }
    }

    /// One account may be listed anywhere; a whole server not where many people have theirs.
    fn account(&self, value: &str) -> Standing {
        let names_one = value.contains('@') || value.contains('!') || value.contains(':');
        if names_one {
            return Standing::Free;
        }
        if known::CHAT_SERVERS.contains(&value.to_ascii_lowercase().as_str()) {
            return Standing::Unfit(
                self.own("many people have their accounts on this server; list those that are bad"),
            );
        }
        match psl::domain_str(value) {
            Some(_) => self.domain(value),
            None => Standing::Free,
        }
    }

    fn text(&self, value: &str) -> Standing {
        let folded = indicators::text::fold(value.trim()).text;
        match indicators::text::unfit(&folded) {
            Some(why) => Standing::Unfit(self.own(why)),
            None if known::PHRASES.contains(&folded.as_str()) => Standing::Unfit(self.own("people say this every day")),
            None => Standing::Free,
        }
    }
}

/// The index' word for a strength.
pub(crate) fn good_for(strength: Strength) -> Good {
    match strength {
        Strength::Note => Good::Note,
        Strength::Block => Good::Block,
    }
}

fn overlaps(a: Net, b: Net) -> bool {
    let length = a.length.min(b.length);
    a.ip.is_ipv4() == b.ip.is_ipv4()
        && Net::parse(&format!("{}/{length}", a.ip)) == Net::parse(&format!("{}/{length}", b.ip))
}

#[cfg(test)]
mod tests;
