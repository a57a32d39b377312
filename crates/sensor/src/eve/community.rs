//! Community ID version 1 (<https://github.com/corelight/community-id-spec>): the same flow has the same id in every
//! tool.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest;

use crate::flow::Flow;

/// Ids of a flow.
pub(super) struct Id {
    /// `1:` and 28 characters.
    pub(super) text: [u8; 30],
    /// 53 bits, so that every JSON reader keeps them; a flow's own, also among those with equal endpoints.
    pub(super) flow_id: u64,
}

pub(super) fn id(flow: &Flow) -> Id {
    let protocol = flow.protocol;
    let (mut low, mut high) = (flow.client, flow.server);
    if (low.ip, low.port) > (high.ip, high.port) {
        std::mem::swap(&mut low, &mut high);
    }
    let mut bytes = [0; 40];
    let mut length = 2;
    let mut put = |part: &[u8]| {
        if let Some(place) = bytes.get_mut(length..length + part.len()) {
            place.copy_from_slice(part);
        }
        length += part.len();
    };
    for ip in [low.ip, high.ip] {
        match ip {
            IpAddr::V4(ip) => put(&ip.octets()),
            IpAddr::V6(ip) => put(&ip.octets()),
        }
    }
    put(&[protocol, 0]);
    if matches!(protocol, 6 | 17 | 132) {
        put(&low.port.to_be_bytes());
        put(&high.port.to_be_bytes());
    }
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes.get(..length).unwrap_or(&bytes));
    let mut text = *b"1:AAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    // Twenty bytes are twenty-eight characters.
    let _ = STANDARD.encode_slice(hash.as_ref(), &mut text[2..]);
    let mut word = [0; 8];
    word.copy_from_slice(&hash.as_ref()[..8]);
    let own = u64::from_be_bytes(word) ^ flow.first.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ flow.serial.rotate_left(20);
    Id { text, flow_id: (own >> 11).max(1) }
}
