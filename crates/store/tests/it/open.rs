//! Opening: what is created, what is refused, and with which words.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rusqlite::Connection;
use store::{Error, Journal, Options, Store, StoreOptions};

use crate::support::{fill, filled, open, options, proof, sql};

fn refused(dir: &Path) -> Error {
    Journal::open(dir, options("gateway")).unwrap_err()
}

#[test]
fn everything_is_for_its_owner_only() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("data");
    let journal = open(&dir);
    fill(&journal, 0, 20);
    let store = Store::open(&dir, StoreOptions::default()).unwrap();
    store.set_setting("a", Some("b")).unwrap();
    assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    for file in std::fs::read_dir(&dir).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.file_name());
    }
}

#[test]
fn a_database_of_a_newer_version_is_refused() {
    let dir = filled(1);
    Store::open(dir.path(), StoreOptions::default()).unwrap();
    for (file, open) in [
        ("journal.db", (|dir| Journal::open(dir, options("gateway")).map(drop)) as fn(&Path) -> Result<(), Error>),
        ("journal.db", |dir| store::reader(dir).map(drop)),
        ("store.db", |dir| Store::open(dir, StoreOptions::default()).map(drop)),
    ] {
        Connection::open(dir.path().join(file)).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let error = open(dir.path()).unwrap_err();
        assert!(matches!(error, Error::Newer { found: 99, known: 1, .. }), "{error}");
        assert!(error.to_string().contains(file), "{error}");
    }
}

#[test]
fn another_programs_database_and_rubbish_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    Connection::open(dir.path().join("journal.db"))
        .unwrap()
        .execute_batch("CREATE TABLE bookmarks (url TEXT)")
        .unwrap();
    assert!(matches!(refused(dir.path()), Error::Foreign { .. }));

    std::fs::write(dir.path().join("journal.db"), "not a database at all".repeat(500)).unwrap();
    let error = refused(dir.path());
    assert!(matches!(error, Error::Damaged { .. }));
    assert!(error.to_string().contains("journal.db") && error.to_string().contains("archive verify"), "{error}");
}

#[test]
fn a_broken_end_is_not_written_on() {
    for (tamper, what) in [
        ("UPDATE record SET json = replace(json, 'romeo', 'paris') WHERE seq = 15", "does not follow"),
        ("DELETE FROM record WHERE seq = 15", "does not end where its writer left it"),
        ("DELETE FROM record WHERE seq = 13", "it is missing"),
        ("DELETE FROM record WHERE seq = 10", "a head is signed for it"),
        ("UPDATE record SET hash = zeroblob(32) WHERE seq = 10", "differs from its signed head"),
        ("DELETE FROM head WHERE seq = 10", "head is missing"),
        ("UPDATE writer SET seq = 14", "does not end where its writer left it"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let journal = open(dir.path());
        fill(&journal, 0, 15);
        journal.close();
        // As a crash leaves it: the last five without a head.
        let db = sql(dir.path());
        db.execute_batch("DELETE FROM head WHERE seq = 15; UPDATE writer SET headed = 10, filed = 10").unwrap();
        std::fs::remove_file(dir.path().join("heads.jsonl")).unwrap();
        db.execute_batch(tamper).unwrap();
        let error = refused(dir.path());
        assert!(matches!(&error, Error::Broken { writer, .. } if writer == "gateway"), "{tamper}: {error}");
        assert!(error.to_string().contains(what), "{tamper}: {error}");
    }
}

#[test]
fn a_tail_without_a_head_gets_one() {
    let dir = filled(15);
    sql(dir.path()).execute_batch("DELETE FROM head WHERE seq = 15; UPDATE writer SET headed = 10").unwrap();
    std::fs::remove_file(dir.path().join("heads.jsonl")).unwrap();
    assert_eq!(proof(dir.path()).unsigned, 5);
    open(dir.path()).close();
    let report = proof(dir.path());
    assert!(report.is_good(), "{report:?}");
    assert_eq!((report.unsigned, report.writers[0].signed), (0, 15));
}

#[test]
fn each_head_is_filed_once() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..4 {
        let journal = open(dir.path());
        fill(&journal, 0, round * 4);
        journal.close();
    }
    let filed = std::fs::read_to_string(dir.path().join("heads.jsonl")).unwrap();
    let seqs: Vec<u64> = filed.lines().map(|line| store::Head::parse(line).unwrap().seq).collect();
    assert_eq!(seqs, [4, 12, 22, 24]);
}

#[test]
fn an_older_copy_is_not_written_on() {
    let dir = filled(15);
    let copy = std::fs::read(dir.path().join("journal.db")).unwrap();
    let journal = open(dir.path());
    fill(&journal, 15, 10);
    journal.close();
    std::fs::write(dir.path().join("journal.db"), copy).unwrap();
    let error = refused(dir.path());
    assert!(matches!(error, Error::RolledBack { found: 15, signed: 25, .. }), "{error}");
    std::fs::remove_file(dir.path().join("journal.db")).unwrap();
    assert!(matches!(refused(dir.path()), Error::RolledBack { found: 0, signed: 25, .. }));
    std::fs::remove_file(dir.path().join("heads.jsonl")).unwrap();
    open(dir.path()).close();
}

#[test]
fn a_writer_name_must_fit_into_a_file_name() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["", "../gateway", "Gateway", "a b", "-a", "gate.way", &"a".repeat(65)] {
        assert!(matches!(Journal::open(dir.path(), Options::new(name)), Err(Error::WriterName(_))), "{name:?}");
    }
    Journal::open(dir.path(), Options::new("gateway-2_b")).unwrap();
}

#[test]
fn a_copy_on_a_medium_that_cannot_be_written_is_read_and_proven() {
    let dir = filled(15);
    let readable = |mode| std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    readable(0o500);
    let report = proof(dir.path());
    let tail = store::tail(dir.path(), 1).unwrap();
    readable(0o700);
    assert!(report.is_good());
    assert_eq!(tail[0].seq, 15);
}
