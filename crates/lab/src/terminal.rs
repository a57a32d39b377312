//! A terminal without a screen (tmux), for clients that are made for people.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::process::{self, Process};
use crate::tools;

const SESSION: &str = "it";

/// A program in a terminal of its own.
pub struct Terminal {
    server: Process,
    tmux: PathBuf,
    socket: PathBuf,
}

impl Terminal {
    /// Starts a program, with its home in a directory.
    pub fn start(directory: &Path, program: &str, arguments: &[&str]) -> Result<Terminal> {
        let program = tools::find(program)?;
        let tmux = tools::find("tmux")?;
        let socket = directory.join("tmux.socket");
        let mut command = process::command(&tmux);
        command.args(["-f", "/dev/null", "-D", "-S"]).arg(&socket).env("HOME", directory).env("LC_ALL", "C.UTF-8");
        command.env_remove("TMUX").env_remove("XDG_CONFIG_HOME").env_remove("XDG_DATA_HOME");
        let mut server = Process::start("tmux", &mut command, &directory.join("tmux.out"))?;
        server.await_that("tmux's socket", |_| Ok(socket.exists()))?;
        let mut terminal = Terminal { server, tmux, socket };
        let line: Vec<String> =
            std::iter::once(program.display().to_string()).chain(arguments.iter().map(|a| (*a).to_owned())).collect();
        let mut arguments = vec!["new-session", "-d", "-s", SESSION, "-x", "200", "-y", "50"];
        arguments.extend(line.iter().map(String::as_str));
        terminal.tmux(&arguments)?;
        Ok(terminal)
    }

    /// Types a line and the return key.
    pub fn enter(&mut self, line: &str) -> Result<()> {
        self.tmux(&["send-keys", "-t", SESSION, "-l", line])?;
        self.tmux(&["send-keys", "-t", SESSION, "Enter"]).map(drop)
    }

    /// What is on the screen.
    pub fn screen(&mut self) -> Result<String> {
        self.tmux(&["capture-pane", "-p", "-t", SESSION])
    }

    /// Waits until a text is on the screen.
    pub fn await_text(&mut self, text: &str) -> Result<()> {
        let (tmux, socket) = (self.tmux.clone(), self.socket.clone());
        let mut last = String::new();
        let waited = self.server.await_that(&format!("{text:?} on the screen"), |_| {
            last = ask(&tmux, &socket, &["capture-pane", "-p", "-t", SESSION])?;
            Ok(last.contains(text))
        });
        waited.with_context(|| format!("the screen shows:\n{last}"))
    }

    fn tmux(&mut self, arguments: &[&str]) -> Result<String> {
        ask(&self.tmux, &self.socket, arguments)
    }
}

fn ask(tmux: &Path, socket: &Path, arguments: &[&str]) -> Result<String> {
    let out = Command::new(tmux).arg("-S").arg(socket).args(arguments).output().context("cannot run tmux")?;
    ensure!(out.status.success(), "tmux {}: {}", arguments.join(" "), String::from_utf8_lossy(&out.stderr));
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}
