//! Who tries to log in, as far as SASL says it in the first message, for the record and for limits.
//!
//! The password is never decoded: PLAIN and its like are read up to the byte before it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::ns;
use super::tree::Element;

/// The most base64 that is looked at; what logs in with more is not named.
const INITIAL_BYTES: usize = 8_192;

/// The longest account name that is kept (RFC 7622: a full JID has 3,071 bytes, a part 1,023).
const ACCOUNT_BYTES: usize = 1_023;

/// One attempt to authenticate (RFC 6120 section 6.4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The mechanism asked for, in capitals as registered; anything else is cut to `?`.
    pub mechanism: Box<str>,
    /// The account as the client names it: unchecked, and absent where the mechanism tells it later or never.
    pub account: Option<String>,
}

impl Attempt {
    /// Reads an `<auth/>`; `None` for any other element.
    pub fn read(auth: Element<'_>) -> Option<Attempt> {
        if !auth.is(ns::SASL, "auth") {
            return None;
        }
        let mechanism = auth.attr("mechanism").filter(|m| is_mechanism(m)).unwrap_or("?");
        let text = auth.text();
        let text = text.trim();
        let account = if text.len() > INITIAL_BYTES || text == "=" { None } else { account(mechanism, text) };
        Some(Attempt { mechanism: mechanism.into(), account })
    }
}

/// Mechanism names have one to twenty capitals, digits, hyphens and underscores (RFC 4422 section 3.1).
fn is_mechanism(name: &str) -> bool {
    (1..=20).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
}

fn account(mechanism: &str, text: &str) -> Option<String> {
    let account = match mechanism {
        // authzid NUL authcid NUL password (RFC 4616, and the same shape with a token).
        "PLAIN" | "X-OAUTH2" | "X-TOKEN" => {
            let mut fields = Fields::new(text);
            fields.until(0)?;
            // Without the second NUL this would be the password.
            fields.until(0)?
        }
        // gs2-header "," ... 0x01 "auth=" token (RFC 7628).
        "OAUTHBEARER" => attribute(&Fields::new(text).until(1)?, "a=")?,
        // gs2-header "n=" user ",r=" nonce (RFC 5802 section 7): nothing secret in it.
        _ if mechanism.starts_with("SCRAM-") => attribute(&Fields::new(text).rest()?, "n=")?,
        "EXTERNAL" | "ANONYMOUS" => Fields::new(text).rest()?,
        _ => return None,
    };
    let fit = !account.is_empty() && account.len() <= ACCOUNT_BYTES && !account.chars().any(char::is_control);
    fit.then_some(account)
}

/// The value of an attribute of a comma-separated list, `=2C` and `=3D` decoded. The first field is a flag that may
/// look like one (`n`, `y`, `p=tls-exporter`).
fn attribute(list: &str, name: &str) -> Option<String> {
    let value = list.split(',').skip(1).find_map(|field| field.strip_prefix(name))?;
    Some(value.replace("=2C", ",").replace("=3D", "="))
}

/// Fields of a message in base64, decoded no further than asked.
struct Fields<'a> {
    quads: std::slice::Chunks<'a, u8>,
    bytes: [u8; 3],
    left: std::ops::Range<usize>,
}

impl<'a> Fields<'a> {
    fn new(text: &'a str) -> Fields<'a> {
        Fields { quads: text.as_bytes().chunks(4), bytes: [0; 3], left: 0..0 }
    }

    /// The text before a byte, which must be there and is passed over.
    fn until(&mut self, end: u8) -> Option<String> {
        let mut field = Vec::new();
        loop {
            match self.next_byte()?? {
                byte if byte == end => return String::from_utf8(field).ok(),
                byte => field.push(byte),
            }
        }
    }

    /// All text that is left.
    fn rest(&mut self) -> Option<String> {
        let mut rest = Vec::new();
        while let Some(byte) = self.next_byte()? {
            rest.push(byte);
        }
        String::from_utf8(rest).ok()
    }

    /// `Some(None)` at the end, `None` when it is not base64.
    fn next_byte(&mut self) -> Option<Option<u8>> {
        if self.left.is_empty() {
            let Some(quad) = self.quads.next() else { return Some(None) };
            let n = STANDARD.decode_slice(quad, &mut self.bytes).ok()?;
            self.left = 0..n;
        }
        Some(self.left.next().and_then(|at| self.bytes.get(at)).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::Parsed;

    fn read(mechanism: &str, message: &str) -> Attempt {
        let text = STANDARD.encode(message);
        let xml = format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>{text}</auth>");
        Attempt::read(Parsed::new(xml.into()).unwrap().stanza().root).unwrap()
    }

    #[test]
    fn the_account_is_read_and_the_password_is_not() {
        for (mechanism, message, account) in [
            ("PLAIN", "\0romeo\0calliope", Some("romeo")),
            ("PLAIN", "other@montague.example\0romeo\0calliope", Some("romeo")),
            ("PLAIN", "\0r\u{f6}meo\0", Some("r\u{f6}meo")),
            ("PLAIN", "romeo\0calliope", None),
            ("PLAIN", "calliope", None),
            ("PLAIN", "\0\0calliope", None),
            ("PLAIN", "\0ro\nmeo\0calliope", None),
            ("X-OAUTH2", "\0romeo\0token", Some("romeo")),
            ("SCRAM-SHA-1", "n,,n=romeo,r=fyko+d2lbbFgONRv9qkxdawL", Some("romeo")),
            ("SCRAM-SHA-256-PLUS", "p=tls-exporter,,n=romeo,r=rOprNGfwEbeRWgbNEkqO", Some("romeo")),
            ("SCRAM-SHA-1", "y,a=admin,n=ro=2Cme=3Do,r=x", Some("ro,me=o")),
            ("SCRAM-SHA-1", "n=romeo", None),
            (
                "OAUTHBEARER",
                "n,a=romeo@montague.example,\u{1}host=x\u{1}auth=Bearer vF9d\u{1}\u{1}",
                Some("romeo@montague.example"),
            ),
            ("OAUTHBEARER", "n,a=romeo@montague.example,auth=Bearer vF9d", None),
            ("EXTERNAL", "romeo@montague.example", Some("romeo@montague.example")),
            ("EXTERNAL", "", None),
            ("DIGEST-MD5", "", None),
            ("GSSAPI", "romeo", None),
        ] {
            let attempt = read(mechanism, message);
            assert_eq!(attempt.account.as_deref(), account, "{mechanism} {message:?}");
            assert_eq!(&*attempt.mechanism, mechanism);
        }
    }

    #[test]
    fn odd_attempts_are_bounded() {
        assert_eq!(read("PLAIN", &format!("\0{}\0x", "a".repeat(1_024))).account, None);
        assert_eq!(read("PLAIN", &format!("\0romeo\0{}", "x".repeat(8_192))).account, None);
        assert_eq!(&*read("plain\u{20}text", "x").mechanism, "?");
        let odd = |xml: &'static str| Attempt::read(Parsed::new(xml.into()).unwrap().stanza().root);
        let not_base64 = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>!!!!</auth>";
        assert_eq!(odd(not_base64).unwrap().account, None);
        assert_eq!(
            odd("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>").unwrap().account,
            None
        );
        assert_eq!(odd("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>x</response>"), None);
    }
}
