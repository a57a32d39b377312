//! Messages built from RFC 1035.

use super::*;

fn labels(name: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> = name
        .split('.')
        .filter(|label| !label.is_empty())
        .flat_map(|l| [&[l.len() as u8], l.as_bytes()].concat())
        .collect();
    bytes.push(0);
    bytes
}

fn header(flags: u16, counts: [u16; 4]) -> Vec<u8> {
    [0x1234, flags].into_iter().chain(counts).flat_map(u16::to_be_bytes).collect()
}

fn asked(name: &[u8], kind: u16) -> Vec<u8> {
    [name, &kind.to_be_bytes(), &[0, 1]].concat()
}

fn answer(name: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    [name, &kind.to_be_bytes(), &[0x80, 1, 0, 0, 0, 60], &(data.len() as u16).to_be_bytes(), data].concat()
}

fn addresses(message: &Message) -> Vec<IpAddr> {
    let mut found = Vec::new();
    message.addresses(|address| found.push(address));
    found
}

fn services(message: &Message) -> Vec<String> {
    let mut found = Vec::new();
    message.services(|name| found.push(name.into()));
    found
}

#[test]
fn a_query_is_read() {
    let query = [header(0x0100, [1, 0, 0, 1]), asked(&labels("Chat.Example.TEST"), 28)].concat();
    let query = [query, vec![0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0]].concat();
    let message = read(&query).unwrap();
    assert_eq!((message.id(), message.is_response(), message.rcode()), (0x1234, false, 0));
    assert_eq!(message.question().unwrap().as_str(), "chat.example.test");
    assert!(addresses(&message).is_empty());
    assert!(read(&[&query[..], &[0; 4]].concat()).is_some(), "some bytes behind");
    assert!(read(&[&query[..], &[0; 40]].concat()).is_none(), "too many bytes behind");
}

#[test]
fn addresses_are_given_whatever_is_between() {
    let hints = [&[0, 1, 0][..], &[0, 4, 0, 8, 192, 0, 2, 3, 192, 0, 2, 4], &[0, 6, 0, 16], &[0x20; 16]].concat();
    let response = [
        header(0x8180, [1, 4, 1, 0]),
        asked(&labels("www.example.test"), 1),
        answer(&[0xc0, 12], 5, &[3, b'c', b'd', b'n', 0xc0, 16]),
        answer(&[0xc0, 46], 1, &[192, 0, 2, 1]),
        answer(&[0xc0, 46], 28, &[0xfd; 16]),
        answer(&[0xc0, 12], 65, &hints),
        answer(&[0xc0, 16], 2, &[2, b'n', b's', 0xc0, 16]),
    ]
    .concat();
    let message = read(&response).unwrap();
    assert_eq!(message.question().unwrap().as_str(), "www.example.test");
    let expected: Vec<IpAddr> =
        vec![[192, 0, 2, 1].into(), [0xfd; 16].into(), [192, 0, 2, 3].into(), [192, 0, 2, 4].into(), [0x20; 16].into()];
    assert_eq!(addresses(&message), expected);
    for cut in 40..response.len() {
        assert!(read(&response[..cut]).is_some(), "cut at {cut}");
    }
    for cut in 0..34 {
        assert!(read(&response[..cut]).is_none(), "cut at {cut}");
    }
}

#[test]
fn services_are_named() {
    let announcement = [
        header(0x8400, [0, 2, 0, 1]),
        answer(&labels("_Spotify-Connect._tcp.local"), 12, &[&[5][..], b"My TV", &[0xc0, 12]].concat()),
        answer(&labels("_airplay._tcp.local"), 16, &[0]),
        answer(&labels("tv.local"), 1, &[192, 0, 2, 9]),
    ]
    .concat();
    let message = read(&announcement).unwrap();
    assert!(message.question().is_none());
    let expected = ["_spotify-connect._tcp.local", "my\\032tv._spotify-connect._tcp.local", "_airplay._tcp.local"];
    assert_eq!(services(&message), expected);
    let question = [header(0, [2, 0, 0, 0]), asked(&labels("_a._udp.local"), 12), asked(&[0xc0, 12], 33)].concat();
    assert_eq!(services(&read(&question).unwrap()), ["_a._udp.local", "_a._udp.local"]);
}

#[test]
fn a_message_that_was_cut_gives_what_is_whole() {
    let questions = [asked(&labels("a.test"), 1), asked(&labels("b.test"), 1)].concat();
    let bytes = [header(0x8180, [2, 1, 0, 0]), questions, answer(&[0xc0, 12], 1, &[192, 0, 2, 1])].concat();
    assert_eq!(addresses(&read(&bytes).unwrap()).len(), 1);
    for cut in 24..bytes.len() {
        let message = read(&bytes[..cut]).unwrap();
        assert_eq!(message.question().unwrap().as_str(), "a.test");
        assert!(addresses(&message).is_empty() && services(&message).is_empty(), "cut at {cut}");
    }
}

#[test]
fn what_is_no_dns_is_refused() {
    let netbios = [vec![32], b"CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_vec(), vec![0]].concat();
    let good = asked(&labels("a.test"), 1);
    let loops = [header(0x0100, [1, 0, 0, 0]), asked(&[0xc0, 12], 1)].concat();
    for bytes in [
        vec![],
        vec![0; 12],
        vec![0xff; 40],
        header(0x8183, [0, 0, 0, 0]),
        [header(0x0140, [1, 0, 0, 0]), good.clone()].concat(),
        [header(0x0103, [1, 0, 0, 0]), good.clone()].concat(),
        [header(0x3000, [1, 0, 0, 0]), good.clone()].concat(),
        [header(0x0100, [1, 900, 0, 0]), good.clone()].concat(),
        [header(0x0100, [1, 0, 0, 0]), asked(&labels("a.test"), 0x7777)].concat(),
        [header(0x0100, [1, 0, 0, 0]), asked(&[64, 1, 0], 1)].concat(),
        [header(0x0110, [1, 0, 0, 0]), asked(&netbios, 33)].concat(),
        [header(0x8400, [0, 1, 0, 0]), answer(&netbios, 33, &[0; 50])].concat(),
        [header(0x8400, [0, 1, 0, 0]), answer(&netbios, 32, &[0; 6])].concat(),
        [header(0x8180, [1, 1, 0, 0]), good, answer(&[0xc0, 12], 1, &[1, 2, 3])].concat(),
        loops,
    ] {
        assert!(read(&bytes).is_none(), "{bytes:?}");
    }
}

#[test]
fn hostile_names_end() {
    // Each pointer leads to the one before it.
    let mut message = header(0x0100, [1, 0, 0, 0]);
    message.extend(asked(&[1, 200, 0], 1));
    assert_eq!(read(&message).unwrap().question().unwrap().as_str(), "\\200");
    let chain: Vec<u8> = (0..300_u16).flat_map(|step| (0xc000 | (12 + 2 * step.max(1) - 2)).to_be_bytes()).collect();
    let bytes = [header(0x0100, [1, 0, 0, 0]), vec![0, 0], chain].concat();
    assert!(name::read(&bytes, bytes.len() - 2).is_none());
}
