//! What XMPP sessions ask of their role: who parties are, and where uploads go.

use std::sync::Arc;
use std::time::Instant;

use judge::Judge;
use model::{Address, Party, PartyKind, Protocol, Side};
use wire::xmpp::dialect::{Slot, SlotRequest, Slots};
use tracing::warn;
use wire::xmpp::hear::Parties;

use crate::upload::{SlotKeeper, SlotRequest as UpstreamSlot};

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

    /// The served domain and the services under it are our own, whatever the directory says.
    fn is_ours(&self, domain: &str) -> bool {
        domain.strip_suffix(&*self.domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

impl Parties for Host {
    fn party(&self, address: Address, kind: PartyKind) -> Arc<Party> {
        let mut party = self.judge.party(Protocol::Xmpp, address, kind);
        if party.side == Side::External && self.is_ours(party.address.domain()) {
            Arc::make_mut(&mut party).side = Side::Internal;
        }
        party
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
