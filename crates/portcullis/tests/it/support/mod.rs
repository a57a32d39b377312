//! A little world for one test: a server, the gateway before it, clients, and everything in one
//! temporary directory that goes away with it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};
use lab::clamd::Clamd;
use lab::ejabberd::{ChannelBinding, Ejabberd};
use lab::gateway::{Gateway, Settings};
use lab::prosody::{self, Prosody};
use lab::raw::Raw;
use lab::slix::{Client, Clients, Login};
use lab::tls::{Authority, Certificate};
use lab::{Account, DOMAIN};
use serde_json::Value;
use tempfile::TempDir;

/// What is in force in a guarded world. It acts on plain findings, so that a test's text says what will
/// become of it; the default policy has tests of its own.
const POLICY: &str = r#"
@id("base")
permit (principal, action, resource);

@id("listed-links")
@verdict("block")
@notice("Stopped: this link is on our list.")
forbid (principal, action, resource)
when { context.symbols.contains(Symbol::"link.indicator.local") };

@id("short-links-wait")
@verdict("quarantine")
@notice("Held: short links are looked at first.")
forbid (principal, action, resource)
when { context.symbols.contains(Symbol::"link.shortener") };

@id("odd-ports-warn")
@verdict("warn")
@notice("Careful: an unusual port.")
permit (principal, action, resource)
when { context.symbols.contains(Symbol::"link.odd_port") };

@id("cards-are-blanked")
@verdict("redact")
@notice("A card number was removed.")
permit (principal, action, resource)
when { context.symbols.contains(Symbol::"pattern.card") };

@id("no-malware")
@verdict("block")
@notice("Stopped: this file is infected.")
forbid (principal, action, resource)
when { context.symbols.containsAny([Symbol::"file.eicar", Symbol::"pattern.eicar", Symbol::"file.malware"]) };
"#;

/// A link that [`POLICY`] blocks, and what people then read.
pub(crate) const BAD: &str = "https://mail-confirm.example/owa";
pub(crate) const BAD_NOTICE: &str = "Stopped: this link is on our list.";
/// A link that it quarantines.
pub(crate) const HELD: &str = "https://bit.ly/3xPortcullis";
pub(crate) const HELD_NOTICE: &str = "Held: short links are looked at first.";

/// Which server software stands behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Software {
    Prosody,
    Ejabberd,
}

/// A running server of either kind.
pub(crate) enum Server {
    Prosody(Prosody),
    Ejabberd(Ejabberd),
}

impl Server {
    pub(crate) fn starttls(&self) -> SocketAddr {
        match self {
            Server::Prosody(server) => server.starttls,
            Server::Ejabberd(server) => server.starttls,
        }
    }

    pub(crate) fn direct(&self) -> SocketAddr {
        match self {
            Server::Prosody(server) => server.direct,
            Server::Ejabberd(server) => server.direct,
        }
    }
}

/// What a test runs in. Fields are dropped in this order: clients first.
pub(crate) struct World {
    clients: OnceLock<Clients>,
    pub(crate) gateway: Option<Gateway>,
    pub(crate) server: Server,
    pub(crate) clamd: Option<Clamd>,
    pub(crate) ca: PathBuf,
    pub(crate) certificate: Certificate,
    directory: TempDir,
}

pub(crate) fn alice() -> Account {
    Account::new("alice", "pw-alice")
}

pub(crate) fn bob() -> Account {
    Account::new("bob", "pw-bob")
}

pub(crate) fn carol() -> Account {
    Account::new("carol", "pw-carol")
}

/// Runs a test in its world. What it reports becomes a panic while the world still stands, so that every
/// process in it shows its log.
pub(crate) fn prove(world: Result<World>, test: impl FnOnce(&mut World) -> Result<()>) {
    let mut world = world.unwrap_or_else(|error| panic!("no world: {error:#}"));
    if let Err(error) = test(&mut world) {
        panic!("{error:#}");
    }
}

impl World {
    /// A server that clients reach without a gateway: what fails here is the harness's fault or the server's.
    pub(crate) fn bare(software: Software) -> Result<World> {
        let directory = tempfile::Builder::new().prefix("portcullis-it-").tempdir()?;
        let authority = Authority::make(directory.path(), "Portcullis test authority")?;
        let certificate = authority.issue(directory.path(), "server")?;
        let accounts = vec![alice(), bob(), carol()];
        let server = match software {
            Software::Prosody => {
                let options = prosody::Options::testing(accounts);
                Server::Prosody(Prosody::start(directory.path(), &certificate, &options)?)
            }
            Software::Ejabberd => {
                let binding = ChannelBinding::Disabled;
                Server::Ejabberd(Ejabberd::start(directory.path(), &certificate, &accounts, binding)?)
            }
        };
        Ok(World {
            clients: OnceLock::new(),
            gateway: None,
            server,
            clamd: None,
            ca: authority.file,
            certificate,
            directory,
        })
    }

    /// The same server with the gateway before it, and the tests' own policy in force.
    pub(crate) fn guarded(software: Software) -> Result<World> {
        World::bare(software)?.guard()
    }

    /// The same, with an antivirus engine.
    pub(crate) fn guarded_with_clamd(software: Software) -> Result<World> {
        let mut world = World::bare(software)?;
        world.clamd = Some(Clamd::start(world.path())?);
        world.guard()
    }

    /// The same, with further tables in its configuration file; `more` is given the world's directory.
    pub(crate) fn configured(software: Software, more: impl FnOnce(&Path) -> Result<String>) -> Result<World> {
        let world = World::bare(software)?;
        let more = more(world.path())?;
        world.guard_with(more)
    }

    fn guard(self) -> Result<World> {
        self.guard_with(String::new())
    }

    fn guard_with(mut self, more: String) -> Result<World> {
        let world = &mut self;
        let policy = world.policy_file();
        fs::write(&policy, POLICY)?;
        let list = world.path().join("listed.txt");
        fs::write(&list, "# What the tests do not want.\nmail-confirm.example\n")?;
        let settings = Settings {
            upstream: world.server.starttls(),
            upstream_ca: world.ca.clone(),
            certificate: world.certificate.clone(),
            policy: Some(policy),
            lists: vec![("local", list)],
            clamd: world.clamd.as_ref().map(|clamd| clamd.address),
            more,
        };
        let start = if settings.more.is_empty() { Gateway::start } else { Gateway::start_from_file };
        world.gateway = Some(start(portcullis(), world.path(), &settings)?);
        Ok(self)
    }

    /// Where the policy of a guarded world is.
    pub(crate) fn policy_file(&self) -> PathBuf {
        self.path().join("tests.cedar")
    }

    /// The gateway of a guarded world.
    pub(crate) fn gateway(&mut self) -> Result<&mut Gateway> {
        self.gateway.as_mut().context("this world has no gateway")
    }

    /// Prosody, where the test knows that it is.
    pub(crate) fn prosody(&mut self) -> Result<&mut Prosody> {
        match &mut self.server {
            Server::Prosody(prosody) => Ok(prosody),
            Server::Ejabberd(_) => bail!("this world has ejabberd"),
        }
    }

    /// How many lost connections the server keeps sessions for so far, where that has to be known.
    pub(crate) fn losses(&mut self) -> Result<usize> {
        match &mut self.server {
            Server::Prosody(_) => Ok(0),
            Server::Ejabberd(server) => count_losses(server.process().log()),
        }
    }

    /// Waits until the server has noticed one more lost connection. ejabberd 23.01 delivers twice when a
    /// client is back before that, with or without a gateway.
    pub(crate) fn await_loss(&mut self, before: usize) -> Result<()> {
        match &mut self.server {
            Server::Prosody(_) => Ok(()),
            Server::Ejabberd(server) => {
                let what = "ejabberd to notice the lost connection";
                server.process().await_that(what, |process| Ok(count_losses(process.log())? > before))
            }
        }
    }

    /// Logs in around the gateway, as somebody does whose server is elsewhere.
    pub(crate) fn login_outside(&self, account: &Account) -> Result<Client> {
        self.login_as(&format!("{} outside", account.user), &Login::new(account, self.server.starttls()))
    }

    /// What a metric of the gateway says: the sum over all series whose line contains every word.
    pub(crate) fn metric(&self, name: &str, words: &[&str]) -> Result<f64> {
        let gateway = self.gateway.as_ref().context("this world has no gateway")?;
        let answer = lab::http::get(gateway.admin, "/metrics")?;
        let series = answer.body.lines().filter(|line| !line.starts_with('#'));
        let ours = series.filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
                && words.iter().all(|w| line.contains(w))
        });
        Ok(ours.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// The journal, one record an entry, oldest first.
    pub(crate) fn journal(&self) -> Result<Vec<Value>> {
        let gateway = self.gateway.as_ref().context("this world has no gateway")?;
        let out = gateway.command(&["archive", "tail", "--json", "--lines", "1000000"])?;
        ensure!(out.status.success(), "archive tail: {}", String::from_utf8_lossy(&out.stderr));
        let text = String::from_utf8(out.stdout)?;
        let record = |line: &str| -> Result<Value> {
            let mut entry: Value = serde_json::from_str(line).with_context(|| format!("not a record: {line}"))?;
            Ok(entry["record"].take())
        };
        text.lines().map(record).collect()
    }

    /// The temporary directory.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Where clients connect with STARTTLS: the gateway, or the server when there is none.
    pub(crate) fn starttls(&self) -> SocketAddr {
        self.gateway.as_ref().map_or_else(|| self.server.starttls(), |gateway| gateway.address)
    }

    /// Where clients connect with direct TLS.
    pub(crate) fn direct(&self) -> SocketAddr {
        self.gateway.as_ref().map_or_else(|| self.server.direct(), |gateway| gateway.address)
    }

    /// Logs in with STARTTLS as the account's name.
    pub(crate) fn login(&self, account: &Account) -> Result<Client> {
        self.login_as(&account.user, &Login::new(account, self.starttls()))
    }

    /// Logs in with stream management and resumption.
    pub(crate) fn login_resumable(&self, account: &Account) -> Result<Client> {
        self.login_as(&account.user, &Login::new(account, self.starttls()).resume())
    }

    /// Logs in as told.
    pub(crate) fn login_as(&self, name: &str, login: &Login) -> Result<Client> {
        if self.clients.get().is_none() {
            let started = Clients::start(&target(), self.path(), &self.ca)?;
            // Tests are single-threaded worlds; a second one would only be dropped.
            let _ = self.clients.set(started);
        }
        self.clients.get().context("no driver")?.login(name, login)
    }

    /// A raw session, logged in and bound.
    pub(crate) fn raw(&self, account: &Account, resource: &str) -> Result<Raw> {
        Raw::session(self.starttls(), &self.ca, account, resource)
    }

    /// A raw connection on which nothing was said yet.
    pub(crate) fn raw_clear(&self) -> Result<Raw> {
        Raw::connect(self.starttls(), &self.ca)
    }
}

fn count_losses(log: &Path) -> Result<usize> {
    Ok(fs::read_to_string(log)?.matches("for stream resumption").count())
}

/// The cargo target directory this binary was built in.
pub(crate) fn target() -> PathBuf {
    let own = Path::new(env!("CARGO_TARGET_TMPDIR"));
    own.parent().unwrap_or(own).to_owned()
}

/// The program under test.
pub(crate) fn portcullis() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_portcullis"))
}

/// The bare JID of a user.
pub(crate) fn jid(user: &str) -> String {
    format!("{user}@{DOMAIN}")
}
