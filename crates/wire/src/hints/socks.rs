//! SOCKS 4, 4a and 5 (RFC 1928, RFC 1929): where a client asks its proxy to connect.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::cursor::Cursor;
use super::{Reading, text};

/// Longest user id of SOCKS 4 that is believed.
const LONGEST_USER: usize = 255;

const SOCKS4: u8 = 4;
const SOCKS5: u8 = 5;
/// Version of the answers of SOCKS 4.
const REPLY4: u8 = 0;

/// Whom a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// By name, lower case.
    Name(Box<str>),
    /// By address.
    Address(IpAddr),
}

/// Reads the request, given what both sides have sent: target, port, and where in the client's stream that of the
/// tunnelled connection starts. The server has to have answered as SOCKS does, for requests alone are too easily met
/// by chance.
pub fn request(client: &[u8], server: &[u8]) -> Reading<(Target, u16, usize)> {
    match client.first() {
        None => Reading::More,
        Some(&SOCKS4) => reading(socks4(client, server)),
        Some(&SOCKS5) => reading(socks5(client, server)),
        Some(_) => Reading::Not,
    }
}

/// How long the server's own answers are, before the tunnelled stream begins: method, login, reply. What has not
/// come yet counts as nothing.
pub fn reply(server: &[u8]) -> usize {
    match *server {
        [REPLY4, _, ..] => 8.min(server.len()),
        [SOCKS5, method, ref rest @ ..] => {
            // RFC 1929 logins are answered with version 1 and a status.
            let login = if method == 2 { 2 } else { 0 };
            let length = match rest.get(login..).unwrap_or_default() {
                [SOCKS5, _, _, 1, ..] => 10,
                [SOCKS5, _, _, 4, ..] => 22,
                [SOCKS5, _, _, 3, name, ..] => 7 + usize::from(*name),
                _ => 0,
            };
            (2 + login + length).min(server.len())
        }
        _ => 0,
    }
}

/// Why there is no answer.
enum Lack {
    /// More bytes are needed.
    Bytes,
    /// It isn't SOCKS.
    Sense,
}

fn reading<T>(result: Result<T, Lack>) -> Reading<T> {
    match result {
        Ok(found) => Reading::Is(found),
        Err(Lack::Bytes) => Reading::More,
        Err(Lack::Sense) => Reading::Not,
    }
}

/// Goes on if `sound`.
fn ensure(sound: bool) -> Result<(), Lack> {
    if sound { Ok(()) } else { Err(Lack::Sense) }
}

fn socks4(client: &[u8], server: &[u8]) -> Result<(Target, u16, usize), Lack> {
    let mut left = Cursor(client);
    left.u8().ok_or(Lack::Bytes)?;
    // CONNECT and BIND.
    ensure(matches!(left.u8().ok_or(Lack::Bytes)?, 1 | 2))?;
    let port = left.u16().ok_or(Lack::Bytes)?;
    let address: [u8; 4] = left.array().ok_or(Lack::Bytes)?;
    let user = terminated(&mut left)?;
    ensure(user.iter().all(|byte| !byte.is_ascii_control()))?;
    let target = match address {
        // 4a: an address that can't be says that a name follows.
        [0, 0, 0, 1..=255] => Target::Name(text::host(terminated(&mut left)?).ok_or(Lack::Sense)?),
        address => Target::Address(Ipv4Addr::from(address).into()),
    };
    match server {
        [] | [REPLY4] => Err(Lack::Bytes),
        [REPLY4, 0x5a..=0x5d, ..] => Ok((target, port, client.len() - left.0.len())),
        _ => Err(Lack::Sense),
    }
}

/// Bytes up to a zero.
fn terminated<'a>(left: &mut Cursor<'a>) -> Result<&'a [u8], Lack> {
    match memchr::memchr(0, left.0) {
        Some(end) if end <= LONGEST_USER => {
            let bytes = left.take(end).ok_or(Lack::Bytes)?;
            left.u8().ok_or(Lack::Bytes)?;
            Ok(bytes)
        }
        None if left.0.len() <= LONGEST_USER => Err(Lack::Bytes),
        _ => Err(Lack::Sense),
    }
}

fn socks5(client: &[u8], server: &[u8]) -> Result<(Target, u16, usize), Lack> {
    let mut left = Cursor(client);
    left.u8().ok_or(Lack::Bytes)?;
    let count = left.u8().ok_or(Lack::Bytes)?;
    ensure((1..=16).contains(&count))?;
    let methods = left.take(usize::from(count)).ok_or(Lack::Bytes)?;
    let mut answers = Cursor(server);
    ensure(server.first().is_none_or(|version| *version == SOCKS5))?;
    let (_, chosen) = (answers.u8().ok_or(Lack::Bytes)?, answers.u8().ok_or(Lack::Bytes)?);
    ensure(methods.contains(&chosen))?;
    match chosen {
        0 => {}
        2 => {
            ensure(left.u8().ok_or(Lack::Bytes)? == 1)?;
            left.vector8().ok_or(Lack::Bytes)?;
            left.vector8().ok_or(Lack::Bytes)?;
            ensure(answers.u8().is_none_or(|version| version == 1))?;
        }
        // GSSAPI and private methods wrap what follows.
        _ => return Err(Lack::Sense),
    }
    let [version, command, reserved] = left.array().ok_or(Lack::Bytes)?;
    ensure(version == SOCKS5 && (1..=3).contains(&command) && reserved == 0)?;
    let target = match left.u8().ok_or(Lack::Bytes)? {
        1 => Target::Address(Ipv4Addr::from(left.array::<4>().ok_or(Lack::Bytes)?).into()),
        4 => Target::Address(Ipv6Addr::from(left.array::<16>().ok_or(Lack::Bytes)?).into()),
        3 => named(left.vector8().ok_or(Lack::Bytes)?)?,
        _ => return Err(Lack::Sense),
    };
    let port = left.u16().ok_or(Lack::Bytes)?;
    Ok((target, port, client.len() - left.0.len()))
}

/// A name, which may be an address in letters.
fn named(name: &[u8]) -> Result<Target, Lack> {
    let address = std::str::from_utf8(name).ok().and_then(|name| name.parse().ok());
    match address {
        Some(address) => Ok(Target::Address(address)),
        None => text::host(name).map(Target::Name).ok_or(Lack::Sense),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> Target {
        Target::Name(name.into())
    }

    #[test]
    fn the_servers_own_answers_are_told_from_the_stream() {
        let named = [&[5, 0, 5, 0, 0, 3, 2][..], b"ab", &[0, 80], b"hello"].concat();
        for (server, length) in [
            (&[0, 0x5a, 0, 0, 0, 0, 0, 0, b'h'][..], 8),
            (&[5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0, b'h'], 12),
            (&[5, 2, 1, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0], 14),
            (&named, named.len() - 5),
            (&[5, 0], 2),
            (b"hello", 0),
            (b"", 0),
        ] {
            assert_eq!(reply(server), length, "{server:?}");
        }
    }

    #[test]
    fn requests_of_each_version_are_read() {
        let v4 = [&[4, 1, 0, 80, 192, 0, 2, 1][..], b"me\0GET"].concat();
        let v4a = [&[4, 1, 1, 0xbb, 0, 0, 0, 1, 0][..], b"Chat.Example.test\0"].concat();
        let v5 = [&[5, 2, 0, 2, 5, 1, 0, 3, 17][..], b"chat.example.test", &[1, 0xbb, 22, 3]].concat();
        let v5_user = [&[5, 1, 2, 1, 2][..], b"me", &[2], b"pw", &[5, 1, 0, 1, 192, 0, 2, 1, 0, 80]].concat();
        let v6 = [&[5, 1, 0, 5, 1, 0, 4][..], &[0x20; 16], &[0, 80]].concat();
        let literal = [&[5, 1, 0, 5, 1, 0, 3, 9][..], b"192.0.2.1", &[0, 80]].concat();
        let four = Target::Address([192, 0, 2, 1].into());
        for (client, server, target, port, start) in [
            (&v4, &[0, 0x5a][..], four.clone(), 80, v4.len() - 3),
            (&v4a, &[0, 0x5b], name("chat.example.test"), 443, v4a.len()),
            (&v5, &[5, 0], name("chat.example.test"), 443, v5.len() - 2),
            (&v5_user, &[5, 2, 1, 0], four.clone(), 80, v5_user.len()),
            (&v6, &[5, 0], Target::Address([0x20; 16].into()), 80, v6.len()),
            (&literal, &[5, 0], four, 80, literal.len()),
        ] {
            assert_eq!(request(client, server), Reading::Is((target, port, start)));
            for cut in 0..start {
                assert_eq!(request(&client[..cut], server), Reading::More, "cut at {cut} of {client:?}");
            }
            assert_eq!(request(client, &[]), Reading::More, "the server has to answer");
        }
    }

    #[test]
    fn what_is_no_socks_is_refused() {
        let v4: &[u8] = &[4, 1, 0, 80, 192, 0, 2, 1, 0];
        for (client, server) in [
            (&b"GET /"[..], &[][..]),
            (&[4, 9, 0, 80], &[]),
            (v4, b"HTTP"),
            (v4, &[0, 0x10]),
            (&[4, 1, 0, 80, 192, 0, 2, 1, 7, 0], &[0, 0x5a]),
            (&[4, 1, 0, 80, 0, 0, 0, 1, 0, b' ', 0], &[0, 0x5a]),
            (&[5, 0], &[]),
            (&[5, 200], &[]),
            (&[5, 1, 0, 5, 1, 0, 1], &[5, 2]),
            (&[5, 1, 0, 5, 1, 0, 1], &[4, 0]),
            (&[5, 1, 0, 5, 9, 0, 1], &[5, 0]),
            (&[5, 1, 0, 5, 1, 0, 2], &[5, 0]),
        ] {
            assert_eq!(request(client, server), Reading::Not, "{client:?} {server:?}");
        }
    }
}
