//! The publisher: what is signed is what is stored, a crash publishes nothing by halves, old releases go.

use super::*;
use crate::Tlp;
use crate::update::metadata::Envelope;

#[test]
fn the_bytes_signed_are_the_bytes_stored() {
    let world = World::published();
    for name in ["1.root.json", "1.release.json", "1.snapshot.json", "timestamp.json"] {
        let bytes = world.read(name);
        assert_eq!(canonical::check(&bytes), Ok(()), "{name} is canonical as a whole");
        let envelope = Envelope::parse(&bytes).unwrap();
        let key = match name {
            "1.root.json" => root_key(),
            "timestamp.json" => keys().timestamp.remove(0),
            _ => keys().release.remove(0),
        };
        let [signature] = envelope.signatures.as_slice() else { panic!("{name}") };
        assert_eq!(signature.keyid, *key.id(), "{name}");
        assert!(key.public().verifies(envelope.signed, &signature.sig), "{name}");
        assert_eq!(Draft::parse(&bytes).unwrap().bytes(), bytes, "{name} survives being read and written");
    }
}

#[test]
fn a_crash_at_any_file_leaves_a_whole_bundle_published() {
    for done in 0.. {
        let world = World::published();
        let mut client = world.client();
        client.poll(&world, NOW);
        let (mut plan, _) = world.repository.plan(Some(files("two")), &keys(), NOW, Expiry::default()).unwrap();
        let complete = done >= plan.writes.len();
        plan.writes.truncate(done);
        world.repository.carry_out(&plan).unwrap();
        // A file that was being written when the power went is there under its other name.
        world.write(&format!("timestamp.json{}", disk::ASIDE), b"{\"sign");
        let expected = if complete { Outcome::Applied(2) } else { Outcome::Unchanged };
        assert_eq!(client.poll(&world, NOW), expected, "{done} files");
        // Publishing goes on from there.
        let published = world.publish("three", NOW);
        assert_eq!(client.poll(&world, NOW), Outcome::Applied(published.release), "{done} files");
        assert_eq!(client.mark().as_deref(), Some("three"));
        assert!(world.served().keys().all(|name| !name.ends_with(disk::ASIDE)));
        if complete {
            break;
        }
    }
}

#[test]
fn the_last_releases_stay_and_the_rest_goes() {
    let world = World::bare();
    for number in 0..20 {
        world.publish(&format!("m{number}"), NOW);
    }
    let served = world.served();
    let count = |end: &str| served.keys().filter(|name| name.ends_with(end)).count();
    assert_eq!((count(".release.json"), count(".snapshot.json")), (8, 8));
    assert_eq!(served.keys().filter(|name| name.starts_with("files/")).count(), 16);
    assert_eq!(world.client().poll(&world, NOW), Outcome::Applied(20));
}

#[test]
fn nobody_publishes_beside_another() {
    let world = World::published();
    let _held = world.repository.lock().unwrap();
    let refused = world.repository.publish(Some(files("two")), &keys(), NOW, Expiry::default()).unwrap_err();
    assert!(matches!(refused, RepositoryError::Busy { .. }), "{refused}");
}

#[test]
fn what_may_not_be_passed_on_is_left_out() {
    let mut contents = Contents::new(Tlp::Green);
    let indicator = |number: u128, marking| crate::Indicator {
        id: uuid::Uuid::from_u128(number),
        pattern: crate::Pattern::Domain { value: "evil.example".to_owned() },
        threat: None,
        confidence: 50,
        strength: crate::Strength::Block,
        valid_from: None,
        valid_until: None,
        source: crate::Provenance { feed: "triage".to_owned(), reference: None, fetched: None },
        marking,
    };
    contents.add_indicators([indicator(2, Tlp::Clear), indicator(1, Tlp::Green), indicator(3, Tlp::Amber)]);
    assert_eq!((contents.counts(), contents.withheld()), ((0, 2), 1));
    let files = contents.clone().files().unwrap();
    assert_eq!(files, contents.files().unwrap(), "the same contents are the same bytes");
    let text = String::from_utf8(files["indicators.jsonl"].clone()).unwrap();
    let ids: Vec<&str> = text.lines().map(|line| &line[..46]).collect();
    assert!(ids[0].contains("000000000001") && ids[1].contains("000000000002"), "{text}");
}

#[test]
fn folders_are_taken_in_by_their_names() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a.toml", "README.md", "b.toml"] {
        fs::write(dir.path().join(name), name).unwrap();
    }
    let mut contents = Contents::new(Tlp::Clear);
    assert_eq!(contents.add_apps(dir.path()).unwrap(), 2);
    fs::write(dir.path().join("Bad Name.toml"), "").unwrap();
    let refused = contents.add_apps(dir.path()).unwrap_err().to_string();
    assert!(refused.contains("Bad Name.toml can't be in a bundle"), "{refused}");
}
