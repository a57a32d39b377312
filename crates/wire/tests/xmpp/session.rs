//! A session to hear stanzas in: Romeo's client behind the gateway, and a directory that knows nobody.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use model::{Address, Direction, Message, Party, PartyKind, Side};
use wire::xmpp::hear::{Hearing, Parties, hear};
use wire::xmpp::{Element, Form, Limits, Parsed, Read, Reader};

pub(crate) struct Strangers;

impl Parties for Strangers {
    fn party(&self, address: Address, kind: PartyKind) -> Arc<Party> {
        Arc::new(Party::stranger(address, kind, Side::External))
    }
}

/// Reads a stanza that a test wrote down.
pub(crate) fn parse(xml: &str) -> Parsed {
    Parsed::new(Bytes::from(xml.to_owned())).unwrap_or_else(|fault| panic!("{fault}: {xml}"))
}

/// Hears as Romeo's session does.
pub(crate) fn hear_as_romeo(stanza: Element<'_>, direction: Direction, rooms: &[String]) -> Option<Message> {
    let address = Address { account: "romeo@montague.example".into(), device: Some("garden".into()) };
    let own = Arc::new(Party::stranger(address, PartyKind::Person, Side::Internal));
    let is_room = |jid: &str| rooms.iter().any(|room| room == jid);
    let time: Timestamp = "2026-11-23T04:00:00Z".parse().unwrap();
    hear(stanza, &Hearing { direction, time, own: &own, parties: &Strangers, is_room: &is_room })
}

/// Whether bytes are one stanza that a stream reader takes and passes on as it stands.
pub(crate) fn is_verbatim(bytes: &[u8]) -> bool {
    let mut stream =
        b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>".to_vec();
    let mut reader = Reader::new(Limits { stanza_bytes: 1 << 24, ..LIMITS });
    let Ok(Read::Header { used, .. }) = reader.next(&stream) else { panic!("the header is not read") };
    stream.drain(..used);
    stream.extend_from_slice(bytes);
    match reader.next(&stream) {
        Ok(Read::Stanza { used, stanza }) => used == bytes.len() && matches!(stanza.form, Form::Verbatim),
        _ => false,
    }
}

pub(crate) const LIMITS: Limits = Limits { stanza_bytes: 262_144, depth: 128, attributes: 256, elements: 8_192 };
