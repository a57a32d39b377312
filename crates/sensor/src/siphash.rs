//! The hash of every table that strangers choose the keys of: SipHash-1-3 (Aumasson and Bernstein, 2012) with a secret,
//! so that nobody can choose keys that collide.
//!
//! The standard library's is the same function over bytes. Keys here are numbers and addresses: each is taken as one
//! word, which is three times as fast for so few.

use std::hash::{BuildHasher, Hasher, RandomState};

/// The secret of one table, another one each time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Secret([u64; 2]);

impl Default for Secret {
    fn default() -> Secret {
        let chance = RandomState::new();
        Secret([chance.hash_one(0_u8), chance.hash_one(1_u8)])
    }
}

impl BuildHasher for Secret {
    type Hasher = Words;

    #[inline]
    fn build_hasher(&self) -> Words {
        let Secret([k0, k1]) = *self;
        // The constants spell "somepseudorandomlygeneratedbytes".
        let a = k0 ^ 0x736f_6d65_7073_6575;
        let b = k1 ^ 0x646f_7261_6e64_6f6d;
        let c = k0 ^ 0x6c79_6765_6e65_7261;
        let d = k1 ^ 0x7465_6462_7974_6573;
        Words { state: [a, b, c, d], taken: 0 }
    }
}

/// A hash that is being made.
pub(crate) struct Words {
    state: [u64; 4],
    /// Bytes, as if every word had eight.
    taken: u64,
}

impl Words {
    #[inline]
    fn round(&mut self) {
        let [a, b, c, d] = &mut self.state;
        *a = a.wrapping_add(*b);
        *b = b.rotate_left(13) ^ *a;
        *a = a.rotate_left(32);
        *c = c.wrapping_add(*d);
        *d = d.rotate_left(16) ^ *c;
        *a = a.wrapping_add(*d);
        *d = d.rotate_left(21) ^ *a;
        *c = c.wrapping_add(*b);
        *b = b.rotate_left(17) ^ *c;
        *c = c.rotate_left(32);
    }

    #[inline]
    fn word(&mut self, word: u64) {
        self.state[3] ^= word;
        self.round();
        self.state[0] ^= word;
    }
}

impl Hasher for Words {
    /// Bytes come eight at a time; the last ones are a word of their own. Whoever writes lists writes their length, too,
    /// as the standard library does.
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.write_u64(u64::from_le_bytes(last));
        }
    }

    #[inline]
    fn write_u8(&mut self, number: u8) {
        self.write_u64(u64::from(number));
    }

    #[inline]
    fn write_u16(&mut self, number: u16) {
        self.write_u64(u64::from(number));
    }

    #[inline]
    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        self.taken = self.taken.wrapping_add(8);
        self.word(number);
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        let mut end = Words { state: self.state, taken: self.taken };
        // The number of bytes is in the top byte of the last word.
        end.word(self.taken << 56);
        end.state[2] ^= 0xff;
        for _ in 0..3 {
            end.round();
        }
        end.state[0] ^ end.state[1] ^ end.state[2] ^ end.state[3]
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    /// The standard library's hasher has a secret of zeros.
    #[test]
    fn words_are_hashed_as_siphash_hashes_their_bytes() {
        for words in [&[][..], &[1_u64, 2], &[u64::MAX, 0x0123_4567_89ab_cdef, 3, 4, 5]] {
            let mut expected = std::hash::DefaultHasher::new();
            let mut hasher = Secret([0, 0]).build_hasher();
            for word in words {
                expected.write(&word.to_le_bytes());
                hasher.write_u64(*word);
            }
            assert_eq!(hasher.finish(), expected.finish());
        }
    }

    #[test]
    fn addresses_that_differ_hash_apart() {
        let secret = Secret::default();
        let addresses = ["0.0.0.0", "1.0.0.0", "::", "::1", "100::", "::ffff:1.0.0.0"];
        let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        let pairs = addresses.iter().flat_map(|a| addresses.iter().map(move |b| (*a, *b)));
        let hashes: std::collections::HashSet<u64> = pairs.map(|pair| secret.hash_one(pair)).collect();
        assert_eq!(hashes.len(), addresses.len() * addresses.len());
    }
}
