//! What holds for every stanza: those of the transcripts, and trees nobody would write.

use std::fmt::Write;

use model::{Body, Direction, Message};
use proptest::prelude::*;
use wire::xmpp::enforce::{self, ErrorType};
use wire::xmpp::hear::{FILES, PARTS};
use wire::xmpp::{Element, Parsed, write};

use crate::session::{hear_as_romeo, is_verbatim, parse};
use crate::transcripts::{files, finding, lines};

const BOTH: [Direction; 2] = [Direction::FromClient, Direction::ToClient];

#[test]
fn enforcement_holds_for_every_transcript() {
    let mut stanzas = 0;
    for path in files() {
        let written = std::fs::read_to_string(&path).unwrap();
        for (_, xml) in lines(&written).iter().filter_map(|line| line.stanza()) {
            check(&parse(&xml));
            stanzas += 1;
        }
    }
    assert!(stanzas > 100);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn enforcement_holds_for_any_tree(stanza in stanza()) {
        check(&parse(&stanza));
    }
}

/// Everything that must hold for one stanza.
fn check(parsed: &Parsed) {
    let stanza = parsed.stanza().root;
    for direction in BOTH {
        let message = hear_as_romeo(stanza, direction, &[]);
        check_copy(stanza, enforce::warned(stanza, "Think <first>\u{7}."));
        check_replaced(stanza, direction);
        check_error(stanza);
        if let Some(message) = message {
            assert!(message.parts.len() <= PARTS.default as usize);
            assert!(message.files.len() <= FILES.default as usize);
            check_canonical_says_the_same(stanza, &message);
            check_redacted(stanza, &message);
        }
    }
}

/// A copy is one verbatim stanza of the same name and addresses.
fn check_copy(stanza: Element<'_>, bytes: Vec<u8>) -> Parsed {
    let text = String::from_utf8(bytes).unwrap();
    assert!(is_verbatim(text.as_bytes()), "not verbatim: {text}");
    let parsed = parse(&text);
    let copy = parsed.stanza().root;
    assert_eq!(copy.name(), stanza.name(), "{text}");
    for name in ["to", "from", "id", "type"] {
        assert_eq!(copy.attr(name), stanza.attr(name), "{name} of {text}");
    }
    assert_eq!(copy.lang(), stanza.lang(), "{text}");
    parsed
}

fn check_replaced(stanza: Element<'_>, direction: Direction) {
    let bytes = enforce::replaced(stanza, "Gone & away.");
    let parsed = match (stanza.name(), stanza.attr("type")) {
        // A query becomes an answer or a headline, from and to the same.
        ("iq", kind) if kind != Some("error") => {
            let text = String::from_utf8(bytes).unwrap();
            assert!(is_verbatim(text.as_bytes()), "not verbatim: {text}");
            let parsed = parse(&text);
            for name in ["to", "from", "id"] {
                assert_eq!(parsed.stanza().root.attr(name), stanza.attr(name), "{name} of {text}");
            }
            parsed
        }
        _ => check_copy(stanza, bytes),
    };
    let Some(left) = hear_as_romeo(parsed.stanza().root, direction, &[]) else { return };
    for part in &left.parts {
        let text = part.body.expose().unwrap();
        let nick = stanza.attr("to").into_iter().chain(stanza.attr("from")).any(|jid| jid.ends_with(text));
        assert!(text == "Gone & away." || nick || part.place.name() == "nick", "left: {text}");
    }
    assert!(left.files.is_empty());
}

fn check_error(stanza: Element<'_>) {
    let Some(bytes) = enforce::error_reply(stanza, ErrorType::Modify, "policy-violation", Some("No.")) else {
        assert!(stanza.attr("type").is_some_and(|kind| matches!(kind, "error" | "result")) || stanza.name() == "iq");
        return;
    };
    let text = String::from_utf8(bytes).unwrap();
    assert!(is_verbatim(text.as_bytes()), "not verbatim: {text}");
    let parsed = parse(&text);
    let reply = parsed.stanza().root;
    assert_eq!(
        (reply.attr("to"), reply.attr("from"), reply.attr("id"), reply.attr("type")),
        (stanza.attr("from"), stanza.attr("to"), stanza.attr("id"), Some("error"))
    );
    assert_eq!(reply.elements().count(), 1, "the payload is echoed: {text}");
}

/// However a stanza was spelt, its canonical spelling says the same.
fn check_canonical_says_the_same(stanza: Element<'_>, message: &Message) {
    let mut bytes = Vec::new();
    write::canonical(&mut bytes, stanza);
    let parsed = parse(&String::from_utf8(bytes).unwrap());
    let again = hear_as_romeo(parsed.stanza().root, message.direction, &[]).unwrap();
    assert_eq!(again.parts, message.parts);
    assert_eq!(again.files, message.files);
    assert_eq!((again.kind, again.copy, again.from), (message.kind, message.copy, message.from.clone()));
}

/// A word of each part, and each part and file as a whole, can be cut out and are gone.
fn check_redacted(stanza: Element<'_>, message: &Message) {
    for (index, part) in message.parts.iter().enumerate() {
        let Body::Text(text) = &part.body else { continue };
        let Some(word) = text.split_whitespace().max_by_key(|word| word.chars().count()) else { continue };
        let start = text.find(word).unwrap();
        let left = redact(stanza, message, finding(index, start, start + word.len()));
        let long = word.chars().count() >= 4;
        let gone = |said: &str| !said.contains(word) || word.contains('\u{2588}') || "[removed]".contains(word);
        if let Some(left) = left.filter(|_| long) {
            // What stands in an address stays: it is how the client knows the sender.
            let says = |p: &model::Part| p.place.name() != "nick" && p.body.expose().is_some_and(|t| !gone(t));
            assert!(!left.parts.iter().any(says), "{word} is left in {left:?}");
        }
    }
    for index in 0..message.parts.len() + message.files.len() {
        let Some(left) = redact(stanza, message, finding(index, 0, 0)) else { continue };
        if index >= message.parts.len() {
            assert!(left.files.len() < message.files.len(), "file {index} is left in {left:?}");
        }
    }
}

fn redact(stanza: Element<'_>, message: &Message, finding: model::Finding) -> Option<Message> {
    let bytes = enforce::redacted(stanza, message, &[finding]);
    let text = String::from_utf8(bytes).unwrap();
    assert!(is_verbatim(text.as_bytes()), "not verbatim: {text}");
    let parsed = parse(&text);
    let left = parsed.stanza().root;
    for name in ["to", "from", "id"] {
        assert_eq!(left.attr(name), stanza.attr(name), "{name} of {text}");
    }
    hear_as_romeo(left, message.direction, &[])
}

/// Any stanza built of the names and namespaces that the walk knows, in places where they do not belong.
fn stanza() -> impl Strategy<Value = String> {
    let attributes = (
        prop::sample::select(vec!["message", "presence", "iq"]),
        prop::option::of(prop::sample::select(vec![
            "chat",
            "groupchat",
            "error",
            "set",
            "get",
            "result",
            "headline",
            "unavailable",
        ])),
        prop::option::of(prop::sample::select(vec![
            "romeo@montague.example",
            "juliet@capulet.example/b",
            "room@muc.example/nick",
        ])),
        prop::option::of(prop::sample::select(vec![
            "romeo@montague.example/garden",
            "room@muc.example/nick",
            "capulet.example",
        ])),
        prop::option::of(Just("id1")),
    );
    (attributes, prop::collection::vec(element(), 0..5)).prop_map(|((name, kind, from, to, id), children)| {
        let mut xml = format!("<{name}");
        for (name, value) in [("type", kind), ("from", from), ("to", to), ("id", id)] {
            value.iter().for_each(|value| write!(xml, " {name}='{value}'").unwrap());
        }
        write!(xml, ">{}</{name}>", children.concat()).unwrap();
        xml
    })
}

fn element() -> impl Strategy<Value = String> {
    let leaf = "[ a-z<>&'\u{e9}\u{2588}]{0,12}|https://evil\\.example/[a-z]{3}|\\?OTR:[a-z]{4}|[A-Za-z]{8}==".prop_map(
        |text| {
            let mut out = Vec::new();
            write::escape_text(&mut out, &text);
            String::from_utf8(out).unwrap()
        },
    );
    leaf.prop_recursive(6, 40, 5, |inner| {
        (
            prop::sample::select(NAMES.to_vec()),
            prop::sample::select(NAMESPACES.to_vec()),
            prop::collection::vec(
                (prop::sample::select(ATTRIBUTES.to_vec()), prop::sample::select(VALUES.to_vec())),
                0..3,
            ),
            prop::collection::vec(inner, 0..4),
        )
            .prop_map(|(name, ns, mut attributes, children)| {
                attributes.sort_unstable();
                attributes.dedup_by_key(|(name, _)| *name);
                let mut xml = format!("<{name} xmlns='{ns}'");
                attributes.iter().for_each(|(name, value)| write!(xml, " {name}='{value}'").unwrap());
                write!(xml, ">{}</{name}>", children.concat()).unwrap();
                xml
            })
    })
}

const NAMES: &[&str] = &[
    "body",
    "subject",
    "status",
    "x",
    "html",
    "forwarded",
    "message",
    "presence",
    "iq",
    "received",
    "sent",
    "result",
    "event",
    "items",
    "item",
    "publish",
    "pubsub",
    "query",
    "data",
    "reactions",
    "reaction",
    "replace",
    "retract",
    "fallback",
    "reference",
    "url",
    "desc",
    "name",
    "file",
    "field",
    "value",
    "vCard",
    "PHOTO",
    "BINVAL",
    "jingle",
    "content",
    "description",
    "error",
    "text",
    "encrypted",
    "invite",
    "reason",
    "password",
    "entry",
    "nick",
    "delay",
    "media-sharing",
    "sources",
    "open",
    "span",
];
const NAMESPACES: &[&str] = &[
    "jabber:client",
    "jabber:client",
    "jabber:client",
    "urn:xmpp:carbons:2",
    "urn:xmpp:forward:0",
    "urn:xmpp:forward:0",
    "urn:xmpp:mam:2",
    "http://jabber.org/protocol/pubsub",
    "http://jabber.org/protocol/pubsub#event",
    "urn:xmpp:reactions:0",
    "urn:xmpp:message-correct:0",
    "urn:xmpp:message-retract:1",
    "urn:xmpp:fallback:0",
    "urn:xmpp:reference:0",
    "jabber:x:oob",
    "jabber:x:data",
    "vcard-temp",
    "urn:xmpp:jingle:1",
    "urn:xmpp:jingle:apps:file-transfer:5",
    "urn:xmpp:bob",
    "urn:xmpp:sims:1",
    "urn:ietf:params:xml:ns:xmpp-stanzas",
    "urn:xmpp:omemo:2",
    "http://jabber.org/protocol/muc#user",
    "http://www.w3.org/2005/Atom",
    "http://jabber.org/protocol/nick",
    "urn:xmpp:delay",
    "http://jabber.org/protocol/xhtml-im",
    "http://www.w3.org/1999/xhtml",
    "urn:xmpp:eme:0",
    "jabber:iq:roster",
    "http://jabber.org/protocol/ibb",
    "urn:example:unknown",
    "urn:xmpp:sid:0",
];
const ATTRIBUTES: &[&str] = &[
    "id", "uri", "url", "name", "jid", "reason", "begin", "start", "end", "var", "label", "type", "action", "xml:lang",
    "href",
];
const VALUES: &[&str] = &[
    "https://attr.example/x",
    "words in it",
    "7",
    "session-initiate",
    "juliet@capulet.example",
    "www.attr.example",
    "en",
    "text-private",
];
