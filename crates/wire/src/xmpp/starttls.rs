//! STARTTLS (RFC 6120 section 5), both sides, sans-I/O.
//!
//! What is said before TLS is said in the open, where anybody on the way can
//! write. So nothing of it survives: no header, no feature, and above all no
//! byte that came behind `<starttls/>` or `<proceed/>` in the same breath
//! (CVE-2011-0411): such a connection is closed.

use super::{Condition, Fault, Header, Limits, Read, Reader, ns, write};

/// What to do next on a leg that is not encrypted yet.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Read more; bytes already used are gone.
    More {
        /// How many bytes were used.
        used: usize,
        /// What to write first.
        say: Vec<u8>,
    },
    /// Write this, then start TLS. Whatever else was read is dropped.
    Secure {
        /// What to write first.
        say: Vec<u8>,
    },
    /// The peer ended its stream.
    End,
}

/// The receiving side: a client opens a stream and may do nothing but start TLS.
#[derive(Debug)]
pub struct Accepting {
    reader: Reader,
    stream_id: Box<str>,
    to: Option<String>,
    opened: bool,
}

impl Accepting {
    /// For a new connection; `stream_id` must not be guessable.
    pub fn new(limits: Limits, stream_id: &str) -> Accepting {
        Accepting { reader: Reader::new(limits), stream_id: stream_id.into(), to: None, opened: false }
    }

    /// The domain the client asked for in the open: good enough to pick a
    /// certificate when there is no SNI, for nothing else.
    pub fn domain(&self) -> Option<&str> {
        self.to.as_deref()
    }

    /// The last words before the connection is closed.
    pub fn farewell(&self, fault: &Fault) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.opened {
            self.header().write(&mut out);
        }
        write::stream_error(&mut out, fault);
        out.extend_from_slice(b"</stream:stream>");
        out
    }

    fn header(&self) -> Header {
        Header {
            from: self.to.clone(),
            id: Some(self.stream_id.to_string()),
            version: Some("1.0".into()),
            content_ns: ns::CLIENT.into(),
            ..Header::default()
        }
    }

    /// Reads what the client said so far: all bytes not used before.
    pub fn hear(&mut self, bytes: &[u8]) -> Result<Next, Fault> {
        let (mut used, mut say) = (0, Vec::new());
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(Next::More { used, say });
            }
            match self.reader.next(rest)? {
                Read::More => return Ok(Next::More { used, say }),
                Read::Space { used: n } => used += n,
                Read::End { .. } => return Ok(Next::End),
                Read::Header { used: n, header } => {
                    used += n;
                    if header.content_ns != ns::CLIENT {
                        let text = "the stream's namespace is not jabber:client";
                        return Err(Fault::new(Condition::InvalidNamespace, text));
                    }
                    if header.version.as_deref() != Some("1.0") {
                        return Err(Fault::new(Condition::UnsupportedVersion, "XMPP 1.0 is spoken here (RFC 6120)"));
                    }
                    self.to = header.to;
                    self.header().write(&mut say);
                    self.opened = true;
                    say.extend_from_slice(
                        b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>",
                    );
                }
                Read::Stanza { used: n, stanza } => {
                    used += n;
                    if !stanza.root.is(ns::TLS, "starttls") {
                        return Err(Fault::new(Condition::PolicyViolation, "start TLS first (RFC 6120 section 5.3.1)"));
                    }
                    // Some clients end the element with a line break; white space can't be taken for anything.
                    if bytes.get(used..).is_some_and(|rest| !rest.iter().all(u8::is_ascii_whitespace)) {
                        let text = "data behind starttls: it would be read as if it had been encrypted";
                        return Err(Fault::new(Condition::PolicyViolation, text));
                    }
                    say.extend_from_slice(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
                    return Ok(Next::Secure { say });
                }
            }
        }
    }
}

/// The initiating side: towards the server, which must offer TLS.
#[derive(Debug)]
pub struct Initiating {
    reader: Reader,
    asked: bool,
}

impl Initiating {
    /// For a new connection, and what to say first.
    pub fn new(limits: Limits, domain: &str) -> (Initiating, Vec<u8>) {
        let header = Header {
            to: Some(domain.to_owned()),
            version: Some("1.0".into()),
            content_ns: ns::CLIENT.into(),
            ..Header::default()
        };
        let mut say = Vec::new();
        header.write(&mut say);
        (Initiating { reader: Reader::new(limits), asked: false }, say)
    }

    /// Reads what the server said so far. A server that does not offer TLS is a fault.
    pub fn hear(&mut self, bytes: &[u8]) -> Result<Next, Fault> {
        let (mut used, mut say) = (0, Vec::new());
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(Next::More { used, say });
            }
            match self.reader.next(rest)? {
                Read::More => return Ok(Next::More { used, say }),
                Read::Space { used: n } | Read::Header { used: n, .. } => used += n,
                Read::End { .. } => return Ok(Next::End),
                Read::Stanza { used: n, stanza } => {
                    used += n;
                    let root = stanza.root;
                    if root.is(ns::STREAMS, "features") && !self.asked {
                        if root.child(ns::TLS, "starttls").is_none() {
                            let text = "the server offers no STARTTLS: it is off there, or somebody took it out";
                            return Err(Fault::new(Condition::PolicyViolation, text));
                        }
                        self.asked = true;
                        say.extend_from_slice(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
                    } else if root.is(ns::TLS, "proceed") && self.asked {
                        if bytes.len() > used {
                            let text = "the server said something behind proceed, outside TLS";
                            return Err(Fault::new(Condition::PolicyViolation, text));
                        }
                        return Ok(Next::Secure { say });
                    } else if root.is(ns::STREAMS, "error") {
                        let text = "the server refuses the stream: does it serve this domain?";
                        return Err(Fault::new(Condition::RemoteConnectionFailed, text));
                    } else {
                        return Err(Fault::new(Condition::PolicyViolation, "the server does not start TLS"));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
        xmlns:stream='http://etherx.jabber.org/streams' to='example.test' version='1.0'>";
    const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

    fn accept(text: &str) -> Result<Next, Condition> {
        Accepting::new(Limits::UNAUTHENTICATED, "id").hear(text.as_bytes()).map_err(|fault| fault.condition)
    }

    #[test]
    fn nothing_but_starttls_is_possible() {
        assert!(matches!(accept(&format!("{HEADER}{STARTTLS}")), Ok(Next::Secure { .. })));
        let auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>";
        assert_eq!(accept(&format!("{HEADER}{auth}")), Err(Condition::PolicyViolation));
        assert_eq!(accept(&format!("{HEADER}<message/>")), Err(Condition::PolicyViolation));
        assert_eq!(accept(&format!("{HEADER}{STARTTLS}{auth}")), Err(Condition::PolicyViolation), "injection");
        assert!(matches!(accept(&format!("{HEADER}{STARTTLS}\n")), Ok(Next::Secure { .. })), "a line break is dropped");
        assert_eq!(accept(&format!("{HEADER}</stream:stream>")), Ok(Next::End));
    }

    #[test]
    fn the_offer_names_the_domain_and_requires_tls() {
        let mut accepting = Accepting::new(Limits::UNAUTHENTICATED, "id7");
        let Ok(Next::More { used, say }) = accepting.hear(HEADER.as_bytes()) else { panic!("a header asks for more") };
        let say = String::from_utf8(say).unwrap();
        assert_eq!(used, HEADER.len());
        assert_eq!(accepting.domain(), Some("example.test"));
        assert!(
            say.contains("from='example.test'") && say.contains("id='id7'") && say.contains("<required/>"),
            "{say}"
        );
        assert!(matches!(accepting.hear(STARTTLS.as_bytes()), Ok(Next::Secure { .. })));
    }

    #[test]
    fn a_server_without_tls_is_never_spoken_to_in_the_open() {
        let header = HEADER.replace("to=", "from=");
        let features = |inside: &str| format!("{header}<stream:features>{inside}</stream:features>");
        let proceed = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
        let start = || Initiating::new(Limits::AUTHENTICATED, "example.test").0;

        let mut leg = start();
        let Ok(Next::More { say, .. }) = leg.hear(features(STARTTLS).as_bytes()) else { panic!("asks to proceed") };
        assert_eq!(say, STARTTLS.as_bytes());
        assert!(matches!(leg.hear(proceed.as_bytes()), Ok(Next::Secure { .. })));

        let stripped = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>";
        assert!(start().hear(features(stripped).as_bytes()).is_err());
        assert!(start().hear(format!("{}{proceed}<x/>", features(STARTTLS)).as_bytes()).is_err(), "injection");
        assert!(start().hear(format!("{header}{proceed}").as_bytes()).is_err(), "proceed unasked");
    }
}
