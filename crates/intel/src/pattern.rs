//! Making a [`Pattern`] of what a feed wrote: checked and brought to the form in which it is compared.
//!
//! What would hit bystanders is not judged here (that is the guard's and the index's work), only what makes no sense.

use model::Protocol;
use url::{Host, Url};

use crate::Pattern;

/// The longest value taken, in bytes.
const LONGEST: usize = 4_096;

impl Pattern {
    /// A domain, or the address that stands in its place.
    pub fn domain(text: &str) -> Result<Pattern, &'static str> {
        let name = indicators::canonical::trim_dot(text.trim());
        if name.len() > 253 || name.contains('%') {
            return Err("not a domain name");
        }
        match Host::parse(name) {
            Ok(Host::Domain(value)) if is_domain(&value) => Ok(Pattern::Domain { value }),
            Ok(Host::Ipv4(_)) => Pattern::net(name),
            _ => Err("not a domain name"),
        }
    }

    /// A page, or with `prefix` everything whose URL begins so.
    pub fn url(text: &str, prefix: bool) -> Result<Pattern, &'static str> {
        if text.len() > LONGEST {
            return Err("longer than any URL that is used");
        }
        let url = Url::parse(text.trim()).map_err(|_| "not a URL")?;
        if url.host().is_none() {
            return Err("a URL without a host can't be matched");
        }
        Ok(Pattern::Url { value: indicators::canonical::canonical(&url), prefix })
    }

    /// A file by its MD5, SHA-1 or SHA-256.
    pub fn file(text: &str) -> Result<Pattern, &'static str> {
        let hash = text.trim().to_ascii_lowercase();
        match hash.len() {
            32 | 40 | 64 if hash.bytes().all(|b| b.is_ascii_hexdigit()) => Ok(Pattern::File { hash }),
            _ => Err("not an MD5, SHA-1 or SHA-256 in hexadecimal"),
        }
    }

    /// An address or a range of them (`198.51.100.0/24`).
    pub fn net(text: &str) -> Result<Pattern, &'static str> {
        let net = indicators::net::Net::parse(text.trim()).ok_or("not an address or range")?;
        Ok(Pattern::Net { address: net.ip, bits: net.length })
    }

    /// Words of a message.
    pub fn text(text: &str) -> Result<Pattern, &'static str> {
        let value = text.trim();
        if value.is_empty() || value.len() > LONGEST {
            return Err("no words, or more than any message pattern needs");
        }
        Ok(Pattern::Text { value: value.to_owned() })
    }

    /// An account, or a server with all its accounts.
    pub fn account(protocol: Protocol, text: &str) -> Result<Pattern, &'static str> {
        let text = text.trim();
        let scheme: &[&str] = match protocol {
            Protocol::Xmpp => &["xmpp:"],
            Protocol::Irc => &["irc:"],
            Protocol::Matrix => &["matrix:"],
            Protocol::Sip => &["sips:", "sip:"],
        };
        let value = scheme.iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
        if value.is_empty() || value.len() > LONGEST || value.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("not an account");
        }
        let fits = match protocol {
            Protocol::Matrix => {
                value.split_once(':').is_none_or(|(name, server)| name.starts_with('@') && !server.is_empty())
            }
            Protocol::Xmpp | Protocol::Sip => {
                value.split_once('@').is_none_or(|(name, server)| !name.is_empty() && !server.is_empty())
            }
            Protocol::Irc => true,
        };
        if fits { Ok(Pattern::Account { protocol, value: value.to_owned() }) } else { Err("not an account") }
    }
}

fn is_domain(name: &str) -> bool {
    !name.is_empty()
        && name.contains('.')
        && name.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_take_the_form_they_are_compared_in() {
        let domain = |value: &str| Pattern::Domain { value: value.into() };
        assert_eq!(Pattern::domain(" EVIL.Test. "), Ok(domain("evil.test")));
        assert_eq!(Pattern::domain("münchen.test"), Ok(domain("xn--mnchen-3ya.test")));
        assert_eq!(Pattern::domain("192.0.2.7"), Pattern::net("192.0.2.7/32"));
        assert_eq!(
            Pattern::url("HTTP://Evil.test:80/a#b", false),
            Ok(Pattern::Url { value: "http://evil.test/a".into(), prefix: false })
        );
        let xmpp = Pattern::Account { protocol: Protocol::Xmpp, value: "a@evil.test".into() };
        assert_eq!(Pattern::account(Protocol::Xmpp, "xmpp:a@evil.test"), Ok(xmpp));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for wrong in ["", "com", "domain evil.test", "a..b", "*.evil.test", "-", "evil.test/a", "[::1]", "%65vil.test"]
        {
            assert!(Pattern::domain(wrong).is_err(), "{wrong}");
        }
        for wrong in ["evil.test", "mailto:a@b.test", "javascript:1", ""] {
            assert!(Pattern::url(wrong, false).is_err(), "{wrong}");
        }
        for wrong in ["abc", "zz5e57ee6dfb1e4ce69b0d5eaf4d6d3a", ""] {
            assert!(Pattern::file(wrong).is_err(), "{wrong}");
        }
        for (protocol, wrong) in
            [(Protocol::Xmpp, "@evil.test"), (Protocol::Xmpp, "a b@evil.test"), (Protocol::Matrix, "a:evil.test")]
        {
            assert!(Pattern::account(protocol, wrong).is_err(), "{wrong}");
        }
    }
}
