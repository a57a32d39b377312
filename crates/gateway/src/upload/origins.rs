//! Which HTTP servers may be contacted for files, and how their URLs look at the gateway.
//!
//! A GET names its server by an id, and an id exists only for what a domain's own server offered in a slot, on a host
//! that belongs to the domain or that the operator named. So the listener can't be made to fetch anything else, not by
//! a client and not by a foreign upload service that answers with slots on hosts of its choice.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::ClientConfig;
use url::{Host, Url};

use super::request::is_plain_path;
use crate::tls::Inside;
use crate::upstream::{Dialer, HostPort, Trust, TrustError, client_config};

/// Names an origin in the gateway's URLs: the first 96 bits of BLAKE3 over domain and base URL, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OriginId(String);

/// Where a domain's server keeps files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The chat domain, which decides how the server is reached and trusted.
    pub domain: String,
    /// Scheme, host, port, and the path under which all files lie; ends with `/`.
    pub base: Url,
}

/// The memory of origins. It outlives the process, since GET URLs are kept in chat histories for years.
pub trait Origins: Send + Sync {
    /// The origin behind an id.
    fn get(&self, id: &OriginId) -> Option<Origin>;
    /// Remembers an origin; `false` when it can't (full, storage failing), so the slot must be refused.
    fn put(&self, id: &OriginId, origin: &Origin) -> bool;
}

/// Origins kept in memory only.
#[derive(Debug)]
pub struct MemoryOrigins {
    capacity: usize,
    kept: Mutex<HashMap<OriginId, Origin>>,
}

impl MemoryOrigins {
    /// Keeps at most `capacity`; then new ones are refused.
    pub fn new(capacity: usize) -> MemoryOrigins {
        MemoryOrigins { capacity, kept: Mutex::default() }
    }
}

impl Origins for MemoryOrigins {
    fn get(&self, id: &OriginId) -> Option<Origin> {
        self.kept.lock().get(id).cloned()
    }

    fn put(&self, id: &OriginId, origin: &Origin) -> bool {
        let mut kept = self.kept.lock();
        if kept.len() >= self.capacity && !kept.contains_key(id) {
            return false;
        }
        kept.insert(id.clone(), origin.clone());
        true
    }
}

impl OriginId {
    const LENGTH: usize = 24;

    /// The id of an origin.
    pub fn of(origin: &Origin) -> OriginId {
        let mut hasher = blake3::Hasher::new();
        hasher.update(origin.domain.as_bytes()).update(b"\0").update(origin.base.as_str().as_bytes());
        let mut hex = hasher.finalize().to_hex().to_string();
        hex.truncate(Self::LENGTH);
        OriginId(hex)
    }

    /// An id as it stands in a URL or in storage.
    pub fn parse(text: &str) -> Option<OriginId> {
        let is_id = text.len() == Self::LENGTH && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        is_id.then(|| OriginId(text.to_owned()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Origin {
    /// The origin that a file's URL belongs to.
    ///
    /// Servers put files at `/<service>/<random>/<name>` or deeper, so the first segment is the service's; a path of
    /// two segments is `/<random>/<name>` at the root.
    pub fn of(domain: &str, file: &Url) -> Origin {
        let path = file.path();
        let depth = path.matches('/').count();
        let base_path = match path[1..].split_once('/') {
            Some((service, _)) if depth >= 3 => format!("/{service}/"),
            Some(_) | None => "/".to_owned(),
        };
        let mut base = file.clone();
        base.set_path(&base_path);
        base.set_query(None);
        base.set_fragment(None);
        Origin { domain: domain.to_owned(), base }
    }
}

/// One thing at an origin: what a request to the server asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resource {
    pub(super) domain: String,
    /// Only scheme, host and port count.
    pub(super) origin: Url,
    /// Path and query exactly as they go out.
    pub(super) target: String,
}

impl Resource {
    /// What a URL from a slot names.
    pub(super) fn of(domain: &str, url: &Url) -> Resource {
        let mut target = url.path().to_owned();
        if let Some(query) = url.query() {
            target.push('?');
            target.push_str(query);
        }
        Resource { domain: domain.to_owned(), origin: url.clone(), target }
    }

    /// The whole URL, the key of verdicts.
    pub(super) fn url(&self) -> String {
        format!("{}{}", self.origin.origin().ascii_serialization(), self.target)
    }

    /// Host and port for the `Host` header.
    pub(super) fn authority(&self) -> String {
        let host = self.origin.host_str().unwrap_or_default();
        match self.origin.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }
}

/// How a domain's upload server is reached.
#[derive(Clone, Debug)]
pub struct UploadDomain {
    /// The chat domain.
    pub domain: String,
    /// The chat server's host. The domain's own upload hosts (the domain and what lies under it) are reached there,
    /// on the URL's port, because their public addresses lead to the gateway.
    pub server: String,
    /// More hosts that its slots may name, reached by DNS.
    pub more_hosts: Vec<String>,
    /// What the server's certificate is checked against.
    pub trust: Trust,
}

impl UploadDomain {
    /// In place of a domain: whatever domains the server knows.
    pub const ANY: &str = "*";
}

/// A slot's URL is not one that the gateway takes over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginRefused {
    /// Not a URL, or not of a form that is passed on.
    #[error("the upload service gave a URL that can't be used; check its base URL")]
    Form,
    /// The domain has no upload route.
    #[error("no upload server is configured for {0}")]
    Domain(String),
    /// The host is not the domain's.
    #[error("the upload service is at {host}, which is not {domain}'s; add it to the upload hosts of the domain")]
    Host {
        /// The URL's host.
        host: String,
        /// The chat domain.
        domain: String,
    },
    /// The memory of origins is full.
    #[error("too many upload services are known; check that the server's upload URLs share one path")]
    Full,
}

/// The routes to every domain's upload server.
pub struct Routes {
    by_domain: HashMap<String, Route>,
}

struct Route {
    config: Arc<ClientConfig>,
    settings: UploadDomain,
}

impl Routes {
    /// Prepares TLS for every domain.
    pub fn new(domains: Vec<UploadDomain>) -> Result<Routes, TrustError> {
        let mut by_domain = HashMap::new();
        for settings in domains {
            let config = client_config(&settings.trust, Inside::Http)?;
            by_domain.insert(settings.domain.to_ascii_lowercase(), Route { config, settings });
        }
        Ok(Routes { by_domain })
    }

    /// Checks a URL that `domain`'s server gave.
    pub(super) fn check(&self, domain: &str, text: &str) -> Result<Url, OriginRefused> {
        let route = self.route(domain)?;
        let url = Url::parse(text).map_err(|_| OriginRefused::Form)?;
        let is_web = matches!(url.scheme(), "https" | "http") && url.username().is_empty() && url.password().is_none();
        if !is_web || !is_plain_path(url.path()) || url.path().ends_with('/') {
            return Err(OriginRefused::Form);
        }
        let host = url.host_str().ok_or(OriginRefused::Form)?;
        if !route.is_own(domain, host) && !route.is_named(host) {
            return Err(OriginRefused::Host { host: host.to_owned(), domain: domain.to_owned() });
        }
        Ok(url)
    }

    /// Who dials the server of a resource.
    pub(super) fn dialer(&self, resource: &Resource) -> Option<Result<Dialer, TrustError>> {
        let route = self.route(&resource.domain).ok()?;
        let url_host = resource.origin.host()?;
        let (name, plain) = match url_host {
            Host::Domain(domain) => (domain.to_owned(), domain.to_owned()),
            Host::Ipv4(v4) => (v4.to_string(), v4.to_string()),
            Host::Ipv6(v6) => (format!("[{v6}]"), v6.to_string()),
        };
        let host = if route.is_own(&resource.domain, &plain) { route.settings.server.clone() } else { plain };
        let address = HostPort { host, port: resource.origin.port_or_known_default()? };
        Some(Dialer::with_config(address, &name, &route.settings.trust, Arc::clone(&route.config)))
    }

    fn route(&self, domain: &str) -> Result<&Route, OriginRefused> {
        let found = self.by_domain.get(&domain.to_ascii_lowercase()).or_else(|| self.by_domain.get(UploadDomain::ANY));
        found.ok_or_else(|| OriginRefused::Domain(domain.to_owned()))
    }
}

impl Route {
    /// The domain itself, what lies under it, or the chat server's own host.
    fn is_own(&self, domain: &str, host: &str) -> bool {
        let is_under = host.len() > domain.len()
            && host.as_bytes()[host.len() - domain.len() - 1] == b'.'
            && host[host.len() - domain.len()..].eq_ignore_ascii_case(domain);
        is_under || host.eq_ignore_ascii_case(domain) || host.eq_ignore_ascii_case(&self.settings.server)
    }

    fn is_named(&self, host: &str) -> bool {
        self.settings.more_hosts.iter().any(|named| named.eq_ignore_ascii_case(host))
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_domain.keys()).finish()
    }
}

/// The gateway's own base URL, as clients see it: `https://HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicBase {
    /// Without a slash at the end.
    text: String,
    host: String,
    port: Option<u16>,
}

/// The base URL is not of the needed form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a base URL; write it as https://HOST:PORT, without a path")]
pub struct PublicBaseError(String);

impl PublicBase {
    /// Reads a base URL.
    pub fn parse(text: &str) -> Result<PublicBase, PublicBaseError> {
        let wrong = || PublicBaseError(text.to_owned());
        let url = Url::parse(text).map_err(|_| wrong())?;
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let has_user = !url.username().is_empty() || url.password().is_some();
        if !matches!(url.scheme(), "https" | "http") || !is_bare || has_user {
            return Err(wrong());
        }
        let host = url.host_str().ok_or_else(wrong)?.to_owned();
        Ok(PublicBase { text: url.origin().ascii_serialization(), host, port: url.port() })
    }

    /// A file's URL here.
    pub(super) fn file(&self, id: &OriginId, target: &str) -> String {
        format!("{}/d/{}{target}", self.text, id.as_str())
    }

    /// Where the file of a slot is put.
    pub(super) fn put(&self, token: &str) -> String {
        format!("{}/u/{token}", self.text)
    }

    /// What lies behind the base in one of the gateway's own URLs.
    pub(super) fn strip<'a>(&self, url: &'a str) -> Option<&'a str> {
        url.strip_prefix(self.text.as_str()).filter(|rest| rest.starts_with('/'))
    }

    /// Whether a `Host` header names this base. The port may be left out: it may have been mapped.
    pub(super) fn is_host(&self, header: &str) -> bool {
        let header = header.to_ascii_lowercase();
        match header.strip_prefix(self.host.as_str()) {
            Some("") => true,
            Some(rest) => rest
                .strip_prefix(':')
                .is_some_and(|port| port.parse().is_ok_and(|port: u16| self.port.is_none_or(|own| own == port))),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> Routes {
        Routes::new(vec![UploadDomain {
            domain: "example.org".to_owned(),
            server: "10.0.0.5".to_owned(),
            more_hosts: vec!["files.example.net".to_owned()],
            trust: Trust::Insecure { anywhere: true },
        }])
        .unwrap()
    }

    #[test]
    fn only_the_domains_own_hosts_and_named_ones_are_taken() {
        let table = [
            ("https://upload.example.org:5281/file_share/x/cat.jpg", true),
            ("https://example.org/upload/a/b/cat.jpg?v=1", true),
            ("http://10.0.0.5:5280/upload/a/cat.jpg", true),
            ("https://files.example.net/a/cat.jpg", true),
            ("https://evil.example/a/cat.jpg", false),
            ("https://evilexample.org/a/cat.jpg", false),
            ("https://example.org.evil.example/a/cat.jpg", false),
            ("http://127.0.0.1/a/cat.jpg", false),
            ("http://169.254.169.254/latest/meta-data", false),
            ("http://[::1]/a/cat.jpg", false),
            ("http://0x7f000001/a/cat.jpg", false),
            ("https://user:pw@example.org/a/cat.jpg", false),
            ("ftp://example.org/a/cat.jpg", false),
            ("file:///etc/passwd", false),
            ("https://example.org/a/%2e%2e%2fadmin", false),
            ("https://example.org/", false),
            ("/a/cat.jpg", false),
        ];
        let routes = routes();
        for (url, taken) in table {
            assert_eq!(routes.check("example.org", url).is_ok(), taken, "{url}");
        }
        assert!(matches!(routes.check("other.org", "https://other.org/a/b"), Err(OriginRefused::Domain(_))));
    }

    #[test]
    fn own_hosts_are_reached_at_the_server_and_named_ones_by_dns() {
        let routes = routes();
        let address = |url: &str| {
            let resource = Resource::of("example.org", &Url::parse(url).unwrap());
            routes.dialer(&resource).unwrap().unwrap().address().to_string()
        };
        assert_eq!(address("https://upload.example.org/a/b/c"), "10.0.0.5:443");
        assert_eq!(address("http://upload.example.org:5280/a/b/c"), "10.0.0.5:5280");
        assert_eq!(address("https://files.example.net/a/b/c"), "files.example.net:443");
    }

    #[test]
    fn an_origin_is_the_service_not_the_file() {
        let table = [
            ("https://h:1/file_share/u-u-i-d/cat.jpg", "https://h:1/file_share/"),
            ("https://h/upload/aa/bb/cat.jpg?sig=1", "https://h/upload/"),
            ("https://h/uuid/cat.jpg", "https://h/"),
            ("https://h/cat.jpg", "https://h/"),
        ];
        for (file, base) in table {
            assert_eq!(Origin::of("d", &Url::parse(file).unwrap()).base.as_str(), base);
        }
    }

    #[test]
    fn host_headers() {
        let base = PublicBase::parse("https://Chat.example.org:5443").unwrap();
        for (header, fits) in [
            ("chat.example.org:5443", true),
            ("CHAT.example.org", true),
            ("chat.example.org:443", false),
            ("chat.example.org:", false),
            ("chat.example.org.evil", false),
            ("evil", false),
            ("", false),
        ] {
            assert_eq!(base.is_host(header), fits, "{header}");
        }
        for text in ["chat.example.org", "https://h/path", "https://u@h", "ftp://h", "https://h/?q"] {
            assert!(PublicBase::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_full_memory_refuses_new_origins_and_keeps_old_ones() {
        let memory = MemoryOrigins::new(1);
        let origin = |host: &str| Origin::of("d", &Url::parse(&format!("https://{host}/a/b/c")).unwrap());
        let (a, b) = (origin("a"), origin("b"));
        assert!(memory.put(&OriginId::of(&a), &a));
        assert!(!memory.put(&OriginId::of(&b), &b));
        assert!(memory.put(&OriginId::of(&a), &a));
        assert_eq!(memory.get(&OriginId::of(&a)), Some(a));
    }
}
