//! What people see when something fails, and what stands on record when it does.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use lab::raw::Raw;
use serde_json::Value;

use crate::support::{BAD, Software, World, alice, bob, jid, prove};

/// Goes as far into a new stream as the other side lets it, up to login, and gives everything it said.
fn knock(world: &World) -> Result<String> {
    let mut raw = world.raw_clear()?;
    raw.write(lab::raw::header().as_bytes())?;
    let mut said = raw.until_any(&[b"</stream:features>", b"</stream:error>"])?;
    if said.contains("<stream:error") {
        return Ok(said);
    }
    raw.write(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")?;
    raw.until(b"<proceed")?;
    raw.until(b">")?;
    raw.start_tls()?;
    raw.write(lab::raw::header().as_bytes())?;
    said.push_str(&raw.until_any(&[b"</stream:features>", b"</stream:error>"])?);
    Ok(said)
}

#[test]
fn a_server_that_is_down_is_said() {
    prove(World::guarded(Software::Prosody), |world| {
        let mut raw = world.raw(&alice(), "here")?;
        world.prosody()?.kill()?;
        let (text, _) = raw.until_end()?;
        ensure!(text.contains("<remote-connection-failed"), "the open session was told {text:?}");
        let said = knock(world)?;
        ensure!(said.contains("<remote-connection-failed"), "a new session was told {said:?}");

        world.prosody()?.start_again()?;
        let a = world.login(&alice())?;
        a.appear()
    });
}

#[test]
fn a_server_that_shuts_down_says_so_itself() {
    prove(World::guarded(Software::Prosody), |world| {
        let mut raw = world.raw(&alice(), "here")?;
        world.prosody()?.stop()?;
        let (text, _) = raw.until_end()?;
        ensure!(text.contains("<system-shutdown") || text.contains("<remote-connection-failed"), "told {text:?}");
        ensure!(text.contains("</stream:stream>"), "the stream was not closed: {text:?}");
        Ok(())
    });
}

#[test]
fn a_gateway_that_shuts_down_says_so() {
    prove(World::guarded(Software::Prosody), |world| {
        let mut raw = world.raw(&alice(), "here")?;
        let status = world.gateway()?.stop()?;
        ensure!(status.success(), "the gateway ended with {status}");
        let (text, _) = raw.until_end()?;
        ensure!(text.contains("<system-shutdown") && text.contains("</stream:stream>"), "told {text:?}");
        Ok(())
    });
}

#[test]
fn failed_logins_are_counted() {
    prove(World::guarded(Software::Prosody), |world| {
        let mut stranger = alice();
        stranger.password = "guess".to_owned();
        for _ in 0..3 {
            let mut raw = world.raw_clear()?;
            raw.upgrade()?;
            raw.plain(&stranger)?;
        }
        let failed = world.metric("portcullis_logins_total", &["failed"])?;
        ensure!((failed - 3.0).abs() < 0.5, "{failed} failed logins were counted");
        // Nobody waits for the record of a login, so it may come a moment later.
        let mut recorded = 0;
        for _ in 0..100 {
            recorded = world.journal()?.iter().filter(|r| r["kind"] == "login" && is_alice(r)).count();
            if recorded >= 3 {
                break;
            }
        }
        ensure!(recorded == 3, "{recorded} failed logins are on record");
        Ok(())
    });
}

#[test]
fn what_was_delivered_is_on_record_and_the_record_proves_itself() {
    prove(World::guarded(Software::Prosody), |world| {
        let (a, b) = (world.login(&alice())?, world.login(&bob())?);
        b.appear()?;
        let mut ids = BTreeSet::new();
        for number in 0..20 {
            let id = format!("j{number}");
            a.chat(&jid("bob"), &id, &format!("For the record, {number}"))?;
            ids.insert(id);
        }
        b.wait_body("For the record, 19")?;
        a.chat(&jid("bob"), "j-bad", &format!("For the record too: {BAD}"))?;
        a.wait_error("j-bad")?;

        let records = world.journal()?;
        let messages: Vec<&Value> = records.iter().filter(|r| r["kind"] == "message").collect();
        for id in &ids {
            let found: Vec<_> = messages.iter().filter(|r| r["message_id"] == **id).collect();
            ensure!(found.len() == 1 && found[0]["verdict"] == "allow", "{id} is on record as {found:?}");
        }
        let bad = messages.iter().find(|r| r["message_id"] == "j-bad").context("the stopped one is not on record")?;
        ensure!(bad["verdict"] == "block" && bad["rules"][0] == "listed-links", "it is on record as {bad}");
        ensure!(bad["findings"][0]["symbol"] == "link.indicator.local", "it is on record as {bad}");
        verify(world)
    });
}

#[test]
fn a_kill_loses_nothing_that_was_delivered() {
    let rounds: usize = std::env::var("PORTCULLIS_KILL_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(50);
    prove(World::guarded(Software::Prosody), |world| {
        let mut delivered = BTreeSet::new();
        for round in 0..rounds {
            let mut from = world.raw(&alice(), "k")?;
            let mut to = world.raw(&bob(), "k")?;
            to.write(b"<presence/>")?;
            to.until(b"<presence")?;
            let mut burst = String::new();
            for number in 0..60 {
                burst.push_str(&format!(
                    "<message type='chat' to='{}/k' id='k-{round}-{number}'><body>Round {round}, {number}</body></message>",
                    jid("bob")
                ));
            }
            from.write(burst.as_bytes())?;
            // Killed at another point of the burst each time.
            to.until(format!("Round {round}, {}<", round % 50).as_bytes())?;
            world.gateway()?.kill()?;
            let (rest, _) = to.until_end()?;
            delivered.extend((0..=round % 50).map(|number| format!("k-{round}-{number}")));
            delivered.extend(
                (0..60).filter(|n| rest.contains(&format!("Round {round}, {n}<"))).map(|n| format!("k-{round}-{n}")),
            );
            world.gateway()?.start_again()?;
        }
        let records = world.journal()?;
        let recorded: BTreeSet<&str> = records.iter().filter_map(|r| r["message_id"].as_str()).collect();
        let lost: Vec<&String> = delivered.iter().filter(|id| !recorded.contains(id.as_str())).collect();
        ensure!(lost.is_empty(), "delivered and not on record: {lost:?}");
        verify(world)
    });
}

fn is_alice(record: &Value) -> bool {
    record["from"]["account"].as_str().is_some_and(|account| account.starts_with("alice"))
}

fn verify(world: &mut World) -> Result<()> {
    let out = world.gateway()?.command(&["archive", "verify"])?;
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    ensure!(out.status.success(), "archive verify: {said}");
    Ok(())
}

/// A session that ends must not take anything with it.
#[test]
fn idle_sessions_leave_nothing_behind() {
    prove(World::guarded(Software::Prosody), |world| {
        for number in 0..30 {
            let mut raw: Raw = world.raw(&alice(), &format!("r{number}"))?;
            if number % 2 == 0 {
                raw.write(b"</stream:stream>")?;
                raw.until_end()?;
            }
        }
        let admin = world.gateway()?.admin;
        world.gateway()?.process().await_that("all connections to be gone", |_| {
            let answer = lab::http::get(admin, "/metrics")?;
            Ok(answer.body.lines().any(|line| line.starts_with("portcullis_connections") && line.ends_with(" 0")))
        })
    });
}
