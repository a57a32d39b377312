//! Links: on a list, posing as another site, or hiding where they lead.

use std::sync::Arc;

use foldhash::HashSet;
use indicators::net::{embedded_v4, is_public};
use indicators::{Hit, Index, Matched, ThreatKind, is_shared_host};
use model::{Evidence, SymbolInfo};
use unicode_security::mixed_script::AugmentedScriptSet;

use super::brands::SHORTENERS;
use super::config::{Config, ConfigError, domain};
use super::known;
use super::lookalike::{Brands, Pose};
use crate::facts::{Link, Oddity};
use crate::{Case, Detector, Findings};

const PHISHING: SymbolInfo = SymbolInfo {
    symbol: "link.indicator.phishing",
    score: 10.0,
    about: "A link to a site that a list names as phishing",
    technique: Some("T1566.002"),
};
const MALWARE: SymbolInfo = SymbolInfo {
    symbol: "link.indicator.malware",
    score: 10.0,
    about: "A link to a site that a list names as spreading malicious software",
    technique: Some("T1204.001"),
};
const SPAM: SymbolInfo = SymbolInfo {
    symbol: "link.indicator.spam",
    score: 8.0,
    about: "A link to a site that a list names as advertised by spam or fraud",
    technique: None,
};
const LOCAL: SymbolInfo = SymbolInfo {
    symbol: "link.indicator.local",
    score: 10.0,
    about: "A link to a site on a list of the operator's own",
    technique: None,
};
const LOOKALIKE: SymbolInfo = SymbolInfo {
    symbol: "link.lookalike",
    score: 9.0,
    about: "A host name spelt to read like a well-known one (a letter of another alphabet, paypa1, rnicrosoft)",
    technique: Some("T1583.001"),
};
const BRAND: SymbolInfo = SymbolInfo {
    symbol: "link.brand",
    score: 3.0,
    about: "A well-known name on somebody else's domain (paypal.com.example.net, paypal-login.example)",
    technique: Some("T1583.001"),
};
const SCRIPT: SymbolInfo = SymbolInfo {
    symbol: "link.script",
    score: 8.0,
    about: "A link that runs a script instead of opening a page (javascript:, data:text/html)",
    technique: Some("T1059.007"),
};
const MISMATCH: SymbolInfo = SymbolInfo {
    symbol: "link.mismatch",
    score: 4.0,
    about: "The link shows the address of one site and leads to another",
    technique: Some("T1566.002"),
};
const OBFUSCATED: SymbolInfo = SymbolInfo {
    symbol: "link.obfuscated",
    score: 4.0,
    about: "Where the link leads is hidden: invisible characters, odd number forms, percent-encoded host, backslash",
    technique: Some("T1027"),
};
const PUNYCODE_INVALID: SymbolInfo = SymbolInfo {
    symbol: "link.punycode_invalid",
    score: 4.0,
    about: "An encoded international host name that decodes to nothing",
    technique: None,
};
const MIXED_SCRIPT: SymbolInfo = SymbolInfo {
    symbol: "link.mixed_script",
    score: 3.0,
    about: "A host name that mixes alphabets that do not belong together",
    technique: None,
};
const CREDENTIALS: SymbolInfo = SymbolInfo {
    symbol: "link.credentials",
    score: 3.0,
    about: "A user name before the host, which may look like the host",
    technique: None,
};
const EXECUTABLE: SymbolInfo = SymbolInfo {
    symbol: "link.executable",
    score: 3.0,
    about: "The link's path ends like a program's or script's name",
    technique: Some("T1204.002"),
};
const RAW_IP: SymbolInfo = SymbolInfo {
    symbol: "link.raw_ip",
    score: 2.0,
    about: "The link leads to a bare address of the public Internet",
    technique: None,
};
const PRIVATE_IP: SymbolInfo = SymbolInfo {
    symbol: "link.private_ip",
    score: 1.0,
    about: "The link leads to a private, loopback or otherwise special address",
    technique: None,
};
const ODD_PORT: SymbolInfo =
    SymbolInfo { symbol: "link.odd_port", score: 1.0, about: "The link leads to an unusual port", technique: None };
const SHORTENER: SymbolInfo = SymbolInfo {
    symbol: "link.shortener",
    score: 1.0,
    about: "A shortening service hides where the link leads",
    technique: None,
};
const DEFANGED: SymbolInfo = SymbolInfo {
    symbol: "link.defanged",
    score: 0.5,
    about: "The link is written so that software does not recognise it",
    technique: None,
};

/// Path endings of what runs when opened. Left out are those that pages and everyday
/// downloads have (`.js`, `.com`, `.iso`).
const EXECUTABLES: &[&str] = &[
    "apk",
    "appx",
    "appxbundle",
    "bat",
    "chm",
    "cmd",
    "cpl",
    "dll",
    "dmg",
    "exe",
    "hta",
    "jar",
    "jnlp",
    "jse",
    "lnk",
    "msi",
    "msix",
    "msixbundle",
    "msp",
    "ocx",
    "pif",
    "pkg",
    "ps1",
    "reg",
    "scf",
    "scr",
    "settingcontent-ms",
    "vbe",
    "vbs",
    "vhd",
    "vhdx",
    "wsf",
    "wsh",
    "xll",
];

/// The longest host name there can be (RFC 1035 section 2.3.4); longer ones lead nowhere.
const NAME_BYTES: usize = 253;

/// Ports that everyday services answer on.
const USUAL_PORTS: &[u16] = &[21, 80, 443, 3000, 5000, 8000, 8008, 8080, 8081, 8443, 8888];

/// The detector.
pub(super) struct Links {
    index: Arc<Index>,
    brands: Brands,
    shorteners: HashSet<Box<str>>,
}

impl Links {
    /// With the operator's settings.
    pub(super) fn new(config: &Config, index: Arc<Index>) -> Result<Links, ConfigError> {
        let mut shorteners: HashSet<Box<str>> = SHORTENERS.iter().map(|host| Box::from(*host)).collect();
        for (i, host) in config.shorteners.iter().enumerate() {
            shorteners.insert(domain("shorteners", i, host)?);
        }
        Ok(Links { index, brands: Brands::new(config)?, shorteners })
    }
}

impl Detector for Links {
    fn symbols(&self) -> &'static [SymbolInfo] {
        &[
            PHISHING,
            MALWARE,
            SPAM,
            LOCAL,
            LOOKALIKE,
            BRAND,
            SCRIPT,
            MISMATCH,
            OBFUSCATED,
            PUNYCODE_INVALID,
            MIXED_SCRIPT,
            CREDENTIALS,
            EXECUTABLE,
            RAW_IP,
            PRIVATE_IP,
            ODD_PORT,
            SHORTENER,
            DEFANGED,
        ]
    }

    fn inspect(&self, case: &Case<'_>, findings: &mut Findings) {
        if case.facts.links.is_empty() {
            return;
        }
        let mut seen = Seen { findings, pairs: HashSet::default() };
        for link in &case.facts.links {
            self.listed(link, &mut seen);
            if link.sure {
                self.address(link, &mut seen);
                self.writing(link, &mut seen);
            }
        }
    }
}

/// Findings, each symbol once a link and, when it is a mere hint, once a message: a hint
/// said ten times is still one hint.
struct Seen<'a, 'f> {
    findings: &'f mut Findings,
    pairs: HashSet<(&'static str, &'a str)>,
}

impl<'a> Seen<'a, '_> {
    const STRONG: f32 = 8.0;

    fn push(&mut self, info: &SymbolInfo, link: &'a Link, explain: impl FnOnce() -> String) {
        let about = if info.score >= Seen::STRONG { &*link.canonical } else { "" };
        if self.pairs.insert((info.symbol, about)) {
            self.findings.push(info.found(explain(), Some(evidence(link))));
        }
    }
}

impl Links {
    /// Is it on a list?
    fn listed<'a>(&self, link: &'a Link, seen: &mut Seen<'a, '_>) {
        if self.index.is_empty() || link.host.is_empty() {
            return;
        }
        let by_host = || if is_shared_host(&link.host) { None } else { self.index.host(&link.host) };
        let Some(hit) = self.index.url(&link.canonical).or_else(by_host) else { return };
        let info = match hit.kind {
            ThreatKind::Phishing => &PHISHING,
            ThreatKind::Malware => &MALWARE,
            ThreatKind::Spam => &SPAM,
            ThreatKind::Other => &LOCAL,
        };
        seen.push(known::of(info, &hit), link, || listed_because(link, &hit));
    }

    /// What is there to say about where it leads?
    fn address<'a>(&self, link: &'a Link, seen: &mut Seen<'a, '_>) {
        if is_script(link) {
            seen.push(&SCRIPT, link, || {
                format!("The link runs a script ({}:) instead of opening a page.", link.scheme)
            });
        }
        if let Some(ip) = link.ip {
            let inner = match ip {
                std::net::IpAddr::V6(v6) => {
                    embedded_v4(v6).map(|v4| format!(", which leads to {v4}")).unwrap_or_default()
                }
                std::net::IpAddr::V4(_) => String::new(),
            };
            if is_public(ip) {
                seen.push(&RAW_IP, link, || {
                    format!("The link leads to the bare address {ip}{inner}, not to a named site.")
                });
            } else {
                seen.push(&PRIVATE_IP, link, || format!("The link leads to the special address {ip}{inner}."));
            }
        }
        let is_web = matches!(&*link.scheme, "http" | "https" | "ftp" | "ws" | "wss");
        let is_here = link.ip.is_some_and(|ip| !is_public(ip)) || !link.host.contains('.');
        if let Some(port) = link.port.filter(|port| is_web && !is_here && !USUAL_PORTS.contains(port)) {
            seen.push(&ODD_PORT, link, || format!("The link leads to the unusual port {port}."));
        }
        if is_web && let Some(ending) = executable(&link.canonical) {
            seen.push(&EXECUTABLE, link, || format!("The link's path ends in .{ending}, as programs' names do."));
        }
        if self.shorteners.contains(link.host.strip_prefix("www.").unwrap_or(&link.host)) && has_path(&link.canonical) {
            seen.push(&SHORTENER, link, || format!("The shortening service {} hides where the link leads.", link.host));
        }
        if link.ip.is_none() && (1..=NAME_BYTES).contains(&link.host.len()) && !self.brands.is_home(&link.host) {
            self.name(link, seen);
        }
    }

    /// Does the host's name pose as another?
    fn name<'a>(&self, link: &'a Link, seen: &mut Seen<'a, '_>) {
        let unicode = link.unicode_host.as_deref().unwrap_or(&link.host);
        let suffix = psl::suffix_str(&link.host).map_or(0, |suffix| suffix.split('.').count());
        match self.brands.pose(&link.host, unicode, suffix) {
            Some(Pose::Imitates(brand)) => seen.push(&LOOKALIKE, link, || {
                format!("The host {} is spelt to read like {brand}, but is not {brand}'s.", shown_host(link))
            }),
            Some(Pose::Borrows(brand)) => seen.push(&BRAND, link, || {
                format!("The host {} carries the name {brand}, but is not {brand}'s.", shown_host(link))
            }),
            None => {}
        }
        if link.unicode_host.is_some() && unicode.split('.').any(mixes_scripts) {
            seen.push(&MIXED_SCRIPT, link, || {
                format!("The host {} mixes alphabets that do not belong together.", shown_host(link))
            });
        }
    }

    /// What is there to say about how it is written?
    fn writing<'a>(&self, link: &'a Link, seen: &mut Seen<'a, '_>) {
        let odd = link.oddities;
        if let Some(shown) = &link.shown
            && let Some(site) = other_site(shown, link)
        {
            seen.push(&MISMATCH, link, || {
                let target = if link.host.is_empty() { &link.scheme } else { &link.host };
                format!("The link shows {} but leads to {}.", defanged(&site), defanged(target))
            });
        }
        if odd.has(Oddity::Punycode) {
            seen.push(&PUNYCODE_INVALID, link, || {
                "The host is an encoded international name (xn--) that decodes to nothing.".to_owned()
            });
        }
        let hides = [
            (Oddity::Hidden, "invisible characters in the host"),
            (Oddity::Radix, "an address in an unusual number form"),
            (Oddity::Backslash, "a backslash, so that programs disagree about the host"),
            (Oddity::Escaped, "percent-encoding in the host"),
            (Oddity::Mapped, "special characters in the host that stand for plain ones"),
            (Oddity::Delimiter, "a character in the host that looks like a slash or colon"),
            (Oddity::Controls, "control characters inside the link"),
            (Oddity::Unreadable, "a form that no browser reads but other programs might"),
        ];
        if let Some((_, what)) = hides.iter().find(|(oddity, _)| odd.has(*oddity)) {
            seen.push(&OBFUSCATED, link, || format!("Where the link leads is hidden by {what}."));
        }
        if odd.has(Oddity::Credentials) && matches!(&*link.scheme, "http" | "https") {
            seen.push(&CREDENTIALS, link, || {
                format!("What stands before the @ is a user name; the link leads to {}.", defanged(&link.host))
            });
        }
        if link.defanged {
            seen.push(&DEFANGED, link, || "The link is written so that software does not recognise it.".to_owned());
        }
    }
}

/// Whether a label mixes scripts beyond what its language does: one script, or Latin beside
/// Chinese, Japanese or Korean ("highly restrictive", UTS 39 section 5.2).
fn mixes_scripts(label: &str) -> bool {
    if label.is_ascii() || !AugmentedScriptSet::for_str(label).is_empty() {
        return false;
    }
    let beside: String = label.chars().filter(|c| !c.is_ascii()).collect();
    let set = AugmentedScriptSet::for_str(&beside);
    !(set.hanb || set.jpan || set.kore)
}

fn listed_because(link: &Link, hit: &Hit) -> String {
    let what = match hit.matched {
        Matched::Page => "This page",
        Matched::Under => "A path that this page lies under",
        Matched::Address => "The address",
        _ => "The site",
    };
    format!("{what} is on the list {:?} as {}: {}.", hit.list, hit.kind.name(), defanged(&link.host))
}

fn is_script(link: &Link) -> bool {
    match &*link.scheme {
        "javascript" | "vbscript" => true,
        "data" => {
            let kind = link.canonical.trim_start_matches("data:").to_ascii_lowercase();
            ["text/html", "application/xhtml", "image/svg", "text/xml", "application/xml"]
                .iter()
                .any(|active| kind.starts_with(active))
        }
        _ => false,
    }
}

/// The ending of the path's last segment, when it is a program's.
fn executable(canonical: &str) -> Option<&'static str> {
    let (_, rest) = canonical.split_once("://")?;
    let path = rest.split('?').next()?;
    let (_, name) = path.split_once('/')?.1.rsplit_once('/').unwrap_or(("", path.split_once('/')?.1));
    let (stem, ending) = name.rsplit_once('.')?;
    let ending = EXECUTABLES.iter().find(|known| known.eq_ignore_ascii_case(ending))?;
    (!stem.is_empty()).then_some(*ending)
}

fn has_path(canonical: &str) -> bool {
    canonical.split_once("://").and_then(|(_, rest)| rest.split_once('/')).is_some_and(|(_, path)| !path.is_empty())
}

/// The site that the shown text names, when the link leads to another.
fn other_site(shown: &str, link: &Link) -> Option<String> {
    let address = if shown.contains("://") { shown.to_owned() } else { format!("http://{shown}") };
    let url = url::Url::parse(&address).ok()?;
    let host = url.host_str()?;
    let site = |host: &str| psl::domain_str(host).unwrap_or(host).to_owned();
    let (shows, leads) = (site(host), site(&link.host));
    (shows != leads).then_some(shows)
}

fn shown_host(link: &Link) -> String {
    let ascii = defanged(&link.host);
    match &link.unicode_host {
        Some(unicode) => format!("{ascii} ({})", defanged(unicode)),
        None => ascii,
    }
}

/// Text that can be shown: not clickable, nothing invisible.
fn defanged(text: &str) -> String {
    text.escape_debug().to_string().replace('.', "[.]")
}

fn evidence(link: &Link) -> Evidence {
    const LONGEST: usize = 200;
    let short: String = link.raw.chars().take(LONGEST).collect();
    let shown = defanged(&short).replace("://", "[:]//");
    Evidence { part: link.part, start: link.span.start, end: link.span.end, shown: shown.into() }
}
