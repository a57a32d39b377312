//! Clients that others wrote: go-sendxmpp and profanity log in, write and read.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lab::process::{self, Process};
use lab::terminal::Terminal;
use lab::tools;

use crate::support::{World, alice, bob, jid};

/// go-sendxmpp writes to bob, and reads what bob writes; with STARTTLS and with direct TLS.
pub(crate) fn go_sendxmpp(world: &World) -> Result<()> {
    let program = tools::find("go-sendxmpp")?;
    let b = world.login(&bob())?;
    b.appear()?;
    for (direct, address) in [(false, world.starttls()), (true, world.direct())] {
        let said = format!("From Go, direct TLS: {direct}");
        let mut send = Command::new(&program);
        send.args(["-u", &jid("alice"), "-p", &alice().password, "-j", &address.to_string()])
            .args(direct.then_some("-t"))
            .arg(jid("bob"))
            .env("SSL_CERT_FILE", &world.ca)
            .env("HOME", world.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = send.spawn()?;
        child.stdin.take().context("no standard input")?.write_all(said.as_bytes())?;
        let out = child.wait_with_output()?;
        ensure!(out.status.success(), "go-sendxmpp: {}", String::from_utf8_lossy(&out.stderr));
        b.wait("what go-sendxmpp said", |e| {
            e["event"] == "message" && e["body"].as_str().is_some_and(|body| body.trim() == said)
        })?;
    }

    let mut listen = process::command(&program);
    listen
        .args(["-u", &jid("alice"), "-p", &alice().password, "-j", &world.starttls().to_string(), "-l"])
        .env("SSL_CERT_FILE", &world.ca)
        .env("HOME", world.path());
    let mut listener = Process::start("go-sendxmpp", &mut listen, &world.path().join("go-sendxmpp.out"))?;
    // It says nothing when it is there, so bob writes until it has heard him.
    let mut number = 0;
    listener.await_that("a message", |process| {
        number += 1;
        b.chat(&jid("alice"), &format!("go{number}"), "To Go")?;
        Ok(fs::read_to_string(process.log())?.contains("To Go"))
    })?;
    listener.stop(Duration::from_secs(20))?;
    b.call("logout", serde_json::Value::Null).map(drop)
}

/// profanity connects, writes and shows what it gets.
pub(crate) fn profanity(world: &World) -> Result<()> {
    let b = world.login(&bob())?;
    b.appear()?;
    let folder = world.path().join(".local/share/profanity");
    fs::create_dir_all(&folder)?;
    let (host, port) = (world.starttls().ip(), world.starttls().port());
    fs::write(
        folder.join("accounts"),
        format!(
            "[alice]\nenabled=true\njid={}\nserver={host}\nport={port}\nresource=profanity\npassword={}\n\
             tls.policy=trust\nauth.policy=default\n",
            jid("alice"),
            alice().password
        ),
    )?;
    let mut terminal = Terminal::start(world.path(), "profanity", &["-a", "alice"])?;
    terminal.await_text("logged in successfully")?;
    terminal.enter(&format!("/msg {} Written by a person", jid("bob")))?;
    let got = b.wait_body("Written by a person")?;
    let from = got["from"].as_str().context("a message from nobody")?;
    b.chat(from, "pf1", "Read by a person")?;
    terminal.await_text("Read by a person")?;
    terminal.enter("/quit")?;
    b.call("logout", serde_json::Value::Null).map(drop)
}
