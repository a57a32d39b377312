//! Packets built from RFC 9000, 9001 and 9369; their appendices' vectors; Google's packets from its documents.

use ring::aead::quic::{AES_128, HeaderProtectionKey};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::super::tls::tests::Offer;
use super::version::{V1, V2};
use super::*;

const DESTINATION: [u8; 8] = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];

fn hex(text: &str) -> Vec<u8> {
    let text = text.as_bytes();
    text.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// The CRYPTO frame of RFC 9001 appendix A.2, which RFC 9369 uses too.
fn appendix_frame() -> Vec<u8> {
    hex(concat!(
        "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e868",
        "04fe3a47f06a2b69484c00000413011302010000c000000010000e00000b6578",
        "616d706c652e636f6dff01000100000a00080006001d00170018001000070005",
        "04616c706e000500050100000000003300260024001d00209370b2c9caa47fba",
        "baf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b000302030400",
        "0d0010000e0403050306030203080408050806002d00020101001c0002400100",
        "3900320408ffffffffffffffff05048000ffff07048000ffff08011001048000",
        "75300901100f088394c8f03e51570806048000ffff"
    ))
}

/// A client's Initial with a packet number of four bytes, of 1200 bytes at least.
fn initial(version: u32, keys_of: &[u8], destination: &[u8], number: u32, mut frames: Vec<u8>) -> Vec<u8> {
    let keys = Keys::derive(&version::derivations(version)[0], keys_of).unwrap();
    frames.resize(frames.len().max(1162), 0);
    let first = if matches!(version, V2 | version::V2_DRAFT) { 0xd3 } else { 0xc3 };
    let mut packet = vec![first];
    packet.extend(version.to_be_bytes());
    packet.push(destination.len() as u8);
    packet.extend(destination);
    packet.extend([0, 0]);
    packet.extend((0x4000 | (4 + frames.len() + 16) as u16).to_be_bytes());
    let number_at = packet.len();
    packet.extend(number.to_be_bytes());
    let mut nonce = keys.vector;
    for (byte, part) in nonce[8..].iter_mut().zip(number.to_be_bytes()) {
        *byte ^= part;
    }
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &keys.key).unwrap());
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&packet), &mut frames).unwrap();
    packet.extend(frames);
    let sample = &packet[number_at + 4..number_at + 20];
    let mask = HeaderProtectionKey::new(&AES_128, &keys.header).unwrap().new_mask(sample).unwrap();
    packet[0] ^= mask[0] & 0x0f;
    for (byte, mask) in packet[number_at..].iter_mut().zip(&mask[1..]) {
        *byte ^= mask;
    }
    packet
}

fn crypto_frame(offset: usize, bytes: &[u8]) -> Vec<u8> {
    let [o, l] = [offset, bytes.len()].map(|number| (0x4000 | number as u16).to_be_bytes());
    [&[6][..], &o, &l, bytes].concat()
}

fn hello_of(reading: Reading<tls::ClientHello>) -> tls::ClientHello {
    match reading {
        Reading::Is(hello) => hello,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_vectors_of_both_versions_hold() {
    let keys = Keys::derive(&version::derivations(V1)[0], &DESTINATION).unwrap();
    assert_eq!(keys.key.to_vec(), hex("1f369613dd76d5467730efcbe3b1a22d"));
    assert_eq!(keys.vector.to_vec(), hex("fa044b2f42a3fd3b46fb255c"));
    assert_eq!(keys.header.to_vec(), hex("9f50449e04a0e810283a1e9933adedd2"));
    let keys = Keys::derive(&version::derivations(V2)[0], &DESTINATION).unwrap();
    assert_eq!(keys.key.to_vec(), hex("8b1a0bc121284290a29e0971b5cd045d"));
    assert_eq!(keys.vector.to_vec(), hex("91f73e2351d8fa91660e909f"));
    assert_eq!(keys.header.to_vec(), hex("45b95e15235d6f45a6b19cbcb0294ba9"));
    // The tag at the end covers all of the packet.
    for (version, begins, ends) in [
        (V1, "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11", "e221af44860018ab0856972e194cd934"),
        (V2, "d76b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6abcdb4298b485", "a18b2faa745b6fe189cf772a9f84cbfc"),
    ] {
        let packet = initial(version, &DESTINATION, &DESTINATION, 2, appendix_frame());
        assert_eq!(packet.len(), 1200);
        assert!(packet.starts_with(&hex(begins)) && packet.ends_with(&hex(ends)), "version {version:x}");
        assert!(looks_like(&packet));
        let hello = hello_of(Initials::new().push(true, &packet));
        assert_eq!(hello.sni.as_deref(), Some("example.com"));
        assert_eq!(hello.alpn, [Box::from("alpn")]);
        assert_eq!(hello.version, 0x0304);
        assert!(hello.ja4.starts_with("q13d0211an_"), "{}", hello.ja4);
    }
}

#[test]
fn every_version_is_read() {
    let drafts = (0xff00_0016..=0xff00_0022).chain([0x709a_50c4, 0xface_b001, 0xface_b002, 0xface_b00e, 0x1a2a_3a4a]);
    for version in drafts {
        let packet = initial(version, &DESTINATION, &DESTINATION, 0, appendix_frame());
        assert!(looks_like(&packet), "version {version:x}");
        let mut initials = Initials::new();
        assert_eq!(hello_of(initials.push(true, &packet)).sni.as_deref(), Some("example.com"), "version {version:x}");
        assert_eq!(initials.version(), Some(version));
    }
}

#[test]
fn a_hello_in_pieces_is_put_together() {
    let mut offer = Offer::example("video.example.test");
    let agent = b"Chrome/1.2.3 Test";
    let mut parameters = vec![0x01, 0x01, 0x20];
    parameters.extend([0x71, 0x29, agent.len() as u8]);
    parameters.extend(agent);
    offer.extensions.extend([(0x39, parameters), (0x1234, vec![0; 1500])]);
    let message = offer.message();
    let (front, back) = message.split_at(900);
    // As Chrome does: pieces out of order, with PING and padding between.
    let first = [crypto_frame(500, &front[500..]), vec![1, 0, 0, 1], crypto_frame(0, &front[..200])].concat();
    let second = [crypto_frame(200, &front[200..500]), crypto_frame(900, back)].concat();
    let one = initial(V1, &DESTINATION, &DESTINATION, 1, first);
    // The second goes to the id that the server has chosen, under the first keys.
    let two = initial(V1, &DESTINATION, &[5; 16], 2, second);
    for order in [[&one, &one, &two], [&one, &two, &two]] {
        let mut initials = Initials::new();
        let mut found = None;
        for packet in order {
            assert_eq!(
                initials.push(false, &[0x45; 40]),
                if initials.version().is_some() { Reading::More } else { Reading::Not }
            );
            if let Reading::Is(hello) = initials.push(true, packet) {
                found.get_or_insert(hello);
            }
        }
        let hello = found.unwrap();
        assert_eq!(hello.sni.as_deref(), Some("video.example.test"));
        assert!(hello.ja4.starts_with("q13d1518h2_8daaf6152771_"));
        assert_eq!(initials.user_agent(), Some("Chrome/1.2.3 Test"));
    }
}

#[test]
fn coalesced_retried_and_renegotiated_packets_are_read() {
    let offer = Offer::example("a.test").message();
    let (front, back) = offer.split_at(100);
    let short = |number, frames: Vec<u8>| initial(V1, &DESTINATION, &DESTINATION, number, frames);
    let datagram = [short(0, crypto_frame(0, front)), short(1, crypto_frame(100, back))].concat();
    assert!(looks_like(&datagram));
    assert_eq!(hello_of(Initials::new().push(true, &datagram)).sni.as_deref(), Some("a.test"));

    let mut initials = Initials::new();
    assert_eq!(initials.push(true, &short(0, crypto_frame(0, front))), Reading::More);
    let retry = [&[0xf0, 0, 0, 0, 1, 0, 4, 9, 9, 9, 9][..], &[7; 40]].concat();
    assert!(looks_like(&retry));
    assert_eq!(initials.push(false, &retry), Reading::More);
    let again = initial(V1, &[9; 4], &[9; 4], 1, crypto_frame(100, back));
    assert_eq!(hello_of(initials.push(true, &again)).sni.as_deref(), Some("a.test"));

    let mut initials = Initials::new();
    assert_eq!(initials.push(true, &initial(0x1a1a_1a1a, &[1; 8], &[1; 8], 0, crypto_frame(0, front))), Reading::More);
    let negotiation = hex("c5000000000008010101010101010100000001ff00001d");
    assert!(looks_like(&negotiation));
    assert_eq!(initials.push(false, &negotiation), Reading::More);
    assert_eq!(
        hello_of(initials.push(true, &initial(V2, &[2; 8], &[2; 8], 0, crypto_frame(0, &offer)))).version,
        0x0304
    );
}

#[test]
fn what_others_throw_in_between_changes_nothing() {
    let offer = Offer::example("a.test").message();
    let (front, back) = offer.split_at(100);
    let mut initials = Initials::new();
    let junk = |version| initial(version, &[1; 8], &[2; 8], 0, appendix_frame());
    for version in [V1, V2, V1, 0xff00_001d, V1, V2] {
        assert_eq!(initials.push(true, &junk(version)), Reading::More);
    }
    let first = initial(V1, &DESTINATION, &DESTINATION, 0, crypto_frame(0, front));
    assert_eq!(initials.push(true, &first), Reading::More);
    assert_eq!(initials.push(true, &junk(V2)), Reading::More);
    let second = initial(V1, &DESTINATION, &DESTINATION, 1, crypto_frame(100, back));
    let crowded = [junk(V1).repeat(MOST_JUNK), second.clone()].concat();
    assert_eq!(initials.push(true, &crowded), Reading::More, "no more work than this for one datagram");
    let second = [junk(V1).repeat(MOST_JUNK - 1), second].concat();
    assert_eq!(hello_of(initials.push(true, &second)).sni.as_deref(), Some("a.test"));
}

#[test]
fn a_hello_scattered_byte_by_byte_is_put_together() {
    let offer = Offer::example("a.test").message();
    let bytes = |parity: usize| -> Vec<u8> {
        let chosen = offer.iter().enumerate().filter(|(at, _)| at % 2 == parity);
        chosen.flat_map(|(at, byte)| crypto_frame(at, &[*byte])).collect()
    };
    let mut initials = Initials::new();
    assert_eq!(initials.push(true, &initial(V1, &DESTINATION, &DESTINATION, 0, bytes(1))), Reading::More);
    let hello = hello_of(initials.push(true, &initial(V1, &DESTINATION, &DESTINATION, 1, bytes(0))));
    assert_eq!(hello.sni.as_deref(), Some("a.test"));
}

#[test]
fn what_cannot_be_opened_is_given_up() {
    let mut initials = Initials::new();
    let foreign = initial(V1, &[1; 8], &[2; 8], 0, appendix_frame());
    for _ in 0..MOST_DATAGRAMS {
        assert_eq!(initials.push(true, &foreign), Reading::More);
    }
    assert_eq!(initials.push(true, &foreign), Reading::Not);
    assert_eq!(Initials::new().push(true, b"no QUIC at all"), Reading::Not);
}

/// CHLO with some entries.
fn chlo(entries: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut message = b"CHLO".to_vec();
    message.extend((entries.len() as u16).to_le_bytes());
    message.extend([0, 0]);
    let mut end = 0_u32;
    for (tag, value) in entries {
        end += value.len() as u32;
        message.extend(*tag);
        message.extend(end.to_le_bytes());
    }
    message.extend(entries.iter().flat_map(|(_, value)| *value));
    message
}

#[test]
fn google_hellos_are_read() {
    let hello = chlo(&[(b"PAD\0", &[b'-'; 300]), (b"SNI\0", b"mail.example.test"), (b"UAID", b"Chrome/50 X")]);
    let length = hello.len() as u16;
    let public = |version: &[u8; 4], frames: &[u8]| {
        let mut packet = vec![0x09];
        packet.extend(DESTINATION);
        packet.extend(version);
        packet.push(1);
        packet.extend([0xee; 12]);
        packet.extend(frames);
        packet
    };
    let little = [&[0xa0, 1][..], &length.to_le_bytes(), &hello].concat();
    let big = [&[0xa0, 1][..], &length.to_be_bytes(), &hello, &[0; 30]].concat();
    let private = [&[0][..], &little].concat();
    let mut long = vec![0xc3];
    long.extend(b"Q046");
    long.push(0x50);
    long.extend(DESTINATION);
    long.extend([0, 0, 0, 1]);
    long.extend([0xee; 12]);
    long.extend(&big);
    let frame = [&[8, 0][..], &(0x4000 | length).to_be_bytes(), &hello].concat();
    let sealed = initial(u32::from_be_bytes(*b"Q050"), &DESTINATION, &DESTINATION, 1, frame);
    let packets = [
        public(b"Q025", &private),
        public(b"Q035", &little),
        public(b"Q039", &big),
        public(b"Q043", &big),
        long,
        sealed,
    ];
    for packet in packets {
        assert!(looks_like(&packet));
        let mut initials = Initials::new();
        let hello = hello_of(initials.push(true, &packet));
        assert_eq!(hello.sni.as_deref(), Some("mail.example.test"));
        assert_eq!(initials.user_agent(), Some("Chrome/50 X"));
        assert_eq!(&*hello.ja4, "");
    }
    let second = [&[0xa4, 1, 4, 0][..], &length.to_be_bytes(), &hello].concat();
    let hello = hello_of(Initials::new().push(true, &public(b"Q043", &second)));
    assert_eq!(hello.sni.as_deref(), Some("mail.example.test"), "the first hello was lost");
    for version in [*b"T050", *b"T051"] {
        let message = Offer::example("t.test").message();
        let frame = [&[8, 0][..], &(0x4000 | message.len() as u16).to_be_bytes(), &message].concat();
        let packet = initial(u32::from_be_bytes(version), &DESTINATION, &DESTINATION, 1, frame);
        assert_eq!(hello_of(Initials::new().push(true, &packet)).sni.as_deref(), Some("t.test"));
    }
}

#[test]
fn other_datagrams_are_not_taken_for_quic() {
    let good = initial(V1, &DESTINATION, &DESTINATION, 0, appendix_frame());
    let mut long_id = good.clone();
    long_id[5] = 21;
    let mut trailing = good.clone();
    trailing.push(3);
    let rtp = [&[0x80, 0x60, 0, 1, 0, 0, 0, 0][..], &[0x55; 160]].concat();
    let rtp_like = [&[0x80, 0, 0, 0, 1][..], &[0x55; 160]].concat();
    let stun = [&[0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42][..], &[9; 20]].concat();
    let negotiation = hex("c5000000000008010101010101010100deadbeef");
    for (name, bytes) in [
        ("cut", &good[..1000]),
        ("connection id", &long_id),
        ("trailing", &trailing),
        ("rtp", &rtp),
        ("rtp with a version", &rtp_like),
        ("stun", &stun),
        ("unknown versions", &negotiation),
        ("nothing", &[]),
        ("public header without version", &[0x08; 60]),
    ] {
        assert!(!looks_like(bytes), "{name}");
    }
    let mut greased = good;
    greased[0] &= !0x40;
    assert!(looks_like(&greased), "the fixed bit may be greased");
}
