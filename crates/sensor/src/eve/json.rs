//! JSON objects written straight into a buffer.

use std::io::Write;
use std::net::IpAddr;

use crate::lore::Nanos;

/// A key as it stands in JSON, with its quotes and colon. Keys are ours and need no escaping.
macro_rules! key {
    ($name:literal) => {
        $crate::eve::json::Key(concat!("\"", $name, "\":"))
    };
}
pub(super) use key;

/// See [`key!`].
#[derive(Clone, Copy)]
pub(super) struct Key(pub(super) &'static str);

/// An open object. [`end`](Object::end) closes it.
///
/// Every member is followed by a comma; the last one's becomes the brace. What is copied has a length known when this
/// is compiled wherever that can be had: a flow has some thirty members, and there may be 100,000 flows a second.
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Object<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Object<'a> {
        out.push(b'{');
        Object { out }
    }

    /// The end of the outermost object, and of its line.
    pub(super) fn end_line(self) {
        close(self.out, b'}');
        self.out.push(b'\n');
    }

    /// The end of an object inside another.
    pub(super) fn end(self) {
        close(self.out, b'}');
        self.out.push(b',');
    }

    #[inline(always)]
    fn key(&mut self, key: Key) {
        self.out.extend_from_slice(key.0.as_bytes());
    }

    pub(super) fn object(&mut self, key: Key) -> Object<'_> {
        self.key(key);
        Object::new(self.out)
    }

    pub(super) fn text(&mut self, key: Key, text: &str) {
        self.key(key);
        string(self.out, text);
        self.out.push(b',');
    }

    /// Text that is known to need no escaping.
    #[inline(always)]
    pub(super) fn plain(&mut self, key: Key, text: impl AsRef<[u8]>) {
        self.key(key);
        self.out.push(b'"');
        self.out.extend_from_slice(text.as_ref());
        self.out.extend_from_slice(b"\",");
    }

    #[inline(always)]
    pub(super) fn address(&mut self, key: Key, address: IpAddr) {
        self.key(key);
        match address {
            IpAddr::V4(address) => dotted(self.out, address.octets()),
            // Writing to a vector does not fail.
            IpAddr::V6(address) => _ = write!(self.out, "\"{address}\","),
        }
    }

    #[inline(always)]
    pub(super) fn number(&mut self, key: Key, number: u64) {
        self.key(key);
        decimal(self.out, number);
        self.out.push(b',');
    }

    /// A number under a name of the sensor's own, which needs no escaping.
    pub(super) fn count(&mut self, name: &str, number: u64) {
        let _ = write!(self.out, "\"{name}\":{number},");
    }

    pub(super) fn truth(&mut self, key: Key, truth: bool) {
        self.key(key);
        self.out.extend_from_slice(if truth { b"true," } else { b"false," });
    }

    pub(super) fn texts<'t>(&mut self, key: Key, texts: impl Iterator<Item = &'t str>) {
        self.key(key);
        self.out.push(b'[');
        for text in texts {
            string(self.out, text);
            self.out.push(b',');
        }
        close(self.out, b']');
        self.out.push(b',');
    }

    /// A list of numbers; nothing at all when it is empty.
    pub(super) fn numbers(&mut self, key: Key, numbers: impl Iterator<Item = u64>) {
        let mut numbers = numbers.peekable();
        if numbers.peek().is_none() {
            return;
        }
        self.key(key);
        self.out.push(b'[');
        for number in numbers {
            decimal(self.out, number);
            self.out.push(b',');
        }
        close(self.out, b']');
        self.out.push(b',');
    }

    /// A time as EVE writes it: `2026-11-23T04:00:00.000000+0000`. The calendar is asked once a day.
    #[inline(always)]
    pub(super) fn time(&mut self, key: Key, time: Nanos, today: &mut Today) {
        self.key(key);
        moment(self.out, time, today);
    }
}

/// Puts the closing bracket in the place of the last member's comma, if there is a member.
fn close(out: &mut Vec<u8>, bracket: u8) {
    match out.last_mut() {
        Some(last @ b',') => *last = bracket,
        _ => out.push(bracket),
    }
}

fn moment(out: &mut Vec<u8>, time: Nanos, today: &mut Today) {
    let (seconds, micros) = (time / 1_000_000_000, (time % 1_000_000_000 / 1000) as u32);
    let second = (seconds % 86_400) as u32;
    let mut text = *b"\"0000-00-00T00:00:00.000000+0000\",";
    text[1..11].copy_from_slice(today.date(seconds / 86_400));
    two(&mut text[12..14], second / 3600);
    two(&mut text[15..17], second / 60 % 60);
    two(&mut text[18..20], second % 60);
    two(&mut text[21..23], micros / 10_000);
    two(&mut text[23..25], micros / 100 % 100);
    two(&mut text[25..27], micros % 100);
    out.extend_from_slice(&text);
}

/// An IPv4 address in quotes, and the comma after it.
fn dotted(out: &mut Vec<u8>, octets: [u8; 4]) {
    // The longest is `"255.255.255.255",`; each octet is written as three characters, of which its own count.
    let mut text = [b'"'; 20];
    let mut at = 1;
    for octet in octets {
        let (digits, length) = &OCTETS[usize::from(octet)];
        text[at..at + 4].copy_from_slice(digits);
        at += length;
    }
    text[at - 1..at + 1].copy_from_slice(b"\",");
    out.extend_from_slice(&text);
    out.truncate(out.len() - text.len() + at + 1);
}

/// Octets in decimal, each with a dot after it, and how many characters that is.
static OCTETS: [([u8; 4], usize); 256] = {
    let mut octets = [([b'.'; 4], 0); 256];
    let mut octet = 0;
    while octet < 256 {
        let digits = [b'0' + (octet / 100) as u8, b'0' + (octet / 10 % 10) as u8, b'0' + (octet % 10) as u8];
        let skipped = if octet >= 100 {
            0
        } else if octet >= 10 {
            1
        } else {
            2
        };
        let mut at = skipped;
        while at < 3 {
            octets[octet].0[at - skipped] = digits[at];
            at += 1;
        }
        octets[octet].1 = 4 - skipped;
        octet += 1;
    }
    octets
};

/// Two digits.
#[inline(always)]
fn two(place: &mut [u8], number: u32) {
    place.copy_from_slice(&PAIRS[number as usize % 100]);
}

/// The numbers below 100 in two digits.
static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

/// The date of the last event: most events are of the same day.
#[derive(Debug, Default)]
pub(super) struct Today {
    /// Days since the epoch, plus one; 0 before the first.
    day: u64,
    date: [u8; 10],
}

impl Today {
    fn date(&mut self, day: u64) -> &[u8; 10] {
        if self.day != day + 1 {
            self.day = day + 1;
            let (year, month, day) = civil(day);
            self.date = *b"0000-00-00";
            // Nanoseconds of 64 bits end in 2554.
            two(&mut self.date[0..2], year as u32 / 100);
            two(&mut self.date[2..4], year as u32 % 100);
            two(&mut self.date[5..7], month as u32);
            two(&mut self.date[8..10], day as u32);
        }
        &self.date
    }
}

/// Year, month and day of a day since the epoch, in the Gregorian calendar: 400 years have 146,097 days, and
/// counting from 1 March puts the leap day last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

fn decimal(out: &mut Vec<u8>, mut number: u64) {
    // Most numbers are ports and small counts.
    let mut digits = [0; 20];
    let length = number.checked_ilog10().unwrap_or(0) as usize + 1;
    let mut at = length;
    while at > 1 {
        at -= 2;
        two(&mut digits[at..at + 2], (number % 100) as u32);
        number /= 100;
    }
    if at == 1 {
        digits[0] = b'0' + (number % 10) as u8;
    }
    out.extend_from_slice(&digits);
    out.truncate(out.len() - digits.len() + length);
}

/// Bytes that stand for themselves in a JSON string.
static PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0x20;
    while byte < 0x7f {
        plain[byte] = byte != b'"' as usize && byte != b'\\' as usize;
        byte += 1;
    }
    plain
};

/// What stands between the quotes of a JSON string.
pub(super) fn escaped(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    escape(&mut out, text);
    out
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escape(out, text);
    out.push(b'"');
}

/// Control characters are escaped, and so are those that change the direction of text or hide: events end up on
/// terminals.
fn escape(out: &mut Vec<u8>, text: &str) {
    let mut rest = text;
    loop {
        let run = rest.bytes().position(|byte| !PLAIN[usize::from(byte)]).unwrap_or(rest.len());
        let (clean, after) = rest.split_at(run);
        out.extend_from_slice(clean.as_bytes());
        let Some(character) = after.chars().next() else { break };
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            c if c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}') =>
            {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => {
                let mut buffer = [0; 4];
                out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
            }
        }
        rest = &after[character.len_utf8()..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut out = Vec::new();
        let nasty = "a\"b\\c\n\u{7f}\u{202e}é漢\u{1f600}";
        let mut object = Object::new(&mut out);
        object.text(key!("text"), nasty);
        object.number(key!("zero"), 0);
        object.number(key!("most"), u64::MAX);
        object.numbers(key!("none"), [].into_iter());
        object.numbers(key!("some"), [1, 20].into_iter());
        let mut inner = object.object(key!("inner"));
        inner.truth(key!("yes"), true);
        inner.end();
        object.end_line();
        let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(read["text"], nasty);
        assert_eq!(read["most"], u64::MAX);
        assert_eq!(read.get("none"), None);
        assert_eq!(read["some"], serde_json::json!([1, 20]));
        assert_eq!(read["inner"]["yes"], true);
        assert!(out.is_ascii() || !out.contains(&0x7f));
    }

    #[test]
    fn numbers_and_addresses_are_written_in_full() {
        for number in [0, 9, 10, 99, 100, 101, 999, 1000, 65_535, 1_000_000_007, u64::MAX] {
            let mut out = Vec::new();
            decimal(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
        for address in ["0.0.0.0", "9.10.99.100", "1.20.255.7", "255.255.255.255", "::", "2001:db8::1"] {
            let mut out = Vec::new();
            let mut object = Object::new(&mut out);
            object.address(key!("ip"), address.parse().unwrap());
            object.end_line();
            assert_eq!(String::from_utf8(out).unwrap(), format!("{{\"ip\":\"{address}\"}}\n"));
        }
    }

    #[test]
    fn times_are_calendar_times() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000000+0000"),
            (951_782_400, "2000-02-29T00:00:00.000000+0000"),
            (1_795_406_400, "2026-11-23T04:00:00.000000+0000"),
            (4_107_542_399, "2100-02-28T23:59:59.000000+0000"),
        ] {
            let mut out = Vec::new();
            let mut object = Object::new(&mut out);
            object.time(key!("t"), seconds * 1_000_000_000, &mut Today::default());
            object.end_line();
            assert_eq!(String::from_utf8(out).unwrap(), format!("{{\"t\":\"{text}\"}}\n"));
        }
    }
}
