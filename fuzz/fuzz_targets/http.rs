//! HTTP heads of anything: no panic, and what a prefix is refused for stays refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::hints::{Reading, http};

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, stream) = input;
    let prefix = &stream[..usize::from(cut).min(stream.len())];
    if http::request(prefix) == Reading::Not {
        assert_eq!(http::request(stream), Reading::Not);
    }
    if let Reading::Is(request) = http::request(stream) {
        assert!(request.body_start() <= stream.len());
        let _ = (request.method(), request.target(), request.user_agent(), request.header("x"));
        assert!(request.host().is_none_or(|host| host.len() <= 253));
    }
    if http::response(prefix) == Reading::Not {
        assert_eq!(http::response(stream), Reading::Not);
    }
    if let Reading::Is(response) = http::response(stream) {
        assert!(response.body_start() <= stream.len());
        let _ = (response.status(), response.server(), response.header("x"));
    }
});
