//! Look-ups a second in indexes of one and five million domains, what they take in memory, and how fast texts are
//! looked through.

#![allow(clippy::print_stderr)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use indicators::text::fold;
use indicators::{Index, Source, Strength, ThreatKind};

/// A made-up name, different for each number.
fn name(i: u32) -> String {
    let mixed = i.wrapping_mul(0x9e37_79b1);
    format!("{mixed:x}-account.{}", ["com", "net", "org", "co.uk", "info"][i as usize % 5])
}

fn source() -> Source {
    Source { list: Arc::from("bench"), kind: ThreatKind::Phishing, strength: Strength::Block, line: 0 }
}

fn domains(count: u32) -> Index {
    let mut builder = Index::builder();
    let source = source();
    for i in 0..count {
        builder.add_host(&source, &name(i));
    }
    let (index, refused) = builder.build();
    assert!(refused.is_empty(), "{:?}", refused.first());
    let each = index.bytes() as f64 / index.len() as f64;
    eprintln!("{} domains, {each:.1} bytes each", index.len());
    index
}

fn hosts(c: &mut Criterion) {
    for count in [1_000_000, 5_000_000] {
        let index = domains(count);
        let absent: Vec<String> = (0..1 << 16).map(|i| format!("www.{}", name(count + i * 7))).collect();
        let present: Vec<String> = (0..1 << 16).map(|i| format!("www.{}", name(i * 13 % count))).collect();
        let mut group = c.benchmark_group(format!("host/{count}"));
        group.throughput(Throughput::Elements(absent.len() as u64));
        for (what, hosts, expected) in [("absent", &absent, 0), ("present", &present, present.len())] {
            group.bench_function(what, |b| {
                b.iter(|| {
                    let hits = hosts.iter().filter(|host| index.host(black_box(host)).is_some()).count();
                    assert_eq!(hits, expected);
                });
            });
        }
        group.finish();
    }
}

fn texts(c: &mut Criterion) {
    let mut builder = Index::builder();
    let source = source();
    for i in 0..10_000u32 {
        let words = format!("claim your {:x} prize at {}", i.wrapping_mul(0x9e37_79b1), i % 97);
        builder.add_text(&source, &words);
        let mixed = u64::from(i).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5555_3333_0f0f_00ff;
        builder.add_shape(&source, mixed);
    }
    let (index, _) = builder.build();
    eprintln!("{} patterns and shapes, {:.0} bytes each", index.len(), index.bytes() as f64 / index.len() as f64);
    let text = "Shall we meet at noon? You could claim your coat at the door, and your prize, too. ".repeat(24);
    let mut group = c.benchmark_group("text");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("10,000 patterns", |b| b.iter(|| assert!(index.text(&fold(black_box(&text))).is_none())));
    group.finish();
    let mut shape = 0x0123_4567_89ab_cdefu64;
    c.bench_function("shape/10,000", |b| {
        b.iter(|| {
            shape = shape.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            index.shape(black_box(shape))
        });
    });
}

criterion_group!(benches, hosts, texts);
criterion_main!(benches);
