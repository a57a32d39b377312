//! Bytes that no honest client sends, at the gateway's door and inside a session.

use anyhow::{Result, ensure};
use lab::raw::{Raw, header};

use crate::support::{Software, World, alice, bob, jid, prove};

/// What is sent inside a session, and the stream errors that are right for it.
const STANZAS: &[(&str, &[u8], &[&str])] = &[
    ("comment", b"<message to='bob@localhost'><!-- x --><body>x</body></message>", &["restricted-xml"]),
    ("processing instruction", b"<message to='bob@localhost'><?x y?></message>", &["restricted-xml"]),
    ("doctype", b"<!DOCTYPE message [<!ENTITY a 'b'>]><message/>", &["restricted-xml"]),
    (
        "undeclared entity",
        b"<message to='bob@localhost'><body>&a;</body></message>",
        &["restricted-xml", "not-well-formed"],
    ),
    ("mismatched tags", b"<message to='bob@localhost'><body>x</message></body>", &["not-well-formed", "bad-format"]),
    (
        "undeclared prefix",
        b"<message to='bob@localhost'><x:y/></message>",
        &["bad-namespace-prefix", "not-well-formed"],
    ),
    (
        "bad UTF-8",
        b"<message to='bob@localhost'><body>\xc0\xae</body></message>",
        &["unsupported-encoding", "not-well-formed", "bad-format"],
    ),
    (
        "control character",
        b"<message to='bob@localhost'><body>\x01</body></message>",
        &["not-well-formed", "invalid-xml", "bad-format"],
    ),
    ("twice the same attribute", b"<message to='bob@localhost' to='alice@localhost'/>", &["not-well-formed"]),
    ("text between stanzas", b"hello", &["not-well-formed", "bad-format", "invalid-xml", "unsupported-stanza-type"]),
];

/// Reads to the end and gives the condition of the stream error.
fn ends_with(raw: &mut Raw, name: &str, conditions: &[&str]) -> Result<()> {
    let (text, _) = raw.until_end()?;
    ensure!(
        conditions.iter().any(|condition| text.contains(&format!("<{condition}"))),
        "{name}: expected one of {conditions:?}, was told {text:?}"
    );
    Ok(())
}

#[test]
fn bad_stanzas_end_their_own_session_only() {
    prove(World::guarded(Software::Prosody), |world| {
        let b = world.login(&bob())?;
        b.appear()?;
        for (name, bytes, conditions) in STANZAS {
            let mut raw = world.raw(&alice(), "hostile")?;
            raw.write(bytes)?;
            ends_with(&mut raw, name, conditions)?;
        }
        ensure!(!b.seen().iter().any(|e| e["event"] == "message"), "something came through");
        let mut raw = world.raw(&alice(), "honest")?;
        raw.write(format!("<message to='{}'><body>Still here</body></message>", jid("bob")).as_bytes())?;
        b.wait_body("Still here").map(drop)
    });
}

#[test]
fn limits_hold_inside_a_session() {
    prove(World::guarded(Software::Prosody), |world| {
        let deep = format!("<message to='{}'>{}", jid("bob"), "<a>".repeat(200));
        let long = format!("<message to='{}'><body>{}</body></message>", jid("bob"), "x".repeat(300_000));
        for (name, bytes) in [("depth", deep), ("size", long)] {
            let mut raw = world.raw(&alice(), "hostile")?;
            // The other side may hang up while this is still being written.
            let _ = raw.write(bytes.as_bytes());
            ends_with(&mut raw, name, &["policy-violation"])?;
        }
        Ok(())
    });
}

#[test]
fn little_is_read_before_login() {
    prove(World::guarded(Software::Prosody), |world| {
        let mut raw = world.raw_clear()?;
        raw.upgrade()?;
        let _ = raw.write(
            format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{}", "A".repeat(9_000))
                .as_bytes(),
        );
        ends_with(&mut raw, "before login", &["policy-violation"])
    });
}

#[test]
fn a_doctype_before_the_stream_is_refused() {
    prove(World::guarded(Software::Prosody), |world| {
        let mut raw = world.raw_clear()?;
        raw.write(b"<?xml version='1.0'?><!DOCTYPE stream [<!ENTITY a 'aaaaaaaaaa'>]>")?;
        ends_with(&mut raw, "doctype", &["restricted-xml"])
    });
}

/// Clear text behind `<starttls/>` must never be read as if it had come under TLS (CVE-2011-0411 and its kin).
#[test]
fn nothing_can_be_injected_before_tls() {
    prove(World::guarded(Software::Prosody), |world| {
        let injected = format!(
            "{}<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/><iq type='get' id='injected'><ping xmlns='urn:xmpp:ping'/></iq>",
            header()
        );
        let mut raw = world.raw_clear()?;
        raw.open()?;
        raw.write(format!("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>{injected}").as_bytes())?;
        let answer = raw.until_any(&[b"<proceed", b"</stream:error>", b"<failure"])?;
        if !answer.contains("<proceed") {
            return Ok(());
        }
        raw.until(b">")?;
        // Either TLS does not come about, or what was injected is forgotten.
        if raw.start_tls().is_err() {
            return Ok(());
        }
        raw.open()?;
        raw.login(&alice())?;
        let bound = raw.ask("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")?;
        ensure!(!bound.contains("injected"), "what was injected was answered: {bound}");
        Ok(())
    });
}

#[test]
fn nobody_logs_in_in_clear() {
    prove(World::guarded(Software::Prosody), |world| {
        let mut raw = world.raw_clear()?;
        raw.write(header().as_bytes())?;
        let features = raw.until(b"</stream:features>")?;
        ensure!(features.contains("<starttls") && !features.contains("<mechanism"), "offered in clear: {features}");
        raw.write(b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGFsaWNlAHB3LWFsaWNl</auth>")?;
        let text = raw.until_any(&[b"</failure>", b"</stream:error>", b"<success"])?;
        ensure!(!text.contains("<success"), "logged in in clear: {text}");
        Ok(())
    });
}

#[test]
fn what_goes_around_the_gateway_is_not_offered() {
    prove(World::guarded(Software::Prosody), |world| {
        let mut raw = Raw::direct(world.direct(), &world.ca, &["xmpp-client"])?;
        ensure!(raw.alpn().as_deref() == Some("xmpp-client"), "ALPN agreed on {:?}", raw.alpn());
        raw.write(header().as_bytes())?;
        let features = raw.until(b"</stream:features>")?;
        for word in ["-PLUS", "compress", "urn:xmpp:sasl:2"] {
            ensure!(!features.contains(word), "{word} is offered: {features}");
        }
        Ok(())
    });
}

/// One byte at a time is slow, not different.
#[test]
fn a_stanza_may_come_byte_by_byte() {
    prove(World::guarded(Software::Prosody), |world| {
        let b = world.login(&bob())?;
        b.appear()?;
        let mut raw = world.raw(&alice(), "slow")?;
        for byte in format!("<message to='{}' id='slow'><body>Letter by letter</body></message>", jid("bob")).bytes() {
            raw.write(&[byte])?;
        }
        b.wait_body("Letter by letter").map(drop)
    });
}
