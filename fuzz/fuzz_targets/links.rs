//! Any text and any markup: extraction must not panic, spans must fit the text and canonical forms
//! must be fixed points. Run with a time limit an input (`-timeout=1`): work is linear.
#![no_main]

use std::sync::{Arc, LazyLock};

use indicators::{Index, canonical};
use inspect::{Answers, Case, Detector, Findings, detect, facts};
use libfuzzer_sys::fuzz_target;
use model::{Address, Body, Direction, Kind, Message, Part, Party, PartyKind, Place, Protocol, Side};

static TABLE: LazyLock<Vec<Box<dyn Detector>>> = LazyLock::new(|| {
    detect::table(&detect::Config::default(), Arc::new(Index::empty())).expect("the default configuration works")
});

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let party = Arc::new(Party::stranger(Address::account("a@x.test"), PartyKind::Person, Side::External));
    let time = jiff::Timestamp::UNIX_EPOCH;
    let mut message = Message::new(Protocol::Xmpp, Kind::Message, Direction::FromClient, time, party.clone(), party);
    let text: &str = &text;
    for (place, body) in [
        (Place::Body, Body::text(text)),
        (Place::Html, Body::Html(text.into())),
        (Place::Url, Body::text(text)),
        (Place::Caption, Body::text(text)),
        (Place::FileName, Body::text(text)),
    ] {
        message.parts.push(Part { place, lang: None, body });
    }
    let facts = facts::extract(&message);
    for link in &facts.links {
        fits(text, link.span.start, link.span.end);
        if let Ok(url) = url::Url::parse(&link.canonical)
            && url.has_host()
        {
            assert_eq!(canonical::canonical(&url), *link.canonical);
        }
    }
    let mut findings = Findings::default();
    let case = Case { message: &message, facts: &facts, answers: &Answers::default() };
    TABLE.iter().for_each(|detector| detector.inspect(&case, &mut findings));
    for finding in findings.as_slice() {
        if let Some(evidence) = &finding.evidence {
            fits(text, evidence.start, evidence.end);
        }
    }
});

fn fits(text: &str, start: u32, end: u32) {
    assert!(text.get(start as usize..end as usize).is_some(), "{start}..{end}");
}
