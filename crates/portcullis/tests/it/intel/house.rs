//! A house with two gateways before one server: the second follows the repository that the first publishes to.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use lab::gateway::{Gateway, Settings};
use lab::prosody::{Options, Prosody};
use lab::slix::{Client, Clients, Login};
use lab::tls::{Authority, Certificate};
use lab::{Account, DOMAIN};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{portcullis, target};

/// Who lives there.
pub(super) const USERS: [&str; 8] = ["anna", "ben", "cleo", "dora", "emil", "fred", "gina", "hugo"];
/// An address that no person uses.
pub(super) const DECOY: &str = "helpdesk2";

/// Fields are dropped in this order: clients first.
pub(super) struct House {
    clients: Clients,
    pub(super) first: Gateway,
    pub(super) second: Gateway,
    _prosody: Prosody,
    pub(super) keys: [PathBuf; 2],
    pub(super) repository: PathBuf,
    _directory: TempDir,
}

impl House {
    /// Everything up, something harmless published and in force at the second gateway. `first` is more of the first
    /// gateway's configuration.
    pub(super) fn build(first: impl Fn(&Path, &[PathBuf; 2]) -> String) -> Result<House> {
        let directory = tempfile::Builder::new().prefix("portcullis-it-").tempdir()?;
        let path = directory.path();
        let authority = Authority::make(path, "Portcullis test authority")?;
        let certificate = authority.issue(path, "server")?;
        let accounts = USERS.iter().map(|user| Account::new(user, "secret")).collect();
        let options = Options { mailboxes: vec![DECOY.to_owned()], ..Options::testing(accounts) };
        let prosody = Prosody::start(path, &certificate, &options)?;
        let repository = path.join("repository");
        let keys = publish_something(path, &repository)?;
        let people = path.join("people.toml");
        fs::write(&people, format!("[[decoy]]\nname = \"Nobody\"\nxmpp = [\"{DECOY}@{DOMAIN}\"]\n"))?;
        let limits = "\n[gateway.limits]\nexempt = [\"127.0.0.0/8\"]\n";
        let one = format!("{limits}\n[identity]\nfile = {people:?}\n{}", first(&repository, &keys));
        let two =
            format!("{limits}\n[intel.subscribe]\npath = {repository:?}\nroot = {:?}\n", repository.join("root.json"));
        let start = |name: &str, more: String| start(&path.join(name), &prosody, &authority.file, &certificate, more);
        let (first, second) = (start("first", one)?, start("second", two)?);
        let clients = Clients::start(&target(), path, &authority.file)?;
        let house = House { clients, first, second, _prosody: prosody, keys, repository, _directory: directory };
        house.await_update(1, Duration::from_secs(20))?;
        Ok(house)
    }

    /// Logs a user in by a gateway.
    pub(super) fn login(&self, user: &str, address: SocketAddr) -> Result<Client> {
        let client = self.clients.login(user, &Login::new(&Account::new(user, "secret"), address))?;
        client.appear()?;
        Ok(client)
    }

    /// The campaigns that the first gateway knows.
    pub(super) fn campaigns(&self) -> Result<Vec<Value>> {
        let out = self.first.command(&["threats", "triage", "list", "--json"])?;
        ensure!(out.status.success(), "triage list: {}", String::from_utf8_lossy(&out.stderr));
        let text = String::from_utf8(out.stdout)?;
        Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
    }

    /// Waits until the campaigns are as they should be.
    pub(super) fn await_campaigns(&self, fits: impl Fn(&[Value]) -> bool) -> Result<Vec<Value>> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let found = self.campaigns()?;
            if fits(&found) {
                return Ok(found);
            }
            if Instant::now() > deadline {
                bail!("the campaigns are {found:#?}");
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Waits until the second gateway has put a release in force.
    pub(super) fn await_update(&self, release: u64, patience: Duration) -> Result<()> {
        let wanted = format!("update {release}");
        let deadline = Instant::now() + patience;
        loop {
            let notes = notes(&self.second)?;
            // It is verified first, then taken up with everything else that decides.
            let verified = notes.iter().position(|note| note.starts_with(&wanted) && note.ends_with("put in force"));
            let taken_up = |at: usize| notes.iter().skip(at).any(|note| note.ends_with("are in force"));
            if verified.is_some_and(taken_up) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("release {release} is not in force after {patience:?}: {notes:?}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// What stands on record about administration.
pub(super) fn notes(gateway: &Gateway) -> Result<Vec<String>> {
    let newest = store::tail(&gateway.data, 10_000)?;
    let notes = newest.iter().map(|stored| Ok(stored.record()?.note.map(String::from)));
    let notes: Vec<Option<String>> = notes.collect::<Result<_>>()?;
    Ok(notes.into_iter().flatten().collect())
}

fn start(directory: &Path, prosody: &Prosody, ca: &Path, certificate: &Certificate, more: String) -> Result<Gateway> {
    fs::create_dir(directory)?;
    let settings = Settings {
        upstream: prosody.starttls,
        upstream_ca: ca.to_owned(),
        certificate: certificate.clone(),
        policy: None,
        lists: Vec::new(),
        clamd: None,
        more,
    };
    Gateway::start_from_file(portcullis(), directory, &settings)
}

/// Makes a repository with keys of its own and one harmless indicator; gives the release and timestamp keys.
fn publish_something(path: &Path, repository: &Path) -> Result<[PathBuf; 2]> {
    let [root, release, timestamp] = ["root", "release", "timestamp"].map(|role| path.join(format!("{role}.key")));
    for (role, file) in [("root", &root), ("release", &release), ("timestamp", &timestamp)] {
        run(&["intel", "keys", "new", "--role", role, "--out", &file.display().to_string()])?;
    }
    let indicators = path.join("indicators.jsonl");
    let harmless = r#"{"id":"0193583c-0000-7000-8000-000000000001","type":"domain","value":"long-gone-worm.example",
        "confidence":90,"strength":"block","source":{"feed":"test"}}"#;
    fs::write(&indicators, format!("{}\n", harmless.replace('\n', " ")))?;
    let files = [repository, &indicators, &root, &release, &timestamp].map(|file| file.display().to_string());
    let [repository, indicators, root, signing, timestamp_key] = files.each_ref().map(String::as_str);
    run(&[
        "intel",
        "publish",
        "--repo",
        repository,
        "--indicators",
        indicators,
        "--root-key",
        root,
        "--release-key",
        signing,
        "--timestamp-key",
        timestamp_key,
    ])?;
    Ok([release, timestamp])
}

fn run(arguments: &[&str]) -> Result<()> {
    let out = Command::new(portcullis()).args(arguments).output().context("cannot run portcullis")?;
    ensure!(out.status.success(), "{}: {}", arguments.join(" "), String::from_utf8_lossy(&out.stderr));
    Ok(())
}
