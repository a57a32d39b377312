//! `kill -9` at random moments under load: what was acknowledged is there, once,
//! in a chain that verifies.
//!
//! `PORTCULLIS_KILLS` sets how many (50 by default), `PORTCULLIS_SEED` where the
//! numbers begin.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use store::{Durability, Entry, Journal, Options, reader, verify};

use crate::support::{Numbers, options, proof, record};

const DIR: &str = "PORTCULLIS_KILL_DIR";
const DURABILITY: &str = "PORTCULLIS_KILL_DURABILITY";

#[test]
fn nothing_acknowledged_is_lost() {
    let kills = number("PORTCULLIS_KILLS").unwrap_or(50);
    let seed = number("PORTCULLIS_SEED").unwrap_or(0x5eed_cafe);
    let mut numbers = Numbers(seed);
    let mut left = kills;
    while left > 0 {
        // A fresh journal now and then, so that the proofs stay short.
        let lives = left.min(10);
        kill_one_journal(lives, &mut numbers, seed);
        left -= lives;
    }
}

fn kill_one_journal(kills: u64, numbers: &mut Numbers, seed: u64) {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged: BTreeMap<u64, String> = BTreeMap::new();
    for round in 0..kills {
        let durability = if numbers.below(2) == 0 { "power" } else { "process" };
        // Some die while they open; most after some acknowledgements and a moment.
        let after = if numbers.below(8) == 0 { None } else { Some(numbers.below(150)) };
        let moment = Duration::from_micros(numbers.below(3_000));
        for (seq, id) in run(dir.path(), durability, after, moment) {
            let before = acknowledged.insert(seq, id);
            assert_eq!(before, None, "seed {seed}, round {round}: number {seq} was given twice");
        }
        let report = verify(dir.path(), store::VerifyOptions::default());
        // The first may die before there is a journal.
        let Ok(report) = report else {
            assert!(acknowledged.is_empty(), "seed {seed}, round {round}: {report:?}");
            continue;
        };
        assert!(report.is_good(), "seed {seed}, round {round}: {report:?}");
    }
    let mut stored = BTreeMap::new();
    for found in reader(dir.path()).unwrap().after(0) {
        let found = found.unwrap();
        let id = found.record().unwrap().id.to_string();
        assert_eq!(stored.insert(found.seq, id), None, "seed {seed}: record {} is there twice", found.seq);
    }
    for (seq, id) in &acknowledged {
        assert_eq!(stored.get(seq), Some(id), "seed {seed}: acknowledged record {seq} is not there");
    }
    assert!(acknowledged.len() as u64 > kills, "hardly anything was acknowledged");

    // The tail that the last kill left without a head gets one.
    Journal::open(dir.path(), options("gateway")).unwrap().close();
    let report = proof(dir.path());
    assert!(report.is_good(), "{report:?}");
    assert_eq!(report.unsigned, 0);
}

/// One life of the other process; what it said was acknowledged.
fn run(dir: &Path, durability: &str, after: Option<u64>, moment: Duration) -> Vec<(u64, String)> {
    let started = Instant::now();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child", "--nocapture"])
        .env(DIR, dir)
        .env(DURABILITY, durability)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut acknowledged = Vec::new();
    let mut read = |until: Option<u64>| {
        let mut line = String::new();
        while until.is_none_or(|until| (acknowledged.len() as u64) < until) {
            line.clear();
            if lines.read_line(&mut line).unwrap() == 0 {
                break;
            }
            // A line that the kill cut short says nothing.
            let Some(said) = line.strip_suffix('\n') else { break };
            if said.ends_with("journal open") {
                assert!(started.elapsed() < Duration::from_secs(10), "recovery took {:?}", started.elapsed());
            } else if let Some((seq, id)) = said.strip_prefix("durable ").and_then(|said| said.split_once(' ')) {
                acknowledged.push((seq.parse().unwrap(), id.to_owned()));
            }
        }
    };
    if let Some(after) = after {
        read(Some(after));
    }
    let kill_at = Instant::now() + moment;
    while Instant::now() < kill_at {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    read(None);
    acknowledged
}

/// The process that is killed: four threads append as fast as they can.
#[test]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let durability = match std::env::var(DURABILITY).unwrap().as_str() {
        "power" => Durability::Power,
        _ => Durability::Process,
    };
    let journal = Journal::open(Path::new(&dir), Options { durability, ..options("gateway") }).unwrap();
    say("journal open");
    let (sender, receiver) = sync_channel(64);
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let (journal, sender) = (&journal, sender.clone());
            scope.spawn(move || {
                for n in 0.. {
                    let record = record(n);
                    let id = record.id;
                    let body = (n % 4 == thread).then(|| b"parting is such sweet sorrow".to_vec());
                    let entry = Entry::new(&record, body);
                    if sender.send((id, journal.append(entry))).is_err() {
                        return;
                    }
                }
            });
        }
        for (id, ticket) in receiver {
            say(&format!("durable {} {id}", ticket.wait().unwrap()));
        }
    });
}

/// In one write, so that a kill leaves whole lines and at most one part.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
