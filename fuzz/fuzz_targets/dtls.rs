//! DTLS datagrams of anything, in any order.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::hints::{Reading, dtls};

fuzz_target!(|datagrams: Vec<&[u8]>| {
    let mut scratch = Vec::new();
    for datagram in &datagrams {
        let _ = dtls::looks_like(datagram);
    }
    if let Reading::Is(hello) = dtls::client_hello(datagrams.iter().copied(), &mut scratch) {
        assert!(hello.ja4.starts_with('d') && hello.ja4.len() == 36);
    }
    if let Reading::Is(said) = dtls::server_flight(datagrams.iter().copied(), &mut scratch) {
        assert!(said.certificate.len() <= 32);
    }
});
