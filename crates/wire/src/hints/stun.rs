//! STUN and TURN messages (RFC 8489, RFC 8656, and RFC 3489 before them).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Reading;
use super::cursor::Cursor;

/// Type, length and transaction id.
const HEADER: usize = 20;
/// Longer messages are not looked for behind RFC 4571's length.
const LONGEST_FRAMED: usize = 4096;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

const MAPPED_ADDRESS: u16 = 0x0001;
const USERNAME: u16 = 0x0006;
const ERROR_CODE: u16 = 0x0009;
const REALM: u16 = 0x0014;
const SOFTWARE: u16 = 0x8022;

/// What kind of message it is (RFC 8489 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Asks.
    Request,
    /// Tells, expecting no answer.
    Indication,
    /// Answers.
    Success,
    /// Refuses.
    Error,
}

/// One STUN message, of sound structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stun<'a> {
    message: &'a [u8],
}

/// Reads a datagram that is exactly one STUN message: with the magic cookie and attributes that fill it, or without
/// cookie a Binding or Shared Secret message of RFC 3489 with at least one attribute, all of them of that RFC and of
/// the right form.
pub fn read(datagram: &[u8]) -> Option<Stun<'_>> {
    let found = begins(datagram)?;
    (found == datagram.len()).then_some(Stun { message: datagram }).filter(Stun::is_sound)
}

/// Reads the STUN message at the beginning of a TCP stream, with RFC 4571's length before it or bare; also says how
/// many bytes it took.
pub fn read_stream(stream: &[u8]) -> Reading<(Stun<'_>, usize)> {
    let bare = match stream.first() {
        None => return Reading::More,
        Some(first) => *first < 0x40,
    };
    let cookie_at = |start: usize| stream.get(start + 4..start + 8).map(|cookie| cookie == COOKIE);
    if bare && cookie_at(0) != Some(false) {
        if cookie_at(0).is_none() {
            return Reading::More;
        }
        let Some(length) = begins(stream) else {
            return if stream.len() < HEADER { Reading::More } else { Reading::Not };
        };
        return sound(stream.get(..length), length);
    }
    let Some((length, rest)) = stream.split_first_chunk::<2>() else { return Reading::More };
    let length = usize::from(u16::from_be_bytes(*length));
    if !(HEADER..LONGEST_FRAMED).contains(&length) || rest.first().is_some_and(|first| *first >= 0x40) {
        return Reading::Not;
    }
    match cookie_at(2) {
        None => Reading::More,
        Some(true) => match begins(rest) {
            Some(found) if found == length => sound(rest.get(..length), length + 2),
            None if rest.len() < HEADER => Reading::More,
            _ => Reading::Not,
        },
        Some(false) => Reading::Not,
    }
}

fn sound(message: Option<&[u8]>, used: usize) -> Reading<(Stun<'_>, usize)> {
    match message.map(|message| Stun { message }) {
        None => Reading::More,
        Some(stun) if stun.is_sound() => Reading::Is((stun, used)),
        Some(_) => Reading::Not,
    }
}

/// The length of the message that begins here; `None` if it can't be one.
fn begins(bytes: &[u8]) -> Option<usize> {
    let (&[first, _, high, low], rest) = bytes.split_first_chunk::<4>()?;
    (first < 0x40 && rest.len() >= HEADER - 4).then(|| HEADER + usize::from(u16::from_be_bytes([high, low])))
}

impl<'a> Stun<'a> {
    /// The method: 1 Binding; TURN's 3 Allocate, 4 Refresh, 6 Send, 7 Data, 8 CreatePermission, 9 ChannelBind.
    pub fn method(&self) -> u16 {
        let kind = self.kind();
        kind & 0x000f | kind >> 1 & 0x0070 | kind >> 2 & 0x0f80
    }

    /// The class.
    pub fn class(&self) -> Class {
        match self.kind() & 0x0110 {
            0x0000 => Class::Request,
            0x0010 => Class::Indication,
            0x0100 => Class::Success,
            _ => Class::Error,
        }
    }

    fn kind(&self) -> u16 {
        self.message.first_chunk().map_or(0, |kind| u16::from_be_bytes(*kind))
    }

    /// Whether it is of RFC 3489, without the magic cookie.
    pub fn classic(&self) -> bool {
        self.message.get(4..8) != Some(&COOKIE)
    }

    /// The transaction id: 12 bytes, or 16 in classic STUN.
    pub fn transaction(&self) -> &'a [u8] {
        self.message.get(if self.classic() { 4 } else { 8 }..HEADER).unwrap_or_default()
    }

    /// Every attribute: type and value.
    pub fn attributes(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        Attributes(Cursor(self.message.get(HEADER..).unwrap_or_default()))
    }

    /// The first attribute of this type.
    pub fn attribute(&self, wanted: u16) -> Option<&'a [u8]> {
        self.attributes().find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
    }

    /// SOFTWARE.
    pub fn software(&self) -> Option<&'a str> {
        self.text(SOFTWARE)
    }

    /// USERNAME.
    pub fn username(&self) -> Option<&'a [u8]> {
        self.attribute(USERNAME)
    }

    /// REALM.
    pub fn realm(&self) -> Option<&'a str> {
        self.text(REALM)
    }

    fn text(&self, kind: u16) -> Option<&'a str> {
        let value = std::str::from_utf8(self.attribute(kind)?).ok()?;
        // Some count the padding, or C's end of string, into the value.
        Some(value.trim_end_matches(['\0', ' '])).filter(|value| !value.is_empty())
    }

    /// Every address in it, with the type of its attribute.
    pub fn addresses(&self, mut f: impl FnMut(u16, SocketAddr)) {
        for (kind, value) in self.attributes() {
            let address = match kind {
                // MAPPED, RESPONSE, SOURCE, CHANGED, REFLECTED-FROM; ALTERNATE-SERVER, RESPONSE-ORIGIN, OTHER.
                MAPPED_ADDRESS | 0x0002 | 0x0004 | 0x0005 | 0x000b | 0x8023 | 0x802b | 0x802c => {
                    address(value, &[0; 16])
                }
                // XOR-PEER, XOR-RELAYED, XOR-MAPPED and what it was before it had a number.
                0x0012 | 0x0016 | 0x0020 | 0x8020 => {
                    let mask = self.message.get(4..HEADER).and_then(|mask| mask.first_chunk());
                    mask.and_then(|mask| address(value, mask))
                }
                _ => None,
            };
            if let Some(address) = address {
                f(kind, address);
            }
        }
    }

    /// Bytes, with header.
    #[expect(clippy::len_without_is_empty, reason = "a message has a header, so it is never empty")]
    pub fn len(&self) -> usize {
        self.message.len()
    }

    fn is_sound(&self) -> bool {
        let mut attributes = Attributes(Cursor(self.message.get(HEADER..).unwrap_or_default()));
        if !self.classic() {
            return attributes.by_ref().count() < 128 && attributes.0.is_empty();
        }
        let mut count = 0;
        let all = attributes.by_ref().all(|(kind, value)| {
            count += 1;
            is_classic(kind, value)
        });
        all && count > 0
            && matches!(self.method(), 1 | 2)
            && self.class() != Class::Indication
            && attributes.0.is_empty()
    }
}

/// Attributes back to back, each padded to four bytes (the last may lack that).
struct Attributes<'a>(Cursor<'a>);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let mut left = self.0;
        let kind = left.u16()?;
        let value = left.vector16()?;
        left.take((value.len().wrapping_neg() & 3).min(left.0.len()))?;
        self.0 = left;
        Some((kind, value))
    }
}

/// Whether RFC 3489 (section 11.2) or its first extensions have such an attribute.
fn is_classic(kind: u16, value: &[u8]) -> bool {
    match kind {
        MAPPED_ADDRESS | 0x0002 | 0x0004 | 0x0005 | 0x000b | 0x8020 => {
            matches!(value, [0, 1, ..] if value.len() == 8) || matches!(value, [0, 2, ..] if value.len() == 20)
        }
        // CHANGE-REQUEST.
        0x0003 => matches!(value, [0, 0, 0, flags] if flags & !6 == 0),
        // USERNAME, PASSWORD.
        USERNAME | 0x0007 => !value.is_empty() && value.len() <= 512,
        // MESSAGE-INTEGRITY.
        0x0008 => value.len() == 20,
        ERROR_CODE => matches!(value, [0, 0, 1..=6, 0..=99, ..]),
        // UNKNOWN-ATTRIBUTES.
        0x000a => !value.is_empty() && value.len().is_multiple_of(2),
        // SERVER.
        SOFTWARE => std::str::from_utf8(value).is_ok_and(|text| !text.is_empty()),
        _ => false,
    }
}

/// Family, port and address under a mask (RFC 8489 section 14.2).
fn address(value: &[u8], mask: &[u8; 16]) -> Option<SocketAddr> {
    let (&[_, family, p0, p1], address) = value.split_first_chunk::<4>()?;
    let &[m0, m1, m2, m3, ..] = mask;
    let port = u16::from_be_bytes([p0 ^ m0, p1 ^ m1]);
    let ip: IpAddr = match family {
        1 => {
            let &[a, b, c, d] = address.as_array()?;
            Ipv4Addr::new(a ^ m0, b ^ m1, c ^ m2, d ^ m3).into()
        }
        2 => {
            let address: &[u8; 16] = address.as_array()?;
            Ipv6Addr::from(u128::from_be_bytes(*address) ^ u128::from_be_bytes(*mask)).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: [u8; 12] = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];

    fn message(kind: u16, id: &[u8], attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (kind, value) in attributes {
            body.extend(kind.to_be_bytes());
            body.extend((value.len() as u16).to_be_bytes());
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), b' ');
        }
        [&kind.to_be_bytes()[..], &(body.len() as u16).to_be_bytes(), id, &body].concat()
    }

    fn modern(kind: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        message(kind, &[&COOKIE[..], &ID].concat(), attributes)
    }

    fn addresses(stun: &Stun) -> Vec<(u16, SocketAddr)> {
        let mut found = Vec::new();
        stun.addresses(|kind, address| found.push((kind, address)));
        found
    }

    /// RFC 5769 section 2.1.
    fn sample_request() -> Vec<u8> {
        let integrity = [
            0x9a, 0xea, 0xa7, 0x0c, 0xbf, 0xd8, 0xcb, 0x56, 0x78, 0x1e, 0xf2, 0xb5, 0xb2, 0xd3, 0xf2, 0x49, 0xc1, 0xb5,
            0x71, 0xa2,
        ];
        modern(
            0x0001,
            &[
                (0x8022, b"STUN test client"),
                (0x0024, &[0x6e, 0, 1, 0xff]),
                (0x8029, &[0x93, 0x2f, 0xf9, 0xb1, 0x51, 0x26, 0x3b, 0x36]),
                (0x0006, b"evtj:h6vY"),
                (0x0008, &integrity),
                (0x8028, &[0xe5, 0x7a, 0x3b, 0xcf]),
            ],
        )
    }

    #[test]
    fn the_sample_messages_of_rfc_5769_are_read() {
        let request = sample_request();
        let stun = read(&request).unwrap();
        assert_eq!((stun.method(), stun.class(), stun.classic()), (1, Class::Request, false));
        assert_eq!(stun.transaction(), ID);
        assert_eq!(stun.software(), Some("STUN test client"));
        assert_eq!(stun.username(), Some(&b"evtj:h6vY"[..]));
        assert_eq!(stun.len(), 108);

        let mapped = [0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43];
        let response = modern(0x0101, &[(0x8022, b"test vector"), (0x0020, &mapped)]);
        let stun = read(&response).unwrap();
        assert_eq!(stun.class(), Class::Success);
        assert_eq!(addresses(&stun), [(0x0020, "192.0.2.1:32853".parse().unwrap())]);
        let mapped = [
            0x00, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2,
            0xb9, 0xd9,
        ];
        let response = modern(0x0101, &[(0x0020, &mapped)]);
        let expected = "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap();
        assert_eq!(addresses(&read(&response).unwrap()), [(0x0020, expected)]);
    }

    #[test]
    fn methods_and_classes_are_told() {
        for (kind, method, class) in [
            (0x0003, 3, Class::Request),
            (0x0103, 3, Class::Success),
            (0x0113, 3, Class::Error),
            (0x0016, 6, Class::Indication),
        ] {
            let bytes = modern(kind, &[]);
            let stun = read(&bytes).unwrap();
            assert_eq!((stun.method(), stun.class()), (method, class), "{kind:x}");
        }
        assert_eq!(read(&modern(0x3eef, &[])).unwrap().method(), 0xfff);
    }

    #[test]
    fn classic_messages_need_their_attributes() {
        let mapped: &[u8] = &[0, 1, 0x13, 0x88, 198, 51, 100, 7];
        let id = [7; 16];
        let response = message(0x0101, &id, &[(1, mapped), (4, mapped), (5, mapped)]);
        let stun = read(&response).unwrap();
        assert!(stun.classic() && stun.transaction().len() == 16);
        assert_eq!(addresses(&stun).len(), 3);
        assert_eq!(addresses(&stun)[0], (1, "198.51.100.7:5000".parse().unwrap()));
        assert!(read(&message(0x0001, &id, &[(3, &[0, 0, 0, 6])])).is_some());
        for bytes in [
            message(0x0001, &id, &[]),
            message(0x0001, &id, &[(3, &[0, 0, 0, 1])]),
            message(0x0001, &id, &[(0x8899, &[0; 4])]),
            message(0x0101, &id, &[(1, &[0, 3, 0, 0, 1, 2, 3, 4])]),
            message(0x0011, &id, &[(1, mapped)]),
            message(0x0005, &id, &[(1, mapped)]),
        ] {
            assert!(read(&bytes).is_none(), "{bytes:?}");
        }
    }

    #[test]
    fn lengths_have_to_fit() {
        let good = sample_request();
        for cut in 0..good.len() {
            assert!(read(&good[..cut]).is_none(), "cut at {cut}");
        }
        assert!(read(&[&good[..], &[0]].concat()).is_none());
        let mut overlong = modern(0x0001, &[(0x8022, b"abcd")]);
        overlong[23] = 40;
        assert!(read(&overlong).is_none());
        assert!(read(&[&[0x80][..], &good[1..]].concat()).is_none());
    }

    #[test]
    fn streams_hold_messages_bare_or_framed() {
        let message = sample_request();
        let framed = [&(message.len() as u16).to_be_bytes()[..], &message].concat();
        for (stream, whole) in [(&message, message.len()), (&framed, framed.len())] {
            for cut in 0..whole {
                assert_eq!(read_stream(&stream[..cut]), Reading::More, "cut at {cut}");
            }
            let more = [&stream[..], b"more"].concat();
            let Reading::Is((stun, used)) = read_stream(&more) else { panic!("not read") };
            assert_eq!((stun.len(), used), (message.len(), whole));
        }
        assert_eq!(read_stream(b"GET / HTTP/1.1"), Reading::Not);
        assert_eq!(read_stream(&[0, 1, 0, 8, 0, 0, 0, 0, 0, 0]), Reading::Not);
    }
}
