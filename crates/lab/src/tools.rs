//! The foreign programs that tests and `cargo xtask up` need: where they are, and how to get them.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A program and the Debian package it comes from.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    /// What is looked for in the search path.
    pub command: &'static str,
    /// Debian package.
    pub package: &'static str,
    /// Needed by `cargo xtask up` already, not only by the tests.
    pub for_up: bool,
}

/// Every program, one line each.
pub const TOOLS: &[Tool] = &[
    Tool { command: "prosody", package: "prosody", for_up: true },
    Tool { command: "setpriv", package: "util-linux", for_up: true },
    Tool { command: "ejabberdctl", package: "ejabberd", for_up: false },
    Tool { command: "clamd", package: "clamav-daemon", for_up: false },
    Tool { command: "go-sendxmpp", package: "go-sendxmpp", for_up: false },
    Tool { command: "profanity", package: "profanity", for_up: false },
    Tool { command: "tmux", package: "tmux", for_up: false },
];

/// Python packages that the clients run on, pinned: they are part of what is tested.
pub const PYTHON_PACKAGES: &[&str] = &["slixmpp==1.17.0"];

/// The variable that names a Python with [`PYTHON_PACKAGES`] instead of the one `cargo xtask test` makes.
pub const PYTHON_VARIABLE: &str = "PORTCULLIS_TEST_PYTHON";

/// Where a tool is.
pub fn find(command: &str) -> Result<PathBuf> {
    locate(command).with_context(|| {
        let package = TOOLS.iter().find(|tool| tool.command == command).map_or(command, |tool| tool.package);
        format!("{command} is not installed: run `cargo xtask test --install-only`, or `apt-get install {package}`")
    })
}

/// The tools that are missing here.
pub fn missing(only_for_up: bool) -> Vec<Tool> {
    TOOLS.iter().filter(|tool| (tool.for_up || !only_for_up) && locate(tool.command).is_none()).copied().collect()
}

/// The virtual environment of the Python clients in a cargo target directory.
pub fn python_home(target: &Path) -> PathBuf {
    target.join("python")
}

/// The Python interpreter that has slixmpp: the environment's choice, else the one made under `target`.
pub fn python(target: &Path) -> Result<PathBuf> {
    if let Some(chosen) = env::var_os(PYTHON_VARIABLE) {
        return Ok(PathBuf::from(chosen));
    }
    let made = python_home(target).join("bin/python3");
    anyhow::ensure!(
        made.is_file(),
        "no Python with slixmpp at {}: run `cargo xtask test --install-only`, or name one in {PYTHON_VARIABLE}",
        made.display()
    );
    Ok(made)
}

/// Daemons live in directories that a normal user's search path leaves out.
fn locate(command: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin"].map(PathBuf::from))
        .map(|directory| directory.join(command))
        .find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_says_how_to_get_it() {
        let error = find("no-such-program-here").unwrap_err().to_string();
        assert!(error.contains("apt-get install no-such-program-here"), "{error}");
    }

    #[test]
    fn a_missing_python_says_how_to_make_it() {
        if env::var_os(PYTHON_VARIABLE).is_none() {
            let error = python(Path::new("/nonexistent")).unwrap_err().to_string();
            assert!(error.contains("cargo xtask test --install-only"), "{error}");
        }
    }
}
