//! ejabberd on loopback, run without a node name, so that no Erlang port mapper stays behind.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::process::{self, Process};
use crate::tls::Certificate;
use crate::{Account, DOMAIN, ROOMS, UPLOADS, http, ports, tools};

/// A running ejabberd.
pub struct Ejabberd {
    process: Process,
    /// Where clients connect with STARTTLS.
    pub starttls: SocketAddr,
    /// Where clients connect with direct TLS.
    pub direct: SocketAddr,
    /// Where its upload service answers, without TLS.
    pub http: SocketAddr,
}

/// Whether it offers SASL mechanisms with channel binding, which a gateway that ends TLS cannot keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelBinding {
    /// As ejabberd comes.
    Offered,
    /// As behind Portcullis.
    Disabled,
}

impl Ejabberd {
    /// Starts one with its data in a directory and waits until it answers.
    pub fn start(
        directory: &Path,
        certificate: &Certificate,
        accounts: &[Account],
        binding: ChannelBinding,
    ) -> Result<Ejabberd> {
        let (erl, libraries) = locate()?;
        for part in ["database", "log", "uploads"] {
            fs::create_dir_all(directory.join(part)).with_context(|| format!("cannot make {part}"))?;
        }
        let [starttls, direct, http] = [address()?, address()?, address()?];
        let config = directory.join("ejabberd.yml");
        fs::write(&config, configuration(directory, certificate, binding, [starttls, direct, http]))?;
        let mut command = process::command(&erl);
        command
            .args(["-noinput", "-mnesia", "dir"])
            .arg(format!("\"{}\"", directory.join("database").display()))
            .args(["-s", "ejabberd"])
            .env("EJABBERD_CONFIG_PATH", &config)
            .env("EJABBERD_LOG_PATH", directory.join("log/ejabberd.log"))
            .env("ERL_LIBS", libraries)
            .env("ERL_CRASH_DUMP_BYTES", "0")
            .env("HOME", directory);
        let mut process = Process::start("ejabberd", &mut command, &directory.join("ejabberd.out"))?;
        for listener in [http, starttls, direct] {
            process.await_port(listener)?;
        }
        for account in accounts {
            register(http, account)?;
        }
        Ok(Ejabberd { process, starttls, direct, http })
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

fn address() -> Result<SocketAddr> {
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()?)))
}

/// The Erlang emulator and the library directory that `ejabberdctl` would use; the script itself insists on
/// a user of its own.
fn locate() -> Result<(PathBuf, String)> {
    let script = tools::find("ejabberdctl")?;
    let text = fs::read_to_string(&script).with_context(|| format!("cannot read {}", script.display()))?;
    let libraries = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("ERL_LIBS="))
        .map(|value| value.trim_matches(['\'', '"']).to_owned())
        .with_context(|| format!("{} does not say where ejabberd's libraries are", script.display()))?;
    Ok((tools::find("erl")?, libraries))
}

/// Registers through the HTTP API, which is open to loopback in this configuration.
fn register(address: SocketAddr, account: &Account) -> Result<()> {
    let body = serde_json::json!({ "user": account.user, "host": DOMAIN, "password": account.password }).to_string();
    let answer = http::post(address, DOMAIN, "/api/register", &body)?;
    ensure!(answer.status == 200, "ejabberd could not create {}: {}", account.jid(), answer.body);
    Ok(())
}

fn configuration(
    directory: &Path,
    certificate: &Certificate,
    binding: ChannelBinding,
    [starttls, direct, http]: [SocketAddr; 3],
) -> String {
    let directory = directory.display();
    let (chain, key) = (certificate.chain.display(), certificate.key.display());
    let (starttls, direct, http) = (starttls.port(), direct.port(), http.port());
    let binding = match binding {
        ChannelBinding::Offered => "",
        ChannelBinding::Disabled => {
            "disable_sasl_mechanisms: [ SCRAM-SHA-1-PLUS, SCRAM-SHA-256-PLUS, SCRAM-SHA-512-PLUS, X-OAUTH2 ]\n"
        }
    };
    format!(
        r#"# Generated: an ejabberd that only Portcullis speaks to.
hosts: [ "{DOMAIN}" ]
loglevel: info
certfiles: [ "{chain}", "{key}" ]
{binding}auth_method: internal
auth_password_format: plain
registration_timeout: infinity
listen:
  - {{ port: {starttls}, ip: "127.0.0.1", module: ejabberd_c2s, backlog: 1024, max_stanza_size: 262144, starttls_required: true, shaper: none, access: c2s }}
  - {{ port: {direct}, ip: "127.0.0.1", module: ejabberd_c2s, backlog: 1024, max_stanza_size: 262144, tls: true, shaper: none, access: c2s }}
  - port: {http}
    ip: "127.0.0.1"
    module: ejabberd_http
    request_handlers: {{ /upload: mod_http_upload, /api: mod_http_api }}
acl:
  local: {{ user_regexp: "" }}
access_rules:
  c2s: {{ allow: all }}
  local: {{ allow: local }}
  register: {{ allow: all }}
api_permissions:
  loopback: {{ from: mod_http_api, who: {{ ip: "127.0.0.0/8" }}, what: "register" }}
shaper_rules:
  max_user_sessions: 100
modules:
  mod_blocking: {{}}
  mod_caps: {{}}
  mod_carboncopy: {{}}
  mod_client_state: {{}}
  mod_disco: {{}}
  mod_http_api: {{}}
  mod_http_upload: {{ host: "{UPLOADS}", put_url: "http://127.0.0.1:{http}/upload", docroot: "{directory}/uploads", max_size: 16777216 }}
  mod_mam: {{ assume_mam_usage: true, default: always }}
  mod_muc: {{ host: "{ROOMS}", access: [ allow ], access_create: [ allow: local ], default_room_options: {{ mam: true }} }}
  mod_offline: {{}}
  mod_ping: {{}}
  mod_privacy: {{}}
  mod_private: {{}}
  mod_pubsub: {{ plugins: [ flat, pep ] }}
  mod_roster: {{ versioning: true }}
  mod_stream_mgmt: {{ resend_on_timeout: if_offline }}
  mod_vcard: {{}}
  mod_version: {{}}
"#
    )
}
