//! The small readers against anything: SOCKS, DHCP, session descriptions.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::hints::{Reading, dhcp, sdp, socks};

fuzz_target!(|input: (&[u8], &[u8])| {
    let (client, server) = input;
    if let Reading::Is((_, _, start)) = socks::request(client, server) {
        assert!(start <= client.len());
    }
    if let Some(message) = dhcp::read(client) {
        let _ = (message.is_reply(), message.parameters(), message.address());
        let _ = (message.vendor_class(), message.host_name());
    }
    let mut count = 0;
    sdp::media(client, |address, _| {
        assert!(address.port() != 0);
        count += 1;
    });
    assert!(count <= 64);
});
