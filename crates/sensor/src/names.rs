//! What the hints of a flow gave: the protocol inside, the names said in it, fingerprints.

/// The protocol directly above the transport that says who is called. Everything else is
/// [`Unknown`](AppProto::Unknown) until a classifier names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum AppProto {
    /// Not one of those below (yet).
    #[default]
    Unknown,
    /// TLS over TCP.
    Tls,
    /// DTLS over UDP.
    Dtls,
    /// QUIC (and Google's earlier one).
    Quic,
    /// HTTP/1.
    Http,
    /// DNS, over UDP or TCP.
    Dns,
    /// Multicast DNS.
    Mdns,
    /// STUN and TURN.
    Stun,
    /// SOCKS 4 or 5.
    Socks,
    /// DHCP.
    Dhcp,
}

impl AppProto {
    /// Its name in EVE's `app_proto`.
    pub fn as_str(self) -> Option<&'static str> {
        Some(match self {
            AppProto::Unknown => return None,
            AppProto::Tls => "tls",
            AppProto::Dtls => "dtls",
            AppProto::Quic => "quic",
            AppProto::Http => "http",
            AppProto::Dns => "dns",
            AppProto::Mdns => "mdns",
            AppProto::Stun => "stun",
            AppProto::Socks => "socks",
            AppProto::Dhcp => "dhcp",
        })
    }

    /// Its bit in [`crate::classify::Inside`].
    pub const fn bit(self) -> u16 {
        1 << self as u8
    }
}

/// Names and fingerprints of one flow. Boxed beside it; most flows have few.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// The protocol inside.
    pub protocol: AppProto,
    /// Server name of a TLS, DTLS or QUIC ClientHello, lower case.
    pub sni: Option<Box<str>>,
    /// Protocols the client offers (ALPN).
    pub alpn: Vec<Box<str>>,
    /// JA4 of the ClientHello.
    pub ja4: Option<Box<str>>,
    /// The ClientHello has an encrypted inner hello: the visible name is only the front's.
    pub ech: bool,
    /// The ClientHello was read whole.
    pub hello: bool,
    /// Names in the server's certificate: common name, organisation, alternative names, issuer.
    pub certificate: Vec<Box<str>>,
    /// Host of an HTTP request, or target of CONNECT or SOCKS, lower case, without port.
    pub host: Option<Box<str>>,
    /// Request target of the first HTTP request.
    pub target: Option<Box<str>>,
    /// User agent of the first HTTP request.
    pub user_agent: Option<Box<str>>,
    /// The name a DNS flow asks for first, lower case.
    pub query: Option<Box<str>>,
    /// Services that multicast DNS asks for or announces (DNS-SD, RFC 6763): `_presence._tcp.local`.
    pub services: Vec<Box<str>>,
    /// Questions of a DNS flow that wait for their answers: message id and a digest of the name.
    pub asked: Vec<(u16, u64)>,
    /// The name under which this client had looked up the server's address.
    pub remembered: Option<Box<str>>,
}
