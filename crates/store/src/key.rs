//! The Ed25519 key that signs heads (`journal.key`, secret) and the public keys
//! that check them (`journal.pub`, one line a key, the newest last).
//!
//! ```text
//! ed25519 <64 hexadecimal digits> <key id>
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::chain::{Tip, hex, unhex};
use crate::{Error, Head};

/// The secret key's file name.
const SECRET: &str = "journal.key";
/// The public keys' file name.
pub(crate) const PUBLIC: &str = "journal.pub";
/// A key file larger than this is none.
const MAX_FILE: u64 = 1 << 20;

/// Signs heads.
pub struct Signer {
    key: SigningKey,
    id: Box<str>,
}

impl Signer {
    /// Reads the key of a data directory; makes one when there is none.
    ///
    /// Fails when the key can be read by others than its owner.
    pub fn open(dir: &Path) -> Result<Signer, Error> {
        let path = dir.join(SECRET);
        let text = match read_small(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create_key(dir, &path)?;
                read_small(&path).map_err(Error::io(&path))?
            }
            Err(error) => return Err(Error::io(&path)(error)),
        };
        let mode = fs::metadata(&path).map_err(Error::io(&path))?.mode();
        if mode & 0o077 != 0 {
            let what = format!("mode {:03o} lets others read the signing key: chmod 600 it", mode & 0o777);
            return Err(Error::Key { path, what });
        }
        let seed = text.trim().strip_prefix("ed25519 ").and_then(unhex::<32>).ok_or_else(|| Error::Key {
            path: path.clone(),
            what: "not a journal key: restore it, or move it away to have a new one made".to_owned(),
        })?;
        let key = SigningKey::from_bytes(&seed);
        let signer = Signer { id: key_id(&key.verifying_key()), key };
        signer.publish(dir)?;
        Ok(signer)
    }

    /// The key's id, as it stands in every head it signs.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Signs a chain's tip.
    pub fn sign(&self, writer: &str, tip: &Tip, time: Timestamp) -> Head {
        // Whole microseconds, so that the text form says exactly what was signed.
        let time = Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(Timestamp::UNIX_EPOCH);
        let signature = self.key.sign(&Head::message(writer, tip, time));
        Head {
            writer: writer.into(),
            seq: tip.seq,
            hash: tip.hash,
            time,
            key: self.id.clone(),
            signature: hex(&signature.to_bytes()).into(),
        }
    }

    /// Makes sure that the public key stands in `journal.pub`.
    fn publish(&self, dir: &Path) -> Result<(), Error> {
        let path = dir.join(PUBLIC);
        let line = format!("ed25519 {} {}", hex(self.key.verifying_key().as_bytes()), self.id);
        let text = match read_small(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Error::io(&path)(error)),
        };
        if text.lines().any(|known| known == line) {
            return Ok(());
        }
        let mut file =
            OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(Error::io(&path))?;
        let start = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        file.write_all(format!("{start}{line}\n").as_bytes()).and_then(|()| file.sync_all()).map_err(Error::io(&path))
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.id)
    }
}

/// The keys that heads are checked against.
#[derive(Clone, Debug, Default)]
pub struct PublicKeys {
    keys: BTreeMap<Box<str>, VerifyingKey>,
}

impl PublicKeys {
    /// Reads a file in the form of `journal.pub`.
    pub fn read(path: &Path) -> Result<PublicKeys, Error> {
        let text = read_small(path).map_err(Error::io(path))?;
        let mut keys = BTreeMap::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let key = parse_public(line).ok_or_else(|| Error::Key {
                path: path.to_owned(),
                what: "not a list of journal keys: each line is `ed25519 <64 hexadecimal digits> <key id>`".to_owned(),
            })?;
            keys.insert(key_id(&key), key);
        }
        Ok(PublicKeys { keys })
    }

    /// Whether a head was signed by the key that it names, and that key is known.
    pub fn verify(&self, head: &Head) -> Result<(), &'static str> {
        let key = self.keys.get(&head.key).ok_or("signed by an unknown key")?;
        let signature = unhex::<64>(&head.signature).ok_or("its signature is not one")?;
        let message = Head::message(&head.writer, &head.tip(), head.time);
        key.verify_strict(&message, &Signature::from_bytes(&signature)).map_err(|_| "its signature is wrong")
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

fn parse_public(line: &str) -> Option<VerifyingKey> {
    let digits = line.strip_prefix("ed25519 ")?.split(' ').next()?;
    VerifyingKey::from_bytes(&unhex::<32>(digits)?).ok()
}

fn key_id(key: &VerifyingKey) -> Box<str> {
    let hash: [u8; 32] = Sha256::digest(key.as_bytes()).into();
    hex(&hash[..8]).into()
}

/// Writes a new secret beside its place and links it in, so that of two
/// processes that start at once one wins and nobody reads half a key.
fn create_key(dir: &Path, path: &Path) -> Result<(), Error> {
    let mut seed = [0; 32];
    let mut name = [0; 8];
    getrandom::fill(&mut seed)
        .and_then(|()| getrandom::fill(&mut name))
        .map_err(|error| Error::Key { path: path.to_owned(), what: format!("no randomness to make a key: {error}") })?;
    let draft = dir.join(format!("{SECRET}.{}", hex(&name)));
    let made = write_new(&draft, &format!("ed25519 {}\n", hex(&seed))).and_then(|()| fs::hard_link(&draft, path));
    let removed = fs::remove_file(&draft);
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(Error::io(path)(error)),
        _ => removed.map_err(Error::io(&draft))?,
    }
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(Error::io(dir))
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn read_small(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_FILE).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::chain::ChainHash;

    #[test]
    fn a_signature_holds_for_its_head_only() {
        let dir = tempfile::tempdir().unwrap();
        let signer = Signer::open(dir.path()).unwrap();
        let keys = PublicKeys::read(&dir.path().join(PUBLIC)).unwrap();
        let head = signer.sign("gw", &Tip { seq: 3, hash: ChainHash([1; 32]) }, Timestamp::from_second(9).unwrap());
        assert_eq!(keys.verify(&head), Ok(()));
        assert_eq!(Head::parse(&head.line()).as_ref(), Some(&head));

        let forged = [
            Head { seq: 4, ..head.clone() },
            Head { hash: ChainHash([2; 32]), ..head.clone() },
            Head { writer: "gw2".into(), ..head.clone() },
            Head { time: Timestamp::from_second(10).unwrap(), ..head.clone() },
            Head { key: "0011223344556677".into(), ..head.clone() },
            Head { signature: "".into(), ..head.clone() },
        ];
        for head in forged {
            assert!(keys.verify(&head).is_err(), "{head:?}");
        }
    }

    #[test]
    fn the_key_stays_and_is_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let first = Signer::open(dir.path()).unwrap();
        assert_eq!(Signer::open(dir.path()).unwrap().id(), first.id());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "no draft is left");
        let secret = dir.path().join(SECRET);
        assert_eq!(fs::metadata(&secret).unwrap().mode() & 0o777, 0o600);
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(Signer::open(dir.path()).unwrap_err().to_string().contains("chmod 600"));
    }

    #[test]
    fn an_old_key_stays_known_after_a_new_one_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let old = Signer::open(dir.path()).unwrap().sign("gw", &Tip::genesis("gw"), Timestamp::UNIX_EPOCH);
        fs::remove_file(dir.path().join(SECRET)).unwrap();
        let new = Signer::open(dir.path()).unwrap().sign("gw", &Tip::genesis("gw"), Timestamp::UNIX_EPOCH);
        let keys = PublicKeys::read(&dir.path().join(PUBLIC)).unwrap();
        assert_eq!((keys.len(), keys.verify(&old), keys.verify(&new)), (2, Ok(()), Ok(())));
        assert_ne!(old.key, new.key);
    }
}
