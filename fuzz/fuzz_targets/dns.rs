//! DNS messages of anything: no panic, and names that are safe to show.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::hints::dns;

fuzz_target!(|bytes: &[u8]| {
    let Some(message) = dns::read(bytes) else { return };
    let safe = |name: &str| assert!(name.bytes().all(|byte| matches!(byte, b'!'..=b'~') && !byte.is_ascii_uppercase()));
    if let Some(name) = message.question() {
        safe(name.as_str());
    }
    let _ = (message.id(), message.is_response(), message.rcode());
    let mut count = 0;
    message.addresses(|_| count += 1);
    assert!(count <= 64);
    message.services(safe);
});
