//! The configuration: one TOML file, every key documented here, unknown keys refused.
//!
//! The doc comments are the reference: `docs/reference/config.md` is generated
//! from them. Policies, lists and people are not here but in files of their
//! own that are named here and taken up live when they change.

mod campaigns;
mod feeds;
mod intel;
mod load;
mod reference;
mod subscribe;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use judge::RecordBodies;
use model::OnFault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::feeds::{FeedConfig, FeedStrength};
pub use self::intel::Intel;
pub use campaigns::Decoys;
pub use load::{Problem, load};
pub use reference::reference;
pub use subscribe::{RulesFromElsewhere, Subscribe};

/// The whole configuration of a process.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Data directory: journal, store, keys, self-signed certificates, upload spool. Mode 0700.
    pub data: Option<PathBuf>,
    /// What happens when something needed for a decision fails (a scan, a rule, the journal).
    pub faults: Faults,
    /// Log output.
    pub log: Log,
    /// Metrics and health over HTTP.
    pub admin: Option<Admin>,
    /// The journal: what is kept of every message, and how safely.
    pub journal: JournalConfig,
    /// Rules.
    pub policy: PolicyConfig,
    /// People and groups.
    pub identity: IdentityConfig,
    /// Indicator lists.
    pub indicators: Indicators,
    /// The threat centre: feeds, warning lists.
    pub intel: Intel,
    /// What detectors look for.
    pub detect: inspect::detect::Config,
    /// How attacks over time are recognised.
    pub track: inspect::track::Config,
    /// Looking into files.
    pub files: Files,
    /// The gateway role.
    pub gateway: Option<Gateway>,
}

/// Fail open or fail closed: chosen here and nowhere else.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// `refuse`: not delivered, the sender may try again (fail closed); `quarantine`: kept for
    /// review; `pass`: delivered as if nothing had been found, loudly (fail open).
    #[schemars(with = "String")]
    pub on_fault: OnFault,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults { on_fault: OnFault::Refuse }
    }
}

/// Log output, on standard error.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `text` for people (coloured on a terminal), `json` for machines.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`, or a filter such as `info,gateway=debug`.
    pub level: String,
}

impl Default for Log {
    fn default() -> Log {
        Log { format: LogFormat::Text, level: "info".into() }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One readable line an event.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Metrics and health over HTTP, for the operator's own network.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// Where `/metrics` (Prometheus), `/healthz` and `/readyz` are served, in plain HTTP.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
}

/// The journal.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JournalConfig {
    /// `power`: a record is on the device before its message is delivered; `process`: in the
    /// kernel (survives `kill -9`, not loss of power).
    pub durability: Durability,
    /// Whose bodies are kept: `all`, `flagged` (where something was found or done) or `none`.
    #[schemars(with = "String")]
    pub record_bodies: RecordBodies,
    /// Records that may wait for the disk before clients are no longer read.
    pub backlog_records: usize,
    /// Records a signed segment has at most.
    pub segment_records: u64,
    /// Seconds until a segment is signed even if it is short.
    pub segment_seconds: u64,
    /// Size limit of the journal in bytes; reached, `faults.on_fault` decides. None: the disk is the limit.
    pub max_bytes: Option<u64>,
    /// Where signed heads are appended, best on another machine's file system; `heads.jsonl` under `data` by default.
    pub heads: Option<PathBuf>,
}

impl Default for JournalConfig {
    fn default() -> JournalConfig {
        let journal = store::Options::default();
        JournalConfig {
            durability: Durability::Power,
            record_bodies: RecordBodies::All,
            backlog_records: journal.max_backlog,
            segment_records: journal.segment_records,
            segment_seconds: journal.segment_seconds,
            max_bytes: None,
            heads: None,
        }
    }
}

/// What "recorded" promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Survives loss of power.
    #[default]
    Power,
    /// Survives `kill -9`.
    Process,
}

impl From<Durability> for store::Durability {
    fn from(durability: Durability) -> store::Durability {
        match durability {
            Durability::Power => store::Durability::Power,
            Durability::Process => store::Durability::Process,
        }
    }
}

/// Rules.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyConfig {
    /// Policy files (Cedar), all of them in force together; the built-in default policy when there is
    /// none. Taken up when they change; a broken one leaves the old in force.
    pub files: Vec<PathBuf>,
}

/// People and groups.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IdentityConfig {
    /// The directory file (TOML), taken up when it changes. Without it, people are strangers and the
    /// gateway's own domains are internal.
    pub file: Option<PathBuf>,
}

/// Indicator lists.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Indicators {
    /// Local lists, taken up when they change.
    #[serde(rename = "list")]
    pub lists: Vec<IndicatorList>,
}

/// A local list: one domain, URL, SHA-256, address or range a line; `#` begins a comment.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IndicatorList {
    /// The file.
    pub file: PathBuf,
    /// What is on it: `phishing`, `malware`, `spam` or `local`.
    #[serde(default)]
    pub kind: ListKind,
}

/// What a list holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ListKind {
    /// Phishing sites.
    Phishing,
    /// Malware and where it is served.
    Malware,
    /// Spam senders and what they advertise.
    Spam,
    /// What the operator does not want.
    #[default]
    Local,
}

/// Looking into files.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Files {
    /// Bytes unpacked from one file at most.
    pub unpacked_bytes: u64,
    /// Archives inside archives at most.
    pub depth: u8,
    /// Unpacked over packed size at most.
    pub ratio: u64,
    /// Members of all archives in one file at most.
    pub members: u32,
    /// Seconds all look-ups on one message may take; then `faults.on_fault` decides.
    pub budget_seconds: u64,
    /// Messages whose files are looked into at a time.
    pub at_once: usize,
    /// An antivirus engine.
    pub clamd: Option<ClamdConfig>,
}

impl Default for Files {
    fn default() -> Files {
        let limits = inspect::files::Limits::default();
        Files {
            unpacked_bytes: limits.total,
            depth: limits.depth,
            ratio: limits.ratio,
            members: limits.entries,
            budget_seconds: 30,
            at_once: 4,
            clamd: None,
        }
    }
}

/// ClamAV's daemon.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClamdConfig {
    /// `HOST:PORT`, or the path of its socket.
    pub address: String,
    /// Seconds one scan may take.
    #[serde(default = "ten")]
    pub timeout_seconds: u64,
    /// Scans at a time.
    #[serde(default = "four")]
    pub at_once: usize,
}

fn ten() -> u64 {
    10
}

fn four() -> usize {
    4
}

/// The gateway role.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Gateway {
    /// XMPP clients.
    pub xmpp: Option<XmppGateway>,
    /// Uploads (XEP-0363) through the gateway. Without it, clients are told that uploads are not available.
    pub http: Option<HttpGateway>,
    /// Bounds on connections and logins.
    pub limits: ConnectionLimits,
}

/// XMPP clients and the servers behind.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct XmppGateway {
    /// Ports for clients; each takes direct TLS (XEP-0368) and STARTTLS.
    #[schemars(with = "Vec<String>")]
    pub listen: Vec<SocketAddr>,
    /// Networks (CIDR) of load balancers that send the PROXY protocol, which is then required of them.
    #[serde(default)]
    pub proxies: Vec<String>,
    /// Whether clients may speak without TLS; for a port that only a TLS terminator reaches.
    #[serde(default)]
    pub allow_plain: bool,
    /// Domains that are served.
    #[serde(rename = "domain")]
    pub domains: Vec<XmppDomain>,
    /// Bounds on streams.
    #[serde(default)]
    pub limits: XmppLimits,
}

/// One domain and its server.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct XmppDomain {
    /// The XMPP domain; left out, any domain that the server knows.
    #[serde(default)]
    pub name: Option<String>,
    /// Certificate chain shown to clients (PEM), taken up when it changes; self-signed when left out.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// Its private key (PEM).
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// The server, `HOST:PORT`.
    pub upstream: String,
    /// `starttls`, `direct` (TLS from the first byte) or `off`.
    #[serde(default)]
    pub upstream_tls: UpstreamTls,
    /// Authorities that the server's certificate is checked against (PEM); the system's when left out.
    #[serde(default)]
    pub upstream_ca: Option<PathBuf>,
    /// SHA-256 fingerprints of which the server's certificate must have one, instead of a CA.
    #[serde(default)]
    pub upstream_pin: Vec<String>,
    /// Do not check the server's certificate. Only for servers on loopback.
    #[serde(default)]
    pub upstream_insecure: bool,
}

/// How the leg to a server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum UpstreamTls {
    /// Not at all.
    Off,
    /// STARTTLS, never falling back.
    #[default]
    Starttls,
    /// TLS from the first byte (XEP-0368).
    Direct,
}

/// Bounds on XMPP streams. Hit, they are counted under their name.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct XmppLimits {
    /// Bytes a client may send in all before it is authenticated.
    pub before_bytes: usize,
    /// Elements of a stanza before authentication.
    pub before_elements: usize,
    /// Bytes of a stanza.
    pub stanza_bytes: usize,
    /// Elements inside each other.
    pub depth: usize,
    /// Attributes of an element, namespace declarations included.
    pub attributes: usize,
    /// Elements of a stanza.
    pub elements: usize,
    /// Rooms remembered a session.
    pub rooms: usize,
    /// Seconds from connecting to being logged in.
    pub login_seconds: u64,
    /// Seconds a peer may not read what is written to it.
    pub stall_seconds: u64,
    /// Seconds ending a session may take.
    pub close_seconds: u64,
    /// Seconds connecting to a server may take.
    pub dial_seconds: u64,
    /// Sessions kept for clients that lost their connection.
    pub resumable: usize,
    /// Seconds they are kept.
    pub resumable_seconds: u64,
}

impl Default for XmppLimits {
    fn default() -> XmppLimits {
        let settings = wire::xmpp::dialect::Settings::default();
        XmppLimits {
            before_bytes: settings.before_bytes,
            before_elements: settings.before.elements,
            stanza_bytes: settings.after.stanza_bytes,
            depth: settings.after.depth,
            attributes: settings.after.attributes,
            elements: settings.after.elements,
            rooms: settings.rooms,
            login_seconds: 30,
            stall_seconds: 60,
            close_seconds: 5,
            dial_seconds: 10,
            resumable: 10_000,
            resumable_seconds: 600,
        }
    }
}

/// Uploads through the gateway.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpGateway {
    /// The HTTPS port, with the certificates of the domains.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// What clients reach it by (`https://chat.example.org:5443`); left out, `https://` and the first domain with the port of `listen`, or `listen` itself where no domain is named.
    #[serde(default)]
    pub public_url: Option<String>,
    /// Bytes of a file at most.
    #[serde(default = "file_bytes")]
    pub file_bytes: u64,
    /// Bytes of all files being checked at most.
    #[serde(default = "spool_bytes")]
    pub spool_bytes: u64,
}

fn file_bytes() -> u64 {
    gateway::upload::Limits::default().file_bytes
}

fn spool_bytes() -> u64 {
    gateway::upload::Limits::default().spool_bytes
}

/// Bounds on connections and logins.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectionLimits {
    /// Connections in all.
    pub connections: usize,
    /// Connections of one address (IPv4 /32, IPv6 /64).
    pub connections_per_address: usize,
    /// New connections a second of one address, after the burst.
    pub rate_per_second: f64,
    /// New connections of one address at once.
    pub rate_burst: f64,
    /// Failed logins of one address until it has to wait.
    pub login_failures: u32,
    /// Seconds over which failed logins are counted.
    pub login_window_seconds: u64,
    /// Seconds an address has to wait at first; doubles each time.
    pub login_refusal_seconds: u64,
    /// Networks (CIDR) whose connections are not limited by address and rate.
    pub exempt: Vec<String>,
}

impl Default for ConnectionLimits {
    fn default() -> ConnectionLimits {
        let limits = gateway::doorkeeper::Limits::default();
        ConnectionLimits {
            connections: limits.connections,
            connections_per_address: limits.connections_per_address,
            rate_per_second: limits.rate_per_second,
            rate_burst: limits.rate_burst,
            login_failures: limits.login_failures,
            login_window_seconds: limits.login_window.as_secs(),
            login_refusal_seconds: limits.login_refusal.as_secs(),
            exempt: Vec::new(),
        }
    }
}

impl Config {
    /// The data directory: as configured, or `portcullis` under the user's state directory.
    pub fn data_dir(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(default_data_dir)
    }

    /// Makes relative paths relative to the configuration file's directory.
    fn anchor(&mut self, base: &Path) {
        let anchor = |path: &mut PathBuf| *path = base.join(&*path);
        self.data.iter_mut().for_each(anchor);
        self.journal.heads.iter_mut().for_each(anchor);
        self.policy.files.iter_mut().for_each(anchor);
        self.identity.file.iter_mut().for_each(anchor);
        self.indicators.lists.iter_mut().for_each(|list| anchor(&mut list.file));
        self.intel.anchor(anchor);
        let domains = self.gateway.iter_mut().filter_map(|g| g.xmpp.as_mut()).flat_map(|x| &mut x.domains);
        for domain in domains {
            domain.certificate.iter_mut().for_each(anchor);
            domain.key.iter_mut().for_each(anchor);
            domain.upstream_ca.iter_mut().for_each(anchor);
        }
    }
}

/// `portcullis` under the user's state directory (XDG), or `/var/lib/portcullis`.
pub fn default_data_dir() -> PathBuf {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    state.or_else(home).map_or_else(|| PathBuf::from("/var/lib/portcullis"), |state| state.join("portcullis"))
}
