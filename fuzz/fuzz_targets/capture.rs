//! Anything as a capture file: reading ends, says where it broke, and gives the same events each time.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use sensor::apps::Catalogue;
use sensor::capture::{Capture, CaptureError};
use sensor::eve::Eve;
use sensor::{Limits, read};

fn events(bytes: &[u8]) -> Option<(Vec<u8>, String)> {
    let mut capture = Capture::new(Cursor::new(bytes)).ok()?;
    let limits = Limits { flows: 16, probes: 4, probe_bytes: 8192, fragment_bytes: 4096, lore: 8, ..Limits::default() };
    let mut lines = Vec::new();
    let mut eve = Eve::new(&mut lines, "fuzz");
    let outcome = read::capture(&mut capture, limits, Catalogue::bundled(), &mut eve, &mut |position, _| {
        assert!(position <= bytes.len() as u64);
    });
    eve.flush().expect("memory takes everything");
    drop(eve);
    Some((lines, format!("{outcome:?}")))
}

fuzz_target!(|bytes: &[u8]| {
    let first = events(bytes);
    assert_eq!(first, events(bytes));
    let Some((lines, _)) = first else { return };
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        let event: serde_json::Value = serde_json::from_slice(line).expect("a JSON line");
        assert!(event["event_type"].is_string());
    }
    let mut capture = Capture::new(Cursor::new(bytes)).expect("it could be opened before");
    loop {
        match capture.packet() {
            Ok(Some(packet)) => assert!(packet.data.len() <= packet.wire_len as usize),
            Ok(None) | Err(CaptureError::Truncated { .. } | CaptureError::Damaged { .. } | CaptureError::Io(_)) => {
                break;
            }
            Err(CaptureError::Unknown(_)) => panic!("it was known at its beginning"),
        }
    }
});
