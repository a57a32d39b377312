//! What a verdict does, as both sides see it.

use anyhow::{Context, Result, ensure};
use lab::ROOMS;
use lab::clamd;
use lab::slix::Client;
use serde_json::{Value, json};

use super::flows;
use crate::support::{BAD, BAD_NOTICE, HELD, HELD_NOTICE, Software, World, alice, bob, jid, prove};

/// The two of them, at home and present.
fn pair(world: &World) -> Result<(Client, Client)> {
    let (a, b) = (world.login(&alice())?, world.login(&bob())?);
    a.appear()?;
    b.appear()?;
    Ok((a, b))
}

/// Sends a plain message and waits for it: whatever was sent before it has been dealt with.
fn mark(from: &Client, to: &Client, id: &str) -> Result<()> {
    let body = format!("mark {id}");
    from.chat(to.jid(), id, &body)?;
    to.wait_body(&body).map(drop)
}

/// Nothing that `who` has seen says this.
fn never_saw(who: &Client, what: &str) -> Result<()> {
    let seen = who.seen().into_iter().find(|event| event.to_string().contains(what));
    ensure!(seen.is_none(), "this should not have come: {seen:?}");
    Ok(())
}

/// An error stanza with the condition and the rule's words.
fn is_refusal(error: &Value, notice: &str) -> Result<()> {
    ensure!(error["condition"] == "policy-violation", "the error is {error}");
    ensure!(error["text"] == notice, "the error says {error}");
    Ok(())
}

#[test]
fn a_blocked_message_is_refused_with_the_rules_words() {
    prove(World::guarded(Software::Prosody), |world| {
        let (a, b) = pair(world)?;
        a.chat(&jid("bob"), "bad", &format!("Confirm here: {BAD}"))?;
        let error = a.wait_error("bad")?;
        is_refusal(&error, BAD_NOTICE)?;
        ensure!(error["from"] == jid("bob"), "the error comes from {}", error["from"]);
        mark(&a, &b, "m1")?;
        never_saw(&b, BAD)
    });
}

#[test]
fn what_arrives_from_outside_is_replaced_in_place() {
    prove(World::guarded(Software::Prosody), |world| {
        let a = world.login(&alice())?;
        a.appear()?;
        let outside = world.login_outside(&bob())?;
        outside.chat(&jid("alice"), "bad", &format!("Look: {BAD}"))?;
        let got = a.wait("the notice", |e| e["event"] == "message" && e["id"] == "bad")?;
        ensure!(got["body"].as_str().is_some_and(|body| body.contains(BAD_NOTICE)), "alice got {got}");
        mark(&outside, &a, "m1")?;
        never_saw(&a, BAD)?;
        never_saw(&outside, "policy-violation")
    });
}

#[test]
fn a_blocked_message_in_a_room_is_refused_by_the_room() {
    prove(World::guarded(Software::Prosody), |world| {
        let (a, b) = pair(world)?;
        let room = format!("den@{ROOMS}");
        a.call("join", json!({ "room": room, "nick": "Alice", "create": true }))?;
        b.call("join", json!({ "room": room, "nick": "Bob" }))?;
        for (id, body) in [("r1", format!("See {BAD}")), ("r2", "All well".to_owned())] {
            a.send(&format!(
                "<message xmlns='jabber:client' type='groupchat' to='{room}' id='{id}'><body>{body}</body></message>"
            ))?;
        }
        let error = a.wait_error("r1")?;
        is_refusal(&error, BAD_NOTICE)?;
        ensure!(error["from"].as_str().is_some_and(|from| from.starts_with(&room)), "the error is {error}");
        b.wait_body("All well")?;
        never_saw(&b, BAD)
    });
}

#[test]
fn a_correction_cannot_smuggle() {
    prove(World::guarded(Software::Prosody), |world| {
        let (a, b) = pair(world)?;
        a.chat(&jid("bob"), "c1", "Nothing special")?;
        b.wait_body("Nothing special")?;
        a.send(&format!(
            "<message xmlns='jabber:client' type='chat' to='{}' id='c2'><body>{BAD}</body>\
             <replace xmlns='urn:xmpp:message-correct:0' id='c1'/></message>",
            jid("bob")
        ))?;
        is_refusal(&a.wait_error("c2")?, BAD_NOTICE)?;
        mark(&a, &b, "m1")?;
        never_saw(&b, BAD)
    });
}

#[test]
fn a_warned_message_arrives_with_the_warning() {
    prove(World::guarded(Software::Prosody), |world| {
        let (a, b) = pair(world)?;
        a.chat(&jid("bob"), "w1", "Try https://intranet.example:31337/x")?;
        let got = b.wait("the message", |e| e["event"] == "message" && e["id"] == "w1")?;
        let xml = got["xml"].as_str().unwrap_or_default();
        ensure!(xml.contains("intranet.example") && xml.contains("Careful: an unusual port."), "bob got {xml}");
        Ok(())
    });
}

#[test]
fn a_redacted_message_arrives_without_the_number() {
    prove(World::guarded(Software::Prosody), |world| {
        let (a, b) = pair(world)?;
        a.chat(&jid("bob"), "p1", "My card is 4111 1111 1111 1111, thanks")?;
        let got = b.wait("the message", |e| e["event"] == "message" && e["id"] == "p1")?;
        let body = got["body"].as_str().unwrap_or_default();
        ensure!(body.contains("My card is") && body.contains("thanks") && !body.contains("1111"), "bob got {body}");
        Ok(())
    });
}

#[test]
fn a_quarantined_message_waits_and_is_released() {
    prove(World::guarded(Software::Prosody), |world| {
        let (a, b) = pair(world)?;
        a.chat(&jid("bob"), "q1", &format!("Short: {HELD}"))?;
        a.wait_body(HELD_NOTICE)?;
        mark(&a, &b, "m1")?;
        never_saw(&b, HELD)?;

        let held = quarantine(world)?;
        ensure!(held.len() == 1, "the quarantine holds {held:?}");
        let id = held[0]["id"].as_str().unwrap_or_default().to_owned();
        let out = world.gateway()?.command(&["quarantine", "release", &id])?;
        ensure!(out.status.success(), "release: {}", String::from_utf8_lossy(&out.stderr));
        let got = b.wait("the released message", |e| {
            e["event"] == "message" && e["body"].as_str().is_some_and(|body| body.contains(HELD))
        })?;
        let xml = got["xml"].as_str().unwrap_or_default();
        ensure!(xml.contains("urn:xmpp:delay"), "the release is not stamped: {xml}");
        ensure!(quarantine(world)?.is_empty(), "it is still held");
        Ok(())
    });
}

#[test]
fn a_destroyed_message_never_arrives() {
    prove(World::guarded(Software::Prosody), |world| {
        let (a, b) = pair(world)?;
        a.chat(&jid("bob"), "q1", &format!("Short: {HELD}"))?;
        a.wait_body(HELD_NOTICE)?;
        let held = quarantine(world)?;
        let id = held.first().and_then(|entry| entry["id"].as_str()).unwrap_or_default().to_owned();
        let out = world.gateway()?.command(&["quarantine", "destroy", &id])?;
        ensure!(out.status.success(), "destroy: {}", String::from_utf8_lossy(&out.stderr));
        mark(&a, &b, "m1")?;
        ensure!(quarantine(world)?.is_empty(), "it is still held");
        never_saw(&b, HELD)
    });
}

#[test]
fn an_infected_upload_is_refused_and_never_stored() {
    prove(World::guarded(Software::Prosody), |world| {
        let (a, b) = pair(world)?;
        let sent = flows::send_file(world, &a, "invoice.pdf", "application/pdf", &clamd::eicar())?;
        ensure!(sent.put["status"] == 403, "the upload says {}", sent.put);
        ensure!(
            sent.put["text"].as_str().is_some_and(|text| text.contains("infected")),
            "the upload says {}",
            sent.put
        );
        let down = b.call("http", json!({ "method": "GET", "url": sent.url, "ca": world.ca }))?;
        ensure!(down["status"].as_u64().is_some_and(|status| status >= 400), "the download says {down}");
        let stored = walk(&world.path().join("data"))?;
        ensure!(!stored.iter().any(|bytes| bytes.windows(5).any(|five| five == b"EICAR")), "the server has a copy");
        Ok(())
    });
}

#[test]
fn clamd_is_asked_about_uploads_and_its_absence_refuses_them() {
    prove(World::guarded_with_clamd(Software::Prosody), |world| {
        let a = world.login(&alice())?;
        let clean = flows::send_file(world, &a, "a.txt", "text/plain", b"Nothing in here")?;
        ensure!(clean.put["status"] == 200 || clean.put["status"] == 201, "the clean upload says {}", clean.put);
        let sample = format!("Some text before. {} And some behind.", clamd::SAMPLE);
        let infected = flows::send_file(world, &a, "b.txt", "text/plain", sample.as_bytes())?;
        ensure!(infected.put["status"] == 403, "the infected upload says {}", infected.put);

        world.clamd.as_mut().context("no clamd")?.process().kill()?;
        let unsure = flows::send_file(world, &a, "c.txt", "text/plain", b"Nothing in here either")?;
        ensure!(unsure.put["status"].as_u64().is_some_and(|s| s >= 400), "without clamd: {}", unsure.put);
        Ok(())
    });
}

#[test]
fn eicar_in_a_message_is_refused() {
    prove(World::guarded(Software::Prosody), |world| {
        let (a, b) = pair(world)?;
        let text = String::from_utf8(clamd::eicar())?.replace('&', "&amp;").replace('<', "&lt;");
        a.chat(&jid("bob"), "e1", &text)?;
        is_refusal(&a.wait_error("e1")?, "Stopped: this file is infected.")?;
        mark(&a, &b, "m1")?;
        never_saw(&b, "EICAR")
    });
}

#[test]
fn what_lies_in_the_archive_is_judged_when_it_is_read() {
    prove(World::guarded(Software::Prosody), |world| {
        let outside = world.login_outside(&bob())?;
        outside.chat(&jid("alice"), "o1", &format!("Look: {BAD}"))?;
        outside.chat(&jid("alice"), "o2", "And this is harmless")?;
        let a = world.login(&alice())?;
        let found = a.call("archive", json!({ "with": jid("bob") }))?;
        let text = found.to_string();
        ensure!(text.contains("And this is harmless") && !text.contains(BAD), "the archive says {text}");
        ensure!(text.contains(BAD_NOTICE), "the archive says {text}");
        Ok(())
    });
}

#[test]
fn a_new_policy_is_in_force_without_a_reconnection() {
    prove(World::guarded(Software::Prosody), |world| {
        let (a, b) = pair(world)?;
        let file = world.policy_file();
        let before = std::fs::read_to_string(&file)?;
        a.chat(&jid("bob"), "n0", "Ring https://sip.example:31337/")?;
        b.wait("the message", |e| e["event"] == "message" && e["id"] == "n0")?;

        // A broken policy changes nothing.
        std::fs::write(&file, format!("{before}\nforbid (principal, action, resource) when {{ context.symbol"))?;
        a.chat(&jid("bob"), "n1", &format!("Still stopped: {BAD}"))?;
        is_refusal(&a.wait_error("n1")?, BAD_NOTICE)?;

        let rule = "\n@id(\"no-odd-ports\")\n@verdict(\"block\")\n@notice(\"No odd ports any more.\")\n\
                    forbid (principal, action, resource)\nwhen { context.symbols.contains(Symbol::\"link.odd_port\") };\n";
        std::fs::write(&file, format!("{before}{rule}"))?;
        let mut number = 0;
        world.gateway()?.process().await_that("the new policy", |_| {
            number += 1;
            let id = format!("p{number}");
            a.chat(&jid("bob"), &id, "Ring https://sip.example:31337/")?;
            a.chat(a.jid(), &format!("{id}-self"), &format!("mark {id}"))?;
            a.wait_body(&format!("mark {id}"))?;
            Ok(a.seen().iter().any(|e| e["type"] == "error" && e["text"] == "No odd ports any more."))
        })?;
        mark(&a, &b, "m1")
    });
}

/// What is held, as `quarantine list --json` prints it: one entry a line.
fn quarantine(world: &mut World) -> Result<Vec<Value>> {
    let out = world.gateway()?.command(&["quarantine", "list", "--json"])?;
    ensure!(out.status.success(), "quarantine list: {}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout)?;
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

/// The content of every file below a directory.
fn walk(folder: &std::path::Path) -> Result<Vec<Vec<u8>>> {
    let mut contents = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            contents.extend(walk(&path)?);
        } else {
            contents.push(std::fs::read(&path)?);
        }
    }
    Ok(contents)
}
