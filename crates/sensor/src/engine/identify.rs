//! Naming: hints and the catalogue first, then classifiers in their order, then what other flows taught.

use std::borrow::Cow;
use std::sync::LazyLock;

use model::Confidence;

use super::probe::Probe;
use super::{derive, devices};
use crate::Limits;
use crate::apps::{App, Catalogue};
use crate::classify::{CLASSIFIERS, Opinion, Said};
use crate::flow::{Flow, Naming};
use crate::lore::Lore;
use crate::names::{AppProto, Names};
use crate::view::{FlowView, Transport, Way};

/// What names flows: the catalogue, and what flows have taught.
pub(super) struct Mind {
    pub(super) catalogue: &'static Catalogue,
    pub(super) lore: Lore,
    scratch: Vec<u8>,
}

/// What is still read of a flow that has its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    /// DNS messages, for their addresses.
    Dns,
    /// DHCP messages, for the devices that send them.
    Dhcp,
    /// By the classifier at this place of the table.
    Classifier(u8),
}

/// Classifiers for a transport, by their bits.
pub(super) fn over(transport: Transport) -> u128 {
    static OVER: LazyLock<[u128; 2]> = LazyLock::new(|| {
        [Transport::Tcp, Transport::Udp].map(|transport| {
            let takes = CLASSIFIERS.iter().enumerate().filter(|(_, classifier)| classifier.over.takes(transport));
            takes.fold(0, |bits, (index, _)| bits | 1 << index)
        })
    });
    match transport {
        Transport::Tcp => OVER[0],
        Transport::Udp => OVER[1],
        Transport::Other(_) => 0,
    }
}

/// Classifiers that look inside a protocol, by their bits.
fn inside(protocol: AppProto) -> u128 {
    static INSIDE: LazyLock<[u128; 16]> = LazyLock::new(|| {
        std::array::from_fn(|protocol| {
            let looks =
                CLASSIFIERS.iter().enumerate().filter(|(_, classifier)| classifier.inside.0 & (1 << protocol) != 0);
            looks.fold(0, |bits, (index, _)| bits | 1 << index)
        })
    });
    INSIDE[protocol as usize % 16]
}

static NO_NAMES: LazyLock<Names> = LazyLock::new(Names::default);

impl Mind {
    pub(super) fn new(catalogue: &'static Catalogue, limits: &Limits) -> Mind {
        Mind { catalogue, lore: Lore::new(limits.lore), scratch: Vec::new() }
    }

    /// Looks at a flow's beginning, of which something is new. True when no more of it is needed.
    pub(super) fn identify(&mut self, flow: &mut Flow, probe: &mut Probe, last: bool) -> bool {
        self.lore.hear(flow.client.ip);
        let derived = probe.hints.derive(&probe.beginning, flow, &mut self.lore, &mut self.scratch, last);
        let protocol = flow.names.as_ref().map_or(AppProto::Unknown, |names| names.protocol);
        match protocol {
            AppProto::Dns | AppProto::Mdns => flow.follow = Some(Follow::Dns),
            AppProto::Dhcp => flow.follow = Some(Follow::Dhcp),
            _ => {}
        }
        if derived.news
            && let Some(names) = &flow.names
        {
            devices::from_names(flow.client.ip, names, &mut self.lore);
        }
        if derived.news
            && let Some(naming) = flow.names.as_ref().and_then(|names| by_names(self.catalogue, names))
        {
            self.improve(flow, naming);
        }
        if self.specific(flow) {
            flow.decided = true;
            return true;
        }
        if derived.inside {
            probe.undecided = over(flow.transport());
        }
        let undecided = self.classify(flow, probe, protocol, last);
        if self.specific(flow) {
            self.learn_from(flow);
        }
        flow.decided = last || self.specific(flow) || (!undecided && derived.done);
        flow.decided
    }

    /// Shows the flow to the classifiers that have not said No. True when one of them needs more.
    fn classify(&mut self, flow: &mut Flow, probe: &mut Probe, protocol: AppProto, last: bool) -> bool {
        let mut found: Option<(usize, Naming)> = None;
        let mut waiting = false;
        let mut undecided = probe.undecided;
        let view = self.view(flow, probe, last);
        let protocol = if probe.hints.inner().is_some() { AppProto::Unknown } else { protocol };
        let mut bits = undecided & inside(protocol);
        while bits != 0 {
            let index = bits.trailing_zeros() as usize;
            bits &= bits - 1;
            let Some(classifier) = CLASSIFIERS.get(index) else { break };
            match (classifier.classify)(&view) {
                Opinion::No => undecided &= !(1 << index),
                Opinion::NeedMore => waiting = true,
                Opinion::Yes { application, confidence, evidence } => {
                    undecided &= !(1 << index);
                    let Some(app) = self.catalogue.by_id(application) else { continue };
                    let naming = Naming { app, confidence, evidence };
                    let held = found.as_ref().map(|(_, naming)| naming).or(flow.naming.as_ref());
                    if held.is_none_or(|held| self.better(held, &naming)) {
                        let specific = !self.catalogue.entry(app).generic;
                        found = Some((index, naming));
                        if specific {
                            break;
                        }
                    }
                }
            }
        }
        probe.undecided = undecided;
        if let Some((index, naming)) = found {
            flow.naming = Some(naming);
            flow.named_by = Some(index as u8);
            if CLASSIFIERS.get(index).is_some_and(|classifier| classifier.follow.is_some()) {
                let follow = Follow::Classifier(index as u8);
                flow.follow = Some(follow);
                self.follow_beginning(follow, flow, probe);
            }
        }
        waiting
    }

    /// A named stream has been watched for a while: what its classifier sees now may say more about it.
    pub(super) fn restate(&self, flow: &mut Flow, probe: &Probe) {
        let Some(classifier) = flow.named_by.and_then(|index| CLASSIFIERS.get(usize::from(index))) else { return };
        let view = self.view(flow, probe, true);
        if let Opinion::Yes { application, confidence, evidence } = (classifier.classify)(&view)
            && let Some(naming) = &mut flow.naming
            && self.catalogue.entry(naming.app).id == application
            && confidence == naming.confidence
        {
            naming.evidence = evidence;
        }
    }

    fn view<'a>(&'a self, flow: &'a Flow, probe: &'a Probe, last: bool) -> FlowView<'a> {
        let beginning = &probe.beginning;
        let from = probe.hints.inner().unwrap_or_default();
        let bytes = |way: Way| beginning.bytes(way).get(from[way.index()]..).unwrap_or_default();
        FlowView {
            transport: flow.transport(),
            client: flow.client,
            server: flow.server,
            names: flow.names.as_deref().unwrap_or(&NO_NAMES),
            lore: &self.lore,
            catalogue: self.catalogue,
            midstream: flow.transport() == Transport::Tcp
                && flow.tcp.syn(Way::ToServer).is_none()
                && flow.tcp.syn(Way::ToClient).is_none(),
            last,
            heard: beginning.heard,
            pieces: &beginning.pieces,
            bytes: [bytes(Way::ToServer), bytes(Way::ToClient)],
        }
    }

    /// Reads one more payload of a flow that has its name.
    pub(super) fn follow(&mut self, follow: Follow, flow: &mut Flow, way: Way, payload: &[u8]) {
        self.lore.hear(flow.client.ip);
        match follow {
            Follow::Dns => derive::follow_dns(payload, flow, way, &mut self.lore, self.catalogue),
            Follow::Dhcp => devices::from_dhcp(payload, &mut self.lore),
            Follow::Classifier(index) => {
                let read = CLASSIFIERS.get(usize::from(index)).and_then(|classifier| classifier.follow);
                if let Some(read) = read {
                    let (client, server, transport) = (flow.client, flow.server, flow.transport());
                    read(&Said { client, server, transport, way, payload }, &mut self.lore);
                }
            }
        }
    }

    /// What was kept before the flow had its name.
    fn follow_beginning(&mut self, follow: Follow, flow: &mut Flow, probe: &Probe) {
        let beginning = &probe.beginning;
        for way in [Way::ToServer, Way::ToClient] {
            let bytes = beginning.bytes(way);
            if flow.transport() == Transport::Tcp {
                self.follow(follow, flow, way, bytes);
                continue;
            }
            for piece in beginning.pieces.iter().filter(|piece| piece.way == way) {
                let (start, kept) = (piece.start as usize, piece.kept as usize);
                self.follow(follow, flow, way, bytes.get(start..start + kept).unwrap_or_default());
            }
        }
    }

    /// Nothing more of a flow's beginning will come, or be kept: a flow without a name is decided, one with a name
    /// may say more about itself.
    pub(super) fn settle(&mut self, flow: &mut Flow, probe: &mut Probe) {
        if flow.decided {
            return self.restate(flow, probe);
        }
        probe.believe();
        self.identify(flow, probe, true);
    }

    /// Keeps the name that the client knew the server by when the flow began: what it looks up later is about
    /// something else.
    pub(super) fn remember(&self, flow: &mut Flow) {
        if let Some(name) = self.lore.name(flow.client.ip, flow.server.ip)
            && let Some(app) = self.catalogue.by_host(name)
        {
            flow.remembered = Some((app, name.into()));
        }
    }

    /// The endpoints of a peer-to-peer flow are likely to speak the same with others: who asks as soon as it does,
    /// who is asked once it has answered.
    pub(super) fn learn_from(&mut self, flow: &Flow) {
        let Some(naming) = flow.naming.as_ref().filter(|naming| naming.confidence == Confidence::Payload) else {
            return;
        };
        let entry = self.catalogue.entry(naming.app);
        if !entry.peer_to_peer {
            return;
        }
        let transport = flow.transport();
        if flow.packets[Way::ToClient.index()] > 0 {
            self.lore.learn_speaker(transport, flow.server, &entry.id);
        }
        // TCP clients use a port once.
        if transport == Transport::Udp {
            self.lore.learn_speaker(transport, flow.client, &entry.id);
        }
    }

    /// The flow has ended: what it did not tell itself, others may have.
    pub(super) fn conclude(&mut self, flow: &mut Flow) {
        flow.platform = devices::platform(flow, &self.lore);
        if self.specific(flow) || !matches!(flow.transport(), Transport::Tcp | Transport::Udp) {
            return;
        }
        let names = flow.names.as_deref().unwrap_or(&NO_NAMES);
        let (protocol, named) = (names.protocol, names.sni.is_some() || names.host.is_some());
        if protocol == AppProto::Unknown
            && let Some(naming) = self.by_company(flow)
        {
            self.improve(flow, naming);
        }
        let quiet = matches!(protocol, AppProto::Unknown | AppProto::Stun | AppProto::Dtls)
            || (matches!(protocol, AppProto::Tls | AppProto::Quic) && !named);
        if !quiet || self.specific(flow) {
            return;
        }
        if let Some((app, name)) = flow.remembered.take() {
            let evidence = format!("client looked up {name} for this address").into();
            self.improve(flow, Naming { app, confidence: Confidence::Dns, evidence });
            flow.names.get_or_insert_default().remembered = Some(name);
        }
        if flow.naming.is_none() {
            self.candidates(flow);
        }
    }

    /// By what signalling announced, or by what an endpoint speaks elsewhere.
    fn by_company(&self, flow: &Flow) -> Option<Naming> {
        for endpoint in [flow.server, flow.client].into_iter().filter(|endpoint| !serves(endpoint.port)) {
            if let Some(expected) = self.lore.expected(endpoint) {
                let app = self.catalogue.by_id(expected.application)?;
                let evidence = format!("{} announced {}:{}", expected.by, endpoint.ip, endpoint.port).into();
                return Some(Naming { app, confidence: Confidence::Behaviour, evidence });
            }
        }
        let udp = flow.transport() == Transport::Udp;
        let midstream = !udp && [Way::ToServer, Way::ToClient].iter().all(|&way| flow.tcp.syn(way).is_none());
        let other = if udp { Transport::Tcp } else { Transport::Udp };
        let asked = [
            Some((flow.transport(), flow.server)),
            Some((other, flow.server)),
            // Who only answers may seem to be the client when the beginning was not seen.
            (udp || midstream).then_some((flow.transport(), flow.client)),
        ];
        for (transport, endpoint) in asked.into_iter().flatten().filter(|(_, endpoint)| !serves(endpoint.port)) {
            if let Some(id) = self.lore.speaker(transport, endpoint) {
                let app = self.catalogue.by_id(id)?;
                let name = &self.catalogue.entry(app).name;
                let evidence = format!("{}:{} speaks {name} elsewhere", endpoint.ip, endpoint.port).into();
                return Some(Naming { app, confidence: Confidence::Behaviour, evidence });
            }
        }
        None
    }

    fn candidates(&self, flow: &mut Flow) {
        let by_address = self.catalogue.by_address(flow.server.ip);
        let (found, by): (&[App], _) = if by_address.is_empty() {
            (self.catalogue.by_port(flow.transport(), flow.server.port), Confidence::Port)
        } else {
            (by_address, Confidence::Address)
        };
        if !found.is_empty() {
            flow.candidates = found.into();
            flow.candidates_by = Some(by);
        }
    }

    /// Whether a flow speaks QUIC, and nothing that it said has named it.
    pub(super) fn nameless_quic(&self, flow: &Flow) -> bool {
        flow.names.as_ref().is_some_and(|names| names.protocol == AppProto::Quic) && !self.specific(flow)
    }

    fn specific(&self, flow: &Flow) -> bool {
        flow.naming.as_ref().is_some_and(|naming| !self.catalogue.entry(naming.app).generic)
    }

    /// A specific name is better than a generic one, then the stronger ground.
    fn better(&self, held: &Naming, new: &Naming) -> bool {
        let rank = |naming: &Naming| (self.catalogue.entry(naming.app).generic, naming.confidence);
        rank(new) < rank(held)
    }

    fn improve(&self, flow: &mut Flow, naming: Naming) {
        if flow.naming.as_ref().is_none_or(|held| self.better(held, &naming)) {
            flow.naming = Some(naming);
        }
    }
}

/// Ports on which well-known services wait. Whoever names such an endpoint to others, as peer or for media, does not
/// make it one.
fn serves(port: u16) -> bool {
    const SERVICES: [u16; 18] =
        [1433, 1521, 1723, 1883, 2049, 2375, 3128, 3306, 3389, 5432, 5900, 5985, 6379, 8080, 8443, 9200, 11211, 27017];
    port < 1024 || SERVICES.contains(&port)
}

/// What the catalogue makes of the names in a flow, the strongest ground first.
fn by_names(catalogue: &Catalogue, names: &Names) -> Option<Naming> {
    let naming = |app, confidence, evidence: String| Some(Naming { app, confidence, evidence: Cow::Owned(evidence) });
    if let Some(sni) = &names.sni
        && let Some(app) = catalogue.by_host(sni)
    {
        let confidence = if names.protocol == AppProto::Quic { Confidence::Quic } else { Confidence::Sni };
        return naming(app, confidence, format!("SNI {sni}"));
    }
    if let Some(host) = &names.host
        && let Some(app) = catalogue.by_host(host)
    {
        let what = if names.protocol == AppProto::Http { "HTTP host" } else { "tunnel to" };
        return naming(app, Confidence::Http, format!("{what} {host}"));
    }
    if let Some(agent) = &names.user_agent
        && let Some(app) = catalogue.by_user_agent(agent)
    {
        return naming(app, Confidence::Http, format!("user agent {agent}"));
    }
    if let Some(query) = &names.query
        && let Some(app) = catalogue.by_host(query)
    {
        return naming(app, Confidence::Dns, format!("DNS query {query}"));
    }
    for service in &names.services {
        if let Some(app) = catalogue.by_host(service) {
            return naming(app, Confidence::Dns, format!("DNS-SD service {service}"));
        }
    }
    for name in &names.certificate {
        if let Some(app) = catalogue.by_certificate(name) {
            return naming(app, Confidence::Certificate, format!("certificate {name}"));
        }
    }
    for protocol in &names.alpn {
        if let Some(app) = catalogue.by_alpn(protocol) {
            return naming(app, Confidence::Fingerprint, format!("ALPN {protocol}"));
        }
    }
    let ja4 = names.ja4.as_ref()?;
    naming(catalogue.by_ja4(ja4)?, Confidence::Fingerprint, format!("JA4 {ja4}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classifiers_fit_their_set_of_bits() {
        assert!(CLASSIFIERS.len() <= 128);
    }
}
