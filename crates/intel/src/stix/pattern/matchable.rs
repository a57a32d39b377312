//! Which patterns the index can match: one of several facts, each of which alone says enough.

use model::Protocol;

use super::{Comparison, Literal, Observation, Operator, Path, PathStep, Qualifier, Test, parse};
use crate::Pattern;

/// Reasons that are given back for one pattern; it may have thousands of parts.
const REASONS: usize = 20;

/// What of a pattern can be matched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matchable {
    /// Any of these is the pattern.
    pub patterns: Vec<Pattern>,
    /// Why alternatives of it can't be matched; the first twenty.
    pub refused: Vec<String>,
}

impl Matchable {
    fn refuse(&mut self, why: impl Into<String>) {
        let why = why.into();
        if self.refused.len() < REASONS && !self.refused.contains(&why) {
            self.refused.push(why);
        }
    }
}

/// What of a pattern's text can be matched.
pub fn parse_matchable(text: &str) -> Matchable {
    match parse(text) {
        Ok(observation) => matchable(&observation),
        Err(error) => Matchable { patterns: Vec::new(), refused: vec![error.to_string()] },
    }
}

/// What of a pattern can be matched: alternatives are taken one by one.
pub fn matchable(observation: &Observation) -> Matchable {
    let mut out = Matchable::default();
    observe(observation, &mut out);
    let mut seen = std::collections::HashSet::new();
    out.patterns.retain(|pattern| seen.insert(pattern.clone()));
    out
}

fn observe(observation: &Observation, out: &mut Matchable) {
    match observation {
        Observation::One(comparison) => compare(comparison, out),
        Observation::Or(any) => any.iter().for_each(|one| observe(one, out)),
        Observation::And(_) => out.refuse("needs several observations together"),
        Observation::FollowedBy(_) => out.refuse("needs observations one after the other"),
        // Of a single observation the first is always true.
        Observation::Qualified(inner, Qualifier::Within(_) | Qualifier::Repeats(1)) => observe(inner, out),
        Observation::Qualified(_, Qualifier::Repeats(_)) => out.refuse("needs the observation more than once"),
        Observation::Qualified(_, Qualifier::StartStop(..)) => out.refuse("holds for a time of observation only"),
    }
}

fn compare(comparison: &Comparison, out: &mut Matchable) {
    match comparison {
        Comparison::Or(any) => any.iter().for_each(|one| compare(one, out)),
        Comparison::Exists(path) => out.refuse(format!("{}: any value is too many", show(path))),
        Comparison::Test(test) => match_test(test, out),
        Comparison::And(all) => {
            let tests: Option<Vec<&Test>> =
                all.iter().map(|one| if let Comparison::Test(test) = one { Some(test) } else { None }).collect();
            match tests {
                Some(tests) => match_all(&tests, out),
                None => out.refuse("needs several comparisons together"),
            }
        }
    }
}

/// Comparisons that must all hold: an account with its network, or the hashes of one file beside which its name and
/// size say nothing more.
fn match_all(tests: &[&Test], out: &mut Matchable) {
    if tests.iter().all(|test| &*test.path.object == "user-account") {
        return match_account(tests, out);
    }
    if tests.iter().all(|test| &*test.path.object == "file") {
        let is_beside = |test: &&&Test| matches!(property(&test.path), Some("name" | "size" | "mime_type"));
        let hashes: Vec<&&Test> = tests.iter().filter(|test| !is_beside(test)).collect();
        let mut each: Vec<Matchable> = hashes
            .iter()
            .map(|test| {
                let mut one = Matchable::default();
                match_test(test, &mut one);
                one
            })
            .collect();
        let is_hash = |one: &Matchable| one.refused.is_empty() && !one.patterns.is_empty();
        if !each.is_empty() && each.iter().all(is_hash) && tests.iter().all(|test| is_positive(test)) {
            each.sort_by_key(|one| one.patterns.iter().map(strength_of_hash).min());
            out.patterns.extend(each.pop().unwrap_or_default().patterns);
            return;
        }
    }
    out.refuse("needs several comparisons together");
}

fn strength_of_hash(pattern: &Pattern) -> usize {
    if let Pattern::File { hash } = pattern { hash.len() } else { 0 }
}

fn is_positive(test: &Test) -> bool {
    !test.negated && matches!(test.operator, Operator::Equal | Operator::In | Operator::Like | Operator::Matches)
}

/// `[user-account:account_type = 'xmpp' AND user-account:account_login = 'a@b']`.
fn match_account(tests: &[&Test], out: &mut Matchable) {
    let mut protocol = None;
    let mut accounts = Vec::new();
    for test in tests {
        let texts = equal_texts(test);
        match (property(&test.path), texts) {
            (Some("account_type"), Some(texts)) => protocol = texts.first().and_then(|text| network(text)),
            (Some("account_login" | "user_id"), Some(texts)) => accounts.push(texts),
            (Some("display_name"), Some(_)) => {}
            _ => return out.refuse(format!("{}: can't be matched beside an account", show(&test.path))),
        }
    }
    match (protocol, accounts.as_slice()) {
        (None, _) => out.refuse("user-account: `account_type` must say xmpp, matrix, sip or irc"),
        (Some(protocol), [accounts]) => {
            for account in accounts {
                take(Pattern::account(protocol, account), account, out);
            }
        }
        (Some(_), _) => out.refuse("user-account: one of `account_login` and `user_id` is needed"),
    }
}

fn network(account_type: &str) -> Option<Protocol> {
    match account_type.to_ascii_lowercase().as_str() {
        "xmpp" | "jabber" => Some(Protocol::Xmpp),
        "matrix" => Some(Protocol::Matrix),
        "sip" => Some(Protocol::Sip),
        "irc" => Some(Protocol::Irc),
        _ => None,
    }
}

fn match_test(test: &Test, out: &mut Matchable) {
    if test.negated {
        return out.refuse(format!("{}: what is not so can't be matched", show(&test.path)));
    }
    if &*test.path.object == "user-account" {
        return match_account(&[test], out);
    }
    let Some(texts) = texts(test) else {
        return out.refuse(format!("{}: compared with what is no text", show(&test.path)));
    };
    let kind = (&*test.path.object, property(&test.path), test.operator);
    match kind {
        ("domain-name", Some("value"), Operator::Equal | Operator::In) => {
            texts.iter().for_each(|text| take(Pattern::domain(text), text, out));
        }
        ("domain-name", Some("value"), Operator::Like) => {
            match texts.first().and_then(|text| text.strip_prefix("%.")) {
                Some(domain) if is_literal(domain) => take(Pattern::domain(domain), domain, out),
                _ => out.refuse("domain-name:value LIKE: only `%.` before a domain can be matched"),
            }
        }
        ("url", Some("value"), Operator::Equal | Operator::In) => texts.iter().for_each(|text| match_url(text, out)),
        ("url", Some("value"), Operator::Like) => match texts.first().and_then(|text| text.strip_suffix('%')) {
            Some(prefix) if is_literal(prefix) => take(Pattern::url(prefix, true), prefix, out),
            _ => out.refuse("url:value LIKE: only a URL with `%` at its end can be matched"),
        },
        ("url", Some("value"), Operator::Matches) => match texts.first().and_then(|text| anchored_literal(text)) {
            Some((literal, whole)) => take(Pattern::url(&literal, !whole), &literal, out),
            None => out.refuse("url:value MATCHES: only `^` and a URL with its signs escaped can be matched"),
        },
        ("ipv4-addr" | "ipv6-addr", Some("value"), Operator::Equal | Operator::In | Operator::Subset) => {
            texts.iter().for_each(|text| take(Pattern::net(text), text, out))
        }
        ("file", _, Operator::Equal | Operator::In) if hash_name(&test.path).is_some() => {
            let digits = hash_name(&test.path).unwrap_or_default();
            for text in &texts {
                match Pattern::file(text) {
                    Ok(Pattern::File { hash }) if hash.len() != digits => {
                        out.refuse(format!("`{}`: not of the length of such a hash", crate::stix::short(text)));
                    }
                    read => take(read, text, out),
                }
            }
        }
        ("x-portcullis-message", Some("text"), Operator::Equal | Operator::In) => {
            out.patterns.extend(texts.iter().map(|text| Pattern::Text { value: (*text).to_owned() }));
        }
        ("x-portcullis-message", Some("shape"), Operator::Equal | Operator::In) => {
            out.patterns.extend(texts.iter().map(|text| Pattern::NearText { shape: (*text).to_owned() }));
        }
        ("email-addr", ..) => {
            out.refuse("email-addr: mail is not what is seen here; say user-account with `account_type`")
        }
        _ => out.refuse(format!("{} {}: can't be matched", show(&test.path), test.operator.as_str())),
    }
}

/// A URL may name an account.
fn match_url(text: &str, out: &mut Matchable) {
    let scheme = text.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase()).unwrap_or_default();
    let account = match scheme.as_str() {
        "xmpp" => Some(Protocol::Xmpp),
        "sip" | "sips" => Some(Protocol::Sip),
        _ => None,
    };
    let place = text.split(['?', '#']).next().unwrap_or_default();
    match account {
        Some(protocol) => take(Pattern::account(protocol, place), text, out),
        None => take(Pattern::url(text, false), text, out),
    }
}

fn take(read: Result<Pattern, &'static str>, text: &str, out: &mut Matchable) {
    match read {
        Ok(pattern) => out.patterns.push(pattern),
        Err(why) => out.refuse(format!("`{}`: {why}", crate::stix::short(text))),
    }
}

/// The values of `=` and `IN`, if they are texts.
fn equal_texts(test: &Test) -> Option<Vec<&str>> {
    let is_equal = !test.negated && matches!(test.operator, Operator::Equal | Operator::In);
    is_equal.then(|| texts(test)).flatten()
}

fn texts(test: &Test) -> Option<Vec<&str>> {
    test.values.iter().map(|value| if let Literal::Text(text) = value { Some(&**text) } else { None }).collect()
}

/// The only property of a path.
fn property(path: &Path) -> Option<&str> {
    match path.steps.as_slice() {
        [PathStep::Property(name)] => Some(name),
        _ => None,
    }
}

/// Of `file:hashes.'SHA-256'`, digits of such a hash.
fn hash_name(path: &Path) -> Option<usize> {
    let [PathStep::Property(hashes), PathStep::Property(name)] = path.steps.as_slice() else { return None };
    match (&**hashes, name.to_ascii_uppercase().replace('-', "").as_str()) {
        ("hashes", "MD5") => Some(32),
        ("hashes", "SHA1") => Some(40),
        ("hashes", "SHA256") => Some(64),
        _ => None,
    }
}

/// Of `LIKE`: no wildcard.
fn is_literal(text: &str) -> bool {
    !text.contains(['%', '_'])
}

/// The text that `^text` or `^text$` matches, and whether nothing may follow; none when it is more of an expression.
fn anchored_literal(expression: &str) -> Option<(String, bool)> {
    let mut out = String::new();
    let mut chars = expression.strip_prefix('^')?.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push(chars.next().filter(|c| !c.is_ascii_alphanumeric())?),
            '$' => return chars.next().is_none().then_some((out, true)),
            '.' | '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '|' | '^' => return None,
            c => out.push(c),
        }
    }
    Some((out, false))
}

fn show(path: &Path) -> String {
    let mut out = format!("{}:", path.object);
    for (at, step) in path.steps.iter().enumerate() {
        match step {
            PathStep::Property(name) => {
                if at > 0 {
                    out.push('.');
                }
                out.push_str(name);
            }
            PathStep::Index(index) => out.push_str(&format!("[{index}]")),
            PathStep::Any => out.push_str("[*]"),
        }
    }
    crate::stix::short(&out)
}

impl Operator {
    fn as_str(self) -> &'static str {
        match self {
            Operator::Equal => "=",
            Operator::NotEqual => "!=",
            Operator::Less => "<",
            Operator::LessEqual => "<=",
            Operator::Greater => ">",
            Operator::GreaterEqual => ">=",
            Operator::In => "IN",
            Operator::Like => "LIKE",
            Operator::Matches => "MATCHES",
            Operator::Subset => "ISSUBSET",
            Operator::Superset => "ISSUPERSET",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(value: &str) -> Pattern {
        Pattern::Domain { value: value.into() }
    }

    fn xmpp(value: &str) -> Pattern {
        Pattern::Account { protocol: Protocol::Xmpp, value: value.into() }
    }

    #[test]
    fn facts_that_stand_alone_are_matched() {
        let md5 = "d41d8cd98f00b204e9800998ecf8427a";
        let sha256 = "ef537f25c895bfa782526529a9b63d97aa631564d5d789c2b765448c8635fb6c";
        let file = |hash: &str| Pattern::File { hash: hash.into() };
        let url = |value: &str, prefix| Pattern::Url { value: value.into(), prefix };
        for (text, want) in [
            ("[domain-name:value = 'Evil.test']".to_owned(), vec![domain("evil.test")]),
            ("[domain-name:value LIKE '%.evil.test']".into(), vec![domain("evil.test")]),
            (
                "[domain-name:value IN ('a.test', 'b.test')] OR [ipv4-addr:value = '198.51.100.0/24']".into(),
                vec![domain("a.test"), domain("b.test"), Pattern::net("198.51.100.0/24").unwrap()],
            ),
            ("[ipv6-addr:value ISSUBSET '2001:db8::/32']".into(), vec![Pattern::net("2001:db8::/32").unwrap()]),
            ("[url:value = 'http://evil.test/a_b']".into(), vec![url("http://evil.test/a_b", false)]),
            ("[url:value LIKE 'http://evil.test/a/%']".into(), vec![url("http://evil.test/a/", true)]),
            (r"[url:value MATCHES '^http://evil\\.test/a\\?b']".into(), vec![url("http://evil.test/a?b", true)]),
            (r"[url:value MATCHES '^http://evil\\.test/$']".into(), vec![url("http://evil.test/", false)]),
            (format!("[file:hashes.md5 = '{md5}'] WITHIN 5 SECONDS"), vec![file(md5)]),
            (
                format!("[file:name = 'a.exe' AND file:hashes.MD5 = '{md5}' AND file:hashes.'SHA-256' = '{sha256}']"),
                vec![file(sha256)],
            ),
            (
                "[user-account:account_type = 'jabber' AND user-account:account_login = 'a@evil.test']".into(),
                vec![xmpp("a@evil.test")],
            ),
            ("[url:value = 'xmpp:room@evil.test?join']".into(), vec![xmpp("room@evil.test")]),
        ] {
            assert_eq!(parse_matchable(&text), Matchable { patterns: want, refused: Vec::new() }, "{text}");
        }
    }

    #[test]
    fn what_the_index_cannot_tell_is_refused_with_a_reason() {
        for (text, why) in [
            ("[domain-name:value = 'a.test'] AND [domain-name:value = 'b.test']", "together"),
            ("[domain-name:value = 'a.test'] FOLLOWEDBY [domain-name:value = 'b.test']", "after the other"),
            ("[domain-name:value = 'a.test'] REPEATS 5 TIMES", "more than once"),
            ("[domain-name:value = 'a.test' AND ipv4-addr:value = '198.51.100.1']", "together"),
            ("[domain-name:value NOT = 'a.test']", "not so"),
            ("[domain-name:value != 'a.test']", "!="),
            ("[domain-name:value LIKE '%evil%']", "LIKE"),
            ("[domain-name:value MATCHES '.*']", "MATCHES"),
            ("[url:value LIKE 'http://evil.test/a_b%']", "LIKE"),
            ("[url:value MATCHES '^https?://evil']", "escaped"),
            ("[url:value MATCHES 'evil']", "escaped"),
            ("[EXISTS domain-name:value]", "any value"),
            ("[file:name = 'a.exe']", "file:name"),
            ("[file:name = 'a.exe' AND file:hashes.MD5 != 'd41d8cd98f00b204e9800998ecf8427a']", "together"),
            ("[file:hashes.MD5 = 'ef537f25c895bfa782526529a9b63d97aa631564']", "length"),
            ("[email-addr:value = 'a@evil.test']", "account_type"),
            ("[user-account:account_login = 'a']", "account_type"),
            ("[user-account:account_type = 'unix' AND user-account:account_login = 'a']", "account_type"),
            ("[user-account:account_type = 'xmpp']", "account_login"),
            ("[domain-name:value = 'domain evil.test']", "not a domain"),
            ("[process:pid = 5]", "no text"),
            ("[", "wanted"),
        ] {
            let got = parse_matchable(text);
            assert!(got.patterns.is_empty() && got.refused.iter().any(|said| said.contains(why)), "{text}: {got:?}");
        }
    }

    #[test]
    fn alternatives_count_one_by_one() {
        let got = parse_matchable("[domain-name:value = 'a.test' OR file:name = 'x' OR domain-name:value = 'a.test']");
        assert_eq!(got.patterns, [domain("a.test")]);
        assert_eq!(got.refused.len(), 1);
    }
}
