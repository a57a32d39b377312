//! Every bound of the sensor, in one place.

use crate::lore::Nanos;

const SECOND: Nanos = 1_000_000_000;

/// Bounds and patience. Each is counted where it is hit.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Live flows (about 700 bytes each with what is known of them).
    pub flows: usize,
    /// Flows whose beginning is held at once.
    pub probes: usize,
    /// Bytes of all beginnings that are held.
    pub probe_bytes: usize,
    /// Bytes kept of each direction of a TCP stream.
    pub stream_bytes: u32,
    /// Bytes kept of each direction of a UDP flow.
    pub datagram_bytes: u32,
    /// Bytes of fragments that wait for others.
    pub fragment_bytes: usize,
    /// Entries in each table of what flows have taught.
    pub lore: usize,
    /// Silence after which a TCP flow has ended whose handshake nobody answered, in nanoseconds.
    pub tcp_new: Nanos,
    /// The same, of an open connection.
    pub tcp_idle: Nanos,
    /// The same, of a closed one: as long as its last segments may be sent again.
    pub tcp_closed: Nanos,
    /// The same, of UDP.
    pub udp_idle: Nanos,
    /// The same, of anything else.
    pub other_idle: Nanos,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            flows: 131_072,
            probes: 8192,
            probe_bytes: 48 << 20,
            stream_bytes: 16 << 10,
            datagram_bytes: 12 << 10,
            fragment_bytes: 8 << 20,
            lore: 65_536,
            tcp_new: 60 * SECOND,
            tcp_idle: 600 * SECOND,
            tcp_closed: 30 * SECOND,
            udp_idle: 120 * SECOND,
            other_idle: 60 * SECOND,
        }
    }
}
