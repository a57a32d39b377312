//! Ed25519 keys of the roles: their ids, and the files they lie in.
//!
//! A public key is TUF's key object; its id is the SHA-256 of that object's canonical form, so that nobody can
//! have one key counted twice under two names. A secret key is a JSON file that only its owner may read, with
//! the public key beside it (`FILE.pub`).

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Role, canonical};

/// A key file larger than this is none.
const MOST_BYTES: u64 = 16 << 10;

/// The id of a public key: 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct KeyId(Box<str>);

impl KeyId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for KeyId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<KeyId, &'static str> {
        unhex::<32>(&text).ok_or("a key id has 64 hexadecimal digits in lower case")?;
        Ok(KeyId(text.into()))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.get(..16).unwrap_or_default())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// A public key, as it stands in a root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    keytype: Algorithm,
    keyval: KeyValue,
    scheme: Algorithm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Algorithm {
    Ed25519,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KeyValue {
    public: String,
}

impl PublicKey {
    fn of(key: &VerifyingKey) -> PublicKey {
        PublicKey {
            keytype: Algorithm::Ed25519,
            keyval: KeyValue { public: hex(key.as_bytes()) },
            scheme: Algorithm::Ed25519,
        }
    }

    /// Its id.
    pub fn id(&self) -> KeyId {
        // Three strings always have a canonical form.
        let form = canonical::write(self).unwrap_or_default();
        KeyId(sha256_hex(&form).into())
    }

    /// Whether it can be a key at all.
    pub fn is_usable(&self) -> bool {
        self.verifying().is_some()
    }

    /// Whether this key made this signature (hexadecimal) over these bytes.
    pub fn verifies(&self, bytes: &[u8], signature: &str) -> bool {
        let (Some(key), Some(signature)) = (self.verifying(), unhex::<64>(signature)) else { return false };
        key.verify_strict(bytes, &Signature::from_bytes(&signature)).is_ok()
    }

    fn verifying(&self) -> Option<VerifyingKey> {
        let key = VerifyingKey::from_bytes(&unhex::<32>(&self.keyval.public)?).ok()?;
        (!key.is_weak()).then_some(key)
    }

    /// Reads a `.pub` file, or takes the public half of a secret one.
    pub fn read(path: &Path) -> Result<(Role, PublicKey), KeyError> {
        let text = read_small(path).map_err(KeyError::io(path))?;
        let wrong = |what: &str| KeyError::Wrong { path: path.to_owned(), what: what.to_owned() };
        let form: PublicForm =
            serde_json::from_str(&text).map_err(|_| wrong("not a key; make one with `portcullis intel keys new`"))?;
        if !form.key.is_usable() {
            return Err(wrong("not an Ed25519 public key"));
        }
        Ok((form.role, form.key))
    }
}

/// A secret key of one role.
#[derive(Clone)]
pub struct SecretKey {
    role: Role,
    key: SigningKey,
    public: PublicKey,
    id: KeyId,
}

#[derive(Serialize, Deserialize)]
struct PublicForm {
    role: Role,
    key: PublicKey,
}

#[derive(Serialize, Deserialize)]
struct SecretForm {
    role: Role,
    key: PublicKey,
    secret: String,
}

impl SecretKey {
    /// The key that a random seed gives.
    pub fn from_seed(role: Role, seed: &[u8; 32]) -> SecretKey {
        let key = SigningKey::from_bytes(seed);
        let public = PublicKey::of(&key.verifying_key());
        SecretKey { role, id: public.id(), public, key }
    }

    /// The role it was made for.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Its public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Its id.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// Its signature over these bytes, in hexadecimal.
    pub fn sign(&self, bytes: &[u8]) -> String {
        hex(&self.key.sign(bytes).to_bytes())
    }

    /// Writes the secret (mode 0600) and, beside it, the public key. Never over a file that is there.
    pub fn create(&self, path: &Path) -> Result<PathBuf, KeyError> {
        let secret = SecretForm { role: self.role, key: self.public.clone(), secret: hex(self.key.as_bytes()) };
        let public = PublicForm { role: self.role, key: self.public.clone() };
        let beside = public_path(path);
        write_new(path, 0o600, &secret)?;
        write_new(&beside, 0o644, &public)?;
        Ok(beside)
    }

    /// Reads a secret key, which others must not be able to read.
    pub fn read(path: &Path) -> Result<SecretKey, KeyError> {
        let text = read_small(path).map_err(KeyError::io(path))?;
        let wrong = |what: String| KeyError::Wrong { path: path.to_owned(), what };
        let mode = std::fs::metadata(path).map_err(KeyError::io(path))?.mode();
        if mode & 0o077 != 0 {
            return Err(wrong(format!("mode {:03o} lets others read the secret key: chmod 600 it", mode & 0o777)));
        }
        let form: SecretForm = serde_json::from_str(&text)
            .map_err(|_| wrong("not a secret key; make one with `portcullis intel keys new`".to_owned()))?;
        let seed =
            unhex::<32>(&form.secret).ok_or_else(|| wrong("its secret is not 64 hexadecimal digits".to_owned()))?;
        let key = SecretKey::from_seed(form.role, &seed);
        if key.public != form.key {
            return Err(wrong("its public key is not that of its secret; restore the file".to_owned()));
        }
        Ok(key)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({} {})", self.role, self.id)
    }
}

/// What is wrong with a key file.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It can't be read or written.
    #[error("{}: {why}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// It is not a key.
    #[error("{}: {what}", .path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// In which way, and what to do.
        what: String,
    },
}

impl KeyError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> KeyError {
        let path = path.to_owned();
        move |why| KeyError::Io { path, why }
    }
}

fn public_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

fn write_new(path: &Path, mode: u32, form: &impl Serialize) -> Result<(), KeyError> {
    let mut text = serde_json::to_string_pretty(form)
        .map_err(|e| KeyError::Wrong { path: path.to_owned(), what: e.to_string() })?;
    text.push('\n');
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(KeyError::io(path))
}

fn read_small(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MOST_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// SHA-256 in hexadecimal.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&sha256(bytes))
}

/// SHA-256.
pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// Bytes from exactly so many lower-case hexadecimal digits.
pub(super) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut out = [0; N];
    for (byte, [high, low]) in out.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_file_is_its_owners_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("release.key");
        let key = SecretKey::from_seed(Role::Release, &[7; 32]);
        let beside = key.create(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(!std::fs::read_to_string(&beside).unwrap().contains("secret"));
        let again = SecretKey::read(&path).unwrap();
        assert_eq!((again.id(), again.role()), (key.id(), Role::Release));
        for file in [&path, &beside] {
            assert_eq!(PublicKey::read(file).unwrap(), (Role::Release, key.public().clone()));
        }
        assert!(key.create(&path).unwrap_err().to_string().contains("exists"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(SecretKey::read(&path).unwrap_err().to_string().contains("chmod 600"));
    }

    #[test]
    fn a_signature_is_for_these_bytes_by_this_key() {
        let (one, two) = (SecretKey::from_seed(Role::Root, &[1; 32]), SecretKey::from_seed(Role::Root, &[2; 32]));
        let signature = one.sign(b"abc");
        assert!(one.public().verifies(b"abc", &signature));
        assert!(!one.public().verifies(b"abd", &signature));
        assert!(!two.public().verifies(b"abc", &signature));
        assert!(!one.public().verifies(b"abc", &signature.to_uppercase()), "one spelling only");
        assert!(!one.public().verifies(b"abc", ""));
        assert_ne!(one.id(), two.id());
        assert!(!format!("{one:?}").contains(&hex(&[1; 32])));
    }
}
