//! The cases of `fixtures/xmpp/reader`: their README says how they are written.

use std::path::Path;

use super::*;

/// From how many bytes on a case is split at some places only.
const LONG: usize = 3_000;

struct Case {
    name: String,
    limits: Limits,
    bare: bool,
    input: Vec<u8>,
    expected: Vec<String>,
}

#[test]
fn every_case_gives_what_it_says_at_every_split() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/xmpp/reader");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_stem().unwrap().to_string_lossy().into_owned();
        for case in cases(&file, &std::fs::read_to_string(&path).unwrap()) {
            check(&case);
            count += 1;
        }
    }
    assert!(count > 200, "only {count} cases were found");
}

fn check(case: &Case) {
    let mut input = Vec::new();
    if !case.bare {
        input.extend_from_slice(HEADER.as_bytes());
    }
    let start = input.len();
    input.extend_from_slice(&case.input);
    let whole = outcomes(&input, [], case.limits);
    let mut said = whole.as_slice();
    if !case.bare {
        assert!(matches!(said.first(), Some(Outcome::Header(_))), "{}: {said:?}", case.name);
        said = &said[1..];
    }
    let mut said = said.iter();
    for expected in &case.expected {
        let outcome = said.next().unwrap_or_else(|| panic!("{}: {expected} is missing: {whole:?}", case.name));
        assert_eq!(&describe(outcome, expected), expected, "{}", case.name);
    }
    assert_eq!(said.next(), None, "{}: more came out than expected", case.name);

    let step = input.len() / LONG + 1;
    for cut in (start..input.len()).step_by(step) {
        assert_eq!(outcomes(&input, [cut], case.limits), whole, "{}: split at {cut}", case.name);
    }
    assert_eq!(outcomes(&input, 0..input.len(), case.limits), whole, "{}: byte by byte", case.name);
    assert_eq!(outcomes(&input, (0..input.len()).step_by(7), case.limits), whole, "{}: by sevens", case.name);
}

/// An outcome in the words of a case; the canonical form only where the case gives it.
fn describe(outcome: &Outcome, expected: &str) -> String {
    match outcome {
        Outcome::Header(header) => {
            let mut said = String::from("header");
            for (name, value) in [
                ("to", &header.to),
                ("from", &header.from),
                ("id", &header.id),
                ("version", &header.version),
                ("lang", &header.lang),
            ] {
                if let Some(value) = value {
                    said += &format!(" {name}={value}");
                }
            }
            if !header.content_ns.is_empty() {
                said += &format!(" ns={}", header.content_ns);
            }
            said
        }
        Outcome::Stanza { form, canonical, .. } => {
            let form = match form {
                Form::Verbatim => "verbatim",
                Form::Rewrite => "rewrite",
                Form::Exotic(_) => "exotic",
            };
            match expected.split_once(" = ") {
                Some(_) => format!("stanza {form} = {}", String::from_utf8_lossy(canonical)),
                None => format!("stanza {form}"),
            }
        }
        Outcome::Space => "space".into(),
        Outcome::End => "end".into(),
        Outcome::Fault(condition, None) => format!("fault {condition}"),
        Outcome::Fault(condition, Some(limit)) => format!("fault {condition} {limit}"),
        Outcome::Inside => "inside".into(),
    }
}

fn cases(file: &str, text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if let Some(name) = line.strip_prefix("== ") {
            cases.push(Case {
                name: format!("{file}: {name}"),
                limits: Limits::AUTHENTICATED,
                bare: false,
                input: Vec::new(),
                expected: Vec::new(),
            });
            continue;
        }
        if line.is_empty() {
            continue;
        }
        let case = cases.last_mut().unwrap_or_else(|| panic!("{file}:{}: no case begins before this", number + 1));
        if let Some(input) = line.strip_prefix("> ") {
            unescape(input, &mut case.input);
        } else if line == "bare" {
            case.bare = true;
        } else if let Some(numbers) = line.strip_prefix("limits ") {
            let n: Vec<usize> = numbers.split(' ').map(|n| n.parse().unwrap()).collect();
            case.limits = Limits { stanza_bytes: n[0], depth: n[1], attributes: n[2], elements: n[3] };
        } else if let Some(canonical) = line.strip_prefix("= ") {
            let mut bytes = Vec::new();
            unescape(canonical, &mut bytes);
            let stanza = case.expected.last_mut().unwrap();
            *stanza += &format!(" = {}", String::from_utf8(bytes).unwrap());
        } else {
            case.expected.push(line.to_owned());
        }
    }
    cases
}

fn unescape(mut text: &str, out: &mut Vec<u8>) {
    while let Some((before, after)) = text.split_once('\\') {
        out.extend_from_slice(before.as_bytes());
        let (kind, rest) = after.split_at(1);
        text = rest;
        match kind {
            "x" => {
                out.push(u8::from_str_radix(&rest[..2], 16).unwrap());
                text = &rest[2..];
            }
            "u" => {
                let (code, rest) = rest[1..].split_once('}').unwrap();
                let c = char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap();
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                text = rest;
            }
            "{" => {
                let (times, rest) = rest.split_once('*').unwrap();
                // A repeated character escape ends in a brace of its own.
                let (unit, rest) = match rest.strip_prefix("\\u") {
                    Some(escape) => rest.split_at("\\u".len() + escape.find('}').unwrap() + 1),
                    None => rest.split_at(rest.find('}').unwrap()),
                };
                let mut piece = Vec::new();
                unescape(unit, &mut piece);
                out.extend(piece.repeat(times.parse().unwrap()));
                text = rest.strip_prefix('}').unwrap();
            }
            "r" => out.push(b'\r'),
            "n" => out.push(b'\n'),
            "t" => out.push(b'\t'),
            "\\" => out.push(b'\\'),
            other => panic!("unknown escape \\{other}"),
        }
    }
    out.extend_from_slice(text.as_bytes());
}
