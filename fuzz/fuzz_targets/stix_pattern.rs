//! Any pattern: reading never panics and is bounded, and what can be matched reads the same when it is written anew.
#![no_main]

use intel::Pattern;
use intel::stix::pattern::{parse_matchable, text};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(pattern) = std::str::from_utf8(data) else { return };
    for pattern in parse_matchable(pattern).patterns {
        let (kind, written) = text(&pattern);
        assert_eq!(kind, "stix");
        let again = parse_matchable(&written).patterns;
        // Accounts and domains may be brought further into form: an address in place of a name, a scheme before it.
        if !matches!(pattern, Pattern::Account { .. }) {
            assert_eq!(again, [pattern], "{written}");
        }
    }
});
