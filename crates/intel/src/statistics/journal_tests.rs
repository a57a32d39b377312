//! What a report makes of a journal.

use jiff::Timestamp;
use model::{Effect, Finding, Protocol, Record, RecordKind, Side, Then};
use serde_json::json;
use store::{Entry, Journal, Options, reader};
use tempfile::TempDir;
use uuid::{NoContext, Uuid};

use super::*;

fn party(account: &str, kind: model::PartyKind, person: Option<&str>) -> Option<Then> {
    Some(Then {
        account: account.into(),
        device: None,
        kind,
        side: Side::Internal,
        person: person.map(Into::into),
        groups: Vec::new(),
    })
}

/// A message of a time, and what was found in it and done with it.
fn message(time: &str, to: &str, symbols: &[&'static str], score: f32, verdict: Effect) -> Record {
    let time: Timestamp = time.parse().unwrap();
    let seconds = u64::try_from(time.as_second()).unwrap();
    let mut record =
        Record::new(Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, 0)), time, RecordKind::Message);
    record.protocol = Some(Protocol::Xmpp);
    record.from = party("worm@x.test", model::PartyKind::Person, None);
    record.to = party(to, model::PartyKind::Person, None);
    let finding = |symbol: &&'static str| Finding {
        symbol: (*symbol).into(),
        score,
        explain: "why".into(),
        evidence: None,
        technique: Some("T1566.003".into()),
    };
    record.findings = symbols.iter().map(finding).collect();
    record.score = score;
    record.verdict = Some(verdict);
    record
}

fn journal(records: &[Record]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), Options { writer: "gateway".to_owned(), ..Options::default() }).unwrap();
    for record in records {
        journal.append(Entry::new(record, None)).wait().unwrap();
    }
    dir
}

fn report(dir: &TempDir, from: &str, to: &str) -> Report {
    let span = Span::new(Period::parse(from).unwrap(), Period::parse(to).unwrap(), Step::Month).unwrap();
    from_journal(&mut reader(dir.path()).unwrap(), span).unwrap()
}

#[test]
fn attacks_are_counted_with_what_became_of_them() {
    let link = "link.indicator.phishing";
    let mut copy = message("2026-02-03T10:00:00Z", "c@x.test", &[link], 9.0, Effect::Block);
    copy.copy = true;
    let mut release = Record::new(Uuid::nil(), "2026-02-05T10:00:00Z".parse().unwrap(), RecordKind::Release);
    release.about = Some(Uuid::nil());
    let mut room =
        message("2026-02-06T10:00:00Z", "room@x.test", &[link, "file.double_extension"], 12.0, Effect::Block);
    room.to = party("room@x.test", model::PartyKind::Room, None);
    // Two accounts of one person are one person.
    let mut same = message("2026-02-07T10:00:00Z", "a2@x.test", &[link], 9.0, Effect::Quarantine);
    same.to = party("a2@x.test", model::PartyKind::Person, Some("p1"));
    let mut first = message("2026-02-01T00:00:00Z", "a@x.test", &[link], 9.0, Effect::Block);
    first.to = party("a@x.test", model::PartyKind::Person, Some("p1"));
    let dir = journal(&[
        message("2025-12-31T23:59:59Z", "a@x.test", &[], 0.0, Effect::Allow),
        message("2026-01-15T10:00:00Z", "a@x.test", &[link], 9.0, Effect::Warn),
        first,
        message("2026-02-02T10:00:00Z", "b@x.test", &["link.shortener"], 1.0, Effect::Allow),
        copy,
        message("2026-02-04T10:00:00Z", "b@x.test", &["contact.burst"], 6.0, Effect::Allow),
        release,
        room,
        same,
    ]);
    let report = report(&dir, "2025-11", "2026-03");
    let rows = render::json(&report);
    let new: Vec<&serde_json::Value> = rows.as_array().unwrap().iter().map(|row| &row["im"]["new"]).collect();
    // Before the journal and after it nothing is known; within it, nothing is 0.
    assert_eq!(new, [&json!(null), &json!(0), &json!(1), &json!(4), &json!(null)]);
    assert_eq!(rows[3]["im"]["change_pct"], 300);
    assert_eq!(rows[3]["year"]["im"], 5);
    assert_eq!(rows[3]["p2p"]["new"], json!(null));
    assert_eq!(
        rows[3]["attacks"],
        json!({"seen": 4, "stopped": 3, "released": 1, "people": 2, "reached": 1, "rooms": 1, "senders": 1})
    );
    let by = &rows[3]["by"];
    assert_eq!(by["from"], "journal");
    assert_eq!(by["kind"], json!({"link": 3, "contact": 1, "file": 1}));
    assert_eq!(by["symbol"]["link.indicator.phishing"], 3);
    assert_eq!(by["verdict"], json!({"block": 2, "allow": 1, "quarantine": 1}));
    assert_eq!(report.breakdown.of, 5);
    assert!(render::table(&report, render::Look { colour: false, width: 80 }).contains("reached"));
    assert!(render::html(&report, jiff::civil::date(2026, 3, 1)).contains("What became of them"));
}

#[test]
fn an_empty_journal_knows_nothing() {
    let report = report(&journal(&[]), "2026-01", "2026-02");
    assert!(report.rows.iter().all(|row| row.im.new == Figure::UNKNOWN && row.attacks.is_none()));
    assert!(render::html(&report, jiff::civil::date(2026, 3, 1)).contains("Nothing is known of this time"));
}
