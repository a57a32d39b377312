//! Tests of the stanza reader as a whole: cases from files, bounds, and a
//! second reader to agree with.

mod bounds;
mod cases;
mod differential;
mod written;

use bytes::Bytes;

use super::*;

/// The header that cases are read behind.
const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
                      xmlns:stream='http://etherx.jabber.org/streams' to='example.net' version='1.0'>";

/// What came out of a reader, as a case says it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Header(Header),
    Stanza { form: Form, bytes: Vec<u8>, canonical: Vec<u8> },
    Space,
    End,
    Fault(Condition, Option<&'static str>),
    Inside,
}

/// Reads `input` in chunks that end at `cuts`, then the rest.
fn outcomes(input: &[u8], cuts: impl IntoIterator<Item = usize>, limits: Limits) -> Vec<Outcome> {
    let mut reader = Reader::new(limits);
    let mut cuts = cuts.into_iter().chain([input.len()]);
    let (mut at, mut have) = (0, 0);
    let mut found = Vec::new();
    loop {
        let (used, outcome) = match reader.next(&input[at..have]) {
            Ok(Read::More) => match cuts.next() {
                Some(cut) => {
                    have = cut.max(have);
                    continue;
                }
                None => {
                    found.extend(reader.is_mid_frame().then_some(Outcome::Inside));
                    return found;
                }
            },
            Ok(Read::Header { used, header }) => (used, Outcome::Header(header)),
            Ok(Read::Stanza { used, stanza }) => {
                let bytes = stanza.bytes.to_vec();
                assert_eq!(bytes, input[at..at + used], "a stanza is exactly what was used");
                let mut canonical = Vec::new();
                write::canonical(&mut canonical, stanza.root);
                assert_canonical(stanza, &canonical);
                (used, Outcome::Stanza { form: stanza.form, bytes, canonical })
            }
            Ok(Read::Space { used }) => (used, Outcome::Space),
            Ok(Read::End { used }) => (used, Outcome::End),
            Err(fault) => {
                found.push(Outcome::Fault(fault.condition, fault.limit()));
                assert_eq!(reader.next(b"<presence/>").unwrap_err(), fault, "a fault is final");
                return found;
            }
        };
        at += used;
        assert!(used > 0, "an item uses bytes");
        // White space may come in pieces, and so may what is dropped after the end.
        if !matches!(outcome, Outcome::Space | Outcome::End) || found.last() != Some(&outcome) {
            found.push(outcome);
        }
    }
}

/// The canonical form of a stanza that may be forwarded says the same, verbatim.
fn assert_canonical(stanza: Stanza<'_>, canonical: &[u8]) {
    if matches!(stanza.form, Form::Exotic(_)) {
        return;
    }
    let shown = String::from_utf8_lossy(canonical);
    let again = Parsed::new(Bytes::copy_from_slice(canonical)).unwrap_or_else(|e| panic!("{shown}: {e}"));
    assert_eq!(again.stanza().form, Form::Verbatim, "{shown}");
    assert!(again.stanza().root.same_infoset(stanza.root), "{shown}");
}
