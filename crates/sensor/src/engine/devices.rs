//! What flows tell about the devices behind them; see [`crate::platform`].

use std::net::IpAddr;

use model::Platform;
use wire::hints::dhcp;

use crate::decode::Decoded;
use crate::flow::Flow;
use crate::lore::Lore;
use crate::names::{AppProto, Names};
use crate::platform::{Family, Strength, of_device_name, of_dhcp, of_host, of_syn, of_user_agent};

/// The system of a flow's client: what it says in this very flow goes before what others told.
pub(super) fn platform(flow: &Flow, lore: &Lore) -> Option<Platform> {
    let agent = flow.names.as_ref().and_then(|names| names.user_agent.as_deref());
    agent.and_then(of_user_agent).and_then(Family::one).or_else(|| lore.platform(flow.client.ip))
}

/// How a device opens a connection.
pub(super) fn from_syn(decoded: &Decoded, lore: &mut Lore) {
    let Some(segment) = decoded.tcp.as_ref().filter(|segment| segment.flags.syn() && !segment.flags.ack()) else {
        return;
    };
    if let Some(family) = of_syn(decoded.ttl, segment.options) {
        lore.learn_platform(decoded.src, family, Strength::Stack);
    }
}

/// What a client says of itself, and whom it asks for.
pub(super) fn from_names(client: IpAddr, names: &Names, lore: &mut Lore) {
    if let Some(family) = names.user_agent.as_deref().and_then(of_user_agent) {
        lore.learn_platform(client, family, Strength::Stated);
    }
    // What is asked for by multicast says little about who asks.
    let query = names.query.as_deref().filter(|_| names.protocol == AppProto::Dns);
    for name in [query, names.sni.as_deref(), names.host.as_deref()].into_iter().flatten() {
        if let Some(family) = of_host(name) {
            lore.learn_platform(client, family, Strength::Habit);
        }
    }
}

/// What a device asks a DHCP server for. All devices of a link do so in one flow: each message counts.
pub(super) fn from_dhcp(datagram: &[u8], lore: &mut Lore) {
    let Some(message) = dhcp::read(datagram).filter(|message| !message.is_reply()) else { return };
    let Some(address) = message.address().map(IpAddr::V4) else { return };
    if let Some(family) = of_dhcp(message.parameters(), message.vendor_class()) {
        lore.learn_platform(address, family, Strength::Stated);
    }
    if let Some(family) = message.host_name().and_then(of_device_name) {
        lore.learn_platform(address, family, Strength::Named);
    }
}
