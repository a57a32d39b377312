//! Conversations of anything, shown to every classifier packet by packet, as the engine would, and followed.
//!
//! Input: a byte of marks, one of protocol, two ports, then payloads: two bytes of length (the highest bit is
//! the way), that many bytes. With a mark, the first payload is names, a line each.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::Confidence;
use sensor::apps::Catalogue;
use sensor::classify::{CLASSIFIERS, Opinion, Said};
use sensor::lore::Lore;
use sensor::names::{AppProto, Names};
use sensor::view::{Endpoint, FlowView, Piece, Transport, Way};

const PROTOCOLS: [AppProto; 10] = [
    AppProto::Unknown,
    AppProto::Tls,
    AppProto::Dtls,
    AppProto::Quic,
    AppProto::Http,
    AppProto::Dns,
    AppProto::Mdns,
    AppProto::Stun,
    AppProto::Socks,
    AppProto::Dhcp,
];
const UDP: u8 = 1;
const MIDSTREAM: u8 = 2;
const LAST: u8 = 4;
const IPV6: u8 = 8;
const NAMED: u8 = 16;
/// As many packets and bytes as the engine keeps.
const MOST_PIECES: usize = 32;
const MOST_BYTES: usize = 16 << 10;

fn next<'a>(input: &mut &'a [u8]) -> Option<(Way, &'a [u8])> {
    let (head, rest) = input.split_first_chunk()?;
    let head = u16::from_le_bytes(*head);
    let (payload, rest) = rest.split_at(usize::from(head & 0x7fff).min(rest.len()));
    *input = rest;
    Some((if head & 0x8000 == 0 { Way::ToServer } else { Way::ToClient }, payload))
}

fn names(protocol: AppProto, lines: &[u8]) -> Names {
    let mut lines = lines.split(|byte| *byte == b'\n').map(|line| String::from_utf8_lossy(line).into_owned());
    let mut next = || lines.next().filter(|line| !line.is_empty()).map(String::into_boxed_str);
    let mut names = Names {
        protocol,
        sni: next(),
        ja4: next(),
        host: next(),
        target: next(),
        user_agent: next(),
        query: next(),
        ..Names::default()
    };
    names.hello = names.ja4.is_some();
    names.alpn.extend(next());
    names.certificate = lines.take(32).map(String::into_boxed_str).collect();
    names
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&[marks, protocol, a, b, c, d], mut input)) = bytes.split_first_chunk() else { return };
    let transport = if marks & UDP == 0 { Transport::Tcp } else { Transport::Udp };
    let protocol = PROTOCOLS[usize::from(protocol) % PROTOCOLS.len()];
    let ips: [std::net::IpAddr; 2] = if marks & IPV6 == 0 {
        [[10, 0, 0, 1].into(), [203, 0, 113, 7].into()]
    } else {
        [[0xfd00u16, 0, 0, 0, 0, 0, 0, 1].into(), [0x2001u16, 0xdb8, 0, 0, 0, 0, 0, 7].into()]
    };
    let client = Endpoint { ip: ips[0], port: u16::from_le_bytes([a, b]) };
    let server = Endpoint { ip: ips[1], port: u16::from_le_bytes([c, d]) };
    let said = if marks & NAMED == 0 { &[][..] } else { next(&mut input).unwrap_or((Way::ToServer, &[])).1 };
    let names = names(protocol, said);
    let catalogue = Catalogue::bundled();
    for name in [&names.sni, &names.host].into_iter().flatten() {
        let _ = (catalogue.by_host(name), catalogue.by_certificate(name), catalogue.by_alpn(name));
    }
    if let Some(agent) = &names.user_agent {
        let _ = catalogue.by_user_agent(agent);
    }

    let mut payloads = Vec::new();
    let mut pieces: Vec<Piece> = Vec::new();
    let mut kept = [Vec::new(), Vec::new()];
    // What each way had when a piece came.
    let mut ends = Vec::new();
    while pieces.len() < MOST_PIECES
        && let Some((way, payload)) = next(&mut input)
    {
        let bytes: &mut Vec<u8> = &mut kept[way.index()];
        if bytes.len() + payload.len() > MOST_BYTES {
            break;
        }
        let start = bytes.len() as u32;
        bytes.extend_from_slice(payload);
        let len = payload.len() as u32;
        pieces.push(Piece { way, len, start, kept: len, at: 20 * pieces.len() as u32 });
        payloads.push((way, payload));
        ends.push([kept[0].len(), kept[1].len()]);
    }
    let mut lore = Lore::new(16);
    for classifier in CLASSIFIERS.iter().filter(|classifier| classifier.over.takes(transport)) {
        if classifier.inside.0 & protocol.bit() == 0 {
            continue;
        }
        for (count, end) in ends.iter().enumerate() {
            let view = FlowView {
                transport,
                client,
                server,
                names: &names,
                lore: &lore,
                catalogue,
                midstream: transport == Transport::Tcp && marks & MIDSTREAM != 0,
                last: marks & LAST != 0 && count + 1 == ends.len(),
                heard: pieces.len(),
                pieces: &pieces[..=count],
                bytes: [&kept[0][..end[0]], &kept[1][..end[1]]],
            };
            let opinion = (classifier.classify)(&view);
            assert_eq!(opinion, (classifier.classify)(&view), "{} is not pure", classifier.name);
            if let Opinion::Yes { application, confidence, evidence } = &opinion {
                assert!(classifier.applications.contains(application), "{} names {application}", classifier.name);
                assert!(!matches!(confidence, Confidence::Address | Confidence::Port), "{}", classifier.name);
                assert!(!evidence.is_empty() && evidence.len() <= 1024, "{}: {evidence}", classifier.name);
            }
            if opinion != Opinion::NeedMore {
                break;
            }
        }
    }
    for follow in CLASSIFIERS.iter().filter(|one| one.over.takes(transport)).filter_map(|one| one.follow) {
        for (way, payload) in &payloads {
            follow(&Said { client, server, transport, way: *way, payload }, &mut lore);
        }
    }
});
