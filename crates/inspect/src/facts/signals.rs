//! What programs and herders of programs say, as keys for the record: a command (`!update http://…`), a room that
//! people are called to. Neither is a finding by itself; that many suspicious messages share one tells a campaign.

use model::{Kind, Message, Place};

/// The longest command or room that is kept.
const LONGEST: usize = 128;

/// `command:!update` for a text that begins with a word as bots are told.
pub(super) fn command(message: &Message) -> Option<Box<str>> {
    let body = message.parts.iter().find(|part| part.place == Place::Body)?.body.expose()?;
    let word = body.trim_start().split(char::is_whitespace).next()?;
    let name = word.strip_prefix(['!', '.', '$'])?;
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && (3..=32).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    is_name.then(|| format!("command:{}", word.to_ascii_lowercase()).into())
}

/// `channel:room@service` for an invitation to a room.
pub(super) fn channel(message: &Message) -> Option<Box<str>> {
    if message.kind != Kind::Invite {
        return None;
    }
    let fields = message.parts.iter().filter(|part| part.place == Place::Field).filter_map(|part| part.body.expose());
    let is_room = |room: &&str| {
        room.len() <= LONGEST
            && room.split_once('@').is_some_and(|(name, service)| !name.is_empty() && service.contains('.'))
            && !room.contains(|c: char| c.is_whitespace() || c.is_control())
    };
    let room = fields.map(str::trim).find(is_room)?;
    Some(format!("channel:{}", room.to_lowercase()).into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use model::{Address, Direction, Party, PartyKind, Protocol, Side};

    use super::*;

    fn message(kind: Kind, place: Place, text: &str) -> Message {
        let party =
            |account: &str| Arc::new(Party::stranger(Address::account(account), PartyKind::Person, Side::External));
        let (direction, time) = (Direction::ToClient, Timestamp::UNIX_EPOCH);
        let mut message = Message::new(Protocol::Xmpp, kind, direction, time, party("a@x.test"), party("b@y.test"));
        message.say(place, text);
        message
    }

    #[test]
    fn commands_are_told_from_talk() {
        let command = |text: &str| command(&message(Kind::Message, Place::Body, text)).map(String::from);
        assert_eq!(command("!Update http://x.test/a.exe").as_deref(), Some("command:!update"));
        assert_eq!(command(" .ddos.syn 192.0.2.1 80").as_deref(), Some("command:.ddos.syn"));
        for talk in ["", "!", "... well", "!!!", "./configure", "$5 each", ".a", "look! here", "!wörter"] {
            assert_eq!(command(talk), None, "{talk}");
        }
    }

    #[test]
    fn an_invitation_names_its_room() {
        let field = |kind, text| channel(&message(kind, Place::Field, text)).map(String::from);
        assert_eq!(field(Kind::Invite, "Den@rooms.x.test").as_deref(), Some("channel:den@rooms.x.test"));
        assert_eq!(field(Kind::Invite, "come to our den"), None);
        assert_eq!(field(Kind::Message, "den@rooms.x.test"), None);
    }
}
