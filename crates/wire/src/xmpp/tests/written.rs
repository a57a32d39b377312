//! What is written: edits, headers, stream errors.

use super::*;
use crate::xmpp::write::Edit;

/// The stanza with an edit applied to the elements of a name; what comes out must read again, verbatim.
fn edited(stanza: &str, name: &str, edit: Edit) -> String {
    let parsed = Parsed::new(Bytes::copy_from_slice(stanza.as_bytes())).unwrap();
    let mut out = Vec::new();
    write::rewrite(&mut out, parsed.stanza().root, &mut |element| match element.name() == name {
        true => edit.clone(),
        false => Edit::Keep,
    });
    if !out.is_empty() {
        assert_eq!(Parsed::new(Bytes::from(out.clone())).unwrap().stanza().form, Form::Verbatim);
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn edits_do_what_they_say_and_leave_the_rest() {
    let stanza =
        "<message to='a@b' id='1'><body>hi <b>you</b></body><x xmlns='jabber:x:oob'><url>u</url></x></message>";
    for (name, edit, expected) in [
        ("b", Edit::Keep, stanza),
        ("message", Edit::Drop, ""),
        ("body", Edit::Drop, "<message to='a@b' id='1'><x xmlns='jabber:x:oob'><url>u</url></x></message>"),
        (
            "body",
            Edit::Text("<removed> & \"gone\"".into()),
            "<message to='a@b' id='1'><body>&lt;removed&gt; &amp; \"gone\"</body>\
             <x xmlns='jabber:x:oob'><url>u</url></x></message>",
        ),
        (
            "x",
            Edit::Text(String::new()),
            "<message to='a@b' id='1'><body>hi <b>you</b></body><x xmlns='jabber:x:oob'/></message>",
        ),
        (
            "x",
            Edit::Raw(b"<store xmlns='urn:xmpp:hints'/>".to_vec()),
            "<message to='a@b' id='1'><body>hi <b>you</b></body><store xmlns='urn:xmpp:hints'/></message>",
        ),
        (
            "url",
            Edit::Append(b"<desc>d</desc>".to_vec()),
            "<message to='a@b' id='1'><body>hi <b>you</b></body>\
             <x xmlns='jabber:x:oob'><url>u<desc>d</desc></url></x></message>",
        ),
        (
            "message",
            Edit::DropAttr("id"),
            "<message to='a@b'><body>hi <b>you</b></body><x xmlns='jabber:x:oob'><url>u</url></x></message>",
        ),
        (
            "message",
            Edit::SetAttr("to", "o'b@c".into()),
            "<message id='1' to='o&apos;b@c'><body>hi <b>you</b></body>\
             <x xmlns='jabber:x:oob'><url>u</url></x></message>",
        ),
    ] {
        assert_eq!(edited(stanza, name, edit.clone()), expected, "{name}: {edit:?}");
    }
}

#[test]
fn an_element_without_content_that_gets_some_is_opened() {
    let out = edited("<presence/>", "presence", Edit::Append(b"<status>x</status>".to_vec()));
    assert_eq!(out, "<presence><status>x</status></presence>");
}

#[test]
fn a_header_that_is_written_is_read_as_it_was() {
    let header = Header {
        to: Some("o'neill@example.net".into()),
        from: Some("example.net".into()),
        id: Some("<&>\"".into()),
        version: Some("1.0".into()),
        lang: Some("en".into()),
        content_ns: ns::CLIENT.into(),
    };
    let mut bytes = Vec::new();
    header.write(&mut bytes);
    let mut reader = Reader::new(Limits::UNAUTHENTICATED);
    let Ok(Read::Header { used, header: again }) = reader.next(&bytes) else { panic!("no header") };
    assert_eq!((used, again), (bytes.len(), header));
}

#[test]
fn a_stream_error_is_a_stanza_of_the_stream() {
    for &condition in Condition::ALL {
        let mut bytes = HEADER.as_bytes().to_vec();
        write::stream_error(&mut bytes, &Fault::new(condition, "a < b"));
        let said = outcomes(&bytes, [], Limits::UNAUTHENTICATED);
        let expected = format!(
            "<stream:error><{condition} xmlns='{0}'/><text xmlns='{0}' xml:lang='en'>a &lt; b</text></stream:error>",
            ns::STREAM_ERRORS
        );
        let Some(Outcome::Stanza { form: Form::Verbatim, canonical, .. }) = said.get(1) else { panic!("{said:?}") };
        assert_eq!(String::from_utf8_lossy(canonical), expected);
    }
}
