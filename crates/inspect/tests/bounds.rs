//! Whatever is said, extraction ends soon, its spans fit the text, and canonical forms are
//! fixed points.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use indicators::{Index, canonical};
use inspect::detect::{Brand, Config, LocalPattern};
use inspect::{Answers, Case, Facts, Findings, detect, facts};
use jiff::Timestamp;
use model::{Address, Body, Direction, Kind, Message, Part, Party, PartyKind, Place, Protocol, Sealed, Sealing, Side};
use proptest::prelude::*;

fn message(bodies: &[(Place, Body)]) -> Message {
    let party = Arc::new(Party::stranger(Address::account("a@x.test"), PartyKind::Person, Side::External));
    let time = Timestamp::UNIX_EPOCH;
    let mut message = Message::new(Protocol::Xmpp, Kind::Message, Direction::FromClient, time, party.clone(), party);
    message.parts = bodies.iter().map(|(place, body)| Part { place: *place, lang: None, body: body.clone() }).collect();
    message
}

fn said(text: &str) -> Message {
    message(&[(Place::Body, Body::text(text))])
}

fn check(message: &Message) -> (Facts, Findings) {
    let facts = facts::extract(message);
    for link in &facts.links {
        let text = message.parts[usize::from(link.part)].body.expose().unwrap();
        assert!(text.get(link.span.start as usize..link.span.end as usize).is_some(), "{link:?}");
        if !link.host.is_empty() {
            let again = url::Url::parse(&link.canonical).unwrap();
            if again.has_host() {
                assert_eq!(canonical::canonical(&again), *link.canonical);
            }
        }
    }
    let mut findings = Findings::default();
    let case = Case { message, facts: &facts, answers: &Answers::default() };
    for detector in detect::table(&Config::default(), Arc::new(Index::empty())).unwrap() {
        detector.inspect(&case, &mut findings);
    }
    for finding in findings.as_slice() {
        let evidence = finding.evidence.as_ref().unwrap();
        let text = message.parts[usize::from(evidence.part)].body.expose().unwrap();
        assert!(text.get(evidence.start as usize..evidence.end as usize).is_some(), "{finding:?}");
    }
    (facts, findings)
}

/// What would take minutes if anything were quadratic.
#[test]
fn long_hostile_texts_are_read_in_time() {
    const LENGTH: usize = 256 << 10;
    for unit in [
        "a",
        ".",
        "a.",
        "a.com ",
        "a.com,",
        "http://",
        "http://a.",
        "://",
        ":",
        "@",
        "a@a.",
        "(",
        "[",
        "[.]",
        "](",
        "http://%",
        "h",
        "hxxp",
        " dot ",
        "a dot ",
        "0",
        "0-",
        "1 ",
        "4111 ",
        "\u{301}",
        "\u{200d}",
        "x\u{200b}.",
        "。",
        "ⓐ.",
        "<",
        "<a ",
        "<a href='",
        "&",
        "&amp;",
        "eyJ",
        "-----BEGIN ",
        "password=",
        "GB82",
        "\\",
        "http://a\\",
        "/http",
        "=http://a.b/",
        "data:",
        "www.",
        "xn--",
        "http://xn--a.",
        ")http",
        "|",
        "'",
        "[x](",
        "dot",
        "\0",
        "é.",
    ] {
        let text = unit.repeat(LENGTH / unit.len());
        check(&said(&text));
        check(&message(&[(Place::Html, Body::Html(text.as_str().into())), (Place::Url, Body::text(text))]));
    }
}

#[test]
fn bounds_that_are_hit_are_named() {
    let text: String = (0..1_000).map(|i| format!("http://host{i}.test/ ")).collect();
    let (facts, _) = check(&said(&text));
    assert_eq!(facts.links.len() as u64, facts::LINKS.default);
    assert!(facts.keys.len() as u64 <= facts::KEYS.default);
    let names: Vec<_> = facts.limits.iter().map(|hit| hit.name).collect();
    assert_eq!(names, ["facts.links", "facts.keys"]);
}

#[test]
fn the_digest_is_over_what_is_said() {
    let base = message(&[(Place::Body, Body::text("hello")), (Place::Subject, Body::text("x"))]);
    let digest = facts::extract(&base).digest;
    let mut copy = base.clone();
    copy.id = Some("other".into());
    copy.copy = true;
    copy.direction = Direction::ToClient;
    copy.time = Timestamp::MAX;
    copy.from = Arc::new(Party::stranger(Address::account("room@x.test"), PartyKind::Room, Side::Internal));
    copy.parts[0].lang = Some("de".into());
    assert_eq!(facts::extract(&copy).digest, digest, "a copy is the same message");

    let other = |change: &dyn Fn(&mut Message)| {
        let mut message = base.clone();
        change(&mut message);
        facts::extract(&message).digest
    };
    assert_ne!(other(&|m| m.parts[0].body = Body::text("hello!")), digest);
    assert_ne!(other(&|m| m.parts[0].body = Body::Html("hello".into())), digest);
    assert_ne!(other(&|m| m.parts[0].place = Place::Quote), digest);
    assert_ne!(other(&|m| m.parts.swap(0, 1)), digest);
    assert_ne!(other(&|m| m.kind = Kind::Correction), digest);
    assert_ne!(other(&|m| m.refers_to = Some("1".into())), digest);
    let halves = [(Place::Body, Body::text("hel")), (Place::Body, Body::text("lo"))];
    assert_ne!(facts::extract(&message(&halves)).digest, facts::extract(&said("hello")).digest);

    let sealed = |id: &str| {
        let mut message = message(&[(Place::Body, Body::Sealed(Sealed { scheme: Sealing::Omemo, bytes: 64 }))]);
        message.id = Some(id.into());
        facts::extract(&message).digest
    };
    assert_ne!(sealed("1"), sealed("2"), "nothing but the id tells sealed messages apart");
}

#[test]
fn keys_are_links_and_shape() {
    let (facts, _) =
        check(&said("Look at http://Example.test/A#x and readme.md, everybody, before it is gone tomorrow"));
    assert_eq!(&*facts.keys[0], "url:http://example.test/A");
    assert!(facts.keys[1].starts_with("shape:"));
    assert_eq!(facts.keys.len(), 2);
    let (facts, _) = check(&said(&format!("http://example.test/{}", "a".repeat(5_000))));
    assert!(facts.keys[0].len() < 320);
}

fn found(config: &Config, text: &str) -> Vec<(String, f32)> {
    let message = said(text);
    let facts = facts::extract(&message);
    let mut findings = Findings::default();
    let case = Case { message: &message, facts: &facts, answers: &Answers::default() };
    for detector in detect::table(config, Arc::new(Index::empty())).unwrap() {
        detector.inspect(&case, &mut findings);
    }
    findings.as_slice().iter().map(|f| (f.symbol.to_string(), f.score)).collect()
}

fn pattern(name: &str, regex: &str) -> LocalPattern {
    LocalPattern { name: name.into(), regex: regex.into(), score: 3.0, explain: None }
}

#[test]
fn the_operator_adds_names_expressions_and_weights() {
    let config = Config {
        brands: vec![Brand { name: "Acme".into(), domains: vec!["acme.example".into()] }],
        exempt_domains: vec!["partner.test".into()],
        shorteners: vec!["go.acme.example".into()],
        patterns: vec![pattern("project", r"(?i)\bproject\s+falcon\b")],
        scores: [("link.raw_ip".to_owned(), 7.5)].into(),
    };
    for (text, expected) in [
        ("see http://acrne.example/", vec![("link.lookalike", 9.0)]),
        ("see http://acme.test/", vec![("link.brand", 3.0)]),
        ("see http://shop.acme.example/ and http://acme-login.partner.test/", vec![]),
        ("see http://go.acme.example/x", vec![("link.shortener", 1.0)]),
        ("see http://1.1.1.1/", vec![("link.raw_ip", 7.5)]),
        ("about Project  FALCON", vec![("pattern.local.project", 3.0)]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|(symbol, score)| (symbol.to_owned(), score)).collect();
        assert_eq!(found(&config, text), expected, "{text}");
    }
}

#[test]
fn settings_that_cannot_work_are_refused_by_name() {
    let with = |pattern: LocalPattern| Config { patterns: vec![pattern], ..Config::default() };
    let huge = "(".to_owned() + &"a|".repeat(3_000) + "b)";
    for (config, field) in [
        (with(pattern("a", "(")), "detect.patterns[0].regex"),
        (with(pattern("a", "(a{1000}){1000}")), "detect.patterns[0].regex"),
        (with(pattern("a", &huge)), "detect.patterns[0].regex"),
        (with(pattern("a", "a*")), "detect.patterns[0].regex"),
        (with(pattern("a", r"(a)\1")), "detect.patterns[0].regex"),
        (with(pattern("A b", "a")), "detect.patterns[0].name"),
        (with(LocalPattern { score: f32::NAN, ..pattern("a", "a") }), "detect.patterns[0].score"),
        (
            Config { patterns: vec![pattern("a", "a"), pattern("a", "b")], ..Config::default() },
            "detect.patterns[1].name",
        ),
        (Config { shorteners: vec!["a b".into()], ..Config::default() }, "detect.shorteners[0]"),
        (Config { exempt_domains: vec!["".into()], ..Config::default() }, "detect.exempt_domains[0]"),
        (
            Config { brands: vec![Brand { name: "x".into(), domains: vec![] }], ..Config::default() },
            "detect.brands[0].name",
        ),
        (
            Config { scores: [("link.nothing".into(), 1.0)].into(), ..Config::default() },
            "detect.scores.\"link.nothing\"",
        ),
    ] {
        let error = detect::table(&config, Arc::new(Index::empty())).err().unwrap();
        assert_eq!(error.field, field, "{error}");
    }
    assert_eq!(found(&with(pattern("slow", "(a+)+$")), &"a".repeat(100_000)).len(), 1);
}

#[test]
fn the_test_string_is_found_plain_and_encoded_at_any_position() {
    use base64::Engine;
    let parts = ["X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR", "-STANDARD-ANTIVIRUS", "-TEST-FILE!$H+H*"];
    let plain = parts.concat();
    let encoded = |before: &str| base64::engine::general_purpose::STANDARD.encode(format!("{before}{plain}after"));
    let wrapped =
        |text: &str| text.as_bytes().chunks(19).map(|c| format!("{}\r\n", String::from_utf8_lossy(c))).collect();
    let texts: Vec<String> = vec![
        plain.clone(),
        format!("look: {plain} ok"),
        encoded(""),
        encoded("a"),
        encoded("ab"),
        encoded("abcd"),
        wrapped(&encoded("ab")),
        format!("content is {}", encoded("x")),
    ];
    for text in texts {
        assert!(found(&Config::default(), &text).contains(&("pattern.eicar".to_owned(), 10.0)), "{text}");
    }
    assert_eq!(found(&Config::default(), parts[0]), []);
}

proptest! {
    #[test]
    fn anything_can_be_said(text in "\\PC{0,200}") {
        check(&said(&text));
        check(&message(&[(Place::Html, Body::Html(text.as_str().into())), (Place::Url, Body::text(text))]));
    }

    #[test]
    fn link_like_text_can_be_said(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "http", "https", "hxxp", "://", ":", "/", "//", "\\", ".", "。", "[.]", "(dot)", " dot ", "@", "a", "evil",
                "com", "xn--", "www.", "%", "%2e", "%41", "\u{ad}", "\u{200b}", "\u{202e}", "é", "ⓐ", "а", "(", ")", "[", "]",
                "](", "<", ">", "\"", "'", " ", "\n", "?", "#", "=", "&", "&amp;", "1", "127.0.0.1", "0x7f", "javascript:",
                "data:", "<a href=\"", "\">", "</a>", "<b>", "_", "*", "4111 1111 1111 1111", "-", ",",
            ]),
            0..24,
        )
    ) {
        let text = pieces.concat();
        check(&said(&text));
        check(&message(&[(Place::Html, Body::Html(text.as_str().into())), (Place::Url, Body::text(text))]));
    }
}
