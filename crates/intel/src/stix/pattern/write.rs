//! A native pattern in STIX's language.

use std::net::IpAddr;

use model::Protocol;

use crate::Pattern;

/// The pattern, and its type in STIX's vocabulary (`stix`, `yara`).
pub fn text(pattern: &Pattern) -> (&'static str, String) {
    let text = match pattern {
        Pattern::Yara { rule, .. } => return ("yara", rule.clone()),
        Pattern::Domain { value } => equal("domain-name:value", value),
        Pattern::Url { value, prefix: false } => equal("url:value", value),
        // LIKE has no way to write `%` and `_` themselves.
        Pattern::Url { value, prefix: true } => format!("[url:value MATCHES '^{}']", quote(&escape(value))),
        Pattern::File { hash } => match hash.len() {
            32 => equal("file:hashes.MD5", hash),
            40 => equal("file:hashes.'SHA-1'", hash),
            _ => equal("file:hashes.'SHA-256'", hash),
        },
        Pattern::Net { address, bits } => net(*address, *bits),
        Pattern::Account { protocol, value } => account(*protocol, value),
        Pattern::Text { value } => equal("x-portcullis-message:text", value),
        Pattern::NearText { shape } => equal("x-portcullis-message:shape", shape),
    };
    ("stix", text)
}

fn equal(path: &str, value: &str) -> String {
    format!("[{path} = '{}']", quote(value))
}

fn net(address: IpAddr, bits: u8) -> String {
    let (path, most) = if address.is_ipv4() { ("ipv4-addr:value", 32) } else { ("ipv6-addr:value", 128) };
    match bits == most {
        true => format!("[{path} = '{address}']"),
        false => format!("[{path} ISSUBSET '{address}/{bits}']"),
    }
}

fn account(protocol: Protocol, value: &str) -> String {
    let (network, value) = (protocol.name(), quote(value));
    format!("[user-account:account_type = '{network}' AND user-account:account_login = '{value}']")
}

fn quote(text: &str) -> String {
    text.replace('\\', r"\\").replace('\'', r"\'")
}

/// A text as a regular expression that matches it.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '.' | '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '|' | '^' | '$') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stix::pattern::parse_matchable;

    #[test]
    fn what_is_written_is_read_back() {
        let url = |value: &str, prefix| Pattern::Url { value: value.into(), prefix };
        for pattern in [
            Pattern::domain("xn--e1awd7f.test").unwrap(),
            url("http://evil.test/%25_(a)?b=c+d$", false),
            url("http://evil.test/%25_(a)?b=c+d$", true),
            Pattern::file("d41d8cd98f00b204e9800998ecf8427e").unwrap(),
            Pattern::file("da39a3ee5e6b4b0d3255bfef95601890afd80709").unwrap(),
            Pattern::net("198.51.100.7").unwrap(),
            Pattern::net("2001:db8::/32").unwrap(),
            Pattern::account(Protocol::Xmpp, "o'neill@evil.test").unwrap(),
            Pattern::account(Protocol::Matrix, "@a:evil.test").unwrap(),
            Pattern::account(Protocol::Sip, "a@evil.test").unwrap(),
            Pattern::account(Protocol::Irc, "nick!*@*").unwrap(),
            Pattern::Text { value: r"it's \ free".into() },
            Pattern::NearText { shape: "00ff".into() },
        ] {
            let (kind, text) = text(&pattern);
            assert_eq!(kind, "stix");
            let read = parse_matchable(&text);
            assert_eq!((read.patterns, read.refused), (vec![pattern], vec![]), "{text}");
        }
    }
}
