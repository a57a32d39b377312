//! DHCP: what a device tells about itself when it asks for an address (RFC 2131, RFC 2132).

use std::net::Ipv4Addr;

use super::cursor::Cursor;
use super::text;

/// Fixed fields, without the cookie.
const FIXED: usize = 236;
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// Options looked at in one message.
const MOST_OPTIONS: usize = 128;

const REQUEST: u8 = 1;
const REPLY: u8 = 2;

const PAD: u8 = 0;
const END: u8 = 255;
const HOST_NAME: u8 = 12;
const REQUESTED_ADDRESS: u8 = 50;
const MESSAGE_TYPE: u8 = 53;
const PARAMETERS: u8 = 55;
const VENDOR_CLASS: u8 = 60;

/// One DHCP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dhcp<'a> {
    fixed: &'a [u8; FIXED],
    options: &'a [u8],
}

/// Reads a DHCP message: fields of fixed length, the magic cookie, options of which one is the message type.
pub fn read(datagram: &[u8]) -> Option<Dhcp<'_>> {
    let (fixed, rest) = datagram.split_first_chunk::<FIXED>()?;
    let (cookie, options) = rest.split_first_chunk::<4>()?;
    let &[operation, _, length, ..] = fixed;
    if !matches!(operation, REQUEST | REPLY) || length > 16 || *cookie != COOKIE {
        return None;
    }
    Some(Dhcp { fixed, options }).filter(|message| message.message_type().is_some())
}

impl<'a> Dhcp<'a> {
    /// Message type, option 53: 1 discover, 2 offer, 3 request, 5 acknowledgement, 8 inform.
    pub fn message_type(&self) -> Option<u8> {
        match self.option(MESSAGE_TYPE)? {
            [kind @ 1..=18] => Some(*kind),
            _ => None,
        }
    }

    /// Whether it comes from a server.
    pub fn is_reply(&self) -> bool {
        self.fixed.first() == Some(&REPLY)
    }

    /// The first option of this code.
    pub fn option(&self, code: u8) -> Option<&'a [u8]> {
        let mut left = Cursor(self.options);
        for _ in 0..MOST_OPTIONS {
            match left.u8()? {
                PAD => {}
                END => return None,
                found => {
                    let value = left.vector8()?;
                    if found == code {
                        return Some(value);
                    }
                }
            }
        }
        None
    }

    /// The options asked for, in order: option 55. Operating systems differ in it.
    pub fn parameters(&self) -> Option<&'a [u8]> {
        self.option(PARAMETERS)
    }

    /// Vendor class, option 60: "MSFT 5.0", "android-dhcp-14".
    pub fn vendor_class(&self) -> Option<&'a str> {
        text::text(terminated(self.option(VENDOR_CLASS)?))
    }

    /// Host name, option 12.
    pub fn host_name(&self) -> Option<&'a str> {
        text::text(terminated(self.option(HOST_NAME)?))
    }

    /// The address given to the client, or else the one that it asks for, or uses.
    pub fn address(&self) -> Option<Ipv4Addr> {
        let field = |at: usize| self.fixed.get(at..at + 4)?.first_chunk::<4>().copied();
        let (used, given) = (field(12), field(16));
        let asked = self.option(REQUESTED_ADDRESS).and_then(|value| value.as_array::<4>().copied());
        [given, asked, used].into_iter().flatten().map(Ipv4Addr::from).find(|address| !address.is_unspecified())
    }
}

/// Without the zeros that some put at the end.
fn terminated(value: &[u8]) -> &[u8] {
    value.get(..memchr::memchr(0, value).unwrap_or(value.len())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(operation: u8, given: [u8; 4], options: &[(u8, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![operation, 1, 6, 0, 1, 2, 3, 4];
        bytes.resize(16, 0);
        bytes.extend(given);
        bytes.resize(28, 0);
        bytes.extend([0x02, 0, 0x5e, 0x10, 0, 1]);
        bytes.resize(FIXED, 0);
        bytes.extend(COOKIE);
        bytes.push(PAD);
        for (code, value) in options {
            bytes.extend([*code, value.len() as u8]);
            bytes.extend(*value);
        }
        bytes.push(END);
        bytes
    }

    #[test]
    fn a_device_tells_about_itself() {
        let bytes = message(
            REQUEST,
            [0; 4],
            &[(53, &[3]), (50, &[192, 0, 2, 7]), (60, b"MSFT 5.0\0"), (12, b"Desk-7"), (55, &[1, 3, 6, 15])],
        );
        let request = read(&bytes).unwrap();
        assert_eq!((request.message_type(), request.is_reply()), (Some(3), false));
        assert_eq!((request.vendor_class(), request.host_name()), (Some("MSFT 5.0"), Some("Desk-7")));
        assert_eq!(request.parameters(), Some(&[1, 3, 6, 15][..]));
        assert_eq!(request.address(), Some([192, 0, 2, 7].into()));
        let bytes = message(REPLY, [192, 0, 2, 9], &[(53, &[5])]);
        let reply = read(&bytes).unwrap();
        assert_eq!((reply.is_reply(), reply.address(), reply.host_name()), (true, Some([192, 0, 2, 9].into()), None));
    }

    #[test]
    fn what_is_no_dhcp_is_refused() {
        let good = message(REQUEST, [0; 4], &[(53, &[1])]);
        assert!(read(&good).is_some());
        assert!(read(&good[..240]).is_none());
        assert!(read(&message(3, [0; 4], &[(53, &[1])])).is_none());
        assert!(read(&message(REQUEST, [0; 4], &[(12, b"a")])).is_none(), "BOOTP has no message type");
        assert!(read(&message(REQUEST, [0; 4], &[(53, &[99])])).is_none());
        let mut cookie = good.clone();
        cookie[FIXED] = 0;
        assert!(read(&cookie).is_none());
    }
}
