//! What a network conversation is called, and how sure that is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kind of software a flow belongs to, as an `apps/` entry declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Instant messaging.
    Im,
    /// Unified communications: voice, video, meetings.
    Uc,
    /// Peer-to-peer file sharing and storage.
    P2p,
    /// Peer-to-peer television.
    P2ptv,
    /// Peer-to-peer currencies and their mining.
    P2pcoin,
    /// Anonymisers and circumvention tools.
    Anon,
}

impl Category {
    /// Every category, in the order of the reports.
    pub const ALL: [Category; 6] =
        [Category::Im, Category::Uc, Category::P2p, Category::P2ptv, Category::P2pcoin, Category::Anon];

    /// Its name in events and rules.
    pub fn as_str(self) -> &'static str {
        match self {
            Category::Im => "im",
            Category::Uc => "uc",
            Category::P2p => "p2p",
            Category::P2ptv => "p2ptv",
            Category::P2pcoin => "p2pcoin",
            Category::Anon => "anon",
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a name for a flow rests on, strongest first: `a < b` reads "a is stronger than b".
///
/// [`Address`](Confidence::Address) and [`Port`](Confidence::Port) alone never name an application; they
/// give candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Bytes of the application's own protocol.
    Payload,
    /// The server name in a TLS ClientHello.
    Sni,
    /// The server name in a decrypted QUIC Initial.
    Quic,
    /// Host, user agent or tunnel target of an HTTP request, or the target of a SOCKS request.
    Http,
    /// The name that was asked for, or that this client had looked up for this address.
    Dns,
    /// A name in the server's certificate.
    Certificate,
    /// How the TLS client says hello (JA4, ALPN).
    Fingerprint,
    /// What else the same endpoint does: announced media addresses, ports that speak the protocol elsewhere,
    /// sizes and timing.
    Behaviour,
    /// A range of addresses.
    Address,
    /// A port number.
    Port,
}

impl Confidence {
    /// Its name in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Confidence::Payload => "payload",
            Confidence::Sni => "sni",
            Confidence::Quic => "quic",
            Confidence::Http => "http",
            Confidence::Dns => "dns",
            Confidence::Certificate => "certificate",
            Confidence::Fingerprint => "fingerprint",
            Confidence::Behaviour => "behaviour",
            Confidence::Address => "address",
            Confidence::Port => "port",
        }
    }

    /// Whether this alone may name an application; otherwise it only gives candidates.
    pub fn names(self) -> bool {
        self < Confidence::Address
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The system a device runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    /// Microsoft Windows.
    Windows,
    /// Apple's desktop system.
    Macos,
    /// Linux and other Unix desktops and servers.
    Linux,
    /// iPhone and iPad.
    Ios,
    /// Android.
    Android,
    /// Symbian.
    Symbian,
    /// Another phone: BlackBerry, Windows Phone, Java ME, KaiOS, Tizen.
    Phone,
}

impl Platform {
    /// Every platform, in the order of the reports.
    pub const ALL: [Platform; 7] = [
        Platform::Windows,
        Platform::Macos,
        Platform::Linux,
        Platform::Ios,
        Platform::Android,
        Platform::Symbian,
        Platform::Phone,
    ];

    /// Its name in events and rules.
    pub fn as_str(self) -> &'static str {
        match self {
            Platform::Windows => "windows",
            Platform::Macos => "macos",
            Platform::Linux => "linux",
            Platform::Ios => "ios",
            Platform::Android => "android",
            Platform::Symbian => "symbian",
            Platform::Phone => "phone",
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
