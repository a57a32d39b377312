//! A worm and a decoy: grouped, triaged, published, and stopped where nobody has seen them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lab::slix::Client;
use serde_json::Value;

use super::house::{DECOY, House, USERS, notes};
use crate::support::jid;

/// How soon what is published has to be in force everywhere.
const SOON: Duration = Duration::from_secs(5);
/// What the default policy says of links that are known to be bad.
const KNOWN_BAD: &str = "known to be dangerous";

fn prove(house: Result<House>, test: impl FnOnce(&mut House) -> Result<()>) {
    let mut house = house.unwrap_or_else(|error| panic!("no house: {error:#}"));
    if let Err(error) = test(&mut house) {
        panic!("{error:#}");
    }
}

/// Sends a first message with the link through the second gateway; it has to be refused.
fn is_refused_elsewhere(house: &House, link: &str) -> Result<()> {
    let gina = house.login("gina", house.second.address)?;
    gina.chat(&jid("hugo"), "first", &format!("Is this you? {link}"))?;
    let error = gina.wait_error("first")?;
    ensure!(error["text"].as_str().is_some_and(|text| text.contains(KNOWN_BAD)), "the error is {error}");
    Ok(())
}

#[test]
fn a_worm_is_one_campaign_and_once_promoted_stopped_at_a_gateway_that_never_saw_it() {
    const LINK: &str = "http://holiday-pictures.example/album?id=7";
    prove(House::build(|_, _| String::new()), |house| {
        // Nobody follows anything ordinary: a link that one tells another is no campaign.
        let sick: Vec<Client> =
            USERS[..6].iter().map(|user| house.login(user, house.first.address)).collect::<Result<_>>()?;
        sick[0].chat(&jid("ben"), "hello", "Lunch? https://canteen.example/menu")?;
        // Each victim writes to everybody it knows, at the speed of a machine.
        for (from, user) in sick.iter().zip(USERS) {
            for to in USERS[..6].iter().filter(|to| **to != user) {
                from.chat(&jid(to), &format!("{user}-{to}"), &format!("haha look at our holiday pictures!! {LINK}"))?;
            }
            from.chat(from.jid(), &format!("{user}-done"), &format!("{user} is done"))?;
            from.wait_body(&format!("{user} is done"))?;
        }
        let found = house.await_campaigns(|found| found.iter().any(|c| c["messages"] == 30))?;
        ensure!(found.len() == 1, "one attack is one campaign: {found:#?}");
        let worm = &found[0];
        let count = |what: &str| worm[what].as_object().map_or(0, |map| map.len());
        ensure!(count("senders") == 6 && count("recipients") == 6, "{worm:#}");
        ensure!(worm["symbols"]["outbreak.link"].as_u64() >= Some(3), "{worm:#}");
        ensure!(worm["stopped"].as_u64() >= Some(3), "the spreading rule stops it here: {worm:#}");
        let id = worm["id"].as_str().context("no id")?;

        let [release, timestamp] = house.keys.each_ref().map(|key| key.display().to_string());
        let repository = house.repository.display().to_string();
        let out = house.first.command(&[
            "threats",
            "triage",
            "promote",
            id,
            "--name",
            "Holiday pictures",
            "--json",
            "--publish",
            &repository,
            "--release-key",
            &release,
            "--timestamp-key",
            &timestamp,
        ])?;
        let published = Instant::now();
        ensure!(out.status.success(), "promote: {}", String::from_utf8_lossy(&out.stderr));
        let said: Value = serde_json::from_slice(&out.stdout)?;
        ensure!(said["release"] == 2 && said["threat"]["kind"] == "worm", "{said:#}");
        let blocking = said["threat"]["indicators"].as_array().context("no indicators")?;
        let blocking: Vec<&Value> = blocking.iter().filter(|one| one["strength"] == "block").collect();
        ensure!(blocking.iter().any(|one| one["value"] == "holiday-pictures.example"), "{said:#}");
        ensure!(!said.to_string().contains("canteen"), "lunch is no part of it: {said:#}");

        house.await_update(2, SOON)?;
        is_refused_elsewhere(house, LINK)?;
        ensure!(published.elapsed() < SOON, "it took {:?}", published.elapsed());

        let first = notes(&house.first)?;
        for step in [format!("campaign {id} began"), format!("campaign {id} is promoted to threat holiday-pictures")] {
            ensure!(first.iter().any(|note| note.starts_with(&step)), "{step} is not on record: {first:?}");
        }
        house.await_campaigns(|found| found[0]["status"]["is"] == "promoted")?;
        Ok(())
    });
}

#[test]
fn one_message_to_a_decoy_is_stopped_everywhere_within_seconds() {
    const LINK: &str = "http://parcel-desk.example/track/4711";
    let decoys = |repository: &std::path::Path, keys: &[std::path::PathBuf; 2]| {
        format!(
            "\n[intel.decoys]\npublish = true\nexpiry_hours = 2\nrepository = {repository:?}\n\
             release_keys = [{:?}]\ntimestamp_keys = [{:?}]\n",
            keys[0], keys[1]
        )
    };
    prove(House::build(decoys), |house| {
        let anna = house.login("anna", house.first.address)?;
        let ben = house.login("ben", house.first.address)?;
        // What reaches every address is no contact.
        anna.send(&format!("<presence xmlns='jabber:client' type='subscribe' to='{}'/>", jid(DECOY)))?;
        anna.send(&format!(
            "<message xmlns='jabber:client' type='chat' to='{}'>\
             <composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
            jid(DECOY)
        ))?;
        anna.chat(&jid("ben"), "before", "All is quiet")?;
        ben.wait_body("All is quiet")?;

        let sent = Instant::now();
        anna.chat(&jid(DECOY), "trap", &format!("Your parcel waits for you: {LINK}"))?;
        let error = anna.wait_error("trap")?;
        ensure!(error["text"].as_str().is_some_and(|text| text.contains("not in use")), "the error is {error}");
        house.await_update(2, SOON)?;
        is_refused_elsewhere(house, LINK)?;
        ensure!(sent.elapsed() < SOON, "it took {:?}", sent.elapsed());

        // Here, too, and for everybody.
        ben.chat(&jid("cleo"), "again", &format!("Is that so? {LINK}"))?;
        let error = ben.wait_error("again")?;
        ensure!(error["text"].as_str().is_some_and(|text| text.contains(KNOWN_BAD)), "the error is {error}");
        let found = house.await_campaigns(|found| found.len() == 1 && found[0]["messages"] == 2)?;
        ensure!(found[0]["symbols"]["decoy.contacted"] == 1, "one contact, one finding: {found:#?}");
        let first = notes(&house.first)?;
        let said = first.iter().find(|note| note.contains("reached for a decoy")).context("not on record")?;
        ensure!(said.contains("published as release 2") && said.contains("parcel-desk[.]example"), "{said}");

        // A person who says that it was nothing takes it back everywhere.
        let id = found[0]["id"].as_str().context("no id")?;
        let out = house.first.command(&["threats", "triage", "dismiss", id, "--reason", "an exercise"])?;
        ensure!(out.status.success(), "dismiss: {}", String::from_utf8_lossy(&out.stderr));
        house.await_update(3, SOON)?;
        let emil = house.login("emil", house.second.address)?;
        let fred = house.login("fred", house.second.address)?;
        let free = format!("Is it still stopped? {LINK}");
        emil.chat(&jid("fred"), "free", &free)?;
        fred.wait_body(&free)?;
        Ok(())
    });
}
