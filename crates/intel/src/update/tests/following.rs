//! The subscriber's folder over restarts and damage, and how little is fetched.

use super::*;

/// A folder that notes what is read.
struct Counted {
    folder: Folder,
    read: Vec<String>,
}

impl Counted {
    fn new(world: &World) -> Counted {
        Counted { folder: Folder::new(&world.repository.dir), read: Vec::new() }
    }
}

impl Source for Counted {
    fn get(&mut self, path: &str, most: u64) -> Result<Got, SourceError> {
        self.read.push(path.to_owned());
        self.folder.get(path, most)
    }
}

#[test]
fn only_what_changed_is_fetched() {
    let world = World::published();
    let mut client = world.client();
    client.poll(&world, NOW);
    let mut source = Counted::new(&world);
    assert_eq!(client.poll_source(&mut source, NOW), Outcome::Unchanged);
    assert_eq!(source.read, ["2.root.json", "timestamp.json"]);
    // One of two files changes.
    let mut changed = files("two");
    changed.insert("apps/skylark.toml".to_owned(), b"# one\n".to_vec());
    world.repository.publish(Some(changed), &keys(), NOW, Expiry::default()).unwrap();
    let mut source = Counted::new(&world);
    assert_eq!(client.poll_source(&mut source, NOW), Outcome::Applied(2));
    assert_eq!(source.read.iter().filter(|name| name.starts_with("files/")).count(), 1, "{:?}", source.read);
}

#[test]
fn the_last_good_is_there_at_the_next_start_without_a_network() {
    let world = World::published();
    let mut client = world.client();
    client.poll(&world, NOW);
    fs::remove_dir_all(world.path("")).unwrap();
    let client = client.restart();
    assert_eq!(client.mark().as_deref(), Some("one"));
    let bundle = Subscription::last_good(&client.dir).unwrap().unwrap();
    let apps = bundle.apps().unwrap();
    assert_eq!(fs::read_to_string(apps.join("skylark.toml")).unwrap(), "# one\n");
}

#[test]
fn what_was_kept_is_checked_and_fetched_again_when_it_is_damaged() {
    for damage in ["bundles/1/indicators.jsonl", "bundles/1/release.json", "state.json", "root.json"] {
        let world = World::published();
        let mut client = world.client();
        client.poll(&world, NOW);
        let path = client.dir.join(damage);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "{").unwrap();
        let mut client = client.restart();
        let outcome = client.poll(&world, NOW);
        assert!(matches!(outcome, Outcome::Applied(1) | Outcome::Unchanged), "{damage}: {outcome:?}");
        assert_eq!(client.mark().as_deref(), Some("one"), "{damage}");
        assert_eq!(client.restart().poll(&world, NOW), Outcome::Unchanged, "{damage}");
    }
}

#[test]
fn nothing_piles_up() {
    let world = World::bare();
    let mut client = world.client();
    for number in 0..5 {
        world.publish(&format!("m{number}"), NOW);
        assert!(matches!(client.poll(&world, NOW), Outcome::Applied(_)));
    }
    let count = |folder: &str| fs::read_dir(client.dir.join(folder)).unwrap().count();
    assert_eq!((count("bundles"), count("files")), (2, 4), "the newest and the one before");
}

#[test]
fn a_newer_root_in_the_configuration_counts_and_an_older_one_does_not_take_back() {
    let world = World::published();
    let mut client = world.client();
    client.poll(&world, NOW);
    let old = world.pinned.clone();
    world.repository.stage_root(&Rotation::default(), &[root_key()], NOW).unwrap();
    world.repository.finish_root().unwrap();
    let dir = client.dir.clone();
    let twice = Subscription::open(&dir, &old, NOW).unwrap_err();
    assert!(matches!(twice, SubscriptionError::Busy { .. }), "{twice}");
    drop(client);
    assert_eq!(Client::open(&dir, &world.read("root.json")).subscription.state().root, 2);
    Client::open(&dir, &old).poll(&world, NOW);
    assert_eq!(Client::open(&dir, &old).subscription.state().root, 2);
    // Another repository's root of the same version is not walked into: nothing of it fits.
    let mut other = first_root();
    other.add.swap_remove(0);
    other.add.push((Role::Root, key(Role::Root, 77).public().clone()));
    let other = World::with(&other, &[key(Role::Root, 77)]);
    other.repository.publish(Some(files("other")), &keys(), NOW, Expiry::default()).unwrap();
    let mut client = Client::open(&dir, &old);
    assert_eq!(client.trouble(&other, NOW), "two-faced");
    assert_eq!(client.mark().as_deref(), Some("one"));
}

#[test]
fn a_root_that_is_none_is_said_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let refused = Subscription::open(dir.path(), b"{}", NOW).unwrap_err().to_string();
    assert!(refused.starts_with("the configured root: root.json: malformed"), "{refused}");
}
