//! The gateway role from its configuration.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::gateway::doorkeeper::{self, Doorkeeper};
use ::gateway::listen::{ListenConfig, Listener};
use ::gateway::metrics::Metrics;
use ::gateway::network::Network;
use ::gateway::registry::Registry;
use ::gateway::release;
use ::gateway::session::{Deadlines, Shared};
use ::gateway::task::{Drain, Roles};
use ::gateway::tls::{self, CertificateError, CertificateSource, Certificates};
use ::gateway::upload::{
    self, FileDesk, PublicBase, Routes, SlotKeeper, StoredOrigins, StoredVerdicts, UploadDomain, Uploads,
};
use ::gateway::upstream::{Dialer, HostPort, Pin, Trust, TrustError, Upstream, UpstreamTls};
use ::gateway::xmpp::{self, Domain, Probed};
use judge::Judge;
use tracing::{info, warn};
use wire::xmpp::Limits;
use wire::xmpp::dialect::Settings;

use crate::config::{self, Config, ConnectionLimits, Gateway, XmppDomain, XmppGateway};
use crate::failure::Failure;

/// What was started, for readiness and shutdown.
#[derive(Default)]
pub struct Started {
    /// Addresses that clients can connect to.
    pub listening: Vec<SocketAddr>,
    /// Doors whose connections are counted.
    pub doors: Vec<Arc<Doorkeeper>>,
    registry: Option<Registry>,
}

impl Started {
    /// Tells every session that it ends.
    pub fn say_goodbye(&self) {
        if let Some(registry) = &self.registry {
            registry.shut_down();
        }
    }
}

/// Checks what can be checked without opening a port: addresses, pins, and every file that is named.
pub fn check(role: &Gateway) -> Result<(), Failure> {
    if let Some(xmpp) = &role.xmpp {
        for domain in &xmpp.domains {
            Dialer::new(&upstream(domain)?).map_err(untrusted)?;
        }
        networks("gateway.xmpp.proxies", &xmpp.proxies)?;
        let (named, _without) = certificate_sources(xmpp)?;
        if !named.is_empty() {
            Certificates::load(named, now()).map_err(unusable)?;
        }
        if let Some(http) = &role.http {
            public_base(http, xmpp, http.listen)?;
        }
    }
    door(&role.limits).map(drop)
}

/// Trust that can't be had: by a file that can't be read, or by what is written.
fn untrusted(error: TrustError) -> Failure {
    match &error {
        TrustError::CaFile(CertificateError::File { path, source }) => Failure::unreadable(path, source),
        _ => Failure::usage(error),
    }
}

/// The same of certificates shown to clients.
fn unusable(error: CertificateError) -> Failure {
    match &error {
        CertificateError::File { path, source } => Failure::unreadable(path, source),
        _ => Failure::usage(error),
    }
}

/// Starts every listener of the role.
pub async fn start(
    config: &Config,
    role: &Gateway,
    judge: &Judge,
    roles: &Roles,
    drain: &Drain,
) -> Result<Started, Failure> {
    let Some(xmpp) = &role.xmpp else { return Ok(Started::default()) };
    let data = config.data_dir();
    let certificates = certificates(&data, xmpp)?;
    let limits = &xmpp.limits;
    let (registry, logins) = Registry::new(limits.resumable, Duration::from_secs(limits.resumable_seconds));
    let shared = Arc::new(Shared {
        judge: judge.clone(),
        registry: registry.clone(),
        metrics: Metrics::default(),
        deadlines: Deadlines {
            login: Duration::from_secs(limits.login_seconds),
            stall: Duration::from_secs(limits.stall_seconds),
            close: Duration::from_secs(limits.close_seconds),
        },
    });
    let door = door(&role.limits)?;
    let domains = xmpp
        .domains
        .iter()
        .map(|domain| Ok(Domain { name: domain.name.clone(), upstream: upstream(domain)? }))
        .collect::<Result<Vec<_>, Failure>>()?;

    let mut doors = vec![door.clone()];
    let slots = match &role.http {
        None => None,
        Some(http) => {
            let uploads_door = self::door(&role.limits)?;
            doors.push(uploads_door.clone());
            Some(start_uploads(http, xmpp, &domains, judge, &data, &certificates, uploads_door, roles, drain)?)
        }
    };
    let gateway = xmpp::Gateway::new(xmpp::Parts {
        shared,
        domains,
        certificates: certificates.clone(),
        settings: settings(limits),
        allow_plain: xmpp.allow_plain,
        uploads: slots,
        dial: Duration::from_secs(limits.dial_seconds),
    })
    .map_err(untrusted)?;
    for domain in xmpp.domains.iter().filter_map(|domain| domain.name.as_deref()) {
        look_at_server(&gateway, domain).await?;
    }
    if let Some(domain) = xmpp.domains.iter().find(|domain| domain.name.is_none()) {
        // Which domains it serves is not known; most small servers know the name they are reached by.
        let host = host_port(&domain.upstream)?.host;
        let name = if host.parse::<std::net::IpAddr>().is_ok() { "localhost".to_owned() } else { host };
        look_at_server(&gateway, &name).await?;
    }

    let proxies = networks("gateway.xmpp.proxies", &xmpp.proxies)?;
    let mut listening = Vec::new();
    for address in &xmpp.listen {
        let listen = ListenConfig { proxies: proxies.clone(), ..ListenConfig::new(*address) };
        let listener = Listener::bind(listen).map_err(Failure::work)?;
        listening.push(listener.local_addr());
        let gateway = gateway.clone();
        let serving = listener.serve("xmpp session", door.clone(), drain.clone(), move |arrival, drain| {
            gateway.clone().run(arrival, drain)
        });
        roles.spawn("xmpp listener", serving);
    }
    roles.spawn("certificates", certificates.watch(tls::WATCH_EVERY, drain.clone()));
    roles.spawn("release", release::run(judge.clone(), registry.clone(), logins, drain.clone()));
    Ok(Started { listening, doors, registry: Some(registry) })
}

/// Refuses to start where every login would be refused, with the line that mends it.
async fn look_at_server(gateway: &xmpp::Gateway, domain: &str) -> Result<(), Failure> {
    let probed = xmpp::probe(gateway, domain).await;
    if let Some(remedy) = probed.remedy() {
        return Err(Failure::usage(format!(
            "{domain}: the server offers SASL channel binding, which can't cross a gateway with a certificate of its own"
        ))
        .hint(format!("turn it off at the server,\n{remedy}")));
    }
    match probed {
        Probed::Unknown(why) => {
            warn!(domain, why, "the server can't be asked for its features now; every login looks again")
        }
        _ => info!(domain, "the server's offer suits the gateway"),
    }
    Ok(())
}

#[allow(clippy::too_many_arguments, reason = "one call, all different things")]
fn start_uploads(
    http: &config::HttpGateway,
    xmpp: &XmppGateway,
    domains: &[Domain],
    judge: &Judge,
    data: &Path,
    certificates: &Arc<Certificates>,
    door: Arc<Doorkeeper>,
    roles: &Roles,
    drain: &Drain,
) -> Result<Arc<SlotKeeper>, Failure> {
    let limits =
        upload::Limits { file_bytes: http.file_bytes, spool_bytes: http.spool_bytes, ..upload::Limits::default() };
    let listener = Listener::bind(ListenConfig::new(http.listen)).map_err(Failure::work)?;
    let (public, base) = public_base(http, xmpp, listener.local_addr())?;
    let routes = domains
        .iter()
        .map(|domain| UploadDomain {
            domain: domain.name.clone().unwrap_or_else(|| UploadDomain::ANY.to_owned()),
            server: domain.upstream.address.host.clone(),
            more_hosts: Vec::new(),
            trust: domain.upstream.trust.clone(),
        })
        .collect();
    let routes = Arc::new(Routes::new(routes).map_err(untrusted)?);
    let Some(store) = judge.store().cloned() else { return Err(Failure::work("uploads need a store")) };
    let origins = Arc::new(StoredOrigins::new(store.clone()));
    let slots = SlotKeeper::new(base, routes, origins, limits.clone());
    let uploads = Uploads::new(upload::Parts {
        limits,
        slots: slots.clone(),
        judge: Arc::new(FileDesk::new(judge.clone())),
        verdicts: Arc::new(StoredVerdicts::new(store)),
        spool_dir: data.join("spool"),
    })
    .map_err(Failure::work)?;
    info!(listen = %listener.local_addr(), public, "uploads");
    let serving = upload::serve(uploads, listener, Some(certificates.clone()), door, drain.clone());
    roles.spawn("upload listener", serving);
    Ok(slots)
}

/// What clients reach the listener by: as configured, else the first domain, else the listener's own address.
fn public_base(
    http: &config::HttpGateway,
    xmpp: &XmppGateway,
    listening: SocketAddr,
) -> Result<(String, PublicBase), Failure> {
    let port = listening.port();
    let named = xmpp.domains.iter().find_map(|domain| domain.name.as_deref());
    let public = match (&http.public_url, named) {
        (Some(url), _) => url.clone(),
        (None, Some(domain)) => format!("https://{domain}:{port}"),
        (None, None) if !listening.ip().is_unspecified() => format!("https://{listening}"),
        (None, None) => {
            return Err(Failure::usage(format!(
                "gateway.http.public_url: needed with {listening} and no domain named"
            ))
            .hint("write the URL that clients reach the listener by, such as https://chat.example.org:5443"));
        }
    };
    let base = PublicBase::parse(&public).map_err(|e| Failure::usage(format!("gateway.http.public_url: {e}")))?;
    Ok((public, base))
}

fn settings(limits: &config::XmppLimits) -> Settings {
    let defaults = Settings::default();
    Settings {
        before: Limits { stanza_bytes: limits.before_bytes, elements: limits.before_elements, ..defaults.before },
        before_bytes: limits.before_bytes,
        after: Limits {
            stanza_bytes: limits.stanza_bytes,
            depth: limits.depth,
            attributes: limits.attributes,
            elements: limits.elements,
        },
        rooms: limits.rooms,
        ..defaults
    }
}

fn certificates(data: &Path, xmpp: &XmppGateway) -> Result<Arc<Certificates>, Failure> {
    let (mut sources, without) = certificate_sources(xmpp)?;
    if !without.is_empty() {
        let made = tls::self_signed(&data.join("tls"), &without, now()).map_err(Failure::work)?;
        sources.push(made);
    }
    Certificates::load(sources, now()).map_err(unusable)
}

#[allow(clippy::disallowed_methods, reason = "a role: time enters here")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// The certificates that are named, and the domains without one.
fn certificate_sources(xmpp: &XmppGateway) -> Result<(Vec<CertificateSource>, Vec<String>), Failure> {
    let mut sources = Vec::new();
    let mut without = Vec::new();
    for domain in &xmpp.domains {
        let names: Vec<String> = domain.name.iter().cloned().collect();
        match (&domain.certificate, &domain.key) {
            (Some(certificate), Some(key)) => {
                sources.push(CertificateSource { domains: names, certificate: certificate.clone(), key: key.clone() })
            }
            (None, None) if names.is_empty() => without.push("localhost".to_owned()),
            (None, None) => without.extend(names),
            _ => {
                return Err(Failure::usage("gateway.xmpp.domain: certificate and key belong together")
                    .hint("give both, or neither for a self-signed one"));
            }
        }
    }
    Ok((sources, without))
}

fn upstream(domain: &XmppDomain) -> Result<Upstream, Failure> {
    let field = |what: &str| format!("gateway.xmpp.domain.{what}");
    let pins = domain
        .upstream_pin
        .iter()
        .map(|pin| pin.parse::<Pin>().map_err(|e| Failure::usage(format!("{}: {e}", field("upstream_pin")))))
        .collect::<Result<Vec<_>, _>>()?;
    let trust = match (&domain.upstream_ca, pins.is_empty(), domain.upstream_insecure) {
        (None, true, false) => Trust::Roots,
        (Some(ca), true, false) => Trust::CaFile(ca.clone()),
        (None, false, false) => Trust::Pin(pins),
        (None, true, true) => Trust::Insecure { anywhere: false },
        _ => {
            return Err(Failure::usage(format!(
                "{}: more than one way to check the server's certificate",
                field("upstream_*")
            ))
            .hint("choose one of upstream_ca, upstream_pin and upstream_insecure"));
        }
    };
    Ok(Upstream {
        address: host_port(&domain.upstream)?,
        domain: domain.name.clone().unwrap_or_else(|| "localhost".to_owned()),
        tls: match domain.upstream_tls {
            config::UpstreamTls::Off => UpstreamTls::Off,
            config::UpstreamTls::Starttls => UpstreamTls::StartTls,
            config::UpstreamTls::Direct => UpstreamTls::Direct,
        },
        trust,
    })
}

fn host_port(text: &str) -> Result<HostPort, Failure> {
    text.parse().map_err(|e| Failure::usage(format!("upstream `{text}`: {e}")).hint("write HOST:PORT"))
}

fn networks(field: &str, texts: &[String]) -> Result<Vec<Network>, Failure> {
    texts.iter().map(|text| text.parse().map_err(|e| Failure::usage(format!("{field}: `{text}`: {e}")))).collect()
}

fn door(limits: &ConnectionLimits) -> Result<Arc<Doorkeeper>, Failure> {
    Ok(Doorkeeper::new(doorkeeper::Limits {
        connections: limits.connections,
        connections_per_address: limits.connections_per_address,
        rate_per_second: limits.rate_per_second,
        rate_burst: limits.rate_burst,
        login_failures: limits.login_failures,
        login_window: Duration::from_secs(limits.login_window_seconds),
        login_refusal: Duration::from_secs(limits.login_refusal_seconds),
        exempt: networks("gateway.limits.exempt", &limits.exempt)?,
        ..doorkeeper::Limits::default()
    }))
}
