//! QUIC datagrams of anything, either way. Keys are no hindrance where Google's hello is in the clear.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::hints::quic::{Initials, looks_like};

/// Put before the fuzzer's own bytes, so that headers are got over.
const HEADERS: &[&[u8]] = &[
    b"",
    b"\xc3\0\0\0\x01\x08\x83\x94\xc8\xf0\x3e\x51\x57\x08\0\0",
    b"\xd3\x6b\x33\x43\xcf\x08\x83\x94\xc8\xf0\x3e\x51\x57\x08\0\0",
    b"\xc3Q046\x50\x83\x94\xc8\xf0\x3e\x51\x57\x08\0\0\0\x01............",
    b"\x09\x83\x94\xc8\xf0\x3e\x51\x57\x08Q043\x01............\xa0\x01",
    b"\x09\x83\x94\xc8\xf0\x3e\x51\x57\x08Q025\x01............\0\xa0\x01",
];

fuzz_target!(|input: Vec<(bool, u8, &[u8])>| {
    let mut initials = Initials::new();
    for (to_server, header, bytes) in input {
        let datagram = [HEADERS[usize::from(header) % HEADERS.len()], bytes].concat();
        let _ = looks_like(&datagram);
        let _ = initials.push(to_server, &datagram);
        let _ = (initials.user_agent(), initials.version());
    }
});
