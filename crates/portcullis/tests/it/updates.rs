//! Signed updates into a running gateway: published, in force within seconds, kept when the repository is
//! tampered with or gone.

use std::collections::HashMap;
use std::fs;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use lab::slix::Client;
use serde_json::Value;

use crate::support::{Software, World, alice, bob, jid, portcullis, prove};

/// What the updates' own rule tells people.
const NOTICE: &str = "Stopped: this link came with an update.";
const RULE: &str = "@id(\"update-links\")\n@verdict(\"block\")\n@notice(\"Stopped: this link came with an update.\")\n\
    forbid (principal, action, resource)\nwhen { context.symbols.contains(Symbol::\"link.indicator.malware\") };\n";

/// A publisher beside the gateway: keys, rules and a repository.
struct Publisher {
    dir: PathBuf,
}

impl Publisher {
    fn new(world: &Path) -> Result<Publisher> {
        let publisher = Publisher { dir: world.join("publisher") };
        fs::create_dir_all(publisher.dir.join("rules"))?;
        fs::write(publisher.dir.join("rules/links.cedar"), RULE)?;
        for role in ["root", "release", "timestamp"] {
            publisher.run(&["keys", "new", "--role", role, "--out", &format!("{role}.key")])?;
        }
        publisher.publish("nothing-yet.test-lures.top")?;
        Ok(publisher)
    }

    fn repository(&self) -> PathBuf {
        self.dir.join("repository")
    }

    fn root(&self) -> PathBuf {
        self.repository().join("root.json")
    }

    /// Publishes one domain and the rule.
    fn publish(&self, domain: &str) -> Result<()> {
        let indicator = serde_json::json!({
            "id": "01890a5d-ac96-774b-bcce-b302099a8057", "type": "domain", "value": domain, "confidence": 90,
            "strength": "block", "source": {"feed": "triage"},
        });
        fs::write(self.dir.join("lures.jsonl"), format!("{indicator}\n"))?;
        self.run(&[
            "publish",
            "--repo",
            "repository",
            "--indicators",
            "lures.jsonl",
            "--rules",
            "rules",
            "--root-key",
            "root.key",
            "--release-key",
            "release.key",
            "--timestamp-key",
            "timestamp.key",
        ])
        .map(drop)
    }

    fn run(&self, arguments: &[&str]) -> Result<Output> {
        let out = Command::new(portcullis()).arg("intel").args(arguments).current_dir(&self.dir).output()?;
        ensure!(out.status.success(), "intel {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
        Ok(out)
    }
}

fn pair(world: &World) -> Result<(Client, Client)> {
    let (a, b) = (world.login(&alice())?, world.login(&bob())?);
    a.appear()?;
    b.appear()?;
    Ok((a, b))
}

/// Whether a message with this link is stopped, and by the update's rule.
fn is_stopped(a: &Client, b: &Client, id: &str, link: &str) -> Result<bool> {
    let body = format!("{id}: look at https://{link}/win");
    a.chat(&jid("bob"), id, &body)?;
    let mark = format!("mark {id}");
    a.chat(&jid("bob"), &format!("{id}-mark"), &mark)?;
    b.wait_body(&mark)?;
    let came = b.seen().iter().any(|event| event["body"] == *body);
    if !came {
        let error = a.wait_error(id)?;
        ensure!(error["text"] == NOTICE, "the error says {error}");
    }
    Ok(!came)
}

/// Sends until a message with the link is stopped; how long that took.
fn time_to_stop(a: &Client, b: &Client, prefix: &str, link: &str) -> Result<Duration> {
    let begun = Instant::now();
    for attempt in 0.. {
        if is_stopped(a, b, &format!("{prefix}{attempt}"), link)? {
            return Ok(begun.elapsed());
        }
        if begun.elapsed() > Duration::from_secs(15) {
            bail!("still not stopped after {:?}", begun.elapsed());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    unreachable!("the loop ends by returning")
}

fn status(world: &World) -> Result<Value> {
    let out = world.gateway.as_ref().context("no gateway")?.command(&["intel", "status", "--json"])?;
    let mut all: Value = serde_json::from_slice(&out.stdout)
        .with_context(|| format!("intel status: {}", String::from_utf8_lossy(&out.stderr)))?;
    Ok(all[0].take())
}

fn await_status(world: &World, what: &str, fits: impl Fn(&Value) -> bool) -> Result<Value> {
    let begun = Instant::now();
    loop {
        let status = status(world)?;
        if fits(&status) {
            return Ok(status);
        }
        ensure!(begun.elapsed() < Duration::from_secs(15), "waited for {what}; the status is {status}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_published_link_is_blocked_within_five_seconds_and_stays_so() {
    let subscribe = |path: &Path| {
        let publisher = Publisher::new(path)?;
        Ok(format!(
            "\n[intel.subscribe]\npath = {:?}\nroot = {:?}\nrules = \"enforce\"\n",
            publisher.repository(),
            publisher.root()
        ))
    };
    prove(World::configured(Software::Prosody, subscribe), |world| {
        let publisher = Publisher { dir: world.path().join("publisher") };
        let (a, b) = pair(world)?;
        ensure!(!is_stopped(&a, &b, "before", "fresh.test-lures.top")?, "nobody has published it yet");
        await_status(world, "version 1", |status| status["last_good"]["version"] == 1)?;

        publisher.publish("fresh.test-lures.top")?;
        let took = time_to_stop(&a, &b, "p", "fresh.test-lures.top")?;
        ensure!(took < Duration::from_secs(5), "it took {took:?}");
        ensure!(world.metric("portcullis_intel_bundle_version", &[])? == 2.0);
        let noted = |words: &str| -> Result<bool> {
            Ok(world.journal()?.iter().any(|record| record.to_string().contains(words)))
        };
        ensure!(noted("update 2, signed ")?, "the journal has no record of it");

        // The repository is set back by whoever holds the server: said by name, and nothing is lost.
        let repository = publisher.repository();
        let kept = fs::read(repository.join("timestamp.json"))?;
        publisher.publish("other.test-lures.top")?;
        await_status(world, "version 3", |status| status["last_good"]["version"] == 3)?;
        fs::write(repository.join("timestamp.json"), &kept)?;
        let told = await_status(world, "the rollback", |status| status["error"]["class"] == "rollback")?;
        ensure!(told["well"] == false && told["last_good"]["version"] == 3, "{told}");
        ensure!(is_stopped(&a, &b, "tampered", "other.test-lures.top")?);
        ensure!(world.metric("portcullis_intel_update_errors_total", &["rollback"])? >= 1.0);
        ensure!(noted("an update was refused (rollback)")?, "the journal says nothing of the rollback");
        let address = world.gateway()?.admin;
        ensure!(lab::http::get(address, "/readyz")?.body.contains("ready"), "an attack on updates stops no chat");

        // Without a repository, after a crash: the last good is in force for the first message.
        drop((a, b));
        fs::rename(&repository, world.path().join("gone"))?;
        fs::create_dir(&repository)?;
        fs::copy(world.path().join("gone/root.json"), publisher.root())?;
        world.gateway()?.kill()?;
        world.gateway()?.start_again()?;
        let (a, b) = pair(world)?;
        ensure!(is_stopped(&a, &b, "again", "other.test-lures.top")?);
        await_status(world, "the missing timestamp", |status| status["error"]["class"] == "missing").map(drop)
    });
}

/// How often each path was asked for, by status and path.
type Asked = Arc<Mutex<HashMap<String, u32>>>;

/// A web server of one folder, with ETags; notes what was asked and how it was answered.
fn serve(dir: PathBuf) -> Result<(SocketAddr, Asked)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let answers = Asked::default();
    let noted = answers.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let first = lines.next().unwrap_or_default();
            let path = first.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
            let rest: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let body = fs::read(dir.join(&path));
            let (status, head, body) = match body {
                Err(_) => ("404 Not Found", String::new(), Vec::new()),
                Ok(body) => {
                    let etag = format!("\"{:x}\"", BuildHasherDefault::<DefaultHasher>::default().hash_one(&body));
                    let asks = |line: &String| line.to_lowercase().starts_with("if-none-match") && line.contains(&etag);
                    if rest.iter().any(asks) {
                        ("304 Not Modified", String::new(), Vec::new())
                    } else {
                        ("200 OK", format!("ETag: {etag}\r\n"), body)
                    }
                }
            };
            *noted.lock().unwrap().entry(format!("{} {path}", &status[..3])).or_default() += 1;
            let head = format!("HTTP/1.1 {status}\r\n{head}Content-Length: {}\r\n\r\n", body.len());
            let _gone = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    Ok((address, answers))
}

#[test]
fn a_web_server_is_as_good_as_a_folder_and_is_asked_little() {
    let answers: Mutex<Option<Asked>> = Mutex::new(None);
    let subscribe = |path: &Path| {
        let publisher = Publisher::new(path)?;
        let (address, noted) = serve(publisher.repository())?;
        *answers.lock().unwrap() = Some(noted);
        Ok(format!(
            "\n[intel.subscribe]\nurl = \"http://{address}\"\nroot = {:?}\nevery = \"1s\"\nrules = \"enforce\"\n",
            publisher.root()
        ))
    };
    prove(World::configured(Software::Prosody, subscribe), |world| {
        let publisher = Publisher { dir: world.path().join("publisher") };
        let (a, b) = pair(world)?;
        await_status(world, "version 1", |status| status["last_good"]["version"] == 1)?;
        publisher.publish("fresh.test-lures.top")?;
        let took = time_to_stop(&a, &b, "w", "fresh.test-lures.top")?;
        ensure!(took < Duration::from_secs(5), "it took {took:?}");
        std::thread::sleep(Duration::from_secs(3));
        let noted = answers.lock().unwrap().clone().context("no server")?;
        let noted = noted.lock().unwrap();
        let count = |what: &str| noted.iter().filter(|(name, _)| name.starts_with(what)).map(|(_, n)| n).sum::<u32>();
        ensure!(count("200 timestamp.json") == 2, "{noted:?}");
        ensure!(count("304 timestamp.json") >= 2, "{noted:?}");
        // The rule is the same in both releases: it is fetched once.
        ensure!(count("200 files/") == 3, "{noted:?}");
        Ok(())
    });
}
