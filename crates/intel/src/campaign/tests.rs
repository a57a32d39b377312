//! What becomes a campaign and what does not, told as the records of a day.

use jiff::{SignedDuration, Timestamp};
use model::{Direction, Effect, Evidence, Finding, Kind, PartyKind, Protocol, Record, RecordKind, Side, Then};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

/// A journal in the making.
struct Day {
    grouper: Grouper,
    records: Vec<Record>,
    now: Timestamp,
    changes: Changes,
}

fn then(account: &str) -> Then {
    let side = if account.ends_with("@corp.example") { Side::Internal } else { Side::External };
    let person = (side == Side::Internal).then(|| account.split('@').next().unwrap().into());
    Then { account: account.into(), device: None, kind: PartyKind::Person, side, person, groups: Vec::new() }
}

fn finding(symbol: &'static str, score: f32) -> Finding {
    Finding { symbol: symbol.into(), score, explain: "".into(), evidence: None, technique: Some("T1534".into()) }
}

impl Day {
    fn new() -> Day {
        let now: Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
        Day { grouper: Grouper::new(Settings::default(), []), records: Vec::new(), now, changes: Changes::default() }
    }

    /// One message, a second after the last.
    fn say(&mut self, from: &str, to: &str, keys: &[&str], findings: &[(&'static str, f32)], verdict: Effect) {
        self.now += SignedDuration::from_secs(1);
        let number = self.records.len() as u128 + 1;
        let mut record = Record::new(Uuid::from_u128(number), self.now, RecordKind::Message);
        record.protocol = Some(Protocol::Xmpp);
        record.what = Some(Kind::Message);
        record.direction = Some(Direction::FromClient);
        (record.from, record.to) = (Some(then(from)), Some(then(to)));
        record.keys = keys.iter().map(|key| (*key).into()).collect();
        record.findings = findings.iter().map(|(symbol, score)| finding(symbol, *score)).collect();
        record.verdict = Some(verdict);
        self.take(record);
    }

    fn take(&mut self, record: Record) {
        let changes = self.grouper.observe(&record, self.records.len() as u64 + 1, self.now);
        self.records.push(record);
        self.changes.opened.extend(changes.opened);
        self.changes.merged.extend(changes.merged);
        self.changes.decoyed.extend(changes.decoyed);
    }

    fn campaigns(&self) -> Vec<&Campaign> {
        self.grouper.campaigns().collect()
    }

    fn only(&self) -> &Campaign {
        let all = self.campaigns();
        assert_eq!(all.len(), 1, "{:?}", all.iter().map(|c| c.title()).collect::<Vec<_>>());
        all[0]
    }
}

fn user(number: usize) -> String {
    format!("u{number}@corp.example")
}

const WORM: &str = "url:http://worm.example/x";

#[test]
fn a_worm_is_one_campaign_with_those_it_had_reached_before_it_was_known() {
    let mut day = Day::new();
    // Before the tracker is sure, the link passes; each victim writes to everybody.
    for to in 1..=4 {
        day.say(&user(0), &user(to), &[WORM, "shape:00000000000000f0"], &[], Effect::Allow);
    }
    assert!(day.campaigns().is_empty());
    for from in 1..=3 {
        for to in 10..=14 {
            let keys = [WORM, "shape:00000000000000f1"];
            day.say(&user(from), &user(to), &keys, &[("outbreak.link", 9.0)], Effect::Block);
        }
    }
    let worm = day.only();
    assert_eq!((worm.messages, worm.stopped, worm.senders.len()), (19, 15, 4));
    assert_eq!(worm.hit(), (4, 4), "those who got it before");
    assert_eq!(worm.first_seen, day.records[0].time);
    assert_eq!(worm.keys.len(), 2, "the link and, near enough, one text: {:?}", worm.keys);
    assert_eq!(worm.keys[&Key::parse(WORM).unwrap()], Shared { messages: 19, suspicious: 15 });
    assert_eq!(worm.symbols["outbreak.link"], 15);
    assert_eq!(worm.samples.len(), SAMPLES);
    assert_eq!(worm.samples[0].record, day.records[0].id);
    assert_eq!(worm.samples[SAMPLES - 1].record, day.records[18].id);
    assert!(worm.senders[&*user(0)].is_implicated());
    assert_eq!(worm.timeline.values().sum::<u32>(), 19);
    assert_eq!(day.changes.opened, std::slice::from_ref(&worm.id));
}

#[test]
fn a_popular_link_is_no_campaign_however_far_it_goes() {
    let mut day = Day::new();
    let link = "url:https://canteen.example/menu";
    for i in 0..400 {
        let findings: &[(&'static str, f32)] =
            if i > 20 { &[("outbreak.popular", 0.5), ("link.shortener", 1.0)] } else { &[] };
        day.say(&user(i), &user(i + 1), &[link, "shape:00000000000000f0"], findings, Effect::Allow);
    }
    // One account to many strangers, known to the trackers: a newsletter.
    for i in 0..40 {
        day.say(
            "news@corp.example",
            &user(i),
            &["url:https://news.example/1"],
            &[("outbreak.fanout", 3.0)],
            Effect::Allow,
        );
    }
    // And somebody whose account is attacked passes the menu on in a message that is stopped.
    for to in 500..504 {
        day.say(
            "victim@corp.example",
            &user(to),
            &[link],
            &[("link.mismatch", 4.0), ("contact.burst", 2.0)],
            Effect::Block,
        );
    }
    assert!(day.campaigns().is_empty(), "{:?}", day.campaigns());
}

#[test]
fn what_must_not_leave_is_no_attack() {
    let mut day = Day::new();
    for to in 0..20 {
        let findings = [("pattern.secret.aws", 5.0), ("pattern.card", 5.0), ("pattern.local.project", 20.0)];
        day.say(
            "a@corp.example",
            &format!("p{to}@partner.example"),
            &["shape:00000000000000f0"],
            &findings,
            Effect::Block,
        );
    }
    assert!(day.campaigns().is_empty());
}

#[test]
fn a_listed_link_is_a_campaign_once_it_repeats() {
    let mut day = Day::new();
    let bad = [("link.indicator.phishing", 10.0)];
    day.say("m@evil.example", "a@corp.example", &["url:http://p.example/"], &bad, Effect::Block);
    day.say("m@evil.example", "b@corp.example", &["url:http://p.example/"], &bad, Effect::Block);
    assert!(day.campaigns().is_empty(), "two are not enough");
    day.say("m@evil.example", "c@corp.example", &["url:http://p.example/"], &bad, Effect::Block);
    assert_eq!(day.only().title(), "link to p.example");
    assert_eq!(day.only().hit(), (0, 0), "nobody got it");
}

#[test]
fn campaigns_that_share_a_key_become_one() {
    let mut day = Day::new();
    let bad = [("link.lookalike", 9.0)];
    let spread = |day: &mut Day, from: &str, keys: &[&str]| {
        for to in 0..4 {
            day.say(from, &format!("{from}-{to}@corp.example"), keys, &bad, Effect::Block);
        }
    };
    spread(&mut day, "m@one.example", &["url:http://one.example/"]);
    spread(&mut day, "m@two.example", &["url:http://two.example/"]);
    assert_eq!(day.campaigns().len(), 2);
    spread(&mut day, "m@three.example", &["url:http://one.example/", "url:http://two.example/"]);
    let all = day.only();
    assert_eq!((all.messages, all.senders.len(), all.keys.len()), (12, 3, 2));
    assert_eq!(day.changes.merged, [(day.changes.opened[1].clone(), all.id.clone())]);
    let kept = day.grouper.take_changed();
    assert!(kept.iter().any(|c| c.status == Status::Merged { into: day.changes.opened[0].clone() }));
    assert_eq!(day.grouper.get(&day.changes.opened[1]).unwrap().messages, 12, "the old id still leads there");
}

#[test]
fn one_message_to_a_decoy_is_a_campaign_and_takes_in_what_its_sender_spread() {
    let mut day = Day::new();
    let keys = ["url:http://w.example/", "shape:00000000000000f0"];
    day.say("m@evil.example", "a@corp.example", &keys, &[], Effect::Allow);
    day.say("m@evil.example", "helpdesk@corp.example", &keys, &[(DECOY, 10.0)], Effect::Block);
    let campaign = day.only();
    assert_eq!(campaign.decoys().collect::<Vec<_>>(), ["helpdesk@corp.example"]);
    assert_eq!((campaign.messages, campaign.hit()), (2, (1, 1)));
    assert!(campaign.keys.contains_key(&Key::parse("sender:xmpp:m@evil.example").unwrap()));
    assert_eq!(day.changes.decoyed, std::slice::from_ref(&campaign.id));
    // What others send with the same link belongs to it; what this sender else says does not.
    day.say("n@evil.example", "b@corp.example", &keys, &[], Effect::Allow);
    day.say("m@evil.example", "a@corp.example", &["shape:ffffffff00000000"], &[], Effect::Allow);
    assert_eq!(day.only().messages, 3);
}

#[test]
fn writing_to_a_decoy_by_mistake_marks_nothing_that_others_say() {
    let mut day = Day::new();
    let link = "url:https://canteen.example/menu";
    for i in 0..20 {
        day.say(&user(i), &user(i + 1), &[link, "shape:00000000000000f0"], &[], Effect::Allow);
    }
    day.say(
        "dave@corp.example",
        "helpdesk@corp.example",
        &[link, "shape:00000000000000f0"],
        &[(DECOY, 10.0)],
        Effect::Block,
    );
    let campaign = day.only();
    assert_eq!(campaign.messages, 1);
    assert!(campaign.keys.keys().all(|key| key.kind() == KeyKind::Sender), "{:?}", campaign.keys);
    // Who is exempt by a rule does not count at all.
    day.say("root@corp.example", "helpdesk@corp.example", &["shape:0f0f0f0f00000000"], &[(DECOY, 10.0)], Effect::Allow);
    assert_eq!(day.only().messages, 1);
}

#[test]
fn findings_about_one_link_do_not_speak_against_another_in_the_same_message() {
    let mut day = Day::new();
    for to in 0..5 {
        day.say(
            "m@evil.example",
            &user(to),
            &["url:http://evil.example/", "url:https://wikipedia.example/worm"],
            &[],
            Effect::Block,
        );
        let mut record = day.records.pop().unwrap();
        let shown = "hxxp[:]//evil[.]example/".into();
        let evidence = Some(Evidence { part: 0, start: 0, end: 1, shown });
        record.findings = vec![Finding { evidence, ..finding("link.indicator.malware", 10.0) }];
        record.id = Uuid::from_u128(1_000 + to as u128);
        day.take(record);
    }
    let campaign = day.only();
    assert_eq!(campaign.keys.keys().map(Key::as_str).collect::<Vec<_>>(), ["url:http://evil.example/"]);
}

#[test]
fn what_was_dismissed_stays_dismissed_and_takes_in_its_own() {
    let mut day = Day::new();
    let bad = [("file.executable", 6.0)];
    let file = "sha256:aa";
    (0..4).for_each(|to| day.say("it@corp.example", &user(to), &[file], &bad, Effect::Warn));
    let id = day.only().id.clone();
    let choice = Choice::Dismiss { reason: Some("our installer".to_owned()) };
    day.grouper.decide(&Decision { campaign: id.clone(), at: day.now, by: "eve".to_owned(), choice });
    (0..4)
        .for_each(|to| day.say("it@corp.example", &user(to), &[file, "url:http://corp.example/i"], &bad, Effect::Warn));
    let campaign = day.only();
    assert_eq!((campaign.messages, campaign.keys.len()), (8, 1));
    assert_eq!(campaign.status.as_str(), "dismissed");
    assert_eq!(day.changes.opened, [id]);
}

#[test]
fn who_goes_on_after_a_stop_counts_as_who_never_stopped() {
    let mut whole = Day::new();
    let (mut records, bad) = (Vec::new(), [("outbreak.link", 9.0)]);
    for i in 0..30usize {
        let findings: &[(&'static str, f32)] = if i % 3 == 0 { &[] } else { &bad };
        whole.say(&user(i % 5), &user(10 + i), &[WORM], findings, Effect::Block);
    }
    records.append(&mut whole.records.clone());
    for stop in [1, 5, 10, 29] {
        let mut first = Grouper::new(Settings::default(), []);
        for (at, record) in records.iter().enumerate().take(stop) {
            first.observe(record, at as u64 + 1, record.time);
        }
        let mut second = Grouper::new(Settings::default(), first.take_changed());
        for (at, record) in records.iter().enumerate() {
            match at < stop {
                true => second.remember(record, at as u64 + 1),
                false => drop(second.observe(record, at as u64 + 1, record.time)),
            }
        }
        let after: Vec<&Campaign> = second.campaigns().collect();
        assert_eq!(after, whole.campaigns(), "stopped after {stop}");
    }
}

#[test]
fn the_archive_keeps_campaigns_and_decisions_apart() {
    let data = tempfile::tempdir().unwrap();
    let mut day = Day::new();
    let bad = [("link.lookalike", 9.0)];
    for name in ["one", "two"] {
        let key = format!("url:http://{name}.example/");
        (0..4).for_each(|to| day.say("m@x.example", &format!("{name}{to}@corp.example"), &[&key], &bad, Effect::Block));
    }
    let mut archive = Archive::open(data.path()).unwrap();
    assert_eq!(archive.cursor().unwrap(), Cursor::default());
    let changed = day.grouper.take_changed();
    archive.keep(&changed, Cursor { position: 8, decision: 0 }).unwrap();
    assert!(day.grouper.take_changed().is_empty());

    let ids = day.changes.opened.clone();
    let mut other = Archive::open(data.path()).unwrap();
    let decision =
        |campaign: &str, choice| Decision { campaign: campaign.to_owned(), at: day.now, by: "eve".to_owned(), choice };
    other.decide(&decision(&ids[1], Choice::Name { name: "Kelvir again".to_owned() })).unwrap();
    other.decide(&decision(&ids[0], Choice::Merge { into: ids[1].clone() })).unwrap();
    let seen = other.all().unwrap();
    let kept = seen.iter().find(|c| c.id == ids[1]).unwrap();
    assert_eq!((kept.title().as_str(), kept.messages), ("Kelvir again", 8));

    // The follower takes them up, and what is kept then is the same.
    let mut cursor = archive.cursor().unwrap();
    for (number, decision) in archive.decisions(cursor.decision).unwrap() {
        day.grouper.decide(&decision);
        cursor.decision = number;
    }
    archive.keep(&day.grouper.take_changed(), cursor).unwrap();
    assert_eq!(archive.cursor().unwrap(), Cursor { position: 8, decision: 2 });
    let mut resumed = Grouper::new(Settings::default(), archive.going_on(LIVE).unwrap());
    assert_eq!(resumed.campaigns().map(|c| c.id.as_str()).collect::<Vec<_>>(), [ids[1].as_str()]);
    assert_eq!(resumed.get(&ids[0]).unwrap().messages, 8, "the old id still leads there");
    assert!(resumed.take_changed().is_empty());
    let again = other.all().unwrap();
    assert_eq!(again.iter().find(|c| c.id == ids[1]).unwrap().messages, 8);
    assert_eq!(again.iter().find(|c| c.id == ids[0]).unwrap().status, Status::Merged { into: ids[1].clone() });

    let foreign = tempfile::tempdir().unwrap();
    std::fs::create_dir(foreign.path().join("intel")).unwrap();
    std::fs::write(foreign.path().join("intel").join(archive::FILE), "no database at all, and too long ".repeat(99))
        .unwrap();
    assert!(Archive::open(foreign.path()).is_err());
}

#[test]
fn nothing_grows_without_bound() {
    let mut day = Day::new();
    day.grouper = Grouper::new(Settings { memory: 500, ..Settings::default() }, []);
    for i in 0..3_000usize {
        let own = format!("url:http://h{i}.example/");
        let bad = [("link.indicator.malware", 10.0)];
        day.say(&format!("s{i}@x.example"), &format!("r{i}@corp.example"), &[WORM, &own, &own], &bad, Effect::Block);
    }
    let campaign = day.only();
    assert_eq!(campaign.messages, 3_000);
    assert_eq!((campaign.senders.len(), campaign.recipients.len()), (SENDERS, RECIPIENTS));
    assert_eq!(campaign.more.senders, 3_000 - SENDERS as u64);
    assert!(campaign.keys.len() <= KEYS && campaign.samples.len() == SAMPLES);
    // Many campaigns at once: the longest quiet ones end, and a month of silence ends all.
    for i in 0..(LIVE + 50) {
        let key = format!("sha256:{i:064x}");
        let bad = [("file.malware", 20.0)];
        (0..3).for_each(|to| day.say(&user(i), &format!("{to}@y.example"), &[&key], &bad, Effect::Block));
    }
    assert_eq!(day.campaigns().len(), LIVE);
    day.now += SignedDuration::from_hours(24 * 40);
    day.say("a@corp.example", "b@corp.example", &["url:http://n.example/"], &[], Effect::Allow);
    assert!(day.campaigns().is_empty());
}

proptest! {
    /// Whatever comes, in whatever order: it does not panic, counts agree, and the same again gives the same.
    #[test]
    fn any_records_give_sound_campaigns(
        told in prop::collection::vec((0usize..6, 0usize..12, 0usize..5, 0usize..5, any::<bool>(), any::<bool>(), -40_000i64..40_000), 1..120)
    ) {
        let play = || {
            let mut day = Day::new();
            for (from, to, one, two, bad, decoy, jump) in &told {
                day.now += SignedDuration::from_secs(*jump);
                let keys = [format!("url:http://h{one}.example/"), format!("shape:{:016x}", two * 1_000_003)];
                let mut findings = Vec::new();
                if *bad { findings.push(("link.lookalike", 9.0)); }
                if *decoy && *bad { findings.push((DECOY, 10.0)); }
                let verdict = if *bad { Effect::Block } else { Effect::Allow };
                day.say(&user(*from), &user(*to), &[&keys[0], &keys[1]], &findings, verdict);
            }
            day
        };
        let day = play();
        let counted: u64 = day.campaigns().iter().map(|c| c.messages).sum();
        prop_assert!(counted <= day.records.len() as u64, "no message is counted twice");
        for campaign in day.campaigns() {
            prop_assert_eq!(campaign.verdicts.values().sum::<u64>(), campaign.messages);
            prop_assert_eq!(campaign.senders.values().map(|s| s.messages).sum::<u64>(), campaign.messages);
            for shared in campaign.keys.values() {
                prop_assert!(shared.suspicious <= shared.messages && shared.messages <= campaign.messages);
            }
            let json = serde_json::to_string(campaign).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Campaign>(&json).unwrap(), campaign);
        }
        let again = play();
        prop_assert_eq!(again.campaigns(), day.campaigns());
    }
}

/// A campaign of a listed link, several colleagues before it, and what a month of journal says.
fn drafted(day: &Day, records: &[Record]) -> Vec<Draft> {
    let campaign = day.only();
    let terms = Terms { threat: "t", feed: "triage", now: day.now, until: None, marking: crate::Tlp::Amber };
    let mut drafting = Drafting::new(campaign, &crate::guard::Guard::bundled(), &terms);
    for record in records {
        let json = serde_json::to_string(record).unwrap();
        let mut alone = Drafting::new(campaign, &crate::guard::Guard::bundled(), &terms);
        alone.witness(record);
        let hits = alone.finish().iter().any(|draft| draft.bystanders.messages > 0);
        assert!(!hits || drafting.may_hit(&json), "what is hit is never passed over: {json}");
        drafting.witness(record);
    }
    drafting.finish()
}

fn verdicts(drafts: &[Draft]) -> Vec<(String, &'static str, u64)> {
    let of = |draft: &Draft| match (draft.refused, draft.indicator.strength) {
        (true, _) => "refused",
        (_, crate::Strength::Block) => "block",
        (_, crate::Strength::Note) => "note",
    };
    let mut all: Vec<_> = drafts.iter().map(|d| (d.indicator.pattern.shown(), of(d), d.bystanders.messages)).collect();
    all.sort();
    all
}

#[test]
fn drafts_that_would_have_hit_uninvolved_people_become_notes_with_the_count() {
    let mut day = Day::new();
    let text = "shape:0ff0f0f00ff0aa55";
    // Before the attack: two colleagues use another page of the same site, one says nearly the same words.
    day.say("anna@corp.example", "ben@corp.example", &["url:https://site.badhosting.top/anna"], &[], Effect::Allow);
    day.say("ben@corp.example", "anna@corp.example", &["url:https://site.badhosting.top/ben"], &[], Effect::Warn);
    for to in ["a", "b", "c", "d"] {
        let keys = [
            "url:https://site.badhosting.top/x?id=1",
            "url:https://github.com/evil/x",
            "url:http://203.0.113.9/x",
            text,
        ];
        day.say(
            "m@evil.example",
            &format!("{to}@corp.example"),
            &keys,
            &[("link.indicator.malware", 10.0)],
            Effect::Block,
        );
    }
    // A victim of the attack asks about it, and the attacker goes on; neither is uninvolved.
    day.say("a@corp.example", "it@corp.example", &["url:https://site.badhosting.top/x?id=1"], &[], Effect::Allow);
    day.say("m@evil.example", "e@corp.example", &["url:https://site.badhosting.top/x?id=1"], &[], Effect::Allow);
    let records = day.records.clone();
    let drafts = drafted(&day, &records);
    let said = verdicts(&drafts);
    let said: Vec<(&str, &str, u64)> = said.iter().map(|(a, b, c)| (a.as_str(), *b, *c)).collect();
    assert_eq!(
        said,
        [
            ("203.0.113.9/32", "refused", 0),
            ("github[.]com", "refused", 0),
            ("http[:]//203[.]0[.]113[.]9/x", "refused", 0),
            ("https[:]//github[.]com/evil/x", "block", 0),
            ("https[:]//site[.]badhosting[.]top/x?id=1", "block", 0),
            ("shape:0ff0f0f00ff0aa55", "note", 0),
            ("site[.]badhosting[.]top", "note", 2),
            ("xmpp:m@evil[.]example", "block", 0),
        ]
    );
    let noted = drafts.iter().find(|draft| draft.bystanders.messages == 2).unwrap();
    assert_eq!((noted.bystanders.people, noted.bystanders.example), (2, Some(records[0].id)));
    assert!(noted.against.as_ref().unwrap().contains("2 allowed messages of 2 people"));
}

#[test]
fn what_the_house_serves_itself_is_never_drafted() {
    let mut day = Day::new();
    for (from, to) in [(0, 1), (1, 2), (2, 3), (3, 0)] {
        let keys = ["url:https://upload.corp.example/f/1", "url:https://corp.example/", "sha256:aa"];
        day.say(&user(from), &user(to), &keys, &[("file.malware", 20.0)], Effect::Block);
    }
    let drafts = drafted(&day, &[]);
    // A colleague's account is not drafted either; the hash is none that a file could have.
    assert_eq!(verdicts(&drafts), [("aa".to_owned(), "refused", 0)]);
}

#[test]
fn a_promoted_campaign_is_a_threat_that_the_catalogue_reads() {
    let mut day = Day::new();
    for to in ["a", "b", "c"] {
        let key = "url:https://worm-photos.top/x";
        day.say("m@evil.example", &format!("{to}@corp.example"), &[key], &[("link.lookalike", 9.0)], Effect::Block);
    }
    let data = tempfile::tempdir().unwrap();
    let id = promote::slug("Worm: Photos (new!)");
    assert_eq!(id, "worm-photos-new");
    let kind = draft::looks_like(day.only());
    let mut threat = promote::threat(day.only(), id, "Worm: Photos (new!)".to_owned(), kind, crate::Tlp::Green);
    threat.indicators = drafted(&day, &[]).into_iter().map(|draft| draft.indicator).collect();
    assert!(threat.indicators.len() > 2);
    let path = promote::write(data.path(), &threat).unwrap();
    assert!(path.ends_with("intel/catalogue/worm-photos-new.toml"));
    assert_eq!(promote::own(data.path()).unwrap().threats(), std::slice::from_ref(&threat));
    assert!(promote::write(data.path(), &threat).is_err(), "nothing is written over");

    // What decoys bring in is beside it, and goes when it runs out.
    let soon = day.now + SignedDuration::from_hours(1);
    let mut short = crate::Threat { id: "decoy-c1".to_owned(), ..threat.clone() };
    short.indicators.iter_mut().for_each(|indicator| indicator.valid_until = Some(soon));
    promote::write_decoyed(data.path(), std::slice::from_ref(&short)).unwrap();
    assert_eq!(promote::decoyed(data.path(), day.now), [short]);
    assert_eq!(promote::own(data.path()).unwrap().threats().len(), 2);
    assert_eq!(promote::decoyed(data.path(), soon), []);
    promote::write_decoyed(data.path(), &[]).unwrap();
    assert_eq!(promote::own(data.path()).unwrap().threats().len(), 1);
}
