//! The kept beginning of one flow, while there is something to learn from it.

use smallvec::SmallVec;

use super::derive::Hints;
use crate::Limits;
use crate::anomaly::{Anomalies, Anomaly};
use crate::decode::Decoded;
use crate::flow::Flow;
use crate::reassemble::Prefix;
use crate::view::{Piece, Transport, Way};

/// Packets with payload whose sizes and times are kept.
pub(super) const PIECES: usize = 32;
/// Segments after which a TCP flow is given up, however small they were.
const MOST_SEGMENTS: u32 = 600;
/// Bytes a direction that make `PIECES` segments enough.
const ENOUGH: usize = 2048;
/// How far the beginning of a named TCP stream is watched for contradictions, in bytes a direction.
const WATCHED: u32 = 2048;
/// Segments of one direction in a row that make no more than this many bytes together are heard as one: patience must
/// not run out because somebody cuts finely.
const FINE: u32 = 256;
/// Segments after which watching ends.
const MOST_WATCHED: u32 = 64;

/// What was kept, apart from what was made of it.
#[derive(Debug, Default)]
pub(super) struct Beginning {
    pub(super) pieces: SmallVec<[Piece; PIECES]>,
    streams: [Prefix; 2],
    datagrams: [Vec<u8>; 2],
    udp: bool,
    /// See [`FlowView::heard`](crate::view::FlowView::heard).
    pub(super) heard: usize,
    /// Which way the last segments went that are heard as one, and their bytes.
    run: Option<(Way, u32)>,
}

impl Beginning {
    /// TCP: the contiguous beginning; UDP: the kept datagrams back to back.
    pub(super) fn bytes(&self, way: Way) -> &[u8] {
        if self.udp { &self.datagrams[way.index()] } else { self.streams[way.index()].contiguous() }
    }

    /// A segment came.
    fn hear(&mut self, way: Way, len: u32) {
        match &mut self.run {
            Some((before, bytes)) if *before == way && bytes.saturating_add(len) <= FINE => *bytes += len,
            run => {
                *run = Some((way, len));
                self.heard += 1;
            }
        }
    }

    /// The newest datagram, if it was kept.
    pub(super) fn latest(&self) -> Option<(Way, &[u8])> {
        let piece = self.pieces.last()?;
        let (start, kept) = (piece.start as usize, piece.kept as usize);
        let bytes = self.datagrams[piece.way.index()].get(start..start.checked_add(kept)?)?;
        (!bytes.is_empty()).then_some((piece.way, bytes))
    }
}

/// A flow's beginning, and how far its naming is.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    pub(super) beginning: Beginning,
    pub(super) hints: Hints,
    /// Classifiers that have not said No, by their bit.
    pub(super) undecided: u128,
    /// Packets with payload so far.
    segments: u32,
    most_datagram_bytes: usize,
    /// Its weight as the pool knows it.
    pub(super) weighed: usize,
}

impl Probe {
    /// Makes it ready for a flow.
    pub(super) fn begin(&mut self, flow: &Flow, limits: &Limits) {
        let beginning = &mut self.beginning;
        beginning.pieces.clear();
        beginning.heard = 0;
        beginning.run = None;
        beginning.udp = flow.transport() != Transport::Tcp;
        for way in [Way::ToServer, Way::ToClient] {
            beginning.datagrams[way.index()].clear();
            let stream = &mut beginning.streams[way.index()];
            stream.reset(limits.stream_bytes);
            if let Some(syn) = flow.tcp.syn(way) {
                stream.anchor(syn);
            }
        }
        self.hints.reset();
        self.undecided = super::identify::over(flow.transport());
        self.segments = 0;
        self.most_datagram_bytes = limits.datagram_bytes as usize;
    }

    /// Keeps what a packet brought; whether there is something new to look at.
    pub(super) fn push(
        &mut self,
        flow: &Flow,
        way: Way,
        decoded: &Decoded,
        believed: bool,
        odd: &mut Anomalies,
    ) -> bool {
        self.segments += 1;
        let beginning = &mut self.beginning;
        let room = beginning.pieces.len() < PIECES;
        let mut piece = Piece {
            way,
            len: decoded.payload_len,
            start: 0,
            kept: 0,
            at: (flow.last.saturating_sub(flow.first) / 1_000_000).min(u64::from(u32::MAX)) as u32,
        };
        let Some(segment) = &decoded.tcp else {
            if !room {
                return false;
            }
            let held = &mut beginning.datagrams[way.index()];
            let kept = decoded.payload.len().min(self.most_datagram_bytes.saturating_sub(held.len()));
            // A datagram is kept whole or not at all, unless the capture cut it.
            if kept == decoded.payload.len() {
                piece.start = held.len() as u32;
                piece.kept = kept as u32;
                held.extend_from_slice(decoded.payload);
            }
            beginning.pieces.push(piece);
            beginning.heard += 1;
            return true;
        };
        if room {
            beginning.pieces.push(piece);
        }
        beginning.hear(way, piece.len);
        let stream = &mut beginning.streams[way.index()];
        if let (false, Some(syn)) = (stream.anchored(), flow.tcp.syn(way)) {
            stream.anchor(syn);
        }
        // Data on a SYN comes after it.
        let seq = segment.seq.wrapping_add(u32::from(segment.flags.syn()));
        let pushed = stream.push(seq, decoded.payload, believed);
        if pushed.conflict {
            odd.add(Anomaly::OverlapConflict);
        }
        if pushed.crowded {
            odd.add(Anomaly::StreamHoles);
        }
        let acknowledged = segment.flags.ack() && beginning.streams[way.back().index()].acknowledge(segment.ack);
        pushed.grown || acknowledged
    }

    /// Bytes that its buffers take.
    pub(super) fn weight(&self) -> usize {
        let Beginning { streams, datagrams, .. } = &self.beginning;
        streams.iter().map(Prefix::weight).sum::<usize>() + datagrams.iter().map(Vec::capacity).sum::<usize>()
    }

    /// Nothing more will come: what is there has to do.
    pub(super) fn believe(&mut self) {
        for stream in &mut self.beginning.streams {
            stream.believe();
        }
    }

    /// An acknowledgement without data: it may settle what was doubtful. True when there is more to look at.
    pub(super) fn acknowledge(&mut self, way: Way, decoded: &Decoded) -> bool {
        let Some(segment) = decoded.tcp.as_ref().filter(|segment| segment.flags.ack()) else { return false };
        self.beginning.streams[way.back().index()].acknowledge(segment.ack)
    }

    /// Whether nothing more is kept for classifiers.
    pub(super) fn spent(&self) -> bool {
        let beginning = &self.beginning;
        if beginning.udp {
            return beginning.pieces.len() == PIECES;
        }
        let [to_server, to_client] = &beginning.streams;
        let enough = |stream: &Prefix| stream.contiguous().len() >= ENOUGH;
        self.segments >= MOST_SEGMENTS
            || (to_server.full() && to_client.full())
            || (self.segments as usize >= PIECES && (enough(to_server) || enough(to_client)) && !self.hints.waiting())
    }

    /// The flow has its name: whether its beginning is worth watching on.
    pub(super) fn watch(&mut self, flow: &Flow) -> bool {
        if flow.transport() != Transport::Tcp {
            return false;
        }
        for stream in &mut self.beginning.streams {
            let limit = WATCHED.max(stream.contiguous().len() as u32);
            stream.set_limit(limit);
        }
        !self.watched_enough()
    }

    /// Whether watching has come to its end.
    pub(super) fn watched_enough(&self) -> bool {
        self.segments >= MOST_WATCHED
            || self.beginning.streams.iter().all(|stream| stream.contiguous().len() >= WATCHED as usize)
    }
}
