//! From a captured frame to its innermost conversation, without recursion and without copying.
//!
//! One loop takes layer after layer off: link headers, VLAN tags, MPLS, PPPoE, tunnels, IP and its
//! extension headers. A tunnel is entered only where what is inside adds up; otherwise the outer datagram is
//! the conversation. Own code instead of a decoding crate: depth limits, fragments and oddities have to be
//! seen on the way, and this runs for every packet.

mod fragments;
mod ip;
mod link;
mod transport;
mod tunnel;

use std::net::IpAddr;

use crate::anomaly::{Anomalies, Anomaly};
use crate::bytes::{be16, be32};
use crate::capture::{LinkType, Packet};
use crate::lore::Nanos;
pub use fragments::Defragmenter;
pub use transport::{Checksum, Segment, TcpFlags};

/// VLAN tags on one packet; Q-in-Q has two.
pub const MOST_VLANS: usize = 8;
/// Tunnels inside each other.
pub const MOST_TUNNELS: u8 = 8;
/// IPv6 extension headers of one packet that raise no event; no sender needs more.
const USUAL_EXTENSIONS: u8 = 8;
/// IPv6 extension headers that are walked at all.
const MOST_EXTENSIONS: u8 = 64;
/// Datagrams in fragments inside each other that are put together.
const MOST_FRAGMENTED: usize = 2;
/// MPLS labels of one packet.
const MOST_LABELS: usize = 16;

/// A packet's innermost conversation.
#[derive(Clone, Debug)]
pub struct Decoded<'a> {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// IP protocol number.
    pub protocol: u8,
    /// Source port; 0 where there is none.
    pub src_port: u16,
    /// Destination port; 0 where there is none. ICMP has its type and code here, as Suricata has.
    pub dst_port: u16,
    /// Hop limit of the innermost IP header.
    pub ttl: u8,
    /// Tunnels around it.
    pub tunnels: u8,
    /// The two outermost VLAN ids; 0 where there is none.
    pub vlans: [u16; 2],
    /// TCP's part.
    pub tcp: Option<Segment<'a>>,
    /// Payload above the transport header, as far as captured.
    pub payload: &'a [u8],
    /// Payload length as the headers say, in bytes.
    pub payload_len: u32,
    /// Transport header and payload, for the checksum; empty when cut off.
    pub whole: &'a [u8],
}

/// What comes next in a frame.
#[derive(Clone, Copy, Debug)]
enum Next<'a> {
    /// A frame of this link type.
    Link(LinkType, &'a [u8]),
    /// What an EtherType names.
    Ether(u16, &'a [u8]),
    /// What a PPP protocol number names.
    Ppp(u16, &'a [u8]),
    /// An IP packet of either version.
    Ip(&'a [u8]),
    /// An MPLS label stack.
    Mpls(&'a [u8]),
    /// The payload of an IP packet.
    Carried(ip::Header, &'a [u8]),
}

/// Takes frames apart.
pub struct Decoder {
    fragments: Defragmenter,
    /// Datagrams that were put together, by how deep they are.
    whole: [Vec<u8>; MOST_FRAGMENTED],
}

/// What surrounds the part that is looked at.
#[derive(Default)]
struct Around {
    vlans: [u16; 2],
    vlan_count: usize,
    tunnels: u8,
}

impl Decoder {
    /// Keeps at most `most_fragment_bytes` of fragments.
    pub fn new(most_fragment_bytes: usize) -> Decoder {
        Decoder { fragments: Defragmenter::new(most_fragment_bytes), whole: Default::default() }
    }

    /// Shows the innermost conversation of a packet to `see`, if there is one (not for fragments that are not
    /// whole, or for frames that carry no IP). Adds what is odd to `odd`.
    pub fn decode(&mut self, packet: &Packet, odd: &mut Anomalies, see: impl FnOnce(&Decoded)) {
        let mut around = Around::default();
        if let Some((header, bytes)) = plain(packet, odd) {
            if let Some(decoded) = transport::read(&header, bytes, &around, odd) {
                see(&decoded);
            }
            return;
        }
        match step_through(Next::Link(packet.link, packet.data), &mut around, odd) {
            Step::Found(header, bytes) => {
                if let Some(decoded) = transport::read(&header, bytes, &around, odd) {
                    see(&decoded);
                }
            }
            Step::Nothing => {}
            Step::Fragment(fragment) => self.fragment(packet.time, fragment, &mut around, odd, see),
        }
    }

    /// Keeps a fragment; with the last that was missing, the datagram is looked into. It may itself be a tunnel
    /// whose inside is a fragment, which is kept likewise.
    #[cold]
    fn fragment(
        &mut self,
        time: Time,
        fragment: ip::Fragment,
        around: &mut Around,
        odd: &mut Anomalies,
        see: impl FnOnce(&Decoded),
    ) {
        let mut whole = std::mem::take(&mut self.whole);
        let mut deeper = whole.iter_mut();
        let mut fragment = fragment;
        loop {
            let Some(whole) = deeper.next() else {
                odd.add(Anomaly::TunnelDepth);
                break;
            };
            let ip::Fragment { header, part, bytes } = fragment;
            let Some(header) = self.fragments.push(time, header, part, bytes, whole, odd) else { break };
            match step_through(Next::Carried(header, whole), around, odd) {
                Step::Found(header, bytes) => {
                    if let Some(decoded) = transport::read(&header, bytes, around, odd) {
                        see(&decoded);
                    }
                    break;
                }
                Step::Fragment(inner) => fragment = inner,
                Step::Nothing => break,
            }
        }
        self.whole = whole;
    }

    /// Datagrams in fragments that wait for the rest.
    pub fn waiting(&self) -> usize {
        self.fragments.len()
    }
}

enum Step<'a> {
    /// The innermost IP header and what it carries.
    Found(ip::Header, &'a [u8]),
    Fragment(ip::Fragment<'a>),
    Nothing,
}

/// The way of most frames: Ethernet, and in it IPv4 with no fragment and no tunnel. What is taken apart in one piece
/// stays in registers; anything else goes from layer to layer, and finds the same oddities again.
#[inline]
fn plain<'a>(packet: &Packet<'a>, odd: &mut Anomalies) -> Option<(ip::Header, &'a [u8])> {
    let bytes = packet.data.get(14..).filter(|_| packet.link == LinkType::ETHERNET)?;
    if be16(packet.data, 12) != Some(link::IPV4) || bytes.first()? >> 4 != 4 {
        return None;
    }
    match ip::v4(bytes, odd)? {
        ip::Packet::Whole(header, carried) if tunnel::inside(&header, carried).is_none() => Some((header, carried)),
        _ => None,
    }
}

fn step_through<'a>(mut next: Next<'a>, around: &mut Around, odd: &mut Anomalies) -> Step<'a> {
    loop {
        let step = match next {
            Next::Link(link, bytes) => link::frame(link, bytes, odd),
            Next::Ether(kind, bytes) => link::ether(kind, bytes, around, odd),
            Next::Ppp(protocol, bytes) => link::ppp(protocol, bytes),
            Next::Mpls(bytes) => link::mpls(bytes),
            Next::Ip(bytes) => match ip::read(bytes, odd) {
                Some(ip::Packet::Whole(header, bytes)) => Some(Next::Carried(header, bytes)),
                Some(ip::Packet::Fragment(fragment)) => return Step::Fragment(fragment),
                None => None,
            },
            Next::Carried(header, bytes) => {
                let inner = tunnel::inside(&header, bytes);
                match inner {
                    Some(_) if around.tunnels == MOST_TUNNELS => {
                        odd.add(Anomaly::TunnelDepth);
                        None
                    }
                    Some(inner) => {
                        around.tunnels += 1;
                        Some(inner)
                    }
                    None => return Step::Found(header, bytes),
                }
            }
        };
        match step {
            Some(step) => next = step,
            None => return Step::Nothing,
        }
    }
}

/// Since when, for tables that forget.
type Time = Nanos;

#[cfg(test)]
mod tests;
