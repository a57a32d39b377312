//! The portcullis binary as a child process: the XMPP gateway in front of a server, by flags or by a
//! configuration file.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process::{self, Process};
use crate::tls::Certificate;
use crate::{DOMAIN, ports, tools};

/// What stands behind it and what it is to do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The server's port for STARTTLS.
    pub upstream: SocketAddr,
    /// Authority that the server's certificate is checked against.
    pub upstream_ca: PathBuf,
    /// What clients see.
    pub certificate: Certificate,
    /// Policy file; the default policy without one.
    pub policy: Option<PathBuf>,
    /// Indicator lists with their kind (`phishing`, `malware`, `spam`, `local`).
    pub lists: Vec<(&'static str, PathBuf)>,
    /// Antivirus engine.
    pub clamd: Option<SocketAddr>,
    /// Further tables of the configuration file, for what has no flag.
    pub more: String,
}

/// A running gateway.
pub struct Gateway {
    process: Process,
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    /// Where clients connect, with STARTTLS or direct TLS.
    pub address: SocketAddr,
    /// Where uploads go.
    pub http: SocketAddr,
    /// Where metrics and health are.
    pub admin: SocketAddr,
    /// Its data directory: journal and store.
    pub data: PathBuf,
}

/// The listeners and the data directory of one gateway.
struct Places {
    address: SocketAddr,
    http: SocketAddr,
    admin: SocketAddr,
    data: PathBuf,
}

impl Gateway {
    /// Starts `portcullis gateway xmpp` with flags alone, without limits by address: tests come from one.
    pub fn start(program: &Path, directory: &Path, settings: &Settings) -> Result<Gateway> {
        let places = Places::choose(directory)?;
        let arguments = places.flags(settings);
        Gateway::launch(program, directory, places, arguments)
    }

    /// Starts `portcullis run` with a configuration file.
    pub fn start_from_file(program: &Path, directory: &Path, settings: &Settings) -> Result<Gateway> {
        let places = Places::choose(directory)?;
        let file = directory.join("portcullis.toml");
        fs::write(&file, places.file(settings)?).with_context(|| format!("cannot write {}", file.display()))?;
        let arguments = vec!["run".to_owned(), "--config".to_owned(), file.display().to_string()];
        Gateway::launch(program, directory, places, arguments)
    }

    fn launch(program: &Path, directory: &Path, places: Places, arguments: Vec<String>) -> Result<Gateway> {
        let log = directory.join("portcullis.out");
        let process = run(program, &arguments, &log)?;
        let Places { address, http, admin, data } = places;
        Ok(Gateway { process, program: program.to_owned(), arguments, log, address, http, admin, data })
    }

    /// Asks it to end as a service manager would, and waits for it.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.process.stop(Duration::from_secs(30))
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill().map(drop)
    }

    /// Starts it again as it was.
    pub fn start_again(&mut self) -> Result<()> {
        self.process = run(&self.program, &self.arguments, &self.log)?;
        Ok(())
    }

    /// Runs another command of the binary on this gateway's data.
    pub fn command(&self, arguments: &[&str]) -> Result<Output> {
        Command::new(&self.program)
            .args(arguments)
            .arg("--data")
            .arg(&self.data)
            .output()
            .with_context(|| format!("cannot run portcullis {}", arguments.join(" ")))
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Places {
    fn choose(directory: &Path) -> Result<Places> {
        let free = || Ok::<_, anyhow::Error>(SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()?)));
        Ok(Places { address: free()?, http: free()?, admin: free()?, data: directory.join("portcullis") })
    }

    fn flags(&self, settings: &Settings) -> Vec<String> {
        let mut flags = vec![
            ("--listen", self.address.to_string()),
            ("--upstream", settings.upstream.to_string()),
            ("--upstream-ca", settings.upstream_ca.display().to_string()),
            ("--domain", DOMAIN.to_owned()),
            ("--cert", settings.certificate.chain.display().to_string()),
            ("--key", settings.certificate.key.display().to_string()),
            ("--http", self.http.to_string()),
            ("--admin", self.admin.to_string()),
            ("--data", self.data.display().to_string()),
        ];
        flags.extend(settings.policy.iter().map(|file| ("--policy", file.display().to_string())));
        flags.extend(settings.lists.iter().map(|(kind, file)| ("--indicators", format!("{kind}={}", file.display()))));
        flags.extend(settings.clamd.iter().map(|address| ("--clamd", address.to_string())));
        let mut arguments: Vec<String> = ["gateway", "xmpp", "--no-connection-limits"].map(String::from).to_vec();
        arguments.extend(flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]));
        arguments
    }

    fn file(&self, settings: &Settings) -> Result<String> {
        let mut text = format!(
            "# Generated. `portcullis config defaults` prints every key.\n\
             data = {data:?}\n\n[admin]\nlisten = \"{admin}\"\n\n",
            data = self.data,
            admin = self.admin
        );
        if let Some(policy) = &settings.policy {
            write!(text, "[policy]\nfiles = [{policy:?}]\n\n")?;
        }
        for (kind, file) in &settings.lists {
            write!(text, "[[indicators.list]]\nkind = \"{kind}\"\nfile = {file:?}\n\n")?;
        }
        if let Some(clamd) = settings.clamd {
            write!(text, "[files.clamd]\naddress = \"{clamd}\"\n\n")?;
        }
        write!(
            text,
            "[gateway.http]\nlisten = \"{http}\"\npublic_url = \"https://{http}\"\n\n\
             [gateway.xmpp]\nlisten = [\"{address}\"]\n\n\
             [[gateway.xmpp.domain]]\nname = \"{DOMAIN}\"\ncertificate = {chain:?}\nkey = {key:?}\n\
             upstream = \"{upstream}\"\nupstream_tls = \"starttls\"\nupstream_ca = {ca:?}\n",
            http = self.http,
            address = self.address,
            chain = settings.certificate.chain,
            key = settings.certificate.key,
            upstream = settings.upstream,
            ca = settings.upstream_ca,
        )?;
        text.push_str(&settings.more);
        Ok(text)
    }
}

/// Ready is when the one line that says so is out.
fn run(program: &Path, arguments: &[String], log: &Path) -> Result<Process> {
    tools::find("setpriv")?;
    let mut process = Process::start("portcullis", process::command(program).args(arguments), log)?;
    process.await_that("the line that says it listens", |process| {
        let text = fs::read_to_string(process.log()).unwrap_or_default();
        Ok(text.lines().any(|line| line.starts_with("listening ")))
    })?;
    Ok(process)
}
