//! `cargo xtask bench`: the benchmarks of the crates, and with `--process` what the whole program costs
//! before a real server: processor time a message, memory an idle connection.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};
use lab::gateway::{Gateway, Settings};
use lab::prosody::{Options, Prosody};
use lab::raw::Raw;
use lab::tls::Authority;
use lab::{Account, DOMAIN};

use crate::{install, shell};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Measure the whole process instead of the crates.
    #[arg(long)]
    process: bool,
    /// Messages to send through it.
    #[arg(long, default_value_t = 20_000)]
    messages: u32,
    /// Idle connections to hold.
    #[arg(long, default_value_t = 200)]
    idle: u32,
}

/// Messages written before the reader is asked whether it has them all.
const BATCH: u32 = 200;
/// Clock ticks a second in `/proc`: fixed on every Linux that Rust runs on.
const TICKS: f64 = 100.0;

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if !arguments.process {
        return shell::run(shell::cargo().args(["bench", "--workspace", "--locked", "--benches"]));
    }
    install::packages(true)?;
    shell::run(shell::cargo().args(["build", "--release", "--locked", "--package", "portcullis"]))?;
    let target = shell::target()?;
    let directory = target.join("bench");
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    fs::create_dir_all(&directory)?;
    let authority = Authority::make(&directory, "Portcullis bench authority")?;
    let certificate = authority.issue(&directory, "server")?;
    let [alice, bob] = [Account::new("alice", "pw-alice"), Account::new("bob", "pw-bob")];
    let prosody = Prosody::start(&directory, &certificate, &Options::testing(vec![alice.clone(), bob.clone()]))?;
    let program = target.join("release/portcullis");
    let settings = Settings {
        upstream: prosody.starttls,
        upstream_ca: authority.file.clone(),
        certificate,
        policy: None,
        lists: Vec::new(),
        clamd: None,
        more: String::new(),
    };
    let mut gateway = Gateway::start(&program, &directory, &settings)?;
    let id = gateway.process().id();

    let mut from = Raw::session(gateway.address, &authority.file, &alice, "bench")?;
    let mut to = Raw::session(gateway.address, &authority.file, &bob, "bench")?;
    to.write(b"<presence/>")?;
    to.until(b"<presence")?;
    talk(&mut from, &mut to, BATCH)?;
    let (before, start) = (processor_seconds(id)?, Instant::now());
    let sent = talk(&mut from, &mut to, arguments.messages)?;
    let (busy, took) = (processor_seconds(id)? - before, start.elapsed().as_secs_f64());
    println!(
        "{sent} messages in {took:.2} s: {:.0} a second, {:.1} us of processor time each",
        f64::from(sent) / took,
        busy * 1e6 / f64::from(sent)
    );

    let empty = resident_kilobytes(id)?;
    let mut held = Vec::new();
    for number in 0..arguments.idle {
        held.push(Raw::session(gateway.address, &authority.file, &alice, &format!("idle{number}"))?);
    }
    let full = resident_kilobytes(id)?;
    println!("{} idle connections: {:.1} kB each", held.len(), (full - empty) / f64::from(arguments.idle.max(1)));
    Ok(())
}

fn talk(from: &mut Raw, to: &mut Raw, messages: u32) -> Result<u32> {
    let mut sent = 0;
    while sent < messages {
        let mut batch = String::new();
        for number in 0..BATCH {
            let body = format!("Message {} of the measurement, about as long as people write", sent + number);
            batch.push_str(&format!(
                "<message type='chat' to='bob@{DOMAIN}/bench' id='m{number}'><body>{body}</body></message>"
            ));
        }
        from.write(batch.as_bytes())?;
        sent += BATCH;
        to.until(format!("Message {} of", sent - 1).as_bytes())?;
    }
    Ok(sent)
}

/// User and system time of a process, from `/proc/ID/stat`: the 14th and 15th field.
fn processor_seconds(id: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let behind_name = stat.rsplit_once(')').context("no process name in /proc")?.1;
    let ticks: f64 =
        behind_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    Ok(ticks / TICKS)
}

fn resident_kilobytes(id: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS in /proc")?;
    let number = line.split_whitespace().nth(1).context("VmRSS has no value")?;
    Ok(number.parse()?)
}
