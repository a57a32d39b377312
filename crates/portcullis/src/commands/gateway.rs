//! `portcullis gateway`: one server by flags, or what a configuration file says.

use std::net::{SocketAddr, ToSocketAddrs};
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
    /// Where clients connect; a name is resolved once.
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
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
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    http: Option<SocketAddr>,
    /// What clients reach --http by (default: https:// and its address; the first --domain where that is
    /// 0.0.0.0 or port 0).
    #[arg(long, value_name = "URL", requires = "http")]
    public_url: Option<String>,
    /// Serve metrics and health here over HTTP.
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    admin: Option<SocketAddr>,
    /// Data directory (default: portcullis under the user's state directory).
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// What "recorded" promises: power (fsync) or process.
    #[arg(long, value_enum, default_value = "power")]
    durability: Durability,
    /// Let clients speak without TLS, for a port that only a TLS terminator reaches. A stream that begins in plain
    /// text is then relayed as it is and is not offered STARTTLS; direct TLS still works.
    #[arg(long)]
    allow_plain: bool,
    /// Do not limit connections by address and rate (load tests).
    #[arg(long)]
    no_connection_limits: bool,
}

/// Reads `HOST:PORT`, the host an address or a name; of a name's addresses the first IPv4 one, else the first.
fn address(text: &str) -> Result<SocketAddr, String> {
    let has_port = text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if !has_port {
        return Err("not HOST:PORT; write it as 127.0.0.1:5222, [::1]:5222 or localhost:5222".to_owned());
    }
    let found =
        text.to_socket_addrs().map_err(|e| format!("can't be resolved: {e}; name an address of this machine"))?;
    let found: Vec<SocketAddr> = found.collect();
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    first.copied().ok_or_else(|| "has no address; name an address of this machine".to_owned())
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
        let xmpp = XmppGateway {
            listen: vec![self.listen],
            proxies: Vec::new(),
            allow_plain: self.allow_plain,
            domains,
            limits: XmppLimits::default(),
        };
        let mut gateway = Gateway { xmpp: Some(xmpp), ..Gateway::default() };
        if let Some(listen) = self.http
            && listen.ip().is_unspecified()
            && self.public_url.is_none()
            && self.domain.is_empty()
        {
            return Err(Failure::usage(format!("--http {listen}: no address that clients could be told"))
                .hint("give --public-url https://HOST:PORT, or --domain"));
        }
        gateway.http = self.http.map(|listen| {
            // Else it is made up when the port is known.
            let reachable = !listen.ip().is_unspecified() && listen.port() != 0;
            let limits = gateway::upload::Limits::default();
            HttpGateway {
                listen,
                public_url: self.public_url.clone().or_else(|| reachable.then(|| format!("https://{listen}"))),
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
        config.files.clamd = self.clamd.map(|address| config::ClamdConfig { address, timeout_seconds: 10, at_once: 4 });
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn config(flags: &str) -> Result<Config, Failure> {
        #[derive(clap::Parser)]
        struct Flags {
            #[command(flatten)]
            xmpp: XmppArgs,
        }
        let always = "xmpp --upstream 127.0.0.1:15222 --upstream-insecure";
        Flags::try_parse_from(always.split(' ').chain(flags.split(' '))).map_err(Failure::usage)?.xmpp.config()
    }

    #[test]
    fn addresses_may_be_names() {
        let config = config("--listen localhost:5222 --admin [::1]:9090").unwrap();
        let xmpp = config.gateway.unwrap().xmpp.unwrap();
        assert!(xmpp.listen[0].ip().is_loopback());
        assert_eq!(xmpp.listen[0].port(), 5222);
        assert_eq!(config.admin.unwrap().listen, "[::1]:9090".parse().unwrap());
        for wrong in ["localhost", ":5222", "localhost:x", "no.such.host.invalid:1", ""] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn uploads_are_told_by_an_address_that_clients_can_reach() {
        let public = |flags: &str| {
            config(&format!("--listen 127.0.0.1:0 {flags}")).map(|c| c.gateway.unwrap().http.unwrap().public_url)
        };
        let at = "https://127.0.0.1:5443".to_owned();
        assert_eq!(public("--http 127.0.0.1:5443").unwrap(), Some(at.clone()));
        assert_eq!(public("--http 0.0.0.0:5443 --public-url https://127.0.0.1:5443").unwrap(), Some(at));
        assert_eq!(public("--http 127.0.0.1:0").unwrap(), None);
        assert_eq!(public("--http 0.0.0.0:5443 --domain example.org").unwrap(), None);
        let refused = public("--http 0.0.0.0:5443").unwrap_err().to_string();
        assert!(refused.contains("--http 0.0.0.0:5443"), "{refused}");
    }
}
