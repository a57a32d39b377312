//! A look at the server's offer when the gateway starts: better to refuse then,
//! with the line that mends it, than at every login.

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};
use wire::xmpp::dialect::{Offer, offered_plus};
use wire::xmpp::{Header, Limits, Read, Reader, ns};

use super::{Gateway, server};

/// What a server offers behind this gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probed {
    /// Nothing that the gateway would break.
    Fine,
    /// Channel binding that can't cross the gateway; the mechanisms to turn off.
    Unkeepable(Vec<String>),
    /// It could not be asked now; every login looks again.
    Unknown(String),
}

impl Probed {
    /// The lines for the server's configuration, when something has to change there.
    pub fn remedy(&self) -> Option<String> {
        let Probed::Unkeepable(mechanisms) = self else { return None };
        let list = mechanisms.iter().map(|m| format!("\"{m}\"")).collect::<Vec<_>>().join(", ");
        Some(format!(
            "in Prosody: disable_sasl_mechanisms = {{ {list} }}\nin ejabberd: disable_sasl_mechanisms: [{list}]"
        ))
    }
}

/// Asks the server of a domain for its features, as a client of the gateway would see them.
pub async fn probe(gateway: &Gateway, domain: &str) -> Probed {
    let Some(served) = gateway.served(domain) else { return Probed::Unknown("not served".into()) };
    let deadline = Instant::now() + gateway.parts.dial;
    let mut leg = match server::connect(&served, deadline).await {
        Ok(leg) => leg,
        Err(error) => return Probed::Unknown(error.to_string()),
    };
    let same = leg.leaf.is_some() && leg.leaf == gateway.parts.certificates.leaf(domain);
    let header = Header {
        to: Some(served.domain.to_string()),
        version: Some("1.0".into()),
        content_ns: ns::CLIENT.into(),
        ..Header::default()
    };
    let mut words = Vec::new();
    header.write(&mut words);
    let ask = async {
        leg.stream.write_all(&words).await.ok()?;
        leg.stream.flush().await.ok()?;
        let mut reader = Reader::new(Limits::AUTHENTICATED);
        let mut heard = BytesMut::new();
        loop {
            let used = match reader.next(&heard).ok()? {
                Read::More => {
                    if leg.stream.read_buf(&mut heard).await.ok()? == 0 {
                        return None;
                    }
                    continue;
                }
                Read::Header { used, .. } | Read::Space { used } => used,
                Read::Stanza { stanza, .. } if stanza.root.is(ns::STREAMS, "features") => {
                    return Some(offered_plus(stanza.root));
                }
                Read::Stanza { .. } | Read::End { .. } => return None,
            };
            heard.advance(used);
        }
    };
    match timeout_at(deadline, ask).await {
        Ok(Some(Offer::Unbound)) => Probed::Fine,
        Ok(Some(Offer::EndPointOnly(_))) if same => Probed::Fine,
        Ok(Some(Offer::EndPointOnly(mechanisms) | Offer::Unkeepable(mechanisms))) => Probed::Unkeepable(mechanisms),
        Ok(None) | Err(_) => Probed::Unknown("it did not tell its features".into()),
    }
}
