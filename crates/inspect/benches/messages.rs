//! What it costs to look at a message: facts and all detectors, without trackers.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use indicators::{Index, ThreatKind};
use inspect::{Answers, Case, Findings, detect, facts};
use jiff::Timestamp;
use model::{Address, Direction, Kind, Message, Party, PartyKind, Place, Protocol, Side};

fn message(text: &str) -> Message {
    let party = Arc::new(Party::stranger(Address::account("a@x.test"), PartyKind::Person, Side::External));
    let time = Timestamp::UNIX_EPOCH;
    let mut message = Message::new(Protocol::Xmpp, Kind::Message, Direction::FromClient, time, party.clone(), party);
    message.say(Place::Body, text);
    message
}

fn messages(c: &mut Criterion) {
    let line = "I will be a little late today, the train stands still again: could you start without me, please? Thx";
    let link = "I will be a little late today: look at https://status.example.com/lines/7?today=1 for the reason, ok";
    let long = format!("{line}\n").repeat(100);
    let mut builder = Index::builder();
    let listed: String = (0..10_000).map(|i| format!("host{i}.test\n")).collect();
    builder.add_list("bench", &listed, ThreatKind::Phishing);
    let table = detect::table(&detect::Config::default(), Arc::new(builder.build().0)).unwrap_or_default();
    for (name, text) in [("plain line of 100 bytes", line), ("line with a link", link), ("text of 10 kB", &long)] {
        let message = message(text);
        c.bench_function(&format!("extract: {name}"), |b| b.iter(|| black_box(facts::extract(black_box(&message)))));
        c.bench_function(&format!("extract and detect: {name}"), |b| {
            let answers = Answers::default();
            b.iter(|| {
                let facts = facts::extract(black_box(&message));
                let case = Case { message: &message, facts: &facts, answers: &answers };
                let mut findings = Findings::default();
                table.iter().for_each(|detector| detector.inspect(&case, &mut findings));
                findings.score()
            });
        });
    }
}

criterion_group!(benches, messages);
criterion_main!(benches);
