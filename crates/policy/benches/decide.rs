//! What a decision costs: from the cache, and asked of Cedar, with the default rules.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use model::{Address, Direction, Finding, Kind, Party, PartyKind, Protocol, Side};
use policy::{Policy, Subject, Symbols};

fn decide(c: &mut Criterion) {
    let text = Policy::default_text();
    let names = text.split("Symbol::\"").skip(1).filter_map(|rest| rest.split('"').next());
    let policy = Policy::load(&[("default.cedar", text)], Symbols::default().with_local(names)).unwrap();
    let party = |account: &str, side| Party::stranger(Address::account(account), PartyKind::Person, side);
    let (from, to) = (party("alice@example.org", Side::Internal), party("bob@partner.example", Side::External));
    let finding = |symbol: &'static str| Finding {
        symbol: symbol.into(),
        score: 3.0,
        explain: "a bench".into(),
        evidence: None,
        technique: None,
    };
    let two = [finding("link.raw_ip"), finding("pattern.card")];
    let rules = policy.rules().len();
    for (name, findings) in [("nothing found", &[][..]), ("two findings", &two[..])] {
        let subject = Subject {
            kind: Kind::Message,
            direction: Direction::FromClient,
            protocol: Protocol::Xmpp,
            from: &from,
            to: &to,
            findings,
            score: findings.iter().map(|f| f.score).sum(),
            sealed: None,
            file_kinds: &[],
            time: Timestamp::UNIX_EPOCH,
        };
        let mut group = c.benchmark_group(format!("{rules} rules, {name}"));
        group.bench_function("cached", |b| b.iter(|| policy.decide(black_box(&subject))));
        group.bench_function("uncached", |b| b.iter(|| policy.decide_uncached(black_box(&subject))));
        group.finish();
    }
}

criterion_group!(benches, decide);
criterion_main!(benches);
