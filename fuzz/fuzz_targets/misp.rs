//! Any event or manifest: reading never panics, and what was taken goes out again the same.
#![no_main]

use intel::Tlp;
use intel::misp::{Export, Limits, Manifest, export, import};
use intel::stix::Context;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = Manifest::read(data);
    let Ok(first) = import(data, &Limits::default(), &Context::feed("fuzz", None, intel::Strength::Block)) else {
        return;
    };
    let what = Export {
        threats: &first.threats,
        indicators: &first.indicators,
        kept: &first.events,
        ceiling: Tlp::Red,
        as_of: jiff::Timestamp::UNIX_EPOCH,
        author: "fuzz",
    };
    let all = export(&what).events;
    assert!(first.events.iter().all(|event| all.get(&event.uuid()).is_some()));
    if !all.is_empty() {
        let again = import(all.to_json().as_bytes(), &Limits::default(), &Context::feed("fuzz", None, intel::Strength::Block));
        assert_eq!(again.expect("what was written is read").indicators, first.indicators);
    }
});
