//! Addresses that peer-to-peer protocols pass on, learnt as speakers of the protocol.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::bytes::{array, be16};
use crate::lore::Lore;
use crate::view::{Endpoint, Transport};

/// Services of other protocols: a peer list that names them is wrong or an attack on the list's readers.
const SERVICES: [u16; 12] = [0, 22, 25, 53, 80, 123, 143, 443, 853, 993, 3478, 5060];

/// One peer in compact form (BEP 23): four bytes of address and two of port, in network order.
pub(crate) fn compact4(bytes: &[u8]) -> Option<Endpoint> {
    let ip = Ipv4Addr::from(array::<4>(bytes, 0)?);
    Some(Endpoint { ip: ip.into(), port: be16(bytes, 4)? })
}

/// One peer in compact form over IPv6 (BEP 7): sixteen bytes of address and two of port.
pub(crate) fn compact6(bytes: &[u8]) -> Option<Endpoint> {
    let ip = Ipv6Addr::from(array::<16>(bytes, 0)?);
    Some(Endpoint { ip: ip.into(), port: be16(bytes, 16)? })
}

/// Learns that a peer, which another one named, speaks the application. One transport is enough where both
/// share the port: a server is looked up under either.
pub(crate) fn learn(lore: &mut Lore, transport: Transport, peer: Endpoint, application: &'static str) {
    let reachable = match peer.ip {
        IpAddr::V4(ip) => !(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || ip.is_broadcast()),
        IpAddr::V6(ip) => !(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast()),
    };
    if reachable && !SERVICES.contains(&peer.port) {
        lore.learn_speaker(transport, peer, application);
    }
}

/// Where a host as such, whatever its port, is kept among the speakers: no flow has port 0.
pub(crate) fn host(ip: IpAddr) -> Endpoint {
    Endpoint { ip, port: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_and_unreachable_addresses_are_not_learnt() {
        let mut lore = Lore::new(8);
        for (compact, learnt) in [
            (*b"\xc0\x00\x02\x07\x1a\xe1", true),
            (*b"\xc0\x00\x02\x07\x00\x35", false),
            (*b"\x00\x00\x00\x00\x1a\xe1", false),
            (*b"\xef\x00\x00\x01\x1a\xe1", false),
            (*b"\x7f\x00\x00\x01\x1a\xe1", false),
        ] {
            let peer = compact4(&compact).unwrap();
            learn(&mut lore, Transport::Udp, peer, "bittorrent");
            assert_eq!(lore.speaker(Transport::Udp, peer).is_some(), learnt, "{compact:?}");
            assert_eq!(lore.speaker(Transport::Tcp, peer), None);
        }
    }
}
