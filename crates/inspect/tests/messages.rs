//! Every message under `fixtures/inspect/messages`: the links found, the symbols raised.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use indicators::{Index, ThreatKind};
use inspect::{Answers, Case, Detector, Findings, detect, facts};
use jiff::Timestamp;
use model::{Address, Body, Direction, Kind, Message, Part, Party, PartyKind, Place, Protocol, Side};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/inspect");

#[derive(Default)]
struct Expected {
    at: usize,
    parts: Vec<(Place, String)>,
    links: Vec<String>,
    symbols: Vec<String>,
}

#[test]
fn messages_are_read_as_the_fixtures_say() {
    let table = detectors();
    let mut files: Vec<_> =
        fs::read_dir(Path::new(FIXTURES).join("messages")).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let mut wrong = Vec::new();
    let mut cases = 0;
    for file in files {
        for expected in read(&fs::read_to_string(&file).unwrap()) {
            cases += 1;
            let message = message(&expected.parts);
            let facts = facts::extract(&message);
            let case = Case { message: &message, facts: &facts, answers: &Answers::default() };
            let mut findings = Findings::default();
            table.iter().for_each(|detector| detector.inspect(&case, &mut findings));

            let links: Vec<String> =
                facts.links.iter().map(|l| format!("{}{}", if l.sure { "" } else { "~" }, l.canonical)).collect();
            let mut symbols: Vec<String> = findings.as_slice().iter().map(|f| f.symbol.to_string()).collect();
            symbols.sort();
            if links != expected.links || symbols != expected.symbols {
                wrong.push(format!(
                    "{}:{}\n  links {links:?}\n  not   {:?}\n  symbols {symbols:?}\n  not     {:?}",
                    file.file_name().unwrap().to_string_lossy(),
                    expected.at,
                    expected.links,
                    expected.symbols
                ));
            }
            for link in &facts.links {
                let text = message.parts[usize::from(link.part)].body.expose().unwrap();
                assert!(text.get(link.span.start as usize..link.span.end as usize).is_some(), "{link:?}");
            }
            for finding in findings.as_slice() {
                let evidence = finding.evidence.as_ref().unwrap();
                let text = message.parts[usize::from(evidence.part)].body.expose().unwrap();
                assert!(text.get(evidence.start as usize..evidence.end as usize).is_some(), "{finding:?}");
                assert!(!evidence.shown.contains("://"), "{finding:?} can be clicked");
            }
        }
    }
    assert!(cases > 100, "only {cases} cases were read");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn detectors() -> Vec<Box<dyn Detector>> {
    let mut builder = Index::builder();
    let list = fs::read_to_string(Path::new(FIXTURES).join("indicators.txt")).unwrap();
    assert_eq!(builder.add_list("fixtures", &list, ThreatKind::Phishing), []);
    let (index, refused) = builder.build();
    assert_eq!(refused, []);
    detect::table(&detect::Config::default(), Arc::new(index)).unwrap()
}

fn message(parts: &[(Place, String)]) -> Message {
    let party = Arc::new(Party::stranger(Address::account("a@x.test"), PartyKind::Person, Side::External));
    let time = Timestamp::UNIX_EPOCH;
    let mut message = Message::new(Protocol::Xmpp, Kind::Message, Direction::FromClient, time, party.clone(), party);
    for (place, text) in parts {
        let body = if *place == Place::Html { Body::Html(text.as_str().into()) } else { Body::text(text.as_str()) };
        message.parts.push(Part { place: *place, lang: None, body });
    }
    message
}

fn read(text: &str) -> Vec<Expected> {
    let mut cases: Vec<Expected> = Vec::new();
    let mut place = Place::Body;
    for (at, line) in text.lines().enumerate() {
        if let Some(name) = line.strip_prefix("place ") {
            place = [Place::Body, Place::Html, Place::Url, Place::Subject, Place::FileName, Place::Nick]
                .into_iter()
                .find(|place| place.name() == name)
                .unwrap();
        } else if let Some(text) = line.strip_prefix("= ") {
            cases.push(Expected { at: at + 1, parts: vec![(place, unescaped(text))], ..Expected::default() });
        } else if let Some(text) = line.strip_prefix("+ ") {
            cases.last_mut().unwrap().parts.push((place, unescaped(text)));
        } else if let Some(symbol) = line.strip_prefix("! ") {
            let symbols = &mut cases.last_mut().unwrap().symbols;
            symbols.push(symbol.to_owned());
            symbols.sort();
        } else if !line.is_empty() && !line.starts_with('#') {
            cases.last_mut().unwrap().links.push(line.to_owned());
        }
    }
    cases
}

fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.chars().next().unwrap() {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            '\\' => out.push('\\'),
            _ => {
                let (code, _) = rest.strip_prefix("u{").unwrap().split_once('}').unwrap();
                out.push(char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap());
                rest = &rest[code.len() + 2..];
            }
        }
        rest = &rest[1..];
    }
    out + rest
}
