//! Clocks that are wrong, jump, or are set back by somebody.

use super::*;

/// What is in force is followed from `NOW` on; then the clock says these things, in this order.
fn classes(expiry: Expiry, clock: &[SignedDuration]) -> Vec<String> {
    let world = World::bare();
    world.repository.publish(Some(files("one")), &keys(), NOW, expiry).unwrap();
    let mut client = world.client();
    assert_eq!(client.poll(&world, NOW), Outcome::Applied(1));
    let seen = clock.iter().map(|after| client.trouble(&world, NOW + *after)).collect();
    assert_eq!(client.mark().as_deref(), Some("one"), "what is in force stays, whatever the clock says");
    seen
}

#[test]
fn expiry_is_held_against_a_clock_that_may_be_ten_minutes_off() {
    let week = Expiry::default();
    for (clock, expected) in [
        (vec![days(1), days(7), days(7) + minutes(10)], vec!["", "", ""]),
        (vec![days(7) + minutes(11)], vec!["frozen"]),
        // Behind the publisher: a little is nothing, more is a wrong clock on one side.
        (vec![-minutes(9)], vec![""]),
        (vec![-minutes(11)], vec!["from-the-future"]),
        (vec![-days(1), minutes(1)], vec!["from-the-future", ""]),
        // A jump of a day and back is survived.
        (vec![days(1), minutes(1), minutes(2)], vec!["", "", ""]),
        // Set back, what had expired stays expired, however often.
        (vec![days(8), days(1), minutes(1)], vec!["frozen", "frozen", "frozen"]),
        (vec![days(400), minutes(1)], vec!["root-expired", "frozen"]),
    ] {
        assert_eq!(classes(week, &clock), expected, "{clock:?}");
    }
}

#[test]
fn a_release_that_nobody_renews_expires_under_the_freshest_timestamp() {
    let world = World::published();
    let mut client = world.client();
    client.poll(&world, NOW);
    for day in [30, 89] {
        world.repository.refresh(&keys().timestamp, NOW + days(day), Expiry::default()).unwrap();
        assert_eq!(client.trouble(&world, NOW + days(day)), "");
    }
    world.repository.refresh(&keys().timestamp, NOW + days(91), Expiry::default()).unwrap();
    assert_eq!(client.trouble(&world, NOW + days(91)), "frozen");
    world.publish("two", NOW + days(91));
    assert_eq!(client.poll(&world, NOW + days(91)), Outcome::Applied(2));
}

#[test]
fn a_wrong_jump_forward_heals_with_the_next_timestamp() {
    let world = World::published();
    let mut client = world.client();
    client.poll(&world, NOW);
    assert_eq!(client.trouble(&world, NOW + days(30_000)), "root-expired");
    let mut client = client.restart();
    assert_eq!(client.trouble(&world, NOW + minutes(1)), "frozen", "remembered over a restart");
    world.repository.refresh(&keys().timestamp, NOW + minutes(2), Expiry::default()).unwrap();
    assert_eq!(client.poll(&world, NOW + minutes(2)), Outcome::Unchanged);
}

#[test]
fn what_was_held_back_is_not_fresh_because_the_clock_was_set_back() {
    // An attacker keeps a timestamp of day 1, shows it on day 30 and sets the client's clock to day 2.
    let world = World::published();
    world.repository.refresh(&keys().timestamp, NOW + days(1), Expiry::default()).unwrap();
    let kept = world.read("timestamp.json");
    let mut client = world.client();
    world.repository.refresh(&keys().timestamp, NOW + days(30), Expiry::default()).unwrap();
    assert_eq!(client.poll(&world, NOW + days(30)), Outcome::Applied(1));
    world.write("timestamp.json", &kept);
    assert_eq!(client.trouble(&world, NOW + days(2)), "rollback");
}
