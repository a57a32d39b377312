//! The disk is full, slow, locked or gone: tickets say so, nothing half-written
//! is chained, and writing goes on without a restart.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use store::{FaultKind, Journal, Options, erase_body};

use crate::support::{block_on, entry, fill, open, options, proof, sql};

#[test]
fn a_full_journal_refuses_and_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let limited = Options { max_bytes: Some(2 << 20), ..options("gateway") };
    let journal = Journal::open(dir.path(), limited).unwrap();
    let large = "x".repeat(50_000);
    let mut durable = 0;
    let fault = loop {
        match journal.append(entry(durable, Some(&large))).wait() {
            Ok(seq) => durable = seq,
            Err(fault) => break fault,
        }
        assert!(durable < 1_000, "the limit was never reached");
    };
    assert_eq!(fault.kind, FaultKind::Full);
    assert!(fault.to_string().contains("free space"), "{fault}");
    assert_eq!(journal.durable(), durable);
    assert_eq!(journal.stats().fault, Some(fault));
    assert_eq!(proof(dir.path()).records, durable, "nothing of the failed group is there");

    for position in 1..=durable {
        assert!(erase_body(dir.path(), position).unwrap());
    }
    assert_eq!(journal.append(entry(0, Some(&large))).wait(), Ok(durable + 1));
    let stats = journal.stats();
    assert_eq!((stats.fault, stats.failed_groups, stats.failed_records), (None, 1, 1));
    journal.close();
    let report = proof(dir.path());
    assert!(report.is_good(), "{report:?}");
    assert_eq!((report.erased, report.bodies), (durable, 1));
}

#[test]
fn a_whole_group_fails_together() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), Options { max_bytes: Some(1 << 20), ..options("gateway") }).unwrap();
    fill(&journal, 0, 5);
    // More than fits, handed over while the journal's thread cannot begin: it
    // has taken what came before it was stopped, and takes the rest at once. So
    // there are two groups at most.
    let blocker = sql(dir.path());
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let tickets: Vec<_> = (0..30).map(|n| journal.append(entry(n, Some(&"x".repeat(100_000))))).collect();
    blocker.execute_batch("COMMIT").unwrap();
    let outcomes: Vec<_> = tickets.iter().map(|ticket| ticket.wait().map_err(|fault| fault.kind)).collect();
    let mut groups: Vec<_> = outcomes.iter().map(|outcome| outcome.is_ok()).collect();
    groups.dedup();
    assert!(groups.len() <= 2, "a part of a group was kept: {outcomes:?}");
    assert!(outcomes.contains(&Err(FaultKind::Full)), "{outcomes:?}");
    let kept = 5 + outcomes.iter().filter(|outcome| outcome.is_ok()).count() as u64;
    assert_eq!(journal.append(entry(1, None)).wait(), Ok(kept + 1));
    journal.close();
    let report = proof(dir.path());
    assert!(report.is_good(), "{report:?}");
    assert_eq!(report.records, kept + 1);
}

/// A file-size limit makes writes fail below SQLite, as a failing device does.
/// It holds for the whole process, so this runs in one of its own.
#[test]
fn a_failing_write_is_told_and_survived() {
    let dir = tempfile::tempdir().unwrap();
    let child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" --exact faults::limited_child --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .env("PORTCULLIS_LIMITED_DIR", dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{said}{}", String::from_utf8_lossy(&child.stderr));
    let report = proof(dir.path());
    assert!(report.is_good(), "{report:?}");
    assert_eq!(report.records, 21);
}

/// The other half of [`a_failing_write_is_told_and_survived`].
#[test]
fn limited_child() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Some(dir) = std::env::var_os("PORTCULLIS_LIMITED_DIR") else { return };
    let dir = Path::new(&dir);
    let journal = open(dir);
    fill(&journal, 0, 20);
    let before = getrlimit(Resource::Fsize);
    let written = std::fs::metadata(dir.join("journal.db-wal")).unwrap().len();
    setrlimit(Resource::Fsize, Rlimit { current: Some(written), maximum: before.maximum }).unwrap();
    for n in 0..3 {
        let fault = journal.append(entry(n, Some(&"x".repeat(10_000)))).wait().unwrap_err();
        assert!(matches!(fault.kind, FaultKind::Io | FaultKind::Full), "{fault}");
    }
    setrlimit(Resource::Fsize, before).unwrap();
    assert_eq!(journal.append(entry(20, None)).wait(), Ok(21));
    journal.close();
}

#[test]
fn a_lock_held_too_long_is_told_and_survived() {
    let dir = tempfile::tempdir().unwrap();
    let journal =
        Journal::open(dir.path(), Options { busy_timeout: Duration::from_millis(10), ..options("gateway") }).unwrap();
    let blocker = sql(dir.path());
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(journal.append(entry(0, None)).wait().unwrap_err().kind, FaultKind::Busy);
    blocker.execute_batch("COMMIT").unwrap();
    assert_eq!(journal.append(entry(0, None)).wait(), Ok(1));
}

#[test]
fn nothing_is_acknowledged_into_a_file_that_was_moved_away() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    fill(&journal, 0, 3);
    let (here, away) = (dir.path().join("journal.db"), dir.path().join("moved.db"));
    std::fs::rename(&here, &away).unwrap();
    assert_eq!(journal.append(entry(3, None)).wait().unwrap_err().kind, FaultKind::Damaged);
    std::fs::write(&here, "").unwrap();
    assert_eq!(journal.append(entry(3, None)).wait().unwrap_err().kind, FaultKind::Damaged);
    std::fs::rename(&away, &here).unwrap();
    assert_eq!(journal.append(entry(3, None)).wait(), Ok(4));
}

#[test]
fn a_saturated_journal_says_so_and_gives_relief() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), Options { max_backlog: 16, ..options("gateway") }).unwrap();
    let blocker = sql(dir.path());
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let tickets: Vec<_> = (0..16).map(|n| journal.append(entry(n, None))).collect();
    assert!(journal.saturated());
    assert_eq!(journal.backlog(), 16);
    let refused = journal.append(entry(16, None)).outcome().unwrap().unwrap_err();
    assert_eq!(refused.kind, FaultKind::Saturated);
    assert_eq!(journal.stats().refused, 1);
    blocker.execute_batch("COMMIT").unwrap();
    block_on(journal.relief());
    assert!(!journal.saturated());
    let outcomes: Vec<_> = tickets.iter().map(store::Ticket::wait).collect();
    assert_eq!(outcomes, (1..=16).map(Ok).collect::<Vec<_>>());
    assert!(proof(dir.path()).is_good());
}

#[test]
fn a_heads_file_that_cannot_be_written_stops_no_record_and_is_made_up_for() {
    let dir = tempfile::tempdir().unwrap();
    let heads = dir.path().join("elsewhere").join("heads.jsonl");
    let journal = Journal::open(dir.path(), Options { heads: Some(heads.clone()), ..options("gateway") }).unwrap();
    fill(&journal, 0, 25);
    std::fs::create_dir(heads.parent().unwrap()).unwrap();
    journal.close();
    let filed = std::fs::read_to_string(&heads).unwrap();
    assert!(filed.lines().count() >= 2, "{filed}");
    assert!(filed.lines().last().unwrap().contains("\"seq\":25"));
}
