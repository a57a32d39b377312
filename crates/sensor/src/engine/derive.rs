//! Hints: which protocol a flow speaks, and which names are said in it.

use wire::hints::{Reading, dhcp, dns, dtls, http, quic, socks, stun, tls};

use super::devices;
use super::probe::Beginning;
use crate::apps::Catalogue;
use crate::flow::{Flow, Naming};
use crate::lore::Lore;
use crate::names::{AppProto, Names};
use crate::view::{Transport, Way};

/// Questions of one DNS flow that wait for their answers.
const MOST_ASKED: usize = 16;

/// Services that are kept of one multicast DNS message.
const MOST_SERVICES: usize = 8;

/// Addresses that one answer teaches: clients try the first few.
const MOST_ADDRESSES: usize = 16;

/// How far the hints of one flow are.
#[derive(Debug, Default)]
pub(super) struct Hints {
    stage: Stage,
    quic: Option<Box<quic::Initials>>,
    /// The first bytes fit a protocol that has not said enough.
    pending: bool,
    /// Where the client's tunnelled stream starts, behind CONNECT or SOCKS.
    tunnel: usize,
    /// Where the tunnelled streams start, by [`Way::index`], when they are in the clear.
    inner: Option<[usize; 2]>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Nothing recognised yet.
    #[default]
    Open,
    /// TLS records; the ClientHello is not whole.
    Hello,
    /// The ClientHello had no name: the certificate may have.
    Certificate,
    /// Behind CONNECT or SOCKS: a ClientHello may follow.
    Tunnel,
    /// QUIC whose hello is not whole.
    Quic,
    /// STUN, with DTLS perhaps to follow.
    Stun,
    /// DTLS before its certificate.
    Dtls,
    /// Nothing more to learn.
    Done,
}

/// What a look at the newest bytes gave.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Derived {
    /// There are new names.
    pub(super) news: bool,
    /// There will be no more.
    pub(super) done: bool,
    /// What a proxy carries in the clear has just been reached: classifiers begin anew.
    pub(super) inside: bool,
}

impl Hints {
    pub(super) fn reset(&mut self) {
        *self = Hints::default();
    }

    /// Whether something that has begun is worth more packets than usual.
    pub(super) fn waiting(&self) -> bool {
        matches!(self.stage, Stage::Hello | Stage::Certificate)
    }

    /// Looks at what is new. `scratch` is for putting handshakes together.
    pub(super) fn derive(
        &mut self,
        beginning: &Beginning,
        flow: &mut Flow,
        lore: &mut Lore,
        scratch: &mut Vec<u8>,
        last: bool,
    ) -> Derived {
        let (before, outside) = (self.stage, self.inner.is_none());
        let mut news = false;
        self.pending = false;
        match flow.transport() {
            Transport::Tcp => {
                // One step may open the next: a request behind a proxy's greeting.
                for _ in 0..3 {
                    let stage = self.stage;
                    news |= self.stream(beginning, flow, lore, scratch);
                    if self.stage == stage {
                        break;
                    }
                }
            }
            Transport::Udp => news = self.datagram(beginning, flow, lore, scratch),
            Transport::Other(_) => self.stage = Stage::Done,
        }
        if last && flow.transport() == Transport::Tcp {
            news |= self.make_do(beginning, flow, scratch);
        }
        // An open UDP flow may turn into anything with its next datagram, but not in the view of classifiers.
        let done = self.stage == Stage::Done || (self.stage == Stage::Open && !self.pending);
        let inside = outside && self.inner.is_some();
        Derived { news: news || before != self.stage, done, inside }
    }

    fn stream(&mut self, beginning: &Beginning, flow: &mut Flow, lore: &mut Lore, scratch: &mut Vec<u8>) -> bool {
        let (client, server) = (beginning.bytes(Way::ToServer), beginning.bytes(Way::ToClient));
        match self.stage {
            Stage::Open => self.open_stream(client, server, flow, lore, scratch),
            Stage::Hello => self.hello(client, server, flow, scratch),
            Stage::Tunnel => self.tunnelled(client, server, flow, scratch),
            Stage::Certificate => self.certificate(server, flow, scratch),
            _ => false,
        }
    }

    /// The first bytes of a TCP stream.
    fn open_stream(
        &mut self,
        client: &[u8],
        server: &[u8],
        flow: &mut Flow,
        lore: &mut Lore,
        scratch: &mut Vec<u8>,
    ) -> bool {
        if client.is_empty() {
            return self.server_first(server, flow, scratch);
        }
        if !matches!(tls::looks_like(client), Reading::Not) {
            return self.hello(client, server, flow, scratch);
        }
        match http::request(client) {
            Reading::Is(request) => {
                let connect = request.method() == "CONNECT";
                self.tunnel = request.body_start();
                take_request(names(flow, AppProto::Http), &request);
                self.stage = if connect { Stage::Tunnel } else { Stage::Done };
                return true;
            }
            Reading::More => {
                self.pending = true;
                return false;
            }
            Reading::Not => {}
        }
        match socks::request(client, server) {
            Reading::Is((target, _, start)) => {
                let names = names(flow, AppProto::Socks);
                if let socks::Target::Name(name) = target {
                    names.host = Some(name);
                }
                self.tunnel = start;
                self.stage = Stage::Tunnel;
                return true;
            }
            Reading::More => {
                self.pending = true;
                return false;
            }
            Reading::Not => {}
        }
        if flow.server.port == 53
            && let Some(message) = client.get(2..).and_then(dns::read)
        {
            take_message(&message, AppProto::Dns, flow, Way::ToServer, lore);
            if let Some(message) = server.get(2..).and_then(dns::read) {
                if let Some(question) = message.question() {
                    learn_from_message(&message, question.as_str(), flow, Way::ToClient, lore);
                }
                self.stage = Stage::Done;
            }
            return true;
        }
        if let Reading::Is(_) = stun::read_stream(client) {
            names(flow, AppProto::Stun);
            self.stage = Stage::Done;
            return true;
        }
        false
    }

    /// What goes through a proxy: TLS and HTTP have names of their own, anything else is for the classifiers.
    fn tunnelled(&mut self, client: &[u8], server: &[u8], flow: &mut Flow, scratch: &mut Vec<u8>) -> bool {
        let Some(inner) = client.get(self.tunnel..).filter(|inner| !inner.is_empty()) else { return false };
        match (tls::client_hello(inner, scratch), http::request(inner)) {
            (Reading::Is(hello), _) => take_hello(names(flow, AppProto::Tls), hello),
            (_, Reading::Is(request)) => take_request(names(flow, AppProto::Http), &request),
            (Reading::More, _) | (_, Reading::More) => return false,
            _ => {
                let greeting = match http::response(server) {
                    Reading::Is(response) => response.body_start(),
                    _ => socks::reply(server),
                };
                self.inner = Some([self.tunnel, greeting]);
            }
        }
        self.stage = Stage::Done;
        true
    }

    /// Where the streams start that a proxy carries in the clear, by [`Way::index`].
    pub(super) fn inner(&self) -> Option<[usize; 2]> {
        self.inner
    }

    /// Only the server has spoken, or only its side was captured.
    fn server_first(&mut self, server: &[u8], flow: &mut Flow, scratch: &mut Vec<u8>) -> bool {
        if !matches!(tls::looks_like(server), Reading::Not) {
            return self.certificate(server, flow, scratch);
        }
        if let Reading::Is(_) = http::response(server) {
            names(flow, AppProto::Http);
            return true;
        }
        false
    }

    fn hello(&mut self, client: &[u8], server: &[u8], flow: &mut Flow, scratch: &mut Vec<u8>) -> bool {
        match tls::client_hello(client, scratch) {
            Reading::Is(hello) => {
                // Tor invents the name it asks for; its relays' certificates tell.
                let invented = |sni: &str| hello.alpn.is_empty() && sni.starts_with("www.") && sni.ends_with(".com");
                // Some clients put an address where a name belongs, which RFC 6066 section 3 forbids.
                let address = |sni: &str| sni.parse::<std::net::IpAddr>().is_ok();
                let named = hello.sni.as_deref().is_some_and(|sni| !invented(sni) && !address(sni));
                take_hello(names(flow, AppProto::Tls), hello);
                self.stage = if named { Stage::Done } else { Stage::Certificate };
                if !named {
                    self.certificate(server, flow, scratch);
                }
                true
            }
            Reading::More => {
                let new = self.stage != Stage::Hello;
                self.stage = Stage::Hello;
                names(flow, AppProto::Tls);
                new
            }
            // Records, but not from the start: the server's side may still be.
            Reading::Not if matches!(tls::looks_like(client), Reading::Is(())) => {
                names(flow, AppProto::Tls);
                self.stage = Stage::Certificate;
                self.certificate(server, flow, scratch);
                true
            }
            Reading::Not => {
                if let Some(names) = &mut flow.names {
                    names.protocol = AppProto::Unknown;
                }
                self.stage = Stage::Done;
                true
            }
        }
    }

    fn certificate(&mut self, server: &[u8], flow: &mut Flow, scratch: &mut Vec<u8>) -> bool {
        match tls::server_flight(server, scratch) {
            Reading::Is(flight) => {
                names(flow, AppProto::Tls).certificate = flight.certificate;
                self.stage = Stage::Done;
                true
            }
            Reading::More => {
                if !server.is_empty() {
                    names(flow, AppProto::Tls);
                    self.stage = Stage::Certificate;
                }
                false
            }
            Reading::Not => {
                if matches!(tls::looks_like(server), Reading::Is(())) {
                    names(flow, AppProto::Tls);
                }
                self.stage = Stage::Done;
                true
            }
        }
    }

    /// No more will come: what there is of a request or a certificate has to do.
    fn make_do(&mut self, beginning: &Beginning, flow: &mut Flow, scratch: &mut Vec<u8>) -> bool {
        match self.stage {
            Stage::Open if self.pending => {
                let Some(request) = http::request_so_far(beginning.bytes(Way::ToServer)) else { return false };
                take_request(names(flow, AppProto::Http), &request);
            }
            Stage::Certificate => {
                let server = beginning.bytes(Way::ToClient);
                let Some(flight) = tls::server_flight_so_far(server, scratch) else { return false };
                names(flow, AppProto::Tls).certificate = flight.certificate;
            }
            _ => return false,
        }
        self.stage = Stage::Done;
        true
    }

    /// The newest datagram of a UDP flow.
    fn datagram(&mut self, beginning: &Beginning, flow: &mut Flow, lore: &mut Lore, scratch: &mut Vec<u8>) -> bool {
        let Some((way, bytes)) = beginning.latest() else { return false };
        match self.stage {
            Stage::Open => self.open_datagram(way, bytes, beginning, flow, lore, scratch),
            Stage::Quic => self.initial(way, bytes, flow),
            Stage::Dtls | Stage::Stun if dtls::looks_like(bytes) => self.dtls(beginning, flow, scratch),
            _ => false,
        }
    }

    fn open_datagram(
        &mut self,
        way: Way,
        bytes: &[u8],
        beginning: &Beginning,
        flow: &mut Flow,
        lore: &mut Lore,
        scratch: &mut Vec<u8>,
    ) -> bool {
        let on = |port: u16| flow.client.port == port || flow.server.port == port;
        let multicast = on(5353) || on(5355);
        if (on(53) || multicast)
            && let Some(message) = dns::read(bytes)
        {
            let protocol = if multicast { AppProto::Mdns } else { AppProto::Dns };
            take_message(&message, protocol, flow, way, lore);
            self.stage = Stage::Done;
            return true;
        }
        if stun::read(bytes).is_some() {
            names(flow, AppProto::Stun);
            self.stage = Stage::Stun;
            return true;
        }
        if quic::looks_like(bytes) {
            self.quic = Some(Box::new(quic::Initials::new()));
            self.stage = Stage::Quic;
            return self.initial(way, bytes, flow);
        }
        if dtls::looks_like(bytes) {
            names(flow, AppProto::Dtls);
            self.stage = Stage::Dtls;
            self.dtls(beginning, flow, scratch);
            return true;
        }
        if (on(67) || on(68)) && dhcp::read(bytes).is_some() {
            names(flow, AppProto::Dhcp);
            devices::from_dhcp(bytes, lore);
            self.stage = Stage::Done;
            return true;
        }
        false
    }

    fn initial(&mut self, way: Way, bytes: &[u8], flow: &mut Flow) -> bool {
        let Some(initials) = &mut self.quic else { return false };
        match initials.push(way == Way::ToServer, bytes) {
            Reading::Is(hello) => {
                let names = names(flow, AppProto::Quic);
                names.user_agent = initials.user_agent().map(Box::from);
                take_hello(names, hello);
                self.stage = Stage::Done;
                self.quic = None;
                true
            }
            Reading::More => {
                names(flow, AppProto::Quic);
                false
            }
            Reading::Not => {
                let known = initials.version().is_some();
                if !known && let Some(names) = &mut flow.names {
                    names.protocol = AppProto::Unknown;
                }
                self.stage = Stage::Done;
                self.quic = None;
                true
            }
        }
    }

    fn dtls(&mut self, beginning: &Beginning, flow: &mut Flow, scratch: &mut Vec<u8>) -> bool {
        let datagrams = |way: Way| {
            beginning.pieces.iter().filter(move |piece| piece.way == way).filter_map(move |piece| {
                let (start, kept) = (piece.start as usize, piece.kept as usize);
                beginning.bytes(way).get(start..start + kept).filter(|bytes| dtls::looks_like(bytes))
            })
        };
        let mut news = false;
        // Either end may be the DTLS client: ICE decides who speaks first.
        for way in [Way::ToServer, Way::ToClient] {
            if flow.names.as_ref().is_none_or(|names| !names.hello)
                && let Reading::Is(hello) = dtls::client_hello(datagrams(way), scratch)
            {
                let protocol = flow.names.as_ref().map_or(AppProto::Dtls, |names| names.protocol);
                take_hello(names(flow, protocol), hello);
                news = true;
            }
            if let Reading::Is(flight) = dtls::server_flight(datagrams(way), scratch)
                && !flight.certificate.is_empty()
            {
                let protocol = flow.names.as_ref().map_or(AppProto::Dtls, |names| names.protocol);
                names(flow, protocol).certificate = flight.certificate;
                if self.stage == Stage::Dtls {
                    self.stage = Stage::Done;
                }
                news = true;
            }
        }
        news
    }
}

/// The flow's names, with this protocol inside.
fn names(flow: &mut Flow, protocol: AppProto) -> &mut Names {
    let names = flow.names.get_or_insert_default();
    names.protocol = protocol;
    names
}

fn take_hello(names: &mut Names, hello: tls::ClientHello) {
    names.sni = hello.sni;
    names.alpn = hello.alpn;
    // Google's first QUIC has a hello of its own, without a fingerprint.
    names.ja4 = (!hello.ja4.is_empty()).then_some(hello.ja4);
    names.ech = hello.ech;
    names.hello = true;
}

fn take_request(names: &mut Names, request: &http::Request) {
    if let Some(host) = request.host() {
        names.host = Some(host);
    }
    names.user_agent = request.user_agent().map(Box::from);
    let target = request.target();
    names.target = Some(String::from_utf8_lossy(target.get(..256).unwrap_or(target)).into());
}

/// The first message of a flow.
fn take_message(message: &dns::Message, protocol: AppProto, flow: &mut Flow, way: Way, lore: &mut Lore) {
    let names = names(flow, protocol);
    let question = message.question();
    names.query = question.as_ref().map(|question| question.as_str().into());
    if protocol == AppProto::Mdns {
        message.services(|service| {
            if names.services.len() < MOST_SERVICES {
                names.services.push(service.into());
            }
        });
    }
    if let Some(question) = question {
        learn_from_message(message, question.as_str(), flow, way, lore);
    }
}

/// A DNS message of a flow that is already known as DNS: its addresses are learnt, and its question may name
/// a flow that has no name yet.
pub(super) fn follow_dns(bytes: &[u8], flow: &mut Flow, way: Way, lore: &mut Lore, catalogue: &Catalogue) {
    let bytes = if flow.transport() == Transport::Tcp { bytes.get(2..).unwrap_or_default() } else { bytes };
    let Some(message) = dns::read(bytes) else { return };
    let Some(question) = message.question() else { return };
    let question = question.as_str();
    learn_from_message(&message, question, flow, way, lore);
    if flow.naming.is_none()
        && let Some(app) = catalogue.by_host(question)
    {
        let evidence = format!("DNS query {question}").into();
        flow.naming = Some(Naming { app, confidence: model::Confidence::Dns, evidence });
        if let Some(names) = &mut flow.names {
            names.query = Some(question.into());
        }
    }
}

/// Questions are kept until they are answered; an answer that nobody asked for teaches nothing.
fn learn_from_message(message: &dns::Message, question: &str, flow: &mut Flow, way: Way, lore: &mut Lore) {
    let asked = (message.id(), digest(question));
    let Some(names) = flow.names.as_mut().filter(|names| names.protocol == AppProto::Dns) else { return };
    if !message.is_response() {
        if way == Way::ToServer && !names.asked.contains(&asked) {
            names.asked.truncate(MOST_ASKED - 1);
            names.asked.insert(0, asked);
        }
    } else if way == Way::ToClient && message.rcode() == 0 && names.asked.contains(&asked) {
        let mut left = MOST_ADDRESSES;
        message.addresses(|address| {
            if left > 0 {
                left -= 1;
                lore.learn_name(flow.client.ip, address, question);
            }
        });
    }
}

/// FNV-1a, to tell one name from another.
fn digest(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
