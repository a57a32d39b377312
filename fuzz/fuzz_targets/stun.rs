//! STUN of anything, in datagrams and streams.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::hints::{Reading, stun};

fuzz_target!(|bytes: &[u8]| {
    if let Some(message) = stun::read(bytes) {
        assert_eq!(message.len(), bytes.len());
        let _ = (message.method(), message.class(), message.transaction(), message.attributes().count());
        let _ = (message.software(), message.username(), message.realm());
        message.addresses(|_, _| {});
    }
    if let Reading::Is((message, used)) = stun::read_stream(bytes) {
        assert!(used <= bytes.len() && message.len() <= used);
    }
});
