//! What each stage of a packet's way costs: reading captures, decoding, the flow table, reassembly, hellos,
//! classifiers on traffic that is nobody's, and writing events. Input is made here, the same each time.

#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::io::Cursor;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sensor::Limits;
use sensor::anomaly::Anomalies;
use sensor::apps::Catalogue;
use sensor::capture::{Capture, LinkType, Packet};
use sensor::classify::{CLASSIFIERS, Opinion};
use sensor::decode::Decoder;
use sensor::engine::Sensor;
use sensor::eve::Eve;
use sensor::event::{AnomalyEvent, Sink};
use sensor::flow::Flow;
use sensor::lore::Lore;
use sensor::names::{AppProto, Names};
use sensor::reassemble::Prefix;
use sensor::view::{Endpoint, FlowView, Piece, Transport, Way};
use wire::hints::tls;

const START: u64 = 1_700_000_000_000_000_000;

/// Bytes that are the same each time (xorshift).
struct Chance(u64);

impl Chance {
    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut next = || {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 as u8
        };
        (0..length).map(|_| next()).collect()
    }
}

/// An Ethernet frame with a UDP datagram or a TCP segment (ACK) of flow `number`, without checksums.
fn frame(protocol: u8, number: u32, seq: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    let header = if protocol == 6 { 20 } else { 8 };
    let length = (20 + header + payload.len()) as u16;
    bytes.extend([0x45, 0]);
    bytes.extend(length.to_be_bytes());
    bytes.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
    bytes.extend((0x0a00_0000 | (number >> 8)).to_be_bytes());
    bytes.extend([203, 0, 113, number as u8]);
    bytes.extend([0x9c, 0x40, 0xea, 0x60]);
    if protocol == 6 {
        bytes.extend(seq.to_be_bytes());
        bytes.extend([0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
    } else {
        bytes.extend((8 + payload.len() as u16).to_be_bytes());
        bytes.extend([0, 0]);
    }
    bytes.extend(payload);
    bytes
}

/// A pcap file of these frames, a millisecond apart.
fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file: Vec<u8> =
        [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 262_144, 1].iter().flat_map(|field| field.to_le_bytes()).collect();
    for (index, frame) in frames.iter().enumerate() {
        let time = START + index as u64 * 1_000_000;
        let fields = [time / 1_000_000_000, time % 1_000_000_000, frame.len() as u64, frame.len() as u64];
        file.extend(fields.iter().flat_map(|field| (*field as u32).to_le_bytes()));
        file.extend(frame);
    }
    file
}

/// A ClientHello of TLS 1.3 as browsers send it, in one record.
fn client_hello(name: &str) -> Vec<u8> {
    let sized = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes(), bytes].concat();
    let extension = |kind: u16, bytes: &[u8]| [&kind.to_be_bytes(), &sized(bytes)[..]].concat();
    let extensions = [
        extension(0, &sized(&[&[0], &sized(name.as_bytes())[..]].concat())),
        extension(10, &sized(&[0, 29, 0, 23, 0, 24])),
        extension(13, &sized(&[4, 3, 8, 4, 4, 1, 5, 3, 8, 5, 5, 1])),
        extension(16, &sized(b"\x02h2\x08http/1.1")),
        extension(43, &[4, 3, 4, 3, 3]),
        extension(51, &sized(&[&[0, 29], &sized(&[7; 32])[..]].concat())),
        extension(21, &[0; 200]),
    ]
    .concat();
    let ciphers = [0x13, 1, 0x13, 2, 0x13, 3, 0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x2c, 0xc0, 0x30];
    let body = [&[3, 3][..], &[9; 32], &[32], &[5; 32], &sized(&ciphers), &[1, 0], &sized(&extensions)].concat();
    let handshake = [&[1, 0], &sized(&body)[..]].concat();
    [&[22, 3, 1], &sized(&handshake)[..]].concat()
}

/// Hears nothing.
struct Nobody;

impl Sink for Nobody {
    fn flow(&mut self, _: &Flow, _: &Catalogue) {}
    fn anomaly(&mut self, _: &AnomalyEvent) {}
}

fn packet(index: usize, data: &[u8]) -> Packet<'_> {
    Packet { time: START + index as u64 * 10_000, link: LinkType(1), wire_len: data.len() as u32, data }
}

fn captures_and_decoding(c: &mut Criterion) {
    let payload = Chance(7).bytes(700);
    let frames: Vec<Vec<u8>> =
        (0..4096).map(|i| frame(if i % 2 == 0 { 6 } else { 17 }, i, i, &payload[..i as usize % 700])).collect();
    let file = pcap(&frames);
    let mut group = c.benchmark_group("a packet");
    group.throughput(Throughput::Elements(frames.len() as u64));
    group.bench_function("read from a capture", |b| {
        b.iter(|| {
            let mut capture = Capture::new(Cursor::new(black_box(&file))).unwrap();
            let mut bytes = 0;
            while let Some(packet) = capture.packet().unwrap() {
                bytes += packet.data.len();
            }
            bytes
        });
    });
    let mut decoder = Decoder::new(1 << 20);
    group.bench_function("decoded", |b| {
        b.iter(|| {
            let mut odd = Anomalies::default();
            let mut bytes = 0;
            for (index, frame) in frames.iter().enumerate() {
                decoder.decode(&packet(index, black_box(frame)), &mut odd, |decoded| bytes += decoded.payload.len());
            }
            bytes
        });
    });
    group.finish();
}

fn flows(c: &mut Criterion) {
    let mut group = c.benchmark_group("a packet of a flow");
    let rounds = 64;
    for flows in [1_000, 100_000] {
        let frames: Vec<Vec<u8>> = (0..flows).map(|number| frame(6, number, 1, b"")).collect();
        group.throughput(Throughput::Elements(u64::from(flows)));
        let mut sensor = Sensor::new(Limits::default(), Catalogue::bundled());
        let mut index = 0;
        group.bench_function(format!("that is known, of {flows}"), |b| {
            b.iter(|| {
                for frame in &frames {
                    sensor.packet(&packet(index, black_box(frame)), &mut Nobody);
                    index += 1;
                }
            });
        });
    }
    let noise = Chance(11).bytes(500);
    let frames: Vec<Vec<u8>> = (0..1000).map(|number| frame(17, number, 1, &noise)).collect();
    group.throughput(Throughput::Elements(frames.len() as u64));
    group.bench_function("that is new, with noise", |b| {
        b.iter(|| {
            let mut sensor = Sensor::new(Limits::default(), Catalogue::bundled());
            for (index, frame) in frames.iter().enumerate() {
                sensor.packet(&packet(index, black_box(frame)), &mut Nobody);
            }
            sensor.finish(&mut Nobody);
        });
    });
    group.throughput(Throughput::Elements(rounds * frames.len() as u64));
    group.bench_function("from its first noise to its 64th", |b| {
        b.iter(|| {
            let mut sensor = Sensor::new(Limits::default(), Catalogue::bundled());
            for round in 0..rounds {
                for (index, frame) in frames.iter().enumerate() {
                    sensor.packet(&packet(round as usize * frames.len() + index, black_box(frame)), &mut Nobody);
                }
            }
            sensor.finish(&mut Nobody);
        });
    });
    group.finish();
}

fn reassembly(c: &mut Criterion) {
    let text = Chance(13).bytes(16 << 10);
    let mut stream = Prefix::default();
    let mut group = c.benchmark_group("a stream of 16 KiB");
    group.throughput(Throughput::Bytes(text.len() as u64));
    for (name, size) in [("segments of 1460", 1460), ("segments of 64", 64)] {
        group.bench_function(format!("{name}, in order"), |b| {
            b.iter(|| {
                stream.reset(16 << 10);
                stream.anchor(99);
                for (index, part) in text.chunks(size).enumerate() {
                    stream.push(100 + (index * size) as u32, black_box(part), true);
                }
                assert!(stream.full());
            });
        });
    }
    group.bench_function("segments of 1460, backwards", |b| {
        b.iter(|| {
            stream.reset(16 << 10);
            stream.anchor(99);
            for (index, part) in text.chunks(1460).enumerate().rev() {
                stream.push(100 + (index * 1460) as u32, black_box(part), true);
            }
            assert!(stream.full());
        });
    });
    group.finish();
}

fn hellos(c: &mut Criterion) {
    let hello = client_hello("mmg.whatsapp.net");
    let mut scratch = Vec::new();
    c.bench_function("a TLS hello, name and JA4", |b| {
        b.iter(|| {
            let reading = tls::client_hello(black_box(&hello), &mut scratch);
            assert!(matches!(reading, wire::hints::Reading::Is(_)));
        });
    });
    let catalogue = Catalogue::bundled();
    let mut group = c.benchmark_group("a host in the catalogue");
    for (name, host) in [("known", "mmg.whatsapp.net"), ("unknown", "static.assets.example.org")] {
        group.bench_function(name, |b| b.iter(|| catalogue.by_host(black_box(host))));
    }
    group.finish();
}

/// What all classifiers for a transport cost together, on noise that fits none of them.
fn classifiers(c: &mut Criterion) {
    let end = |ip: [u8; 4], port| Endpoint { ip: IpAddr::V4(Ipv4Addr::from(ip)), port };
    let names = Names::default();
    let lore = Lore::new(1024);
    let mut chance = Chance(17);
    let bytes = [chance.bytes(1200), chance.bytes(1200)];
    let piece = |way, start| Piece { way, len: 600, start, kept: 600, at: start };
    let pieces = [(Way::ToServer, 0), (Way::ToClient, 0), (Way::ToServer, 600), (Way::ToClient, 600)]
        .map(|(way, at)| piece(way, at));
    let mut group = c.benchmark_group("all classifiers on noise");
    for transport in [Transport::Tcp, Transport::Udp] {
        let all: Vec<_> = CLASSIFIERS
            .iter()
            .filter(|one| one.over.takes(transport) && one.inside.0 & AppProto::Unknown.bit() != 0)
            .collect();
        group.throughput(Throughput::Elements(all.len() as u64));
        for (name, shown) in [("first packet", 1), ("fourth packet", 4)] {
            let kept = if shown == 1 { [&bytes[0][..600], &[]] } else { [&bytes[0][..], &bytes[1][..]] };
            let view = FlowView {
                transport,
                client: end([10, 0, 0, 1], 40_000),
                server: end([203, 0, 113, 7], 60_000),
                names: &names,
                lore: &lore,
                catalogue: Catalogue::bundled(),
                midstream: false,
                last: false,
                heard: shown,
                pieces: &pieces[..shown],
                bytes: kept,
            };
            group.bench_function(format!("{transport:?}, {name}"), |b| {
                b.iter(|| {
                    let yes = |opinion| matches!(opinion, Opinion::Yes { .. });
                    all.iter().filter(|one| yes((one.classify)(black_box(&view)))).count()
                });
            });
        }
    }
    group.finish();
}

/// Times what it is told of a flow: only a sensor makes flows.
struct Timed {
    times: u64,
    took: Duration,
}

impl Sink for Timed {
    fn flow(&mut self, flow: &Flow, catalogue: &Catalogue) {
        let mut eve = Eve::new(std::io::sink(), "bench");
        eve.capture("bench.pcap");
        let start = Instant::now();
        for _ in 0..self.times {
            eve.flow(black_box(flow), catalogue);
        }
        self.took = start.elapsed();
    }

    fn anomaly(&mut self, _: &AnomalyEvent) {}
}

fn events(c: &mut Criterion) {
    let hello = frame(6, 1, 1, &client_hello("mmg.whatsapp.net"));
    let mut group = c.benchmark_group("an EVE line");
    for (name, frame) in [("of a named flow", hello), ("of an unnamed flow", frame(17, 1, 1, &[0; 40]))] {
        group.bench_function(name, |b| {
            b.iter_custom(|times| {
                let mut sensor = Sensor::new(Limits::default(), Catalogue::bundled());
                let mut timed = Timed { times, took: Duration::ZERO };
                sensor.packet(&packet(0, &frame), &mut timed);
                sensor.finish(&mut timed);
                timed.took
            });
        });
    }
    group.finish();
}

criterion_group!(benches, captures_and_decoding, flows, reassembly, hellos, classifiers, events);
criterion_main!(benches);
