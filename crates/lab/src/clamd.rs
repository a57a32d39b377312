//! clamd with a database of its own: the EICAR test file, and a sample that nothing else knows.

use std::fmt::Write;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::process::{self, Process};
use crate::{ports, tools};

/// Text that this clamd takes for malware and that is none.
pub const SAMPLE: &str = "portcullis-lab-sample-that-only-clamd-knows";

/// A running clamd.
pub struct Clamd {
    process: Process,
    /// Where it takes INSTREAM.
    pub address: SocketAddr,
}

impl Clamd {
    /// Starts one with its files in a directory and waits until it answers.
    pub fn start(directory: &Path) -> Result<Clamd> {
        let program = tools::find("clamd")?;
        let database = directory.join("database");
        fs::create_dir_all(&database).with_context(|| format!("cannot make {}", database.display()))?;
        let sample = eicar();
        let mut hash = String::new();
        for byte in Sha256::digest(&sample) {
            write!(hash, "{byte:02x}")?;
        }
        fs::write(database.join("test.hsb"), format!("{hash}:{}:Test.Eicar.Hash:73\n", sample.len()))?;
        let mut body = String::new();
        for byte in &sample[sample.len() - 40..] {
            write!(body, "{byte:02x}")?;
        }
        let mut own = String::new();
        for byte in SAMPLE.bytes() {
            write!(own, "{byte:02x}")?;
        }
        let bodies = format!("Test.Eicar.Body:0:*:{body}\nTest.Sample:0:*:{own}\n");
        fs::write(database.join("test.ndb"), bodies)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()?));
        let config = directory.join("clamd.conf");
        let text = format!(
            "Foreground yes\nTCPSocket {}\nTCPAddr 127.0.0.1\nDatabaseDirectory {}\nTemporaryDirectory {}\n\
             OfficialDatabaseOnly no\nStreamMaxLength 50M\nMaxThreads 2\n",
            address.port(),
            database.display(),
            directory.display()
        );
        fs::write(&config, text)?;
        let mut command = process::command(&program);
        command.arg("--config-file").arg(&config);
        let mut process = Process::start("clamd", &mut command, &directory.join("clamd.out"))?;
        process.await_port(address)?;
        Ok(Clamd { process, address })
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// The EICAR test file, put together here so that this source is not itself taken for one.
pub fn eicar() -> Vec<u8> {
    ["X5O!P%@AP[4\\PZX54(P^)7CC)7}$", "EICAR-STANDARD-", "ANTIVIRUS-TEST-FILE!$H+H*"].concat().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eicar_is_the_68_bytes_everyone_knows() {
        let sample = eicar();
        assert_eq!(sample.len(), 68);
        assert!(Sha256::digest(&sample)[..4] == [0x27, 0x5a, 0x02, 0x1b]);
    }
}
