//! Packets written by hand, and what a sensor makes of them, for tests.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Limits;
use crate::anomaly::Anomaly;
use crate::apps::Catalogue;
use crate::capture::{LinkType, Packet};
use crate::engine::{Counters, Sensor};
use crate::event::{AnomalyEvent, Sink};
use crate::flow::Flow;

pub(crate) const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 1, 1, 5);
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const ACK: u8 = 16;
pub(crate) const URG: u8 = 32;

/// RFC 1071.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum: u32 = 0;
    for part in parts {
        for pair in part.chunks(2) {
            sum += (u32::from(pair[0]) << 8) | u32::from(*pair.get(1).unwrap_or(&0));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// A TCP segment with a right checksum.
pub(crate) fn tcp(from: (IpAddr, u16), to: (IpAddr, u16), seq: u32, ack: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(from.1.to_be_bytes());
    bytes.extend(to.1.to_be_bytes());
    bytes.extend(seq.to_be_bytes());
    bytes.extend(ack.to_be_bytes());
    bytes.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, u8::from(flags & URG != 0)]);
    bytes.extend(payload);
    let pseudo = [0, 6, (bytes.len() >> 8) as u8, bytes.len() as u8];
    let sum = checksum(&[&octets(from.0), &octets(to.0), &pseudo, &bytes]);
    bytes[16..18].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// A UDP datagram without checksum.
pub(crate) fn udp(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(from.to_be_bytes());
    bytes.extend(to.to_be_bytes());
    bytes.extend((8 + payload.len() as u16).to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(payload);
    bytes
}

/// An IPv4 packet.
pub(crate) fn ipv4(protocol: u8, src: Ipv4Addr, dst: Ipv4Addr, ttl: u8, payload: &[u8]) -> Vec<u8> {
    fragment4(protocol, src, dst, ttl, (0, 0, false), payload)
}

/// A fragment (id, offset in bytes, more to come) of an IPv4 packet.
pub(crate) fn fragment4(
    protocol: u8,
    src: Ipv4Addr,
    dst: Ipv4Addr,
    ttl: u8,
    (id, offset, more): (u16, usize, bool),
    payload: &[u8],
) -> Vec<u8> {
    let mut bytes = vec![0x45, 0];
    bytes.extend((20 + payload.len() as u16).to_be_bytes());
    bytes.extend(id.to_be_bytes());
    bytes.extend(((offset as u16 / 8) | (u16::from(more) << 13)).to_be_bytes());
    bytes.extend([ttl, protocol, 0, 0]);
    bytes.extend(src.octets());
    bytes.extend(dst.octets());
    let sum = checksum(&[&bytes]);
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// An IPv6 packet.
pub(crate) fn ipv6(next: u8, src: Ipv6Addr, dst: Ipv6Addr, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend((payload.len() as u16).to_be_bytes());
    bytes.extend([next, 64]);
    bytes.extend(src.octets());
    bytes.extend(dst.octets());
    bytes.extend(payload);
    bytes
}

/// An Ethernet frame.
pub(crate) fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    bytes.extend(kind.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// One packet of a [`Session`], before it is put into bytes.
#[derive(Clone)]
pub(crate) struct Step {
    pub(crate) from_client: bool,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
    pub(crate) ttl: u8,
    pub(crate) payload: Vec<u8>,
    pub(crate) bad_checksum: bool,
}

impl Step {
    /// The IPv4 packet, without a link header.
    pub(crate) fn packet(&self) -> Vec<u8> {
        let (client, server) = ((CLIENT.into(), 40000), (SERVER.into(), 6667));
        let (from, to) = if self.from_client { (client, server) } else { (server, client) };
        let mut segment = tcp(from, to, self.seq, self.ack, self.flags, &self.payload);
        if self.bad_checksum {
            segment[16] ^= 0x55;
        }
        let (src, dst) = if self.from_client { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        ipv4(6, src, dst, self.ttl, &segment)
    }
}

/// A TCP connection from [`CLIENT`] to port 6667 of [`SERVER`].
pub(crate) struct Session {
    pub(crate) steps: Vec<Step>,
    /// Sequence number of the client's first byte.
    pub(crate) base: u32,
    next: u32,
    server_next: u32,
}

impl Session {
    /// With a handshake; the client's SYN has this sequence number.
    pub(crate) fn open(isn: u32) -> Session {
        let base = isn.wrapping_add(1);
        let mut session = Session { steps: Vec::new(), base, next: base, server_next: 9001 };
        session.step(true, isn, 0, SYN, b"");
        session.step(false, 9000, base, SYN | ACK, b"");
        session.step(true, base, 9001, ACK, b"");
        session
    }

    /// Without one.
    pub(crate) fn midstream() -> Session {
        Session { steps: Vec::new(), base: 5000, next: 5000, server_next: 9001 }
    }

    pub(crate) fn step(&mut self, from_client: bool, seq: u32, ack: u32, flags: u8, payload: &[u8]) -> &mut Step {
        let step = Step { from_client, seq, ack, flags, ttl: 64, payload: payload.to_vec(), bad_checksum: false };
        self.steps.push(step);
        self.steps.last_mut().unwrap()
    }

    /// The client says this next.
    pub(crate) fn client(&mut self, payload: &[u8]) -> &mut Step {
        let (seq, ack) = (self.next, self.server_next);
        self.next = self.next.wrapping_add(payload.len() as u32);
        self.step(true, seq, ack, ACK, payload)
    }

    /// The client says this at an offset of its stream.
    pub(crate) fn client_at(&mut self, offset: u32, payload: &[u8]) -> &mut Step {
        let (seq, ack) = (self.base.wrapping_add(offset), self.server_next);
        self.step(true, seq, ack, ACK, payload)
    }

    /// The server says this next.
    pub(crate) fn server(&mut self, payload: &[u8]) -> &mut Step {
        let (seq, ack) = (self.server_next, self.next);
        self.server_next = self.server_next.wrapping_add(payload.len() as u32);
        self.step(false, seq, ack, ACK, payload)
    }

    /// Its packets as Ethernet frames.
    pub(crate) fn frames(&self) -> Vec<Vec<u8>> {
        self.steps.iter().map(|step| ethernet(0x0800, &step.packet())).collect()
    }
}

/// What a sensor said.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Flows: application (empty when it has none) and evidence.
    pub(crate) flows: Vec<(String, String)>,
    pub(crate) anomalies: Vec<Anomaly>,
    pub(crate) counters: Counters,
}

impl Sink for Seen {
    fn flow(&mut self, flow: &Flow, catalogue: &Catalogue) {
        self.flows.push(match &flow.naming {
            Some(naming) => (catalogue.entry(naming.app).id.clone(), naming.evidence.to_string()),
            None => (String::new(), String::new()),
        });
    }

    fn anomaly(&mut self, event: &AnomalyEvent) {
        self.anomalies.push(event.anomaly);
    }
}

impl Seen {
    /// The evidence of the only flow, which must have this application.
    #[track_caller]
    pub(crate) fn evidence(&self, application: &str) -> &str {
        match self.flows.as_slice() {
            [(id, evidence)] if id == application => evidence,
            other => panic!("not one flow of {application}: {other:?}"),
        }
    }
}

/// Shows Ethernet frames to a sensor, a millisecond apart.
pub(crate) fn sense(frames: &[Vec<u8>], limits: Limits) -> Seen {
    sense_link(LinkType(1), frames, limits)
}

/// Shows frames of a link type to a sensor, a millisecond apart.
pub(crate) fn sense_link(link: LinkType, frames: &[Vec<u8>], limits: Limits) -> Seen {
    let mut sensor = Sensor::new(limits, Catalogue::bundled());
    let mut seen = Seen::default();
    for (index, data) in frames.iter().enumerate() {
        let time = 1_700_000_000_000_000_000 + index as u64 * 1_000_000;
        sensor.packet(&Packet { time, link, wire_len: data.len() as u32, data }, &mut seen);
    }
    sensor.finish(&mut seen);
    seen.counters = sensor.counters();
    seen
}
