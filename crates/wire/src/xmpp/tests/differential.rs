//! A second, independent reader (rxml) must agree: on what well-formed stanzas
//! say, on what their canonical form says, and on what is not well-formed.
//!
//! Where the two differ on purpose, ours is the stricter one: limits, XMPP's
//! restricted XML, the namespace of stanzas, U+FEFF in names, a second header. In one place rxml is wrong:
//! it does not normalise white space in attribute values or lone CRs, which is
//! why neither goes on verbatim; see [`spaced`].

use std::collections::BTreeMap;

use proptest::prelude::*;
use rxml::{Event, Parse, Parser};

use super::*;

/// An element as both readers can say it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
struct Plain {
    ns: String,
    name: String,
    attrs: BTreeMap<(String, String), String>,
    /// Texts and elements in turn.
    content: Vec<Content>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Text(String),
    Element(Plain),
}

fn ours(element: Element<'_>) -> Plain {
    Plain {
        ns: element.ns().into(),
        name: element.name().into(),
        attrs: element.attrs().map(|a| ((a.ns.into(), a.name.into()), a.value.into())).collect(),
        content: element
            .children()
            .map(|node| match node {
                Node::Text(text) => Content::Text(text.into()),
                Node::Element(child) => Content::Element(ours(child)),
            })
            .collect(),
    }
}

/// What rxml makes of one stanza behind the usual header: nothing when it refuses or wants more.
fn theirs(stanza: &[u8]) -> Option<Plain> {
    let bytes = [HEADER.as_bytes(), stanza].concat();
    let mut input = bytes.as_slice();
    let mut parser = Parser::new();
    let mut open: Vec<Plain> = Vec::new();
    loop {
        match parser.parse(&mut input, false).ok()?? {
            Event::XmlDeclaration(..) => {}
            Event::StartElement(_, (ns, name), attrs) => open.push(Plain {
                ns: ns.as_str().into(),
                name: name.to_string(),
                attrs: attrs
                    .iter()
                    .map(|((ns, name), value)| ((ns.as_str().to_owned(), name.to_string()), value.clone()))
                    .collect(),
                content: Vec::new(),
            }),
            Event::Text(_, text) => match open.last_mut()?.content.last_mut() {
                Some(Content::Text(before)) => before.push_str(&text),
                _ => open.last_mut()?.content.push(Content::Text(text)),
            },
            Event::EndElement(_) => {
                let done = open.pop()?;
                if open.len() == 1 {
                    return Some(done);
                }
                open.last_mut()?.content.push(Content::Element(done));
            }
        }
    }
}

/// The one stanza that our reader finds, with its form and canonical bytes.
fn read(stanza: &[u8]) -> Result<Option<(Plain, Form, Vec<u8>)>, Fault> {
    let mut reader = Reader::new(Limits::AUTHENTICATED);
    let Ok(Read::Header { .. }) = reader.next(HEADER.as_bytes()) else { panic!("no header") };
    match reader.next(stanza)? {
        Read::Stanza { stanza, .. } => {
            let mut canonical = Vec::new();
            write::canonical(&mut canonical, stanza.root);
            assert_canonical(stanza, &canonical);
            Ok(Some((ours(stanza.root), stanza.form, canonical)))
        }
        _ => Ok(None),
    }
}

/// Faults that rxml does not know: XMPP's own, and the limits.
fn ours_alone(fault: &Fault) -> bool {
    matches!(
        fault.condition,
        Condition::PolicyViolation | Condition::RestrictedXml | Condition::InvalidNamespace | Condition::BadFormat
    )
}

/// White space that rxml keeps, refuses or misreads where XML says what it becomes.
fn spaced(stanza: &[u8]) -> bool {
    stanza.iter().any(|b| matches!(b, b'\r' | b'\n' | b'\t'))
}

fn agree(stanza: &[u8]) {
    let shown = String::from_utf8_lossy(stanza);
    match read(stanza) {
        Ok(Some((plain, form, canonical))) => {
            if form == Form::Verbatim || (form == Form::Rewrite && !spaced(stanza)) {
                assert_eq!(theirs(stanza).as_ref(), Some(&plain), "{shown}");
            }
            if !matches!(form, Form::Exotic(_)) {
                assert_eq!(theirs(&canonical), Some(plain), "canonical of {shown}");
            }
        }
        Ok(None) => assert_eq!(theirs(stanza), None, "{shown}"),
        Err(fault) => assert!(ours_alone(&fault) || theirs(stanza).is_none(), "{fault}: {shown}"),
    }
}

/// Pieces of XML, good and bad, that make up documents worth reading.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: &[&str] = &[
        "<message>",
        "<message ",
        "<iq type='get'>",
        "<body>",
        "</body>",
        "</message>",
        "</iq>",
        "<x xmlns='urn:x'>",
        "</x>",
        "<a:y xmlns:a='urn:a'>",
        "</a:y>",
        "<a:z a:k='v' k=\"w\"/>",
        "xmlns='urn:q' ",
        "xmlns:a='urn:b' ",
        "a:k='1' ",
        "b:k='2' ",
        "xmlns:b='urn:b' ",
        "xml:lang='en' ",
        "id='i' ",
        "id='j' ",
        "/>",
        ">",
        " ",
        "\n",
        "\r\n",
        "\r",
        "\t",
        "text",
        "&lt;",
        "&gt;",
        "&amp;",
        "&apos;",
        "&quot;",
        "&#10;",
        "&#x1F600;",
        "&#60;",
        "&#0;",
        "&nbsp;",
        "&",
        "<![CDATA[",
        "]]>",
        "]]",
        "]",
        "<!--",
        "-->",
        "<?pi?>",
        "'",
        "\"",
        "=",
        "<",
        "/",
        ":",
        "\u{e9}",
        "\u{20ac}",
        "\u{1f600}",
        "\u{feff}",
        "\u{ffff}",
        "\u{85}",
        "\u{7f}",
        "\u{0}",
        "xmlns=''",
        "<stream:error/>",
        "xmlns:stream='urn:s' ",
        "<xml:x/>",
        "xmlns='a|b' ",
        "e\u{301}",
        "\u{2028}",
    ];
    let piece = prop_oneof![
        60 => prop::sample::select(PIECES).prop_map(|s| s.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ];
    prop::collection::vec(piece, 1..24).prop_map(|pieces| [b"<message>".to_vec(), pieces.concat()].concat())
}

/// Trees, written with every liberty XML gives a writer.
fn written() -> impl Strategy<Value = String> {
    let name = prop::sample::select(&["a", "b", "body", "x-y.z", "_n1"][..]);
    let text = "[ -~\u{e9}\u{20ac}\u{1f600}\n\t]{0,12}".prop_map(|s| s.replace("]]>", "]]"));
    let spelt = (text, 0..5u8).prop_map(|(text, how)| match how {
        0 if !text.contains("]]>") => format!("<![CDATA[{text}]]>"),
        1 => text.chars().map(|c| format!("&#{};", u32::from(c))).collect(),
        2 => text.chars().map(|c| format!("&#x{:X};", u32::from(c))).collect(),
        _ => text.replace('&', "&amp;").replace('<', "&lt;").replace('>', if how == 3 { ">" } else { "&gt;" }),
    });
    let value = "[ -~\u{e9}\n\t\r]{0,8}".prop_map(|s| s.replace('&', "&amp;").replace('<', "&lt;"));
    let attribute = (prop::sample::select(&["k", "p:k", "q:k", "xml:lang"][..]), value, any::<bool>()).prop_map(
        |(name, value, double)| match double {
            true => format!(" {name}=\"{}\"", value.replace('"', "&quot;")),
            false => format!(" {name}='{}'", value.replace('\'', "&apos;")),
        },
    );
    let space = prop::sample::select(
        &["", " xmlns='urn:d'", " xmlns=''", " xmlns:p='urn:p2'", " xmlns:q='urn:p'", " xmlns='jabber:client'"][..],
    );
    let prefix = prop::sample::select(&["", "", "", "p:", "q:"][..]);
    let tag = (prefix, name, space, prop::collection::vec(attribute, 0..3), prop::sample::select(&["", " ", "\n"][..]));
    let leaf = spelt.clone();
    leaf.prop_recursive(5, 40, 5, move |inner| {
        (tag.clone(), prop::collection::vec(prop_oneof![inner, spelt.clone()], 0..5)).prop_map(
            |((prefix, name, space, attributes, end), content)| {
                let (attributes, content) = (attributes.concat(), content.concat());
                format!("<{prefix}{name}{space}{attributes}{end}>{content}</{prefix}{name}{end}>")
            },
        )
    })
    .prop_map(|content| format!("<message xmlns:p='urn:p' xmlns:q='urn:q'>{content}</message>"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_readers_agree_about_soup(stanza in soup()) {
        agree(&stanza);
    }

    #[test]
    fn both_readers_agree_about_what_a_free_writer_writes(stanza in written()) {
        agree(stanza.as_bytes());
    }

    #[test]
    fn soup_reads_the_same_at_any_chunking(stanza in soup(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let input = [HEADER.as_bytes(), &stanza, b"</stream:stream>"].concat();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(input.len())).collect();
        cuts.sort_unstable();
        let whole = outcomes(&input, [], Limits::AUTHENTICATED);
        prop_assert_eq!(&outcomes(&input, cuts, Limits::AUTHENTICATED), &whole);
        prop_assert_eq!(&outcomes(&input, 0..input.len(), Limits::AUTHENTICATED), &whole);
    }

    #[test]
    fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        outcomes(&bytes, [], Limits::UNAUTHENTICATED);
    }
}
