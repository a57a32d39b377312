//! Why a stream cannot go on: the stream error conditions of RFC 6120 section 4.9.3.

use std::fmt;

/// A reason to end a stream, as it is told to the peer.
///
/// The text is fixed, so that an error never echoes what the peer sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{condition}: {text}")]
pub struct Fault {
    /// The condition that goes on the wire.
    pub condition: Condition,
    /// What is wrong, for people.
    pub text: &'static str,
}

impl Fault {
    /// A fault of a condition, explained.
    pub const fn new(condition: Condition, text: &'static str) -> Fault {
        Fault { condition, text }
    }

    /// The name of the bound that was hit (`xmpp.depth`), when it was one: what is counted.
    pub fn limit(&self) -> Option<&'static str> {
        let name = self.text.strip_prefix("limit ")?;
        name.split(' ').next()
    }
}

macro_rules! conditions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Stream error conditions (RFC 6120 section 4.9.3).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Condition {
            $($(#[$doc])* $variant,)*
        }

        impl Condition {
            /// Every condition, in the order of the RFC.
            pub const ALL: &[Condition] = &[$(Condition::$variant),*];

            /// The element name on the wire (`not-well-formed`).
            pub const fn name(self) -> &'static str {
                match self {
                    $(Condition::$variant => $name,)*
                }
            }
        }
    };
}

conditions! {
    /// XML that cannot be processed.
    BadFormat = "bad-format",
    /// A prefix that is not declared, or one that must not be.
    BadNamespacePrefix = "bad-namespace-prefix",
    /// A new stream displaces this one.
    Conflict = "conflict",
    /// The peer went silent.
    ConnectionTimeout = "connection-timeout",
    /// A domain that is not served here any more.
    HostGone = "host-gone",
    /// A domain that is not served here.
    HostUnknown = "host-unknown",
    /// A stanza between servers lacks `to` or `from`.
    ImproperAddressing = "improper-addressing",
    /// Something broke on this side.
    InternalServerError = "internal-server-error",
    /// `from` is not the authenticated entity.
    InvalidFrom = "invalid-from",
    /// A namespace that is not the one required at this place.
    InvalidNamespace = "invalid-namespace",
    /// XML that a validating server refuses.
    InvalidXml = "invalid-xml",
    /// Something was sent that needs authentication first.
    NotAuthorized = "not-authorized",
    /// Not well-formed XML, or not namespace-well-formed.
    NotWellFormed = "not-well-formed",
    /// A local rule or bound.
    PolicyViolation = "policy-violation",
    /// The server behind cannot be reached.
    RemoteConnectionFailed = "remote-connection-failed",
    /// The stream has to be negotiated anew.
    Reset = "reset",
    /// Not enough resources to serve.
    ResourceConstraint = "resource-constraint",
    /// XML features that XMPP forbids (RFC 6120 section 11.1).
    RestrictedXml = "restricted-xml",
    /// Served at another address.
    SeeOtherHost = "see-other-host",
    /// Shutting down.
    SystemShutdown = "system-shutdown",
    /// Something else.
    UndefinedCondition = "undefined-condition",
    /// Not UTF-8.
    UnsupportedEncoding = "unsupported-encoding",
    /// A stream feature that is mandatory and was not supported.
    UnsupportedFeature = "unsupported-feature",
    /// A first-level child that is not known here.
    UnsupportedStanzaType = "unsupported-stanza-type",
    /// A stream or XML version that is not supported.
    UnsupportedVersion = "unsupported-version",
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_names_itself() {
        let hit = Fault::new(Condition::PolicyViolation, "limit xmpp.depth reached: nest fewer elements");
        assert_eq!(hit.limit(), Some("xmpp.depth"));
        assert_eq!(Fault::new(Condition::NotWellFormed, "a tag is cut short").limit(), None);
        assert_eq!(hit.to_string(), "policy-violation: limit xmpp.depth reached: nest fewer elements");
    }
}
