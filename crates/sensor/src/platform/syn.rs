//! How a device opens a TCP connection: which options, in which order, with which time to live.

use super::Family;

/// Kinds of TCP options (RFC 9293, RFC 7323, RFC 2018).
const END: u8 = 0;
const NOP: u8 = 1;
const MSS: u8 = 2;
const SCALE: u8 = 3;
const SACK: u8 = 4;
const TIME: u8 = 8;

/// Most options that are looked at.
const MOST: usize = 12;

/// What no other stack sends: the first time to live, and options in their order.
const STACKS: &[(u8, &[u8], Family)] = &[
    // Windows Vista and later; with timestamps; XP and 2000.
    (128, &[MSS, NOP, SCALE, NOP, NOP, SACK], Family::WINDOWS),
    (128, &[MSS, NOP, SCALE, SACK, TIME], Family::WINDOWS),
    (128, &[MSS, NOP, NOP, SACK], Family::WINDOWS),
    (128, &[MSS, NOP, SCALE, NOP, NOP, TIME, NOP, NOP, SACK], Family::WINDOWS),
    // Linux since 2.6, Android with it.
    (64, &[MSS, SACK, TIME, NOP, SCALE], Family::LINUX),
    // macOS and iOS.
    (64, &[MSS, NOP, SCALE, NOP, NOP, TIME, SACK, END], Family::APPLE),
];

/// The systems that send a SYN with these options and this time to live, as it arrived.
pub fn of_syn(ttl: u8, options: &[u8]) -> Option<Family> {
    let first_ttl = match ttl {
        33..=64 => 64,
        65..=128 => 128,
        _ => return None,
    };
    let (kinds, count) = order(options)?;
    let kinds = kinds.get(..count)?;
    STACKS.iter().find(|(ttl, stack, _)| *ttl == first_ttl && *stack == kinds).map(|&(.., family)| family)
}

/// Kinds of options in their order, up to the end of the list.
fn order(mut options: &[u8]) -> Option<([u8; MOST], usize)> {
    let (mut kinds, mut count) = ([0; MOST], 0);
    while let Some((&kind, rest)) = options.split_first() {
        *kinds.get_mut(count)? = kind;
        count += 1;
        options = match kind {
            END => break,
            NOP => rest,
            _ => {
                let length = usize::from(*rest.first()?);
                if length < 2 {
                    return None;
                }
                rest.get(length - 1..)?
            }
        };
    }
    Some((kinds, count))
}

#[cfg(test)]
mod tests {
    use model::Platform;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stacks_are_told_by_their_options() {
        let windows = [2, 4, 5, 0xb4, 1, 3, 3, 8, 1, 1, 4, 2];
        let linux = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7];
        let apple = [2, 4, 5, 0xb4, 1, 3, 3, 6, 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 4, 2, 0, 0];
        assert_eq!(of_syn(128, &windows).and_then(Family::one), Some(Platform::Windows));
        assert_eq!(of_syn(113, &windows), Some(Family::WINDOWS));
        assert_eq!(of_syn(64, &windows), None, "Windows starts from 128");
        assert_eq!(of_syn(52, &linux), Some(Family::LINUX));
        assert_eq!(of_syn(64, &apple), Some(Family::APPLE));
        for odd in [&[][..], &[2], &[2, 4], &[2, 1, 1, 1], &[8, 0], &[1; 40], &[2, 4, 5, 0xb4]] {
            assert_eq!(of_syn(64, odd), None, "{odd:?}");
        }
    }

    proptest! {
        #[test]
        fn foreign_options_do_no_harm(ttl: u8, options in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = of_syn(ttl, &options);
        }
    }
}
