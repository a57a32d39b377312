//! What is odd about packets and streams: evasion, damage, limits hit.

/// One kind of oddity. Its bit stands in a flow's [`Anomalies`], so that each is told once a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Anomaly {
    /// Frames of a link type that is not read.
    LinkTypeUnknown,
    /// A header is cut off or its lengths can't be.
    HeaderTruncated,
    /// IP length disagrees with what was on the wire.
    IpLength,
    /// IP or TCP options that don't add up.
    OptionsMalformed,
    /// More tunnels inside each other than the limit.
    TunnelDepth,
    /// More VLAN tags than the limit.
    VlanDepth,
    /// More IPv6 extension headers than the limit.
    ExtensionHeaders,
    /// Fragments that overlap.
    FragmentOverlap,
    /// Fragments smaller than any link needs.
    FragmentTiny,
    /// Fragments that add up to more than 65,535 bytes.
    FragmentTooLarge,
    /// A first fragment without the whole transport header (RFC 7112).
    FragmentNoTransport,
    /// More datagrams in fragments than are kept.
    FragmentFlood,
    /// Segments say different bytes for the same place in the stream.
    OverlapConflict,
    /// A segment that would not have reached the far end as the others do.
    LowTtl,
    /// A segment with a wrong checksum among right ones: the far end ignores it.
    BadChecksum,
    /// A reset that the far end ignores: outside the window.
    ResetOutOfWindow,
    /// Data with the urgent mark: readers disagree on that byte.
    UrgentData,
    /// A handshake in which both ends send SYN.
    SplitHandshake,
    /// More holes in a stream than are kept track of.
    StreamHoles,
    /// The answer to a SYN answers another one.
    HandshakeMismatch,
    /// More beginnings of flows than are held; the oldest were let go.
    BeginningsFull,
    /// Time jumped far ahead in one packet.
    TimeJump,
    /// The flow table is full; idle flows are ended early.
    FlowTableFull,
    /// The capture ends or breaks in the middle.
    CaptureDamaged,
}

impl Anomaly {
    /// Every kind, in the order of their bits.
    pub const ALL: [Anomaly; 24] = [
        Anomaly::LinkTypeUnknown,
        Anomaly::HeaderTruncated,
        Anomaly::IpLength,
        Anomaly::OptionsMalformed,
        Anomaly::TunnelDepth,
        Anomaly::VlanDepth,
        Anomaly::ExtensionHeaders,
        Anomaly::FragmentOverlap,
        Anomaly::FragmentTiny,
        Anomaly::FragmentTooLarge,
        Anomaly::FragmentNoTransport,
        Anomaly::FragmentFlood,
        Anomaly::OverlapConflict,
        Anomaly::LowTtl,
        Anomaly::BadChecksum,
        Anomaly::ResetOutOfWindow,
        Anomaly::UrgentData,
        Anomaly::SplitHandshake,
        Anomaly::StreamHoles,
        Anomaly::HandshakeMismatch,
        Anomaly::BeginningsFull,
        Anomaly::TimeJump,
        Anomaly::FlowTableFull,
        Anomaly::CaptureDamaged,
    ];

    /// EVE's `anomaly.type`: which layer.
    pub fn layer(self) -> &'static str {
        match self {
            Anomaly::OverlapConflict
            | Anomaly::LowTtl
            | Anomaly::BadChecksum
            | Anomaly::ResetOutOfWindow
            | Anomaly::UrgentData
            | Anomaly::StreamHoles
            | Anomaly::HandshakeMismatch
            | Anomaly::SplitHandshake => "stream",
            Anomaly::BeginningsFull | Anomaly::TimeJump | Anomaly::FlowTableFull | Anomaly::CaptureDamaged => "capture",
            _ => "decode",
        }
    }

    /// EVE's `anomaly.event`.
    pub fn event(self) -> &'static str {
        match self {
            Anomaly::LinkTypeUnknown => "link_type_unknown",
            Anomaly::HeaderTruncated => "header_truncated",
            Anomaly::IpLength => "ip_length",
            Anomaly::OptionsMalformed => "options_malformed",
            Anomaly::TunnelDepth => "tunnel_depth",
            Anomaly::VlanDepth => "vlan_depth",
            Anomaly::ExtensionHeaders => "ipv6_extension_headers",
            Anomaly::FragmentOverlap => "fragment_overlap",
            Anomaly::FragmentTiny => "fragment_tiny",
            Anomaly::FragmentTooLarge => "fragment_too_large",
            Anomaly::FragmentNoTransport => "fragment_without_transport_header",
            Anomaly::FragmentFlood => "fragment_flood",
            Anomaly::OverlapConflict => "overlap_conflict",
            Anomaly::LowTtl => "low_ttl",
            Anomaly::BadChecksum => "bad_checksum",
            Anomaly::ResetOutOfWindow => "reset_out_of_window",
            Anomaly::UrgentData => "urgent_data",
            Anomaly::SplitHandshake => "split_handshake",
            Anomaly::StreamHoles => "stream_holes",
            Anomaly::HandshakeMismatch => "handshake_mismatch",
            Anomaly::BeginningsFull => "beginnings_full",
            Anomaly::TimeJump => "time_jump",
            Anomaly::FlowTableFull => "flow_table_full",
            Anomaly::CaptureDamaged => "capture_damaged",
        }
    }
}

/// A set of anomalies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Anomalies(u32);

impl Anomalies {
    /// Adds one.
    pub fn add(&mut self, anomaly: Anomaly) {
        self.0 |= 1 << anomaly as u8;
    }

    /// Whether it holds none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it holds this one.
    pub fn has(self, anomaly: Anomaly) -> bool {
        self.0 & 1 << anomaly as u8 != 0
    }

    /// Adds all of `more` and returns those that are new here.
    pub fn take_new(&mut self, more: Anomalies) -> Anomalies {
        let new = Anomalies(more.0 & !self.0);
        self.0 |= more.0;
        new
    }

    /// Those in the set.
    pub fn iter(self) -> impl Iterator<Item = Anomaly> {
        Anomaly::ALL.into_iter().filter(move |anomaly| self.has(*anomaly))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_own_bit_and_word() {
        for (place, anomaly) in Anomaly::ALL.into_iter().enumerate() {
            assert_eq!(anomaly as usize, place);
            assert_eq!(Anomaly::ALL.iter().filter(|other| other.event() == anomaly.event()).count(), 1);
        }
    }
}
