//! JSON objects written straight into a buffer.

use std::fmt::Display;
use std::io::Write;
use std::net::IpAddr;

use crate::lore::Nanos;

/// An open object. [`end`](Object::end) closes it.
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Object<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Object<'a> {
        out.push(b'{');
        Object { out, first: true }
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }

    /// Keys are ours and need no escaping.
    fn key(&mut self, key: &str) {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    pub(super) fn object(&mut self, key: &str) -> Object<'_> {
        self.key(key);
        Object::new(self.out)
    }

    pub(super) fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        string(self.out, text);
    }

    /// Text that is known to need no escaping.
    pub(super) fn plain(&mut self, key: &str, text: impl AsRef<[u8]>) {
        self.key(key);
        self.out.push(b'"');
        self.out.extend_from_slice(text.as_ref());
        self.out.push(b'"');
    }

    pub(super) fn address(&mut self, key: &str, address: IpAddr) {
        let IpAddr::V4(address) = address else {
            return self.display(key, address);
        };
        self.key(key);
        for (index, octet) in address.octets().into_iter().enumerate() {
            self.out.push(if index == 0 { b'"' } else { b'.' });
            if octet >= 100 {
                self.out.push(b'0' + octet / 100);
            }
            if octet >= 10 {
                self.out.push(b'0' + octet / 10 % 10);
            }
            self.out.push(b'0' + octet % 10);
        }
        self.out.push(b'"');
    }

    /// Something whose text needs no escaping: numbers, IPv6 addresses.
    pub(super) fn display(&mut self, key: &str, value: impl Display) {
        self.key(key);
        self.out.push(b'"');
        // Writing to a vector does not fail.
        let _ = write!(self.out, "{value}");
        self.out.push(b'"');
    }

    pub(super) fn number(&mut self, key: &str, number: u64) {
        self.key(key);
        decimal(self.out, number);
    }

    pub(super) fn truth(&mut self, key: &str, truth: bool) {
        self.key(key);
        self.out.extend_from_slice(if truth { b"true" } else { b"false" });
    }

    pub(super) fn texts<'t>(&mut self, key: &str, texts: impl Iterator<Item = &'t str>) {
        self.key(key);
        self.out.push(b'[');
        for (index, text) in texts.enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            string(self.out, text);
        }
        self.out.push(b']');
    }

    /// A list of numbers; nothing at all when it is empty.
    pub(super) fn numbers(&mut self, key: &str, numbers: impl Iterator<Item = u64>) {
        let mut numbers = numbers.peekable();
        if numbers.peek().is_none() {
            return;
        }
        self.key(key);
        self.out.push(b'[');
        for (index, number) in numbers.enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            decimal(self.out, number);
        }
        self.out.push(b']');
    }

    /// A time as EVE writes it: `2026-11-23T04:00:00.000000+0000`. The calendar is asked once a day.
    pub(super) fn time(&mut self, key: &str, time: Nanos, today: &mut Today) {
        self.key(key);
        let (seconds, micros) = (time / 1_000_000_000, time % 1_000_000_000 / 1000);
        let second = seconds % 86_400;
        self.out.push(b'"');
        self.out.extend_from_slice(today.date(seconds / 86_400));
        let mut text = *b"T00:00:00.000000+0000\"";
        two(&mut text[1..3], second / 3600);
        two(&mut text[4..6], second / 60 % 60);
        two(&mut text[7..9], second % 60);
        two(&mut text[10..12], micros / 10_000);
        two(&mut text[12..14], micros / 100 % 100);
        two(&mut text[14..16], micros % 100);
        self.out.extend_from_slice(&text);
    }
}

/// Two digits.
fn two(place: &mut [u8], number: u64) {
    place[0] = b'0' + (number / 10) as u8;
    place[1] = b'0' + (number % 10) as u8;
}

/// The date of the last event: most events are of the same day.
#[derive(Debug, Default)]
pub(super) struct Today {
    /// Days since the epoch, plus one; 0 before the first.
    day: u64,
    date: Vec<u8>,
}

impl Today {
    fn date(&mut self, day: u64) -> &[u8] {
        if self.day != day + 1 {
            self.day = day + 1;
            let (year, month, day) = civil(day);
            self.date.clear();
            padded(&mut self.date, year, 4);
            self.date.push(b'-');
            padded(&mut self.date, month, 2);
            self.date.push(b'-');
            padded(&mut self.date, day, 2);
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

fn decimal(out: &mut Vec<u8>, number: u64) {
    padded(out, number, 1);
}

/// A number of at least `width` digits.
fn padded(out: &mut Vec<u8>, mut number: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    while number > 0 || digits.len() - at < width {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&digits[at..]);
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
        object.text("text", nasty);
        object.number("zero", 0);
        object.number("most", u64::MAX);
        object.numbers("none", [].into_iter());
        object.numbers("some", [1, 20].into_iter());
        let mut inner = object.object("inner");
        inner.truth("yes", true);
        inner.end();
        object.end();
        let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(read["text"], nasty);
        assert_eq!(read["most"], u64::MAX);
        assert_eq!(read.get("none"), None);
        assert_eq!(read["some"], serde_json::json!([1, 20]));
        assert_eq!(read["inner"]["yes"], true);
        assert!(out.is_ascii() || !out.contains(&0x7f));
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
            object.time("t", seconds * 1_000_000_000, &mut Today::default());
            object.end();
            assert_eq!(String::from_utf8(out).unwrap(), format!("{{\"t\":\"{text}\"}}"));
        }
    }
}
