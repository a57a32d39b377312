//! Snapchat calls: QUIC without a server name, and RTP on the same port.

use super::rtp::{Rtp, rtcp};
use super::{Classifier, Inside, Opinion, Over};
use crate::names::AppProto;
use crate::view::FlowView;

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "snapchat-call",
    applications: &["snapchat"],
    looks_for: "RTP beside QUIC on one port",
    over: Over::Udp,
    inside: Inside(AppProto::Quic.bit()),
    classify,
    follow: None,
};

fn classify(view: &FlowView) -> Opinion {
    if view.names.sni.as_deref().is_some_and(|name| !name.ends_with(".addlive.io")) {
        return Opinion::No;
    }
    let mut heard: [Option<u32>; 2] = [None; 2];
    for piece in view.pieces {
        let Some(datagram) = view.bytes_of(piece) else { continue };
        let media = rtcp(datagram).map(|(source, _)| source);
        let media = media.or_else(|| Rtp::read(datagram, piece.len as usize == datagram.len()).map(|rtp| rtp.source));
        // QUIC's own packets have a bit set that these have not.
        let Some(source) = media.filter(|&source| source > 0xffff) else { continue };
        if heard[piece.way.index()] == Some(source) {
            return Opinion::payload("snapchat", "RTP beside QUIC, as in Snapchat calls");
        }
        heard[piece.way.index()] = Some(source);
    }
    if view.last { Opinion::No } else { Opinion::NeedMore }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::{Talk, hex};

    #[test]
    fn media_must_come_twice_of_one_source() {
        let quic = hex("c3513034 3650c38046e77aa306ea00000001");
        let media = hex("80c90001 8728a61e 12796854 00112233");
        let talk = Talk::udp().inside(AppProto::Quic).client(&quic).server(&quic).client(&media);
        assert_eq!(talk.ask(&CLASSIFIER), Opinion::NeedMore);
        assert_eq!(talk.client(&media).named(&CLASSIFIER), Some("snapchat"));
        let mut other = Talk::udp().inside(AppProto::Quic).client(&quic).client(&media).client(&media);
        other.names.sni = Some("www.example.com".into());
        assert_eq!(other.named(&CLASSIFIER), None);
    }
}
