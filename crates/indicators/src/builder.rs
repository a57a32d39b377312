//! Making an index: every entry is checked before it may stop anybody's message.

use std::net::IpAddr;
use std::sync::Arc;

use model::Protocol;
use url::{Host, Url};

use crate::canonical::{self, canonical, trim_dot};
use crate::index::{Index, Strength, ThreatKind, account_form, account_key, literal, net_key};
use crate::list::{self, Entry, LineError, Pattern};
use crate::near::{self, Shapes};
use crate::net::{Net, is_public};
use crate::shared;
use crate::table::{Says, Space, Table};
use crate::tails::Tails;
use crate::text::{self, Texts};

/// Where an entry comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Name of the list.
    pub list: Arc<str>,
    /// What its entries warn of.
    pub kind: ThreatKind,
    /// Whether they may stop a message.
    pub strength: Strength,
    /// Line in it, from 1; 0 when there are no lines.
    pub line: u32,
}

/// An entry that was not taken, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{list}:{line}: {entry}: {why}")]
pub struct Refused {
    /// Name of the list.
    pub list: Arc<str>,
    /// Line in it.
    pub line: u32,
    /// The entry, shortened, escaped and not clickable.
    pub entry: Box<str>,
    /// The reason.
    pub why: &'static str,
}

/// Collects entries and makes an [`Index`] of them.
#[derive(Debug, Default)]
pub struct Builder {
    lists: Vec<Arc<str>>,
    pending: Vec<Pending>,
    /// The strings of `pending`, end to end.
    strings: Vec<u8>,
    refused: Vec<Refused>,
    refused_more: u64,
    /// Message patterns so far, and their bytes.
    texts: [usize; 2],
    shapes: usize,
}

/// An accepted entry: its string is the next `len` bytes of `strings`.
#[derive(Debug)]
struct Pending {
    len: u32,
    space: Space,
    says: Says,
}

impl Builder {
    /// Refusals that are kept to be shown; further ones are counted.
    pub const REFUSALS: usize = 1_000;
    /// Lists in one index.
    pub const LISTS: usize = 4_096;
    /// The shortest prefixes taken, IPv4 and IPv6: broader ranges hit whole networks of bystanders.
    pub const SHORTEST: [u8; 2] = [10, 24];

    /// Reads a plain list and adds what is in it; gives back the lines that could not be read.
    pub fn add_list(&mut self, name: &str, text: &str, kind: ThreatKind) -> Vec<LineError> {
        let (entries, errors) = list::parse(name, text, kind);
        for entry in &entries {
            self.add(entry);
        }
        errors
    }

    /// Adds one entry of a list.
    pub fn add(&mut self, entry: &Entry) {
        match &entry.pattern {
            Pattern::Host(host) => self.add_host(&entry.source, host),
            Pattern::Url(url) => self.add_url(&entry.source, url),
            Pattern::Sha256(hash) => self.add_hash(&entry.source, hash),
            Pattern::Net(net) => self.add_ip_range(&entry.source, *net),
            Pattern::Account(protocol, account) => self.add_account(&entry.source, *protocol, account),
            Pattern::Text(words) => self.add_text(&entry.source, words),
            Pattern::Shape(shape) => self.add_shape(&entry.source, *shape),
        }
    }

    /// Adds a host and everything below it.
    pub fn add_host(&mut self, source: &Source, host: &str) {
        let parsed = match Host::parse(trim_dot(host)) {
            Ok(Host::Domain(name)) => name,
            Ok(Host::Ipv4(ip)) => return self.add_ip_range(source, Net { ip: IpAddr::V4(ip), length: 32 }),
            Ok(Host::Ipv6(ip)) => return self.add_ip_range(source, Net { ip: IpAddr::V6(ip), length: 128 }),
            Err(_) => return self.refuse(source, host, "not a host name"),
        };
        let name = trim_dot(&parsed);
        let why = match unfit_host(name) {
            Some(why) => Some(why),
            None if shared::covers_any(name) => Some("many people post under this name; list the URLs that are bad"),
            None => None,
        };
        match why {
            Some(why) => self.refuse(source, host, why),
            None => self.accept(source, Space::Host, name.as_bytes()),
        }
    }

    /// Adds a URL: this page with any query, or with the query given; when the path ends
    /// in `/`, everything under it. Scheme, fragment and `www.` do not count.
    pub fn add_url(&mut self, source: &Source, url: &str) {
        let Ok(parsed) = Url::parse(url) else { return self.refuse(source, url, "not a URL") };
        let form = canonical(&parsed);
        let Some((authority, path)) = canonical::split(&form) else {
            return self.refuse(source, url, "a URL without a host can't be matched");
        };
        let host = trim_dot(parsed.host_str().unwrap_or_default());
        let under = path.ends_with('/') && parsed.query().is_none();
        let segments = parsed.path().split('/').filter(|s| !s.is_empty()).count();
        // A query that is listed has to be there: with a path before it, it says as much as a segment.
        let named = segments + usize::from(segments > 0 && parsed.query().is_some_and(|query| !query.is_empty()));
        let why = match (literal(host), shared::depth(host)) {
            (Some(ip), _) if !is_public(ip) => Some("not an address of the public Internet"),
            (Some(_), _) => None,
            (None, Some(depth)) if named < usize::from(depth) => {
                Some("many people post on this host; the path is too short to name one of them")
            }
            (None, _) => unfit_host(host),
        };
        if let Some(why) = why {
            return self.refuse(source, url, why);
        }
        let page = format!("{authority}{path}");
        self.accept(source, if under { Space::Under } else { Space::Page }, page.as_bytes());
    }

    /// Adds a file by its SHA-256.
    pub fn add_hash(&mut self, source: &Source, sha256: &[u8; 32]) {
        // SHA-256 of nothing: feeds list it by mistake, and every empty file has it.
        const EMPTY: [u8; 32] = [
            0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae,
            0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
        ];
        if *sha256 == EMPTY {
            return self.refuse(source, "e3b0c442…", "the hash of an empty file");
        }
        if sha256.iter().all(|byte| *byte == sha256[0]) {
            return self.refuse(source, "a hash of one byte repeated", "not the hash of a file");
        }
        self.accept(source, Space::Sha256, sha256);
    }

    /// Adds a range of addresses.
    pub fn add_ip_range(&mut self, source: &Source, net: Net) {
        let shown = format!("{}/{}", net.ip, net.length);
        if net.length < Builder::SHORTEST[usize::from(net.ip.is_ipv6())] {
            return self.refuse(source, &shown, "so broad a range hits whole networks of bystanders");
        }
        if !is_public(net.ip) {
            return self.refuse(source, &shown, "not addresses of the public Internet");
        }
        self.accept(source, Space::Net, &net_key(net.ip, net.length));
    }

    /// Adds an account, or with only a server's name (`spam.example`) every account there.
    pub fn add_account(&mut self, source: &Source, protocol: Protocol, account: &str) {
        let form = account_form(protocol, account.trim());
        let is_server = matches!(protocol, Protocol::Xmpp | Protocol::Sip) && !form.contains('@');
        let name = form.rsplit(['@', ':']).next().unwrap_or_default();
        let why = if form.chars().any(|c| c.is_control() || c.is_whitespace()) {
            Some("not an account")
        } else if form.len() < 3 || (form.contains('@') && name.is_empty()) {
            Some("too short to name one account")
        } else if is_server {
            unfit_host(name)
        } else {
            None
        };
        match why {
            Some(why) => self.refuse(source, account, why),
            None => {
                let space = if is_server { Space::Server } else { Space::Account };
                self.accept(source, space, account_key(protocol, &form).as_bytes());
            }
        }
    }

    /// Adds words that messages are looked through for. Case, spelling tricks and white space do
    /// not count; what begins or ends in a letter or digit does not match inside a word.
    pub fn add_text(&mut self, source: &Source, words: &str) {
        let folded = text::fold(words.trim()).text;
        if let Some(why) = text::unfit(&folded) {
            return self.refuse(source, words, why);
        }
        let [patterns, bytes] = self.texts;
        if patterns == text::PATTERNS || bytes + folded.len() > text::BYTES {
            return self.refuse(source, words, "too many message patterns for one index");
        }
        self.texts = [patterns + 1, bytes + folded.len()];
        self.accept(source, Space::Text, folded.as_bytes());
    }

    /// Adds a text by its shape (SimHash): texts much like it match.
    pub fn add_shape(&mut self, source: &Source, shape: u64) {
        let why = match near::unfit(shape) {
            None if self.shapes == near::SHAPES => Some("too many shapes for one index"),
            why => why,
        };
        if let Some(why) = why {
            return self.refuse(source, &format!("{shape:016x}"), why);
        }
        self.shapes += 1;
        self.accept(source, Space::Shape, &shape.to_be_bytes());
    }

    /// How many refusals were counted beyond [`Builder::REFUSALS`].
    pub fn refused_more(&self) -> u64 {
        self.refused_more
    }

    /// The index, and what was refused.
    pub fn build(self) -> (Index, Vec<Refused>) {
        let mut lengths: [Vec<u8>; 2] = Default::default();
        let (mut spaces, mut hosts) = (0, 0);
        let (mut texts, mut shapes) = (Vec::new(), Vec::new());
        for (pending, bytes) in pieces(&self.pending, &self.strings) {
            spaces |= 1 << pending.space as u16;
            match (pending.space, bytes) {
                (Space::Host, _) => hosts += 1,
                (Space::Net, [family, length, ..]) => lengths[usize::from(*family == 6)].push(*length),
                (Space::Text, _) => texts.push((bytes, pending.says)),
                (Space::Shape, _) => {
                    shapes.extend(bytes.first_chunk().map(|bytes| (u64::from_be_bytes(*bytes), pending.says)));
                }
                _ => {}
            }
        }
        let content = self.content();
        let [version, key, check, ends] =
            std::array::from_fn(|i| content[i * 8..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)));
        let tabled = self.pending.len() - texts.len() - shapes.len();
        let mut table = Table::new(tabled, [key, check]);
        let mut tails = Tails::new(hosts, ends);
        let in_table = |(pending, _): &(&Pending, &[u8])| !matches!(pending.space, Space::Text | Space::Shape);
        for (pending, bytes) in pieces(&self.pending, &self.strings).filter(in_table) {
            table.insert(pending.space, bytes, pending.says);
            if pending.space == Space::Host {
                tails.add(bytes);
            }
        }
        let lengths = lengths.map(|mut lengths| {
            lengths.sort_unstable_by(|a, b| b.cmp(a));
            lengths.dedup();
            lengths.into_boxed_slice()
        });
        let lists = self.lists.into_boxed_slice();
        let (texts, shapes) = (Texts::new(&texts), Shapes::new(shapes));
        let version = format!("{version:016x}").into();
        (Index { table, tails, texts, shapes, lists, spaces, lengths, version }, self.refused)
    }

    /// A hash over what the index will hold, whatever the order it came in. It also seeds
    /// the table's hashes.
    fn content(&self) -> [u8; 32] {
        let digest = |(pending, bytes): (&Pending, &[u8])| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(&[pending.space as u8, pending.says.kind, u8::from(pending.says.note)]);
            hasher.update(self.list_name(pending.says.list).as_bytes());
            hasher.update(&[0]);
            hasher.update(bytes);
            let mut first = [0; 16];
            hasher.finalize_xof().fill(&mut first);
            first
        };
        let mut all: Vec<[u8; 16]> = pieces(&self.pending, &self.strings).map(digest).collect();
        all.sort_unstable();
        all.dedup();
        let mut hasher = blake3::Hasher::new();
        all.iter().for_each(|digest| {
            hasher.update(digest);
        });
        *hasher.finalize().as_bytes()
    }

    fn list_name(&self, list: u16) -> &str {
        self.lists.get(usize::from(list)).map_or("", |name| name)
    }

    fn accept(&mut self, source: &Source, space: Space, bytes: &[u8]) {
        let list = match self.lists.iter().rposition(|name| *name == source.list) {
            Some(at) => at,
            None if self.lists.len() < Builder::LISTS => {
                self.lists.push(source.list.clone());
                self.lists.len() - 1
            }
            None => return self.refuse(source, "", "too many lists for one index; merge some"),
        };
        self.strings.extend_from_slice(bytes);
        let says = Says { list: list as u16, kind: source.kind as u8, note: source.strength == Strength::Note };
        self.pending.push(Pending { len: bytes.len() as u32, space, says });
    }

    fn refuse(&mut self, source: &Source, entry: &str, why: &'static str) {
        if self.refused.len() == Builder::REFUSALS {
            self.refused_more += 1;
            return;
        }
        let entry: String = entry.chars().take(80).collect();
        let entry = entry.escape_debug().to_string().replace("://", "[:]//").replace('.', "[.]");
        self.refused.push(Refused { list: source.list.clone(), line: source.line, entry: entry.into(), why });
    }
}

/// The accepted entries with their strings.
fn pieces<'a>(pending: &'a [Pending], strings: &'a [u8]) -> impl Iterator<Item = (&'a Pending, &'a [u8])> {
    let mut rest = strings;
    pending.iter().map(move |entry| {
        let (bytes, more) = rest.split_at_checked(entry.len as usize).unwrap_or((rest, &[]));
        rest = more;
        (entry, bytes)
    })
}

/// Why a name can't be matched together with all that is below it.
fn unfit_host(name: &str) -> Option<&'static str> {
    if !name.contains('.') {
        return Some("a single label names a whole top-level domain or a machine nearby");
    }
    if name.len() < 4 {
        return Some("too short");
    }
    if name.split('.').any(|label| label.is_empty() || label.len() > 63) || name.len() > 253 {
        return Some("not a name the DNS could hold");
    }
    const NEARBY: [&str; 6] = ["localhost", "local", "internal", "localdomain", "home.arpa", "lan"];
    let below = |top: &&str| name.strip_suffix(*top).is_some_and(|rest| rest.ends_with('.'));
    if NEARBY.iter().any(below) || name == "home.arpa" {
        return Some("a name of the local network");
    }
    if psl::domain_str(name).is_none() {
        return Some("a public suffix: many people register names below it");
    }
    None
}
