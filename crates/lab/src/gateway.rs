//! The portcullis binary as a child process: the XMPP gateway in front of a server.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process::{self, Process};
use crate::tls::Certificate;
use crate::{ports, tools};

/// How the gateway is to speak to its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// STARTTLS.
    StartTls(SocketAddr),
    /// TLS from the first byte.
    Direct(SocketAddr),
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

impl Gateway {
    /// Starts `portcullis gateway xmpp` with its data in a directory and waits until it is ready.
    pub fn start(
        program: &Path,
        directory: &Path,
        upstream: Upstream,
        ca: &Path,
        certificate: &Certificate,
        more: &[String],
    ) -> Result<Gateway> {
        let data = directory.join("portcullis");
        fs::create_dir_all(&data)?;
        let [address, http, admin] = [free()?, free()?, free()?];
        let (upstream, mode) = match upstream {
            Upstream::StartTls(address) => (address, "starttls"),
            Upstream::Direct(address) => (address, "direct"),
        };
        let mut arguments: Vec<String> = ["gateway", "xmpp"].map(String::from).to_vec();
        for (flag, value) in [
            ("--listen", address.to_string()),
            ("--upstream", upstream.to_string()),
            ("--upstream-tls", mode.to_owned()),
            ("--upstream-ca", ca.display().to_string()),
            ("--cert", certificate.chain.display().to_string()),
            ("--key", certificate.key.display().to_string()),
            ("--http", http.to_string()),
            ("--admin", admin.to_string()),
            ("--data", data.display().to_string()),
        ] {
            arguments.extend([flag.to_owned(), value]);
        }
        arguments.extend_from_slice(more);
        let log = directory.join("portcullis.out");
        let process = run(program, &arguments, &log)?;
        Ok(Gateway { process, program: program.to_owned(), arguments, log, address, http, admin, data })
    }

    /// Asks it to end as a service manager would, and waits for it.
    pub fn stop(&mut self) -> Result<std::process::ExitStatus> {
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

fn free() -> Result<SocketAddr> {
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()?)))
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
