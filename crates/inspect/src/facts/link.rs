//! One link: as written, and as a browser would read it.

use std::fmt;
use std::net::IpAddr;
use std::ops::Range;

use indicators::canonical::{canonical, trim_dot};
use unicode_normalization::char::decompose_compatible;
use url::{Host, Url};

use super::shape::is_invisible;

/// A link, as written and as a browser would read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Index into `Message::parts`.
    pub part: u16,
    /// Span in the part's exposed text.
    pub span: Range<u32>,
    /// As written.
    pub raw: Box<str>,
    /// WHATWG-parsed and in [`indicators::canonical`]'s form; of a `data:` link without its
    /// data. As written, when it can't be parsed ([`Oddity::Unreadable`]).
    pub canonical: Box<str>,
    /// Host in ASCII form (A-labels, dotted quad, bracketed IPv6), without a final dot; the
    /// domain of a `mailto:`, `xmpp:` or `sip:` address. Empty where there is none.
    pub host: Box<str>,
    /// Host in Unicode, when it differs.
    pub unicode_host: Option<Box<str>>,
    /// Registrable domain (public suffix plus one label).
    pub registrable: Option<Box<str>>,
    /// The address, when the host is an IP literal.
    pub ip: Option<IpAddr>,
    /// Scheme, lower case; `http` when none was written.
    pub scheme: Box<str>,
    /// Port, when not the scheme's own.
    pub port: Option<u16>,
    /// Text shown for the link, when it looks like another link.
    pub shown: Option<Box<str>>,
    /// Written so that software does not recognise it (`hxxp`, `[.]`).
    pub defanged: bool,
    /// Given as a link (an anchor, a markdown target, out of band), not found in running text.
    pub target: bool,
    /// Surely meant as a link. When not (`readme.md`, a link inside another's query), only
    /// the indicator index is asked about it.
    pub sure: bool,
    /// What is odd about how it was written.
    pub oddities: Oddities,
}

/// One odd thing about how a link is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Oddity {
    /// User name or password before the host.
    Credentials = 1,
    /// Invisible or direction-changing characters in the host.
    Hidden = 1 << 1,
    /// An IPv4 address not written as four decimal numbers.
    Radix = 1 << 2,
    /// A backslash where readers disagree about the host.
    Backslash = 1 << 3,
    /// Percent-encoding in the host.
    Escaped = 1 << 4,
    /// Full-width, circled or similar characters that stand for plain ones in the host.
    Mapped = 1 << 5,
    /// A character in the host that looks like a slash or other delimiter.
    Delimiter = 1 << 6,
    /// Tabs, line breaks or other control characters inside.
    Controls = 1 << 7,
    /// An `xn--` label that decodes to nothing.
    Punycode = 1 << 8,
    /// No browser can read it.
    Unreadable = 1 << 9,
}

/// A set of [`Oddity`].
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Oddities(u16);

impl Oddities {
    const ALL: [Oddity; 10] = [
        Oddity::Credentials,
        Oddity::Hidden,
        Oddity::Radix,
        Oddity::Backslash,
        Oddity::Escaped,
        Oddity::Mapped,
        Oddity::Delimiter,
        Oddity::Controls,
        Oddity::Punycode,
        Oddity::Unreadable,
    ];

    /// Adds one.
    pub fn add(&mut self, oddity: Oddity) {
        self.0 |= oddity as u16;
    }

    /// Whether it is among them.
    pub fn has(self, oddity: Oddity) -> bool {
        self.0 & oddity as u16 != 0
    }

    fn add_if(&mut self, oddity: Oddity, is: bool) {
        if is {
            self.add(oddity);
        }
    }
}

impl fmt::Debug for Oddities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(Oddities::ALL.iter().filter(|oddity| self.has(**oddity))).finish()
    }
}

impl Link {
    /// The longest key, in bytes; longer ones are cut and end in a digest.
    const KEY_BYTES: usize = 300;

    /// A link given as such, in an attribute or out of band: whatever it is, it is one.
    /// Without a scheme it counts only if it begins with a host name. The caller sets the place.
    pub(super) fn target(written: &str) -> Option<Link> {
        let trimmed = written.trim_matches(|c: char| c.is_whitespace() || c.is_control());
        let mut link = match super::links::scheme(trimmed) {
            Some(_) => Link::read(trimmed)?,
            None if trimmed.starts_with("//") => Link::read(&format!("http:{trimmed}"))?,
            None if super::links::looks_like_link(trimmed) => Link::read(&format!("http://{trimmed}"))?,
            None => return None,
        };
        link.raw = trimmed.into();
        link.target = true;
        Some(link)
    }

    /// Reads a URL with a scheme as a browser does. What none can read is kept when it
    /// names a host, so that it can be pointed out.
    pub(super) fn read(written: &str) -> Option<Link> {
        let mut oddities = Oddities::default();
        oddities.add_if(Oddity::Controls, written.contains(|c: char| c.is_control()));
        let url = match Url::parse(written) {
            Ok(url) => url,
            Err(_) => match readable_after_cleaning(written, &mut oddities) {
                Some(url) => url,
                None => return unreadable(written, oddities),
            },
        };
        let mut link = Link {
            raw: written.into(),
            canonical: canonical_of(&url),
            scheme: url.scheme().into(),
            port: url.port(),
            sure: true,
            oddities,
            ..Link::default()
        };
        match url.host() {
            Some(Host::Domain(name)) => match Host::parse(name) {
                // Hosts of schemes that browsers do not know are left as written.
                Ok(Host::Ipv4(ip)) => (link.host, link.ip) = (ip.to_string().into(), Some(IpAddr::V4(ip))),
                Ok(Host::Domain(name)) => link.set_name(trim_dot(&name)),
                _ => link.set_name(trim_dot(name)),
            },
            Some(Host::Ipv4(ip)) => (link.host, link.ip) = (ip.to_string().into(), Some(IpAddr::V4(ip))),
            Some(Host::Ipv6(ip)) => {
                (link.host, link.ip) = (url.host_str().unwrap_or_default().into(), Some(IpAddr::V6(ip)));
            }
            None => link.set_name(&address_domain(&url).unwrap_or_default()),
        }
        if url.has_host() {
            link.note_oddities(written, &url);
        }
        Some(link)
    }

    /// What the record keeps for trackers.
    pub(super) fn key(&self) -> Box<str> {
        if self.canonical.len() <= Link::KEY_BYTES {
            return format!("url:{}", self.canonical).into();
        }
        let cut = &self.canonical[..self.canonical.floor_char_boundary(Link::KEY_BYTES - 20)];
        let digest = blake3::hash(self.canonical.as_bytes()).to_hex();
        format!("url:{cut}~{}", digest.as_str().get(..16).unwrap_or_default()).into()
    }

    fn set_name(&mut self, name: &str) {
        if name.contains("xn--") {
            let unicode = idna::domain_to_unicode(name).0;
            self.unicode_host = (unicode != name).then(|| unicode.into());
        }
        self.registrable = psl::domain_str(name).map(Into::into);
        self.host = name.into();
    }

    fn note_oddities(&mut self, written: &str, url: &Url) {
        let odd = &mut self.oddities;
        odd.add_if(Oddity::Credentials, !url.username().is_empty() || url.password().is_some());
        let after_scheme = written.split_once(':').map_or("", |(_, rest)| rest);
        let authority = after_scheme.trim_start_matches(['/', '\\']);
        let slashes = &after_scheme[..after_scheme.len() - authority.len()];
        let end = authority.find(['/', '\\', '?', '#']).unwrap_or(authority.len());
        let (authority, rest) = authority.split_at(end);
        // `http://good.test\@evil.test`: a browser goes to the first, RFC 3986 to the second.
        let splits = rest.starts_with('\\') && rest.split(['/', '?', '#']).next().is_some_and(|s| s.contains('@'));
        odd.add_if(Oddity::Backslash, slashes.contains('\\') || splits);
        let host = authority.rsplit('@').next().unwrap_or(authority);
        odd.add_if(Oddity::Escaped, host.contains('%') && !host.starts_with('['));
        if let Some(IpAddr::V4(ip)) = self.ip {
            let quad = host.split(':').next().unwrap_or(host).trim_end_matches('.');
            odd.add_if(Oddity::Radix, host.is_ascii() && !host.contains('%') && quad != ip.to_string());
        }
        if !host.is_ascii() {
            odd.add_if(Oddity::Hidden, host.chars().any(is_invisible));
            odd.add_if(Oddity::Mapped, host.chars().any(stands_for_ascii));
            odd.add_if(Oddity::Delimiter, host.chars().any(looks_like_delimiter));
        } else if let Some(unicode) = &self.unicode_host {
            odd.add_if(Oddity::Delimiter, unicode.chars().any(looks_like_delimiter));
        }
    }
}

/// The canonical form; a `data:` link's data are the message, not the place.
fn canonical_of(url: &Url) -> Box<str> {
    let mut form = canonical(url);
    if url.scheme() == "data"
        && let Some(comma) = form.find(',')
    {
        form.truncate(comma + 1);
    }
    form.into()
}

/// The domain of an address-like URL without an authority.
fn address_domain(url: &Url) -> Option<String> {
    if !matches!(url.scheme(), "mailto" | "xmpp" | "sip" | "sips" | "im") {
        return None;
    }
    let address = url.path().split([';', '/', '?', ',']).next()?;
    let domain = address.rsplit('@').next()?;
    match Host::parse(domain) {
        Ok(Host::Domain(name)) => Some(trim_dot(&name).to_owned()),
        _ => None,
    }
}

/// What a client that ignores invisible characters and undoes percent-encoding would make of
/// a link that a browser refuses.
fn readable_after_cleaning(written: &str, oddities: &mut Oddities) -> Option<Url> {
    if !written.chars().any(is_invisible) {
        return None;
    }
    let cleaned: String = written.chars().filter(|c| !is_invisible(*c)).collect();
    let url = Url::parse(&cleaned).ok()?;
    oddities.add(Oddity::Hidden);
    Some(url)
}

/// A link that names a web host but can't be read.
fn unreadable(written: &str, mut oddities: Oddities) -> Option<Link> {
    let (scheme, rest) = written.split_once(':')?;
    let scheme = scheme.to_ascii_lowercase();
    let authority = rest.trim_start_matches(['/', '\\']).split(['/', '\\', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    if !matches!(&*scheme, "http" | "https" | "ftp" | "ws" | "wss") || host.len() < 4 {
        return None;
    }
    oddities.add(Oddity::Unreadable);
    let lower = host.to_ascii_lowercase();
    oddities.add_if(Oddity::Punycode, lower.split('.').any(|label| label.starts_with("xn--")));
    oddities.add_if(Oddity::Escaped, host.contains('%') && !host.starts_with('['));
    Some(Link {
        raw: written.into(),
        canonical: written.into(),
        scheme: scheme.into(),
        sure: true,
        oddities,
        ..Link::default()
    })
}

/// Whether a character that is not ASCII is read as ASCII by IDNA's mapping.
fn stands_for_ascii(c: char) -> bool {
    if c.is_ascii() {
        return false;
    }
    let (mut any, mut all) = (matches!(c, '。' | '｡'), true);
    decompose_compatible(c, |part| {
        any |= part.is_ascii();
        all &= part.is_ascii();
    });
    any && (all || matches!(c, '。' | '｡'))
}

/// Characters that look like what ends a host.
fn looks_like_delimiter(c: char) -> bool {
    matches!(
        c,
        '\u{2044}'
            | '\u{2215}'
            | '\u{2571}'
            | '\u{29f8}'
            | '\u{3033}'
            | '\u{31d3}'
            | '\u{27cb}'
            | '\u{ff0f}'
            | '\u{1735}'
            | '\u{0338}'
            | '\u{0337}'
            | '\u{2cc6}'
            | '\u{4e3f}'
            | '\u{ff1f}'
            | '\u{ff03}'
            | '\u{fe5f}'
            | '\u{fe56}'
            | '\u{2024}'
            | '\u{a789}'
            | '\u{02d0}'
            | '\u{2236}'
            | '\u{0589}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_as_a_browser_reads() {
        for (written, canonical, host) in [
            ("http://аpple.com/", "http://xn--pple-43d.com/", "xn--pple-43d.com"),
            ("http://exam\u{ad}ple.com/", "http://example.com/", "example.com"),
            ("http://google.com\u{202e}moc.live", "http://google.commoc.live/", "google.commoc.live"),
            ("http://127.1/", "http://127.0.0.1/", "127.0.0.1"),
            ("http://2130706433/", "http://127.0.0.1/", "127.0.0.1"),
            ("http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "[::ffff:7f00:1]"),
            ("http://evil.test./", "http://evil.test/", "evil.test"),
            ("http://127。0。0。1/", "http://127.0.0.1/", "127.0.0.1"),
            ("http://127.0.0.1:80\\@example.com/", "http://127.0.0.1/@example.com/", "127.0.0.1"),
            ("irc://IRC.Example.test/a", "irc://IRC.Example.test/a", "irc.example.test"),
            ("gopher://127.0.0.1:70/", "gopher://127.0.0.1:70/", "127.0.0.1"),
            ("data:text/html,<script>", "data:text/html,", ""),
            ("xmpp:room@Spam.test?join", "xmpp:room@Spam.test?join", "spam.test"),
            ("http://xn--a", "http://xn--a", ""),
        ] {
            let link = Link::read(written).unwrap();
            assert_eq!((&*link.canonical, &*link.host), (canonical, host), "{written}");
        }
    }

    #[test]
    fn what_is_odd_is_noted() {
        for (written, oddities) in [
            ("http://example.com/a%20b\\c", &[][..]),
            ("http://user@example.com/", &[Oddity::Credentials]),
            ("http://exam\u{ad}ple.com/", &[Oddity::Hidden]),
            ("http://google.com\u{202e}moc.live", &[Oddity::Hidden]),
            ("http://0x7f.1/", &[Oddity::Radix]),
            ("http://127.0.0.1:8080/", &[]),
            ("http://0177.0.0.1/", &[Oddity::Radix]),
            ("http:\\\\example.com", &[Oddity::Backslash]),
            ("http://127.0.0.1:80\\@example.com/", &[Oddity::Backslash]),
            ("http://ex%61mple.com/", &[Oddity::Escaped]),
            ("http://ⓔxample.com/", &[Oddity::Mapped]),
            ("http://example。com", &[Oddity::Mapped]),
            ("http://accounts.google.com\u{2215}x.test/", &[Oddity::Delimiter]),
            ("http://exa\tmple.com/", &[Oddity::Controls]),
            ("http://xn--zzzzzzzzzzzzzzzzzzzzzzzzzzzzz.com", &[Oddity::Punycode, Oddity::Unreadable]),
            ("http://ex<ample.com", &[Oddity::Unreadable]),
            ("http://bücher.example/", &[]),
        ] {
            let mut expected = Oddities::default();
            oddities.iter().for_each(|oddity| expected.add(*oddity));
            assert_eq!(Link::read(written).unwrap().oddities, expected, "{written}");
        }
    }
}
