//! Any bundle: reading never panics, what was taken goes out again the same, and nothing leaves that mentions what
//! may not go out.
#![no_main]

use intel::Tlp;
use intel::stix::{Context, Export, Limits, export, import};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for context in [Context::own(), Context::feed("fuzz", None, intel::Strength::Block)] {
        let Ok(first) = import(data, &Limits::default(), &context) else { return };
        let what = Export {
            threats: &first.threats,
            indicators: &first.indicators,
            kept: &first.objects,
            ceiling: Tlp::Red,
            as_of: jiff::Timestamp::UNIX_EPOCH,
            author: "fuzz",
        };
        let all = export(&what).objects;
        assert!(first.objects.iter().all(|object| all.latest(object.id()).is_some()));
        let again = import(all.to_bundle().as_bytes(), &Limits::default(), &context).expect("what was written is read");
        assert!(again.objects.len() >= first.objects.len());
        let open = export(&Export { ceiling: Tlp::Clear, ..what });
        let text = open.objects.to_bundle();
        assert!(open.withheld.iter().all(|one| open.objects.latest(&one.object).is_none()));
        assert!(open.withheld.iter().all(|one| !text.contains(&one.object.to_string())));
    }
});
