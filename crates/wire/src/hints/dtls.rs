//! DTLS: hellos and certificates, put together from datagrams.
//!
//! Versions 1.0 and 1.2 (RFC 4347, RFC 6347), the hello of 1.3 (RFC 9147), and OpenSSL's from before the standard,
//! which Cisco AnyConnect still speaks. Datagrams of other protocols may be between, as WebRTC has them.

use super::Reading;
use super::cursor::Cursor;
use super::ranges::Ranges;
use super::tls::{self, Carrier, hello, server};

/// Content of a record, RFC 6347 section 4.1.
const LONGEST_RECORD: u16 = (1 << 14) + 2048;
/// No handshake message is put together beyond this.
const LONGEST_MESSAGE: u32 = 16 * 1024;
/// Records looked at in one datagram.
const MOST_RECORDS: usize = 32;
/// How often a hello that lacks pieces makes way for a later one, each time the datagrams are read: clients have one
/// more, with a cookie.
const MOST_RESTARTS: usize = 2;
/// A handshake message's header, RFC 6347 section 4.2.2.
const MESSAGE_HEADER: usize = 12;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const HEARTBEAT: u8 = 24;

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const HELLO_VERIFY_REQUEST: u8 = 3;
const CERTIFICATE: u8 = 11;
const SERVER_HELLO_DONE: u8 = 14;

/// Whether a datagram is made of DTLS records, without a byte over.
pub fn looks_like(datagram: &[u8]) -> bool {
    // The cheapest first: a type, and a version of DTLS.
    if !matches!(datagram, [CHANGE_CIPHER_SPEC..=HEARTBEAT, 0xfe, 0xfd..=0xff, ..] | [20..=24, 1, 0, ..]) {
        return false;
    }
    let mut left = datagram;
    for _ in 0..MOST_RECORDS {
        match left {
            [] => return true,
            // A ciphertext of DTLS 1.3 behind a hello.
            [0x20..=0x3f, ..] if left.len() < datagram.len() => return true,
            _ => {}
        }
        match record(left) {
            Some((found, rest)) if found.is_plausible() => left = rest,
            _ => return false,
        }
    }
    true
}

/// Reads the ClientHello from a client's datagrams. The first that is whole tells all: the one that follows a cookie
/// repeats it.
pub fn client_hello<'a>(datagrams: impl Iterator<Item = &'a [u8]>, scratch: &mut Vec<u8>) -> Reading<tls::ClientHello> {
    scratch.clear();
    let mut hello: Option<Message> = None;
    let mut restarts = 0;
    let mut seen = Seen::Nothing;
    for fragment in datagrams.flat_map(records).filter_map(|record| record.clear_handshake()).flat_map(fragments) {
        if fragment.kind != CLIENT_HELLO {
            seen.note(false);
            continue;
        }
        seen.note(true);
        if let Some(whole) = fragment.whole() {
            return answer(whole);
        }
        if fragment.bytes.is_empty() {
            continue;
        }
        // A later one, with a cookie, replaces one that lacks pieces.
        match &hello {
            None => hello = Some(Message::begin(&fragment, 0, scratch)),
            Some(old) if old.sequence < fragment.sequence && restarts < MOST_RESTARTS => {
                restarts += 1;
                hello = Some(Message::begin(&fragment, 0, scratch));
            }
            Some(_) => {}
        }
        if let Some(hello) = &mut hello {
            hello.take(&fragment, scratch);
            if let Some(whole) = hello.whole(scratch) {
                return answer(whole);
            }
        }
    }
    seen.reading()
}

fn answer(hello: &[u8]) -> Reading<tls::ClientHello> {
    match hello::read(hello, Carrier::Dtls) {
        Some(hello) => Reading::Is(hello.summary()),
        None => Reading::Not,
    }
}

/// Reads what the server says before it encrypts. `Is` as soon as the leaf certificate is whole or none will come.
pub fn server_flight<'a>(
    datagrams: impl Iterator<Item = &'a [u8]>,
    scratch: &mut Vec<u8>,
) -> Reading<tls::ServerFlight> {
    scratch.clear();
    let mut said: Option<tls::ServerFlight> = None;
    let mut parts: [Option<Message>; 2] = [None, None];
    let mut seen = Seen::Nothing;
    let mut over = false;
    for record in datagrams.flat_map(records) {
        let Some(handshake) = record.clear_handshake() else {
            over |= record.kind == CHANGE_CIPHER_SPEC || record.epoch > 0;
            continue;
        };
        for fragment in fragments(handshake) {
            let slot = match fragment.kind {
                SERVER_HELLO => 0,
                CERTIFICATE => 1,
                HELLO_VERIFY_REQUEST => {
                    seen.note(true);
                    continue;
                }
                kind => {
                    seen.note(kind > SERVER_HELLO);
                    // What follows the certificate, if there was to be one, may overtake it; the last may not.
                    over |= kind == SERVER_HELLO_DONE;
                    continue;
                }
            };
            seen.note(true);
            let Some(part) = parts.get_mut(slot).filter(|_| !fragment.bytes.is_empty()) else { continue };
            part.get_or_insert_with(|| Message::begin(&fragment, scratch.len(), scratch)).take(&fragment, scratch);
        }
        let [hello, certificate] = &parts;
        if said.is_none()
            && let Some(whole) = hello.as_ref().and_then(|hello| hello.whole(scratch))
        {
            let Some(read) = server::server_hello(whole) else { return Reading::Not };
            said = Some(read);
        }
        if let Some(said) = &mut said
            && (said.version >= 0x0304
                || certificate.as_ref().is_some_and(|part| server::certificate(part.beginning(scratch), false, said)))
        {
            return Reading::Is(std::mem::take(said));
        }
    }
    match said {
        // A certificate that has begun will be sent again until it is whole.
        Some(said) if over && parts.iter().flatten().all(|part| part.whole(scratch).is_some()) => Reading::Is(said),
        _ => seen.reading(),
    }
}

/// Whether the first handshake message was one to expect.
#[derive(Clone, Copy)]
enum Seen {
    Nothing,
    Expected,
    Other,
}

impl Seen {
    fn note(&mut self, expected: bool) {
        if let Seen::Nothing = self {
            *self = if expected { Seen::Expected } else { Seen::Other };
        }
    }

    fn reading<T>(self) -> Reading<T> {
        match self {
            Seen::Other => Reading::Not,
            Seen::Nothing | Seen::Expected => Reading::More,
        }
    }
}

/// One record.
struct Record<'a> {
    kind: u8,
    epoch: u16,
    sequence: u64,
    content: &'a [u8],
}

/// Reads the record at the beginning (RFC 6347 section 4.1); also gives what follows it.
fn record(datagram: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let mut left = Cursor(datagram);
    let kind = left.u8().filter(|kind| (CHANGE_CIPHER_SPEC..=HEARTBEAT).contains(kind))?;
    left.u16().filter(|version| matches!(version, 0xfefd..=0xfeff | 0x0100))?;
    let epoch = left.u16()?;
    let sequence = left.array().map(|[a, b, c, d, e, f]| u64::from_be_bytes([0, 0, a, b, c, d, e, f]))?;
    let length = left.u16().filter(|length| (1..=LONGEST_RECORD).contains(length))?;
    let content = left.take(usize::from(length))?;
    Some((Record { kind, epoch, sequence, content }, left.0))
}

/// The records of a datagram, up to what is none.
fn records(datagram: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let mut left = datagram;
    let records = std::iter::from_fn(move || {
        let (record, rest) = record(left)?;
        left = rest;
        Some(record)
    });
    records.take(MOST_RECORDS)
}

impl<'a> Record<'a> {
    /// Whether a record of this type and epoch may look like this.
    fn is_plausible(&self) -> bool {
        if self.sequence >= 1 << 40 {
            return false;
        }
        match (self.kind, self.epoch) {
            (CHANGE_CIPHER_SPEC, 0) => matches!(self.content, [1] | [1, _, _]),
            (ALERT, 0) => matches!(self.content, [1 | 2, _]),
            (HANDSHAKE, 0) => fragments(self.content).next().is_some(),
            (APPLICATION_DATA | HEARTBEAT, 0) => false,
            // Encrypted: a tag at least.
            _ => self.content.len() >= 8,
        }
    }

    /// The content, if it is handshake in the clear.
    fn clear_handshake(&self) -> Option<&'a [u8]> {
        (self.kind == HANDSHAKE && self.epoch == 0).then_some(self.content)
    }
}

/// A piece of a handshake message.
struct Fragment<'a> {
    kind: u8,
    length: u32,
    sequence: u16,
    offset: u32,
    bytes: &'a [u8],
}

/// The pieces in a record, RFC 6347 section 4.2.2.
fn fragments(record: &[u8]) -> impl Iterator<Item = Fragment<'_>> {
    let mut left = Cursor(record);
    std::iter::from_fn(move || {
        if left.0.len() < MESSAGE_HEADER {
            return None;
        }
        let (kind, length, sequence, offset) = (left.u8()?, left.u24()?, left.u16()?, left.u24()?);
        let here = left.u24()?;
        let sound = kind <= 24 && length <= LONGEST_MESSAGE && offset.checked_add(here)? <= length;
        let bytes = left.take(here as usize).filter(|_| sound)?;
        Some(Fragment { kind, length, sequence, offset, bytes })
    })
}

impl<'a> Fragment<'a> {
    /// The message, if this is all of it.
    fn whole(&self) -> Option<&'a [u8]> {
        (self.bytes.len() == self.length as usize).then_some(self.bytes)
    }
}

/// A message being put together in the scratch buffer.
struct Message {
    sequence: u16,
    start: usize,
    length: u32,
    have: Ranges,
}

impl Message {
    /// Makes room for the message of which this is a piece. What stood there before may stay: only what has come is
    /// ever looked at.
    fn begin(fragment: &Fragment, start: usize, scratch: &mut Vec<u8>) -> Message {
        let end = start + fragment.length as usize;
        if scratch.len() < end {
            scratch.resize(end, 0);
        }
        Message { sequence: fragment.sequence, start, length: fragment.length, have: Ranges::default() }
    }

    fn take(&mut self, fragment: &Fragment, scratch: &mut [u8]) {
        if fragment.sequence != self.sequence || fragment.length != self.length {
            return;
        }
        let offset = fragment.offset as usize;
        let (from, end) = (self.start + offset, offset + fragment.bytes.len());
        if let Some(place) = scratch.get_mut(from..self.start + end) {
            place.copy_from_slice(fragment.bytes);
            self.have.add(offset, end);
        }
    }

    /// What is there from the beginning on.
    fn beginning<'s>(&self, scratch: &'s [u8]) -> &'s [u8] {
        scratch.get(self.start..self.start + self.have.contiguous()).unwrap_or_default()
    }

    fn whole<'s>(&self, scratch: &'s [u8]) -> Option<&'s [u8]> {
        Some(self.beginning(scratch)).filter(|bytes| bytes.len() == self.length as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tls::tests::{Offer, chain, example_certificate, handshake, server_hello, vector16};
    use super::*;

    fn record_of(kind: u8, epoch: u16, content: &[u8]) -> Vec<u8> {
        [&[kind, 0xfe, 0xfd][..], &epoch.to_be_bytes(), &[0, 0, 0, 0, 0, 7], &vector16(content)].concat()
    }

    /// Cuts a TLS handshake message into fragments of at most `size` bytes, each in a record and datagram.
    fn datagrams(message: &[u8], sequence: u16, size: usize) -> Vec<Vec<u8>> {
        let (head, body) = message.split_at(4);
        let pieces = body.chunks(size).enumerate().map(|(index, piece)| {
            let offset = (index * size) as u32;
            let length = piece.len() as u32;
            let header =
                [head, &sequence.to_be_bytes(), &offset.to_be_bytes()[1..], &length.to_be_bytes()[1..]].concat();
            record_of(22, 0, &[header, piece.to_vec()].concat())
        });
        pieces.collect()
    }

    fn offer(cookie: &[u8]) -> Vec<u8> {
        let mut offer = Offer::example("call.example.test");
        offer.version = 0xfefd;
        offer.cookie = Some(cookie.to_vec());
        offer.extensions.retain(|(kind, _)| *kind != 43);
        offer.message()
    }

    fn read_client(datagrams: &[Vec<u8>]) -> Reading<tls::ClientHello> {
        client_hello(datagrams.iter().map(|datagram| &**datagram), &mut Vec::new())
    }

    fn read_server(datagrams: &[Vec<u8>]) -> Reading<tls::ServerFlight> {
        server_flight(datagrams.iter().map(|datagram| &**datagram), &mut Vec::new())
    }

    #[test]
    fn a_hello_is_read_whole_and_in_pieces() {
        let stun = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[0; 12]].concat();
        let mut pieces = datagrams(&offer(b""), 0, 100);
        pieces.insert(0, stun);
        let mut swapped = pieces.clone();
        swapped.swap(1, 2);
        for flight in [datagrams(&offer(b""), 0, 9000), pieces, swapped] {
            let (last, before) = flight.split_last().unwrap();
            assert_eq!(read_client(before), Reading::More);
            assert!(looks_like(last));
            let Reading::Is(hello) = read_client(&flight) else { panic!("not read") };
            assert_eq!(hello.sni.as_deref(), Some("call.example.test"));
            assert_eq!(hello.version, 0x0303);
            assert!(hello.ja4.starts_with("dd2d1515h2_8daaf6152771_"), "{}", hello.ja4);
        }
    }

    #[test]
    fn a_hello_with_a_cookie_replaces_one_that_was_lost() {
        let mut flight = datagrams(&offer(b""), 0, 200);
        flight.remove(1);
        assert_eq!(read_client(&flight), Reading::More);
        flight.extend(datagrams(&offer(&[5; 20]), 1, 200));
        assert!(matches!(read_client(&flight), Reading::Is(_)));
    }

    #[test]
    fn empty_fragments_and_ever_later_hellos_change_nothing() {
        let flight = datagrams(&offer(b""), 0, 200);
        let (first, rest) = flight.split_first().unwrap();
        let empty = |sequence: u16| {
            let header = [&[1, 0, 0x40, 0][..], &sequence.to_be_bytes(), &[0; 6]].concat();
            record_of(22, 0, &header)
        };
        let empties = (1..100).map(empty).collect();
        assert!(matches!(read_client(&[vec![first.clone()], empties, rest.to_vec()].concat()), Reading::Is(_)));
        // After two restarts, the hello at hand stays.
        let begun = |sequence| datagrams(&offer(&[5; 20]), sequence, 200)[0].clone();
        let third = datagrams(&offer(&[5; 20]), 2, 200);
        let (third, others) = third.split_first().unwrap();
        let flight = [vec![first.clone(), begun(1), third.clone(), begun(9), begun(10)], others.to_vec()].concat();
        assert!(matches!(read_client(&flight), Reading::Is(_)));
    }

    #[test]
    fn dtls_1_3_is_told() {
        let mut offer = Offer::example("call.example.test");
        offer.version = 0xfefd;
        offer.cookie = Some(vec![]);
        offer.extensions.retain(|(kind, _)| *kind != 43);
        offer.extensions.push((43, vec![4, 0xfe, 0xfc, 0xfe, 0xfd]));
        let Reading::Is(hello) = read_client(&datagrams(&offer.message(), 0, 9000)) else { panic!("not read") };
        assert_eq!((hello.version, &hello.ja4[..3]), (0x0304, "dd3"));
        let answer = server_hello(0xfefd, &[(43, vec![0xfe, 0xfc])]);
        let Reading::Is(said) = read_server(&datagrams(&answer, 0, 9000)) else { panic!("not read") };
        assert_eq!(said.version, 0x0304);
        let with_ciphertext = [datagrams(&answer, 0, 9000).concat(), vec![0x2e, 1, 2, 3]].concat();
        assert!(looks_like(&with_ciphertext));
    }

    #[test]
    fn a_server_shows_its_certificate() {
        let verify = datagrams(&handshake(3, &[0xfe, 0xff, 1, 9]), 0, 9000);
        let hello = datagrams(&server_hello(0xfefd, &[]), 1, 40);
        let shown = datagrams(&chain(&example_certificate()), 2, 300);
        let done = datagrams(&handshake(12, &[1; 70]), 3, 9000);
        let straight = [verify.clone(), hello.clone(), shown.clone(), done.clone()].concat();
        let tangled = [verify.clone(), shown.clone(), done, hello.clone()].concat();
        for flight in [straight, tangled] {
            let Reading::Is(said) = read_server(&flight) else { panic!("not read") };
            assert_eq!(said.version, 0x0303);
            assert!(said.certificate.contains(&"chat.example.test".into()));
        }
        assert_eq!(read_server(&verify), Reading::More);
        assert_eq!(read_server(&[hello.clone(), shown[..1].to_vec()].concat()), Reading::More);
        let resumed = [hello, vec![record_of(20, 0, &[1])]].concat();
        let Reading::Is(said) = read_server(&resumed) else { panic!("not read") };
        assert!(said.certificate.is_empty());
    }

    #[test]
    fn records_are_told_from_other_datagrams() {
        let good = datagrams(&offer(b""), 0, 9000).concat();
        let mut old = good.clone();
        (old[1], old[2]) = (1, 0);
        for (bytes, expected) in [
            (good.clone(), true),
            (old, true),
            ([good.clone(), record_of(20, 0, &[1]), record_of(22, 1, &[9; 48])].concat(), true),
            (record_of(23, 1, &[0; 30]), true),
            (record_of(21, 0, &[2, 40]), true),
            (good[..good.len() - 1].to_vec(), false),
            ([&good[..], &[0]].concat(), false),
            (record_of(23, 0, &[0; 30]), false),
            (record_of(21, 0, &[9, 40]), false),
            (record_of(22, 0, &[9; 20]), false),
            (vec![22, 3, 1, 0, 1], false),
            (vec![], false),
        ] {
            assert_eq!(looks_like(&bytes), expected, "{bytes:?}");
        }
        let foreign = record_of(22, 0, &[handshake(2, &[])[..].to_vec(), vec![0; 8]].concat());
        assert_eq!(read_client(&[foreign]), Reading::Not);
    }
}
