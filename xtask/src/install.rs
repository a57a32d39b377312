//! Installs what chores need and the machine lacks: Debian packages, and Python packages in a virtual
//! environment of their own under the target directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use lab::tools;

use crate::shell;

/// Keeps Debian from starting the servers that are installed: chores run their own, on loopback.
/// What was there before is left alone.
const APT_SCRIPT: &str = r#"
set -e
if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
apt-get -qq update
apt-get -qq -y --no-install-recommends install "$@" > /dev/null
if command -v systemctl > /dev/null; then
    for unit in prosody ejabberd clamav-daemon; do
        systemctl disable "$unit" > /dev/null 2>&1 || true
    done
fi
"#;

/// Makes sure of every tool; `only_for_up` leaves out what only tests need.
pub(crate) fn everything(only_for_up: bool) -> Result<()> {
    packages(only_for_up)?;
    python(&shell::target()?)
}

pub(crate) fn packages(only_for_up: bool) -> Result<()> {
    let mut names: Vec<&str> = tools::missing(only_for_up).iter().map(|tool| tool.package).collect();
    if std::env::var_os(tools::PYTHON_VARIABLE).is_none() && !python_makes_environments() {
        names.push("python3-venv");
    }
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Ok(());
    }
    let by_hand = format!("apt-get install {}", names.join(" "));
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!("missing programs, and this is not Debian: install what `{by_hand}` would");
    }
    println!("installing {}", names.join(", "));
    let mut install = as_root().with_context(|| format!("missing programs: run `{by_hand}` as root"))?;
    install.args(["sh", "-c", APT_SCRIPT, "sh"]).args(&names).env("DEBIAN_FRONTEND", "noninteractive");
    let status = install.stdin(std::process::Stdio::null()).status()?;
    anyhow::ensure!(status.success(), "packages could not be installed ({status}): try `{by_hand}` as root");
    Ok(())
}

/// A command prefix that runs the rest as root: nothing for root itself, else sudo where it needs no password.
fn as_root() -> Result<Command> {
    if rustix::process::geteuid().is_root() {
        return Ok(Command::new("env"));
    }
    if shell::succeeds(Command::new("sudo").args(["-n", "true"])) {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "env", "DEBIAN_FRONTEND=noninteractive"]);
        return Ok(sudo);
    }
    bail!("neither root nor sudo without a password");
}

/// Debian's own Python where there is one: it is what the packages fit.
fn python_program() -> PathBuf {
    let debian = Path::new("/usr/bin/python3");
    if debian.exists() { debian.to_owned() } else { PathBuf::from("python3") }
}

fn python_makes_environments() -> bool {
    shell::succeeds(Command::new(python_program()).args(["-c", "import venv, ensurepip"]))
}

/// Makes the Python environment of the clients, unless it is there with the right versions.
fn python(target: &Path) -> Result<()> {
    if std::env::var_os(tools::PYTHON_VARIABLE).is_some() {
        return Ok(());
    }
    let home = tools::python_home(target);
    let wanted = tools::PYTHON_PACKAGES.join("\n");
    let stamp = home.join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    println!("installing {} for {}", tools::PYTHON_PACKAGES.join(", "), home.display());
    shell::run(Command::new(python_program()).args(["-m", "venv", "--clear"]).arg(&home))?;
    shell::run(
        Command::new(home.join("bin/python3"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(tools::PYTHON_PACKAGES),
    )
    .context("the Python clients could not be installed: is PyPI within reach?")?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}
