//! KakaoTalk's LOCO: plain packets with a method in words, or the handshake of the enciphered ones.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::{array, byte, le16, le32};
use crate::view::{FlowView, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "kakaotalk",
    applications: &["kakaotalk"],
    looks_for: "LOCO packets",
    over: Over::Tcp,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

/// Of a plain packet.
const HEADER: usize = 22;

fn classify(view: &FlowView) -> Opinion {
    let stream = view.first(Way::ToServer);
    if plain(stream) || plain(view.first(Way::ToClient)) {
        return Opinion::payload("kakaotalk", "LOCO packet");
    }
    if stream.len() < HEADER + 4 {
        return if view.last || view.midstream { Opinion::No } else { Opinion::NeedMore };
    }
    // Handshake: length of the enciphered key (256), kind of key, kind of cipher; then frames.
    let handshake = le32(stream, 0) == Some(256)
        && le32(stream, 4).is_some_and(|kind| (1..=16).contains(&kind))
        && le32(stream, 8).is_some_and(|cipher| (1..=3).contains(&cipher));
    if !handshake {
        return Opinion::No;
    }
    let Some(mut frames) = stream.get(12 + 256..) else {
        return if view.last { Opinion::No } else { Opinion::NeedMore };
    };
    for seen in 0..4 {
        match le32(frames, 0) {
            Some(length @ 17..=0x10_0000) => match frames.get(4 + length as usize..) {
                Some(rest) => frames = rest,
                None if view.last && seen == 0 => break,
                None => return if seen > 0 { named() } else { Opinion::NeedMore },
            },
            Some(_) => return Opinion::No,
            None if frames.is_empty() && seen > 0 => return named(),
            None if !view.last => return Opinion::NeedMore,
            None => break,
        }
        if frames.is_empty() {
            return named();
        }
    }
    Opinion::No
}

fn named() -> Opinion {
    Opinion::payload("kakaotalk", "LOCO handshake and frames")
}

/// Number, status, method (11 bytes, padded with zeroes), kind and length of the body; then the body, which is BSON and
/// begins with that length itself.
fn plain(stream: &[u8]) -> bool {
    let Some(name) = array::<11>(stream, 6) else { return false };
    let letters = name.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    letters >= 3
        && name.iter().skip(letters).all(|&byte| byte == 0)
        && le16(stream, 4) == Some(0)
        && byte(stream, 17) == Some(0)
        && le32(stream, 18)
            .is_some_and(|length| (5..0x10_0000).contains(&length) && le32(stream, HEADER) == Some(length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::{Talk, hex};

    #[test]
    fn plain_and_enciphered() {
        let mut check = hex("01000000 0000");
        check.extend(b"CHECKIN\0\0\0\0");
        check.extend(hex("00 40000000 40000000"));
        assert_eq!(Talk::tcp().client(&check).named(&CLASSIFIER), Some("kakaotalk"));
        let mut shake = hex("00010000 0c000000 02000000");
        shake.extend([9; 256]);
        assert_eq!(Talk::tcp().client(&shake).ask(&CLASSIFIER), Opinion::NeedMore);
        shake.extend(hex("20000000"));
        shake.extend([8; 32]);
        assert_eq!(Talk::tcp().client(&shake).named(&CLASSIFIER), Some("kakaotalk"));
        let mut other = hex("00010000 0c000000 02000000");
        other.extend([9; 300]);
        assert_eq!(Talk::tcp().client(other).last().named(&CLASSIFIER), None);
    }
}
