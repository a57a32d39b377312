//! Nothing is allocated for a packet of a flow that has been decided.

use std::alloc::System;

use sensor::Limits;
use sensor::apps::Catalogue;
use sensor::capture::{LinkType, Packet};
use sensor::engine::Sensor;
use sensor::eve::Eve;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const FLOWS: u32 = 64;

/// An Ethernet frame of flow `number`: every second one TCP (ACK), the others UDP.
fn frame(number: u32, seq: u32, payload: &[u8]) -> Vec<u8> {
    let tcp = number.is_multiple_of(2);
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
    let header = if tcp { 20 } else { 8 };
    bytes.extend((20 + header + payload.len() as u16).to_be_bytes());
    bytes.extend([0, 0, 0x40, 0, 64, if tcp { 6 } else { 17 }, 0, 0]);
    bytes.extend((0x0a00_0000 + number).to_be_bytes());
    bytes.extend([203, 0, 113, 7, 0x9c, 0x40, 0xea, 0x60]);
    if tcp {
        bytes.extend(seq.to_be_bytes());
        bytes.extend([0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
    } else {
        bytes.extend((8 + payload.len() as u16).to_be_bytes());
        bytes.extend([0, 0]);
    }
    bytes.extend(payload);
    bytes
}

/// Noise, and in some flows IRC and a TLS hello cut short, so that all ways through the engine are gone.
fn payload(number: u32) -> Vec<u8> {
    match number % 8 {
        0 => b"NICK bot\r\nUSER b 0 * :b\r\nJOIN #garden\r\nPRIVMSG #garden :hello\r\n".to_vec(),
        2 => [&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3][..], &[7; 400]].concat(),
        _ => (0..400_u32).map(|i| (i.wrapping_mul(2_654_435_761).wrapping_add(number * 97) >> 13) as u8).collect(),
    }
}

#[test]
fn packets_of_decided_flows_allocate_nothing() {
    let mut sensor = Sensor::new(Limits::default(), Catalogue::bundled());
    let mut eve = Eve::new(std::io::sink(), "test");
    let mut time = 1_700_000_000_000_000_000;
    let mut seq = 1;
    let mut round = |sensor: &mut Sensor, frames: &mut [Vec<u8>], step: u64| {
        for (number, frame) in frames.iter_mut().enumerate() {
            time += step;
            if number.is_multiple_of(2) {
                frame[38..42].copy_from_slice(&u32::to_be_bytes(seq));
            }
            let packet = Packet { time, link: LinkType(1), wire_len: frame.len() as u32, data: frame };
            sensor.packet(&packet, &mut eve);
        }
        seq = seq.wrapping_add(100_000);
    };
    let mut frames: Vec<Vec<u8>> = (0..FLOWS).map(|number| frame(number, 1, &payload(number))).collect();
    // Long enough for every flow to be decided: 96 seconds, a packet a millisecond.
    for _ in 0..1500 {
        round(&mut sensor, &mut frames, 1_000_000);
    }
    let region = Region::new(ALLOCATOR);
    for _ in 0..1000 {
        round(&mut sensor, &mut frames, 10_000);
    }
    let packets = region.change();
    // Beside packets there is the clock: slots of the timer wheel grow to what is due in their second.
    for _ in 0..1000 {
        round(&mut sensor, &mut frames, 1_000_000);
    }
    let minute = region.change();
    assert_eq!((packets.allocations, packets.reallocations), (0, 0), "{packets:?}");
    assert!(minute.allocations + minute.reallocations <= 64, "{minute:?}");
    assert_eq!(sensor.counters().flows, u64::from(FLOWS));
    assert_eq!(sensor.live_flows(), FLOWS as usize);
}
