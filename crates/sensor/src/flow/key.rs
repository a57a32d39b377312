//! What makes two packets one flow: protocol, addresses and ports, either way round.
//!
//! VLAN ids and tunnel ids are left out: the two directions of one conversation often differ in them.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use crate::view::Endpoint;

/// A flow's key, the lesser endpoint first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    low: Endpoint,
    high: Endpoint,
    protocol: u8,
}

impl Key {
    pub(crate) fn new(a: Endpoint, b: Endpoint, protocol: u8) -> Key {
        let (low, high) = if (a.ip, a.port) <= (b.ip, b.port) { (a, b) } else { (b, a) };
        Key { low, high, protocol }
    }

    pub(crate) fn protocol(&self) -> u8 {
        self.protocol
    }

    /// The endpoints, the lesser first.
    pub(crate) fn endpoints(&self) -> (Endpoint, Endpoint) {
        (self.low, self.high)
    }
}

impl Hash for Key {
    /// Few words for the (keyed) hasher: two for IPv4, five for IPv6.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let ports = u64::from(self.low.port) << 16 | u64::from(self.high.port) | u64::from(self.protocol) << 32;
        match (self.low.ip, self.high.ip) {
            (IpAddr::V4(low), IpAddr::V4(high)) => {
                state.write_u64(u64::from(low.to_bits()) << 32 | u64::from(high.to_bits()));
                state.write_u64(ports);
            }
            (low, high) => {
                for address in [low, high] {
                    let bits = match address {
                        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
                        IpAddr::V6(address) => address.to_bits(),
                    };
                    state.write_u64((bits >> 64) as u64);
                    state.write_u64(bits as u64);
                }
                state.write_u64(ports | 1 << 40);
            }
        }
    }
}
