//! What a record costs: appended and made durable, at both durabilities and
//! several numbers in flight (which is how large groups become), and proven.
//!
//! Beside the time criterion reports the CPU time of the journal's thread a
//! record, from the kernel's accounting.
#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use jiff::Timestamp;
use model::{Direction, Effect, Finding, Kind, PartyKind, Protocol, Record, RecordKind, Side, Then};
use store::{Durability, Entry, Journal, Options, VerifyOptions, verify};
use uuid::Uuid;

/// A message as the gateway records it: parties with groups, a link, a finding.
fn entry() -> Entry {
    let party = |account: &str| Then {
        account: account.into(),
        device: Some("phone.4f3a".into()),
        kind: PartyKind::Person,
        side: Side::Internal,
        person: Some("u10234".into()),
        groups: vec!["staff".into()],
    };
    let mut record = Record::new(Uuid::now_v7(), Timestamp::now(), RecordKind::Message);
    record.protocol = Some(Protocol::Xmpp);
    record.what = Some(Kind::Message);
    record.direction = Some(Direction::FromClient);
    record.from = Some(party("romeo@montague.example"));
    record.to = Some(party("juliet@capulet.example"));
    record.message_id = Some("5c1f0a2e".into());
    record.digest = Some(model::Digest([7; 16]));
    record.keys = vec!["url:https://verona.example/balcony".into()];
    record.findings = vec![Finding {
        symbol: "link.shortener".into(),
        score: 1.5,
        explain: "the link hides where it leads".into(),
        evidence: None,
        technique: None,
    }];
    record.score = 1.5;
    record.verdict = Some(Effect::Allow);
    record.rules = vec!["base".into()];
    record.policy = Some("default-1".into());
    Entry::from(record)
}

fn temporary() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn journal(dir: &Path, durability: Durability) -> Journal {
    Journal::open(dir, Options { durability, ..Options::new("gateway") }).unwrap()
}

/// Appends `count` records with at most `window` not yet durable.
fn append(journal: &Journal, entry: &Entry, count: u64, window: usize) {
    let mut waiting = VecDeque::with_capacity(window);
    for _ in 0..count {
        if waiting.len() == window {
            let oldest: Option<store::Ticket> = waiting.pop_front();
            oldest.unwrap().wait().unwrap();
        }
        waiting.push_back(journal.append(entry.clone()));
    }
    for ticket in waiting {
        ticket.wait().unwrap();
    }
}

/// CPU time that the journal's thread has used.
fn journal_cpu() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let nanos = tasks
        .filter(|task| std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name == "journal\n"))
        .filter_map(|task| {
            let times = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            times.split(' ').next()?.parse::<u64>().ok()
        })
        .sum();
    Duration::from_nanos(nanos)
}

fn appending(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append");
    group.throughput(Throughput::Elements(1)).sample_size(10).measurement_time(Duration::from_secs(3));
    for durability in [Durability::Power, Durability::Process] {
        for (window, body) in [(1, None), (16, None), (256, None), (4_096, None), (4_096, Some(200))] {
            let dir = temporary();
            let journal = journal(dir.path(), durability);
            let entry = Entry { body: body.map(|bytes| vec![b'x'; bytes]), ..entry() };
            let name =
                if body.is_some() { format!("{}, body", durability.name()) } else { durability.name().to_owned() };
            let (mut records, before, groups) = (0, journal_cpu(), journal.stats().groups);
            group.bench_with_input(BenchmarkId::new(&name, window), &window, |bencher, &window| {
                bencher.iter_custom(|count| {
                    records += count;
                    let started = Instant::now();
                    append(&journal, &entry, count, window);
                    started.elapsed()
                });
            });
            let cpu = (journal_cpu() - before).as_secs_f64() * 1e6 / records as f64;
            let size = records as f64 / (journal.stats().groups - groups) as f64;
            let line = format!(
                "{name}, {window} in flight: {cpu:.2} us of CPU a record on the journal's thread, {size:.1} a group\n"
            );
            std::io::stderr().write_all(line.as_bytes()).unwrap();
        }
    }
    group.finish();
}

fn handing_over(criterion: &mut Criterion) {
    let dir = temporary();
    let journal = journal(dir.path(), Durability::Process);
    let entry = entry();
    let mut group = criterion.benchmark_group("hand over");
    group.throughput(Throughput::Elements(1));
    group.bench_function("caller's side", |bencher| {
        bencher.iter_custom(|count| {
            let mut spent = Duration::ZERO;
            let mut left = count;
            while left > 0 {
                let entries = vec![entry.clone(); left.min(10_000) as usize];
                left -= entries.len() as u64;
                let mut last = None;
                let started = Instant::now();
                for entry in entries {
                    last = Some(journal.append(entry));
                }
                spent += started.elapsed();
                last.unwrap().wait().unwrap();
            }
            spent
        });
    });
    group.finish();
}

fn proving(criterion: &mut Criterion) {
    const RECORDS: u64 = 200_000;
    let dir = temporary();
    let journal = journal(dir.path(), Durability::Process);
    append(&journal, &Entry { body: Some(vec![b'x'; 100]), ..entry() }, RECORDS / 2, 4_096);
    append(&journal, &entry(), RECORDS / 2, 4_096);
    journal.close();
    let mut group = criterion.benchmark_group("prove");
    group.throughput(Throughput::Elements(RECORDS)).sample_size(10);
    group.bench_function("half with bodies", |bencher| {
        bencher.iter(|| {
            let report = verify(dir.path(), VerifyOptions::default()).unwrap();
            assert!(report.is_good() && report.records == RECORDS);
        });
    });
    group.finish();
}

criterion_group!(benches, appending, handing_over, proving);
criterion_main!(benches);
