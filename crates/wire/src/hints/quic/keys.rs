//! Protection of Initial packets: it keeps out who doesn't look, not who does, for the keys follow from the packet.

use ring::aead::quic::{AES_128, HeaderProtectionKey};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};

use super::version::Derivation;

/// What a client's Initial packets are protected with.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub(super) key: [u8; 16],
    pub(super) vector: [u8; 12],
    pub(super) header: [u8; 16],
}

impl Keys {
    /// Keys of the client that chose `destination` as its server's first connection id (RFC 9001 section 5.2).
    pub(super) fn derive(with: &Derivation, destination: &[u8]) -> Option<Keys> {
        let initial = Salt::new(HKDF_SHA256, &with.salt).extract(destination);
        let client: [u8; 32] = expand(&initial, b"client in")?;
        let client = Prk::new_less_safe(HKDF_SHA256, &client);
        let [key, vector, header] = with.labels;
        Some(Keys { key: expand(&client, key)?, vector: expand(&client, vector)?, header: expand(&client, header)? })
    }

    /// Takes the protection off a packet whose number stands at `number_at`, in place. Returns what was inside.
    pub(super) fn open<'p>(&self, packet: &'p mut [u8], number_at: usize) -> Option<&'p [u8]> {
        let sample = packet.get(number_at + 4..number_at + 20)?;
        let [first_mask, masks @ ..] = HeaderProtectionKey::new(&AES_128, &self.header).ok()?.new_mask(sample).ok()?;
        let first = packet.first_mut()?;
        *first ^= first_mask & 0x0f;
        let length = usize::from(*first & 3) + 1;
        let mut number = 0_u64;
        for (byte, mask) in packet.get_mut(number_at..number_at + length)?.iter_mut().zip(masks) {
            *byte ^= mask;
            number = number << 8 | u64::from(*byte);
        }
        let (header, body) = packet.split_at_mut_checked(number_at + length)?;
        let mut nonce = self.vector;
        for (byte, part) in nonce.iter_mut().rev().zip(number.to_le_bytes()) {
            *byte ^= part;
        }
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &self.key).ok()?);
        key.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(header), body).ok().map(|inside| &*inside)
    }
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-Expand-Label without context, RFC 8446 section 7.1.
fn expand<const N: usize>(secret: &Prk, label: &[u8]) -> Option<[u8; N]> {
    const PREFIX: &[u8] = b"tls13 ";
    let lengths = [0, N as u8, (PREFIX.len() + label.len()) as u8];
    let mut out = [0; N];
    secret.expand(&[&lengths, PREFIX, label, &[0]], Length(N)).ok()?.fill(&mut out).ok()?;
    Some(out)
}
