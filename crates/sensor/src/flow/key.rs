//! What makes two packets one flow: protocol, addresses and ports, either way round.
//!
//! VLAN ids and tunnel ids are left out: the two directions of one conversation often differ in them.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

use crate::view::Endpoint;

/// A flow's key, the lesser endpoint first. Plain numbers, because every packet compares and hashes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    low: u128,
    high: u128,
    /// The ports, in the order of the addresses.
    ports: u32,
    protocol: u8,
    v6: bool,
}

impl Key {
    #[inline]
    pub(crate) fn new(a: Endpoint, b: Endpoint, protocol: u8) -> Key {
        let bits = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => u128::from(ip.to_bits()),
            IpAddr::V6(ip) => ip.to_bits(),
        };
        let (mut low, mut high) = ((bits(a.ip), a.port), (bits(b.ip), b.port));
        if low > high {
            std::mem::swap(&mut low, &mut high);
        }
        let ports = (u32::from(low.1) << 16) | u32::from(high.1);
        Key { low: low.0, high: high.0, ports, protocol, v6: a.ip.is_ipv6() }
    }

    pub(crate) fn protocol(&self) -> u8 {
        self.protocol
    }
}

/// The secret of one table, so that nobody outside can choose packets whose keys collide.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Secret([u64; 2]);

impl Default for Secret {
    /// Another one each time.
    fn default() -> Secret {
        let chance = RandomState::new();
        Secret([chance.hash_one(0_u8), chance.hash_one(1_u8)])
    }
}

impl Secret {
    /// SipHash-1-3 (Aumasson and Bernstein, 2012) of a key, which is a whole number of words: two for IPv4, five for
    /// IPv6. The standard library's reads bytes of any number and takes three times as long for so few.
    pub(crate) fn hash(&self, key: &Key) -> u64 {
        let rest = u64::from(key.ports) | (u64::from(key.protocol) << 32) | (u64::from(key.v6) << 40);
        if key.v6 {
            let half = |address: u128| [(address >> 64) as u64, address as u64];
            let ([a, b], [c, d]) = (half(key.low), half(key.high));
            self.words(&[a, b, c, d, rest])
        } else {
            self.words(&[((key.low as u64) << 32) | key.high as u64, rest])
        }
    }

    #[inline]
    fn words(&self, words: &[u64]) -> u64 {
        let Secret([k0, k1]) = *self;
        // The constants spell "somepseudorandomlygeneratedbytes".
        let mut state = [
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ];
        // The last word holds the number of bytes, in its top byte.
        let length = (words.len() as u64 * 8) << 56;
        for &word in words.iter().chain([&length]) {
            state[3] ^= word;
            round(&mut state);
            state[0] ^= word;
        }
        state[2] ^= 0xff;
        for _ in 0..3 {
            round(&mut state);
        }
        state[0] ^ state[1] ^ state[2] ^ state[3]
    }
}

#[inline]
fn round([a, b, c, d]: &mut [u64; 4]) {
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

#[cfg(test)]
mod tests {
    use std::hash::Hasher;

    use super::*;

    /// The standard library's hasher is the same function for a secret of zeros.
    #[test]
    fn words_are_hashed_as_siphash_hashes_their_bytes() {
        for words in [&[1_u64, 2][..], &[u64::MAX, 0x0123_4567_89ab_cdef, 3, 4, 5]] {
            let mut expected = std::hash::DefaultHasher::new();
            words.iter().for_each(|word| expected.write(&word.to_le_bytes()));
            assert_eq!(Secret([0, 0]).words(words), expected.finish());
        }
    }
}
