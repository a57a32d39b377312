//! Which IP addresses are the public Internet, and addresses that hide another.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The IPv4 address inside an IPv6 one that leads to it: v4-mapped and v4-compatible
/// (RFC 4291 section 2.5.5), NAT64 (RFC 6052, the well-known prefix), 6to4 (RFC 3056).
pub fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let o = ip.octets();
    let last = Ipv4Addr::new(o[12], o[13], o[14], o[15]);
    if o[..10] == [0; 10] && o[10..12] == [0xff, 0xff] {
        return Some(last);
    }
    if o[..12] == [0; 12] && u32::from(last) > 0xffff {
        return Some(last);
    }
    if o[..12] == [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0] {
        return Some(last);
    }
    if o[..2] == [0x20, 0x02] {
        return Some(Ipv4Addr::new(o[2], o[3], o[4], o[5]));
    }
    None
}

/// Whether an address is on the public Internet: not private, loopback, link-local,
/// shared (RFC 6598), documentation, benchmarking, multicast or reserved, nor an IPv6
/// address that leads to such an IPv4 one.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => match embedded_v4(ip) {
            Some(v4) => is_public_v4(v4),
            None => is_public_v6(ip),
        },
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !matches!(
        (a, b, c),
        (0 | 10 | 127 | 224..=255, _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 168, _)
            | (192, 0, 0 | 2)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    )
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let s = ip.segments();
    // Global unicast is 2000::/3; the documentation prefixes lie inside it.
    (s[0] & 0xe000) == 0x2000 && !(s[0] == 0x2001 && s[1] == 0x0db8) && !(s[0] == 0x3fff && s[1] < 0x1000)
}

/// A range of addresses: the first `length` bits of `ip`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    /// First address.
    pub ip: IpAddr,
    /// Bits that count.
    pub length: u8,
}

impl Net {
    /// Reads `192.0.2.0/24`, `2001:db8::/32` or a single address. Bits beyond the length are cleared.
    pub fn parse(text: &str) -> Option<Net> {
        let (ip, length) = match text.split_once('/') {
            Some((ip, length)) => {
                let plain = length.len() <= 3 && length.bytes().all(|b| b.is_ascii_digit());
                (ip.parse().ok()?, Some(length).filter(|_| plain)?.parse().ok()?)
            }
            None => {
                let ip: IpAddr = text.parse().ok()?;
                (ip, if ip.is_ipv4() { 32 } else { 128 })
            }
        };
        let most = if matches!(ip, IpAddr::V4(_)) { 32 } else { 128 };
        (length <= most).then(|| Net { ip: masked(ip, length), length })
    }
}

/// An address with all but its first `length` bits cleared.
pub(crate) fn masked(ip: IpAddr, length: u8) -> IpAddr {
    match ip {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32u32.saturating_sub(u32::from(length))).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from(u32::from(v4) & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128u32.saturating_sub(u32::from(length))).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(v6) & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_is_what_is_left() {
        for public in ["8.8.8.8", "1.1.1.1", "172.32.0.1", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "192.0.2.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "2001:db8::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "::10.0.0.1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }

    #[test]
    fn ranges_are_read_and_cleared() {
        assert_eq!(Net::parse("8.8.8.8/8"), Some(Net { ip: "8.0.0.0".parse().unwrap(), length: 8 }));
        assert_eq!(Net::parse("8.8.8.8"), Some(Net { ip: "8.8.8.8".parse().unwrap(), length: 32 }));
        assert_eq!(Net::parse("2606:4700::1/32"), Some(Net { ip: "2606:4700::".parse().unwrap(), length: 32 }));
        for bad in ["8.8.8.8/33", "8.8.8/8", "8.8.8.8/", "8.8.8.8/+8", "::/129", "a/8", ""] {
            assert_eq!(Net::parse(bad), None, "{bad}");
        }
    }
}
