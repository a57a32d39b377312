//! Nothing escapes by being too much: what is beyond a bound is heard all the same, joined or counted as unseen.

use std::time::Instant;

use model::{Content, Direction, Message, Place, Sealing};
use wire::xmpp::enforce;
use wire::xmpp::hear::{FILES, INLINE_BYTES, PARTS};

use crate::session::{hear_as_romeo, is_verbatim, parse};
use crate::transcripts::finding;

fn arriving(xml: &str) -> Message {
    hear_as_romeo(parse(xml).stanza().root, Direction::ToClient, &[]).unwrap()
}

#[test]
fn a_thousand_bodies_are_all_read() {
    let bodies: String =
        (0..1_000).map(|n| format!("<body xml:lang='x-{n}'>word{n} http://evil{n}.example/</body>")).collect();
    let xml = format!("<message from='a@b.example'>{bodies}</message>");
    let message = arriving(&xml);
    assert!(message.parts.len() < PARTS.default as usize);
    let last = message.parts.last().unwrap();
    assert_eq!(last.place, Place::Unknown);
    assert!(last.body.expose().unwrap().contains("word999 http://evil999.example/"));

    // What is joined cannot be cut out of one element, so all of it goes.
    let at = last.body.expose().unwrap().find("http://evil999.example/").unwrap();
    let found = finding(message.parts.len() - 1, at, at + "http://evil999.example/".len());
    let bytes = enforce::redacted(parse(&xml).stanza().root, &message, &[found]);
    assert_eq!(bytes, b"<message from='a@b.example'><body>[removed]</body></message>");
}

#[test]
fn encryption_beyond_the_bound_is_still_said() {
    let bodies = "<body>plain</body>".repeat(300);
    let message =
        arriving(&format!("<message>{bodies}<encrypted xmlns='urn:xmpp:omemo:2'/><body>?OTR:x</body></message>"));
    assert_eq!(message.sealed(), Some(Sealing::Omemo));
    assert!(message.parts.len() <= PARTS.default as usize);
}

#[test]
fn files_beyond_the_bound_count_as_unseen() {
    let data = "<data xmlns='urn:xmpp:bob' type='text/plain'>QUJD</data>".repeat(500);
    let message = arriving(&format!("<message>{data}</message>"));
    assert_eq!(message.files.len(), FILES.default as usize);
    assert_eq!(message.files.last().unwrap().content, Content::Offered);
    assert!(matches!(message.files[0].content, Content::Inline(_)));
}

#[test]
fn a_picture_beyond_the_bound_counts_as_unseen() {
    let bytes = "QUJD".repeat(INLINE_BYTES.default as usize / 3 + 1);
    let message = arriving(&format!("<iq type='result'><data xmlns='urn:xmpp:bob'>{bytes}</data></iq>"));
    assert_eq!(message.files[0].content, Content::Offered);
    assert_eq!(message.files[0].size, Some(bytes.len() as u64 / 4 * 3));
}

#[test]
fn nesting_as_deep_as_a_reader_allows_is_followed_to_the_end() {
    // A forwarded message takes two levels of the 128.
    let open = "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'>".repeat(62);
    let close = "</message></forwarded>".repeat(62);
    let xml = format!("<message from='a@b.example'>{open}<body>bottom</body>{close}</message>");
    let message = arriving(&xml);
    assert_eq!(message.parts[0].body.expose(), Some("bottom"));
    let stanza = parse(&xml);
    assert!(is_verbatim(&enforce::warned(stanza.stanza().root, "Deep.")));
    let cut = String::from_utf8(enforce::redacted(stanza.stanza().root, &message, &[finding(0, 0, 6)])).unwrap();
    assert_eq!(cut.replace("\u{2588}", "").len(), xml.len() - "bottom".len());
}

#[test]
fn time_is_linear_in_the_stanza() {
    // Elements inside a body are the costly case: it is flattened for each level that is shown as text.
    let time = |n: usize| {
        let xml = format!("<message><body>{}</body></message>", "a<x xmlns='urn:example:x'>b</x>".repeat(n));
        let parsed = parse(&xml);
        let run = || {
            #[allow(clippy::disallowed_methods, reason = "measuring is what this test is for")]
            let start = Instant::now();
            let message = hear_as_romeo(parsed.stanza().root, Direction::ToClient, &[]).unwrap();
            enforce::redacted(parsed.stanza().root, &message, &[finding(1, 0, 1)]);
            enforce::warned(parsed.stanza().root, "Long.");
            start.elapsed()
        };
        (0..8).map(|_| run()).min().unwrap()
    };
    let (few, many) = (time(500), time(4_000));
    assert!(many < few * 8 * 5, "{few:?} for 500 elements, {many:?} for 4,000");
}

#[test]
fn bodies_inside_bodies_do_not_multiply() {
    let mut xml = String::from("x");
    for _ in 0..60 {
        xml = format!("<body xmlns='jabber:client'>{}{xml}</body>", "word ".repeat(100));
    }
    let xml = format!("<message>{xml}</message>");
    let message = arriving(&xml);
    let heard: usize = message.parts.iter().map(|p| p.body.len()).sum();
    assert!(heard <= xml.len() * 3, "{heard} bytes heard of {}", xml.len());
}
