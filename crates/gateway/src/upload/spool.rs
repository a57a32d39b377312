//! Where files lie while they are checked: one directory, files for the owner only, with bounds on what lies there.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tempfile::TempPath;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, SeekFrom};
use tokio::time::Instant;

use super::Limits;

/// Names of spooled files begin so.
const PREFIX: &str = "file-";
/// Bytes that are read or written at once.
const CHUNK: usize = 64 * 1024;

/// The spool directory.
#[derive(Debug)]
pub(super) struct Spool {
    dir: PathBuf,
    most: u64,
    most_per_account: u64,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    total: u64,
    by_account: HashMap<Box<str>, u64>,
}

/// There is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SpoolFull {
    /// All files together.
    Total,
    /// One account's.
    Account,
}

/// Room that was set aside; given back when dropped.
#[derive(Debug)]
pub(super) struct Room {
    spool: Arc<Spool>,
    account: Option<Box<str>>,
    bytes: u64,
}

impl Spool {
    /// Opens the directory and removes what a crash left there.
    pub(super) fn open(dir: &Path, limits: &Limits) -> io::Result<Arc<Spool>> {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) && entry.file_type()?.is_file() {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(Arc::new(Spool {
            dir: dir.to_owned(),
            most: limits.spool_bytes,
            most_per_account: limits.spool_bytes_per_account,
            used: Mutex::default(),
        }))
    }

    /// Sets room aside.
    pub(super) fn room(self: &Arc<Self>, account: Option<&str>, bytes: u64) -> Result<Room, SpoolFull> {
        let mut room = Room { spool: Arc::clone(self), account: account.map(Into::into), bytes: 0 };
        room.grow(bytes)?;
        Ok(room)
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> u64 {
        self.used.lock().total
    }
}

impl Room {
    /// Sets more aside.
    fn grow(&mut self, bytes: u64) -> Result<(), SpoolFull> {
        let mut used = self.spool.used.lock();
        let hit = |limit: &'static str| {
            metrics::counter!("portcullis_limit_hits_total", "limit" => limit).increment(1);
        };
        let total = used.total.saturating_add(bytes);
        if total > self.spool.most {
            hit("upload.spool_bytes");
            return Err(SpoolFull::Total);
        }
        if let Some(account) = &self.account {
            let own = used.by_account.get(account).copied().unwrap_or(0).saturating_add(bytes);
            if own > self.spool.most_per_account {
                hit("upload.spool_bytes_per_account");
                return Err(SpoolFull::Account);
            }
            used.by_account.insert(account.clone(), own);
        }
        used.total = total;
        self.bytes += bytes;
        metrics::gauge!("portcullis_upload_spool_bytes").set(total as f64);
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut used = self.spool.used.lock();
        used.total = used.total.saturating_sub(self.bytes);
        metrics::gauge!("portcullis_upload_spool_bytes").set(used.total as f64);
        if let Some(account) = self.account.take()
            && let Entry::Occupied(mut own) = used.by_account.entry(account)
        {
            *own.get_mut() = own.get().saturating_sub(self.bytes);
            if *own.get() == 0 {
                own.remove();
            }
        }
    }
}

/// A file being written.
pub(super) struct Spooling {
    file: File,
    path: TempPath,
    hasher: Sha256,
    size: u64,
    room: Room,
}

/// A file was not spooled.
#[derive(Debug, thiserror::Error)]
pub(super) enum SpoolFault {
    /// No room.
    #[error("the spool is full")]
    Full,
    /// The disk.
    #[error("spool: {0}")]
    Io(#[from] io::Error),
}

impl Spooling {
    /// A new file that takes the room as it grows, and more where there is.
    pub(super) async fn create(room: Room) -> io::Result<Spooling> {
        let dir = room.spool.dir.clone();
        let made = tokio::task::spawn_blocking(move || tempfile::Builder::new().prefix(PREFIX).tempfile_in(dir)).await;
        let (file, path) = made.map_err(io::Error::other)??.into_parts();
        let mut file = File::from_std(file);
        file.set_max_buf_size(CHUNK);
        Ok(Spooling { file, path, hasher: Sha256::new(), size: 0, room })
    }

    /// Bytes so far.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Adds bytes.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), SpoolFault> {
        let size = self.size + bytes.len() as u64;
        if size > self.room.bytes {
            let step = (size - self.room.bytes).max(1024 * 1024);
            self.room.grow(step).map_err(|_| SpoolFault::Full)?;
        }
        self.hasher.update(bytes);
        self.file.write_all(bytes).await?;
        self.size = size;
        Ok(())
    }

    /// The file is complete.
    pub(super) async fn finish(mut self) -> io::Result<Spooled> {
        self.file.flush().await?;
        Ok(Spooled { path: self.path, size: self.size, sha256: self.hasher.finalize().into(), _room: self.room })
    }
}

/// A complete file; removed when dropped.
#[derive(Debug)]
pub(super) struct Spooled {
    path: TempPath,
    pub(super) size: u64,
    pub(super) sha256: [u8; 32],
    _room: Room,
}

impl Spooled {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes `start..end`, in chunks; the file stays as long as the stream, which breaks off at the deadline, so that
    /// slow readers can't keep the spool full.
    pub(super) async fn read(
        self: &Arc<Self>,
        start: u64,
        end: u64,
        deadline: Instant,
    ) -> io::Result<impl Stream<Item = io::Result<Bytes>> + Send + use<>> {
        let mut file = File::open(&*self.path).await?;
        file.set_max_buf_size(CHUNK);
        file.seek(SeekFrom::Start(start)).await?;
        let keep = Arc::clone(self);
        let left = end.min(self.size).saturating_sub(start);
        Ok(stream::try_unfold((file, left, keep), move |(mut file, left, keep)| async move {
            if left == 0 {
                return Ok(None);
            }
            if Instant::now() >= deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let want = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
            let mut chunk = BytesMut::with_capacity(want);
            let read = (&mut file).take(want as u64).read_buf(&mut chunk).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Ok(Some((chunk.freeze(), (file, left - read as u64, keep))))
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use futures_util::TryStreamExt;

    use super::*;

    fn small(dir: &Path) -> Arc<Spool> {
        let limits = Limits { spool_bytes: 10, spool_bytes_per_account: 6, ..Limits::default() };
        Spool::open(dir, &limits).unwrap()
    }

    #[test]
    fn room_is_bounded_and_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let spool = small(dir.path());
        let a = spool.room(Some("a"), 6).unwrap();
        assert_eq!(spool.room(Some("a"), 1).unwrap_err(), SpoolFull::Account);
        let b = spool.room(None, 4).unwrap();
        assert_eq!(spool.room(Some("b"), 1).unwrap_err(), SpoolFull::Total);
        drop((a, b));
        assert_eq!(spool.used(), 0);
        assert!(spool.used.lock().by_account.is_empty());
    }

    #[tokio::test]
    async fn a_file_is_private_hashed_read_in_parts_and_gone_when_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let spool = small(dir.path());
        let mut writing = Spooling::create(spool.room(None, 6).unwrap()).await.unwrap();
        writing.write(b"abc").await.unwrap();
        writing.write(b"def").await.unwrap();
        assert!(matches!(writing.write(b"12345").await, Err(SpoolFault::Full)));
        let spooled = Arc::new(writing.finish().await.unwrap());
        let path = spooled.path().to_owned();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(spooled.sha256, <[u8; 32]>::from(Sha256::digest(b"abcdef")));
        let deadline = Instant::now() + std::time::Duration::from_secs(30);
        let parts: Vec<Bytes> = spooled.read(2, 5, deadline).await.unwrap().try_collect().await.unwrap();
        assert_eq!(parts.concat(), b"cde");
        let late: io::Result<Vec<Bytes>> = spooled.read(2, 5, Instant::now()).await.unwrap().try_collect().await;
        assert_eq!(late.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(spooled);
        assert!(!path.exists());
        assert_eq!(spool.used(), 0);
    }

    #[test]
    fn what_a_crash_left_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file-old"), b"x").unwrap();
        std::fs::write(dir.path().join("note.txt"), b"x").unwrap();
        small(dir.path());
        assert!(!dir.path().join("file-old").exists());
        assert!(dir.path().join("note.txt").exists());
    }
}
