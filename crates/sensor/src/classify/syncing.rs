//! Folders in step without a server: Syncthing and Resilio Sync.

use super::{Classifier, Inside, Opinion, Over, beginnings, not_yet};
use crate::bytes::{array, be32, byte};
use crate::view::{FlowView, Way};

const SYNCTHING: &str = "syncthing";
const RESILIO: &str = "resilio";

/// Syncthing's announcements to its network, and Resilio's packets.
pub(crate) const UDP: Classifier = Classifier {
    name: "syncing-udp",
    applications: &[SYNCTHING, RESILIO],
    looks_for: "Syncthing's local discovery with a device id, or packets that name BSYNC",
    over: Over::Udp,
    inside: Inside::PLAIN,
    classify: classify_udp,
    follow: None,
};

/// Syncthing's relays, and Resilio's peers.
pub(crate) const TCP: Classifier = Classifier {
    name: "syncing-tcp",
    applications: &[SYNCTHING, RESILIO],
    looks_for: "messages of Syncthing's relay protocol with lengths that add up, or BSYNC",
    over: Over::Tcp,
    inside: Inside::PLAIN,
    classify: classify_tcp,
    follow: None,
};

/// Before a local announcement (and a hello of the block exchange), fourth version.
const DISCOVERY: u32 = 0x2ea7_d90b;
/// Before a local announcement of older versions.
const OLD_DISCOVERY: [u32; 2] = [0x7d79_bc40, 0x9d79_bc39];
/// Before every message of the relay protocol.
const RELAY: u32 = 0x9e79_bc40;

fn classify_udp(view: &FlowView) -> Opinion {
    if beginnings(view).any(|bytes| bytes.starts_with(b"BSYNC\0")) {
        return Opinion::payload(RESILIO, "Resilio Sync packet");
    }
    if beginnings(view).any(is_discovery) {
        return Opinion::payload(SYNCTHING, "Syncthing local discovery");
    }
    not_yet(view)
}

fn is_discovery(bytes: &[u8]) -> bool {
    match be32(bytes, 0) {
        // Field 1 is the device id, 32 bytes.
        Some(DISCOVERY) => array::<2>(bytes, 4) == Some([0x0a, 0x20]),
        // The device id in XDR, with its length.
        Some(magic) if OLD_DISCOVERY.contains(&magic) => be32(bytes, 4) == Some(32),
        _ => false,
    }
}

fn classify_tcp(view: &FlowView) -> Opinion {
    for way in [Way::ToServer, Way::ToClient] {
        let bytes = view.first(way);
        if bytes.starts_with(b"BSYNC\0") || bytes.starts_with(b"\x05BSYNC") {
            return Opinion::payload(RESILIO, "Resilio Sync peer");
        }
        // Magic, kind of message, length.
        if be32(bytes, 0) == Some(RELAY) {
            let (Some(kind), Some(length)) = (be32(bytes, 4), be32(bytes, 8)) else { return Opinion::NeedMore };
            let fits = kind <= 7 && length <= 1024 && byte(bytes, 11).is_some();
            return if fits { Opinion::payload(SYNCTHING, "Syncthing relay") } else { Opinion::No };
        }
    }
    Opinion::No
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Talk, hex};
    use super::*;

    #[test]
    fn syncthing() {
        let found = [&hex("2ea7d90b 0a20")[..], &[7; 32], b"\x12\x12tcp://0.0.0.0:22000"].concat();
        assert_eq!(Talk::udp().client(&found).named(&UDP), Some(SYNCTHING));
        assert_eq!(Talk::udp().client("junk").client(&found).named(&UDP), Some(SYNCTHING));
        assert_eq!(Talk::udp().client(hex("2ea7d90b 0a21")).named(&UDP), None);
        let join = hex("9e79bc40 00000003 00000004 00000000");
        assert_eq!(Talk::tcp().client(join).named(&TCP), Some(SYNCTHING));
        assert_eq!(Talk::tcp().client(hex("9e79bc40 00000103 00000004")).named(&TCP), None);
    }

    #[test]
    fn resilio() {
        assert_eq!(Talk::udp().client(b"BSYNC\0d1:m4:ping4:peer20:01234567890123456789e").named(&UDP), Some(RESILIO));
        assert_eq!(Talk::udp().client(b"BSYNCd1:m4:ping").named(&UDP), None);
    }
}
