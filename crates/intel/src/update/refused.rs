//! Why an update was refused, in the words of TUF's list of attacks.

use jiff::Timestamp;

use super::{KeyId, Role};

/// A file of a repository that was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {attack}")]
pub struct Refused {
    /// The file.
    pub file: String,
    /// What it would have been.
    pub attack: Attack,
}

/// What was wrong. Each is also what an attacker would do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Attack {
    /// Nobody signed it.
    #[error("not signed by anybody")]
    Unsigned,
    /// Keys that count did sign it, but too few.
    #[error("{have} of the {need} signatures that the {role} role needs; have the others sign it")]
    TooFewSignatures {
        /// The role.
        role: Role,
        /// Good ones.
        have: u32,
        /// How many it takes.
        need: u32,
    },
    /// None of the keys that signed it counts.
    #[error("signed by key {key}, which does not count for the {role} role; is `root` that of this repository?")]
    UnknownKey {
        /// The role.
        role: Role,
        /// The first of them.
        key: KeyId,
    },
    /// A key signed it that once counted.
    #[error("signed by key {key}, which was taken out of the {role} role; publish anew with a key that counts")]
    KeyRevoked {
        /// The role.
        role: Role,
        /// The key.
        key: KeyId,
    },
    /// A key that counts is named, but the signature is not its.
    #[error("the signature of key {key} is wrong: the file was changed after it was signed")]
    WrongSignature {
        /// The key.
        key: KeyId,
    },
    /// Older than what was seen before.
    #[error("version {version}, but version {seen} was seen before: an old file is being served again")]
    Rollback {
        /// What it says.
        version: u64,
        /// The newest seen.
        seen: u64,
    },
    /// It should have been replaced by now.
    #[error("expired on {expires}: updates are being held back, or nobody publishes; refresh the timestamp")]
    Frozen {
        /// When it expired.
        expires: Timestamp,
    },
    /// The keys themselves are out of date.
    #[error("the root expired on {expires}; rotate it with `portcullis intel rotate-root`")]
    RootExpired {
        /// When.
        expires: Timestamp,
    },
    /// It was signed in the future.
    #[error("signed on {issued}, more than ten minutes from now; set the clock here or at the publisher")]
    FromTheFuture {
        /// When it says it was signed.
        issued: Timestamp,
    },
    /// Signed as it should be, but not the one that belongs to the others.
    #[error("version {found} where version {wanted} belongs: files of different releases are mixed")]
    MixAndMatch {
        /// What was named.
        wanted: u64,
        /// What was there.
        found: u64,
    },
    /// Two files for one version.
    #[error("not the version {version} that was seen before: the publisher or somebody in between says two things")]
    TwoFaced {
        /// The version.
        version: u64,
    },
    /// Longer than it may be.
    #[error("longer than the {most} bytes it may have")]
    EndlessData {
        /// What was allowed.
        most: u64,
    },
    /// Shorter or other bytes than were signed for.
    #[error("not the file that was signed for: its length or SHA-256 is another")]
    WrongHash,
    /// A root that does not follow from the one before.
    #[error("does not follow from root {from}: {why}")]
    BrokenRotation {
        /// The trusted root's version.
        from: u64,
        /// In which way.
        why: String,
    },
    /// A file that was signed for is not there.
    #[error("missing; the repository is incomplete")]
    Missing,
    /// It can't be read as what it should be.
    #[error("malformed: {why}")]
    Malformed {
        /// In which way.
        why: String,
    },
}

impl Attack {
    /// A short name, for metrics and state files.
    pub fn class(&self) -> &'static str {
        match self {
            Attack::Unsigned => "unsigned",
            Attack::TooFewSignatures { .. } => "too-few-signatures",
            Attack::UnknownKey { .. } => "unknown-key",
            Attack::KeyRevoked { .. } => "key-revoked",
            Attack::WrongSignature { .. } => "wrong-signature",
            Attack::Rollback { .. } => "rollback",
            Attack::Frozen { .. } => "frozen",
            Attack::RootExpired { .. } => "root-expired",
            Attack::FromTheFuture { .. } => "from-the-future",
            Attack::MixAndMatch { .. } => "mix-and-match",
            Attack::TwoFaced { .. } => "two-faced",
            Attack::EndlessData { .. } => "endless-data",
            Attack::WrongHash => "wrong-hash",
            Attack::BrokenRotation { .. } => "broken-rotation",
            Attack::Missing => "missing",
            Attack::Malformed { .. } => "malformed",
        }
    }

    /// Says which file it is about.
    pub fn of(self, file: &str) -> Refused {
        Refused { file: file.to_owned(), attack: self }
    }

    pub(crate) fn malformed(why: impl ToString) -> Attack {
        // What a stranger wrote must not fill a log.
        Attack::Malformed { why: why.to_string().chars().take(200).collect() }
    }
}
