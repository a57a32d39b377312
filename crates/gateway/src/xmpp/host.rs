//! What XMPP sessions ask of their role: who parties are, and where uploads go.

use std::sync::Arc;
use std::time::Instant;

use judge::Judge;
use model::{Address, Party, PartyKind, Protocol, Side};
use tracing::warn;
use wire::xmpp::dialect::{Slot, SlotRequest, Slots};
use wire::xmpp::hear::Parties;

use crate::upload::{SlotKeeper, SlotRequest as UpstreamSlot};

/// Who is behind an address, for the server of `served`: that domain and the services under it are our own, whatever
/// the directory says.
pub(crate) fn party(judge: &Judge, served: &str, address: Address, kind: PartyKind) -> Arc<Party> {
    let mut party = judge.party(Protocol::Xmpp, address, kind);
    if party.side == Side::External && is_ours(served, party.address.domain()) {
        Arc::make_mut(&mut party).side = Side::Internal;
    }
    party
}

fn is_ours(served: &str, domain: &str) -> bool {
    let above = domain.len().checked_sub(served.len()).and_then(|at| domain.split_at_checked(at));
    above.is_some_and(|(rest, end)| end.eq_ignore_ascii_case(served) && (rest.is_empty() || rest.ends_with('.')))
}

/// One served domain's answers.
pub(crate) struct Host {
    judge: Judge,
    domain: Arc<str>,
    uploads: Option<Arc<SlotKeeper>>,
}

impl Host {
    pub(crate) fn new(judge: Judge, domain: Arc<str>, uploads: Option<Arc<SlotKeeper>>) -> Host {
        Host { judge, domain, uploads }
    }
}

impl Parties for Host {
    fn party(&self, address: Address, kind: PartyKind) -> Arc<Party> {
        party(&self.judge, &self.domain, address, kind)
    }
}

impl Slots for Host {
    fn takes_uploads(&self) -> bool {
        self.uploads.is_some()
    }

    fn offer(&self, party: &Party, request: &SlotRequest, slot: Slot) -> Option<Slot> {
        let headers: Vec<(String, String)> =
            slot.headers.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let theirs = UpstreamSlot {
            domain: &self.domain,
            account: &party.address.account,
            name: &request.name,
            size: request.size,
            claimed_type: request.content_type.as_deref(),
            put_url: &slot.put,
            put_headers: &headers,
            get_url: &slot.get,
        };
        #[allow(clippy::disallowed_methods, reason = "the gateway is a role: time enters here")]
        let offered = self.uploads.as_ref()?.offer(&theirs, Instant::now());
        match offered {
            Ok(ours) => Some(Slot { put: ours.put_url.into(), headers: Vec::new(), get: ours.get_url.into() }),
            Err(refused) => {
                warn!(account = %party.address.account, %refused, "an upload slot can't be led through");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_served_domain_and_what_lies_under_it_are_ours() {
        for (domain, ours) in [
            ("example.org", true),
            ("Example.ORG", true),
            ("rooms.example.org", true),
            ("notexample.org", false),
            ("example.org.evil.example", false),
            ("org", false),
            ("", false),
        ] {
            assert_eq!(is_ours("example.org", domain), ours, "{domain}");
        }
    }
}
