//! What `cargo xtask up --attack` plays: harmless messages and attacks through a real client, then what
//! both sides saw, and the record.

use anyhow::Result;
use lab::slix::{Client, Clients, Login};
use lab::{DOMAIN, UPLOADS, clamd};
use serde_json::{Value, json};

use crate::up::Site;
use crate::{paint, shell};

/// A host that the demonstration's indicator list names. `.example` is nobody's.
pub(crate) const PHISHING_HOST: &str = "login-update.example";

/// How many colleagues the worm finds in each victim's contacts.
const COLLEAGUES: usize = 40;

/// Users that only receive.
pub(crate) fn colleagues() -> Vec<String> {
    (1..=COLLEAGUES).map(|number| format!("colleague{number:02}")).collect()
}

/// What was done, what its author saw and what its reader saw.
struct Scene {
    what: &'static str,
    author: String,
    reader: String,
    stopped: bool,
    expected_stop: bool,
}

/// Plays everything and prints the outcome.
pub(crate) fn play(site: &Site) -> Result<()> {
    println!("\n{}\n", paint::head("Playing through slixmpp"));
    let clients = Clients::start(&shell::target()?, &site.directory, &site.ca)?;
    let alice = clients.login("alice", &Login::new(&site.alice, site.gateway.address))?;
    let bob = clients.login("bob", &Login::new(&site.bob, site.gateway.address))?;
    let carol = clients.login("carol", &Login::new(&site.carol, site.gateway.address))?;
    for client in [&alice, &bob, &carol] {
        client.appear()?;
    }
    let to = site.bob.jid();
    let scenes = [
        said(&alice, &bob, &to, "a normal message", "Lunch at twelve?", false)?,
        said(&alice, &bob, &to, "a harmless link", "The handbook: https://www.debian.org/doc/", false)?,
        said(
            &alice,
            &bob,
            &to,
            "a phishing link",
            &format!("Your mailbox is full, confirm here: https://{PHISHING_HOST}/owa?user=bob"),
            true,
        )?,
        uploaded(site, &alice, "a harmless file", "minutes.txt", b"Minutes of the meeting: all went well.\n", false)?,
        uploaded(site, &alice, "an infected file", "invoice.pdf", &clamd::eicar(), true)?,
        worm(&[alice.clone(), bob.clone(), carol])?,
    ];
    print(&scenes);
    record(site)
}

/// One message, and a plain one behind it to know that nothing is still on its way.
fn said(alice: &Client, bob: &Client, to: &str, what: &'static str, body: &str, expected_stop: bool) -> Result<Scene> {
    let id = what.replace(' ', "-");
    alice.chat(to, &id, body)?;
    let mark = format!("{id}-mark");
    alice.chat(to, &mark, "(and so on)")?;
    bob.wait("the message behind it", |event| event["event"] == "message" && event["id"] == *mark)?;
    let arrived = bob.seen().into_iter().find(|event| event["event"] == "message" && event["id"] == *id);
    let refused = alice.seen().into_iter().find(|event| event["type"] == "error" && event["id"] == *id);
    Ok(Scene {
        what,
        stopped: refused.is_some(),
        author: refused.map_or_else(|| "sent".to_owned(), |error| reason(&error)),
        reader: arrived
            .map_or_else(|| "nothing".to_owned(), |event| format!("{:?}", event["body"].as_str().unwrap_or(""))),
        expected_stop,
    })
}

fn uploaded(
    site: &Site,
    alice: &Client,
    what: &'static str,
    name: &str,
    bytes: &[u8],
    expected_stop: bool,
) -> Result<Scene> {
    let kind = "application/octet-stream";
    let slot = alice.call("slot", json!({ "service": UPLOADS, "name": name, "size": bytes.len(), "type": kind }))?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut headers = slot["headers"].clone();
    headers["Content-Type"] = json!(kind);
    let put = alice
        .call("http", json!({ "method": "PUT", "url": slot["put"], "ca": site.ca, "hex": hex, "headers": headers }))?;
    let get = alice.call("http", json!({ "method": "GET", "url": slot["get"], "ca": site.ca }))?;
    let stored = put["status"].as_u64().is_some_and(|status| (200..300).contains(&status));
    let answer = |value: &Value| {
        let text = value["text"].as_str().unwrap_or_default().lines().next().unwrap_or_default().to_owned();
        format!("{} {text}", value["status"])
    };
    Ok(Scene {
        what,
        stopped: !stored,
        author: if stored { "uploaded".to_owned() } else { answer(&put) },
        reader: if stored {
            format!("{} bytes", get["hex"].as_str().unwrap_or_default().len() / 2)
        } else {
            answer(&get)
        },
        expected_stop,
    })
}

/// A link that walks from account to account: each victim, once it has received it, sends it to everybody
/// in its contact list at the speed of a machine.
fn worm(victims: &[Client]) -> Result<Scene> {
    let body = "is this you in the picture? http://photo-share.example/p/8842";
    let mut contacts: Vec<String> = victims.iter().map(|victim| bare(victim.jid())).collect();
    contacts.extend(colleagues().iter().map(|user| format!("{user}@{DOMAIN}")));
    let (mut sent, mut refused, mut first) = (0, 0, None);
    for (turn, victim) in victims.iter().enumerate() {
        let own = bare(victim.jid());
        let others: Vec<&String> = contacts.iter().filter(|contact| **contact != own).collect();
        for (number, contact) in others.iter().enumerate() {
            victim.chat(contact, &format!("worm-{turn}-{number}"), body)?;
        }
        victim
            .ask(&format!("<iq xmlns='jabber:client' type='get' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>"))?;
        let prefix = format!("worm-{turn}-");
        let errors: Vec<Value> = victim
            .seen()
            .into_iter()
            .filter(|event| event["type"] == "error" && event["id"].as_str().is_some_and(|id| id.starts_with(&prefix)))
            .collect();
        sent += others.len();
        refused += errors.len();
        first = first.or_else(|| errors.first().map(reason));
    }
    Ok(Scene {
        what: "a worm in three accounts",
        stopped: first.is_some(),
        author: first.unwrap_or_else(|| "all sent".to_owned()),
        reader: format!("{} of {sent} copies; the other {refused} were stopped", sent - refused),
        expected_stop: true,
    })
}

fn bare(jid: &str) -> String {
    jid.split('/').next().unwrap_or(jid).to_owned()
}

fn reason(error: &Value) -> String {
    let condition = error["condition"].as_str().unwrap_or("error");
    match error["text"].as_str() {
        Some(text) if !text.is_empty() => format!("{condition}: {text}"),
        _ => condition.to_owned(),
    }
}

fn print(scenes: &[Scene]) {
    let width = scenes.iter().map(|scene| scene.what.len()).max().unwrap_or_default();
    for scene in scenes {
        let outcome = if scene.stopped { "stopped  " } else { "delivered" };
        let outcome = if scene.stopped == scene.expected_stop { paint::good(outcome) } else { paint::bad(outcome) };
        println!("  {outcome}  {:width$}  its author saw: {}", scene.what, scene.author);
        println!("             {:width$}  its reader saw: {}", "", scene.reader);
    }
}

/// The journal's own words, but for the worm's many, and the proof that nobody changed them.
fn record(site: &Site) -> Result<()> {
    println!("\n{}\n", paint::head("portcullis archive tail"));
    let records = ask(site, &["archive", "tail", "--lines", "100000"])?;
    let (worm, others): (Vec<&str>, Vec<&str>) = records.lines().partition(|line| line.contains("-> colleague"));
    for line in others {
        println!("{line}");
    }
    println!("{}", paint::dim(&format!("          and {} of the worm to colleagues", worm.len())));
    println!("\n{}\n", paint::head("portcullis archive verify"));
    print!("{}", ask(site, &["archive", "verify"])?);
    Ok(())
}

fn ask(site: &Site, arguments: &[&str]) -> Result<String> {
    let out = site.gateway.command(arguments)?;
    Ok(format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr)))
}
