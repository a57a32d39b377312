//! Classifiers: what payload tells. One file each, one line each in [`CLASSIFIERS`].
//!
//! What names and addresses tell is data: `apps/*.toml`, see [`crate::apps`].

mod agora;
mod bfcp;
mod dingtalk;
mod discord;
mod gadu_gadu;
mod h323;
mod iax2;
mod imo;
mod irc;
mod kakaotalk;
mod line;
mod megaco;
mod mrim;
mod msn;
mod msrp;
mod mumble;
mod oscar;
mod qq;
mod rtp;
mod sccp;
mod sip;
mod skype;
mod snapchat;
mod stun;
mod teams;
mod teamspeak;
mod telegram;
#[cfg(test)]
pub(crate) mod testing;
mod threema;
mod tox;
mod viber;
mod web;
mod wechat;
mod whatsapp;
mod xfire;
mod xmpp;
mod yahoo;
mod zoom;

// Peer-to-peer, coins, anonymisers.
mod ares;
mod bitcoin;
mod bittorrent;
mod coins;
mod directconnect;
mod edonkey;
mod ethereum;
mod fasttrack;
mod gnutella;
mod i2p;
mod kontiki;
mod libp2p;
mod peers;
mod secp256k1;
mod sharing;
mod soulseek;
mod syncing;
mod television;
mod thunder;
mod tor;
mod ultrasurf;

use std::borrow::Cow;

use model::Confidence;

use crate::lore::Lore;
use crate::names::AppProto;
use crate::view::{Endpoint, FlowView, Transport, Way};

/// What a classifier makes of a flow so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// It is this application.
    Yes {
        /// Id of an `apps/` entry.
        application: &'static str,
        /// What this rests on: `Payload` for bytes of the protocol, `Behaviour` for sizes and company.
        confidence: Confidence,
        /// What was seen, in words an operator understands: "BitTorrent handshake".
        evidence: Cow<'static, str>,
    },
    /// Can't tell yet.
    NeedMore,
    /// Not one of mine, whatever comes.
    No,
}

impl Opinion {
    /// Yes, by bytes of the application's own protocol.
    pub fn payload(application: &'static str, evidence: impl Into<Cow<'static, str>>) -> Opinion {
        Opinion::Yes { application, confidence: Confidence::Payload, evidence: evidence.into() }
    }

    /// Yes, by sizes, timing or company.
    pub fn behaviour(application: &'static str, evidence: impl Into<Cow<'static, str>>) -> Opinion {
        Opinion::Yes { application, confidence: Confidence::Behaviour, evidence: evidence.into() }
    }
}

/// A set of transports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// TCP only.
    Tcp,
    /// UDP only.
    Udp,
    /// Either.
    Both,
}

impl Over {
    /// Whether a flow of this transport may be shown to the classifier.
    pub fn takes(self, transport: Transport) -> bool {
        matches!((self, transport), (Over::Tcp | Over::Both, Transport::Tcp) | (Over::Udp | Over::Both, Transport::Udp))
    }
}

/// Inside which protocols a classifier looks: a set of [`AppProto`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inside(pub u16);

impl Inside {
    /// Flows that no hint reader has recognised.
    pub const PLAIN: Inside = Inside(AppProto::Unknown.bit());
    /// HTTP/1.
    pub const HTTP: Inside = Inside(AppProto::Http.bit());
    /// TLS.
    pub const TLS: Inside = Inside(AppProto::Tls.bit());
    /// STUN and what shares its port.
    pub const STUN: Inside = Inside(AppProto::Stun.bit());
    /// DTLS.
    pub const DTLS: Inside = Inside(AppProto::Dtls.bit());

    /// Both sets.
    pub const fn and(self, other: Inside) -> Inside {
        Inside(self.0 | other.0)
    }
}

/// How many of a client's datagrams are tried for how a protocol begins: one that is lost, late or thrown in by others
/// comes first now and then.
pub(crate) const TRIES: usize = 3;

/// The client's datagrams in which a protocol may begin.
pub(crate) fn beginnings<'a>(view: &FlowView<'a>) -> impl Iterator<Item = &'a [u8]> {
    view.datagrams(Way::ToServer).take(TRIES)
}

/// When no datagram so far begins a protocol: whether the next one may.
pub(crate) fn not_yet(view: &FlowView) -> Opinion {
    if view.count(Way::ToServer) < TRIES && !view.last { Opinion::NeedMore } else { Opinion::No }
}

/// One packet's payload of a flow that has its name, for [`Classifier::follow`].
pub struct Said<'a> {
    /// Who spoke first.
    pub client: Endpoint,
    /// Who was spoken to.
    pub server: Endpoint,
    /// TCP or UDP.
    pub transport: Transport,
    /// Which way it went.
    pub way: Way,
    /// The payload of this packet alone.
    pub payload: &'a [u8],
}

/// One way to recognise applications by payload.
pub struct Classifier {
    /// Its name, for statistics and fuzzing.
    pub name: &'static str,
    /// Ids of the `apps/` entries that it can name.
    pub applications: &'static [&'static str],
    /// What it looks for, in a sentence, for `portcullis sensor apps`.
    pub looks_for: &'static str,
    /// Over which transports.
    pub over: Over,
    /// Inside which protocols.
    pub inside: Inside,
    /// Looks at a flow again each time payload has come, until it answers other than `NeedMore`.
    /// Pure, bounded, without allocation unless the answer is Yes.
    pub classify: fn(&FlowView) -> Opinion,
    /// For flows that this classifier has named: reads each further payload for what it tells about
    /// other flows (media addresses in SDP, DCC offers).
    pub follow: Option<fn(&Said, &mut Lore)>,
}

/// Every classifier, the cheap and certain first.
pub static CLASSIFIERS: &[Classifier] = &[
    // Instant messaging and calls.
    sip::CLASSIFIER,
    xmpp::CLASSIFIER,
    web::CLASSIFIER,
    msrp::CLASSIFIER,
    whatsapp::CLASSIFIER,
    dingtalk::CLASSIFIER,
    wechat::CLASSIFIER,
    yahoo::CLASSIFIER,
    discord::CLASSIFIER,
    agora::CLASSIFIER,
    zoom::CLASSIFIER,
    teamspeak::CLASSIFIER,
    teams::CLASSIFIER,
    stun::CALLS,
    stun::FRAMED,
    oscar::CLASSIFIER,
    msn::CLASSIFIER,
    telegram::CLASSIFIER,
    kakaotalk::CLASSIFIER,
    viber::CLASSIFIER,
    h323::CLASSIFIER,
    megaco::CLASSIFIER,
    iax2::CLASSIFIER,
    sccp::CLASSIFIER,
    mumble::CLASSIFIER,
    qq::CLASSIFIER,
    tox::CLASSIFIER,
    skype::CLASSIFIER,
    snapchat::CLASSIFIER,
    bfcp::CLASSIFIER,
    gadu_gadu::CLASSIFIER,
    mrim::CLASSIFIER,
    xfire::CLASSIFIER,
    line::CLASSIFIER,
    threema::CLASSIFIER,
    imo::CLASSIFIER,
    irc::CLASSIFIER,
    rtp::CLASSIFIER,
    stun::CLASSIFIER,
    // Peer-to-peer, coins, anonymisers.
    bittorrent::PEER,
    bittorrent::DHT,
    bittorrent::UTP,
    bittorrent::UDP_TRACKER,
    bittorrent::HTTP_TRACKER,
    gnutella::TCP,
    gnutella::UDP,
    gnutella::HTTP,
    edonkey::TCP,
    edonkey::UDP,
    bitcoin::TCP,
    ethereum::TCP,
    ethereum::UDP,
    coins::TCP,
    coins::UDP,
    coins::MINING,
    directconnect::TCP,
    directconnect::UDP,
    soulseek::TCP,
    fasttrack::HTTP,
    fasttrack::UDP,
    ares::TCP,
    thunder::THUNDER,
    thunder::HTTP,
    kontiki::UDP,
    television::TCP,
    television::UDP,
    libp2p::TCP,
    syncing::TCP,
    syncing::UDP,
    sharing::TCP,
    sharing::UDP,
    i2p::TCP,
    tor::TLS,
    tor::HTTP,
    ultrasurf::TLS,
    bittorrent::ENCRYPTED,
];

#[cfg(test)]
mod tests {
    use super::testing::Talk;
    use super::*;

    /// Bytes that are the same each time (xorshift).
    struct Chance(u64);

    impl Chance {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % limit
        }

        fn bytes(&mut self) -> Vec<u8> {
            let length = match self.below(4) {
                0 => self.below(24),
                1 => 48 + self.below(160),
                _ => self.below(1400),
            };
            (0..length).map(|_| self.below(256) as u8).collect()
        }
    }

    #[test]
    fn names_are_unique_and_applications_are_given() {
        for (at, classifier) in CLASSIFIERS.iter().enumerate() {
            assert!(CLASSIFIERS[..at].iter().all(|other| other.name != classifier.name), "{}", classifier.name);
            assert!(!classifier.applications.is_empty() && !classifier.looks_for.is_empty(), "{}", classifier.name);
        }
    }

    #[test]
    fn noise_is_nobodys_and_harms_nobody() {
        let protocols =
            [AppProto::Unknown, AppProto::Stun, AppProto::Http, AppProto::Quic, AppProto::Tls, AppProto::Dtls];
        let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
        for _ in 0..400 {
            for transport in [Transport::Tcp, Transport::Udp] {
                let mut talk = if transport == Transport::Tcp { Talk::tcp() } else { Talk::udp() };
                // Ports of the protocols that know them, too.
                talk = talk.port([60000, 8801, 4000, 8000, 2000, 50004, 1400][chance.below(7) as usize]);
                for _ in 0..=chance.below(8) {
                    let payload = chance.bytes();
                    talk = if chance.below(2) == 0 { talk.client(&payload) } else { talk.server(&payload) };
                }
                for protocol in protocols {
                    talk = talk.inside(protocol);
                    let shown = |classifier: &&Classifier| {
                        classifier.over.takes(transport) && classifier.inside.0 & protocol.bit() != 0
                    };
                    for classifier in CLASSIFIERS.iter().filter(shown) {
                        assert_eq!(talk.named(classifier), None, "{} over {transport:?}", classifier.name);
                    }
                }
            }
        }
    }

    /// Beginnings that lead deep into one classifier or another.
    const BEGINNINGS: &[&[u8]] = &[
        b"d1:rd2:id20:abcdefghij01234567895:nodes",
        b"d2:ip6:",
        b"\x41\x02",
        b"\x21\x01",
        b"\xe3\x20\0\0\0\x01",
        b"\xe4\x29",
        b"GND\x02",
        b"GNUTELLA CONNECT/0.6\r\nX-Try: 1.2.3.4:",
        b"\x13BitTorrent protocol",
        b"\0\0\0\x90\x14\x01d5:added",
        b"\xf9\xbe\xb4\xd9version\0\0\0\0\0",
        b"\x01\x21\x01\x01\x01\x01\x01\x01",
        b"RC\x14\x14\x12\x04",
        b"GET /announce?info_hash=",
        b"INVITE sip:a@example.org SIP/2.0\r\n",
        b":a!b@example.org PRIVMSG c :\x01DCC SEND ",
        b"<stream:stream xmlns='jabber:client'>",
        b"\x80\0\0\x01",
    ];

    #[test]
    fn what_begins_right_and_goes_on_wrong_harms_nobody() {
        let mut chance = Chance(0x2545_f491_4f6c_dd1d);
        let mut lore = Lore::new(64);
        for _ in 0..2000 {
            let transport = if chance.below(2) == 0 { Transport::Tcp } else { Transport::Udp };
            let mut talk = if transport == Transport::Tcp { Talk::tcp().midstream() } else { Talk::udp() };
            let mut said = Vec::new();
            for _ in 0..=chance.below(6) {
                let beginning = BEGINNINGS[chance.below(BEGINNINGS.len() as u64) as usize];
                let payload = [beginning, &chance.bytes()].concat();
                talk = if chance.below(2) == 0 { talk.client(&payload) } else { talk.server(&payload) };
                said.push(payload);
            }
            for classifier in CLASSIFIERS.iter().filter(|classifier| classifier.over.takes(transport)) {
                if classifier.inside.0 & AppProto::Unknown.bit() != 0 {
                    talk.ask(classifier);
                }
                let Some(follow) = classifier.follow else { continue };
                for payload in &said {
                    let (client, server) = (talk.client, talk.server);
                    follow(&Said { client, server, transport, way: Way::ToClient, payload }, &mut lore);
                }
            }
        }
    }
}
