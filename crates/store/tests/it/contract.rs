//! What every backend has to do. A new one implements [`Backend`] and adds one
//! line at the end.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use model::{Direction, Effect, Protocol};
use store::{
    Change, Decision, Entry, Error, FaultKind, FileVerdict, Held, Journal, Options, QuarantineFilter, Status, Store,
    StoreOptions, Stored,
};
use uuid::Uuid;

use crate::support::{block_on, entry, fill, options, record};

/// One fresh, empty place to keep things, in one kind of storage.
trait Backend {
    fn journal(&self, options: Options) -> Result<Journal, Error>;
    fn read(&self, after: u64) -> Vec<Stored>;
    fn store(&self, options: StoreOptions) -> Store;
    fn is_proven(&self) -> bool;
}

struct Sqlite(tempfile::TempDir);

impl Sqlite {
    fn new() -> Sqlite {
        Sqlite(tempfile::tempdir().unwrap())
    }
}

impl Backend for Sqlite {
    fn journal(&self, options: Options) -> Result<Journal, Error> {
        Journal::open(self.0.path(), options)
    }

    fn read(&self, after: u64) -> Vec<Stored> {
        store::reader(self.0.path()).unwrap().after(after).map(Result::unwrap).collect()
    }

    fn store(&self, options: StoreOptions) -> Store {
        Store::open(self.0.path(), options).unwrap()
    }

    fn is_proven(&self) -> bool {
        store::verify(self.0.path(), store::VerifyOptions::default()).unwrap().is_good()
    }
}

fn numbers_follow_and_records_come_back_as_given(backend: &dyn Backend) {
    let journal = backend.journal(options("gateway")).unwrap();
    let tickets: Vec<_> = (1..=25).map(|n| journal.append(entry(n, None))).collect();
    let given: Vec<_> = tickets.into_iter().map(block_on).map(Result::unwrap).collect();
    assert_eq!(given, (1..=25).collect::<Vec<_>>());
    assert_eq!((journal.durable(), journal.backlog()), (25, 0));

    let stored = backend.read(0);
    assert!(stored.windows(2).all(|pair| pair[0].position < pair[1].position));
    for (n, stored) in (1..).zip(&stored) {
        let back = stored.record().unwrap();
        assert_eq!((stored.seq, &*stored.writer), (n, "gateway"));
        assert_eq!(back.message_id, record(n).message_id);
        assert_eq!(back.findings, record(n).findings);
    }
    assert_eq!(backend.read(stored[19].position).len(), 5);
    assert!(backend.is_proven());
}

fn a_body_is_committed_to_and_not_in_the_record(backend: &dyn Backend) {
    let journal = backend.journal(options("gateway")).unwrap();
    journal.append(entry(1, Some("a rose by any other name"))).wait().unwrap();
    journal.append(entry(2, Some("a rose by any other name"))).wait().unwrap();
    journal.append(entry(3, None)).wait().unwrap();
    let stored = backend.read(0);
    let bodies: Vec<_> = stored.iter().map(|stored| stored.record().unwrap().body).collect();
    let [Some(first), Some(second), None] = &bodies[..] else { panic!("{bodies:?}") };
    assert_eq!(first.bytes, 24);
    assert_ne!(first.sha256, second.sha256, "equal bodies must not be told from their commitments");
    assert!(!stored[0].json.contains("rose"));
    assert!(backend.is_proven());
}

fn a_chain_goes_on_after_closing(backend: &dyn Backend) {
    for round in 0..3 {
        let journal = backend.journal(options("gateway")).unwrap();
        fill(&journal, round * 7, 7);
        journal.close();
        let late = journal.append(entry(99, None)).wait().unwrap_err();
        assert_eq!(late.kind, FaultKind::Closed);
    }
    assert_eq!(backend.read(0).last().unwrap().seq, 21);
    assert!(backend.is_proven());
}

fn what_was_queued_before_closing_is_durable(backend: &dyn Backend) {
    let journal = backend.journal(options("gateway")).unwrap();
    let tickets: Vec<_> = (0..500).map(|n| journal.append(entry(n, None))).collect();
    journal.close();
    assert!(tickets.iter().all(|ticket| matches!(ticket.outcome(), Some(Ok(_)))));
    assert!(!journal.is_open());
}

fn a_writer_name_is_for_one_at_a_time(backend: &dyn Backend) {
    let first = backend.journal(options("gateway")).unwrap();
    assert!(matches!(backend.journal(options("gateway")), Err(Error::Locked { .. })));
    let other = backend.journal(options("operator")).unwrap();
    first.append(entry(1, None)).wait().unwrap();
    assert_eq!(other.append(entry(2, None)).wait(), Ok(1));
    first.close();
    assert_eq!(backend.journal(options("gateway")).unwrap().append(entry(3, None)).wait(), Ok(2));
    assert!(backend.is_proven());
}

fn many_threads_and_two_writers_at_once(backend: &dyn Backend) {
    let journals = [
        Arc::new(backend.journal(options("gateway")).unwrap()),
        Arc::new(backend.journal(options("operator")).unwrap()),
    ];
    let threads: Vec<_> = (0..6)
        .map(|thread| {
            let journal = journals[thread % 2].clone();
            std::thread::spawn(move || fill(&journal, 0, 200))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let stored = backend.read(0);
    let distinct: BTreeSet<_> = stored.iter().map(|stored| (stored.writer.clone(), stored.seq)).collect();
    assert_eq!((stored.len(), distinct.len()), (1_200, 1_200));
    drop(journals);
    assert!(backend.is_proven());
}

fn a_record_that_json_cannot_hold_fails_alone(backend: &dyn Backend) {
    let journal = backend.journal(options("gateway")).unwrap();
    let mut odd = record(2);
    odd.score = f32::NAN;
    let odd = Entry::new(&odd, None);
    let tickets = [journal.append(entry(1, None)), journal.append(odd), journal.append(entry(3, None))];
    let outcomes = tickets.map(|ticket| ticket.wait().map_err(|fault| fault.kind));
    assert_eq!(outcomes, [Ok(1), Err(FaultKind::Invalid), Ok(2)]);
    assert!(backend.is_proven());
}

fn held(n: u128, account: &str) -> Held {
    Held {
        id: Uuid::from_u128(n),
        time: Timestamp::from_second(1_700_000_000).unwrap(),
        protocol: Protocol::Xmpp,
        direction: Direction::ToClient,
        account: account.to_owned(),
        peer: "tybalt@capulet.example".to_owned(),
        from: "tybalt@capulet.example/sword".to_owned(),
        to: format!("{account}/phone"),
        findings: "[]".to_owned(),
        rule: Some("hold-links".to_owned()),
        notice: Some("It waits for review.".to_owned()),
        digest: model::Digest([9; 16]),
        frame: b"<message/>".to_vec(),
        parts: r#"["peace? I hate the word"]"#.to_owned(),
    }
}

fn decision() -> Decision {
    Decision { by: "prince".to_owned(), at: Timestamp::from_second(1_700_000_100).unwrap(), reason: None }
}

fn a_held_message_is_released_lent_and_delivered_once(backend: &dyn Backend) {
    let store = backend.store(StoreOptions::default());
    store.hold(&held(1, "romeo@montague.example")).unwrap();
    store.hold(&held(1, "romeo@montague.example")).unwrap();
    let now = Timestamp::from_second(1_700_000_200).unwrap();
    assert!(store.take_released("romeo@montague.example", now).unwrap().is_empty());

    let id = Uuid::from_u128(1);
    store.release(id, &decision()).unwrap();
    assert_eq!(store.released_accounts().unwrap(), ["romeo@montague.example"]);
    assert!(store.take_released("juliet@capulet.example", now).unwrap().is_empty());
    let taken = store.take_released("romeo@montague.example", now).unwrap();
    assert_eq!(taken[0].message, held(1, "romeo@montague.example"));
    assert_eq!(taken[0].decision, Some(decision()));
    assert!(store.take_released("romeo@montague.example", now).unwrap().is_empty(), "it is lent");
    let later = now + SignedDuration::from_secs(61);
    assert_eq!(store.take_released("romeo@montague.example", later).unwrap().len(), 1, "a lost session gives it back");

    store.mark_delivered(id).unwrap();
    assert!(matches!(store.release(id, &decision()), Err(Error::Decided { status: Status::Delivered, .. })));
    assert!(matches!(store.destroy(id, &decision()), Err(Error::Decided { .. })));
    let shown = store.quarantined(id).unwrap().unwrap();
    assert_eq!((shown.status, shown.message.frame.len(), shown.message.parts.len()), (Status::Delivered, 0, 0));
    assert_eq!(store.quarantine_counts().unwrap().bytes, 0);
}

fn a_destroyed_message_is_gone(backend: &dyn Backend) {
    let store = backend.store(StoreOptions::default());
    for n in 1..=2 {
        store.hold(&held(n, "romeo@montague.example")).unwrap();
    }
    let id = Uuid::from_u128(1);
    store.destroy(id, &decision()).unwrap();
    assert!(matches!(store.release(id, &decision()), Err(Error::Decided { status: Status::Destroyed, .. })));
    assert!(matches!(store.release(Uuid::from_u128(9), &decision()), Err(Error::NoSuchEntry(_))));
    assert!(store.quarantined(id).unwrap().unwrap().message.frame.is_empty());
    // A released one may still be destroyed, as long as it has not gone on.
    store.release(Uuid::from_u128(2), &decision()).unwrap();
    store.destroy(Uuid::from_u128(2), &decision()).unwrap();
    let counts = store.quarantine_counts().unwrap();
    assert_eq!((counts.destroyed, counts.held, counts.bytes), (2, 0, 0));
}

fn quarantine_is_listed_by_page_and_filter(backend: &dyn Backend) {
    let store = backend.store(StoreOptions::default());
    for n in 0..25 {
        store.hold(&held(n, if n % 5 == 0 { "a@x.example" } else { "b@x.example" })).unwrap();
    }
    store.release(Uuid::from_u128(10), &decision()).unwrap();
    let mut filter = QuarantineFilter { limit: 10, ..QuarantineFilter::default() };
    let mut pages = Vec::new();
    loop {
        let page = store.quarantine(&filter).unwrap();
        let Some(last) = page.last() else { break };
        filter.before = Some(last.number);
        pages.push(page.iter().map(|entry| entry.message.id.as_u128()).collect::<Vec<_>>());
    }
    assert_eq!(pages.concat(), (0..25).rev().collect::<Vec<_>>());
    let filter = QuarantineFilter {
        status: Some(Status::Held),
        account: Some("a@x.example".to_owned()),
        ..QuarantineFilter::default()
    };
    let found: Vec<_> = store.quarantine(&filter).unwrap().iter().map(|entry| entry.message.id.as_u128()).collect();
    assert_eq!(found, [20, 15, 5, 0]);
}

fn a_full_quarantine_refuses_and_has_room_again(backend: &dyn Backend) {
    let content = (held(0, "a@x.example").frame.len() + held(0, "a@x.example").parts.len()) as u64;
    let options = StoreOptions { quarantine_entries: 3, quarantine_settled: 2, ..StoreOptions::default() };
    let store = backend.store(options.clone());
    for n in 0..3 {
        store.hold(&held(n, "a@x.example")).unwrap();
    }
    let Err(Error::Full(hit)) = store.hold(&held(3, "a@x.example")) else { panic!("it was taken") };
    assert_eq!((hit.name, hit.allowed), ("quarantine.entries", 3));
    for n in 0..3 {
        store.destroy(Uuid::from_u128(n), &decision()).unwrap();
    }
    assert_eq!(store.quarantine_counts().unwrap().destroyed, 2, "the oldest settled one is forgotten");

    let store = backend.store(StoreOptions { quarantine_bytes: content, ..options });
    store.hold(&held(10, "a@x.example")).unwrap();
    let Err(Error::Full(hit)) = store.hold(&held(11, "a@x.example")) else { panic!("it was taken") };
    assert_eq!((hit.name, hit.allowed), ("quarantine.bytes", content));
}

fn another_process_sees_what_changed(backend: &dyn Backend) {
    let gateway = backend.store(StoreOptions::default());
    let operator = backend.store(StoreOptions::default());
    gateway.hold(&held(1, "a@x.example")).unwrap();
    let seen = gateway.changes(0).unwrap();
    assert_eq!(gateway.changes(seen.revision).unwrap().changes, []);

    operator.release(Uuid::from_u128(1), &decision()).unwrap();
    operator.set_setting("mode", Some("observe")).unwrap();
    operator.add_policy("v1", "permit (principal, action, resource);", Timestamp::UNIX_EPOCH).unwrap();
    operator.activate_policy("v1").unwrap();
    assert!(gateway.revision().unwrap() > seen.revision);
    let changes = gateway.changes(seen.revision).unwrap();
    assert_eq!(
        changes.changes,
        [
            Change::Quarantine { id: Uuid::from_u128(1), account: "a@x.example".to_owned(), status: Status::Released },
            Change::Setting { key: "mode".to_owned(), value: Some("observe".to_owned()) },
            Change::Policy { version: "v1".to_owned(), active: true },
        ]
    );
    operator.set_setting("mode", None).unwrap();
    let removed = gateway.changes(changes.revision).unwrap().changes;
    assert_eq!(removed, [Change::Setting { key: "mode".to_owned(), value: None }]);
    assert_eq!(gateway.setting("mode").unwrap(), None);
    assert_eq!(gateway.settings().unwrap(), []);
}

fn one_policy_is_in_force_and_old_ones_are_forgotten(backend: &dyn Backend) {
    let store = backend.store(StoreOptions { policy_versions: 3, ..StoreOptions::default() });
    assert!(store.add_policy("v0", "text 0", Timestamp::UNIX_EPOCH).unwrap());
    assert!(!store.add_policy("v0", "other", Timestamp::UNIX_EPOCH).unwrap(), "a version does not change");
    store.activate_policy("v0").unwrap();
    for n in 1..=5 {
        store.add_policy(&format!("v{n}"), "text", Timestamp::UNIX_EPOCH).unwrap();
    }
    let kept: Vec<_> = store.policies().unwrap().into_iter().map(|policy| policy.version).collect();
    assert_eq!(kept, ["v5", "v4", "v3", "v0"], "the active one is never forgotten");
    assert!(matches!(store.activate_policy("v1"), Err(Error::NoSuchPolicy(_))));
    assert_eq!(store.active_policy().unwrap().unwrap().text, "text 0", "a failed change changes nothing");
    store.activate_policy("v4").unwrap();
    assert_eq!(store.active_policy().unwrap().unwrap().version, "v4");
}

fn uploads_and_file_verdicts_are_remembered_within_bounds(backend: &dyn Backend) {
    let store = backend.store(StoreOptions { uploads: 3, file_verdicts: 3, ..StoreOptions::default() });
    let verdict = |effect| FileVerdict {
        effect,
        rule: Some("no-executables".to_owned()),
        notice: None,
        time: Timestamp::from_second(1_700_000_000).unwrap(),
    };
    for n in 0..4 {
        store.put_upload(&format!("u{n}"), "https://files.x.example/up/").unwrap();
        store.put_file_verdict(&format!("sha256:{n}"), &verdict(Effect::Block)).unwrap();
        // Asked for and confirmed again, it stays.
        store.put_file_verdict("sha256:0", &verdict(Effect::Allow)).unwrap();
    }
    assert_eq!(store.upload("u0").unwrap(), None);
    assert_eq!(store.upload("u3").unwrap().as_deref(), Some("https://files.x.example/up/"));
    assert_eq!(store.file_verdict("sha256:0").unwrap(), Some(verdict(Effect::Allow)));
    assert_eq!(store.file_verdict("sha256:1").unwrap(), None);
    assert_eq!(store.file_verdict("sha256:3").unwrap(), Some(verdict(Effect::Block)));
    store.clear_file_verdicts().unwrap();
    assert_eq!(store.file_verdict("sha256:3").unwrap(), None);
}

macro_rules! contract {
    ($backend:ident, $new:expr) => {
        contract!($backend, $new,
            numbers_follow_and_records_come_back_as_given,
            a_body_is_committed_to_and_not_in_the_record,
            a_chain_goes_on_after_closing,
            what_was_queued_before_closing_is_durable,
            a_writer_name_is_for_one_at_a_time,
            many_threads_and_two_writers_at_once,
            a_record_that_json_cannot_hold_fails_alone,
            a_held_message_is_released_lent_and_delivered_once,
            a_destroyed_message_is_gone,
            quarantine_is_listed_by_page_and_filter,
            a_full_quarantine_refuses_and_has_room_again,
            another_process_sees_what_changed,
            one_policy_is_in_force_and_old_ones_are_forgotten,
            uploads_and_file_verdicts_are_remembered_within_bounds,
        );
    };
    ($backend:ident, $new:expr, $($case:ident),+ $(,)?) => {
        mod $backend {
            use super::*;
            $(#[test]
            fn $case() {
                super::$case(&$new);
            })+
        }
    };
}

contract!(sqlite, Sqlite::new());
