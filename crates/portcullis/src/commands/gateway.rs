//! `portcullis gateway`: one server by flags, or what a configuration file says.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Outcome;
use crate::config::{self, Admin, Config, Gateway, HttpGateway, UpstreamTls, XmppDomain, XmppGateway, XmppLimits};
use crate::failure::Failure;
use crate::roles;

/// The gateway role.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct GatewayArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    protocol: Option<Protocol>,
}

#[derive(Subcommand)]
enum Protocol {
    /// In front of one XMPP server, with no configuration file.
    Xmpp(Box<XmppArgs>),
}

/// One XMPP server.
#[derive(Args)]
#[command(after_help = "Examples:
  portcullis gateway xmpp --listen 0.0.0.0:5222 --upstream chat.internal:5222 --cert chat.pem --key chat.key
  portcullis gateway xmpp --listen 127.0.0.1:5222 --upstream 127.0.0.1:15222 --upstream-insecure --http 127.0.0.1:5443

The port takes direct TLS and STARTTLS. When ready, one line is printed: listening HOST:PORT")]
struct XmppArgs {
    /// Where clients connect.
    #[arg(long, value_name = "HOST:PORT")]
    listen: SocketAddr,
    /// The server.
    #[arg(long, value_name = "HOST:PORT")]
    upstream: String,
    /// Serve only this domain (default: any that the server knows).
    #[arg(long, value_name = "NAME")]
    domain: Vec<String>,
    /// Certificate chain shown to clients (PEM; default: self-signed, made under --data).
    #[arg(long, value_name = "PEM", requires = "key")]
    cert: Option<PathBuf>,
    /// Its private key (PEM).
    #[arg(long, value_name = "PEM", requires = "cert")]
    key: Option<PathBuf>,
    /// How the leg to the server is encrypted.
    #[arg(long, value_enum, default_value = "starttls")]
    upstream_tls: UpstreamTls,
    /// Check the server's certificate against these authorities (PEM).
    #[arg(long, value_name = "PEM", conflicts_with = "upstream_insecure")]
    upstream_ca: Option<PathBuf>,
    /// Do not check the server's certificate (loopback only).
    #[arg(long)]
    upstream_insecure: bool,
    /// Policy file (default: the built-in policy).
    #[arg(long, value_name = "FILE")]
    policy: Vec<PathBuf>,
    /// Directory of people and groups.
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Indicator list, KIND=FILE with KIND one of phishing, malware, spam, local.
    #[arg(long, value_name = "KIND=FILE")]
    indicators: Vec<String>,
    /// Scan files with ClamAV's daemon (HOST:PORT or socket path).
    #[arg(long, value_name = "ADDRESS")]
    clamd: Option<String>,
    /// Serve uploads (XEP-0363) here over HTTPS.
    #[arg(long, value_name = "HOST:PORT")]
    http: Option<SocketAddr>,
    /// What clients reach --http by (default: https:// and its address).
    #[arg(long, value_name = "URL", requires = "http")]
    public_url: Option<String>,
    /// Serve metrics and health here over HTTP.
    #[arg(long, value_name = "HOST:PORT")]
    admin: Option<SocketAddr>,
    /// Data directory (default: portcullis under the user's state directory).
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// What "recorded" promises: power (fsync) or process.
    #[arg(long, value_enum, default_value = "power")]
    durability: Durability,
    /// Let clients speak without TLS.
    #[arg(long)]
    allow_plain: bool,
    /// Do not limit connections by address and rate (load tests).
    #[arg(long)]
    no_connection_limits: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Durability {
    Power,
    Process,
}

impl GatewayArgs {
    pub fn run(self) -> Outcome {
        match (self.config, self.protocol) {
            (Some(file), None) => roles::run(config::load(&file)?),
            (None, Some(Protocol::Xmpp(args))) => roles::run(args.config()?),
            _ => Err(Failure::usage("gateway: neither a protocol nor --config given")
                .hint("try `portcullis gateway xmpp --help`")),
        }
    }
}

impl XmppArgs {
    fn config(self) -> Result<Config, Failure> {
        let domain = |name: Option<String>| XmppDomain {
            name,
            certificate: self.cert.clone(),
            key: self.key.clone(),
            upstream: self.upstream.clone(),
            upstream_tls: self.upstream_tls,
            upstream_ca: self.upstream_ca.clone(),
            upstream_pin: Vec::new(),
            upstream_insecure: self.upstream_insecure,
        };
        let domains = match self.domain.is_empty() {
            true => vec![domain(None)],
            false => self.domain.iter().cloned().map(|name| domain(Some(name))).collect(),
        };
        let mut config = Config { data: self.data.clone(), ..Config::default() };
        let mut gateway = Gateway::default();
        gateway.xmpp = Some(XmppGateway {
            listen: vec![self.listen],
            proxies: Vec::new(),
            allow_plain: self.allow_plain,
            domains,
            limits: XmppLimits::default(),
        });
        gateway.http = self.http.map(|listen| {
            let reachable = if listen.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { listen.ip() };
            let address = SocketAddr::new(reachable, listen.port());
            let public = self.public_url.clone().unwrap_or_else(|| format!("https://{address}"));
            let limits = gateway::upload::Limits::default();
            HttpGateway {
                listen,
                public_url: Some(public),
                file_bytes: limits.file_bytes,
                spool_bytes: limits.spool_bytes,
            }
        });
        if self.no_connection_limits {
            gateway.limits.exempt = vec!["0.0.0.0/0".into(), "::/0".into()];
            gateway.limits.connections = 100_000;
        }
        config.gateway = Some(gateway);
        config.admin = self.admin.map(|listen| Admin { listen });
        config.policy.files = self.policy;
        config.identity.file = self.identity;
        config.journal.durability = match self.durability {
            Durability::Power => config::Durability::Power,
            Durability::Process => config::Durability::Process,
        };
        for list in &self.indicators {
            let Some((kind, file)) = list.split_once('=') else {
                return Err(Failure::usage(format!("--indicators {list}: no kind given")).hint("write KIND=FILE"));
            };
            let kind = match kind {
                "phishing" => config::ListKind::Phishing,
                "malware" => config::ListKind::Malware,
                "spam" => config::ListKind::Spam,
                "local" => config::ListKind::Local,
                _ => {
                    return Err(Failure::usage(format!("--indicators {list}: no such kind"))
                        .hint("KIND is phishing, malware, spam or local"));
                }
            };
            config.indicators.lists.push(config::IndicatorList { file: file.into(), kind });
        }
        config.files.clamd =
            self.clamd.map(|address| config::ClamdConfig { address, timeout_seconds: 10, at_once: 4 });
        Ok(config)
    }
}
