//! The XMPP stanza reader: any bytes, cut anywhere.
//!
//! It must not panic, must give the same whatever the cuts, must write
//! canonically what reads the same again, and may call verbatim only what a
//! second reader (rxml) reads alike.
//!
//! Input: a byte of flags (1: put a stream header first, 2: limits before
//! authentication), two cuts of two bytes each, then the stream.
#![no_main]

use std::collections::BTreeMap;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use rxml::{Event, Parse, Parser};
use wire::xmpp::{Condition, Element, Form, Header, Limits, Node, Parsed, Read, Reader, Stanza, write};

const HEADER: &[u8] =
    b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";

fuzz_target!(|data: &[u8]| {
    let [flags, a, b, c, d, stream @ ..] = data else { return };
    let limits = if flags & 2 == 0 { Limits::AUTHENTICATED } else { Limits::UNAUTHENTICATED };
    let mut input = if flags & 1 == 0 { Vec::new() } else { HEADER.to_vec() };
    input.extend_from_slice(stream);
    let cut = |high: u8, low: u8| usize::from(u16::from_be_bytes([high, low])) % (input.len() + 1);
    let mut cuts = [cut(*a, *b), cut(*c, *d)];
    cuts.sort_unstable();

    let whole = read(&input, &[], limits);
    assert_eq!(read(&input, &cuts, limits), whole, "cut at {cuts:?}");
    if input.len() < 2_000 {
        let every: Vec<usize> = (0..input.len()).collect();
        assert_eq!(read(&input, &every, limits), whole, "byte by byte");
    }
});

#[derive(Debug, PartialEq)]
enum Item {
    Header(Header),
    Stanza(Vec<u8>, Form),
    Space,
    End,
    Fault(Condition, Option<&'static str>),
    Inside(bool),
}

fn read(input: &[u8], cuts: &[usize], limits: Limits) -> Vec<Item> {
    let mut reader = Reader::new(limits);
    let mut ends = cuts.iter().copied().chain([input.len()]);
    let (mut at, mut have) = (0, 0);
    let mut items = Vec::new();
    loop {
        let (used, item) = match reader.next(&input[at..have]) {
            Ok(Read::More) => match ends.next() {
                Some(end) => {
                    have = have.max(end);
                    continue;
                }
                None => {
                    items.push(Item::Inside(reader.is_mid_frame()));
                    return items;
                }
            },
            Ok(Read::Header { used, header }) => (used, Item::Header(header)),
            Ok(Read::Space { used }) => (used, Item::Space),
            Ok(Read::End { used }) => (used, Item::End),
            Ok(Read::Stanza { used, stanza }) => {
                assert_eq!(stanza.bytes, &input[at..at + used]);
                if cuts.is_empty() {
                    check(stanza);
                }
                (used, Item::Stanza(stanza.bytes.to_vec(), stanza.form))
            }
            Err(fault) => {
                items.push(Item::Fault(fault.condition, fault.limit()));
                return items;
            }
        };
        assert!(used > 0 && at + used <= have);
        at += used;
        if !matches!(item, Item::Space | Item::End) || items.last() != Some(&item) {
            items.push(item);
        }
    }
}

fn check(stanza: Stanza<'_>) {
    let mut canonical = Vec::new();
    write::canonical(&mut canonical, stanza.root);
    if matches!(stanza.form, Form::Exotic(_)) {
        return;
    }
    let again = Parsed::new(Bytes::from(canonical.clone())).expect("the canonical form reads");
    assert_eq!(again.stanza().form, Form::Verbatim);
    assert!(again.stanza().root.same_infoset(stanza.root));
    let said = plain(stanza.root);
    assert_eq!(second_reader(&canonical).as_ref(), Some(&said), "canonical");
    if stanza.form == Form::Verbatim {
        assert_eq!(second_reader(stanza.bytes).as_ref(), Some(&said), "verbatim");
    }
}

/// An element flattened: a line for each start, text and end.
fn plain(element: Element<'_>) -> Vec<String> {
    fn walk(element: Element<'_>, out: &mut Vec<String>) {
        let attrs: BTreeMap<_, _> = element.attrs().map(|a| ((a.ns.into(), a.name.into()), a.value.into())).collect();
        out.push(start(element.ns(), element.name(), attrs));
        for child in element.children() {
            match child {
                Node::Text(text) => out.push(format!("text {text}")),
                Node::Element(child) => walk(child, out),
            }
        }
        out.push("end".into());
    }
    let mut out = Vec::new();
    walk(element, &mut out);
    out
}

fn start(ns: &str, name: &str, attrs: BTreeMap<(String, String), String>) -> String {
    format!("start {{{ns}}}{name} {attrs:?}")
}

/// The same from rxml; nothing when it refuses.
fn second_reader(stanza: &[u8]) -> Option<Vec<String>> {
    let bytes = [HEADER, stanza].concat();
    let mut input = bytes.as_slice();
    let mut parser = Parser::new();
    let mut out: Vec<String> = Vec::new();
    let mut depth = 0;
    loop {
        match parser.parse(&mut input, false).ok()?? {
            Event::XmlDeclaration(..) => {}
            Event::StartElement(_, (ns, name), attrs) => {
                if depth > 0 {
                    let attrs =
                        attrs.iter().map(|((ns, name), v)| ((ns.as_str().into(), name.to_string()), v.clone())).collect();
                    out.push(start(ns.as_str(), &name, attrs));
                }
                depth += 1;
            }
            Event::Text(_, text) => match out.last_mut() {
                Some(last) if last.starts_with("text ") => last.push_str(&text),
                _ => out.push(format!("text {text}")),
            },
            Event::EndElement(_) => {
                depth -= 1;
                out.push("end".into());
                if depth == 1 {
                    return Some(out);
                }
            }
        }
    }
}
