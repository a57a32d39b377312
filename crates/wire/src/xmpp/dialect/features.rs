//! What the server offers, less what would lead around the gateway.

use super::*;

/// Whether channel binding (RFC 5929, RFC 9266) survives the gateway.
///
/// A binding ties the login to the TLS connection, and here there are two. Only
/// `tls-server-end-point` can hold, when both sides show the same certificate.
/// The offer can't just be taken away: a client that supports binding and sees
/// no `-PLUS` mechanism says so (`y,,`), and the server, which offered one,
/// must refuse the login as a downgrade (RFC 5802 section 6). So the server
/// itself must not offer what the gateway can't keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// The certificates differ: no `-PLUS` may be offered.
    Broken,
    /// Both sides show the same certificate: `tls-server-end-point` holds.
    SameCertificate,
}

/// What a server's `<mechanisms/>` offer means behind a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// No mechanism needs channel binding.
    Unbound,
    /// `-PLUS` is offered with `tls-server-end-point` as the only type (XEP-0440); the mechanisms.
    EndPointOnly(Vec<String>),
    /// `-PLUS` is offered with types that can't cross a gateway; the mechanisms.
    Unkeepable(Vec<String>),
}

/// Reads the offer out of a server's stream features.
pub fn offered_plus(features: Element<'_>) -> Offer {
    let Some(mechanisms) = features.child(ns::SASL, "mechanisms") else { return Offer::Unbound };
    let plus: Vec<String> =
        mechanisms.elements().map(|m| m.text().into_owned()).filter(|m| m.ends_with("-PLUS")).collect();
    if plus.is_empty() {
        return Offer::Unbound;
    }
    let types: Vec<&str> = features
        .child(ns::SASL_CB, "sasl-channel-binding")
        .map(|list| list.elements().filter_map(|t| t.attr("type")).collect())
        .unwrap_or_default();
    if types == ["tls-server-end-point"] { Offer::EndPointOnly(plus) } else { Offer::Unkeepable(plus) }
}

/// Features that work through the gateway as it is today. Others are taken out:
/// a client does not use what it is not offered.
const KEPT: &[(&str, &str)] = &[
    (ns::SASL, "mechanisms"),
    (ns::SASL_CB, "sasl-channel-binding"),
    (ns::BIND, "bind"),
    (ns::SESSION, "session"),
    (ns::SM, "sm"),
    (ns::CSI, "csi"),
    (ns::ROSTER_VERSIONING, "ver"),
    (ns::PRE_APPROVAL, "sub"),
    (ns::REGISTER_FEATURE, "register"),
    (ns::CAPS, "c"),
];

impl Xmpp {
    pub(super) fn features(&mut self, stanza: Stanza<'_>) -> Result<Bytes, Ending> {
        let root = stanza.root;
        let keepable = match offered_plus(root) {
            Offer::Unbound => true,
            Offer::EndPointOnly(_) => self.settings.binding == Binding::SameCertificate,
            Offer::Unkeepable(_) => false,
        };
        if !keepable {
            return Err(ending(
                End::Server,
                Condition::PolicyViolation,
                "the server offers channel binding that can't cross the gateway (-PLUS): turn it off there",
            ));
        }
        let mut out = b"<stream:features>".to_vec();
        for feature in root.elements().filter(|f| KEPT.contains(&(f.ns(), f.name()))) {
            // EXTERNAL would name the gateway's own certificate, not the client's.
            write::rewrite(&mut out, feature, &mut |e| {
                if e.is(ns::SASL, "mechanism") && e.text() == "EXTERNAL" {
                    write::Edit::Drop
                } else {
                    write::Edit::Keep
                }
            });
        }
        out.extend_from_slice(b"</stream:features>");
        let bytes = Bytes::from(out);
        // What was odd may have stood in a feature that was taken out anyway.
        if matches!(stanza.form, Form::Exotic(_))
            && Parsed::new(bytes.clone()).map_or(true, |kept| matches!(kept.stanza().form, Form::Exotic(_)))
        {
            let text = "the server's features can't be passed on in any spelling that all clients read alike";
            return Err(ending(End::Server, Condition::PolicyViolation, text));
        }
        Ok(bytes)
    }
}
