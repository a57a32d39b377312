//! BitTorrent: peers over TCP and uTP, encrypted peers, the DHTs, trackers and local discovery.

pub(crate) mod bencode;
mod dht;
mod encrypted;
mod peer;
mod tracker;
mod utp;

use std::net::IpAddr;

use super::{Classifier, Inside, Over};
use crate::bytes::be16;
use crate::lore::Lore;
use crate::view::Transport;

const ID: &str = "bittorrent";

/// Peers that say what they speak.
pub(crate) const PEER: Classifier = Classifier {
    name: "bittorrent-peer",
    applications: &[ID],
    looks_for: "the handshake of BEP 3, or in its midst a chain of peer messages with lengths that add up",
    over: Over::Tcp,
    inside: Inside::PLAIN,
    classify: peer::classify,
    follow: Some(peer::follow),
};

/// Peers under Message Stream Encryption.
pub(crate) const ENCRYPTED: Classifier = Classifier {
    name: "bittorrent-encrypted",
    applications: &[ID],
    looks_for: "Message Stream Encryption: a plain handshake after the key exchange, or the exchange between known peers",
    over: Over::Tcp,
    inside: Inside::PLAIN,
    classify: encrypted::classify,
    follow: None,
};

/// Peers over uTP.
pub(crate) const UTP: Classifier = Classifier {
    name: "bittorrent-utp",
    applications: &[ID],
    looks_for: "uTP (BEP 29): connection ids, acknowledgements and microsecond clocks that agree",
    over: Over::Udp,
    inside: Inside::PLAIN,
    classify: utp::classify,
    follow: Some(datagram),
};

/// The distributed hash tables.
pub(crate) const DHT: Classifier = Classifier {
    name: "bittorrent-dht",
    applications: &[ID],
    looks_for: "queries and answers of the DHT (BEP 5), or of Vuze's",
    over: Over::Udp,
    inside: Inside::PLAIN,
    classify: dht::classify,
    follow: Some(datagram),
};

/// Trackers over UDP, and local service discovery.
pub(crate) const UDP_TRACKER: Classifier = Classifier {
    name: "bittorrent-udp-tracker",
    applications: &[ID],
    looks_for: "a UDP tracker (BEP 15), or an announcement of local service discovery (BEP 14)",
    over: Over::Udp,
    inside: Inside::PLAIN,
    classify: tracker::classify_udp,
    follow: Some(datagram),
};

/// Trackers and web seeds over HTTP.
pub(crate) const HTTP_TRACKER: Classifier = Classifier {
    name: "bittorrent-http",
    applications: &[ID],
    looks_for: "an announce or scrape by info hash over HTTP, a web seed, or a WebTorrent tracker on a WebSocket",
    over: Over::Tcp,
    inside: Inside::HTTP,
    classify: tracker::classify_http,
    follow: Some(tracker::follow_http),
};

/// Reads further datagrams of a BitTorrent socket: DHT, trackers and uTP share it. Of uTP, only the packet
/// that opens a connection is looked at.
fn datagram(said: &super::Said, lore: &mut Lore) {
    match said.payload.first().copied() {
        Some(b'd') => dht::follow(said, lore),
        Some(0 | b'B') => tracker::follow_udp(said, lore),
        Some(utp::SYN) => {}
        _ => return,
    }
    learn_host(lore, said.client.ip);
    learn_host(lore, said.server.ip);
}

/// Learns that a host, whatever its port, has a client running: what it says encrypted is likely to be that.
fn learn_host(lore: &mut Lore, ip: IpAddr) {
    lore.learn_speaker(Transport::Tcp, super::peers::host(ip), ID);
}

/// Learns a list of compact peers, at most `most` of them.
fn learn_compact(lore: &mut Lore, list: &[u8], size: usize, most: usize) {
    for entry in list.chunks_exact(size).take(most) {
        let peer = if size == 18 { super::peers::compact6(entry) } else { super::peers::compact4(entry) };
        if let Some(peer) = peer {
            super::peers::learn(lore, Transport::Udp, peer, ID);
        }
    }
}

/// Whether a port number in a message makes sense.
fn is_port(bytes: &[u8], at: usize) -> bool {
    be16(bytes, at).is_some_and(|port| port != 0)
}
