//! The index itself: what is asked of it while messages wait.

use std::net::IpAddr;
use std::sync::Arc;

use model::Protocol;

use crate::builder::Builder;
use crate::canonical;
use crate::near::Shapes;
use crate::net::{embedded_v4, masked};
use crate::table::{Says, Space, Table};
use crate::tails::Tails;
use crate::text::{Folded, Texts};

/// What an indicator warns of, gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ThreatKind {
    /// Spreads or commands malicious software.
    Malware,
    /// Poses as somebody else to collect secrets.
    Phishing,
    /// Unwanted advertising or fraud.
    Spam,
    /// What the operator has a reason to look for.
    Other,
}

impl ThreatKind {
    const ALL: [ThreatKind; 4] = [ThreatKind::Malware, ThreatKind::Phishing, ThreatKind::Spam, ThreatKind::Other];

    /// The name used in configuration and records.
    pub fn name(self) -> &'static str {
        match self {
            ThreatKind::Malware => "malware",
            ThreatKind::Phishing => "phishing",
            ThreatKind::Spam => "spam",
            ThreatKind::Other => "other",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<ThreatKind> {
        ThreatKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What a match is good for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strength {
    /// To be shown beside other evidence.
    Note,
    /// To stop a message.
    #[default]
    Block,
}

/// What of the question an entry was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Matched {
    /// The host or a domain above it.
    Host,
    /// This page.
    Page,
    /// Everything under a path that this is in.
    Under,
    /// The file's hash.
    Hash,
    /// A range that the address is in.
    Address,
    /// The account.
    Account,
    /// The server the account is on.
    Server,
    /// Words of the message.
    Text,
    /// The message as a whole.
    Shape,
}

/// An entry that matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Name of the list it is on.
    pub list: Arc<str>,
    /// What it warns of.
    pub kind: ThreatKind,
    /// What the match is good for.
    pub strength: Strength,
    /// What of the question it is about.
    pub matched: Matched,
}

/// One immutable index of indicators.
#[derive(Debug)]
pub struct Index {
    pub(crate) table: Table,
    /// How the hosts in the table end.
    pub(crate) tails: Tails,
    pub(crate) texts: Texts,
    pub(crate) shapes: Shapes,
    pub(crate) lists: Box<[Arc<str>]>,
    /// Whether there is anything in a space, by its number.
    pub(crate) spaces: u16,
    /// Prefix lengths in use, longest first, for IPv4 and IPv6.
    pub(crate) lengths: [Box<[u8]>; 2],
    pub(crate) version: Arc<str>,
}

impl Default for Index {
    fn default() -> Index {
        Index::empty()
    }
}

impl Index {
    /// The longest host name that is looked at; the DNS has no longer one (RFC 1035 section 2.3.4).
    const HOST_BYTES: usize = 253;
    /// Path prefixes of one URL that are looked up.
    const SEGMENTS: usize = 32;

    /// An index without entries.
    pub fn empty() -> Index {
        Index::builder().build().0
    }

    /// Starts a new index.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// What stands for the content: 16 hexadecimal digits, the same for the same entries in any order.
    pub fn version(&self) -> &Arc<str> {
        &self.version
    }

    /// Entries in it.
    pub fn len(&self) -> usize {
        self.table.len() + self.texts.len() + self.shapes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes the index takes, without the few names of lists.
    pub fn bytes(&self) -> usize {
        self.table.bytes() + self.tails.bytes() + self.texts.bytes() + self.shapes.bytes()
    }

    /// The entry for a host or the closest domain above it; for an IP literal, the entry for the address.
    /// `host` as in a canonical URL: ASCII, lower case, IPv6 in brackets.
    pub fn host(&self, host: &str) -> Option<Hit> {
        if let Some(ip) = literal(host) {
            return self.ip(ip);
        }
        if !self.has(Space::Host) {
            return None;
        }
        if !self.tails.may_have(host.as_bytes()) {
            return None;
        }
        let mut rest = match host.len().checked_sub(Index::HOST_BYTES) {
            None | Some(0) => host,
            Some(over) => host.get(over..)?.split_once('.')?.1,
        };
        let names = std::iter::from_fn(|| {
            let dot = memchr::memchr(b'.', rest.as_bytes())?;
            let name = rest;
            rest = &rest[dot + 1..];
            Some(name.as_bytes())
        });
        self.table.first(Space::Host, names).map(|says| self.hit(says, Matched::Host))
    }

    /// The entry for a URL: this page, with its query or without, or a path it lies under.
    /// `canonical` is in the form [`canonical::canonical`] makes.
    pub fn url(&self, canonical: &str) -> Option<Hit> {
        if !self.has(Space::Page) && !self.has(Space::Under) {
            return None;
        }
        let (authority, path) = canonical::split(canonical)?;
        let page = &canonical[canonical.len() - path.len() - authority.len()..];
        let bare = page.split('?').next().unwrap_or(page);
        for exact in [page, bare] {
            if let Some(says) = self.table.get(Space::Page, exact.as_bytes()) {
                return Some(self.hit(says, Matched::Page));
            }
        }
        if !self.has(Space::Under) {
            return None;
        }
        let slashes = bare.match_indices('/').take(Index::SEGMENTS);
        let found = slashes.filter_map(|(at, _)| self.table.get(Space::Under, &bare.as_bytes()[..=at])).last()?;
        Some(self.hit(found, Matched::Under))
    }

    /// The entry for a file.
    pub fn hash(&self, sha256: &[u8; 32]) -> Option<Hit> {
        if !self.has(Space::Sha256) {
            return None;
        }
        self.table.get(Space::Sha256, sha256).map(|says| self.hit(says, Matched::Hash))
    }

    /// The entry for an address: the narrowest range it is in. An IPv6 address that leads
    /// to an IPv4 one is looked up as that too.
    pub fn ip(&self, ip: IpAddr) -> Option<Hit> {
        if !self.has(Space::Net) {
            return None;
        }
        let inner = match ip {
            IpAddr::V6(v6) => embedded_v4(v6).map(IpAddr::V4),
            IpAddr::V4(_) => None,
        };
        [Some(ip), inner].into_iter().flatten().find_map(|ip| {
            let lengths = &self.lengths[usize::from(ip.is_ipv6())];
            let says = lengths.iter().find_map(|length| self.table.get(Space::Net, &net_key(ip, *length)));
            says.map(|says| self.hit(says, Matched::Address))
        })
    }

    /// The entry for an account, or for the server it is on. A JID's resource does not count.
    pub fn account(&self, protocol: Protocol, account: &str) -> Option<Hit> {
        if !self.has(Space::Account) && !self.has(Space::Server) {
            return None;
        }
        let account = account_form(protocol, account);
        let key = account_key(protocol, &account);
        if let Some(says) = self.table.get(Space::Account, key.as_bytes()) {
            return Some(self.hit(says, Matched::Account));
        }
        let server = account_key(protocol, server_of(protocol, &account)?);
        self.table.get(Space::Server, server.as_bytes()).map(|says| self.hit(says, Matched::Server))
    }

    /// Whether texts need to be folded at all.
    pub fn has_texts(&self) -> bool {
        self.texts.len() > 0
    }

    /// The gravest entry whose words stand in a text, and where they stand in the original.
    pub fn text(&self, folded: &Folded) -> Option<(Hit, std::ops::Range<usize>)> {
        let found = self.texts.find(&folded.text)?;
        let place = |at: usize| folded.at.get(at).map(|at| *at as usize);
        Some((self.hit(found.says, Matched::Text), place(found.start)?..place(found.end)?))
    }

    /// The entry for a text much like one whose shape this is, and in how many bits they differ.
    pub fn shape(&self, shape: u64) -> Option<(Hit, u32)> {
        self.shapes.nearest(shape).map(|(says, distance)| (self.hit(says, Matched::Shape), distance))
    }

    fn has(&self, space: Space) -> bool {
        self.spaces & (1 << space as u16) != 0
    }

    fn hit(&self, says: Says, matched: Matched) -> Hit {
        Hit {
            list: self.lists.get(usize::from(says.list)).cloned().unwrap_or_default(),
            kind: ThreatKind::ALL.get(usize::from(says.kind)).copied().unwrap_or(ThreatKind::Other),
            strength: if says.note { Strength::Note } else { Strength::Block },
            matched,
        }
    }
}

/// The address that a host is, when it is one.
pub(crate) fn literal(host: &str) -> Option<IpAddr> {
    let bytes = host.as_bytes();
    match (bytes.first()?, bytes.last()?) {
        (b'[', _) => host.trim_matches(['[', ']']).parse().ok(),
        (_, b'0'..=b'9') => host.parse().ok(),
        _ => None,
    }
}

/// Family, length and masked bytes of a range.
pub(crate) fn net_key(ip: IpAddr, length: u8) -> [u8; 18] {
    let mut key = [0; 18];
    key[1] = length;
    match masked(ip, length) {
        IpAddr::V4(v4) => {
            key[0] = 4;
            key[2..6].copy_from_slice(&v4.octets());
        }
        IpAddr::V6(v6) => {
            key[0] = 6;
            key[2..18].copy_from_slice(&v6.octets());
        }
    }
    key
}

/// An account as it is compared: lower case, without a JID's resource or an IRC mask.
pub(crate) fn account_form(protocol: Protocol, account: &str) -> String {
    let bare = match protocol {
        Protocol::Xmpp => account.split('/').next().unwrap_or(account),
        Protocol::Irc => account.split('!').next().unwrap_or(account),
        Protocol::Sip => account.strip_prefix("sip:").or_else(|| account.strip_prefix("sips:")).unwrap_or(account),
        Protocol::Matrix => account,
    };
    bare.to_lowercase()
}

/// The server an account is on, where accounts name one.
fn server_of(protocol: Protocol, account: &str) -> Option<&str> {
    match protocol {
        Protocol::Xmpp | Protocol::Sip => Some(account.rsplit_once('@').map_or(account, |(_, server)| server)),
        Protocol::Matrix => account.split_once(':').map(|(_, server)| server),
        Protocol::Irc => None,
    }
}

pub(crate) fn account_key(protocol: Protocol, account: &str) -> String {
    format!("{}:{account}", protocol.name())
}
