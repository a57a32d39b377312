//! Domain names in messages: labels and pointers to earlier ones.

use std::fmt;

/// Room for a name in presentation format: all of its 255 bytes plain, or some of them escaped.
const ROOM: usize = 512;
/// Pointers followed in one name. Each has to point backwards, so this only bounds time.
const MOST_JUMPS: usize = 32;

/// A domain name in presentation format (RFC 4343 section 2.1): lower case, no final dot; every byte that isn't a
/// printable ASCII character is written `\DDD`. The root is the empty name.
#[derive(Clone)]
pub struct Name {
    bytes: [u8; ROOM],
    length: usize,
}

impl Name {
    /// The name.
    pub fn as_str(&self) -> &str {
        self.bytes.get(..self.length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    fn push(&mut self, byte: u8) -> Option<()> {
        *self.bytes.get_mut(self.length)? = byte;
        self.length += 1;
        Some(())
    }

    fn push_label(&mut self, label: &[u8]) -> Option<()> {
        if self.length > 0 {
            self.push(b'.')?;
        }
        // Nearly all labels stand for themselves.
        if label.iter().all(|byte| matches!(byte, b'-' | b'0'..=b'9' | b'A'..=b'Z' | b'_' | b'a'..=b'z')) {
            let place = self.bytes.get_mut(self.length..self.length + label.len())?;
            place.copy_from_slice(label);
            place.make_ascii_lowercase();
            self.length += label.len();
            return Some(());
        }
        for &byte in label {
            match byte {
                b'.' | b'\\' => {
                    self.push(b'\\')?;
                    self.push(byte)?;
                }
                b'!'..=b'~' => self.push(byte.to_ascii_lowercase())?,
                _ => {
                    self.push(b'\\')?;
                    for digit in [byte / 100, byte / 10 % 10, byte % 10] {
                        self.push(b'0' + digit)?;
                    }
                }
            }
        }
        Some(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Reads the name at `at`; `None` if it is unsound or, escaped, too long to be of use.
pub(super) fn read(message: &[u8], at: usize) -> Option<Name> {
    let mut name = Name { bytes: [0; ROOM], length: 0 };
    let (mut at, mut jumps, mut total) = (at, 0, 0);
    loop {
        match *message.get(at)? {
            0 => return Some(name),
            length @ 1..=63 => {
                let label = message.get(at + 1..at + 1 + usize::from(length))?;
                name.push_label(label)?;
                total += label.len() + 1;
                at += label.len() + 1;
            }
            high @ 0xc0.. => {
                let target = pointer(high, *message.get(at + 1)?);
                jumps += 1;
                if target >= at || jumps > MOST_JUMPS {
                    return None;
                }
                at = target;
            }
            _ => return None,
        }
        if total > 254 {
            return None;
        }
    }
}

/// Where the name at `at` ends; `None` if it is unsound where it stands. What pointers lead to is checked when it is
/// read.
pub(super) fn skip(message: &[u8], at: usize) -> Option<usize> {
    let start = at;
    let mut at = at;
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += usize::from(length) + 1,
            high @ 0xc0.. => {
                let target = pointer(high, *message.get(at + 1)?);
                return (target >= super::HEADER && target < at).then_some(at + 2);
            }
            _ => return None,
        }
        if at - start > 254 {
            return None;
        }
    }
}

fn pointer(high: u8, low: u8) -> usize {
    usize::from(u16::from_be_bytes([high & 0x3f, low]))
}
