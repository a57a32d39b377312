//! Threema's chat protocol: a handshake of fixed lengths, then frames with theirs.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::le16;
use crate::view::{FlowView, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "threema",
    applications: &["threema"],
    looks_for: "Threema's handshake: key and cookie, hello, login, then frames",
    over: Over::Tcp,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

/// Client hello (key and cookie), server hello, the least of a login, and what the server says to it.
const HELLO: u32 = 48;
const ANSWER: u32 = 80;
const LOGIN: u32 = 144;
const WELCOME: usize = 32;

fn classify(view: &FlowView) -> Opinion {
    // Lengths of whole packets come cheap: nearly all else ends here.
    let shapes = [(Way::ToServer, HELLO..=HELLO), (Way::ToClient, ANSWER..=ANSWER), (Way::ToServer, LOGIN..=512)];
    let fits =
        view.pieces.iter().zip(&shapes).all(|(piece, (way, length))| piece.way == *way && length.contains(&piece.len));
    if view.midstream || !fits {
        return Opinion::No;
    }
    let login = match view.pieces {
        [_, _, login, ..] => login.len as usize,
        _ => return if view.last { Opinion::No } else { Opinion::NeedMore },
    };
    let client = view.first(Way::ToServer).get(HELLO as usize + login..).unwrap_or_default();
    let server = view.first(Way::ToClient).get(ANSWER as usize + WELCOME..).unwrap_or_default();
    match (frames(client), frames(server)) {
        (Some((sent, true)), Some((received, true))) if sent + received >= 1 => {
            Opinion::payload("threema", "Threema handshake and frames")
        }
        (None, _) | (_, None) => Opinion::No,
        _ if view.last || view.heard > 12 => Opinion::No,
        _ => Opinion::NeedMore,
    }
}

/// How many whole frames there are and whether the bytes end with one; `None` when they are no frames. A frame is
/// sealed: at least 16 bytes of tag and 4 of kind.
fn frames(mut bytes: &[u8]) -> Option<(usize, bool)> {
    let mut whole = 0;
    while let Some(length) = le16(bytes, 0) {
        if !(20..0x2000).contains(&length) {
            return None;
        }
        match bytes.get(2 + usize::from(length)..) {
            Some(rest) => bytes = rest,
            None => break,
        }
        whole += 1;
    }
    Some((whole, bytes.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::Talk;

    fn handshake() -> Talk {
        Talk::tcp().client([1; 48]).server([2; 80]).client([3; 191])
    }

    #[test]
    fn frames_follow_the_handshake() {
        let mut welcome = vec![4; 32];
        assert_eq!(handshake().server(&welcome).ask(&CLASSIFIER), Opinion::NeedMore);
        welcome.extend([&20u16.to_le_bytes()[..], &[5; 20]].concat());
        assert_eq!(handshake().server(&welcome).named(&CLASSIFIER), Some("threema"));
        let cut = [&welcome[..], &[40, 0, 5]].concat();
        assert_eq!(handshake().server(cut).ask(&CLASSIFIER), Opinion::NeedMore, "until the frame is whole");
        welcome.extend([0xff, 0xff, 0]);
        assert_eq!(handshake().server(&welcome).last().named(&CLASSIFIER), None);
        assert_eq!(Talk::tcp().client([1; 48]).server([2; 81]).ask(&CLASSIFIER), Opinion::No);
    }
}
