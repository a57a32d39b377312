//! Captures of every dialect, and damaged ones.

use std::io::{Cursor, Write};

use super::{Capture, CaptureError, LinkType};

/// Time, link type, length on the wire, data.
type Read = (u64, u16, u32, Vec<u8>);

/// What is read, and how it ended.
fn read(bytes: &[u8]) -> (Vec<Read>, Option<CaptureError>) {
    let mut packets = Vec::new();
    let mut capture = match Capture::new(Cursor::new(bytes.to_vec())) {
        Ok(capture) => capture,
        Err(error) => return (packets, Some(error)),
    };
    loop {
        match capture.packet() {
            Ok(Some(packet)) => {
                let LinkType(link) = packet.link;
                packets.push((packet.time, link, packet.wire_len, packet.data.to_vec()));
            }
            Ok(None) => return (packets, None),
            Err(error) => return (packets, Some(error)),
        }
    }
}

type Word = fn(u32) -> [u8; 4];

fn pcap(magic: u32, word: Word, packets: &[(u32, u32, u32, &[u8])]) -> Vec<u8> {
    let mut bytes = word(magic).to_vec();
    for field in [0x0004_0002, 0, 0, 262_144, 1] {
        bytes.extend(word(field));
    }
    for (seconds, fraction, wire, data) in packets {
        for field in [*seconds, *fraction, data.len() as u32, *wire] {
            bytes.extend(word(field));
        }
        if magic == 0xa1b2_cd34 {
            bytes.extend([0; 8]);
        }
        bytes.extend(*data);
    }
    bytes
}

#[test]
fn pcap_of_either_byte_order_and_resolution() {
    for word in [u32::to_le_bytes as Word, u32::to_be_bytes] {
        for (magic, nanos) in [(0xa1b2_c3d4, 7000), (0xa1b2_3c4d, 7), (0xa1b2_cd34, 7000)] {
            let file = pcap(magic, word, &[(100, 7, 60, b"abc"), (101, 0, 2, b"de")]);
            let (packets, error) = read(&file);
            assert!(error.is_none(), "{error:?}");
            assert_eq!(packets[0], (100_000_000_000 + nanos, 1, 60, b"abc".to_vec()));
            assert_eq!(packets[1], (101_000_000_000, 1, 2, b"de".to_vec()));
        }
    }
}

/// A pcapng block.
fn block(word: Word, kind: u32, body: &[u8]) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let length = word(padded as u32 + 12);
    let mut bytes = word(kind).to_vec();
    bytes.extend(length);
    bytes.extend(body);
    bytes.resize(8 + padded, 0);
    bytes.extend(length);
    bytes
}

fn words(word: Word, values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| word(*value)).collect()
}

/// A section with three interfaces (microseconds; nanoseconds; 2^-20 s and an offset) and every kind of block.
fn pcapng(word: Word) -> Vec<u8> {
    let half = |value: u16| {
        let [a, b, c, d] = word(u32::from(value));
        if word(1)[0] == 1 { [a, b] } else { [c, d] }
    };
    let interface = |link: u16, options: &[u8]| block(word, 1, &[&half(link)[..], &[0, 0], &word(0), options].concat());
    let option = |code: u16, value: &[u8]| {
        let mut bytes = [half(code), half(value.len() as u16)].concat();
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    };
    let long = |value: u64| {
        let (high, low) = (word((value >> 32) as u32), word(value as u32));
        if word(1)[0] == 1 { [low, high].concat() } else { [high, low].concat() }
    };
    let enhanced = |interface: u32, units: u64, data: &[u8]| {
        let fields = [interface, (units >> 32) as u32, units as u32, data.len() as u32, 99];
        block(word, 6, &[&words(word, &fields)[..], data].concat())
    };
    let mut bytes = block(word, 0x0a0d_0d0a, &words(word, &[0x1a2b_3c4d, 1, u32::MAX, u32::MAX]));
    bytes.extend(interface(1, &[]));
    bytes.extend(interface(101, &[option(9, &[9]), option(0, &[])].concat()));
    bytes.extend(interface(113, &[option(9, &[0x80 | 20]), option(14, &long(50))].concat()));
    bytes.extend(enhanced(0, 1_000_000, b"micro"));
    bytes.extend(enhanced(1, 2_000_000_001, b"nano!!"));
    bytes.extend(enhanced(2, 3 << 20, b"binary"));
    bytes.extend(block(word, 3, &[&words(word, &[6])[..], b"simple"].concat()));
    bytes.extend(block(word, 4, &[0; 20]));
    bytes.extend(block(word, 10, &[1; 8]));
    bytes.extend(block(word, 0x0bad, b"whatever"));
    let old = [&half(1)[..], &half(0), &words(word, &[0, 5, 3, 3]), b"old"].concat();
    bytes.extend(block(word, 2, &old));
    bytes
}

#[test]
fn pcapng_of_either_byte_order_with_every_block() {
    for word in [u32::to_le_bytes as Word, u32::to_be_bytes] {
        // Two sections: interfaces begin anew, the order of bytes may change.
        let file = [pcapng(word), pcapng(u32::to_le_bytes)].concat();
        let (packets, error) = read(&file);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(packets.len(), 10);
        for section in packets.chunks(5) {
            let seen: Vec<_> = section.iter().map(|(time, link, _, data)| (*time, *link, data.as_slice())).collect();
            assert_eq!(
                seen,
                [
                    (1_000_000_000, 1, &b"micro"[..]),
                    (2_000_000_001, 101, b"nano!!"),
                    (53_000_000_000, 113, b"binary"),
                    (53_000_000_000, 1, b"simple"),
                    (5, 101, b"old"),
                ]
            );
        }
    }
}

#[test]
fn no_time_is_later_than_a_clock_with_a_sign_can_tell() {
    let word = u32::to_le_bytes as Word;
    let section = block(word, 0x0a0d_0d0a, &words(word, &[0x1a2b_3c4d, 1, u32::MAX, u32::MAX]));
    // Microseconds, seconds, and 2^0 s.
    for resolution in [6, 0, 0x80] {
        let interface = block(word, 1, &words(word, &[1, 0, 0x0001_0009, resolution, 0]));
        for units in [[0x7fff_ffff, 0], [u32::MAX; 2]] {
            let packet = block(word, 6, &words(word, &[0, units[0], units[1], 0, 0]));
            let (packets, error) = read(&[&section[..], &interface, &packet].concat());
            assert!(error.is_none(), "{error:?}");
            assert_eq!(packets[0].0, i64::MAX as u64);
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn gzip_is_unpacked_also_in_several_members() {
    let file = pcap(0xa1b2_c3d4, u32::to_le_bytes, &[(1, 0, 3, &b"abc"[..]); 100]);
    let (packets, error) = read(&gzip(&file));
    assert!(error.is_none(), "{error:?}");
    assert_eq!(packets.len(), 100);
    let members = [gzip(&file[..500]), gzip(&file[500..])].concat();
    assert_eq!(read(&members).0.len(), 100);
    let packed = gzip(&file);
    let (_, error) = read(&packed[..packed.len() - 9]);
    assert!(matches!(error, Some(CaptureError::Truncated { .. })), "{error:?}");
}

#[test]
fn a_damaged_capture_gives_what_could_be_read_and_says_where() {
    let file = pcap(0xa1b2_c3d4, u32::to_le_bytes, &[(1, 0, 3, b"abc"), (2, 0, 3, b"def")]);
    for cut in 44..file.len() {
        let (packets, error) = read(&file[..cut]);
        assert_eq!(packets.len(), 1 - usize::from(cut < 43), "{cut}");
        assert!(matches!(error, Some(CaptureError::Truncated { at: 43 })), "{cut}: {error:?}");
    }
    let mut huge = file.clone();
    huge[43 + 8..43 + 12].copy_from_slice(&u32::MAX.to_le_bytes());
    let (packets, error) = read(&huge);
    assert_eq!(packets.len(), 1);
    assert!(matches!(error, Some(CaptureError::Damaged { at: 43, .. })), "{error:?}");
    assert!(matches!(read(b"PK\x03\x04 and more").1, Some(CaptureError::Unknown(_))));
    assert!(matches!(read(b"ab").1, Some(CaptureError::Unknown(_))));
    assert!(matches!(read(b"").1, Some(CaptureError::Unknown(_))));
    let mut odd = pcapng(u32::to_le_bytes);
    odd[28 + 4] = 13;
    assert!(matches!(read(&odd).1, Some(CaptureError::Damaged { at: 28, .. })));
}

#[test]
fn times_end_before_they_run_over() {
    let word = u32::to_le_bytes as Word;
    let mut file = pcapng(word);
    let fields = [0, u32::MAX, u32::MAX, 3, 3];
    file.extend(block(word, 6, &[&words(word, &fields)[..], b"end"].concat()));
    let (packets, error) = read(&file);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(packets.last().map(|packet| packet.0), Some(i64::MAX as u64));
}
