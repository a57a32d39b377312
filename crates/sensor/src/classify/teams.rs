//! Teams' relays (MS-TURN, multiplexed): datagrams of one session, wrapped by the relay or its client.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::{array, be16};
use crate::view::FlowView;

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "teams-relay",
    applications: &["teams"],
    looks_for: "datagrams multiplexed by the relays of Teams",
    over: Over::Udp,
    inside: Inside::PLAIN.and(Inside::STUN),
    classify,
    follow: None,
};

fn classify(view: &FlowView) -> Opinion {
    let mut sessions: [Option<[u8; 8]>; 2] = [None; 2];
    for piece in view.pieces {
        let Some(datagram) = view.bytes_of(piece) else { continue };
        // 0xff10, length of what follows, session.
        let length = u32::from(be16(datagram, 2).unwrap_or(0)) + 4;
        if be16(datagram, 0) != Some(0xff10) || length != piece.len || piece.len < 24 {
            continue;
        }
        let session: Option<[u8; 8]> = array(datagram, 4);
        let last = &mut sessions[piece.way.index()];
        // STUN inside tells at once, a second packet of the session otherwise.
        if (last.is_some() && *last == session) || array(datagram, 16) == Some([0x21, 0x12, 0xa4, 0x42]) {
            return Opinion::payload("teams", "datagrams multiplexed by a relay of Teams");
        }
        *last = session;
    }
    if sessions == [None; 2] || view.last { Opinion::No } else { Opinion::NeedMore }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::{Talk, hex};

    #[test]
    fn sessions_stay_and_lengths_fit() {
        let media = |session: &str| hex(&format!("ff10 0018 {session} 80700001 00000001 00a1b2c3 00112233"));
        let talk = Talk::udp().client(media("deaa296708f708fc"));
        assert_eq!(talk.ask(&CLASSIFIER), Opinion::NeedMore);
        assert_eq!(talk.client(media("deaa296708f708fc")).named(&CLASSIFIER), Some("teams"));
        let other = Talk::udp().client(media("deaa296708f708fc")).client(media("deaa296708f708fd"));
        assert_eq!(other.last().named(&CLASSIFIER), None);
        let check = hex("ff10 0020 deaa296708f708fc 0101 0000 2112a442 81275a7e28b364d88f3d14f9");
        assert_eq!(Talk::udp().client(&check).named(&CLASSIFIER), None, "the length is wrong");
        let check = hex("ff10 001c deaa296708f708fc 0101 0000 2112a442 81275a7e28b364d88f3d14f9");
        assert_eq!(Talk::udp().client(&check).named(&CLASSIFIER), Some("teams"));
    }
}
