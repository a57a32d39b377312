//! Roots that follow one another, thresholds, and keys that were taken out.

use super::*;

fn rotate(world: &World, rotation: &Rotation, keys: &[SecretKey], now: Timestamp) -> u64 {
    let staged = world.repository.stage_root(rotation, keys, now).unwrap();
    assert_eq!(staged.missing, None);
    world.repository.finish_root().unwrap()
}

fn swap(role: Role, old: &SecretKey, new: &SecretKey) -> Rotation {
    Rotation {
        add: vec![(role, new.public().clone())],
        remove: vec![old.id().as_str().to_owned()],
        ..Rotation::default()
    }
}

#[test]
fn clients_walk_from_root_to_root_and_newcomers_begin_with_the_last() {
    let world = World::published();
    let mut client = world.client();
    client.poll(&world, NOW);
    let roots: Vec<SecretKey> = (10..=14).map(|number| key(Role::Root, number)).collect();
    for pair in roots.windows(2) {
        let [old, new] = pair else { unreachable!() };
        rotate(&world, &swap(Role::Root, old, new), &[old.clone(), new.clone()], NOW);
    }
    world.publish("two", NOW);
    assert_eq!(client.poll(&world, NOW), Outcome::Applied(2));
    assert_eq!(client.subscription.state().root, 5);
    let mut client = client.restart();
    assert_eq!((client.subscription.state().root, client.poll(&world, NOW)), (5, Outcome::Unchanged));
    let mut newcomer = Client::open(&world.dir.path().join("newcomer"), &world.read("root.json"));
    assert_eq!(newcomer.poll(&world, NOW), Outcome::Applied(2));
    // Without one root of the chain nobody gets further: the next is out of reach.
    fs::remove_file(world.path("3.root.json")).unwrap();
    let mut late = Client::open(&world.dir.path().join("late"), &world.pinned);
    late.poll(&world, NOW);
    assert_eq!(late.subscription.state().root, 2);
}

#[test]
fn a_root_needs_the_old_quorum_and_its_own() {
    let (old, new) = (root_key(), key(Role::Root, 11));
    let world = World::published();
    for (signers, ready) in [(vec![&old], false), (vec![&new], false), (vec![], false), (vec![&old, &new], true)] {
        let signers: Vec<SecretKey> = signers.into_iter().cloned().collect();
        let staged = world.repository.stage_root(&swap(Role::Root, &old, &new), &signers, NOW).unwrap();
        assert_eq!(staged.missing.is_none(), ready, "{staged:?}");
        assert_eq!(world.repository.finish_root().is_ok(), ready);
    }
}

#[test]
fn a_root_can_be_signed_elsewhere_one_key_at_a_time() {
    let three: Vec<SecretKey> = (1..=3).map(|number| key(Role::Root, number)).collect();
    let mut first = first_root();
    first.add.remove(0);
    first.add.extend(three.iter().map(|key| (Role::Root, key.public().clone())));
    first.thresholds.insert(Role::Root, 2);
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(dir.path());
    let staged = repository.stage_root(&first, &[], NOW).unwrap();
    assert_eq!(staged.missing, Some(Attack::Unsigned));
    for (signer, missing) in [
        (&three[2], Some(Attack::TooFewSignatures { role: Role::Root, have: 1, need: 2 })),
        // The same key again is still one.
        (&three[2], Some(Attack::TooFewSignatures { role: Role::Root, have: 1, need: 2 })),
        (&three[0], None),
    ] {
        // The file goes to the machine with the key and comes back.
        let mut draft = Draft::parse(&fs::read(&staged.path).unwrap()).unwrap();
        assert_eq!(draft.role(), Ok(Role::Root));
        draft.sign(signer);
        fs::write(&staged.path, draft.bytes()).unwrap();
        assert_eq!(repository.staged().unwrap().unwrap().missing, missing);
    }
    assert_eq!(repository.finish_root().unwrap(), 1);
    assert_eq!(repository.staged().unwrap(), None);
    repository.publish(Some(files("one")), &keys(), NOW, Expiry::default()).unwrap();
}

#[test]
fn too_few_release_keys_publish_nothing_and_convince_nobody() {
    let mut first = first_root();
    first.add.push((Role::Release, key(Role::Release, 21).public().clone()));
    first.thresholds.insert(Role::Release, 2);
    let world = World::with(&first, &[root_key()]);
    let refused = world.repository.publish(Some(files("one")), &keys(), NOW, Expiry::default()).unwrap_err();
    assert!(refused.to_string().contains("1 of the 2 signatures that the release role needs"), "{refused}");
    let both = || Keys { release: vec![key(Role::Release, 20), key(Role::Release, 21)], ..keys() };
    world.repository.publish(Some(files("one")), &both(), NOW, Expiry::default()).unwrap();
    let mut client = world.client();
    assert_eq!(client.poll(&world, NOW), Outcome::Applied(1));
    // One signature of two taken away on the way: the client counts, too. The hash in the timestamp would
    // tell, so it is the online thief who tries.
    let mut release: serde_json::Value = serde_json::from_slice(&world.read("1.snapshot.json")).unwrap();
    release["signatures"].as_array_mut().unwrap().pop();
    let bytes = canonical::write(&release).unwrap();
    world.write("1.snapshot.json", &bytes);
    let mut says: serde_json::Value = serde_json::from_slice(&world.read("timestamp.json")).unwrap();
    says["signed"]["version"] = 2.into();
    says["signed"]["snapshot"] =
        serde_json::json!({"version": 1, "length": bytes.len(), "sha256": FileMeta::of(&bytes).sha256});
    says["signatures"] = serde_json::json!([]);
    let mut draft = Draft::parse(&canonical::write(&says).unwrap()).unwrap();
    draft.sign(&keys().timestamp[0]);
    world.write("timestamp.json", &draft.bytes());
    assert_eq!(client.trouble(&world, NOW), "too-few-signatures");
}

#[test]
fn a_key_that_was_taken_out_is_named_and_ends_what_its_thief_did() {
    let world = World::published();
    let mut client = world.client();
    client.poll(&world, NOW);
    // The thief of the online key jumps to the last version there can be: nothing honest could follow.
    let mut says: serde_json::Value = serde_json::from_slice(&world.read("timestamp.json")).unwrap();
    let honest = world.read("timestamp.json");
    says["signed"]["version"] = canonical::MOST.into();
    says["signatures"] = serde_json::json!([]);
    let mut draft = Draft::parse(&canonical::write(&says).unwrap()).unwrap();
    draft.sign(&keys().timestamp[0]);
    world.write("timestamp.json", &draft.bytes());
    assert_eq!(client.poll(&world, NOW), Outcome::Unchanged);
    world.write("timestamp.json", &honest);
    world.repository.refresh(&keys().timestamp, NOW, Expiry::default()).unwrap();
    assert_eq!(client.trouble(&world, NOW), "rollback");

    let new = key(Role::Timestamp, 31);
    rotate(&world, &swap(Role::Timestamp, &keys().timestamp[0], &new), &[root_key()], NOW);
    assert_eq!(client.trouble(&world, NOW), "key-revoked");
    let refused = world.repository.standing().unwrap().refused.unwrap();
    assert_eq!(refused.attack.class(), "unknown-key", "the publisher is told, too");
    let keys = Keys { timestamp: vec![new], ..keys() };
    world.repository.publish(Some(files("two")), &keys, NOW, Expiry::default()).unwrap();
    assert_eq!(client.poll(&world, NOW), Outcome::Applied(2));
}

#[test]
fn an_expired_root_is_followed_by_the_next_but_not_used() {
    let world = World::published();
    let mut client = world.client();
    client.poll(&world, NOW);
    let later = NOW + days(366);
    world.publish("two", later);
    assert_eq!(client.trouble(&world, later), "root-expired");
    assert_eq!(client.mark().as_deref(), Some("one"));
    rotate(&world, &Rotation::default(), &[root_key()], later);
    world.repository.refresh(&keys().timestamp, later, Expiry::default()).unwrap();
    assert_eq!(client.poll(&world, later), Outcome::Applied(2));
}

#[test]
fn a_root_that_makes_no_sense_is_not_even_drafted() {
    let world = World::published();
    let online = keys().timestamp[0].public().clone();
    for (rotation, why) in [
        (Rotation { remove: vec!["ffff".to_owned()], ..Rotation::default() }, "no key of this root begins with"),
        (Rotation { remove: vec![String::new()], ..Rotation::default() }, "more than one key"),
        (
            Rotation { remove: vec![root_key().id().as_str().to_owned()], ..Rotation::default() },
            "the root role asks for 1 of 0 keys",
        ),
        (
            Rotation { thresholds: BTreeMap::from([(Role::Release, 3)]), ..Rotation::default() },
            "the release role asks for 3 of 1 keys",
        ),
        (Rotation { add: vec![(Role::Release, online)], ..Rotation::default() }, "is online for the timestamp"),
    ] {
        let refused = world.repository.stage_root(&rotation, &[root_key()], NOW).unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
    assert!(world.repository.finish_root().unwrap_err().to_string().contains("no root waits"));
}
