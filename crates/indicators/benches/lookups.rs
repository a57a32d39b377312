//! Look-ups a second in an index of a million domains, and what it takes in memory.

#![allow(clippy::print_stderr)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use indicators::{Index, Source, Strength, ThreatKind};

const DOMAINS: u32 = 1_000_000;

/// A made-up name, different for each number.
fn name(i: u32) -> String {
    let mixed = i.wrapping_mul(0x9e37_79b1);
    format!("{mixed:x}-account.{}", ["com", "net", "org", "co.uk", "info"][i as usize % 5])
}

fn lookups(c: &mut Criterion) {
    let mut builder = Index::builder();
    let source = Source { list: Arc::from("bench"), kind: ThreatKind::Phishing, strength: Strength::Block, line: 0 };
    for i in 0..DOMAINS {
        builder.add_host(&source, &name(i));
    }
    let (index, refused) = builder.build();
    assert!(refused.is_empty(), "{:?}", refused.first());
    eprintln!("{} entries, {:.1} bytes each", index.len(), index.bytes() as f64 / index.len() as f64);

    let absent: Vec<String> = (0..1 << 16).map(|i| format!("www.{}", name(DOMAINS + i * 7))).collect();
    let present: Vec<String> = (0..1 << 16).map(|i| format!("www.{}", name(i * 13 % DOMAINS))).collect();
    let mut group = c.benchmark_group("host");
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

criterion_group!(benches, lookups);
criterion_main!(benches);
