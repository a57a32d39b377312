//! `cargo xtask up`: a real Prosody on loopback with two accounts, Portcullis before it, until Ctrl-C.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use lab::gateway::{Gateway, Settings};
use lab::prosody::{self, Passwords, Prosody};
use lab::tls::{Authority, Certificate};
use lab::{Account, secret};
use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::signal::unix::{SignalKind, signal};

use crate::{attack, install, paint, shell};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Also play attacks through a real client, and show what became of them.
    #[arg(long)]
    attack: bool,
    /// Keep accounts, messages and the record of the last run.
    #[arg(long)]
    keep: bool,
    /// Build with optimisation: slower to build, fast to run.
    #[arg(long)]
    release: bool,
}

/// Everything that runs, and where it is.
pub(crate) struct Site {
    pub(crate) gateway: Gateway,
    prosody: Prosody,
    pub(crate) directory: PathBuf,
    pub(crate) program: PathBuf,
    pub(crate) ca: PathBuf,
    ca_fingerprint: String,
    certificate_fingerprint: String,
    pub(crate) alice: Account,
    pub(crate) bob: Account,
    /// Only the attacks log in as her.
    pub(crate) carol: Account,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    // If cargo is killed, this ends too, and everything it started with it.
    set_parent_process_death_signal(Some(Signal::TERM)).context("cannot ask to end with cargo")?;
    install::packages(true)?;
    if arguments.attack {
        install::everything(true)?;
    }
    let release = arguments.release.then_some("--release");
    shell::run(shell::cargo().args(["build", "--locked", "--package", "portcullis"]).args(release))?;
    let mut site = Site::start(arguments)?;
    site.introduce();
    if arguments.attack {
        attack::play(&site)?;
        println!("\nStill running: connect a client as said above. Ctrl-C stops everything.");
    }
    let ended = site.wait_for_the_end();
    println!("\nstopping");
    site.stop()?;
    ended
}

impl Site {
    fn start(arguments: &Arguments) -> Result<Site> {
        let target = shell::target()?;
        let directory = target.join("up");
        if !arguments.keep && directory.exists() {
            fs::remove_dir_all(&directory).with_context(|| format!("cannot clear {}", directory.display()))?;
        }
        fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let authority = Authority::make(&directory, "Portcullis up: throw-away authority")?;
        let behind = authority.issue(&directory, "prosody")?;
        let before = authority.issue(&directory, "gateway")?;
        let [alice, bob, carol] = accounts(&directory)?;
        let options = prosody::Options {
            accounts: vec![alice.clone(), bob.clone(), carol.clone()],
            mailboxes: attack::colleagues(),
            passwords: Passwords::Hashed,
            largest_upload: 16 * 1024 * 1024,
        };
        let prosody = Prosody::start(&directory, &behind, &options)?;
        let profile = if arguments.release { "release" } else { "debug" };
        let program = target.join(profile).join("portcullis");
        let gateway = start_gateway(&program, &directory, &prosody, &authority, &before)?;
        Ok(Site {
            gateway,
            prosody,
            directory,
            program,
            ca: authority.file,
            ca_fingerprint: authority.fingerprint,
            certificate_fingerprint: before.fingerprint,
            alice,
            bob,
            carol,
        })
    }

    /// Says how to connect a chat client.
    fn introduce(&self) {
        let (host, port) = (self.gateway.address.ip(), self.gateway.address.port());
        println!();
        println!("{}", paint::head("Portcullis stands before Prosody."));
        println!();
        println!("  server      {host} port {port}   (STARTTLS and direct TLS on the same port)");
        for account in [&self.alice, &self.bob] {
            println!("  account     {}   password {}", account.jid(), paint::good(&account.password));
        }
        println!("  trust       {}", self.ca.display());
        println!("              SHA-256 {}", self.ca_fingerprint);
        println!("  certificate SHA-256 {}", self.certificate_fingerprint);
        println!("  metrics     http://{}/metrics", self.gateway.admin);
        println!("  data        {}", self.directory.display());
        println!();
        println!("  For example:");
        println!("    profanity -a alice    then  /connect {} server {host} port {port} tls trust", self.alice.jid());
        println!(
            "    echo hello | go-sendxmpp -n -u {} -p {} -j {host}:{port} {}",
            self.alice.jid(),
            self.alice.password,
            self.bob.jid()
        );
        println!("    {} archive tail --follow --data {}", self.program.display(), self.gateway.data.display());
        println!();
        println!("Ctrl-C stops everything.");
    }

    /// Until a signal comes, or one of the processes ends by itself.
    fn wait_for_the_end(&mut self) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut terminate = signal(SignalKind::terminate())?;
            let mut hangup = signal(SignalKind::hangup())?;
            let mut look = tokio::time::interval(Duration::from_millis(250));
            loop {
                tokio::select! {
                    _ = interrupt.recv() => return Ok(()),
                    _ = terminate.recv() => return Ok(()),
                    _ = hangup.recv() => return Ok(()),
                    _ = look.tick() => {
                        for process in [self.gateway.process(), self.prosody.process()] {
                            if let Some(status) = process.ended()? {
                                bail!("a process ended by itself ({status})\n{}", process.log_tail());
                            }
                        }
                    }
                }
            }
        })
    }

    fn stop(&mut self) -> Result<()> {
        let gateway = self.gateway.stop().map(drop);
        self.prosody.stop()?;
        gateway
    }
}

/// The accounts: the last run's where its data was kept, else with new passwords.
fn accounts(directory: &Path) -> Result<[Account; 3]> {
    const USERS: [&str; 3] = ["alice", "bob", "carol"];
    let file = directory.join("passwords.txt");
    let kept = fs::read_to_string(&file).unwrap_or_default();
    let mut passwords: Vec<String> = kept.lines().map(str::to_owned).collect();
    if passwords.len() != USERS.len() {
        passwords = USERS.iter().map(|_| secret::password()).collect::<Result<_>>()?;
        let text = format!("{}\n", passwords.join("\n"));
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let mut passwords = passwords.into_iter();
    Ok(USERS.map(|user| Account::new(user, &passwords.next().unwrap_or_default())))
}

fn start_gateway(
    program: &Path,
    directory: &Path,
    prosody: &Prosody,
    authority: &Authority,
    certificate: &Certificate,
) -> Result<Gateway> {
    let list = directory.join("phishing.txt");
    fs::write(&list, format!("# Phishing hosts of the demonstration.\n{}\n", attack::PHISHING_HOST))?;
    let settings = Settings {
        upstream: prosody.starttls,
        upstream_ca: authority.file.clone(),
        certificate: certificate.clone(),
        policy: None,
        lists: vec![("phishing", list)],
        clamd: None,
        more: String::new(),
    };
    Gateway::start_from_file(program, directory, &settings)
}
