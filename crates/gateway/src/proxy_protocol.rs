//! The PROXY protocol, versions 1 and 2, as a load balancer speaks it to say who the client is.
//!
//! Sans-I/O, strict and bounded, after <https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt>. Who may speak it
//! is not decided here (see `listen`): a header from anyone else would let a client pick its own address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Longest version 1 line, with its CRLF (section 2.1).
pub const V1_MOST: usize = 107;
/// Longest version 2 header that is read, with its addresses and TLVs. The form allows 65,551; senders stay below 2 kB
/// even with a client certificate's names.
pub const V2_MOST: usize = 4096;

/// Version 2 begins with this, which no other protocol does (section 2.2).
const V2_SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const V2_FIXED: usize = 16;

/// What the bytes so far are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// No fault yet, and not complete: all bytes seen belong to the header.
    More,
    /// A complete header.
    Header {
        /// Its length; the client's own bytes follow.
        used: usize,
        /// Who the client is; `None` when the sender speaks for itself (`LOCAL`, `UNKNOWN`, a socket that is neither
        /// IPv4 nor IPv6), so the connection's own address counts.
        client: Option<SocketAddr>,
    },
}

/// Why the bytes are not a PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Neither version's first bytes.
    #[error("no PROXY protocol header; let the load balancer send one, or take its network from the trusted ones")]
    Missing,
    /// Version 1's line is not in its only allowed form.
    #[error("malformed PROXY protocol version 1 line")]
    Line,
    /// A version 2 header contradicts itself.
    #[error("malformed PROXY protocol version 2 header")]
    Binary,
    /// Longer than the bound.
    #[error("PROXY protocol header of more than {0} bytes; let the load balancer send fewer TLVs")]
    TooLong(usize),
}

/// Reads a header from the first bytes of a connection. After [`Parsed::More`], the next call passes the same bytes
/// with more behind them.
pub fn parse(bytes: &[u8]) -> Result<Parsed, Fault> {
    if starts_like(bytes, &V2_SIGNATURE) {
        return if bytes.len() < V2_FIXED { Ok(Parsed::More) } else { version_2(bytes) };
    }
    if starts_like(bytes, b"PROXY ") {
        return version_1(bytes);
    }
    Err(Fault::Missing)
}

/// Whether `bytes` begin with `prefix`, or are a beginning of it.
fn starts_like(bytes: &[u8], prefix: &[u8]) -> bool {
    bytes.iter().zip(prefix).all(|(a, b)| a == b)
}

fn version_1(bytes: &[u8]) -> Result<Parsed, Fault> {
    let seen = &bytes[..bytes.len().min(V1_MOST)];
    let Some(end) = memchr::memchr(b'\n', seen) else {
        return if bytes.len() < V1_MOST { Ok(Parsed::More) } else { Err(Fault::TooLong(V1_MOST)) };
    };
    let line = seen[..end].strip_suffix(b"\r").ok_or(Fault::Line)?;
    let line = std::str::from_utf8(line).map_err(|_| Fault::Line)?;
    let used = end + 1;

    let mut words = line.split(' ');
    let _proxy = words.next();
    let family = words.next().ok_or(Fault::Line)?;
    if family == "UNKNOWN" {
        return Ok(Parsed::Header { used, client: None });
    }
    let [Some(source), Some(destination), Some(source_port), Some(destination_port), None] =
        std::array::from_fn(|_| words.next())
    else {
        return Err(Fault::Line);
    };
    let (source, destination): (IpAddr, IpAddr) = match family {
        "TCP4" => (v4(source)?.into(), v4(destination)?.into()),
        "TCP6" => (v6(source)?.into(), v6(destination)?.into()),
        _ => return Err(Fault::Line),
    };
    let client = SocketAddr::new(source, port(source_port)?);
    let _checked = SocketAddr::new(destination, port(destination_port)?);
    Ok(Parsed::Header { used, client: Some(client) })
}

fn v4(text: &str) -> Result<Ipv4Addr, Fault> {
    text.parse().map_err(|_| Fault::Line)
}

fn v6(text: &str) -> Result<Ipv6Addr, Fault> {
    text.parse().map_err(|_| Fault::Line)
}

/// Decimal, no sign, no leading zero.
fn port(text: &str) -> Result<u16, Fault> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().map_err(|_| Fault::Line) } else { Err(Fault::Line) }
}

fn version_2(bytes: &[u8]) -> Result<Parsed, Fault> {
    let version_command = bytes[12];
    let family = bytes[13];
    let length = usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    let used = V2_FIXED + length;
    if version_command >> 4 != 2 || version_command & 0xf > 1 || family >> 4 > 3 || family & 0xf > 2 {
        return Err(Fault::Binary);
    }
    if used > V2_MOST {
        return Err(Fault::TooLong(V2_MOST));
    }
    let Some(body) = bytes.get(V2_FIXED..used) else { return Ok(Parsed::More) };

    let is_local = version_command & 0xf == 0;
    let client = match family {
        _ if is_local => None,
        // Stream over IPv4 and IPv6; what lies behind the addresses are TLVs, which are checked and skipped.
        0x11 => {
            let (addresses, tlvs) = body.split_first_chunk::<12>().ok_or(Fault::Binary)?;
            skip_tlvs(tlvs)?;
            let [a, b, c, d, _, _, _, _, high, low, _, _] = *addresses;
            Some(SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), u16::from_be_bytes([high, low])))
        }
        0x21 => {
            let (addresses, tlvs) = body.split_first_chunk::<36>().ok_or(Fault::Binary)?;
            skip_tlvs(tlvs)?;
            let source: [u8; 16] = std::array::from_fn(|i| addresses[i]);
            Some(SocketAddr::new(Ipv6Addr::from(source).into(), u16::from_be_bytes([addresses[32], addresses[33]])))
        }
        // Unspecified and Unix sockets: the receiver uses the connection's own address. Datagrams make no sense here.
        0x00 | 0x31 => None,
        _ => return Err(Fault::Binary),
    };
    Ok(Parsed::Header { used, client })
}

/// Type, length, value, until nothing is left (section 2.2.1).
fn skip_tlvs(mut rest: &[u8]) -> Result<(), Fault> {
    while !rest.is_empty() {
        let (head, behind) = rest.split_first_chunk::<3>().ok_or(Fault::Binary)?;
        let length = usize::from(u16::from_be_bytes([head[1], head[2]]));
        rest = behind.get(length..).ok_or(Fault::Binary)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binary(version_command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let mut out = V2_SIGNATURE.to_vec();
        out.extend([version_command, family]);
        out.extend((body.len() as u16).to_be_bytes());
        out.extend(body);
        out
    }

    const V4_BODY: [u8; 12] = [192, 0, 2, 1, 10, 0, 0, 1, 0xDC, 0x04, 0x14, 0x66];

    #[test]
    fn version_1_lines() {
        let longest = format!("PROXY TCP6 {0} {0} 65535 65535\r\n", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
        let table: &[(&str, Option<&str>)] = &[
            ("PROXY TCP4 192.0.2.1 10.0.0.1 56324 5222\r\n", Some("192.0.2.1:56324")),
            ("PROXY TCP6 2001:db8::1 ::1 56324 5222\r\n", Some("[2001:db8::1]:56324")),
            (&longest, Some("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535")),
            ("PROXY UNKNOWN\r\n", None),
            ("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
        ];
        for (line, client) in table {
            let want = Parsed::Header { used: line.len(), client: client.map(|c| c.parse().unwrap()) };
            let with_more = [line.as_bytes(), b"<stream>\n"].concat();
            assert_eq!(parse(&with_more), Ok(want), "{line}");
        }
    }

    #[test]
    fn malformed_lines_are_refused() {
        let table = [
            ("GET / HTTP/1.1\r\n", Fault::Missing),
            ("proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n", Fault::Missing),
            ("PROXY\r\n", Fault::Missing),
            ("PROXY \r\n", Fault::Line),
            ("PROXY TCP4 192.0.2.1 10.0.0.1 56324 5222\n", Fault::Line),
            ("PROXY TCP4 192.0.2.1 10.0.0.1 56324\r\n", Fault::Line),
            ("PROXY TCP4 192.0.2.1 10.0.0.1 56324 5222 x\r\n", Fault::Line),
            ("PROXY TCP4 192.0.2.1  10.0.0.1 56324 5222\r\n", Fault::Line),
            ("PROXY TCP4 192.0.2.256 10.0.0.1 56324 5222\r\n", Fault::Line),
            ("PROXY TCP4 192.0.02.1 10.0.0.1 56324 5222\r\n", Fault::Line),
            ("PROXY TCP4 ::1 ::1 56324 5222\r\n", Fault::Line),
            ("PROXY TCP6 192.0.2.1 10.0.0.1 56324 5222\r\n", Fault::Line),
            ("PROXY TCP4 192.0.2.1 10.0.0.1 65536 5222\r\n", Fault::Line),
            ("PROXY TCP4 192.0.2.1 10.0.0.1 +1 5222\r\n", Fault::Line),
            ("PROXY TCP4 192.0.2.1 10.0.0.1 01 5222\r\n", Fault::Line),
            ("PROXY TCP4 192.0.2.1 10.0.0.1 1 \r\n", Fault::Line),
            ("PROXY UDP4 192.0.2.1 10.0.0.1 1 2\r\n", Fault::Line),
        ];
        for (line, fault) in table {
            assert_eq!(parse(line.as_bytes()), Err(fault), "{line}");
        }
        let endless = ["PROXY UNKNOWN ", &"x".repeat(200)].concat();
        assert_eq!(parse(endless.as_bytes()), Err(Fault::TooLong(V1_MOST)));
        assert_eq!(parse(b"PROXY \xff\xff\r\n"), Err(Fault::Line));
    }

    #[test]
    fn version_2_headers() {
        let mut v6 = [0u8; 36];
        v6[..16].copy_from_slice(&"2001:db8::7".parse::<Ipv6Addr>().unwrap().octets());
        v6[32..34].copy_from_slice(&5223u16.to_be_bytes());
        let with_tlvs = [&V4_BODY[..], &[0x04, 0, 2, 9, 9], &[0xEA, 0, 0]].concat();
        let table: &[(Vec<u8>, Option<&str>)] = &[
            (binary(0x21, 0x11, &V4_BODY), Some("192.0.2.1:56324")),
            (binary(0x21, 0x11, &with_tlvs), Some("192.0.2.1:56324")),
            (binary(0x21, 0x21, &v6), Some("[2001:db8::7]:5223")),
            (binary(0x20, 0x00, &[]), None),
            (binary(0x20, 0x11, &V4_BODY), None),
            (binary(0x20, 0x11, &[1, 2, 3]), None),
            (binary(0x21, 0x00, &[]), None),
            (binary(0x21, 0x31, &[0; 216]), None),
        ];
        for (bytes, client) in table {
            let want = Parsed::Header { used: bytes.len(), client: client.map(|c| c.parse().unwrap()) };
            let with_more = [&bytes[..], b"\x16\x03\x01"].concat();
            assert_eq!(parse(&with_more), Ok(want), "{bytes:x?}");
        }
    }

    #[test]
    fn malformed_headers_are_refused() {
        let table: &[(Vec<u8>, Fault)] = &[
            (binary(0x11, 0x11, &V4_BODY), Fault::Binary),
            (binary(0x22, 0x11, &V4_BODY), Fault::Binary),
            (binary(0x21, 0x41, &V4_BODY), Fault::Binary),
            (binary(0x21, 0x13, &V4_BODY), Fault::Binary),
            (binary(0x21, 0x12, &V4_BODY), Fault::Binary),
            (binary(0x21, 0x11, &V4_BODY[..11]), Fault::Binary),
            (binary(0x21, 0x21, &V4_BODY), Fault::Binary),
            (binary(0x21, 0x11, &[&V4_BODY[..], &[4, 0]].concat()), Fault::Binary),
            (binary(0x21, 0x11, &[&V4_BODY[..], &[4, 0, 5, 1]].concat()), Fault::Binary),
            (binary(0x21, 0x11, &[0; 5000]), Fault::TooLong(V2_MOST)),
        ];
        for (bytes, fault) in table {
            assert_eq!(parse(bytes), Err(*fault), "{bytes:x?}");
        }
    }

    #[test]
    fn any_chunking_reads_the_same() {
        for whole in [b"PROXY TCP4 192.0.2.1 10.0.0.1 56324 5222\r\n".to_vec(), binary(0x21, 0x11, &V4_BODY)] {
            for cut in 0..whole.len() {
                assert_eq!(parse(&whole[..cut]), Ok(Parsed::More), "{cut}");
            }
            assert!(matches!(parse(&whole), Ok(Parsed::Header { client: Some(_), .. })));
        }
    }
}
