//! What makes two packets one flow: protocol, addresses and ports, either way round.
//!
//! VLAN ids and tunnel ids are left out: the two directions of one conversation often differ in them.

use std::hash::{Hash, Hasher};
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

impl Hash for Key {
    /// In whole words: two for IPv4, five for IPv6.
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        if self.v6 {
            for address in [self.low, self.high] {
                state.write_u64((address >> 64) as u64);
                state.write_u64(address as u64);
            }
        } else {
            state.write_u64(((self.low as u64) << 32) | self.high as u64);
        }
        state.write_u64(u64::from(self.ports) | (u64::from(self.protocol) << 32) | (u64::from(self.v6) << 40));
    }
}
