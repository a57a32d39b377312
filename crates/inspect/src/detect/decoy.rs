//! Decoys: somebody writes to an address that no person uses.
//!
//! Only what a party sends by itself counts. Presence, room joins and what a server or service says reach every
//! address; copies and bounces are nobody's words just now; and what the decoy itself sends is the administrator's.

use model::{Kind, Message, PartyKind, Side, SymbolInfo};

use crate::{Case, Detector, Findings};

const CONTACTED: SymbolInfo = SymbolInfo {
    symbol: "decoy.contacted",
    score: 10.0,
    about: "The message goes to an address that no person uses",
    technique: Some("T1534"),
};
/// From outside it is phishing via a service rather than spreading from a colleague's account.
const FROM_OUTSIDE: &str = "T1566.003";

static SYMBOLS: [SymbolInfo; 1] = [CONTACTED];

/// The detector of messages to decoys.
pub(crate) struct Decoys;

impl Detector for Decoys {
    fn symbols(&self) -> &'static [SymbolInfo] {
        &SYMBOLS
    }

    fn inspect(&self, case: &Case<'_>, findings: &mut Findings) {
        let message = case.message;
        if !message.to.decoy || !is_contact(message) {
            return;
        }
        let mut finding =
            CONTACTED.found("The message goes to a decoy: an address that no person uses, so nobody knows it.", None);
        if message.from.side == Side::External {
            finding.technique = Some(FROM_OUTSIDE.into());
        }
        findings.push(finding);
    }
}

/// Whether somebody turns to the recipient, of his own accord and with something to say.
fn is_contact(message: &Message) -> bool {
    let says = match message.kind {
        Kind::Message | Kind::File | Kind::Correction => !message.parts.is_empty() || !message.files.is_empty(),
        Kind::Invite | Kind::Call => true,
        Kind::Retraction | Kind::Reaction | Kind::Presence | Kind::Profile => false,
    };
    says && !message.copy
        && !message.bounce
        && !message.from.decoy
        && message.from.kind != PartyKind::Service
        && message.from.address.account != message.to.address.account
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use model::{Address, Direction, Party, Place, Protocol};

    use super::*;
    use crate::{Answers, facts};

    fn message(kind: Kind) -> Message {
        let party = |account: &str| Party::stranger(Address::account(account), PartyKind::Person, Side::Internal);
        let to = Party { decoy: true, ..party("helpdesk2@corp.example") };
        let (from, to) = (Arc::new(party("mallory@corp.example")), Arc::new(to));
        let (direction, time) = (Direction::FromClient, Timestamp::UNIX_EPOCH);
        let mut message = Message::new(Protocol::Xmpp, kind, direction, time, from, to);
        message.say(Place::Body, "Look at this");
        message
    }

    fn found(message: &Message) -> Option<String> {
        let mut findings = Findings::default();
        let (facts, answers) = (facts::extract(message), Answers::default());
        Decoys.inspect(&Case { message, facts: &facts, answers: &answers }, &mut findings);
        findings.as_slice().first().and_then(|finding| finding.technique.as_deref().map(str::to_owned))
    }

    #[test]
    fn whoever_writes_to_a_decoy_gives_himself_away() {
        for kind in [Kind::Message, Kind::File, Kind::Correction, Kind::Invite, Kind::Call] {
            assert_eq!(found(&message(kind)).as_deref(), Some("T1534"), "{kind:?}");
        }
        let mut outside = message(Kind::Message);
        Arc::make_mut(&mut outside.from).side = Side::External;
        assert_eq!(found(&outside).as_deref(), Some("T1566.003"));
    }

    #[test]
    fn what_reaches_every_address_is_no_contact() {
        for kind in [Kind::Presence, Kind::Profile, Kind::Reaction, Kind::Retraction] {
            assert_eq!(found(&message(kind)), None, "{kind:?}");
        }
        let changed = |change: &dyn Fn(&mut Message)| {
            let mut message = message(Kind::Message);
            change(&mut message);
            found(&message)
        };
        assert_eq!(changed(&|m| m.copy = true), None, "a carbon");
        assert_eq!(changed(&|m| m.bounce = true), None, "a bounce");
        assert_eq!(changed(&|m| m.parts.clear()), None, "a chat state");
        assert_eq!(changed(&|m| Arc::make_mut(&mut m.from).kind = PartyKind::Service), None, "the server");
        assert_eq!(changed(&|m| Arc::make_mut(&mut m.from).decoy = true), None, "another decoy");
        assert_eq!(changed(&|m| m.from = m.to.clone()), None, "its own notes");
        assert_eq!(changed(&|m| Arc::make_mut(&mut m.to).decoy = false), None, "anybody else");
    }
}
