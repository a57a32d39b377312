//! Stream management stays exact when the gateway holds, replaces and refuses: nothing twice, nothing lost.

use std::collections::BTreeMap;

use anyhow::ensure;
use lab::slix::Client;
use serde_json::{Value, json};

use crate::support::{BAD, Software, World, alice, bob, jid, prove};

const BURST: usize = 40;

/// Every fifth message of a burst is one that is stopped.
fn is_bad(number: usize) -> bool {
    number % 5 == 2
}

fn bodies(name: &str) -> Vec<String> {
    (0..BURST).map(|n| if is_bad(n) { format!("{name} {n} {BAD}") } else { format!("{name} {n}") }).collect()
}

/// The bodies of the messages of a burst, in order of arrival.
fn arrived(who: &Client, name: &str) -> Vec<String> {
    let start = format!("{name} ");
    who.seen()
        .iter()
        .filter(|e| e["event"] == "message" && e["type"] != "error")
        .filter_map(|e| e["body"].as_str())
        .filter(|body| body.starts_with(&start))
        .map(str::to_owned)
        .collect()
}

/// How many errors came for each id of a burst.
fn refused(who: &Client, prefix: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for event in who.seen() {
        if let (Some("error"), Some(id)) = (event["type"].as_str(), event["id"].as_str())
            && id.starts_with(prefix)
        {
            *counts.entry(id.to_owned()).or_default() += 1;
        }
    }
    counts
}

fn sender_is_cut(software: Software) {
    prove(World::guarded(software), |world| {
        let (a, b) = (world.login_resumable(&alice())?, world.login(&bob())?);
        a.wait("stream management", |e| e["event"] == "sm_enabled")?;
        b.appear()?;
        for (cut_after, inside) in [(1, false), (3, true), (17, false), (18, true), (33, true), (BURST, false)] {
            let name = format!("burst-{cut_after}-{inside}");
            let bodies = bodies(&name);
            let prefix = format!("{name}#");
            let losses = world.losses()?;
            a.call(
                "burst",
                json!({ "to": jid("bob"), "prefix": prefix, "bodies": bodies, "cut_after": cut_after, "cut_inside": inside }),
            )?;
            world.await_loss(losses)?;
            a.call("reconnect", Value::Null)?;
            a.wait("resumption", |e| e["event"] == "resumed")?;
            let end = format!("{name} is over");
            a.chat(&jid("bob"), &format!("{name}-end"), &end)?;
            b.wait_body(&end)?;
            let wanted: Vec<String> = (0..BURST).filter(|n| !is_bad(*n)).map(|n| format!("{name} {n}")).collect();
            let got = arrived(&b, &name);
            ensure!(got == wanted, "{name}: bob got {got:?}");
            let wanted: BTreeMap<String, usize> =
                (0..BURST).filter(|n| is_bad(*n)).map(|n| (format!("{prefix}{n}"), 1)).collect();
            a.ask("<iq xmlns='jabber:client' type='get' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>")?;
            let got = refused(&a, &prefix);
            ensure!(got == wanted, "{name}: alice was told {got:?}");
        }
        Ok(())
    });
}

#[test]
fn a_sender_who_is_cut_before_prosody() {
    sender_is_cut(Software::Prosody);
}

#[test]
fn a_sender_who_is_cut_before_ejabberd() {
    sender_is_cut(Software::Ejabberd);
}

#[test]
fn a_reader_who_is_cut_gets_everything_once() {
    prove(World::guarded(Software::Prosody), |world| {
        let a = world.login_resumable(&alice())?;
        a.wait("stream management", |e| e["event"] == "sm_enabled")?;
        a.appear()?;
        let outside = world.login_outside(&bob())?;
        for cut_at in [0, 7, 21] {
            let name = format!("in-{cut_at}");
            let prefix = format!("{name}#");
            outside.call("burst", json!({ "to": a.jid(), "prefix": prefix, "bodies": bodies(&name) }))?;
            a.wait("the point of the cut", |e| e["id"] == format!("{prefix}{cut_at}"))?;
            a.call("cut", Value::Null)?;
            a.wait("the cut", |e| e["event"] == "disconnected")?;
            a.call("reconnect", Value::Null)?;
            a.wait("resumption", |e| e["event"] == "resumed")?;
            let end = format!("{name} is over");
            outside.chat(a.jid(), &format!("{name}-end"), &end)?;
            a.wait_body(&end)?;
            let ids: Vec<String> = a
                .seen()
                .iter()
                .filter(|e| e["event"] == "message")
                .filter_map(|e| e["id"].as_str())
                .filter(|id| id.starts_with(&prefix))
                .map(str::to_owned)
                .collect();
            let wanted: Vec<String> = (0..BURST).filter(|n| *n != cut_at).map(|n| format!("{prefix}{n}")).collect();
            ensure!(ids == wanted, "{name}: alice got {ids:?}");
            ensure!(!a.seen().iter().any(|e| e.to_string().contains(BAD)), "a stopped link came through");
        }
        Ok(())
    });
}

#[test]
fn after_a_restart_of_the_gateway_resumption_fails_cleanly() {
    prove(World::guarded(Software::Prosody), |world| {
        let (a, b) = (world.login_resumable(&alice())?, world.login_resumable(&bob())?);
        for client in [&a, &b] {
            client.wait("stream management", |e| e["event"] == "sm_enabled")?;
            client.appear()?;
        }
        a.chat(&jid("bob"), "before", "Before the restart")?;
        b.wait_body("Before the restart")?;
        world.gateway()?.kill()?;
        for client in [&a, &b] {
            client.wait("the end of the connection", |e| e["event"] == "disconnected")?;
        }
        world.gateway()?.start_again()?;
        for client in [&a, &b] {
            client.call("reconnect", Value::Null)?;
            client.wait("refused resumption", |e| e["event"] == "resume_failed")?;
            client.appear()?;
        }
        a.chat(&jid("bob"), "after", "After the restart")?;
        b.wait_body("After the restart")?;
        let again = b.seen().iter().filter(|e| e["body"] == "Before the restart").count();
        ensure!(again == 0, "the message from before the restart came {again} times more");
        Ok(())
    });
}
