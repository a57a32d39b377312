//! MSN Messenger: the commands of its notification and switchboard servers, file transfers, direct connections.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::{contains, first_line, number, words};
use crate::view::{FlowView, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "msn",
    applications: &["msn"],
    looks_for: "MSNP commands",
    over: Over::Tcp,
    inside: Inside::PLAIN,
    classify,
    follow: None,
};

fn classify(view: &FlowView) -> Opinion {
    let (client, server) = (view.first(Way::ToServer), view.first(Way::ToClient));
    if client.starts_with(b"\x04\0\0\0foo\0") {
        return Opinion::payload("msn", "MSN direct connection");
    }
    let mut waiting = false;
    for stream in [client, server] {
        match command(stream) {
            Some(true) => return Opinion::payload("msn", "MSN Messenger commands"),
            Some(false) => return Opinion::No,
            None => waiting = true,
        }
    }
    // A ping alone is anybody's; its answer is not.
    if client.starts_with(b"PNG\r\n") && server.starts_with(b"QNG ") {
        return Opinion::payload("msn", "MSN Messenger ping and answer");
    }
    if waiting && !view.last && view.heard < 8 { Opinion::NeedMore } else { Opinion::No }
}

/// Whether the first line is a command that only MSNP has; `None` when that can't be said yet.
fn command(stream: &[u8]) -> Option<bool> {
    let name: &[u8; 4] = match stream.first_chunk() {
        Some(name) => name,
        None if stream.iter().all(u8::is_ascii_uppercase) => return None,
        None => return Some(false),
    };
    if !name[..3].iter().all(u8::is_ascii_uppercase) || !matches!(name[3], b' ' | b'\r') {
        return Some(false);
    }
    let Some((line, rest)) = first_line(stream) else { return if stream.len() < 512 { None } else { Some(false) } };
    let mut words = words(line).skip(1);
    let (first, second, third) = (words.next(), words.next(), words.next());
    let transaction = first.is_some_and(|word| number(word).is_some_and(|id| id < 1 << 32));
    let mail = |word: Option<&[u8]>| word.is_some_and(|word| word.contains(&b'@') && word.contains(&b'.'));
    let dotted = |word: Option<&[u8]>| word.is_some_and(|word| word.contains(&b'.'));
    Some(match &name[..3] {
        b"VER" => {
            (transaction && line.windows(4).any(|word| word == b"MSNP" || word == b"CVR0")) || first == Some(b"MSNFTP")
        }
        b"CVR" => transaction && contains(line, b"MSNMSGR", 256),
        b"USR" => {
            let how: [&[u8]; 6] = [b"TWN", b"MD5", b"SSO", b"SHA", b"OK", b"CKI"];
            transaction && (second.is_some_and(|word| how.contains(&word)) || (mail(second) && dotted(third)))
        }
        b"ANS" => transaction && ((mail(second) && dotted(third)) || second == Some(b"OK")),
        b"IRO" => transaction && third.is_some() && mail(words.next()),
        b"XFR" => transaction && matches!(second, Some(b"NS" | b"SB")),
        b"CAL" => transaction && (mail(second) || second == Some(b"RINGING")),
        b"JOI" | b"BYE" | b"RNG" if mail(first) => true,
        b"RNG" => transaction && dotted(second) && third == Some(b"CKI"),
        b"NLN" | b"FLN" => mail(first) || mail(second),
        b"ILN" => transaction && mail(third),
        // MSG transaction type length, or MSG sender name length; then a MIME message.
        b"MSG" => {
            let (length, mime) = (third.is_some_and(|length| number(length).is_some()), b"MIME-Version: 1.0");
            if length && mime.starts_with(&rest[..rest.len().min(mime.len())]) && rest.len() < mime.len() {
                return None;
            }
            length && contains(rest, mime, 64)
        }
        b"PNG" if first.is_none() => return None,
        b"QNG" if first.is_some_and(|word| number(word).is_some()) && second.is_none() => return None,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::Talk;

    #[test]
    fn commands_of_both_servers() {
        for (client, server, named) in [
            ("VER 1 MSNP12 MSNP11 CVR0\r\n", "", Some("msn")),
            ("USR 4 TWN I a@b.example\r\n", "", Some("msn")),
            ("ANS 131 a@b.example 1115371729.3 17\r\n", "", Some("msn")),
            ("", "IRO 131 1 1 a@b.example Some%20one\r\n", Some("msn")),
            ("MSG 77 U 89\r\nMIME-Version: 1.0\r\n", "", Some("msn")),
            ("PNG\r\n", "QNG 45\r\n", Some("msn")),
            ("VER 1.0\r\n", "", None),
            ("MSG 77 U 89\r\nhello there\r\n", "", None),
            ("PNG\r\n", "", None),
            ("USR me\r\n", "", None),
            ("GET / HTTP/1.1\r\n\r\n", "", None),
        ] {
            let talk = Talk::tcp().client(client).server(server).last();
            assert_eq!(talk.named(&CLASSIFIER), named, "{client}{server}");
        }
    }
}
