//! The portcullis binary: command line, configuration, roles, shutdown.
#![cfg_attr(test, allow(clippy::unwrap_used))]
#![allow(unreachable_pub, reason = "a binary has no outside")]

mod commands;
mod config;
mod failure;
mod log;
mod roles;
mod web;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = commands::Cli::parse();
    // One TLS provider in the process, chosen once.
    let _already = rustls::crypto::ring::default_provider().install_default();
    match cli.run() {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}
