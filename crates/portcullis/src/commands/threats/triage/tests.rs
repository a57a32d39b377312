//! Triage as an operator does it, on campaigns made of records.

use intel::campaign::{Cursor, Grouper, Settings};
use model::{Effect, Finding, Kind, PartyKind, Protocol, Side, Then};

use intel::Tlp;

use super::*;

/// A data directory whose journal has two attacks in it, and their campaigns.
fn data() -> (tempfile::TempDir, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), Options::new("gateway")).unwrap();
    let mut grouper = Grouper::new(Settings::default(), []);
    let (mut opened, mut position) = (Vec::new(), 0);
    let mut say = |from: &str, to: &str, key: &str, weight: f32| {
        let then = |account: &str| Then {
            account: account.into(),
            device: None,
            kind: PartyKind::Person,
            side: if account.ends_with("corp.example") { Side::Internal } else { Side::External },
            person: None,
            groups: Vec::new(),
        };
        let mut record = Record::new(Uuid::now_v7(), now(), RecordKind::Message);
        (record.protocol, record.what) = (Some(Protocol::Xmpp), Some(Kind::Message));
        (record.from, record.to) = (Some(then(from)), Some(then(to)));
        record.keys = vec![key.into()];
        record.verdict = Some(if weight > 0.0 { Effect::Block } else { Effect::Allow });
        if weight > 0.0 {
            let (symbol, explain) = ("link.lookalike".into(), "".into());
            record.findings = vec![Finding { symbol, score: weight, explain, evidence: None, technique: None }];
        }
        journal.append(Entry::from(record.clone())).wait().unwrap();
        position += 1;
        opened.extend(grouper.observe(&record, position, record.time).opened);
    };
    // A colleague's page on a host that an attacker uses, too.
    say("anna@corp.example", "ben@corp.example", "url:https://pages.busysite.example/anna", 0.0);
    for to in ["a", "b", "c", "d"] {
        say("m@evil.example", &format!("{to}@corp.example"), "url:https://pages.busysite.example/bad", 9.0);
        say("n@evil.example", &format!("{to}@corp.example"), "url:https://worm-photos.top/x", 9.0);
    }
    let mut archive = Archive::open(dir.path()).unwrap();
    archive.keep(&grouper.take_changed(), Cursor { position, decision: 0 }).unwrap();
    journal.close();
    (dir, opened)
}

fn triage(dir: &Path, words: &[&str]) -> Outcome {
    #[derive(clap::Parser)]
    struct Cli {
        #[command(subcommand)]
        command: TriageCommand,
    }
    let mut all = vec!["triage"];
    all.extend(words);
    let dir = dir.display().to_string();
    all.extend(["--data", &dir]);
    let cli = <Cli as clap::Parser>::try_parse_from(all).map_err(Failure::usage)?;
    Box::new(cli.command).run()
}

fn notes(data: &Path) -> Vec<String> {
    let newest = store::reader(data).unwrap().tail(100).unwrap();
    newest.iter().filter_map(|stored| stored.record().unwrap().note).map(Into::into).collect()
}

#[test]
fn a_campaign_is_promoted_and_what_would_hit_colleagues_becomes_a_note() {
    let (dir, opened) = data();
    let data = dir.path();
    triage(data, &["list", "--json"]).unwrap();
    triage(data, &["show", &opened[0], "--bodies"]).unwrap();
    triage(data, &["promote", &opened[0], "--dry-run"]).unwrap();
    assert!(!intel::campaign::promote::folder(data).exists(), "a dry run writes nothing");
    triage(data, &["promote", &opened[0][..5], "--name", "Busy pages", "--tlp", "green"]).unwrap();
    let own = intel::campaign::promote::own(data).unwrap();
    let threat = own.get("busy-pages").unwrap();
    let said: Vec<(String, intel::Strength)> =
        threat.indicators.iter().map(|i| (i.pattern.shown(), i.strength)).collect();
    use intel::Strength::{Block, Note};
    assert!(said.contains(&("https[:]//pages[.]busysite[.]example/bad".to_owned(), Block)), "{said:?}");
    assert!(said.contains(&("pages[.]busysite[.]example".to_owned(), Note)), "anna's page is there: {said:?}");
    assert!(said.contains(&("xmpp:m@evil[.]example".to_owned(), Block)), "{said:?}");
    assert_eq!(threat.marking, Tlp::Green);
    assert!(
        notes(data)[0].starts_with(&format!("campaign {} is promoted to threat busy-pages; decided by ", opened[0]))
    );
    let again = triage(data, &["promote", &opened[0]]).unwrap_err().to_string();
    assert!(again.contains("in the catalogue already, as busy-pages"), "{again}");
    let taken = triage(data, &["promote", &opened[1], "--threat", "busy-pages"]).unwrap_err().to_string();
    assert!(taken.contains("a threat of that id already"), "{taken}");
}

#[test]
fn naming_merging_and_dismissing_are_on_record() {
    let (dir, opened) = data();
    let data = dir.path();
    triage(data, &["name", &opened[0], "Anna's bane"]).unwrap();
    triage(data, &["merge", &opened[1], &opened[0]]).unwrap();
    let archive = open(data).unwrap();
    let merged = find(&archive, &opened[1]).unwrap();
    assert_eq!((merged.id.as_str(), merged.messages), (opened[0].as_str(), 8), "the old id leads to the new one");
    triage(data, &["dismiss", &opened[0], "--reason", "an exercise"]).unwrap();
    assert_eq!(find(&archive, &opened[0]).unwrap().status.as_str(), "dismissed");
    assert_eq!(notes(data).len(), 3);
    for (words, why) in [
        (vec!["merge", &opened[1], &opened[0]], "the same campaign"),
        (vec!["show", "zzz"], "no such campaign"),
        (vec!["show", "c"], "more than one campaign begins so"),
        (vec!["name", &opened[0], " "], "1 to 200 printable"),
        (vec!["promote", &opened[0], "--kind", "nothing"], "not a kind"),
    ] {
        let error = triage(data, &words).unwrap_err().to_string();
        assert!(error.contains(why), "{words:?}: {error}");
    }
    assert_eq!(notes(data).len(), 3, "what is refused leaves no record");
    let nowhere = tempfile::tempdir().unwrap();
    assert!(triage(nowhere.path(), &["list"]).unwrap_err().to_string().contains("no campaigns there"));
}
