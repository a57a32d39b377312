//! DNS messages: what is asked, which addresses are answered, which services are announced.
//!
//! The same format serves multicast DNS (RFC 6762) and LLMNR (RFC 4795). NetBIOS name service looks alike but is
//! refused: its names are no domain names.

mod name;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use name::Name;

use super::cursor::Cursor;

/// The header, RFC 1035 section 4.1.1.
const HEADER: usize = 12;
/// What follows the name of a question: type and class.
const QUESTION: usize = 4;
/// What follows the name of a record: type, class, time to live, length of the data.
const RECORD: usize = 10;
/// Records and questions looked at in one message.
const MOST_RECORDS: usize = 256;
/// Addresses and service names given of one message.
const MOST_ANSWERS: usize = 64;

/// Bytes behind the last record that are forgiven: some of Apple's multicast has four.
const MOST_BEHIND: usize = 16;

const A: u16 = 1;
const PTR: u16 = 12;
const TXT: u16 = 16;
const AAAA: u16 = 28;
const SRV: u16 = 33;
const OPT: u16 = 41;
const SVCB: u16 = 64;
const HTTPS: u16 = 65;
const ANY: u16 = 255;

/// A message that was found to be DNS.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    message: &'a [u8],
    flags: u16,
    questions: u16,
    answers: u16,
    /// Answers, authorities and additional records.
    records: usize,
    /// Where the records begin.
    records_at: usize,
}

/// Reads one message, or the beginning of one that was cut: known operation and response codes, counts that match what
/// is there, sound names, known types and classes, and at least one question or record. Whoever has a message from a
/// TCP stream takes the length off first.
pub fn read(message: &[u8]) -> Option<Message<'_>> {
    let (&[_, _, f1, f2, q1, q2, n1, n2, a1, a2, x1, x2], _) = message.split_first_chunk::<HEADER>()?;
    let flags = u16::from_be_bytes([f1, f2]);
    let counts = [[q1, q2], [n1, n2], [a1, a2], [x1, x2]].map(u16::from_be_bytes);
    let [questions, answers, _, _] = counts;
    let records = counts.iter().skip(1).map(|count| usize::from(*count)).sum::<usize>();
    let response = flags & 0x8000 != 0;
    let operation = flags >> 11 & 0xf;
    let sound = flags & 0x0040 == 0
        && matches!(operation, 0 | 2 | 4 | 5)
        && (response || flags & 0x000f == 0)
        && flags & 0x000f <= 11
        && questions <= 64
        && records <= MOST_RECORDS
        && usize::from(questions) + records > 0;
    if !sound {
        return None;
    }
    let mut found = Message { message, flags, questions, answers, records, records_at: HEADER };
    let mut at = HEADER;
    for index in 0..questions {
        let Some(question) = question(message, at) else {
            // Cut off, unless it is the first.
            found.records = 0;
            return (index > 0 && truncated(message, at, QUESTION)).then_some(found);
        };
        if index == 0 && question.kind == SRV && is_netbios(message, at) {
            return None;
        }
        at = question.end;
    }
    found.records_at = at;
    for index in 0..records {
        let Some(record) = record(message, at) else {
            return ((questions > 0 || index > 0) && truncated(message, at, RECORD)).then_some(found);
        };
        if index == 0 && record.kind == SRV && is_netbios(message, at) {
            return None;
        }
        at = record.end;
    }
    (message.len() - at <= MOST_BEHIND).then_some(found)
}

impl Message<'_> {
    /// Its id.
    pub fn id(&self) -> u16 {
        self.message.first_chunk().map_or(0, |id| u16::from_be_bytes(*id))
    }

    /// Whether it answers (or, in multicast DNS, announces).
    pub fn is_response(&self) -> bool {
        self.flags & 0x8000 != 0
    }

    /// The response code: 0 is success, 3 says there is no such name.
    pub fn rcode(&self) -> u8 {
        (self.flags & 0x000f) as u8
    }

    /// The name in the first question.
    pub fn question(&self) -> Option<Name> {
        if self.questions == 0 {
            return None;
        }
        name::read(self.message, HEADER)
    }

    /// Every address in the answers, and those hinted at in HTTPS and SVCB records (RFC 9460 section 7.3). They are
    /// addresses of [`question`](Self::question), whatever CNAMEs are between.
    pub fn addresses(&self, mut f: impl FnMut(IpAddr)) {
        if !self.is_response() || self.rcode() != 0 {
            return;
        }
        let mut left = MOST_ANSWERS;
        let mut give = |address: IpAddr| {
            if left > 0 {
                left -= 1;
                f(address);
            }
        };
        for record in self.records().take(usize::from(self.answers)) {
            let data = self.message.get(record.data..record.end).unwrap_or_default();
            match record.kind {
                A => addresses_of::<4>(data, |bytes| give(Ipv4Addr::from(bytes).into())),
                AAAA => addresses_of::<16>(data, |bytes| give(Ipv6Addr::from(bytes).into())),
                SVCB | HTTPS => self.hints(&record, &mut give),
                _ => {}
            }
        }
    }

    /// Names of services asked for, found or announced: owners of PTR, SRV and TXT records and where PTRs lead
    /// (RFC 6763: `_ipp._tcp.local`, `printer._ipp._tcp.local`).
    pub fn services(&self, mut f: impl FnMut(&str)) {
        let mut left = MOST_ANSWERS;
        let mut give = |at: usize| {
            if left > 0
                && let Some(name) = name::read(self.message, at)
            {
                left -= 1;
                f(name.as_str());
            }
        };
        let mut at = HEADER;
        for _ in 0..self.questions {
            let Some(question) = question(self.message, at) else { break };
            if matches!(question.kind, PTR | SRV | TXT | ANY) {
                give(at);
            }
            at = question.end;
        }
        for record in self.records() {
            if matches!(record.kind, PTR | SRV | TXT) {
                give(record.at);
            }
            if record.kind == PTR {
                give(record.data);
            }
        }
    }

    fn records(&self) -> impl Iterator<Item = Record> + use<'_> {
        let mut at = self.records_at;
        (0..self.records).map_while(move |_| {
            let record = record(self.message, at)?;
            at = record.end;
            Some(record)
        })
    }

    /// ipv4hint and ipv6hint.
    fn hints(&self, record: &Record, give: &mut impl FnMut(IpAddr)) {
        let Some(target) = name::skip(self.message, record.data + 2) else { return };
        let mut parameters = Cursor(self.message.get(target..record.end).unwrap_or_default());
        while let (Some(key), Some(value)) = (parameters.u16(), parameters.vector16()) {
            match key {
                4 => addresses_of::<4>(value, |bytes| give(Ipv4Addr::from(bytes).into())),
                6 => addresses_of::<16>(value, |bytes| give(Ipv6Addr::from(bytes).into())),
                _ => {}
            }
        }
    }
}

/// What is asked.
struct Question {
    kind: u16,
    end: usize,
}

/// Reads the question at `at`.
fn question(message: &[u8], at: usize) -> Option<Question> {
    let end = name::skip(message, at)?;
    let mut rest = Cursor(message.get(end..)?);
    let (kind, class) = (rest.u16()?, rest.u16()?);
    (is_type(kind) && kind != OPT && is_class(class)).then_some(Question { kind, end: end + QUESTION })
}

/// A resource record, by offsets into the message.
struct Record {
    kind: u16,
    at: usize,
    data: usize,
    end: usize,
}

/// Reads the record at `at`.
fn record(message: &[u8], at: usize) -> Option<Record> {
    let name_end = name::skip(message, at)?;
    let mut rest = Cursor(message.get(name_end..)?);
    let (kind, class, _time_to_live, length) = (rest.u16()?, rest.u16()?, rest.u32()?, rest.u16()?);
    let length = usize::from(length);
    let data = name_end + RECORD;
    let end = data + length;
    // Records of no length delete, in updates.
    let sound = match kind {
        // The class of OPT is a datagram size.
        OPT => true,
        A => is_class(class) && matches!(length, 0 | 4),
        AAAA => is_class(class) && matches!(length, 0 | 16),
        _ => is_class(class) && is_type(kind),
    };
    (sound && end <= message.len()).then_some(Record { kind, at, data, end })
}

/// Whether the question (with `fixed` bytes behind its name) or the record at `at` reaches beyond the end.
fn truncated(message: &[u8], at: usize, fixed: usize) -> bool {
    let Some(end) = name::skip(message, at) else {
        return message.get(at..).is_some_and(runs_out);
    };
    match message.get(end..end + fixed) {
        None => true,
        Some([k1, k2, c1, c2, .., l1, l2]) if fixed == RECORD => {
            let [kind, class, length] = [[*k1, *k2], [*c1, *c2], [*l1, *l2]].map(u16::from_be_bytes);
            (kind == OPT || is_type(kind) && is_class(class)) && end + fixed + usize::from(length) > message.len()
        }
        Some(_) => false,
    }
}

/// Whether labels lead beyond the end.
fn runs_out(mut name: &[u8]) -> bool {
    loop {
        match name {
            [] | [0xc0..=0xff, ..] => return true,
            [length @ 1..=63, rest @ ..] => name = rest.get(usize::from(*length)..).unwrap_or_default(),
            _ => return false,
        }
    }
}

/// Types in IANA's registry that are seen, without those for private use, and without NIMLOC: nobody uses it, and its
/// number is that of NetBIOS's NB (RFC 1002 section 4.2.1.3).
fn is_type(kind: u16) -> bool {
    matches!(kind, 1..=31 | 33..=66 | 99..=109 | 128 | 249..=263 | 32768..=32769)
}

/// IN, CH, HS, NONE and ANY; the highest bit is multicast DNS's.
fn is_class(class: u16) -> bool {
    matches!(class & 0x7fff, 1 | 3 | 4 | 254 | 255)
}

/// NetBIOS's NBSTAT has the number of SRV, but its names are 32 letters from A to P (RFC 1001 section 14.1).
fn is_netbios(message: &[u8], at: usize) -> bool {
    message.get(at) == Some(&32)
        && message.get(at + 1..at + 33).is_some_and(|label| label.iter().all(|byte| matches!(byte, b'A'..=b'P')))
}

fn addresses_of<const N: usize>(data: &[u8], f: impl FnMut([u8; N])) {
    data.as_chunks::<N>().0.iter().copied().for_each(f);
}
