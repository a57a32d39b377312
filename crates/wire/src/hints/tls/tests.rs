//! Hellos and certificates built from their specifications, for these tests and those of DTLS and QUIC.

use super::super::Reading;
use super::*;

pub(in super::super) fn vector8(content: &[u8]) -> Vec<u8> {
    [&[content.len() as u8], content].concat()
}

pub(in super::super) fn vector16(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u16).to_be_bytes(), content].concat()
}

fn vector24(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32).to_be_bytes()[1..], content].concat()
}

fn numbers(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

/// A ClientHello to be.
#[derive(Clone)]
pub(in super::super) struct Offer {
    pub(in super::super) version: u16,
    pub(in super::super) ciphers: Vec<u16>,
    pub(in super::super) extensions: Vec<(u16, Vec<u8>)>,
    pub(in super::super) cookie: Option<Vec<u8>>,
}

pub(in super::super) fn server_name(name: &str) -> (u16, Vec<u8>) {
    (0, vector16(&[&[0][..], &vector16(name.as_bytes())].concat()))
}

pub(in super::super) fn alpn(protocols: &[&[u8]]) -> (u16, Vec<u8>) {
    (16, vector16(&protocols.iter().flat_map(|protocol| vector8(protocol)).collect::<Vec<_>>()))
}

pub(in super::super) fn versions(versions: &[u16]) -> (u16, Vec<u8>) {
    (43, vector8(&numbers(versions)))
}

impl Offer {
    /// The example of JA4's specification, with GREASE put in.
    pub(in super::super) fn example(name: &str) -> Offer {
        let signatures = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601];
        let ciphers = [
            0x5a5a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c,
            0x009d, 0x002f, 0x0035,
        ];
        let mut extensions: Vec<(u16, Vec<u8>)> = vec![(0x1a1a, vec![]), (0x001b, vec![2, 0, 2]), server_name(name)];
        extensions.extend([(0x0033, vec![0, 0]), alpn(&[b"h2", b"http/1.1"]), (0x4469, vec![]), (0x0017, vec![])]);
        extensions.extend([(0x002d, vec![1, 1]), (0x000d, vector16(&numbers(&signatures))), (0x0005, vec![])]);
        extensions.extend([(0x0023, vec![]), (0x0012, vec![]), versions(&[0xcaca, 0x0304, 0x0303])]);
        extensions.extend([(0xff01, vec![0]), (0x000b, vec![1, 0]), (0x000a, vec![]), (0x0015, vec![0; 100])]);
        extensions.push((0xfafa, vec![0]));
        Offer { version: 0x0303, ciphers: ciphers.into(), extensions, cookie: None }
    }

    pub(in super::super) fn body(&self) -> Vec<u8> {
        let mut body = self.version.to_be_bytes().to_vec();
        body.extend([7; 32]);
        body.extend(vector8(&[9; 32]));
        if let Some(cookie) = &self.cookie {
            body.extend(vector8(cookie));
        }
        body.extend(vector16(&numbers(&self.ciphers)));
        body.extend(vector8(&[0]));
        let extensions = self.extensions.iter();
        let extensions: Vec<u8> =
            extensions.flat_map(|(kind, content)| [&kind.to_be_bytes()[..], &vector16(content)].concat()).collect();
        body.extend(vector16(&extensions));
        body
    }

    pub(in super::super) fn message(&self) -> Vec<u8> {
        handshake(1, &self.body())
    }
}

pub(in super::super) fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &vector24(body)].concat()
}

fn record_of(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind, 3, 1][..], &vector16(content)].concat()
}

pub(in super::super) fn server_hello(version: u16, extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    body.extend([3; 32]);
    body.extend(vector8(&[]));
    body.extend([0xc0, 0x2f, 0]);
    if !extensions.is_empty() {
        let list: Vec<u8> = extensions
            .iter()
            .flat_map(|(kind, content)| [&kind.to_be_bytes()[..], &vector16(content)].concat())
            .collect();
        body.extend(vector16(&list));
    }
    handshake(2, &body)
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    match content.len() {
        short @ ..0x80 => [&[tag, short as u8], content].concat(),
        long => [&[tag, 0x82][..], &(long as u16).to_be_bytes(), content].concat(),
    }
}

fn name(attributes: &[(u8, u8, &[u8])]) -> Vec<u8> {
    let sets: Vec<u8> = attributes
        .iter()
        .flat_map(|(attribute, tag, value)| {
            let kind = der(6, &[0x55, 4, *attribute]);
            der(0x31, &der(0x30, &[kind, der(*tag, value)].concat()))
        })
        .collect();
    der(0x30, &sets)
}

/// A certificate without sense in key and signature.
pub(in super::super) fn certificate(subject: &[u8], issuer: &[u8], hosts: &[&str]) -> Vec<u8> {
    let algorithm = der(0x30, &der(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 11]));
    let times = der(0x30, &[der(0x17, b"260101000000Z"), der(0x17, b"270101000000Z")].concat());
    let key = der(0x30, &[0x55; 270]);
    let hosts: Vec<u8> = hosts.iter().flat_map(|host| der(0x82, host.as_bytes())).collect();
    let usage = der(0x30, &[der(6, &[0x55, 29, 15]), der(1, &[0xff]), der(4, &[3, 2, 5, 160])].concat());
    let alternatives = der(0x30, &[der(6, &[0x55, 29, 17]), der(4, &der(0x30, &hosts))].concat());
    let extensions = der(0xa3, &der(0x30, &[usage, alternatives].concat()));
    let version = der(0xa0, &der(2, &[2]));
    let serial = der(2, &[1; 16]);
    let tbs = [&version[..], &serial, &algorithm, issuer, &times, subject, &key, &extensions].concat();
    der(0x30, &[der(0x30, &tbs), algorithm, der(3, &[0; 257])].concat())
}

pub(in super::super) fn example_certificate() -> Vec<u8> {
    let subject = name(&[(6, 0x13, b"DE"), (10, 0x0c, "Bücher GmbH".as_bytes()), (3, 0x13, b"*.Example.TEST")]);
    let issuer = name(&[(10, 0x1e, b"\0C\0A\0 \xe9\0"), (3, 0x13, b"Root 1")]);
    certificate(&subject, &issuer, &["*.example.test", "chat.example.test", "bad\0name"])
}

pub(in super::super) fn chain(leaf: &[u8]) -> Vec<u8> {
    handshake(11, &vector24(&[vector24(leaf), vector24(&[0x30; 900])].concat()))
}

fn read_hello(stream: &[u8]) -> Reading<ClientHello> {
    client_hello(stream, &mut Vec::new())
}

#[test]
fn a_hello_is_read_at_its_last_byte() {
    let message = Offer::example("Chat.Example.test").message();
    let whole = record_of(22, &message);
    let split =
        [record_of(22, &message[..3]), record_of(22, &message[3..200]), record_of(22, &message[200..])].concat();
    for stream in [&whole, &split] {
        for cut in 0..stream.len() {
            assert_eq!(read_hello(&stream[..cut]), Reading::More, "cut at {cut}");
            assert_ne!(looks_like(&stream[..cut]), Reading::Not, "cut at {cut}");
        }
        let Reading::Is(hello) = read_hello(stream) else { panic!("not read") };
        assert_eq!(hello.sni.as_deref(), Some("chat.example.test"));
        assert_eq!(hello.alpn, [Box::from("h2"), Box::from("http/1.1")]);
        assert_eq!(hello.version, 0x0304);
        assert!(!hello.ech);
        assert_eq!(&*hello.ja4, "t13d1516h2_8daaf6152771_e5627efa2ab1", "JA4's own example");
        assert_eq!(looks_like(stream), Reading::Is(()));
    }
}

#[test]
fn ja4_follows_its_specification_at_the_edges() {
    let print = |offer: &Offer| match read_hello(&record_of(22, &offer.message())) {
        Reading::Is(hello) => hello.ja4.into_string(),
        other => panic!("{other:?}"),
    };
    let mut offer = Offer::example("a.test");
    for (_, content) in offer.extensions.iter_mut().filter(|(kind, _)| *kind == 13) {
        *content = vector16(&[]);
    }
    assert_eq!(print(&offer), "t13d1516h2_8daaf6152771_6d807ffa2a79", "without signature algorithms");
    for (protocol, characters) in [
        (&b"\xab"[..], "ab"),
        (b"\xab\xcd", "ad"),
        (b"\x30\xab", "3b"),
        (b"01\xab\xcd", "3d"),
        (b"0\xab\xcd1", "01"),
        (b"x", "xx"),
        (b"", "00"),
    ] {
        let mut offer = Offer::example("a.test");
        offer.extensions.retain(|(kind, _)| *kind != 16);
        offer.extensions.push(alpn(&[protocol, b"h2"]));
        assert_eq!(print(&offer)[8..10], *characters, "{protocol:?}");
    }
    let bare = Offer { version: 0x0301, ciphers: vec![0x0a0a], extensions: vec![], cookie: None };
    assert_eq!(print(&bare), "t10i000000_000000000000_000000000000");
    let ssl = Offer { version: 0x0300, ciphers: (1..=120).collect(), extensions: vec![], cookie: None };
    assert_eq!(print(&ssl)[..10], *"ts3i990000");
}

#[test]
fn warnings_before_and_between_records_hide_nothing() {
    let message = Offer::example("chat.example.test").message();
    let warning = record_of(21, &[1, 90]);
    let pieces = [record_of(22, &message[..60]), record_of(22, &message[60..])];
    for stream in [
        [&warning[..], &record_of(22, &message)].concat(),
        [&warning[..], &warning, &pieces[0], &warning, &pieces[1]].concat(),
    ] {
        for cut in 0..stream.len() {
            assert_eq!(read_hello(&stream[..cut]), Reading::More, "cut at {cut}");
            assert_ne!(looks_like(&stream[..cut]), Reading::Not, "cut at {cut}");
        }
        let Reading::Is(hello) = read_hello(&stream) else { panic!("not read") };
        assert_eq!(hello.sni.as_deref(), Some("chat.example.test"));
    }
    for alert in [vec![2, 40], vec![1, 0], vec![7; 40]] {
        let stream = [record_of(21, &alert), record_of(22, &message)].concat();
        assert_eq!(read_hello(&stream), Reading::Not, "{alert:?}");
    }
    assert_eq!(read_hello(&[warning.repeat(MOST_WARNINGS + 1), record_of(22, &message)].concat()), Reading::Not);

    let flight = [server_hello(0x0303, &[]), chain(&example_certificate())].concat();
    let stream = [&warning[..], &record_of(22, &flight[..80]), &warning, &record_of(22, &flight[80..])].concat();
    let Reading::Is(said) = server_flight(&stream, &mut Vec::new()) else { panic!("not read") };
    assert_eq!(said.certificate.len(), 5);
    assert_eq!(server_flight(&warning, &mut Vec::new()), Reading::More);
}

#[test]
fn an_encrypted_hello_is_said() {
    for (extension, ech) in [((0xfe0d, vec![0, 0, 1]), true), ((0xfe0d, vec![1]), false), ((0xffce, vec![0]), true)] {
        let mut offer = Offer::example("front.test");
        offer.extensions.push(extension);
        let Reading::Is(hello) = read_hello(&record_of(22, &offer.message())) else { panic!("not read") };
        assert_eq!(hello.ech, ech);
    }
}

#[test]
fn what_is_no_hello_is_refused_early() {
    for bytes in [
        &b"GET / HTTP/1.1\r\n"[..],
        &[22, 3, 1, 0, 100, 2],
        &[22, 3, 1, 0, 100, 1, 0, 0, 96, 4],
        &[22, 2, 1, 0, 100],
        &[22, 3, 9],
        &[22, 3, 1, 0xff, 0xff],
        &[22, 3, 1, 0, 0],
        &[23, 3, 3, 0, 100],
    ] {
        assert_eq!(read_hello(bytes), Reading::Not, "{bytes:?}");
    }
    let offer = Offer::example("a.test");
    let interrupted = [record_of(22, &offer.message()[..100]), record_of(23, &[0; 40])].concat();
    assert_eq!(read_hello(&interrupted), Reading::Not);
}

#[test]
fn records_are_told_from_other_bytes() {
    for (bytes, expected) in [
        (&[][..], Reading::More),
        (&[23, 3, 3, 0, 64], Reading::More),
        (&[23, 3, 3, 0, 64, 1, 2, 3, 4, 5, 6], Reading::Is(())),
        (&[23, 3, 3, 0, 5], Reading::Not),
        (&[21, 3, 1, 0, 2, 2, 40], Reading::Is(())),
        (&[21, 3, 1, 0, 2, 9, 40], Reading::Not),
        (&[21, 3, 1, 0, 2, 2, 40, 99], Reading::Not),
        (&[20, 3, 3, 0, 1, 1, 22, 3, 3, 0, 40], Reading::Is(())),
        (&[20, 3, 3, 0, 1, 2], Reading::Not),
        (&[24, 3, 3, 0, 64], Reading::Not),
        // SSL 2.0 form: 9 + 6 + 0 + 16 bytes.
        (&[0x80, 31, 1, 3, 1, 0, 6, 0, 0, 0, 16, 0, 0, 4], Reading::Is(())),
        (&[0x80, 32, 1, 3, 1, 0, 6, 0, 0, 0, 16, 0, 0, 4], Reading::Not),
        (&[0x80, 31, 1, 3], Reading::More),
        (&[0x80, 31, 4], Reading::Not),
    ] {
        assert_eq!(looks_like(bytes), expected, "{bytes:?}");
    }
}

#[test]
fn a_server_shows_its_certificate() {
    let hello = server_hello(0x0303, &[alpn(&[b"h2"])]);
    let flight = [hello, chain(&example_certificate()), handshake(14, &[])].concat();
    let streams = [
        record_of(22, &flight),
        [record_of(22, &flight[..60]), record_of(22, &flight[60..700]), record_of(22, &flight[700..])].concat(),
    ];
    for stream in streams {
        let Reading::Is(said) = server_flight(&stream, &mut Vec::new()) else { panic!("not read") };
        assert_eq!(said.version, 0x0303);
        assert_eq!(said.alpn.as_deref(), Some("h2"));
        let names: Vec<&str> = said.certificate.iter().map(|name| &**name).collect();
        assert_eq!(names, ["Bücher GmbH", "*.example.test", "CA \u{e900}", "Root 1", "chat.example.test"]);
        let mut whole_at = None;
        for cut in 0..stream.len() {
            match server_flight(&stream[..cut], &mut Vec::new()) {
                Reading::More => assert_eq!(whole_at, None, "cut at {cut}"),
                Reading::Is(early) => {
                    whole_at.get_or_insert(cut);
                    assert_eq!(early, said);
                }
                Reading::Not => panic!("cut at {cut}"),
            }
        }
        assert!(whole_at.unwrap() < stream.len() - 900, "the leaf is enough");
        let half = server_flight_so_far(&stream[..400], &mut Vec::new()).unwrap();
        assert_eq!(half.certificate.len(), 4, "names before the cut");
    }
}

#[test]
fn a_server_that_shows_no_certificate_is_answered_all_the_same() {
    let new = record_of(22, &server_hello(0x0303, &[(43, vec![3, 4])]));
    let resumed = [record_of(22, &server_hello(0x0302, &[])), record_of(20, &[1]), record_of(22, &[0; 40])].concat();
    let anonymous = record_of(22, &[server_hello(0x0303, &[]), handshake(12, &[0; 9])].concat());
    for (stream, version) in [(new, 0x0304), (resumed, 0x0302), (anonymous, 0x0303)] {
        let Reading::Is(said) = server_flight(&stream, &mut Vec::new()) else { panic!("not read") };
        assert_eq!((said.version, said.certificate.len()), (version, 0));
    }
    assert_eq!(server_flight(&record_of(21, &[2, 40]), &mut Vec::new()), Reading::Not);
    assert_eq!(server_flight(b"HTTP/1.1 400 Bad Request\r\n", &mut Vec::new()), Reading::Not);
    assert_eq!(server_flight(&record_of(22, &Offer::example("a.test").message()), &mut Vec::new()), Reading::Not);
}

#[test]
fn names_of_a_certificate_are_bounded_and_given_once() {
    let itself = name(&[(3, 0x0c, b"BitTorrent")]);
    let hosts: Vec<String> = (0..100).map(|index| format!("h{index}.example.test")).collect();
    let hosts: Vec<&str> = hosts.iter().map(|host| &**host).collect();
    let flight = [server_hello(0x0303, &[]), chain(&certificate(&itself, &itself, &hosts))].concat();
    let Reading::Is(said) = server_flight(&record_of(22, &flight), &mut Vec::new()) else { panic!("not read") };
    assert_eq!(said.certificate.len(), 32);
    assert_eq!(&*said.certificate[0], "BitTorrent");
}
