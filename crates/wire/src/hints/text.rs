//! Names as foreign bytes carry them, made safe to keep and to show.

/// Longest name kept, in bytes: that of a domain name (RFC 1035 section 2.3.4).
pub(super) const LONGEST: usize = 253;

/// A host name: lower case, without final dot; `None` unless all of it is letters, digits, hyphens, underscores and
/// dots, with no empty label.
pub(super) fn host(bytes: &[u8]) -> Option<Box<str>> {
    let bytes = bytes.strip_suffix(b".").unwrap_or(bytes);
    if bytes.is_empty() || bytes.len() > LONGEST {
        return None;
    }
    let mut empty_label = true;
    for byte in bytes {
        match byte {
            b'.' if empty_label => return None,
            b'.' => empty_label = true,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => empty_label = false,
            _ => return None,
        }
    }
    if empty_label {
        return None;
    }
    std::str::from_utf8(bytes).ok().map(|name| name.to_ascii_lowercase().into())
}

/// The host of `host`, `host:port`, `[address]` or `[address]:port`: a name or an IPv4 or IPv6 address.
pub(super) fn authority(bytes: &[u8]) -> Option<Box<str>> {
    if let Some(rest) = bytes.strip_prefix(b"[") {
        let end = memchr::memchr(b']', rest)?;
        let address: std::net::Ipv6Addr = std::str::from_utf8(rest.get(..end)?).ok()?.parse().ok()?;
        return Some(address.to_string().into());
    }
    let name = match memchr::memrchr(b':', bytes) {
        Some(colon) => {
            let (name, port) = bytes.split_at_checked(colon)?;
            let port = port.get(1..).unwrap_or_default();
            (port.len() <= 5 && port.iter().all(u8::is_ascii_digit)).then_some(name)?
        }
        None => bytes,
    };
    host(name)
}

/// Text for people: trimmed, UTF-8, without control characters, of sane length.
pub(super) fn text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes.get(..bytes.len().min(4 * LONGEST))?).ok()?.trim();
    (!text.is_empty() && text.len() <= LONGEST && !text.contains(char::is_control)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_are_hosts() {
        for (bytes, name) in [
            (&b"Example.TEST."[..], Some("example.test")),
            (b"_xmpp._tcp.example", Some("_xmpp._tcp.example")),
            (b"a..b", None),
            (b".a", None),
            (b"a b", None),
            (b"", None),
            (b".", None),
            (b"b\xc3\xbccher.example", None),
            (&[b'a'; 254], None),
        ] {
            assert_eq!(host(bytes).as_deref(), name, "{bytes:?}");
        }
        for (bytes, name) in [
            (&b"Example.test:443"[..], Some("example.test")),
            (b"192.0.2.1:80", Some("192.0.2.1")),
            (b"[2001:DB8::1]:8080", Some("2001:db8::1")),
            (b"[2001:db8::1]", Some("2001:db8::1")),
            (b"2001:db8::1", None),
            (b"example.test:http", None),
            (b"example.test:", Some("example.test")),
        ] {
            assert_eq!(authority(bytes).as_deref(), name, "{bytes:?}");
        }
        assert_eq!(text(b" Acme, Inc. "), Some("Acme, Inc."));
        assert_eq!(text(b"a\x00b"), None);
    }
}
