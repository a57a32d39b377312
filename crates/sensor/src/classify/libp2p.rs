//! libp2p, as IPFS speaks it: multistream-select over TCP. Over QUIC and TLS its name is in the ALPN.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::contains;
use crate::view::{FlowView, Way};

const ID: &str = "ipfs";

/// Negotiation of what a connection will speak.
pub(crate) const TCP: Classifier = Classifier {
    name: "libp2p",
    applications: &[ID],
    looks_for: "multistream-select, its length before it, as a connection's first words",
    over: Over::Tcp,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

/// The first message: its length, then the protocol and version, then a line's end.
const HELLO: &[u8] = b"\x13/multistream/1.0.0\n";

fn classify(view: &FlowView) -> Opinion {
    let mut begun = false;
    for way in [Way::ToServer, Way::ToClient] {
        let bytes = view.first(way);
        if bytes.starts_with(HELLO) {
            let bare =
                contains(bytes, b"/secio/", 256) || contains(bytes, b"/noise", 256) || contains(bytes, b"/tls/", 256);
            return Opinion::payload(
                ID,
                if bare { "libp2p negotiation of a secure channel" } else { "libp2p negotiation" },
            );
        }
        begun |= !bytes.is_empty() && bytes.len() < HELLO.len() && HELLO.starts_with(bytes);
    }
    if begun { Opinion::NeedMore } else { Opinion::No }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Talk;
    use super::*;

    #[test]
    fn negotiation() {
        assert_eq!(Talk::tcp().client(b"\x13/multistream/1.0.0\n\x07/noise\n").named(&TCP), Some(ID));
        assert_eq!(Talk::tcp().server(b"\x13/multistream/1.0.0\n").named(&TCP), Some(ID));
        assert_eq!(Talk::tcp().client(b"\x13/multi").ask(&TCP), Opinion::NeedMore);
        assert_eq!(Talk::tcp().client(b"\x13BitTorrent protocol").ask(&TCP), Opinion::No);
        assert_eq!(Talk::tcp().client(b"\x12/multistream/1.0.0\n").ask(&TCP), Opinion::No);
    }
}
