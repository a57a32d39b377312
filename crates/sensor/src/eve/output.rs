//! Where events go: standard output, or a file that is rotated by size.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// When a file is full and how many old ones are kept.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// Bytes after which a new file is begun; 0 is never.
    pub max_bytes: u64,
    /// Old files kept as `NAME.1` (the newest) to `NAME.n`.
    pub keep: usize,
}

/// An output of events.
#[derive(Debug)]
pub enum Output {
    /// Standard output.
    Stdout(io::Stdout),
    /// A file.
    File(Rotating),
}

/// A file with its predecessors.
#[derive(Debug)]
pub struct Rotating {
    path: PathBuf,
    file: File,
    written: u64,
    rotation: Rotation,
}

impl Output {
    /// `-` is standard output; anything else is a file, appended to.
    pub fn open(path: &Path, rotation: Rotation) -> io::Result<Output> {
        if path == Path::new("-") {
            return Ok(Output::Stdout(io::stdout()));
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let written = file.metadata()?.len();
        Ok(Output::File(Rotating { path: path.to_owned(), file, written, rotation }))
    }
}

impl Write for Output {
    /// Takes all of `bytes` or fails; a rotation happens between calls, so callers pass whole lines.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Output::Stdout(stdout) => stdout.lock().write_all(bytes)?,
            Output::File(file) => file.append(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Output::Stdout(stdout) => stdout.flush(),
            Output::File(file) => file.file.flush(),
        }
    }
}

impl Rotating {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let full = self.rotation.max_bytes > 0 && self.written + bytes.len() as u64 > self.rotation.max_bytes;
        if full && self.written > 0 {
            self.rotate()?;
        }
        self.file.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let numbered = |number: usize| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        for number in (1..self.rotation.keep).rev() {
            match std::fs::rename(numbered(number), numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if self.rotation.keep > 0 {
            std::fs::rename(&self.path, numbered(1))?;
        }
        self.file = OpenOptions::new().create(true).write(true).truncate(true).open(&self.path)?;
        self.written = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_files_move_up_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("eve.json");
        let mut output = Output::open(&path, Rotation { max_bytes: 10, keep: 2 }).unwrap();
        for line in ["one 1\n", "two 2\n", "three\n", "four \n"] {
            output.write_all(line.as_bytes()).unwrap();
        }
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("eve.json"), "four \n");
        assert_eq!(read("eve.json.1"), "three\n");
        assert_eq!(read("eve.json.2"), "two 2\n");
        assert!(!folder.path().join("eve.json.3").exists());
    }
}
