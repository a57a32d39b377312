//! Frames of anything through a small sensor: the same events twice, each flow told once, every packet counted.
//!
//! Input: a byte of link type, then frames: two bytes of length, one of time passed, that many bytes.
#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use sensor::Limits;
use sensor::apps::Catalogue;
use sensor::capture::{LinkType, Packet};
use sensor::engine::Sensor;
use sensor::eve::Eve;
use sensor::event::{AnomalyEvent, Sink};
use sensor::flow::Flow;

const LINKS: [u16; 12] = [1, 101, 0, 9, 12, 50, 108, 113, 228, 229, 276, 105];

/// So few of everything that it runs out.
fn small() -> Limits {
    Limits {
        flows: 6,
        probes: 3,
        probe_bytes: 2000,
        stream_bytes: 600,
        datagram_bytes: 400,
        fragment_bytes: 4096,
        lore: 4,
        ..Limits::default()
    }
}

#[derive(Default)]
struct Told {
    serials: HashSet<u64>,
    packets: u64,
    bytes: u64,
}

impl Sink for Told {
    fn flow(&mut self, flow: &Flow, _: &Catalogue) {
        assert!(self.serials.insert(flow.serial), "a flow was told twice");
        assert!(flow.first <= flow.last);
        assert!(flow.naming.is_none() || flow.candidates.is_empty());
        assert_eq!(flow.candidates.is_empty(), flow.candidates_by.is_none());
        self.packets += flow.packets.iter().sum::<u64>();
        self.bytes += flow.bytes.iter().sum::<u64>();
    }

    fn anomaly(&mut self, _: &AnomalyEvent) {}
}

/// The lines that a sensor writes.
fn events(link: LinkType, mut input: &[u8], limits: Limits) -> Vec<u8> {
    let mut sensor = Sensor::new(limits, Catalogue::bundled());
    let mut lines = Vec::new();
    let mut sink = (Eve::new(&mut lines, "fuzz"), Told::default());
    let mut time = 1_700_000_000_000_000_000;
    let mut count = 0;
    while let Some((&[low, high, passed], rest)) = input.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes([low, high])).min(rest.len());
        let (data, rest) = rest.split_at(length);
        // From nothing to ten minutes, or two days.
        time += if passed == 255 { 172_800_000_000_000 } else { u64::from(passed).pow(2) * 10_000_000 };
        sensor.packet(&Packet { time, link, wire_len: length as u32, data }, &mut sink);
        count += 1;
        assert!(sensor.live_flows() <= limits.flows);
        input = rest;
    }
    sensor.finish(&mut sink);
    assert_eq!(sensor.live_flows(), 0);
    let (mut eve, told) = sink;
    let counters = sensor.counters();
    assert_eq!(counters.packets, count);
    assert_eq!(told.serials.len() as u64, counters.flows);
    assert_eq!(told.packets + counters.without_flow, counters.packets);
    assert!(told.bytes <= counters.bytes);
    eve.flush().expect("memory takes everything");
    drop(eve);
    lines
}

fuzz_target!(|bytes: &[u8]| {
    let Some((link, frames)) = bytes.split_first() else { return };
    let link = LinkType(LINKS[usize::from(*link) % LINKS.len()]);
    let lines = events(link, frames, small());
    assert!(lines == events(link, frames, small()), "the same packets gave other events");
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        serde_json::from_slice::<serde_json::Value>(line).expect("a JSON line");
    }
    events(link, frames, Limits::default());
});
