//! What a stream costs: time in bytes, memory when idle, limits that change.
#![allow(clippy::disallowed_methods)] // how long something takes is what is asked here

use std::time::Instant;

use super::*;

fn open(limits: Limits) -> Reader {
    let mut reader = Reader::new(limits);
    let Ok(Read::Header { used, .. }) = reader.next(HEADER.as_bytes()) else { panic!("no header") };
    assert_eq!(used, HEADER.len());
    reader
}

/// Feeds a stanza byte by byte, each call with all bytes so far.
fn drip(reader: &mut Reader, stanza: &[u8]) -> bool {
    (1..=stanza.len()).any(|have| matches!(reader.next(&stanza[..have]), Ok(Read::Stanza { .. }) | Err(_)))
}

#[test]
fn a_long_token_in_single_bytes_takes_linear_time() {
    let tokens: [(&str, String, &str); 8] = [
        ("text", "<message><body>".into(), "a"),
        ("text beyond ASCII", "<message><body>".into(), "\u{20AC}"),
        ("references", "<message><body>".into(), "&amp;"),
        ("a value", "<message id='".into(), "a"),
        ("line breaks in a value", "<message id='".into(), "\r\n"),
        ("CDATA", "<message><![CDATA[".into(), "]]"),
        ("spaces in a tag", "<message".into(), " "),
        ("elements", "<message>".into(), "<a/>"),
    ];
    let limits = Limits { elements: usize::MAX, ..Limits::AUTHENTICATED };
    for (what, start, unit) in tokens {
        let time = |bytes: usize| {
            let input = format!("{start}{}", unit.repeat(bytes / unit.len()));
            let mut reader = open(limits);
            let begin = Instant::now();
            assert!(!drip(&mut reader, input.as_bytes()), "{what}");
            begin.elapsed()
        };
        // Ten times the bytes: quadratic work would take a hundred times as long,
        // every time; other work on the machine only sometimes.
        let linear = (0..5).any(|_| {
            let (short, long) = (time(25_000), time(250_000));
            long < short * 40
        });
        assert!(linear, "{what}");
    }
}

#[test]
fn the_worst_stanzas_take_milliseconds() {
    let bytes = Limits::AUTHENTICATED.stanza_bytes - 2_000;
    let fill = |start: &str, unit: &dyn Fn(usize) -> String| {
        let mut input = String::from(start);
        let mut nth = 0;
        while input.len() < bytes {
            input += &unit(nth);
            nth += 1;
        }
        input.into_bytes()
    };
    let prefixes: String = (0..60).map(|n| format!(" xmlns:p{n}='urn:{n}'")).collect();
    let many = fill("<message>", &|n| {
        let attributes: String = (0..250).map(|a| format!(" a{a:03}=''")).collect();
        format!("<x{attributes}><y>{n}</y></x>")
    });
    let deep: String = (0..120).map(|n| format!("<a xmlns='urn:{n}'>")).collect();
    let worst = [
        ("attributes", many),
        ("prefixes", fill(&format!("<message{prefixes}>"), &|n| format!("<p{0}:x p{0}:a=''/>", n % 60))),
        ("declarations", fill("<message>", &|n| format!("<x xmlns:p{n}='urn:{n}'/>"))),
        ("depth", fill(&format!("<message>{deep}"), &|_| "<a/>".into())),
    ];
    for (what, input) in worst {
        let took = || {
            let mut reader = open(Limits { elements: usize::MAX, ..Limits::AUTHENTICATED });
            let begin = Instant::now();
            assert!(matches!(reader.next(&input), Ok(Read::More)), "{what}");
            begin.elapsed()
        };
        // A few milliseconds when optimised; a search without bound takes far longer than this.
        assert!((0..5).any(|_| took().as_millis() < 1_500), "{what}");
    }
}

#[test]
fn an_idle_reader_is_small() {
    let mut reader = open(Limits::AUTHENTICATED);
    let big = format!("<iq>{}</iq>", "<item jid='a@b' name='&lt;x&gt;'>text</item>".repeat(5_000));
    assert!(matches!(reader.next(big.as_bytes()), Ok(Read::Stanza { .. })));
    assert!(reader.footprint() > 100_000);
    assert!(matches!(reader.next(b""), Ok(Read::More)));
    let size = reader.footprint() + size_of::<Reader>();
    assert!(size < 1_280, "{size} bytes");
}

#[test]
fn limits_change_between_and_inside_stanzas() {
    let mut reader = open(Limits::UNAUTHENTICATED);
    let long = format!("<message><body>{}</body></message>", "a".repeat(9_000));
    assert!(matches!(reader.next(&long.as_bytes()[..100]), Ok(Read::More)));
    reader.set_limits(Limits::AUTHENTICATED);
    assert!(matches!(reader.next(long.as_bytes()), Ok(Read::Stanza { .. })));
    reader.set_limits(Limits::UNAUTHENTICATED);
    let fault = reader.next(long.as_bytes()).unwrap_err();
    assert_eq!((fault.condition, fault.limit()), (Condition::PolicyViolation, Some("xmpp.stanza_bytes")));
}

#[test]
fn a_restart_expects_a_new_header() {
    let mut reader = open(Limits::AUTHENTICATED);
    assert!(matches!(reader.next(b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"), Ok(Read::Stanza { .. })));
    reader.restart();
    let Ok(Read::Header { used, header }) = reader.next(HEADER.as_bytes()) else { panic!("no header") };
    assert_eq!((used, header.to.as_deref()), (HEADER.len(), Some("example.net")));
    reader.restart();
    assert_eq!(reader.next(b"<message>").unwrap_err().condition, Condition::InvalidNamespace);
    reader.restart();
    assert!(reader.next(HEADER.as_bytes()).is_err(), "a fault is final");
}

#[test]
fn a_restart_forgets_half_a_stanza_and_the_old_prefixes() {
    let mut reader = Reader::new(Limits::AUTHENTICATED);
    let old = "<s:stream xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams' xmlns:d='jabber:x:data'>";
    assert!(matches!(reader.next(old.as_bytes()), Ok(Read::Header { .. })));
    assert!(matches!(reader.next(b"<message><bo"), Ok(Read::More)));
    assert!(reader.is_mid_frame());
    reader.restart();
    assert!(!reader.is_mid_frame());
    assert!(matches!(reader.next(HEADER.as_bytes()), Ok(Read::Header { .. })));
    assert_eq!(reader.next(b"<message><d:x/>").unwrap_err().condition, Condition::BadNamespacePrefix);
}

#[test]
fn a_stanza_of_its_own_is_exactly_one() {
    for (bytes, fits) in [
        ("<message/>", true),
        ("<stream:features/>", true),
        ("<message/> ", false),
        (" <message/>", false),
        ("<message/><message/>", false),
        ("<message>", false),
        ("", false),
        ("text", false),
    ] {
        assert_eq!(Parsed::new(Bytes::from(bytes)).is_ok(), fits, "{bytes:?}");
    }
}
