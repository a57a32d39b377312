//! Worms, jokes, notices and load tests, played through the trackers.
//!
//! One generator drives each run, so that a failure repeats; each scene is run
//! with several seeds. Nothing here knows what the trackers look at.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use jiff::Timestamp;
use model::{Address, Direction, Message, Party, PartyKind, Protocol, Record, RecordKind, Side};
use proptest::prelude::*;

use super::*;
use crate::{Answers, Case, Facts, FileAnswer, FileFacts, Findings};

const START: i64 = 1_795_000_000_000;
const SEEDS: std::ops::Range<u64> = 0..6;

/// A small generator (SplitMix64, public domain).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    /// Exponential with this mean, in milliseconds.
    fn wait(&mut self, mean: f64) -> i64 {
        let unit = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        (-mean * (1.0 - unit).ln()) as i64
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// The trackers, and messages to feed them.
struct Scene {
    trackers: Vec<Box<dyn Tracker>>,
}

#[derive(Clone, Copy)]
enum To {
    Person(u64),
    Room(u64),
}

impl Scene {
    fn new(seed: u64) -> Scene {
        Scene::of(&Config { entries: 2048, secret: seed, ..Config::default() })
    }

    fn of(config: &Config) -> Scene {
        Scene { trackers: table(config) }
    }

    /// Sends something and gives the symbols found.
    fn send(&mut self, at: i64, from: u64, to: To, what: What<'_>) -> Vec<String> {
        let message = message(at, from, to);
        let (facts, answers) = what.of();
        let mut findings = Findings::default();
        let case = Case { message: &message, facts: &facts, answers: &answers };
        self.trackers.iter_mut().for_each(|t| t.observe(&case, &mut findings));
        findings.into_vec().into_iter().map(|f| f.symbol.into_owned()).collect()
    }

    /// Days of ordinary talk that make friends acquainted.
    fn acquaint(&mut self, friends: &[Vec<u64>]) {
        for day in (1..3).rev() {
            for (who, friends) in friends.iter().enumerate() {
                for friend in friends {
                    let at = START - day * 86_400_000 + (who as i64 * 1000);
                    self.send(at, who as u64, To::Person(*friend), What::Nothing);
                }
            }
        }
    }
}

fn party(kind: PartyKind, name: String) -> Arc<Party> {
    Arc::new(Party::stranger(Address::account(name), kind, Side::Internal))
}

fn message(at: i64, from: u64, to: To) -> Message {
    let to = match to {
        To::Person(n) => party(PartyKind::Person, format!("user{n}@example.org")),
        To::Room(n) => party(PartyKind::Room, format!("room{n}@rooms.example.org")),
    };
    let from = party(PartyKind::Person, format!("user{from}@example.org"));
    let time = Timestamp::from_millisecond(at).unwrap();
    Message::new(Protocol::Xmpp, Kind::Message, Direction::FromClient, time, from, to)
}

#[derive(Clone, Copy)]
enum What<'a> {
    Nothing,
    Link(&'a str),
    File(u8),
    Text(u64),
}

impl What<'_> {
    fn of(self) -> (Facts, Answers) {
        let (mut facts, mut answers) = (Facts::default(), Answers::default());
        match self {
            What::Nothing => {}
            What::Link(url) => facts.keys.push(format!("url:{url}").into()),
            What::File(n) => {
                let known = FileFacts { sha256: [n; 32], size: 1000, kind: "zip", ..FileFacts::default() };
                answers.files.push(FileAnswer { file: 0, facts: known, antivirus: None, rules: Vec::new() });
            }
            What::Text(shape) => facts.shape = Some(shape),
        }
        (facts, answers)
    }
}

fn is_strong(symbols: &[String]) -> bool {
    symbols.iter().any(|s| s == "outbreak.link" || s == "outbreak.file")
}

/// Who has whom on the contact list: mutual, random, of about this many each.
fn friends(random: &mut Random, users: u64, degree: u64) -> Vec<Vec<u64>> {
    let mut friends = vec![Vec::new(); users as usize];
    for _ in 0..users * degree / 2 {
        let (a, b) = (random.below(users), random.below(users));
        if a != b && !friends[a as usize].contains(&b) {
            friends[a as usize].push(b);
            friends[b as usize].push(a);
        }
    }
    friends
}

/// How a worm behaves.
#[derive(Clone, Copy, Debug)]
struct Worm {
    degree: u64,
    /// Between two messages of one victim, in milliseconds.
    gap: f64,
    /// From receiving to being infected, in milliseconds.
    delay: f64,
    /// How many of those who receive it fall for it, percent.
    falls: u64,
    acquainted: bool,
}

/// Lets a worm loose among 500; gives how many of its messages passed before the first strong
/// finding, and how many of the rest passed after it.
fn let_loose(seed: u64, worm: Worm, what: What<'_>) -> (usize, usize) {
    let mut random = Random(seed);
    let users = 500;
    let friends = friends(&mut random, users, worm.degree);
    let mut scene = Scene::new(seed);
    if worm.acquainted {
        scene.acquaint(&friends);
    }
    let patient = (0..users).find(|u| friends[*u as usize].len() as u64 >= worm.degree).unwrap();
    let mut infected = vec![false; users as usize];
    infected[patient as usize] = true;
    // When, who, which of his friends next.
    let mut queue = BinaryHeap::from([Reverse((START, patient, 0usize))]);
    let (mut passed, mut leaked, mut stopped, mut sent) = (0, 0, false, 0);
    while let Some(Reverse((at, who, next))) = queue.pop() {
        let Some(friend) = friends[who as usize].get(next).copied() else { continue };
        sent += 1;
        if sent > 5000 {
            break;
        }
        let strong = is_strong(&scene.send(at, who, To::Person(friend), what));
        if strong {
            stopped = true;
        } else {
            *(if stopped { &mut leaked } else { &mut passed }) += 1;
            if !infected[friend as usize] && random.chance(worm.falls) {
                infected[friend as usize] = true;
                queue.push(Reverse((at + random.wait(worm.delay), friend, 0)));
            }
        }
        queue.push(Reverse((at + random.wait(worm.gap).max(1), who, next + 1)));
    }
    (passed, leaked)
}

const URL: &str = "http://photos.example.net/you";

#[test]
fn a_worm_is_stopped_within_its_first_dozens() {
    let worm = Worm { degree: 14, gap: 300.0, delay: 20_000.0, falls: 50, acquainted: false };
    for acquainted in [false, true] {
        for worm in [
            Worm { acquainted, ..worm },
            Worm { acquainted, degree: 8, ..worm },
            Worm { acquainted, degree: 20, ..worm },
            Worm { acquainted, delay: 300_000.0, ..worm },
            Worm { acquainted, delay: 1_000.0, falls: 100, ..worm },
            Worm { acquainted, gap: 1_500.0, ..worm },
        ] {
            for seed in SEEDS {
                for what in [What::Link(URL), What::File(9)] {
                    let (passed, leaked) = let_loose(seed, worm, what);
                    assert!(passed <= 48, "{passed} passed: {worm:?}, seed {seed}");
                    assert_eq!(leaked, 0, "once found, it stays found: {worm:?}, seed {seed}");
                }
            }
        }
    }
}

#[test]
fn a_worm_with_sixty_contacts_is_stopped_at_its_first_relays() {
    let worm = Worm { degree: 60, gap: 300.0, delay: 5_000.0, falls: 30, acquainted: false };
    for seed in SEEDS {
        let (passed, _) = let_loose(seed, worm, What::Link(URL));
        assert!(passed <= 90, "{passed} passed, seed {seed}");
    }
}

#[test]
fn a_slow_worm_is_stopped_within_its_first_hundred() {
    for acquainted in [false, true] {
        let worm = Worm { degree: 14, gap: 45_000.0, delay: 600_000.0, falls: 50, acquainted };
        for seed in SEEDS {
            let (passed, _) = let_loose(seed, worm, What::Link(URL));
            assert!(passed <= 100, "{passed} passed, seed {seed}");
        }
    }
}

#[test]
fn a_link_that_hundreds_pass_on_is_left_alone() {
    for seed in SEEDS {
        let mut random = Random(seed);
        let mut scene = Scene::new(seed);
        let friends = friends(&mut random, 600, 14);
        if seed % 2 == 0 {
            scene.acquaint(&friends);
        }
        let mut queue: BinaryHeap<_> = (0..5).map(|u| Reverse((START + u as i64 * 60_000, u))).collect();
        let mut had = vec![false; 600];
        let (mut sent, mut popular) = (0, false);
        while let Some(Reverse((at, who))) = queue.pop() {
            if std::mem::replace(&mut had[who as usize], true) || at > START + 3 * 3_600_000 {
                continue;
            }
            // One in thirty tells a dozen; the others a few, or a room.
            let tells = if random.chance(3) { 12 } else { 1 + random.below(3) };
            let mut at = at;
            for _ in 0..tells {
                let list = &friends[who as usize];
                let friend = list.get(random.below(list.len() as u64) as usize).copied().unwrap_or_default();
                let to = if random.chance(25) { To::Room(random.below(9)) } else { To::Person(friend) };
                let symbols = scene.send(at, who, to, What::Link("https://video.example.com/watch?v=cat"));
                assert!(!is_strong(&symbols), "seed {seed}, message {sent}");
                popular |= symbols.iter().any(|s| s == "outbreak.popular");
                sent += 1;
                queue.push(Reverse((at + 30_000 + random.wait(240_000.0), friend)));
                at += if random.chance(30) { 0 } else { 2_000 + random.wait(9_000.0) };
            }
        }
        assert!(sent > 300 && popular, "{sent}");
    }
}

#[test]
fn a_crowd_is_left_alone() {
    for seed in SEEDS {
        let mut random = Random(seed);
        let mut scene = Scene::new(seed);
        let mut at = START;
        for who in 0..300 {
            at += random.wait(200.0);
            let to = if seed % 2 == 0 { To::Room(random.below(20)) } else { To::Person(random.below(300)) };
            assert!(!is_strong(&scene.send(at, who, to, What::Link("https://news.example.com/goal"))), "seed {seed}");
        }
    }
}

#[test]
fn a_notice_to_all_is_at_most_moderate() {
    for acquainted in [false, true] {
        let mut scene = Scene::new(1);
        let mut everyone = vec![Vec::new(); 301];
        everyone[0] = (1..=300).collect();
        if acquainted {
            scene.acquaint(&everyone);
        }
        let mut seen = std::collections::BTreeSet::new();
        for n in 1..=300 {
            let link = scene.send(START + n as i64 * 50, 0, To::Person(n), What::Link("https://hr.example.org/survey"));
            let text = scene.send(START + n as i64 * 50, 0, To::Person(n), What::Text(0x1234_5678_9abc_def0));
            assert!(!is_strong(&link) && !is_strong(&text));
            seen.extend(link.into_iter().chain(text));
        }
        // Team leads pass it on by hand, and some of their teams answer.
        let mut random = Random(4);
        for lead in 1..20u64 {
            let mut at = START + 600_000 + random.wait(3_600_000.0);
            for member in 0..8 {
                at += 4_000 + random.wait(10_000.0);
                let symbols = scene.send(
                    at,
                    lead,
                    To::Person(20 + lead * 8 + member),
                    What::Link("https://hr.example.org/survey"),
                );
                assert!(!is_strong(&symbols), "lead {lead}");
            }
        }
        let expected: &[&str] = if acquainted { &[] } else { &["contact.burst", "outbreak.fanout", "outbreak.text"] };
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn one_account_that_writes_to_strangers_is_stopped() {
    let mut scene = Scene::new(1);
    let everyone = vec![(1..9).collect::<Vec<u64>>()];
    scene.acquaint(&everyone);
    let strong = |scene: &mut Scene, gap: i64, url| {
        (0..100).position(|n| is_strong(&scene.send(START + n * gap, 0, To::Person(100 + n as u64), What::Link(url))))
    };
    assert_eq!(strong(&mut scene, 500, "http://a.example/"), Some(23));
    assert_eq!(strong(&mut scene, 60_000, "http://b.example/"), None, "by hand it is no more than moderate");
}

#[test]
fn a_load_test_is_text_at_most() {
    let mut scene = Scene::new(3);
    for n in 0..5_000u64 {
        let (from, to) = (n % 100, (n + 1) % 100);
        let symbols = scene.send(START + n as i64, from, To::Person(to), What::Text(77));
        assert!(symbols.iter().all(|s| s == "outbreak.text"), "{symbols:?}");
        let symbols = scene.send(START + n as i64, from, To::Person(to), What::Link("https://load.example/"));
        assert!(!is_strong(&symbols), "message {n}");
    }
}

#[test]
fn a_lunch_link_that_everybody_sends_every_day_does_not_add_up() {
    let mut random = Random(8);
    let friends = friends(&mut random, 100, 12);
    let mut scene = Scene::new(8);
    for day in 0..10 {
        for _ in 0..200 {
            let who = random.below(100);
            let mut at = START + day * 86_400_000 + random.below(14_400_000) as i64;
            for _ in 0..1 + random.below(3) {
                let list = &friends[who as usize];
                let to = To::Person(list[random.below(list.len() as u64) as usize]);
                assert!(!is_strong(&scene.send(at, who, to, What::Link("https://canteen.example.org/"))));
                at += 3_000 + random.wait(20_000.0);
            }
        }
    }
}

#[test]
fn the_journal_brings_an_outbreak_back() {
    let mut scene = Scene::new(5);
    let mut records = Vec::new();
    // A chain: each sends to ten within seconds, the first of whom is next.
    for who in 0..4u64 {
        for n in 0..10u64 {
            let at = START + who as i64 * 30_000 + n as i64 * 200;
            let message = message(at, who * 10, To::Person(who * 10 + n + 10));
            let mut record = Record::new(Default::default(), message.time, RecordKind::Message);
            (record.protocol, record.what) = (Some(message.protocol), Some(message.kind));
            (record.from, record.to) = (Some(Then::from(&*message.from)), Some(Then::from(&*message.to)));
            record.keys =
                vec![format!("url:{URL}").into(), format!("sha256:{}", "09".repeat(32)).into(), "shape:4d".into()];
            records.push(record);
        }
    }
    records.iter().for_each(|r| scene.trackers.iter_mut().for_each(|t| t.replay(r)));
    assert!(is_strong(&scene.send(START + 200_000, 900, To::Room(1), What::Link(URL))));
    assert!(is_strong(&scene.send(START + 200_000, 901, To::Person(1), What::File(9))));
    assert!(!is_strong(&scene.send(START + 200_000, 902, To::Person(1), What::Link("http://other.example/"))));
}

#[test]
fn copies_teach_nothing_but_are_told() {
    let mut scene = Scene::new(6);
    let seen = |scene: &mut Scene, n: u64, copy: bool| {
        let mut message = message(START + n as i64, n, To::Person(n + 1));
        message.copy = copy;
        let (facts, answers) = What::Link(URL).of();
        let mut findings = Findings::default();
        let case = Case { message: &message, facts: &facts, answers: &answers };
        scene.trackers.iter_mut().for_each(|t| t.observe(&case, &mut findings));
        findings.into_vec().len()
    };
    for n in 0..100 {
        assert_eq!(seen(&mut scene, n, true), 0);
    }
    assert_eq!(seen(&mut scene, 200, false), 0, "a hundred copies have not made it popular");
}

#[test]
fn a_flood_of_links_does_not_wash_an_outbreak_away() {
    let config = Config { entries: 256, secret: 9, ..Config::default() };
    let mut scene = Scene::of(&config);
    let mut found = false;
    for who in 0..4u64 {
        for n in 0..10u64 {
            let at = START + who as i64 * 30_000 + n as i64 * 200;
            found = is_strong(&scene.send(at, who * 10, To::Person(who * 10 + n + 10), What::Link(URL)));
        }
    }
    assert!(found);
    for n in 0..50_000u64 {
        let url = format!("https://example.com/{n}");
        scene.send(START + 150_000 + n as i64, 1000 + n % 500, To::Person(n % 700), What::Link(&url));
    }
    assert!(is_strong(&scene.send(START + 300_000, 900, To::Person(1), What::Link(URL))));
}

#[test]
fn memory_is_bounded_and_small() {
    let config = Config::default();
    let acquaintance = contacts::Acquaintance::new(&config);
    let shared = acquaintance.bytes();
    let bytes = shared + outbreak::Outbreak::new(&config, Arc::new(Mutex::new(acquaintance))).bytes();
    assert!(bytes < 32 << 20, "{bytes}");
}

proptest! {
    #[test]
    fn any_sequence_is_taken(steps in proptest::collection::vec((any::<i32>(), 0u64..40, 0u64..40, 0u8..5), 0..400)) {
        let mut scene = Scene::of(&Config { entries: 64, ..Config::default() });
        for (at, from, to, what) in steps {
            let what = match what {
                0 => What::Nothing,
                1 => What::Link("http://a.example/"),
                2 => What::File(1),
                3 => What::Text(at as u64),
                _ => What::Text(5),
            };
            let to = if to < 30 { To::Person(to) } else { To::Room(to) };
            let found = scene.send(START + i64::from(at) * 60_000, from, to, what);
            prop_assert!(found.len() <= 3);
        }
    }
}
