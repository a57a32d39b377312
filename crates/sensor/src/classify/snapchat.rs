//! Snapchat calls: Google's QUIC without a server name, or with AddLive's, and RTP on the same port.

use super::rtp::{Rtp, rtcp};
use super::{Classifier, Inside, Opinion, Over};
use crate::names::AppProto;
use crate::view::{FlowView, Way};

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
    // Versions of Google's QUIC are words: "Q046". Others may clear the bit that tells QUIC from RTP (RFC 9287).
    let google = view.first(Way::ToServer).get(1..3).is_some_and(|version| matches!(version, [b'Q' | b'T', b'0']));
    match view.names.sni.as_deref() {
        Some(name) if name.ends_with(".addlive.io") => {}
        None if google => {}
        _ => return Opinion::No,
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
        let quic = hex("c3 51303436 50c38046e77aa306ea00000001");
        let media = hex("80c90001 8728a61e 12796854 00112233");
        let talk = Talk::udp().inside(AppProto::Quic).client(&quic).server(&quic).client(&media);
        assert_eq!(talk.ask(&CLASSIFIER), Opinion::NeedMore);
        assert_eq!(talk.client(&media).named(&CLASSIFIER), Some("snapchat"));
        let draft = hex("c6ff0000 2208a128fde632355cb7");
        let other = Talk::udp().inside(AppProto::Quic).client(draft).client(&media).client(&media);
        assert_eq!(other.named(&CLASSIFIER), None);
        let mut other = Talk::udp().inside(AppProto::Quic).client(&quic).client(&media).client(&media);
        other.names.sni = Some("www.example.com".into());
        assert_eq!(other.named(&CLASSIFIER), None);
    }
}
