//! What somebody who holds the web server, the network or the online key tries, one row an attack: it is
//! refused by its name, and what was in force stays in force.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::update::metadata::Envelope;

/// How a repository is tampered with. It has published `one`, which the client has, then `two`.
struct Tampering<'w> {
    world: &'w World,
    /// What was served when `one` was the newest.
    one: BTreeMap<String, Vec<u8>>,
}

impl Tampering<'_> {
    /// Changes what a file says and leaves its signatures.
    fn edit(&self, name: &str, change: impl Fn(&mut Value)) {
        let mut file: Value = serde_json::from_slice(&self.world.read(name)).unwrap();
        change(&mut file);
        self.world.write(name, &canonical::write(&file).unwrap());
    }

    /// Writes a file that says this, signed by these keys.
    fn forge(&self, name: &str, signed: Value, keys: &[SecretKey]) {
        let bytes = canonical::write(&json!({"signatures": [], "signed": signed})).unwrap();
        let mut draft = Draft::parse(&bytes).unwrap();
        keys.iter().for_each(|key| draft.sign(key));
        self.world.write(name, &draft.bytes());
    }

    fn says(&self, name: &str) -> Value {
        serde_json::from_slice(Envelope::parse(&self.world.read(name)).unwrap().signed).unwrap()
    }

    /// Serves a file as it was when `one` was the newest.
    fn roll_back(&self, name: &str) {
        self.world.write(name, &self.one[name]);
    }

    /// What the thief of the online key can do: any timestamp.
    fn as_online_thief(&self, change: impl Fn(&mut Value)) {
        let mut says = self.says("timestamp.json");
        says["version"] = json!(3);
        change(&mut says);
        self.forge("timestamp.json", says, &keys().timestamp);
    }

    fn blob(&self) -> String {
        let release = self.says("2.release.json");
        format!("files/{}", release["files"]["indicators.jsonl"]["sha256"].as_str().unwrap())
    }
}

type Attempt = (&'static str, &'static str, fn(&Tampering<'_>));

/// What is tried, and the class by which it is refused.
const ATTEMPTS: &[Attempt] = &[
    ("no signature at all", "unsigned", |t| t.edit("timestamp.json", |f| f["signatures"] = json!([]))),
    ("a stranger's key", "unknown-key", |t| {
        t.forge("timestamp.json", t.says("timestamp.json"), &[key(Role::Timestamp, 99)]);
    }),
    ("a key of another role", "unknown-key", |t| {
        t.forge("timestamp.json", t.says("timestamp.json"), &keys().release);
    }),
    ("a changed file under its old signature", "wrong-signature", |t| {
        t.edit("timestamp.json", |f| f["signed"]["expires"] = json!("2030-01-01T00:00:00Z"));
    }),
    ("one signature twice does not help", "unknown-key", |t| {
        t.forge("timestamp.json", t.says("timestamp.json"), &[key(Role::Timestamp, 99)]);
        t.edit("timestamp.json", |f| {
            let signature = f["signatures"][0].clone();
            f["signatures"].as_array_mut().unwrap().push(signature);
        });
    }),
    ("the old timestamp", "rollback", |t| t.roll_back("timestamp.json")),
    ("another timestamp of a version that was seen", "two-faced", |t| {
        t.as_online_thief(|says| {
            says["version"] = json!(2);
            says["expires"] = json!("2026-12-24T00:00:00Z");
        });
    }),
    ("the old snapshot under a new timestamp, by the online key", "rollback", |t| {
        let old = t.one["1.snapshot.json"].clone();
        t.as_online_thief(|says| {
            says["snapshot"] = json!({"version": 1, "length": old.len(), "sha256": FileMeta::of(&old).sha256});
            // It has to be a version back that the client knows: `one` is what it has.
            says["snapshot"]["version"] = json!(0);
        });
    }),
    ("the old release in a new snapshot's place", "mix-and-match", |t| {
        t.world.write("2.snapshot.json", &t.one["1.snapshot.json"]);
    }),
    ("the old release file under the new one's name", "mix-and-match", |t| {
        t.world.write("2.release.json", &t.one["1.release.json"]);
    }),
    ("a snapshot by the online key", "unknown-key", |t| {
        let mut says = t.says("2.snapshot.json");
        says["version"] = json!(3);
        t.forge("3.snapshot.json", says, &keys().timestamp);
        let bytes = t.world.read("3.snapshot.json");
        t.as_online_thief(|says| {
            says["snapshot"] = json!({"version": 3, "length": bytes.len(), "sha256": FileMeta::of(&bytes).sha256});
        });
    }),
    ("an endless timestamp", "endless-data", |t| t.world.write("timestamp.json", &vec![b' '; 1 << 20])),
    ("an endless root", "endless-data", |t| t.world.write("2.root.json", &vec![b' '; 1 << 20])),
    ("a snapshot longer than signed for", "endless-data", |t| {
        let longer = [t.world.read("2.snapshot.json"), vec![b' '; 9]].concat();
        t.world.write("2.snapshot.json", &longer);
    }),
    ("a bundle file longer than signed for", "endless-data", |t| {
        t.world.write(&t.blob(), &vec![b'\n'; 1 << 20]);
    }),
    ("a timestamp that asks for an endless snapshot", "endless-data", |t| {
        t.as_online_thief(|says| says["snapshot"]["length"] = json!(1u64 << 40));
    }),
    ("a bundle file with one byte changed", "wrong-hash", |t| {
        let mut bytes = t.world.read(&t.blob());
        bytes[9] ^= 1;
        t.world.write(&t.blob(), &bytes);
    }),
    ("a bundle file cut short", "wrong-hash", |t| t.world.write(&t.blob(), b"")),
    ("a release with one byte changed", "wrong-hash", |t| {
        let mut bytes = t.world.read("2.release.json");
        *bytes.last_mut().unwrap() = b' ';
        t.world.write("2.release.json", &bytes);
    }),
    ("a missing bundle file", "missing", |t| fs::remove_file(t.world.path(&t.blob())).unwrap()),
    ("a missing timestamp", "missing", |t| fs::remove_file(t.world.path("timestamp.json")).unwrap()),
    ("a root by a stranger", "broken-rotation", |t| {
        let mut says = t.says("root.json");
        says["version"] = json!(2);
        t.forge("2.root.json", says, &[key(Role::Root, 99)]);
    }),
    ("a root that skips a version", "broken-rotation", |t| {
        let mut says = t.says("root.json");
        says["version"] = json!(3);
        t.forge("2.root.json", says, &[root_key()]);
    }),
    ("the same root again under the next number", "broken-rotation", |t| {
        t.world.write("2.root.json", &t.world.read("root.json"));
    }),
    ("a root that nobody signed", "unsigned", |t| {
        let mut says = t.says("root.json");
        says["version"] = json!(2);
        t.forge("2.root.json", says, &[]);
    }),
    ("a root whose threshold can't be met", "broken-rotation", |t| {
        let mut says = t.says("root.json");
        says["version"] = json!(2);
        says["roles"]["timestamp"]["threshold"] = json!(2);
        t.forge("2.root.json", says, &[root_key()]);
    }),
    ("a root with no threshold", "broken-rotation", |t| {
        let mut says = t.says("root.json");
        says["version"] = json!(2);
        says["roles"]["release"]["threshold"] = json!(0);
        t.forge("2.root.json", says, &[root_key()]);
    }),
    ("a root that makes the online key sign releases", "broken-rotation", |t| {
        let mut says = t.says("root.json");
        says["version"] = json!(2);
        says["roles"]["release"] = says["roles"]["timestamp"].clone();
        t.forge("2.root.json", says, &[root_key()]);
    }),
    ("a timestamp from tomorrow", "from-the-future", |t| {
        t.as_online_thief(|says| says["issued"] = json!("2026-11-24T05:00:00Z"));
    }),
    ("a release where the timestamp belongs", "unknown-key", |t| {
        t.world.write("timestamp.json", &t.world.read("2.release.json"));
    }),
    ("a name that leaves the folder", "malformed", |t| {
        let mut says = t.says("2.release.json");
        let meta = says["files"]["indicators.jsonl"].clone();
        says["files"] = json!({"apps/../../../x.toml": meta});
        says["version"] = json!(3);
        t.forge("3.release.json", says, &keys().release);
        let bytes = t.world.read("3.release.json");
        let mut says = t.says("2.snapshot.json");
        says["release"] = json!({"version": 3, "length": bytes.len(), "sha256": FileMeta::of(&bytes).sha256});
        says["version"] = json!(3);
        t.forge("3.snapshot.json", says, &keys().release);
        let bytes = t.world.read("3.snapshot.json");
        t.as_online_thief(|says| {
            says["snapshot"] = json!({"version": 3, "length": bytes.len(), "sha256": FileMeta::of(&bytes).sha256});
        });
    }),
    ("JSON that can be read in two ways", "malformed", |t| {
        let text = String::from_utf8(t.world.read("timestamp.json")).unwrap();
        let signed = text.split_once("\"signed\":").unwrap().1.strip_suffix('}').unwrap().replacen('{', "{ ", 1);
        let signature = keys().timestamp[0].sign(signed.as_bytes());
        let id = keys().timestamp[0].id().as_str().to_owned();
        let file = format!("{{\"signatures\":[{{\"keyid\":\"{id}\",\"sig\":\"{signature}\"}}],\"signed\":{signed}}}");
        t.world.write("timestamp.json", file.as_bytes());
    }),
    ("no JSON", "malformed", |t| t.world.write("timestamp.json", b"<html>login</html>")),
    ("brackets without end", "malformed", |t| t.world.write("timestamp.json", &vec![b'['; 16_000])),
    ("a specification to come", "malformed", |t| {
        t.as_online_thief(|says| says["spec_version"] = json!("2.0.0"));
    }),
    ("a thousand signatures", "malformed", |t| {
        t.edit("timestamp.json", |f| f["signatures"] = json!(vec![f["signatures"][0].clone(); 65]));
    }),
];

#[test]
fn every_attack_is_refused_by_its_name_and_the_last_good_stays() {
    for (what, class, tamper) in ATTEMPTS {
        let world = World::published();
        let mut client = world.client();
        assert_eq!(client.poll(&world, NOW), Outcome::Applied(1));
        let one = world.served();
        // The old timestamp is only old for who saw a newer one.
        world.repository.refresh(&keys().timestamp, NOW, Expiry::default()).unwrap();
        if *class == "rollback" || *class == "two-faced" {
            assert_eq!(client.poll(&world, NOW), Outcome::Unchanged);
        }
        if *class != "two-faced" {
            world.publish("two", NOW);
        }
        let before = world.served();
        tamper(&Tampering { world: &world, one });
        let outcome = client.poll(&world, NOW);
        let Outcome::Kept { trouble, first } = outcome else { panic!("{what}: {outcome:?}") };
        assert_eq!((&*trouble.class, first), (*class, true), "{what}: {}", trouble.what);
        assert_eq!(client.mark().as_deref(), Some("one"), "{what}");

        // It stays so over a restart, is news once, and ends when the repository is in order again.
        let mut client = client.restart();
        let again = client.poll(&world, NOW);
        assert!(matches!(&again, Outcome::Kept { first: false, trouble } if trouble.times == 2), "{what}: {again:?}");
        for (name, bytes) in &before {
            world.write(name, bytes);
        }
        for (name, _) in world.served() {
            if !before.contains_key(&name) {
                fs::remove_file(world.path(&name)).unwrap();
            }
        }
        world.publish("three", NOW);
        assert!(matches!(client.poll(&world, NOW), Outcome::Applied(_)), "{what}");
        assert_eq!(client.mark().as_deref(), Some("three"), "{what}");
        assert_eq!(client.subscription.state().trouble, None, "{what}");
    }
}

#[test]
fn an_unreachable_repository_is_no_attack_and_takes_nothing_away() {
    let world = World::published();
    let mut client = world.client();
    client.poll(&world, NOW);
    fs::rename(world.path(""), world.dir.path().join("elsewhere")).unwrap();
    assert_eq!(client.trouble(&world, NOW), "unreachable");
    assert_eq!(client.mark().as_deref(), Some("one"));
}

/// Asks for no byte more than is allowed, and gives all it has.
struct Endless {
    asked: u64,
}

impl Source for Endless {
    fn get(&mut self, _: &str, most: u64) -> Result<Got, SourceError> {
        self.asked += most;
        Ok(Got::TooLong)
    }
}

#[test]
fn the_first_file_of_a_stranger_costs_a_bounded_number_of_bytes() {
    let world = World::bare();
    let mut source = Endless { asked: 0 };
    let mut client = world.client();
    assert!(matches!(client.poll_source(&mut source, NOW), Outcome::Kept { .. }));
    assert_eq!(source.asked, ROOT_BYTES);
}

#[test]
fn contents_that_cannot_be_put_in_force_leave_the_old_and_are_tried_again() {
    let world = World::published();
    let mut client = world.client();
    client.poll(&world, NOW);
    world.publish("two", NOW);
    let mut tries = 0;
    let mut poll = |client: &mut Client, now, verdict: Result<(), String>| {
        let mut source = Folder::new(&world.repository.dir);
        let outcome = client.subscription.poll(now, &mut source, &mut |candidate| {
            tries += 1;
            assert_eq!((candidate.bundle.version(), candidate.before), (2, Some(1)));
            verdict.clone()
        });
        (outcome.unwrap(), tries)
    };
    let broken = || Err("rules/a.cedar:3:1: unexpected token".to_owned());
    let (outcome, tries) = poll(&mut client, NOW, broken());
    assert!(matches!(outcome, Outcome::Kept { trouble, first: true } if trouble.class == "contents"), "{tries}");
    let (outcome, tries) = poll(&mut client, NOW + minutes(1), broken());
    assert!(matches!(outcome, Outcome::Kept { first: false, .. }));
    assert_eq!(tries, 1, "not at every poll");
    assert_eq!(client.mark().as_deref(), Some("one"));
    assert_eq!(poll(&mut client, NOW + minutes(12), Ok(())), (Outcome::Applied(2), 2));
    assert_eq!(client.mark().as_deref(), Some("two"));
}
