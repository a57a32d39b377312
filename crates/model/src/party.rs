//! Who speaks or is spoken to.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// An address on a chat network, split where the account ends and the device begins.
///
/// | network | account | device |
/// | --- | --- | --- |
/// | XMPP | bare JID | resource (in a room: the nick) |
/// | IRC | nick | `user@host` |
/// | Matrix | MXID | device id |
/// | SIP | `user@domain` | contact |
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// What the directory knows, in the protocol's normal form.
    pub account: Box<str>,
    /// The device, client or room nick behind it, when given.
    pub device: Option<Box<str>>,
}

impl Address {
    /// An account without a device.
    pub fn account(account: impl Into<Box<str>>) -> Address {
        Address { account: account.into(), device: None }
    }

    /// The domain, room service or host: what stands after the last `@`, or after the first `:` of a Matrix id
    /// (`@user:domain`), or all of it.
    pub fn domain(&self) -> &str {
        if let Some((_, domain)) = self.account.strip_prefix('@').and_then(|id| id.split_once(':')) {
            return domain;
        }
        self.account.rsplit('@').next().unwrap_or(&self.account)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.device {
            Some(device) => write!(f, "{}/{}", self.account, device),
            None => f.write_str(&self.account),
        }
    }
}

/// On which side of the organisation's border a party is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Its domain is one of the organisation's own.
    Internal,
    /// Any other domain.
    External,
}

/// What kind of party it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PartyKind {
    /// An account.
    Person,
    /// A room, or an occupant of one.
    Room,
    /// A server or service without a user part.
    Service,
}

/// Who speaks or is spoken to, as known at the moment of speaking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Address on its network.
    pub address: Address,
    /// What kind of party.
    pub kind: PartyKind,
    /// Which side of the border.
    pub side: Side,
    /// Directory id of the person behind it.
    pub person: Option<Arc<str>>,
    /// Directory groups, sorted; shared between the parties of one person.
    pub groups: Arc<[Arc<str>]>,
    /// An address that no person uses, kept to see who writes to it.
    pub decoy: bool,
}

impl Party {
    /// A party that the directory does not know.
    pub fn stranger(address: Address, kind: PartyKind, side: Side) -> Party {
        Party { address, kind, side, person: None, groups: Arc::from([]), decoy: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_of_an_address() {
        for (account, domain) in
            [("a@x.test", "x.test"), ("x.test", "x.test"), ("@a:x.test:8448", "x.test:8448"), ("@nick", "nick")]
        {
            assert_eq!(Address::account(account).domain(), domain);
        }
    }
}
