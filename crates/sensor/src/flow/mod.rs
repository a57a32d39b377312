//! Flows: their keys, their state, and the bounded table that holds them.

mod key;
mod table;
mod tcp;

use std::borrow::Cow;

use model::{Confidence, Platform};
use smallvec::SmallVec;

use crate::anomaly::Anomalies;
use crate::apps::App;
use crate::engine::{Follow, Probe};
use crate::lore::Nanos;
use crate::names::Names;
use crate::view::{Endpoint, Transport, Way};
pub(crate) use key::Key;
pub(crate) use table::{Place, Table};
pub(crate) use tcp::{Tcp, Turn};

/// What a flow is called and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    /// The application.
    pub app: App,
    /// What the name rests on.
    pub confidence: Confidence,
    /// What was seen, in words.
    pub evidence: Cow<'static, str>,
}

/// One conversation between two endpoints.
///
/// In this order in memory: what every packet of a named flow touches comes first, in as few cache lines as it fits.
#[derive(Debug)]
#[repr(C)]
pub struct Flow {
    pub(crate) key: Key,
    /// What it is called. The compiler keeps in here whether a slot of the table has a flow at all.
    pub naming: Option<Naming>,
    /// Time of the newest packet.
    pub last: Nanos,
    /// When that came by the sensor's own clock, which silence is measured on: what packets say may be ahead or behind.
    pub(crate) heard: Nanos,
    /// Packets, by [`Way::index`].
    pub packets: [u64; 2],
    /// Bytes on the wire, with all headers, by [`Way::index`].
    pub bytes: [u64; 2],
    pub(crate) probe: Option<Box<Probe>>,
    /// Who spoke first (or sent the SYN).
    pub client: Endpoint,
    /// IP protocol number.
    pub protocol: u8,
    /// Named or given up; what is still kept of it is watched for contradictions.
    pub(crate) decided: bool,
    /// Hop limits of the first datagrams, by [`Way::index`]; 0 before there was one.
    ttls: [u8; 2],
    /// Who reads on.
    pub(crate) follow: Option<Follow>,
    pub(crate) tcp: Tcp,
    /// Who was spoken to.
    pub server: Endpoint,
    /// What was odd about it.
    pub anomalies: Anomalies,
    /// In the order of first packets, from 1.
    pub serial: u64,
    /// Time of the first packet.
    pub first: Nanos,
    /// The two outermost VLAN ids of the first packet; 0 is none.
    pub vlans: [u16; 2],
    /// Tunnels around the first packet.
    pub tunnels: u8,
    /// Type and code of the first packet, if it is ICMP of either version.
    pub icmp: (u8, u8),
    /// The classifier that named it, by its place in the table.
    pub(crate) named_by: Option<u8>,
    /// What hints gave.
    pub names: Option<Box<Names>>,
    /// The client's platform.
    pub platform: Option<Platform>,
    /// What the server's address was known as when the flow began.
    pub(crate) remembered: Option<(App, Box<str>)>,
    /// What the candidates rest on.
    pub candidates_by: Option<Confidence>,
    /// What it may be, when nothing names it.
    pub candidates: SmallVec<[App; 4]>,
}

impl Flow {
    pub(crate) fn new(key: Key, serial: u64, client: Endpoint, server: Endpoint, now: Nanos) -> Flow {
        Flow {
            protocol: key.protocol(),
            key,
            serial,
            client,
            server,
            first: now,
            last: now,
            heard: now,
            packets: [0; 2],
            bytes: [0; 2],
            vlans: [0; 2],
            tunnels: 0,
            icmp: (0, 0),
            anomalies: Anomalies::default(),
            naming: None,
            candidates: SmallVec::new(),
            candidates_by: None,
            platform: None,
            names: None,
            tcp: Tcp::default(),
            ttls: [0; 2],
            remembered: None,
            probe: None,
            decided: false,
            named_by: None,
            follow: None,
        }
    }

    /// TCP, UDP or another transport.
    pub fn transport(&self) -> Transport {
        match self.protocol {
            6 => Transport::Tcp,
            17 => Transport::Udp,
            other => Transport::Other(other),
        }
    }

    /// Whether both ends have spoken (and TCP's handshake is done, where it was seen).
    pub(crate) fn established(&self) -> bool {
        self.packets[0] > 0 && self.packets[1] > 0 && (self.packets[0] + self.packets[1] > 2)
    }

    /// Whether a datagram comes from much nearer or farther than the first of its direction.
    pub(crate) fn odd_ttl(&mut self, way: Way, ttl: u8) -> bool {
        let first = &mut self.ttls[way.index()];
        if *first == 0 {
            *first = ttl;
        }
        self.protocol == 17 && first.abs_diff(ttl) > tcp::LOW_TTL
    }

    /// How long it may be silent before it has ended.
    pub(crate) fn patience(&self, limits: &crate::Limits) -> Nanos {
        match self.protocol {
            6 if self.tcp.closed() => limits.tcp_closed,
            6 if self.established() => limits.tcp_idle,
            6 => limits.tcp_new,
            17 => limits.udp_idle,
            _ => limits.other_idle,
        }
    }

    /// Which way a packet from this source goes.
    pub(crate) fn way_of(&self, src: Endpoint) -> Way {
        if src == self.client { Way::ToServer } else { Way::ToClient }
    }
}
