//! What no feed may stop, as a table: F02 of the hostile cases.

use jiff::Timestamp;
use model::Protocol;

use super::*;
use crate::{Provenance, Tlp};

fn indicator(pattern: Pattern) -> Indicator {
    Indicator {
        id: pattern.id(),
        pattern,
        threat: None,
        confidence: 90,
        strength: Strength::Block,
        valid_from: None,
        valid_until: None,
        source: Provenance { feed: "feed".into(), reference: None, fetched: Some(Timestamp::UNIX_EPOCH) },
        marking: Tlp::Clear,
    }
}

fn domain(value: &str) -> Pattern {
    Pattern::Domain { value: value.into() }
}

fn page(value: &str) -> Pattern {
    Pattern::Url { value: value.into(), prefix: false }
}

fn account(value: &str) -> Pattern {
    Pattern::Account { protocol: Protocol::Xmpp, value: value.into() }
}

fn net(address: &str, bits: u8) -> Pattern {
    Pattern::Net { address: address.parse().unwrap(), bits }
}

#[test]
fn nothing_that_many_people_use_is_ever_stopped() {
    let guard = Guard::bundled();
    let text = |value: &str| Pattern::Text { value: value.into() };
    let file = |hash: &str| Pattern::File { hash: hash.into() };
    for pattern in [
        domain("github.com"),
        domain("GITHUB.com."),
        domain("www.google.com"),
        domain("com"),
        domain("co.uk"),
        domain("blogspot.com"),
        domain("localhost"),
        domain("10.0.0.1"),
        domain("docs.google.com"),
        page("https://github.com/"),
        page("https://www.google.com/"),
        page("https://www.youtube.com/watch"),
        page("https://www.google.com/url"),
        page("http://192.168.1.1/a.exe"),
        page("http://co.uk/a"),
        net("10.0.0.0", 8),
        net("127.0.0.1", 32),
        net("8.0.0.0", 5),
        net("::ffff:10.0.0.1", 128),
        file("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        file("d41d8cd98f00b204e9800998ecf8427e"),
        file("xyz"),
        account("jabber.org"),
        account("matrix.org"),
        text("hi"),
        text("ok thanks"),
        text("Good   morning"),
        text(".*"),
    ] {
        let ruling = guard.rule(&indicator(pattern.clone()));
        assert!(matches!(ruling, Ruling::Refuse(_)), "{pattern:?}: {ruling:?}");
    }
}

#[test]
fn what_is_bad_is_stopped_also_beside_what_is_not() {
    let guard = Guard::bundled();
    for pattern in [
        domain("evil-login.test.example.shop"),
        domain("badcdn.top"),
        domain("mallory.github.io"),
        domain("mallory.duckdns.org"),
        domain("bucket.s3.ap-south-1.amazonaws.com"),
        page("https://github.com/mallory/x/raw/main/a.exe"),
        page("https://www.youtube.com/watch?v=abc"),
        page("https://evil.example.shop/"),
        net("8.8.4.0", 24),
        account("spam.example.shop"),
        account("a@jabber.org"),
        Pattern::Text { value: "claim your free prize".into() },
    ] {
        assert_eq!(guard.rule(&indicator(pattern.clone())), Ruling::Take(Strength::Block), "{pattern:?}");
    }
}

#[test]
fn what_is_doubtful_is_only_shown() {
    let guard = Guard::bundled();
    for pattern in [domain("login.microsoftonline.com"), domain("attach.mail.daum.net")] {
        let ruling = guard.rule(&indicator(pattern.clone()));
        assert!(matches!(ruling, Ruling::Weaken(_)), "{pattern:?}: {ruling:?}");
        assert_eq!(guard.check(&indicator(pattern)), Ok(Strength::Note));
    }
    let unsure = Indicator { confidence: 30, ..indicator(domain("badcdn.top")) };
    assert!(matches!(guard.rule(&unsure), Ruling::Weaken(_)));
}

#[test]
fn operators_add_warning_lists_of_their_own() {
    let read = |text: &str| WarningList::read("w.json", text.as_bytes());
    let guard = Guard::bundled()
        .with(read(r#"{"name":"ours","type":"hostname","list":[".acme.example","a.b.partner.example"]}"#).unwrap())
        .with(read(r#"{"name":"exact","type":"string","list":["one.exact.example","aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11"]}"#).unwrap())
        .with(read(r#"{"name":"nets","type":"cidr","list":["149.154.160.0/20","9.9.9.9"]}"#).unwrap())
        .with(read(r#"{"name":"parts","type":"substring","list":["phishdrill"]}"#).unwrap())
        .with(read(r#"{"name":"mail","type":"substring","list":["badcdn"],"matching_attributes":["email-src"]}"#).unwrap());
    for (pattern, list, kept) in [
        (domain("acme.example"), "ours", false),
        (domain("chat.acme.example"), "ours", true),
        (domain("partner.example"), "ours", false),
        (domain("exact.example"), "exact", false),
        (net("149.154.161.0", 24), "nets", false),
        (net("149.128.0.0", 10), "nets", false),
        (net("9.9.9.9", 32), "nets", false),
        (domain("x-phishdrill.example"), "parts", false),
        (Pattern::File { hash: "AA11".repeat(16) }, "exact", false),
    ] {
        let (refusal, weakened) = match guard.rule(&indicator(pattern.clone())) {
            Ruling::Refuse(refusal) => (refusal, false),
            Ruling::Weaken(refusal) => (refusal, true),
            Ruling::Take(_) => panic!("{pattern:?} is taken"),
        };
        assert_eq!((&*refusal.list, weakened), (list, kept), "{pattern:?}");
    }
    assert_eq!(guard.rule(&indicator(domain("badcdn.top"))), Ruling::Take(Strength::Block));
    assert_eq!(guard.rule(&indicator(domain("two.exact.example"))), Ruling::Take(Strength::Block));
    for wrong in ["", "[]", r#"{"name":"x"}"#, r#"{"name":"x","type":"odd","list":["a"]}"#] {
        assert!(read(wrong).unwrap_err().to_string().starts_with("w.json: "), "{wrong}");
    }
}

#[test]
fn the_bundled_list_is_in_canonical_form() {
    for name in known::SITES {
        assert_eq!(Host::parse(name), Ok(Host::Domain((*name).to_owned())), "{name}");
    }
    for hash in known::HASHES {
        assert!(matches!(hash.len(), 32 | 40 | 64), "{hash}");
    }
    for phrase in known::PHRASES {
        assert_eq!(indicators::text::fold(phrase).text, *phrase);
    }
}
