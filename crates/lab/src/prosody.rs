//! Prosody on loopback, with the configuration that a server behind Portcullis should have.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process::{self, Process};
use crate::tls::Certificate;
use crate::{Account, DOMAIN, ROOMS, UPLOADS, ports, tools};

/// How accounts are kept, and with that which SASL mechanisms are offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passwords {
    /// In clear: PLAIN, SCRAM-SHA-1 and SCRAM-SHA-256 are all offered, which is what tests need.
    Clear,
    /// Hashed from the first login on, as a real server should: PLAIN and SCRAM-SHA-1, which every client knows.
    Hashed,
}

/// What to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// Accounts to create.
    pub accounts: Vec<Account>,
    /// Users who get messages and whom nobody can log in as.
    pub mailboxes: Vec<String>,
    /// How they are kept.
    pub passwords: Passwords,
    /// Largest file its upload service takes, in bytes.
    pub largest_upload: u64,
}

impl Options {
    /// Accounts kept in clear, uploads up to 16 MiB.
    pub fn testing(accounts: Vec<Account>) -> Options {
        Options { accounts, mailboxes: Vec::new(), passwords: Passwords::Clear, largest_upload: 16 * 1024 * 1024 }
    }
}

/// A running Prosody.
pub struct Prosody {
    process: Process,
    program: PathBuf,
    config: PathBuf,
    log: PathBuf,
    /// Where clients connect with STARTTLS.
    pub starttls: SocketAddr,
    /// Where clients connect with direct TLS.
    pub direct: SocketAddr,
    /// Where its upload service answers, without TLS.
    pub http: SocketAddr,
}

impl Prosody {
    /// Starts one with its data in a directory and waits until it answers.
    pub fn start(directory: &Path, certificate: &Certificate, options: &Options) -> Result<Prosody> {
        let program = tools::find("prosody")?;
        let data = directory.join("data");
        fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
        let [starttls, direct, http] = [address()?, address()?, address()?];
        let config = directory.join("prosody.cfg.lua");
        let text = configuration(directory, certificate, options, [starttls, direct, http]);
        fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;
        create_accounts(&data, options)?;
        let log = directory.join("prosody.out");
        let process = run(&program, &config, &log, &[starttls, direct, http])?;
        Ok(Prosody { process, program, config, log, starttls, direct, http })
    }

    /// Stops it as an administrator would: clients get a stream error.
    pub fn stop(&mut self) -> Result<()> {
        self.process.stop(Duration::from_secs(20)).map(drop)
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill().map(drop)
    }

    /// Starts it again on the same ports and data.
    pub fn start_again(&mut self) -> Result<()> {
        self.process = run(&self.program, &self.config, &self.log, &[self.starttls, self.direct, self.http])?;
        Ok(())
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

fn address() -> Result<SocketAddr> {
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()?)))
}

fn run(program: &Path, config: &Path, log: &Path, listeners: &[SocketAddr]) -> Result<Process> {
    let mut command = process::command(program);
    command.arg("-F").arg("--config").arg(config);
    let mut process = Process::start("prosody", &mut command, log)?;
    for listener in listeners {
        process.await_port(*listener)?;
    }
    Ok(process)
}

/// Prosody keeps an account in a Lua file of its own; writing it takes no time, starting `prosodyctl` does.
fn create_accounts(data: &Path, options: &Options) -> Result<()> {
    let folder = data.join(DOMAIN).join("accounts");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let with =
        options.accounts.iter().map(|account| (&account.user, format!("[\"password\"] = \"{}\"", account.password)));
    let without = options.mailboxes.iter().map(|user| (user, String::new()));
    for (user, content) in with.chain(without) {
        let file = folder.join(format!("{user}.dat"));
        if !file.exists() {
            fs::write(&file, format!("return {{ {content} }};\n"))?;
        }
    }
    Ok(())
}

/// A whole configuration. The comments are for whoever opens it after `cargo xtask up`.
fn configuration(
    directory: &Path,
    certificate: &Certificate,
    options: &Options,
    [starttls, direct, http]: [SocketAddr; 3],
) -> String {
    let directory = directory.display();
    let (chain, key) = (certificate.chain.display(), certificate.key.display());
    let (starttls, direct, http) = (starttls.port(), direct.port(), http.port());
    let authentication = match options.passwords {
        Passwords::Clear => "internal_plain",
        Passwords::Hashed => "internal_hashed",
    };
    let largest = options.largest_upload;
    format!(
        r#"-- Generated: a Prosody that only Portcullis speaks to.
pidfile = "{directory}/prosody.pid"
data_path = "{directory}/data"
certificates = "{directory}"
run_as_root = true
log = {{ info = "*console" }}

-- Nobody may go around the gateway: loopback only, no BOSH, no WebSocket, no server-to-server.
interfaces = {{ "127.0.0.1" }}
local_interfaces = {{ "127.0.0.1" }}
http_interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {starttls} }}
c2s_direct_tls_ports = {{ {direct} }}
http_ports = {{ {http} }}
https_ports = {{ }}
modules_disabled = {{ "s2s" }}

-- The gateway checks this certificate. TLS 1.3 offers no -PLUS mechanism here, which a gateway that
-- ends TLS could not keep.
ssl = {{ certificate = "{chain}", key = "{key}", protocol = "tlsv1_3" }}
c2s_direct_tls_ssl = ssl
c2s_require_encryption = true

-- Every client comes from the gateway's one address: limits by address belong in the gateway.
modules_enabled = {{
  "disco", "roster", "saslauth", "tls", "ping", "time", "version", "uptime",
  "pep", "blocklist", "bookmarks", "vcard4", "vcard_legacy", "private",
  "carbons", "mam", "smacks", "csi_simple",
}}
smacks_hibernation_time = 600
archive_expires_after = "1w"
default_archive_policy = true
authentication = "{authentication}"
storage = "internal"
allow_registration = false

VirtualHost "{DOMAIN}"
  disco_items = {{ {{ "{ROOMS}", "Rooms" }}, {{ "{UPLOADS}", "Uploads" }} }}

Component "{ROOMS}" "muc"
  name = "Rooms"
  modules_enabled = {{ "muc_mam" }}
  muc_log_by_default = true
  restrict_room_creation = false

Component "{UPLOADS}" "http_file_share"
  http_host = "127.0.0.1"
  http_external_url = "http://127.0.0.1:{http}/"
  http_file_share_size_limit = {largest}
"#
    )
}
