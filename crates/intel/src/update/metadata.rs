//! The signed files: what each role says, and the envelope with the signatures around it.
//!
//! ```json
//! {"signatures":[{"keyid":"<64 digits>","sig":"<128 digits>"}],"signed":{"_type":"timestamp",...}}
//! ```
//!
//! Signatures are over the bytes of `signed` as they stand in the file, which have to be in canonical form.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::key::sha256_hex;
use super::{Attack, KeyId, PublicKey, SecretKey, canonical, disk};

/// The version of TUF's specification that the files follow.
pub(super) const SPEC: &str = "1.0.0";
/// Signatures of one file that are looked at; more are refused.
const MOST_SIGNATURES: usize = 64;
/// Keys in one root.
const MOST_KEYS: usize = 64;

/// Who says what in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Which keys count.
    Root,
    /// What is in the bundle; TUF's "targets".
    Release,
    /// Which release is the newest.
    Snapshot,
    /// Which snapshot is the newest.
    Timestamp,
}

impl Role {
    /// All of them, in the order of trust.
    pub const ALL: [Role; 4] = [Role::Root, Role::Release, Role::Snapshot, Role::Timestamp];

    /// Its name in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Root => "root",
            Role::Release => "release",
            Role::Snapshot => "snapshot",
            Role::Timestamp => "timestamp",
        }
    }

    /// The file that says version `version` of it.
    pub fn file(self, version: u64) -> String {
        match self {
            Role::Timestamp => "timestamp.json".to_owned(),
            role => format!("{version}.{role}.json"),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What every signed file begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// What it is.
    #[serde(rename = "_type")]
    pub role: Role,
    /// Version of the specification.
    pub spec_version: String,
    /// Its version; each is larger than the one before.
    pub version: u64,
    /// When it was signed.
    pub issued: Timestamp,
    /// Until when it holds.
    pub expires: Timestamp,
}

impl Header {
    /// A header of this specification, its times in whole seconds.
    pub fn new(role: Role, version: u64, issued: Timestamp, expires: Timestamp) -> Header {
        let whole = |time: Timestamp| Timestamp::from_second(time.as_second()).unwrap_or(Timestamp::UNIX_EPOCH);
        Header { role, spec_version: SPEC.to_owned(), version, issued: whole(issued), expires: whole(expires) }
    }
}

/// How many of which keys have to sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quorum {
    /// The keys.
    pub keyids: BTreeSet<KeyId>,
    /// How many of them.
    pub threshold: u32,
}

/// Which keys count for each role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// Version, time, expiry.
    #[serde(flatten)]
    pub header: Header,
    /// Snapshots and releases have their version in their name, bundle files their hash.
    pub consistent_snapshot: bool,
    /// Every key that a role names.
    pub keys: BTreeMap<KeyId, PublicKey>,
    /// Each role's quorum.
    pub roles: BTreeMap<Role, Quorum>,
}

impl Root {
    /// Whether it makes sense by itself: every role has a quorum that can be reached, and the online key is no other's.
    pub fn check(&self) -> Result<(), String> {
        if self.keys.len() > MOST_KEYS {
            return Err(format!("more than {MOST_KEYS} keys"));
        }
        if let Some((id, _)) = self.keys.iter().find(|(id, key)| !key.is_usable() || key.id() != **id) {
            return Err(format!("key {id} is not the key of that id"));
        }
        for role in Role::ALL {
            let Some(quorum) = self.roles.get(&role) else { return Err(format!("no keys for the {role} role")) };
            if let Some(id) = quorum.keyids.iter().find(|id| !self.keys.contains_key(*id)) {
                return Err(format!("key {id} of the {role} role is not in it"));
            }
            if quorum.threshold == 0 || quorum.threshold as usize > quorum.keyids.len() {
                let (need, have) = (quorum.threshold, quorum.keyids.len());
                return Err(format!("the {role} role asks for {need} of {have} keys"));
            }
        }
        let of = |role: Role| self.roles.get(&role).map(|quorum| &quorum.keyids);
        let online = of(Role::Timestamp);
        for role in [Role::Root, Role::Release, Role::Snapshot] {
            if let (Some(online), Some(offline)) = (online, of(role))
                && let Some(id) = online.intersection(offline).next()
            {
                return Err(format!("key {id} is online for the timestamp and must not count for the {role} role"));
            }
        }
        Ok(())
    }
}

/// What is known of a file before it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileMeta {
    /// Its length in bytes.
    pub length: u64,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
}

impl FileMeta {
    /// That of these bytes.
    pub fn of(bytes: &[u8]) -> FileMeta {
        FileMeta { length: bytes.len() as u64, sha256: sha256_hex(bytes) }
    }

    /// Whether these are the bytes.
    pub fn fits(&self, bytes: &[u8]) -> bool {
        self.length == bytes.len() as u64 && self.sha256 == sha256_hex(bytes)
    }
}

/// The same of another signed file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versioned {
    /// Its version.
    pub version: u64,
    /// Its length and hash.
    #[serde(flatten)]
    pub file: FileMeta,
}

/// Which snapshot is the newest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timestamped {
    /// Version, time, expiry.
    #[serde(flatten)]
    pub header: Header,
    /// The snapshot.
    pub snapshot: Versioned,
}

/// Which release is the newest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Version, time, expiry.
    #[serde(flatten)]
    pub header: Header,
    /// The release.
    pub release: Versioned,
}

/// What is in the bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Version, time, expiry.
    #[serde(flatten)]
    pub header: Header,
    /// The files, by name.
    pub files: BTreeMap<String, FileMeta>,
}

/// A kind of signed file.
pub(super) trait Metadata: Serialize + DeserializeOwned {
    /// Who signs it.
    const ROLE: Role;
    /// Its header.
    fn header(&self) -> &Header;
}

macro_rules! metadata {
    ($($kind:ty => $role:ident),*) => {
        $(impl Metadata for $kind {
            const ROLE: Role = Role::$role;
            fn header(&self) -> &Header {
                &self.header
            }
        })*
    };
}

metadata!(Root => Root, Release => Release, Snapshot => Snapshot, Timestamped => Timestamp);

/// One signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Signature {
    pub(super) keyid: KeyId,
    pub(super) sig: String,
}

/// A signed file as it was read, not yet believed.
pub(super) struct Envelope<'a> {
    pub(super) signatures: Vec<Signature>,
    pub(super) signed: &'a [u8],
}

#[derive(Deserialize)]
struct Form<'a> {
    signatures: Vec<Signature>,
    #[serde(borrow)]
    signed: &'a RawValue,
}

impl<'a> Envelope<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Envelope<'a>, Attack> {
        let form: Form<'a> = serde_json::from_slice(bytes).map_err(Attack::malformed)?;
        if form.signatures.len() > MOST_SIGNATURES {
            return Err(Attack::malformed(format!("more than {MOST_SIGNATURES} signatures")));
        }
        Ok(Envelope { signatures: form.signatures, signed: form.signed.get().as_bytes() })
    }

    /// What it says. Only to be believed after its signatures were checked.
    pub(super) fn says<T: Metadata>(&self) -> Result<T, Attack> {
        canonical::check(self.signed).map_err(Attack::malformed)?;
        let value: T = serde_json::from_slice(self.signed).map_err(Attack::malformed)?;
        let header = value.header();
        if header.role != T::ROLE {
            return Err(Attack::malformed(format!("a {} where the {} belongs", header.role, T::ROLE)));
        }
        let major = |version: &str| version.split('.').next().map(str::to_owned);
        if major(&header.spec_version) != major(SPEC) {
            let theirs: String = header.spec_version.chars().take(20).collect();
            return Err(Attack::malformed(format!("specification {theirs}; this program knows {SPEC}: update it")));
        }
        if header.version == 0 {
            return Err(Attack::malformed("versions begin at 1"));
        }
        Ok(value)
    }
}

/// A file being signed: by whom so far, and the bytes that are signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    signatures: Vec<Signature>,
    signed: Vec<u8>,
}

impl Draft {
    /// An unsigned one. Fails where something has no canonical form.
    pub(super) fn of(metadata: &impl Metadata) -> Result<Draft, canonical::NotCanonical> {
        Ok(Draft { signatures: Vec::new(), signed: canonical::write(metadata)? })
    }

    /// Reads one, signed or not. Nothing of it is believed.
    pub fn parse(bytes: &[u8]) -> Result<Draft, Attack> {
        let envelope = Envelope::parse(bytes)?;
        canonical::check(envelope.signed).map_err(Attack::malformed)?;
        Ok(Draft { signed: envelope.signed.to_vec(), signatures: envelope.signatures })
    }

    /// Whose file it says it is.
    pub fn role(&self) -> Result<Role, Attack> {
        #[derive(Deserialize)]
        struct Typed {
            #[serde(rename = "_type")]
            role: Role,
        }
        serde_json::from_slice::<Typed>(&self.signed).map(|typed| typed.role).map_err(Attack::malformed)
    }

    /// Adds a key's signature, or makes its signature anew.
    pub fn sign(&mut self, key: &SecretKey) {
        self.signatures.retain(|signature| signature.keyid != *key.id());
        self.signatures.push(Signature { keyid: key.id().clone(), sig: key.sign(&self.signed) });
        self.signatures.sort_by(|a, b| a.keyid.cmp(&b.keyid));
    }

    /// The file: canonical as a whole, `signed` in it byte for byte as it was signed.
    pub fn bytes(&self) -> Vec<u8> {
        let signatures = canonical::write(&self.signatures).unwrap_or_default();
        [b"{\"signatures\":", &*signatures, b",\"signed\":", &*self.signed, b"}"].concat()
    }

    /// Puts it in the place of a file, as a whole or not at all.
    pub fn replace(&self, file: &Path) -> io::Result<()> {
        disk::replace(file, &self.bytes())
    }
}
