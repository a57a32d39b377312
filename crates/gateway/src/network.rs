//! Address ranges in CIDR form, and the part of an address that stands for one client.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// An address range: `192.0.2.0/24`, `2001:db8::/32`, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    base: IpAddr,
    bits: u8,
}

/// Why a text is not an address range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Not an address at all.
    #[error("`{0}` is not an address range; write it as 192.0.2.0/24 or 2001:db8::/32")]
    Form(String),
    /// The prefix length is too long for the address family.
    #[error("`{text}` has a prefix longer than {most} bits; shorten it")]
    Prefix {
        /// What was written.
        text: String,
        /// Most bits that the family has.
        most: u8,
    },
    /// Bits are set behind the prefix, so that what was meant is unclear.
    #[error("`{text}` has bits set behind its prefix; write {meant}")]
    HostBits {
        /// What was written.
        text: String,
        /// The range that holds it.
        meant: Network,
    },
}

impl Network {
    /// Whether `address` lies in the range. An IPv4 address written as IPv6 (`::ffff:192.0.2.1`) counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        match (self.base, address) {
            (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => masked(address, self.bits) == self.base,
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    /// The loopback ranges of both families.
    pub fn loopback() -> Vec<Network> {
        vec![
            Network { base: IpAddr::from([127, 0, 0, 0]), bits: 8 },
            Network { base: IpAddr::V6(Ipv6Addr::LOCALHOST), bits: 128 },
        ]
    }
}

/// What one client is counted by: an IPv4 address, or the /64 of an IPv6 one (a household or a host has a whole one).
pub fn client_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        v4 @ IpAddr::V4(_) => v4,
        v6 @ IpAddr::V6(_) => masked(v6, 64),
    }
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Network, NetworkError> {
        let form = || NetworkError::Form(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| form())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) if bits.bytes().all(|b| b.is_ascii_digit()) => bits.parse::<u8>().map_err(|_| form())?,
            Some(_) => return Err(form()),
            None => most,
        };
        if bits > most {
            return Err(NetworkError::Prefix { text: text.to_owned(), most });
        }
        let base = masked(address, bits);
        if base != address {
            return Err(NetworkError::HostBits { text: text.to_owned(), meant: Network { base, bits } });
        }
        Ok(Network { base, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_they_say() {
        let table = [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.0/24", "::ffff:192.0.2.7", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("0.0.0.0/0", "255.1.2.3", true),
            ("0.0.0.0/0", "::1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db9::1", true),
            ("::/0", "10.0.0.1", false),
        ];
        for (network, address, inside) in table {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), inside, "{network} {address}");
        }
    }

    #[test]
    fn what_is_not_a_range_is_refused_with_what_to_write() {
        for text in ["", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/+8", "10.0.0/8", "example.net", "::/129", "10.0.0.0/8/8"]
        {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        let error = "10.0.0.1/8".parse::<Network>().unwrap_err();
        assert!(error.to_string().ends_with("write 10.0.0.0/8"), "{error}");
    }

    #[test]
    fn an_ipv6_household_is_one_client() {
        let key = |text: &str| client_key(text.parse().unwrap());
        assert_eq!(key("2001:db8:1:2:3::4"), key("2001:db8:1:2:ffff::1"));
        assert_ne!(key("2001:db8:1:2::4"), key("2001:db8:1:3::4"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
    }
}
