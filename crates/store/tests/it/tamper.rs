//! Someone who can write the data directory changes it; the proof says where.

use std::path::Path;

use rusqlite::Connection;
use store::{Bad, Journal, Signer, VerifyOptions, chain::Tip, verify};

use crate::support::{fill, filled, open, options, proof, sql};

/// Changes one thing, and says at which record the proof has to notice, and how.
struct Case {
    name: &'static str,
    tamper: fn(&Connection),
    seq: u64,
    what: &'static str,
}

const CASES: &[Case] = &[
    Case {
        name: "a record is changed",
        tamper: |db| run(db, "UPDATE record SET json = replace(json, 'romeo', 'paris') WHERE seq = 14"),
        seq: 14,
        what: "hash does not follow",
    },
    Case {
        name: "a record is changed, its hash computed anew",
        tamper: |db| {
            run(db, "UPDATE record SET json = replace(json, 'romeo', 'paris') WHERE seq = 14");
            rehash(db, 14, 14);
        },
        seq: 15,
        what: "hash does not follow",
    },
    Case {
        name: "a record is changed, the chain computed anew to its end",
        tamper: |db| {
            run(db, "UPDATE record SET json = replace(json, 'romeo', 'paris') WHERE seq = 14");
            rehash(db, 14, 35);
        },
        seq: 20,
        what: "not what was signed",
    },
    Case {
        name: "a record is deleted",
        tamper: |db| run(db, "DELETE FROM record WHERE seq = 14"),
        seq: 15,
        what: "missing or was moved",
    },
    Case {
        name: "a record is deleted, the rest renumbered and computed anew",
        tamper: |db| {
            run(db, "DELETE FROM record WHERE seq = 14");
            run(db, "UPDATE record SET seq = seq - 1 WHERE seq > 14");
            rehash(db, 14, 34);
        },
        seq: 20,
        what: "not what was signed",
    },
    Case {
        name: "the first record is deleted",
        tamper: |db| run(db, "DELETE FROM record WHERE seq = 1"),
        seq: 2,
        what: "missing or was moved",
    },
    Case {
        name: "two records change places",
        tamper: |db| {
            run(db, "UPDATE record SET position = 100 WHERE position = 14");
            run(db, "UPDATE record SET position = 14 WHERE position = 15");
            run(db, "UPDATE record SET position = 15 WHERE position = 100");
        },
        seq: 15,
        what: "missing or was moved",
    },
    Case {
        name: "a record is inserted at the end",
        tamper: |db| {
            run(db, "INSERT INTO record SELECT 999, writer, 36, json, hash, NULL, NULL FROM record WHERE seq = 35")
        },
        seq: 36,
        what: "hash does not follow",
    },
    Case {
        name: "a record is repeated",
        tamper: |db| {
            run(db, "INSERT INTO record SELECT 999, writer, seq, json, hash, salt, body FROM record WHERE seq = 14");
        },
        seq: 14,
        what: "moved, repeated or inserted",
    },
    Case {
        name: "the end is cut off",
        tamper: |db| run(db, "DELETE FROM record WHERE seq > 31"),
        seq: 32,
        what: "its writer had come to 35",
    },
    Case {
        name: "the end is cut off, and what the writer noted and the heads with it",
        tamper: |db| {
            run(db, "DELETE FROM record WHERE seq > 31");
            run(db, "DELETE FROM head WHERE seq > 31");
            run(
                db,
                "UPDATE writer SET (seq, hash, position) = (SELECT seq, hash, position FROM record WHERE seq = 31)",
            );
        },
        seq: 35,
        what: "the end was cut off",
    },
    Case {
        name: "a chain is removed whole",
        tamper: |db| run(db, "DELETE FROM record; DELETE FROM head; DELETE FROM writer"),
        seq: 10,
        what: "the end was cut off",
    },
    Case {
        name: "a head is changed",
        tamper: |db| {
            run(db, "UPDATE head SET json = replace(json, '\"signature\":\"', '\"signature\":\"00') WHERE seq = 20")
        },
        seq: 20,
        what: "signature is not one",
    },
    Case {
        name: "a head is moved to another record",
        tamper: |db| {
            run(db, "UPDATE head SET json = replace(json, '\"seq\":20', '\"seq\":21'), seq = 21 WHERE seq = 20");
        },
        seq: 21,
        what: "signature is wrong",
    },
    Case {
        name: "a head is no head",
        tamper: |db| run(db, "UPDATE head SET json = '{}' WHERE seq = 20"),
        seq: 20,
        what: "is not one",
    },
    Case {
        name: "a body is changed",
        tamper: |db| run(db, "UPDATE record SET body = CAST('deny thy father' AS BLOB) WHERE seq = 13"),
        seq: 13,
        what: "body is not the one",
    },
    Case {
        name: "a body is exchanged for another's, salt and all",
        tamper: |db| {
            run(db, "UPDATE record SET (salt, body) = (SELECT salt, body FROM record WHERE seq = 16) WHERE seq = 13");
        },
        seq: 13,
        what: "body is not the one",
    },
    Case {
        name: "a body is put beside a record that had none",
        tamper: |db| run(db, "UPDATE record SET salt = zeroblob(16), body = x'00' WHERE seq = 14"),
        seq: 14,
        what: "was not recorded",
    },
    Case {
        name: "a salt is removed",
        tamper: |db| run(db, "UPDATE record SET salt = NULL WHERE seq = 13"),
        seq: 13,
        what: "one is missing",
    },
    Case {
        name: "columns get other types",
        tamper: |db| run(db, "UPDATE record SET hash = 'short', seq = 'x' WHERE position = 14"),
        seq: 0,
        what: "moved, repeated or inserted",
    },
    Case {
        name: "a record is given to a writer that there is none of",
        tamper: |db| run(db, "UPDATE record SET writer = 77 WHERE seq = 14"),
        seq: 14,
        what: "missing or was moved",
    },
];

fn run(db: &Connection, sql: &str) {
    db.execute_batch(sql).unwrap();
}

/// What an attacker without the key can do: compute hashes anew.
fn rehash(db: &Connection, from: u64, to: u64) {
    for seq in from..=to {
        let before: [u8; 32] =
            db.query_row("SELECT hash FROM record WHERE seq = ?1", [seq as i64 - 1], |r| r.get(0)).unwrap();
        let json: String = db.query_row("SELECT json FROM record WHERE seq = ?1", [seq as i64], |r| r.get(0)).unwrap();
        let tip = Tip { seq: seq - 1, hash: store::chain::ChainHash(before) }.next(json.as_bytes());
        db.execute("UPDATE record SET hash = ?1 WHERE seq = ?2", (tip.hash.0, seq as i64)).unwrap();
    }
}

fn first_bad(dir: &Path) -> Bad {
    proof(dir).first_bad.unwrap()
}

#[test]
fn every_tampering_is_found_where_it_was_done() {
    for case in CASES {
        let dir = filled(35);
        assert!(proof(dir.path()).is_good());
        (case.tamper)(&sql(dir.path()));
        let report = proof(dir.path());
        let Some(bad) = report.first_bad else { panic!("{}: not found", case.name) };
        assert_eq!(bad.seq, case.seq, "{}: {bad:?}", case.name);
        assert!(bad.what.contains(case.what), "{}: {bad:?}", case.name);
    }
}

#[test]
fn what_is_not_tampering_is_not_taken_for_it() {
    let dir = filled(35);
    assert!(store::erase_body(dir.path(), 13).unwrap());
    assert!(!store::erase_body(dir.path(), 13).unwrap());
    assert!(!store::erase_body(dir.path(), 14).unwrap(), "it had none");
    let report = proof(dir.path());
    assert!(report.is_good(), "{report:?}");
    assert_eq!((report.records, report.segments, report.erased, report.unsigned), (35, 4, 1, 0));
    let gateway = &report.writers[0];
    assert_eq!((&*gateway.name, gateway.records, gateway.tip.seq, gateway.signed), ("gateway", 35, 35, 35));
}

#[test]
fn an_older_copy_is_found_by_a_head_kept_elsewhere() {
    let (dir, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = open(dir.path());
    fill(&journal, 0, 15);
    journal.close();
    let copy: Vec<_> =
        ["journal.db", "heads.jsonl"].map(|name| (name, std::fs::read(dir.path().join(name)).unwrap())).into();
    let journal = open(dir.path());
    fill(&journal, 15, 10);
    journal.close();
    let anchored = kept.path().join("heads.jsonl");
    std::fs::copy(dir.path().join("heads.jsonl"), &anchored).unwrap();

    for (name, bytes) in copy {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    let options = || VerifyOptions { anchored_heads: Some(anchored.clone()), ..VerifyOptions::default() };
    assert!(proof(dir.path()).is_good(), "the copy is consistent in itself");
    let bad = verify(dir.path(), options()).unwrap().first_bad.unwrap();
    assert!(bad.seq > 15 && bad.what.contains("older copy"), "{bad:?}");

    // Written on after the rollback, the chain differs from what was signed before.
    let journal = open(dir.path());
    fill(&journal, 100, 10);
    journal.close();
    let bad = verify(dir.path(), options()).unwrap().first_bad.unwrap();
    assert!(bad.what.contains("two signed heads") || bad.what.contains("not what was signed"), "{bad:?}");
}

#[test]
fn a_chain_signed_with_another_key_does_not_hold() {
    let dir = filled(15);
    let other = tempfile::tempdir().unwrap();
    Signer::open(other.path()).unwrap();
    let options = VerifyOptions { public_key: Some(other.path().join("journal.pub")), ..VerifyOptions::default() };
    let bad = verify(dir.path(), options).unwrap().first_bad.unwrap();
    assert_eq!((bad.seq, bad.what.contains("unknown key")), (10, true), "{bad:?}");
}

#[test]
fn a_damaged_page_is_in_the_report_not_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), options("gateway")).unwrap();
    fill(&journal, 0, 400);
    journal.close();
    let path = dir.path().join("journal.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4_096 * 4_096;
    bytes[middle..middle + 2_048].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let bad = first_bad(dir.path());
    assert!(bad.what.contains("damaged") || bad.what.contains("hash"), "{bad:?}");
}
