//! Signed heads: "chain `writer` had at record `seq` the hash `hash`", signed.
//!
//! A bare chain proves nothing against who can write the database: they compute
//! it anew. A head that was copied elsewhere cannot be computed anew without
//! the key, and not be undone with it. So heads are kept in the database *and*
//! appended to a plain file ([`Heads`]) that a log shipper can carry away.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::chain::{ChainHash, Tip};

const HEAD: &[u8] = b"portcullis head 1\0";

/// How much of the end of the heads file is looked at when a journal is opened.
const LOOK_BACK: u64 = 1 << 20;

/// A line of `heads.jsonl` longer than this is none of ours.
const MAX_LINE: usize = 1_024;

/// A signed statement about a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Whose chain.
    pub writer: Box<str>,
    /// Up to which record, inclusive.
    pub seq: u64,
    /// The hash of that record.
    pub hash: ChainHash,
    /// When it was signed, in whole microseconds.
    pub time: Timestamp,
    /// Which key signed: the first 8 bytes of the SHA-256 of the public key, in hexadecimal.
    pub key: Box<str>,
    /// Ed25519 signature over [`Head::message`], 128 hexadecimal digits.
    pub signature: Box<str>,
}

impl Head {
    /// The bytes that are signed: a domain separator, the length of the
    /// writer's name and the name, sequence, hash, time in microseconds; numbers
    /// big endian.
    pub fn message(writer: &str, tip: &Tip, time: Timestamp) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD.len() + 8 + writer.len() + 8 + 32 + 8);
        out.extend_from_slice(HEAD);
        out.extend_from_slice(&(writer.len() as u64).to_be_bytes());
        out.extend_from_slice(writer.as_bytes());
        out.extend_from_slice(&tip.seq.to_be_bytes());
        out.extend_from_slice(&tip.hash.0);
        out.extend_from_slice(&time.as_microsecond().to_be_bytes());
        out
    }

    /// What it is about.
    pub fn tip(&self) -> Tip {
        Tip { seq: self.seq, hash: self.hash }
    }

    /// Reads one line of a heads file.
    pub fn parse(line: &str) -> Option<Head> {
        if line.len() > MAX_LINE {
            return None;
        }
        serde_json::from_str(line).ok()
    }

    /// The line that [`Head::parse`] reads, without its end.
    pub fn line(&self) -> String {
        // A struct of strings and numbers always has a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The file that signed heads are appended to.
///
/// It is opened anew for each head (one a minute or so), so that it may be
/// moved away by log rotation at any time.
#[derive(Debug)]
pub struct Heads {
    path: PathBuf,
}

impl Heads {
    /// The heads file at a path; created with mode 0600 at the first append.
    pub fn at(path: impl Into<PathBuf>) -> Heads {
        Heads { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends lines in one write and brings them to the device. A line torn by
    /// a crash is closed off first, so that it spoils no other.
    pub fn append(&self, lines: &[String]) -> io::Result<()> {
        let mut file = OpenOptions::new().create(true).read(true).append(true).mode(0o600).open(&self.path)?;
        let mut text = String::new();
        if !ends_a_line(&mut file)? {
            text.push('\n');
        }
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        file.write_all(text.as_bytes())?;
        file.sync_data()
    }

    /// The newest head of a writer near the end of the file.
    pub(crate) fn newest(&self, writer: &str) -> Result<Option<Head>, Error> {
        let text = match read_end(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(&self.path)(error)),
        };
        let heads = text.lines().filter_map(Head::parse).filter(|head| &*head.writer == writer);
        Ok(heads.max_by_key(|head| head.seq))
    }

    /// Every head in the file, in its order, and the number of lines that are none.
    pub(crate) fn read_all(&self) -> Result<(Vec<Head>, u64), Error> {
        let file = File::open(&self.path).map_err(Error::io(&self.path))?;
        let mut heads = Vec::new();
        let mut unreadable = 0;
        for line in Lines(io::BufReader::new(file)) {
            match line.map_err(Error::io(&self.path))? {
                Some(line) if line.trim().is_empty() => {}
                Some(line) => match Head::parse(&line) {
                    Some(head) => heads.push(head),
                    None => unreadable += 1,
                },
                None => unreadable += 1,
            }
        }
        Ok((heads, unreadable))
    }
}

/// Lines of bounded length; a longer one, or one that is not UTF-8, is `None`.
struct Lines<R>(io::BufReader<R>);

impl<R: Read> Iterator for Lines<R> {
    type Item = io::Result<Option<String>>;

    fn next(&mut self) -> Option<Self::Item> {
        use io::BufRead;
        let mut line = Vec::new();
        let mut whole = true;
        loop {
            let chunk = match self.0.fill_buf() {
                Ok([]) if line.is_empty() && whole => return None,
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Some(Err(error)),
            };
            let end = chunk.iter().position(|b| *b == b'\n');
            let part = &chunk[..end.unwrap_or(chunk.len())];
            if line.len() + part.len() <= MAX_LINE {
                line.extend_from_slice(part);
            } else {
                whole = false;
            }
            let at_end = chunk.is_empty();
            let used = part.len() + usize::from(end.is_some());
            self.0.consume(used);
            if end.is_some() || at_end {
                return Some(Ok(if whole { String::from_utf8(line).ok() } else { None }));
            }
        }
    }
}

fn ends_a_line(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

fn read_end(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(LOOK_BACK)))?;
    let mut bytes = Vec::new();
    file.take(LOOK_BACK).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Signer;

    #[test]
    fn a_torn_line_and_a_huge_one_spoil_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let signer = Signer::open(dir.path()).unwrap();
        let head = |seq| signer.sign("gw", &Tip { seq, hash: ChainHash([7; 32]) }, Timestamp::UNIX_EPOCH);
        let heads = Heads::at(dir.path().join("heads.jsonl"));
        heads.append(&[head(1).line()]).unwrap();
        let torn = format!("{}\n{{\"writer\":\"gw\",\"se", "x".repeat(100_000));
        OpenOptions::new().append(true).open(heads.path()).unwrap().write_all(torn.as_bytes()).unwrap();
        heads.append(&[head(2).line(), head(3).line()]).unwrap();

        let (all, unreadable) = heads.read_all().unwrap();
        assert_eq!(all, [head(1), head(2), head(3)]);
        assert_eq!(unreadable, 2);
        assert_eq!(heads.newest("gw").unwrap(), Some(head(3)));
        assert_eq!(heads.newest("other").unwrap(), None);
    }
}
