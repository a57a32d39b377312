//! Types of attributes, and what patterns they make.

use model::Protocol;

use crate::Pattern;

/// What the value of an attribute, or a part of it, is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Domain,
    Url,
    Hash(usize),
    Net,
    Jabber,
    /// Says more about the other part and is not matched.
    Beside,
}

/// Types that can be matched: the parts of their values between `|`.
const TYPES: &[(&str, &[Part])] = &[
    ("domain", &[Part::Domain]),
    ("hostname", &[Part::Domain]),
    ("domain|ip", &[Part::Domain, Part::Net]),
    ("hostname|port", &[Part::Domain, Part::Beside]),
    ("url", &[Part::Url]),
    ("uri", &[Part::Url]),
    ("ip-src", &[Part::Net]),
    ("ip-dst", &[Part::Net]),
    ("ip-src|port", &[Part::Net, Part::Beside]),
    ("ip-dst|port", &[Part::Net, Part::Beside]),
    ("md5", &[Part::Hash(32)]),
    ("sha1", &[Part::Hash(40)]),
    ("sha256", &[Part::Hash(64)]),
    ("filename|md5", &[Part::Beside, Part::Hash(32)]),
    ("filename|sha1", &[Part::Beside, Part::Hash(40)]),
    ("filename|sha256", &[Part::Beside, Part::Hash(64)]),
    ("malware-sample", &[Part::Beside, Part::Hash(32)]),
    ("jabber-id", &[Part::Jabber]),
];

/// What an attribute can be matched as, or why not.
pub(super) fn patterns(kind: &str, value: &str) -> Result<Vec<Pattern>, String> {
    if kind == "yara" {
        let name = crate::stix::yara_name(value).unwrap_or("unnamed").to_owned();
        return Ok(vec![Pattern::Yara { name, rule: value.to_owned() }]);
    }
    let Some((_, parts)) = TYPES.iter().find(|(name, _)| *name == kind) else {
        return Err(match kind {
            "email" | "email-src" | "email-dst" => "mail is not what is seen here".to_owned(),
            _ => format!("attributes of type `{}` are not matched", crate::stix::short(kind)),
        });
    };
    // A file's name may have a `|` of its own; a hash never has.
    let values: Vec<&str> = match parts {
        [_] => vec![value],
        [Part::Beside, _] => value.rsplitn(2, '|').collect::<Vec<_>>().into_iter().rev().collect(),
        _ => value.splitn(parts.len(), '|').collect(),
    };
    if values.len() != parts.len() {
        return Err(format!("`{}`: two values with `|` between them are wanted", crate::stix::short(value)));
    }
    let mut patterns = Vec::new();
    for (part, value) in parts.iter().zip(values) {
        let read = match part {
            Part::Domain => Pattern::domain(value),
            Part::Url => Pattern::url(value, false),
            Part::Net => Pattern::net(value),
            Part::Jabber => Pattern::account(Protocol::Xmpp, value),
            Part::Hash(digits) if value.trim().len() != *digits => Err("not of the length of such a hash"),
            Part::Hash(_) => Pattern::file(value),
            Part::Beside => continue,
        };
        patterns.push(read.map_err(|why| format!("`{}`: {why}", crate::stix::short(value)))?);
    }
    Ok(patterns)
}

/// Category, type and value of a pattern as an attribute.
pub(super) fn write(pattern: &Pattern) -> (&'static str, &'static str, String) {
    match pattern {
        Pattern::Domain { value } => ("Network activity", "domain", value.clone()),
        Pattern::Url { value, .. } => ("Network activity", "url", value.clone()),
        Pattern::File { hash } => {
            let kind = match hash.len() {
                32 => "md5",
                40 => "sha1",
                _ => "sha256",
            };
            ("Payload delivery", kind, hash.clone())
        }
        Pattern::Net { address, bits } => {
            let whole = if address.is_ipv4() { 32 } else { 128 };
            let value = if *bits == whole { address.to_string() } else { format!("{address}/{bits}") };
            ("Network activity", "ip-dst", value)
        }
        Pattern::Account { protocol: Protocol::Xmpp, value } => ("Social network", "jabber-id", value.clone()),
        Pattern::Account { protocol, value } => ("Other", "text", format!("{}:{value}", protocol.name())),
        Pattern::Text { value } => ("Other", "text", value.clone()),
        Pattern::NearText { shape } => ("Other", "text", shape.clone()),
        Pattern::Yara { rule, .. } => ("Payload delivery", "yara", rule.clone()),
    }
}

/// Whether the attribute that [`write`] makes of a pattern says all of it.
pub(super) fn says_all(pattern: &Pattern) -> bool {
    let (_, kind, value) = write(pattern);
    patterns(kind, &value).is_ok_and(|patterns| patterns == [pattern.clone()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_become_patterns() {
        let md5 = "01c0b7c5bf605ed267b2be3d024eb9ab";
        for (kind, value, want) in [
            ("domain", "EVIL.test", vec![Pattern::domain("evil.test")]),
            ("domain|ip", "evil.test|198.51.100.1", vec![Pattern::domain("evil.test"), Pattern::net("198.51.100.1")]),
            ("ip-dst|port", "198.51.100.1|443", vec![Pattern::net("198.51.100.1")]),
            ("hostname|port", "a.evil.test|80", vec![Pattern::domain("a.evil.test")]),
            ("filename|md5", &format!("a|b.exe|{md5}"), vec![Pattern::file(md5)]),
            ("jabber-id", "a@evil.test", vec![Pattern::account(Protocol::Xmpp, "a@evil.test")]),
        ] {
            let want: Vec<Pattern> = want.into_iter().map(Result::unwrap).collect();
            assert_eq!(patterns(kind, value), Ok(want), "{kind} {value}");
        }
        for (kind, value, why) in [
            ("regkey", "HKLM\\x", "not matched"),
            ("email-src", "a@evil.test", "mail"),
            ("md5", &md5[1..], "length"),
            ("ip-dst|port", "198.51.100.1", "two values"),
            ("url", "/path/only", "not a URL"),
        ] {
            assert!(patterns(kind, value).unwrap_err().contains(why), "{kind} {value}");
        }
    }

    #[test]
    fn yara_rules_keep_their_name() {
        let rule = "import \"pe\"\nprivate rule bad_1 : tag { condition: true }";
        assert_eq!(patterns("yara", rule), Ok(vec![Pattern::Yara { name: "bad_1".into(), rule: rule.into() }]));
    }
}
