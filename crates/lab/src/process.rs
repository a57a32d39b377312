//! A child process that never outlives the value that stands for it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

/// How long a server may take until it answers; slow machines are slow.
pub const START: Duration = Duration::from_secs(60);
/// How often a condition without a notification is looked at again.
const LOOK: Duration = Duration::from_millis(10);
/// How much of a log is shown when something went wrong.
const TAIL: usize = 6_000;
/// How many lines of output may wait to be read; then the process waits.
const LINES: usize = 4_096;

/// A running program: its own process group, its output in a file, killed on drop.
pub struct Process {
    name: String,
    child: Child,
    group: Option<Pid>,
    log: PathBuf,
}

/// What to run. `setpriv` gives the child a death signal, so that it ends even if this process is killed.
pub fn command(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

impl Process {
    /// Starts a [`command`], standard output and error to `log`, standard input closed.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Result<Process> {
        let out = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let err = out.try_clone()?;
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        Process::spawn(name, command, log)
    }

    /// Starts a [`command`] with standard input and output connected to this process and errors to `log`.
    pub fn start_piped(name: &str, command: &mut Command, log: &Path) -> Result<Process> {
        let err = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(err);
        Process::spawn(name, command, log)
    }

    fn spawn(name: &str, command: &mut Command, log: &Path) -> Result<Process> {
        let child = command.process_group(0).spawn().with_context(|| {
            let program = command.get_args().nth(3).map_or_else(|| command.get_program(), OsStr::new);
            format!("cannot start {name} ({})", program.to_string_lossy())
        })?;
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        Ok(Process { name: name.to_owned(), child, group, log: log.to_owned() })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Standard input of a piped process, once.
    pub fn take_stdin(&mut self) -> Result<std::process::ChildStdin> {
        self.child.stdin.take().with_context(|| format!("{} has no standard input", self.name))
    }

    /// Standard output of a piped process, line by line, once.
    pub fn lines(&mut self) -> Result<Receiver<String>> {
        let out = self.child.stdout.take().with_context(|| format!("{} has no standard output", self.name))?;
        let (send, receive) = mpsc::sync_channel(LINES);
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(receive)
    }

    /// Waits until the process listens at an address.
    pub fn await_port(&mut self, address: SocketAddr) -> Result<()> {
        let name = format!("{} to listen on {address}", self.name);
        self.await_that(&name, |_| Ok(TcpStream::connect(address).is_ok()))
    }

    /// Waits until a condition holds, as long as the process lives.
    pub fn await_that(&mut self, what: &str, mut holds: impl FnMut(&mut Process) -> Result<bool>) -> Result<()> {
        let deadline = Instant::now() + START;
        while !holds(self)? {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended ({status}) while waiting for {what}\n{}", self.name, self.log_tail());
            }
            if Instant::now() > deadline {
                bail!("waited {START:?} in vain for {what}\n{}", self.log_tail());
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits for its own end.
    pub fn await_end(&mut self, within: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("{} still runs after {within:?}\n{}", self.name, self.log_tail());
            }
            thread::sleep(LOOK);
        }
    }

    /// Sends a signal to the whole group.
    pub fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // The group may be gone already, which is what was wanted.
            let _ = kill_process_group(group, signal);
        }
    }

    /// Asks it to end, and makes it end when it does not within the time.
    pub fn stop(&mut self, within: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM);
        match self.await_end(within) {
            Ok(status) => Ok(status),
            Err(_) => self.kill(),
        }
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::KILL);
        self.child.wait().with_context(|| format!("cannot wait for {}", self.name))
    }

    /// The end of what it wrote.
    pub fn log_tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let tail = String::from_utf8_lossy(&text[text.len().saturating_sub(TAIL)..]).into_owned();
        format!("--- {} wrote:\n{tail}", self.name)
    }

    /// The file it writes to.
    pub fn log(&self) -> &Path {
        &self.log
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.kill();
        } else {
            self.signal(Signal::KILL);
        }
        if thread::panicking() {
            show(&self.log_tail());
        }
    }
}

/// A failing test prints the logs of everything it ran.
#[allow(clippy::print_stderr, reason = "the test runner captures it and shows it on failure")]
fn show(text: &str) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(directory: &Path) -> Process {
        let mut sleep = command(Path::new("sleep"));
        Process::start("sleep", sleep.arg("600"), &directory.join("log")).unwrap()
    }

    fn runs(id: u32) -> bool {
        Path::new(&format!("/proc/{id}/stat")).exists()
    }

    #[test]
    fn drop_ends_the_process() {
        let directory = tempfile::tempdir().unwrap();
        let process = sleeper(directory.path());
        let id = process.id();
        assert!(runs(id));
        drop(process);
        assert!(!runs(id));
    }

    #[test]
    fn an_early_end_is_reported_with_the_log() {
        let directory = tempfile::tempdir().unwrap();
        let mut shell = command(Path::new("sh"));
        shell.args(["-c", "echo the port is taken; exit 3"]);
        let mut process = Process::start("server", &mut shell, &directory.path().join("log")).unwrap();
        let error = process.await_that("readiness", |_| Ok(false)).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("the port is taken"), "{error}");
    }
}
