//! The EICAR anti-malware test file, recognised without any engine, so that a
//! new installation can be tried out before clamd is configured.
//!
//! By its definition (eicar.org, "Intended use"): the file starts with the 68
//! known characters, may be followed by white space only, and is no longer
//! than 128 bytes. A text that merely quotes the string is not the test file.

/// The string in two halves, so that this source is not itself flagged.
const HALVES: [&[u8]; 2] = [b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EIC", b"AR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"];

/// Longest file that is one.
const LONGEST: u64 = 128;

/// Whether a file of this size that begins like this is the test file.
pub(super) fn is_eicar(head: &[u8], size: u64) -> bool {
    if size > LONGEST {
        return false;
    }
    let rest = HALVES.iter().try_fold(head, |rest, half| rest.strip_prefix(*half));
    rest.is_some_and(|rest| rest.iter().all(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n' | 0x1a)))
}

/// The test file's bytes, put together at run time.
#[cfg(test)]
pub(crate) fn eicar() -> Vec<u8> {
    HALVES.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_file_is_recognised_by_its_definition() {
        let plain = eicar();
        assert_eq!(plain.len(), 68);
        let with = |tail: &[u8]| [plain.as_slice(), tail].concat();
        for (bytes, expected) in [
            (plain.clone(), true),
            (with(b"\r\n"), true),
            (with(b" \t\x1a"), true),
            (with(&[b' '; 60]), true),
            (with(&[b' '; 61]), false),
            (with(b"and more"), false),
            ([b"see: ", plain.as_slice()].concat(), false),
            (plain[..67].to_vec(), false),
            (Vec::new(), false),
        ] {
            assert_eq!(is_eicar(&bytes, bytes.len() as u64), expected);
        }
    }
}
