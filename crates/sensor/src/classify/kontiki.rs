//! Kontiki: its delivery protocol (KDP) and the search for neighbours.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::{array, be32, byte, contains};
use crate::view::FlowView;

const ID: &str = "kontiki";

/// Deliveries over UDP.
pub(crate) const UDP: Classifier = Classifier {
    name: "kontiki",
    applications: &[ID],
    looks_for: "KDP packets whose sequences acknowledge each other, or a message to neighbours in XML",
    over: Over::Udp,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

/// The only version seen.
const VERSION: u8 = 2;
/// Flags: the packet opens, acknowledges, ends, repeats a conversation.
const FLAGS: u8 = 0x01 | 0x02 | 0x04 | 0x08 | 0x10 | 0x20 | 0x40;
/// What a packet without a header's fields is: a knock at the door.
const KNOCK: &[u8] = &[VERSION, 1, 1, 0];
const PATIENCE: usize = 10;

/// Where in its conversation a packet stands.
#[derive(Clone, Copy)]
struct Place {
    sequence: u32,
    acknowledged: u32,
}

fn classify(view: &FlowView) -> Opinion {
    let mut before: [Option<Place>; 2] = [None; 2];
    for piece in view.pieces {
        let Some(bytes) = view.bytes_of(piece) else { return Opinion::No };
        if bytes.starts_with(b"<?xml ") && contains(bytes, b"<ZMessage target=\"ZBBP.", 256) {
            return Opinion::payload(ID, "Kontiki message to neighbours");
        }
        let Some([VERSION, words, flags, errors]) = array::<4>(bytes, 0) else { return Opinion::No };
        if bytes == KNOCK {
            continue;
        }
        let open = flags & 0x04 != 0 && flags & !FLAGS == 0 && errors == 0;
        if !(4..=15).contains(&words) || !open || (piece.len as usize) < usize::from(words) * 4 {
            return Opinion::No;
        }
        let (Some(sequence), Some(acknowledged)) = (be32(bytes, 8), be32(bytes, 12)) else { return Opinion::No };
        let place = Place { sequence, acknowledged };
        if let Some(other) = before[piece.way.back().index()]
            && place.acknowledged.wrapping_sub(other.sequence) <= 1
            && place.acknowledged != 0
        {
            return Opinion::payload(ID, "Kontiki delivery packets that answer each other");
        }
        if let Some(earlier) = before[piece.way.index()]
            && earlier.acknowledged == place.acknowledged
            && place.acknowledged > 0xffff
            && place.sequence.wrapping_sub(earlier.sequence) == 1
        {
            return Opinion::payload(ID, "Kontiki delivery packets in sequence");
        }
        before[piece.way.index()] = Some(place);
    }
    if view.heard < PATIENCE && byte(view.first(crate::view::Way::ToServer), 0) == Some(VERSION) {
        Opinion::NeedMore
    } else {
        Opinion::No
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Talk, hex};
    use super::*;

    #[test]
    fn deliveries() {
        let asked = hex("02050400 b889c72a 9d7d1bab 906bf171 00000001 c672507e");
        let answered = hex("02050400 3ac8fc20 906bf172 9d7d1bab 00000001 14dd6c3d");
        assert_eq!(Talk::udp().client(&asked).ask(&UDP), Opinion::NeedMore);
        assert_eq!(Talk::udp().client(&asked).server(&answered).named(&UDP), Some(ID));
        assert_eq!(Talk::udp().client(KNOCK).client(&asked).server(&answered).named(&UDP), Some(ID));
        let foreign = hex("02050400 3ac8fc20 906bf172 11111111 00000001 14dd6c3d");
        assert_eq!(Talk::udp().client(&asked).server(&foreign).named(&UDP), None);
        assert_eq!(Talk::udp().client(hex("02058400 b889c72a 9d7d1bab 906bf171 00000001")).ask(&UDP), Opinion::No);
        assert_eq!(Talk::udp().client(KNOCK).last().named(&UDP), None);
    }

    #[test]
    fn neighbours() {
        let message = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<ZMessage target=\"ZBBP.1.SubnetRequest\">";
        assert_eq!(Talk::udp().client(message).named(&UDP), Some(ID));
        assert_eq!(Talk::udp().client("<?xml version=\"1.0\"?><Message target=\"x\">").ask(&UDP), Opinion::No);
    }
}
