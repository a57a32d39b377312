//! Reading: the tail, the recent past, one record by its id, and following.

use std::time::Duration;

use jiff::Timestamp;
use store::{Entry, Journal, follow, reader, tail};
use uuid::Uuid;

use crate::support::{entry, fill, filled, open, options, record, record_at};

#[test]
fn the_tail_is_the_newest_oldest_first() {
    let dir = filled(30);
    let seqs = |n| tail(dir.path(), n).unwrap().iter().map(|stored| stored.seq).collect::<Vec<_>>();
    assert_eq!(seqs(3), [28, 29, 30]);
    assert_eq!(seqs(0), [] as [u64; 0]);
    assert_eq!(seqs(1_000).len(), 30);
}

#[test]
fn a_missing_journal_is_named() {
    let dir = tempfile::tempdir().unwrap();
    assert!(tail(dir.path(), 1).unwrap_err().to_string().contains("journal.db"));
}

#[test]
fn a_follower_sees_all_of_two_writers_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let journals = [open(dir.path()), Journal::open(dir.path(), options("operator")).unwrap()];
    fill(&journals[0], 0, 10);
    let mut follower = follow(dir.path(), 0).unwrap();
    std::thread::scope(|scope| {
        for journal in &journals {
            scope.spawn(move || {
                for n in 0..1_000 {
                    journal.append(entry(n, None)).wait().unwrap();
                }
            });
        }
        let mut last = std::collections::BTreeMap::new();
        let mut position = 0;
        for _ in 0..2_010 {
            let stored = follower.next(Duration::from_secs(60)).unwrap().unwrap();
            assert!(stored.position > position);
            position = stored.position;
            let last = last.entry(stored.writer).or_insert(0);
            assert_eq!(stored.seq, *last + 1);
            *last = stored.seq;
        }
    });
    assert_eq!(follower.next(Duration::ZERO).unwrap(), None);

    // It goes on where it was, and from the end.
    let mut again = follow(dir.path(), follower.position() - 2).unwrap();
    assert!(again.next(Duration::ZERO).unwrap().is_some());
    let end = reader(dir.path()).unwrap().end().unwrap();
    let mut from_now = follow(dir.path(), end).unwrap();
    assert_eq!(from_now.next(Duration::ZERO).unwrap(), None);
    fill(&journals[0], 0, 1);
    assert_eq!(from_now.next(Duration::from_secs(60)).unwrap().unwrap().position, end + 1);
}

#[test]
fn the_recent_past_ends_at_its_time_and_its_bound() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let tickets: Vec<_> = (0..2_000i64)
        // Neighbours change places, as with two sessions.
        .map(|n| journal.append(record_at(1_000_000 + (n ^ 1), n.unsigned_abs()).into()))
        .collect();
    for ticket in tickets {
        ticket.wait().unwrap();
    }
    let since = Timestamp::from_second(1_000_000 + 1_301).unwrap();
    let mut reader = reader(dir.path()).unwrap();
    let recent = reader.recent(since, usize::MAX).unwrap();
    assert_eq!(recent.len(), 699);
    assert!(recent.iter().all(|record| record.time >= since));
    let newest = reader.recent(since, 5).unwrap();
    assert_eq!(newest[..], recent[694..]);
    assert_eq!(reader.recent(Timestamp::MAX, 10).unwrap(), []);
}

#[test]
fn a_record_is_found_by_its_id_and_its_body_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let mut ids = Vec::new();
    for n in 0..1_500 {
        let record = record(n * 10);
        ids.push(record.id);
        drop(journal.append(Entry::new(&record, Some(b"it is the east".to_vec()))));
    }
    journal.close();
    let mut reader = reader(dir.path()).unwrap();
    for at in [0, 1, 700, 1_498, 1_499] {
        let found = reader.find(ids[at]).unwrap().unwrap();
        assert_eq!(found.seq, at as u64 + 1);
        assert_eq!(reader.body(found.position).unwrap().as_deref(), Some(&b"it is the east"[..]));
    }
    assert_eq!(reader.find(record(5).id).unwrap(), None);
    assert_eq!(reader.find(Uuid::from_u128(7)).unwrap(), None, "not a time-ordered id");
}

#[test]
fn reading_since_a_time_misses_nothing_and_skips_what_is_long_before() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    for n in 0..2_000u64 {
        let seconds = 1_700_000_000 + i64::try_from(n).unwrap() * 10;
        journal.append(Entry::new(&record_at(seconds, n), None)).wait().unwrap();
    }
    let mut reader = reader(dir.path()).unwrap();
    let since = Timestamp::from_second(1_700_000_000 + 15_000).unwrap();
    let read: Vec<u64> = reader.since(since).unwrap().map(|stored| stored.unwrap().seq).collect();
    assert_eq!(read.last(), Some(&2_000));
    assert!(read[0] <= 1_501 && read[0] > 1_400, "{}", read[0]);
    assert_eq!(reader.since(Timestamp::MIN).unwrap().count(), 2_000);
    assert_eq!(reader.since(Timestamp::from_second(1_800_000_000).unwrap()).unwrap().count(), 1);
}
