//! What the tests share: records, journals in a temporary directory, a seeded
//! source of numbers.

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use jiff::Timestamp;
use model::{Effect, Finding, Kind, Protocol, Record, RecordKind, Side, Then};
use store::{Durability, Entry, Journal, Options, Report, VerifyOptions, verify};
use uuid::{NoContext, Uuid};

/// A record as a gateway makes them, made at `seconds`, told apart by `n`.
pub(crate) fn record_at(seconds: i64, n: u64) -> Record {
    let seconds_u64 = u64::try_from(seconds).unwrap();
    let id = Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds_u64, 0));
    let mut record = Record::new(id, Timestamp::from_second(seconds).unwrap(), RecordKind::Message);
    record.protocol = Some(Protocol::Xmpp);
    record.what = Some(Kind::Message);
    record.from = Some(party("romeo@montague.example"));
    record.to = Some(party("juliet@capulet.example"));
    record.message_id = Some(format!("m{n}").into());
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
    record
}

pub(crate) fn record(n: u64) -> Record {
    record_at(1_700_000_000 + i64::try_from(n).unwrap(), n)
}

pub(crate) fn entry(n: u64, body: Option<&str>) -> Entry {
    Entry::new(&record(n), body.map(|body| body.as_bytes().to_vec()))
}

fn party(account: &str) -> Then {
    Then {
        account: account.into(),
        device: Some("phone".into()),
        kind: model::PartyKind::Person,
        side: Side::Internal,
        person: None,
        groups: vec![],
    }
}

/// Fast, with small segments.
pub(crate) fn options(writer: &str) -> Options {
    Options { durability: Durability::Process, segment_records: 10, segment_seconds: 3_600, ..Options::new(writer) }
}

pub(crate) fn open(dir: &Path) -> Journal {
    Journal::open(dir, options("gateway")).unwrap()
}

/// Appends `count` records, each a group of its own; every third has a body.
pub(crate) fn fill(journal: &Journal, from: u64, count: u64) {
    for n in from..from + count {
        journal.append(entry(n, n.is_multiple_of(3).then_some("wherefore art thou"))).wait().unwrap();
    }
}

/// A closed journal of `count` records.
pub(crate) fn filled(count: u64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    fill(&journal, 0, count);
    journal.close();
    dir
}

pub(crate) fn proof(dir: &Path) -> Report {
    verify(dir, VerifyOptions::default()).unwrap()
}

pub(crate) fn sql(dir: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(dir.join("journal.db")).unwrap()
}

/// Xorshift: the same numbers for the same seed.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Runs a future on this thread.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
