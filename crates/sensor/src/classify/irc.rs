//! IRC (RFC 1459, RFC 2812, IRCv3): lines of clients and servers, and the direct connections (DCC) that they offer.

use std::net::{IpAddr, Ipv4Addr};

use super::{Classifier, Inside, Opinion, Over, Said};
use crate::bytes::{lines, number, quote, words};
use crate::lore::Lore;
use crate::view::{Endpoint, FlowView, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "irc",
    applications: &["irc"],
    looks_for: "IRC commands and replies",
    over: Over::Tcp,
    inside: Inside::PLAIN,
    classify,
    follow: Some(follow),
};

/// What the lines of a conversation must weigh together: other protocols have a `USER` or a `PING` too.
const ENOUGH: u32 = 2;
/// How many lines and bytes of one direction are read, and how many foreign lines are passed over.
const LINES: usize = 64;
const BYTES: usize = 4096;
const JUNK: usize = 8;
/// For how many packets the name waits for a channel to quote.
const PATIENCE: usize = 12;
/// How much of a channel's name is quoted.
const CHANNEL: usize = 48;

fn classify(view: &FlowView) -> Opinion {
    let mut seen = Seen::default();
    let mut text = true;
    for way in [Way::ToServer, Way::ToClient] {
        let stream = view.first(way);
        if !could_be_text(stream) {
            return Opinion::No;
        }
        text &= seen.read(stream.get(..BYTES).unwrap_or(stream));
    }
    // What goes on enciphered (STARTTLS) has said all that it will say.
    let settled = seen.channels[0].is_some() || view.last || view.heard >= PATIENCE || !text;
    match seen.weight {
        ENOUGH.. if settled => Opinion::payload("irc", seen.evidence()),
        _ if view.last || !text => Opinion::No,
        0 if view.heard >= PATIENCE => Opinion::No,
        _ => Opinion::NeedMore,
    }
}

/// A look at the first bytes: nothing binary among them.
fn could_be_text(stream: &[u8]) -> bool {
    stream.iter().take(12).all(|&byte| byte >= b' ' || matches!(byte, b'\r' | b'\n' | b'\t' | 1..=3 | 15 | 22 | 31))
}

/// What the lines so far say.
#[derive(Default)]
struct Seen<'a> {
    weight: u32,
    pinged: bool,
    commands: [Option<&'a [u8]>; 4],
    channels: [Option<&'a [u8]>; 2],
}

impl<'a> Seen<'a> {
    /// Reads one direction; false when its lines are not IRC.
    fn read(&mut self, stream: &'a [u8]) -> bool {
        let (mut junk, mut good) = (0, 0);
        for line in lines(stream).take(LINES) {
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            if line.contains(&0) {
                return false;
            }
            match self.line(line) {
                true => good += 1,
                false => junk += 1,
            }
            if junk > JUNK && good < junk {
                return false;
            }
        }
        true
    }

    /// Weighs one line; false when it is none of IRC's.
    fn line(&mut self, line: &'a [u8]) -> bool {
        let mut words = words(line).peekable();
        // IRCv3 message tags, then who says it.
        if words.peek().is_some_and(|word| word.starts_with(b"@") && word.contains(&b'=')) {
            words.next();
        }
        let from = words.next_if(|word| word.len() > 1 && word.starts_with(b":"));
        let Some(command) = words.next() else { return false };
        let mut upper = [0; 12];
        let Some(upper) = upper.get_mut(..command.len()) else { return false };
        upper.copy_from_slice(command);
        upper.make_ascii_uppercase();
        let (first, second) = (words.next(), words.next());
        let trailing = |word: Option<&[u8]>| word.is_some_and(|word| word.starts_with(b":"));
        let weight = match &*upper {
            [a, b, c] if [a, b, c].iter().all(|digit| digit.is_ascii_digit()) => {
                // A reply: `:server 001 nick :Welcome`.
                if from.is_none() || first.is_none() {
                    return false;
                }
                2
            }
            b"NICK" if first.is_some() && (second.is_none() || from.is_none()) => 1,
            b"USER" if second.is_some() && words.next().is_some() && words.next().is_some() => 2,
            b"JOIN" if first.and_then(channel).is_some() => 2,
            b"PART" | b"TOPIC" | b"KICK" | b"NAMES" if first.and_then(channel).is_some() => 1,
            b"PRIVMSG" if first.is_some() && trailing(second) => 2,
            b"NOTICE" if first.is_some() && trailing(second) => 2,
            b"CAP" if capability(first, from, second) => 2,
            // Pings of any number weigh as one: others have them too.
            b"PING" | b"PONG" if first.is_some() => u32::from(!std::mem::replace(&mut self.pinged, true)),
            b"MODE" if first.is_some() && from.is_some() => 1,
            b"MODE" if first.and_then(channel).is_some() => 1,
            b"QUIT" if trailing(first) => 1,
            b"ERROR" if trailing(first) => 1,
            b"SERVER" | b"WEBIRC" if second.is_some() && trailing_in(line) => 1,
            b"PASS" | b"WHO" | b"WHOIS" | b"MODE" | b"AWAY" | b"LIST" | b"MOTD" | b"LUSERS" | b"ISON" | b"USERHOST"
            | b"OPER" | b"STARTTLS" | b"AUTHENTICATE" | b"QUIT" | b"PROTOCTL" | b"INVITE" | b"WALLOPS" | b"USER"
            | b"NAMES" | b"VERSION" | b"PING" | b"PONG" => 0,
            _ => return false,
        };
        // A prefix with a user in it (`:nick!user@host`) is IRC's alone.
        let weight = weight + u32::from(weight > 0 && from.is_some_and(is_mask));
        self.weight += weight;
        if weight > 0 {
            if let Some(name) = first.and_then(channel).filter(|_| matches!(&*upper, b"JOIN" | b"TOPIC" | b"MODE")) {
                keep(&mut self.channels, name);
            }
            let reply = command.iter().all(u8::is_ascii_digit);
            keep(&mut self.commands, if reply { b"replies" } else { command });
        }
        true
    }

    /// "IRC lines NICK, USER, JOIN #name".
    fn evidence(&self) -> String {
        let mut text = String::from("IRC lines");
        for (at, command) in self.commands.iter().flatten().filter(|word| !is_join(word)).enumerate() {
            text.push_str(if at == 0 { " " } else { ", " });
            text.push_str(&quote(command, 12).to_ascii_uppercase().replace("REPLIES", "replies"));
        }
        let joined = self.commands.iter().flatten().any(|word| is_join(word));
        if joined || self.channels[0].is_some() {
            text.push_str(if text.ends_with("lines") { " " } else { ", " });
            text.push_str(if joined { "JOIN" } else { "channel" });
        }
        for (at, name) in self.channels.iter().flatten().enumerate() {
            text.push_str(if at == 0 { " " } else { " and " });
            text.push_str(&quote(name, CHANNEL));
        }
        text
    }
}

fn is_join(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"JOIN")
}

/// Remembers a word in the first free place, once.
fn keep<'a, const N: usize>(places: &mut [Option<&'a [u8]>; N], word: &'a [u8]) {
    for place in places {
        match place {
            Some(kept) if kept.eq_ignore_ascii_case(word) => return,
            Some(_) => {}
            None => {
                *place = Some(word);
                return;
            }
        }
    }
}

/// `CAP LS`, `CAP REQ :multi-prefix`, `:server CAP * ACK :...` (IRCv3 capability negotiation).
fn capability(first: Option<&[u8]>, from: Option<&[u8]>, second: Option<&[u8]>) -> bool {
    let verb = if from.is_some() { second } else { first };
    let known: [&[u8]; 8] = [b"LS", b"LIST", b"REQ", b"ACK", b"NAK", b"END", b"NEW", b"DEL"];
    verb.is_some_and(|verb| known.iter().any(|known| verb.eq_ignore_ascii_case(known)))
}

/// The first channel of a list (`#a,#b`), without a leading colon.
fn channel(word: &[u8]) -> Option<&[u8]> {
    let word = word.strip_prefix(b":").unwrap_or(word);
    let name = word.split(|&byte| byte == b',').next()?;
    (name.len() > 1 && matches!(name.first(), Some(b'#' | b'&' | b'+' | b'!'))).then_some(name)
}

fn is_mask(from: &[u8]) -> bool {
    let user = from.iter().position(|&byte| byte == b'!');
    user.is_some_and(|user| from.iter().skip(user).any(|&byte| byte == b'@'))
}

fn trailing_in(line: &[u8]) -> bool {
    words(line).skip(1).any(|word| word.starts_with(b":"))
}

/// Reads offers of direct connections: `PRIVMSG bob :\x01DCC SEND name 3232235777 4990 1024\x01`.
fn follow(said: &Said, lore: &mut Lore) {
    for offer in memchr::memmem::find_iter(said.payload, b"\x01DCC ").take(4) {
        if let Some(endpoint) = said.payload.get(offer + 1..).and_then(offered) {
            lore.expect(endpoint, "irc", "DCC");
        }
    }
}

/// The address in `DCC SEND name address port size` or `DCC CHAT chat address port`. Addresses are IPv4 as one number,
/// or IPv6 as text; port 0 asks the other side to listen (reverse DCC).
fn offered(offer: &[u8]) -> Option<Endpoint> {
    let offer = offer.split(|&byte| matches!(byte, 1 | b'\r' | b'\n')).next()?;
    let mut rest = words(offer).skip(1);
    let verb = rest.next()?;
    let known: [&[u8]; 6] = [b"SEND", b"CHAT", b"ACCEPT", b"SSEND", b"SCHAT", b"XMIT"];
    if !known.iter().any(|known| verb.eq_ignore_ascii_case(known)) {
        return None;
    }
    // Names may hold spaces, so the address is the first word after the name that reads as one.
    let rest = rest.skip(1);
    let mut address: Option<IpAddr> = None;
    for word in rest.take(16) {
        let port = number(word).and_then(|port| u16::try_from(port).ok()).filter(|&port| port != 0);
        if let (Some(ip), Some(port)) = (address, port) {
            return Some(Endpoint { ip, port });
        }
        address = number(word)
            .and_then(|ip| u32::try_from(ip).ok())
            .filter(|&ip| ip > 0xff_ffff)
            .map(|ip| Ipv4Addr::from(ip).into())
            .or_else(|| std::str::from_utf8(word).ok()?.parse().ok());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::Talk;

    fn evidence(talk: &Talk) -> String {
        match talk.ask(&CLASSIFIER) {
            Opinion::Yes { evidence, .. } => evidence.into_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_bot_that_joins_channels_is_quoted() {
        let talk = Talk::tcp()
            .client("PASS secret\r\nNICK bot-1\r\nUSER a b c :d\r\n")
            .server(":irc.example NOTICE AUTH :*** Looking up your hostname\r\n");
        assert_eq!(talk.ask(&CLASSIFIER), Opinion::NeedMore, "the channel is worth waiting for");
        let talk = talk.client("JOIN #owned,#two key\r\nJOIN &\x02odd\r\n");
        assert_eq!(evidence(&talk), "IRC lines NICK, USER, NOTICE, JOIN #owned and &\\x02odd");
        let talk = Talk::tcp().client(format!("JOIN #{}\r\n", "x".repeat(300)));
        assert_eq!(evidence(&talk), format!("IRC lines JOIN #{}...", "x".repeat(CHANNEL - 1)));
    }

    #[test]
    fn lines_of_either_side_and_from_the_middle_will_do() {
        for (client, server) in [
            ("", ":irc.example 001 me :Welcome\r\n"),
            (
                "STARTTLS\r\n\x16\x03\x01\0\x05",
                ":irc.example 670 me :STARTTLS successful, proceed with TLS handshake\r\n",
            ),
            ("USER brotest * * * * * \r\n    NICK brotest\r\n", ""),
            ("nick me\nuser me 0 * :Me\n", ""),
            ("CAP REQ :twitch.tv/tags twitch.tv/commands\r\n", ""),
            ("", "@badges=premium/1;color=#000000 :a!a@a.example PRIVMSG #room :hello\r\n"),
            ("PRIVMSG bob :\x01DCC SEND hello.txt 167772161 4990 12\x01\r\n", ""),
            ("\r\njunk first\r\nNICK me\r\nUSER a b c d\r\n", ""),
        ] {
            let talk = Talk::tcp().client(client).server(server).last();
            assert_eq!(talk.named(&CLASSIFIER), Some("irc"), "{client}{server}");
        }
    }

    #[test]
    fn other_line_protocols_are_not_irc() {
        for (client, server) in [
            ("USER anonymous\r\nPASS a@b\r\nLIST\r\nQUIT\r\n", "220 ftp\r\n331 ok\r\n230 ok\r\n"),
            ("USER me\r\nPASS pw\r\nLIST\r\n", "+OK ready\r\n+OK\r\n+OK\r\n"),
            ("EHLO a\r\nSTARTTLS\r\n", "220 mx ESMTP\r\n220 go ahead\r\n"),
            ("PING\r\nCONNECT {}\r\n", "INFO {}\r\nPONG\r\n"),
            ("*1\r\n$4\r\nPING\r\n", "+PONG\r\n"),
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", ""),
            ("\x00\x01\x02NICK me\r\nUSER a b c d\r\n", ""),
            ("LIST\r\nMODE READER\r\n", "200 news\r\n"),
            ("HI\nPING 1491069115246\nPING 2\n", "HELLO 2.4\nPONG 1491069075027\nPONG 2\n"),
        ] {
            assert_eq!(Talk::tcp().client(client).server(server).last().named(&CLASSIFIER), None, "{client}");
        }
    }

    #[test]
    fn offers_of_direct_connections_are_expected() {
        let send = b":a!a@b PRIVMSG bob :\x01DCC SEND \"my file.txt\" 3221225985 4990 1024\x01\r\n";
        let found = Talk::tcp().followed(&CLASSIFIER, send, "192.0.2.1:4990");
        assert_eq!(found.map(|found| (found.application, found.by)), Some(("irc", "DCC")));
        let reverse = b"PRIVMSG bob :\x01DCC SEND x 3221225985 0 1024 77\x01\r\n";
        assert_eq!(Talk::tcp().followed(&CLASSIFIER, reverse, "192.0.2.1:1024"), None);
    }
}
