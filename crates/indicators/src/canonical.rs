//! The one form of a URL that everything compares: what a browser would go to, without
//! what does not change where that is.
//!
//! On top of the WHATWG parse (case, default ports, dot segments, host forms, IDNA):
//! user name, password and fragment are dropped, a final dot of the host is dropped, and
//! percent-encoded unreserved characters are decoded (RFC 3986 section 6.2.2.2). The
//! result is a fixed point: reading it again gives it again.

use url::{Host, Url};

/// The canonical form of a parsed URL.
pub fn canonical(url: &Url) -> String {
    let Some(host) = url.host() else { return url.as_str().split('#').next().unwrap_or_default().to_owned() };
    let mut out = String::with_capacity(url.as_str().len());
    out.push_str(url.scheme());
    out.push_str("://");
    match host {
        Host::Domain(name) => out.push_str(trim_dot(name)),
        Host::Ipv4(_) | Host::Ipv6(_) => out.push_str(url.host_str().unwrap_or_default()),
    }
    if let Some(port) = url.port() {
        out.push(':');
        out.push_str(&port.to_string());
    }
    decode_unreserved(url.path(), &mut out);
    if let Some(query) = url.query() {
        out.push('?');
        decode_unreserved(query, &mut out);
    }
    out
}

/// A host without its final dot. Of several nothing is taken: such a name is none in the
/// DNS, and with one dot less it might be read as something else.
pub fn trim_dot(host: &str) -> &str {
    match host.strip_suffix('.') {
        Some(name) if !name.is_empty() && !name.ends_with('.') => name,
        _ => host,
    }
}

/// Host and what follows, of a canonical URL with an authority: `evil.test:8080`, `/a?b`.
/// The name's `www.` is left out, as lists differ in it.
pub(crate) fn split(canonical: &str) -> Option<(&str, &str)> {
    let (_, rest) = canonical.split_once("://")?;
    let slash = rest.find('/')?;
    let (authority, path) = rest.split_at(slash);
    Some((authority.strip_prefix("www.").unwrap_or(authority), path))
}

fn decode_unreserved(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let decoded = from.get(1..3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match decoded {
            Some(byte) if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') => {
                out.push(char::from(byte));
                rest = &from[3..];
            }
            // A dot stays as it is: decoded, it could make a dot segment.
            _ => {
                out.push('%');
                rest = &from[1..];
            }
        }
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> String {
        canonical(&Url::parse(url).unwrap())
    }

    #[test]
    fn what_does_not_change_the_place_is_dropped() {
        for (written, form) in [
            ("HTTP://User:Pw@EVIL.test:80/%7Ea/./b/../c%2F?q=%41#frag", "http://evil.test/~a/c%2F?q=A"),
            ("http://evil.test", "http://evil.test/"),
            ("http://evil.test./", "http://evil.test/"),
            ("http://evil.test../", "http://evil.test../"),
            ("http://0x7f.1/", "http://127.0.0.1/"),
            ("https://[::FFFF:7f00:1]:8443/", "https://[::ffff:7f00:1]:8443/"),
            ("http:\\\\evil.test\\a", "http://evil.test/a"),
            ("http://еvil.test/ü", "http://xn--vil-qdd.test/%C3%BC"),
            ("javascript:alert(1)", "javascript:alert(1)"),
            ("mailto:a@b.test#x", "mailto:a@b.test"),
            ("http://evil.test/%2e%2E/%2561", "http://evil.test/%2561"),
        ] {
            assert_eq!(of(written), form);
            assert_eq!(of(form), form);
        }
    }

    proptest::proptest! {
        #[test]
        fn is_a_fixed_point(path in "[ -~]{0,40}", host in "[a-z0-9.%-]{1,20}") {
            if let Ok(url) = Url::parse(&format!("http://{host}/{path}")) {
                let once = canonical(&url);
                if let Ok(again) = Url::parse(&once) {
                    proptest::prop_assert_eq!(canonical(&again), once);
                }
            }
        }
    }
}
