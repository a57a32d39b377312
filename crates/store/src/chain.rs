//! The hash chain: what links one record to the next, and what ties a body to
//! its record without being part of the chain. Pure functions, no I/O.
//!
//! ```text
//! h(0) = SHA-256("portcullis chain 1\0" || writer)
//! h(n) = SHA-256("portcullis record 1\0" || h(n-1) || n as u64, big endian || JSON of record n)
//! ```
//!
//! The writer's name is in the first hash, so that a chain cannot be passed off
//! as another writer's. Domain separators keep a record from being read as a
//! head or a commitment.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

const CHAIN: &[u8] = b"portcullis chain 1\0";
const RECORD: &[u8] = b"portcullis record 1\0";

/// One value of the chain: 32 bytes, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChainHash(pub [u8; 32]);

/// The last record of a chain: its number (0: none yet) and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Number of the last record; the first is 1.
    pub seq: u64,
    /// Its hash.
    pub hash: ChainHash,
}

impl Tip {
    /// The start of a writer's chain, before any record.
    pub fn genesis(writer: &str) -> Tip {
        let hash = Sha256::new().chain_update(CHAIN).chain_update(writer.as_bytes()).finalize();
        Tip { seq: 0, hash: ChainHash(hash.into()) }
    }

    /// The tip after one more record, given by its exact JSON bytes.
    #[must_use]
    pub fn next(&self, json: &[u8]) -> Tip {
        let seq = self.seq + 1;
        let hash = Sha256::new()
            .chain_update(RECORD)
            .chain_update(self.hash.0)
            .chain_update(seq.to_be_bytes())
            .chain_update(json)
            .finalize();
        Tip { seq, hash: ChainHash(hash.into()) }
    }
}

/// Ties a body to its record: SHA-256 over a random salt and the body.
///
/// Without the salt, which is erased with the body, a short body could be
/// guessed from its hash.
pub fn commitment(salt: &[u8; 16], body: &[u8]) -> model::Commitment {
    let hash = Sha256::new().chain_update(salt).chain_update(body).finalize();
    model::Commitment { sha256: hex(&hash).into_boxed_str(), bytes: body.len() as u64 }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out
}

/// Reads exactly `N` bytes of hexadecimal.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != N * 2 {
        return None;
    }
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else { return None };
        let high = char::from(*high).to_digit(16)?;
        let low = char::from(*low).to_digit(16)?;
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    Some(out)
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainHash({self})")
    }
}

impl FromStr for ChainHash {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<ChainHash, Self::Err> {
        unhex(text).map(ChainHash).ok_or("a chain hash is 64 hexadecimal digits")
    }
}

impl serde::Serialize for ChainHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for ChainHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<ChainHash, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn walk(writer: &str, records: &[Vec<u8>]) -> Tip {
        records.iter().fold(Tip::genesis(writer), |tip, json| tip.next(json))
    }

    #[test]
    fn a_commitment_is_the_plain_sha256_of_salt_and_body() {
        // printf '0123456789abcdefhello' | sha256sum
        let made = commitment(b"0123456789abcdef", b"hello");
        let want = Sha256::digest(b"0123456789abcdefhello");
        assert_eq!(&*made.sha256, hex(&want));
        assert_eq!(made.bytes, 5);
    }

    #[test]
    fn writers_have_different_chains() {
        assert_ne!(Tip::genesis("a").next(b"{}").hash, Tip::genesis("b").next(b"{}").hash);
    }

    proptest! {
        #[test]
        fn any_change_changes_the_tip(
            records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..20),
            pick in any::<prop::sample::Index>(),
            flip in any::<(prop::sample::Index, u8)>(),
        ) {
            let honest = walk("gw", &records);
            let at = pick.index(records.len());

            let mut deleted = records.clone();
            deleted.remove(at);
            prop_assert_ne!(walk("gw", &deleted), honest);

            let mut inserted = records.clone();
            inserted.insert(at, b"{}".to_vec());
            prop_assert_ne!(walk("gw", &inserted), honest);

            let mut changed = records.clone();
            if !changed[at].is_empty() {
                let byte = flip.0.index(changed[at].len());
                changed[at][byte] ^= flip.1 | 1;
                prop_assert_ne!(walk("gw", &changed), honest);
            }

            let mut swapped = records.clone();
            swapped.swap(0, at);
            if swapped != records {
                prop_assert_ne!(walk("gw", &swapped), honest);
            }
        }

        #[test]
        fn moving_bytes_between_neighbours_changes_the_tip(a in "[a-z]{1,20}", b in "[a-z]{1,20}") {
            let honest = walk("gw", &[a.clone().into(), b.clone().into()]);
            let moved = walk("gw", &[a[..a.len() - 1].into(), format!("{}{b}", &a[a.len() - 1..]).into()]);
            prop_assert_ne!(moved, honest);
        }

        #[test]
        fn hexadecimal_round_trips(bytes in any::<[u8; 32]>()) {
            prop_assert_eq!(ChainHash(bytes).to_string().parse(), Ok(ChainHash(bytes)));
        }
    }
}
