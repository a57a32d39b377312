//! TLS streams of anything: no panic, and what a prefix is refused for or read as stays so when more comes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::hints::{Reading, tls};

/// An answer that was not `More` may not change with more bytes.
fn settles<T: PartialEq + std::fmt::Debug>(stream: &[u8], cut: usize, read: &mut dyn FnMut(&[u8]) -> Reading<T>) {
    let early = read(&stream[..cut]);
    if early != Reading::More {
        assert_eq!(early, read(stream));
    }
}

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, stream) = input;
    let cut = usize::from(cut).min(stream.len());
    let mut scratch = Vec::new();
    settles(stream, cut, &mut |bytes| tls::client_hello(bytes, &mut scratch));
    let _ = tls::looks_like(stream);
    let _ = tls::server_flight_so_far(stream, &mut scratch);
    if let Reading::Is(said) = tls::server_flight(stream, &mut scratch) {
        assert!(said.certificate.len() <= 32 && said.certificate.iter().all(|name| name.len() <= 253));
    }
    if let Reading::Is(hello) = tls::client_hello(stream, &mut scratch) {
        assert_eq!(hello.ja4.len(), 36);
        assert!(hello.alpn.len() <= 8 && hello.sni.is_none_or(|name| name.len() <= 253));
    }
});
