//! The seam to the judgement of files, and the memory of what was decided about files at the server.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use model::Effect;
use parking_lot::Mutex;

/// Which way a file crosses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crossing {
    /// A client's PUT; the server has no copy yet.
    Upload,
    /// The first GET of a file that lies at the server.
    Download,
}

/// A file that waits for its verdict, complete on disk.
#[derive(Clone, Debug)]
pub struct UploadedFile {
    /// Which way it crosses.
    pub crossing: Crossing,
    /// The bare address of who uploads it; unknown at a download.
    pub account: Option<String>,
    /// The chat domain whose server keeps it.
    pub domain: String,
    /// Name as the uploader or the URL gives it, decoded; untrusted.
    pub name: Option<String>,
    /// Media type as claimed.
    pub claimed_type: Option<String>,
    /// Size in bytes.
    pub size: u64,
    /// Where it lies until the verdict is there.
    pub path: PathBuf,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// The URL under which the server has it or will have it.
    pub url: String,
}

/// What is done with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileVerdict {
    /// `Allow` and `Warn` let it pass; a file can't be redacted, so everything else stops it.
    pub effect: Effect,
    /// What the person is told when it is stopped.
    pub notice: Option<Arc<str>>,
    /// Whether the decision may be kept for the next GET. Not where a lookup failed and only `OnFault` decided.
    pub is_final: bool,
}

impl FileVerdict {
    /// Lets the file pass.
    pub fn allow() -> FileVerdict {
        FileVerdict { effect: Effect::Allow, notice: None, is_final: true }
    }

    /// What the decision comes down to.
    pub fn ruling(&self) -> Ruling {
        match self.effect {
            Effect::Allow | Effect::Warn => Ruling::Pass,
            Effect::Redact | Effect::Quarantine | Effect::Block | Effect::Disconnect => {
                Ruling::Stop(self.notice.clone().unwrap_or_else(|| "this file may not be shared".into()))
            }
        }
    }
}

/// A decision on its way.
pub type Judging<'a> = Pin<Box<dyn Future<Output = FileVerdict> + Send + 'a>>;

/// Decides on files. Infallible: what can't be found out is decided by `OnFault` behind it.
pub trait FileJudge: Send + Sync {
    /// Decides on one file and records it. Dropping the future gives the decision up.
    fn judge(&self, file: UploadedFile) -> Judging<'_>;
    /// Version of the rules and indicators it decides by now: a decision is good for as long as they are.
    fn rules(&self) -> Arc<str>;
}

/// Pass or stop, with what to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// Serve it.
    Pass,
    /// Refuse it with this text.
    Stop(Arc<str>),
}

/// One state of one file at the server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VerdictKey {
    /// The server's URL.
    pub url: String,
    /// `ETag`, else `Last-Modified`: without either nothing is kept.
    pub validator: String,
    /// Size in bytes.
    pub length: u64,
    /// What it was decided by ([`FileJudge::rules`]).
    pub rules: Arc<str>,
}

/// The memory of decisions on files at the server. Forgetting costs another check, nothing else. May block: it is
/// asked off the workers.
pub trait Verdicts: Send + Sync {
    /// What was decided about this state of the file.
    fn get(&self, key: &VerdictKey) -> Option<Ruling>;
    /// Keeps a decision.
    fn put(&self, key: &VerdictKey, ruling: &Ruling);
}

/// Decisions kept in memory only, the latest of them.
#[derive(Debug)]
pub struct MemoryVerdicts {
    kept: Mutex<crate::recent::Recent<VerdictKey, Ruling>>,
}

impl MemoryVerdicts {
    /// Keeps at most `capacity` decisions.
    pub fn new(capacity: usize) -> MemoryVerdicts {
        MemoryVerdicts { kept: Mutex::new(crate::recent::Recent::new(capacity, "upload.verdicts")) }
    }
}

impl Verdicts for MemoryVerdicts {
    fn get(&self, key: &VerdictKey) -> Option<Ruling> {
        self.kept.lock().get(key).cloned()
    }

    fn put(&self, key: &VerdictKey, ruling: &Ruling) {
        *self.kept.lock().entry(key.clone(), || ruling.clone()) = ruling.clone();
    }
}
