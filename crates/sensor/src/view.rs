//! What classifiers look at: the beginning of one flow, derived once.

use std::net::IpAddr;

use crate::apps::Catalogue;
use crate::lore::Lore;
use crate::names::Names;

/// The transport protocol of a flow. Only TCP and UDP flows are classified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// Anything else, by its IP protocol number.
    Other(u8),
}

/// One end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The address.
    pub ip: IpAddr,
    /// The port; 0 where the protocol has none.
    pub port: u16,
}

/// Which way a packet went. The client is who spoke first (or sent the SYN).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// From the client.
    ToServer,
    /// From the server.
    ToClient,
}

impl Way {
    /// 0 or 1, for tables of two.
    pub fn index(self) -> usize {
        usize::from(self == Way::ToClient)
    }

    /// The other one.
    pub fn back(self) -> Way {
        match self {
            Way::ToServer => Way::ToClient,
            Way::ToClient => Way::ToServer,
        }
    }
}

/// One packet with payload, among the first of its flow.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    /// Which way it went.
    pub way: Way,
    /// Payload length on the wire, which may be more than was captured or kept.
    pub len: u32,
    /// Where its kept bytes start in the buffer of its way (UDP only).
    pub start: u32,
    /// How many bytes were kept (UDP only).
    pub kept: u32,
    /// Milliseconds since the flow's first packet.
    pub at: u32,
}

/// The beginning of a flow. Bounds: [`crate::Limits`].
pub struct FlowView<'a> {
    /// TCP or UDP.
    pub transport: Transport,
    /// Who spoke first.
    pub client: Endpoint,
    /// Who was spoken to.
    pub server: Endpoint,
    /// What hints gave: protocol inside, names, fingerprints.
    pub names: &'a Names,
    /// What other flows taught about these endpoints.
    pub lore: &'a Lore,
    /// The known applications.
    pub catalogue: &'a Catalogue,
    /// A TCP flow whose beginning was not seen.
    pub midstream: bool,
    /// Nothing more will come: the budget is spent or the flow has ended. `NeedMore` now means No.
    pub last: bool,
    /// How much was heard so far, which is what patience is measured in: datagrams (UDP); segments, where those of one
    /// direction in a row that are small count as one (TCP).
    pub heard: usize,
    /// The first packets with payload, in the order they came, both ways.
    pub pieces: &'a [Piece],
    /// TCP: the contiguous beginning of the stream; UDP: the kept datagrams back to back. By [`Way::index`].
    pub bytes: [&'a [u8]; 2],
}

impl<'a> FlowView<'a> {
    /// The beginning of one direction: the contiguous stream so far (TCP), or the first datagram (UDP).
    /// Empty when nothing came.
    pub fn first(&self, way: Way) -> &'a [u8] {
        match self.transport {
            Transport::Udp => self.datagrams(way).next().unwrap_or_default(),
            _ => self.bytes[way.index()],
        }
    }

    /// The kept datagrams of one direction (UDP).
    pub fn datagrams(&self, way: Way) -> impl Iterator<Item = &'a [u8]> {
        self.pieces.iter().filter(move |piece| piece.way == way).filter_map(|piece| self.bytes_of(piece))
    }

    /// The kept datagrams of both directions, in the order they came (UDP).
    pub fn all_datagrams(&self) -> impl Iterator<Item = (Way, &'a [u8])> {
        self.pieces.iter().filter_map(|piece| Some((piece.way, self.bytes_of(piece)?)))
    }

    /// The newest datagram and its way (UDP).
    pub fn latest(&self) -> Option<(Way, &'a [u8])> {
        let piece = self.pieces.last()?;
        Some((piece.way, self.bytes_of(piece)?))
    }

    /// The kept bytes of one piece (UDP); `None` where nothing was kept.
    pub fn bytes_of(&self, piece: &Piece) -> Option<&'a [u8]> {
        let (start, kept) = (piece.start as usize, piece.kept as usize);
        self.bytes[piece.way.index()].get(start..start.checked_add(kept)?).filter(|bytes| !bytes.is_empty())
    }

    /// How many payload packets went one way, among the first.
    pub fn count(&self, way: Way) -> usize {
        self.pieces.iter().filter(|piece| piece.way == way).count()
    }

    /// Whether either end uses this port.
    pub fn port(&self, port: u16) -> bool {
        self.client.port == port || self.server.port == port
    }
}
