//! STUN and TURN: whose they are, by realm, software, attributes and company; else just that they are.
//!
//! Calls use one socket towards relay and peer, so who was recognised at the relay lends his name to the rest.

use wire::hints::Reading;
use wire::hints::stun::{self, Class, Stun};

use super::{Classifier, Inside, Opinion, Over, Said};
use crate::bytes::{be16, be32};
use crate::lore::Lore;
use crate::view::{Endpoint, FlowView, Transport, Way};

/// Names the application.
pub(super) const CALLS: Classifier = Classifier {
    name: "stun-calls",
    applications: &[
        "whatsapp",
        "teams",
        "googlemeet",
        "messenger",
        "instagram",
        "telegram",
        "viber",
        "signal",
        "zoom",
        "discord",
        "line",
        "kakaotalk",
        "snapchat",
        "jitsi",
        "threema",
        "webex",
        "wechat",
        "imo",
        "slack",
        "matrix",
        "mattermost",
        "dingtalk",
        "agora",
    ],
    looks_for: "whose STUN and TURN it is: realm, software, own attributes, company",
    over: Over::Both,
    inside: Inside::STUN,
    classify: calls,
    follow: Some(follow),
};

/// Names the application of STUN in frames.
pub(super) const FRAMED: Classifier = Classifier {
    name: "stun-framed",
    looks_for: "STUN in frames over TCP, as clients of Teams send it to each other",
    over: Over::Tcp,
    inside: Inside::PLAIN,
    classify: framed,
    follow: None,
    ..CALLS
};

/// Names the protocol alone.
pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "stun",
    applications: &["stun"],
    looks_for: "STUN and TURN messages",
    over: Over::Both,
    inside: Inside::STUN,
    classify: generic,
    follow: None,
};

/// How many messages of a flow are read.
const MOST: usize = 16;
/// Who announced a socket in [`Lore`].
const BY: &str = "STUN";

/// Ends of realms, by whole labels, and whose they are. Some realms are hosts; others are mere words
/// (`turner.facebook`).
const REALMS: &[(&str, &str)] = &[
    ("facebook", "messenger"),
    ("facebook.com", "messenger"),
    ("instagram", "instagram"),
    ("instagram.com", "instagram"),
    ("whatsapp", "whatsapp"),
    ("whatsapp.com", "whatsapp"),
    ("whatsapp.net", "whatsapp"),
    ("telegram.org", "telegram"),
    ("viber.com", "viber"),
    ("signal.org", "signal"),
    ("whispersystems.org", "signal"),
    ("turn.l.google.com", "googlemeet"),
    ("discord", "discord"),
    ("discord.gg", "discord"),
    ("discord.com", "discord"),
    ("discord.media", "discord"),
    ("zoom.us", "zoom"),
    ("line-apps", "line"),
    ("line-apps.com", "line"),
    ("linecorp", "line"),
    ("linecorp.com", "line"),
    ("kakao", "kakaotalk"),
    ("kakao.com", "kakaotalk"),
    ("snapchat", "snapchat"),
    ("snapchat.com", "snapchat"),
    ("addlive.io", "snapchat"),
    ("jitsi", "jitsi"),
    ("jitsi.org", "jitsi"),
    ("jitsi.net", "jitsi"),
    ("jit.si", "jitsi"),
    ("threema", "threema"),
    ("threema.ch", "threema"),
    ("webex", "webex"),
    ("webex.com", "webex"),
    ("weixin", "wechat"),
    ("weixin.qq.com", "wechat"),
    ("wechat", "wechat"),
    ("wechat.com", "wechat"),
    ("imo.im", "imo"),
    ("slack.com", "slack"),
    ("matrix.org", "matrix"),
    ("element.io", "matrix"),
    ("mattermost", "mattermost"),
    ("mattermost.com", "mattermost"),
    ("dingtalk", "dingtalk"),
    ("dingtalk.com", "dingtalk"),
    ("agora.io", "agora"),
    ("teams.microsoft", "teams"),
    ("teams.microsoft.com", "teams"),
    ("skype", "teams"),
    ("skype.com", "teams"),
];

/// Attribute types that matter here.
mod attribute {
    pub(super) const USERNAME: u16 = 0x0006;
    pub(super) const INTEGRITY: u16 = 0x0008;
    /// Of the drafts before TURN; Microsoft and Google kept it.
    pub(super) const MAGIC_COOKIE: u16 = 0x000f;
    pub(super) const PEER: u16 = 0x0012;
    /// MS-ICE: implementation version.
    pub(super) const MS_IMPLEMENTATION: u16 = 0x8070;
    /// MS-TURN and MS-ICE: what else only Microsoft's clients and servers send: version, mapped address, sequence,
    /// candidate, service quality, multiplexed session and the like.
    pub(super) const MS: [u16; 10] = [0x8006, 0x8008, 0x8020, 0x8032, 0x8036, 0x8037, 0x8050, 0x8054, 0x8055, 0x8095];
    /// Google: kind of network; kept by everything built on its WebRTC.
    pub(super) const NETWORK: u16 = 0xc057;
    /// Google's relays: where a session comes from.
    pub(super) const GOOGLE: [u16; 2] = [0xff03, 0xff05];
}

fn calls(view: &FlowView) -> Opinion {
    let mut seen = Seen::default();
    let found = each(view, |message| own(message).or_else(|| seen.take(view, message)));
    if let Some((application, evidence)) = found {
        return Opinion::payload(application, evidence);
    }
    // The same socket, or an address that a relay was told of.
    for end in [view.client, view.server] {
        if let Some(expected) = view.lore.expected(end).filter(|expected| expected.by == BY) {
            return Opinion::behaviour(expected.application, "shares its socket with calls named by STUN");
        }
    }
    if view.last { Opinion::No } else { Opinion::NeedMore }
}

/// STUN over TCP in frames of two bytes of length (RFC 4571): clients of Teams do so between each other.
fn framed(view: &FlowView) -> Opinion {
    for way in [Way::ToServer, Way::ToClient] {
        let stream = view.first(way);
        let Some(length) = be16(stream, 0).map(usize::from) else { continue };
        if length < 20 || be32(stream, 6) != Some(0x2112_a442) {
            return if stream.len() < 10 && !view.last { Opinion::NeedMore } else { Opinion::No };
        }
        match stream.get(2..2 + length).and_then(stun::read).map(|message| own(&message)) {
            Some(Some((application, evidence))) => return Opinion::payload(application, evidence),
            Some(None) => {}
            None if stream.len() < 2 + length && !view.last => return Opinion::NeedMore,
            None => return Opinion::No,
        }
    }
    if view.last || view.heard > 6 { Opinion::No } else { Opinion::NeedMore }
}

fn generic(view: &FlowView) -> Opinion {
    let said = each(view, |message| {
        let binding = message.method() == 1;
        Some(if binding { "STUN binding" } else { "TURN" })
    });
    match said {
        Some(evidence) => Opinion::payload("stun", evidence),
        None if view.last => Opinion::No,
        None => Opinion::NeedMore,
    }
}

/// Shows the messages of a flow to `f` until it answers.
fn each<T>(view: &FlowView, mut f: impl FnMut(&Stun) -> Option<T>) -> Option<T> {
    if view.transport == Transport::Udp {
        return view
            .all_datagrams()
            .filter_map(|(_, bytes)| stun::read(bytes))
            .take(MOST)
            .find_map(|message| f(&message));
    }
    for way in [Way::ToServer, Way::ToClient] {
        let mut rest = view.first(way);
        for _ in 0..MOST {
            let Reading::Is((message, length)) = stun::read_stream(rest) else { break };
            if let Some(found) = f(&message) {
                return Some(found);
            }
            rest = rest.get(length.max(1)..).unwrap_or_default();
        }
    }
    None
}

/// What one message tells.
fn own(message: &Stun) -> Option<(&'static str, String)> {
    use attribute::*;
    // WhatsApp's own methods.
    if !message.classic() && (0x200..=0x205).contains(&message.method()) {
        return Some(("whatsapp", format!("STUN method {:#05x} of WhatsApp", message.method())));
    }
    let (mut cookie, mut microsoft) = (false, 0);
    for (kind, value) in message.attributes().take(24) {
        match kind {
            0x4000..=0x4007 if !message.classic() => {
                return Some(("whatsapp", format!("STUN attribute {kind:#06x} of WhatsApp")));
            }
            MS_IMPLEMENTATION if value.len() == 4 && be32(value, 0).is_some_and(|version| version < 0x100) => {
                return Some(("teams", "STUN implementation version of Microsoft (MS-ICE)".to_owned()));
            }
            kind if GOOGLE.contains(&kind) => {
                return Some(("googlemeet", format!("STUN attribute {kind:#06x} of Google")));
            }
            MAGIC_COOKIE => cookie = be32(value, 0) == Some(0x72c6_4bc6),
            kind if MS.contains(&kind) => microsoft += 1,
            _ => {}
        }
    }
    if microsoft + u32::from(cookie && microsoft > 0) >= 2 {
        return Some(("teams", "TURN of Microsoft (MS-TURN)".to_owned()));
    }
    if let Some(realm) = message.realm().filter(|realm| realm.len() <= 128) {
        let lower = realm.to_ascii_lowercase();
        let ends = |end: &str| lower.strip_suffix(end).is_some_and(|front| front.is_empty() || front.ends_with('.'));
        if let Some((_, application)) = REALMS.iter().find(|(end, _)| ends(end)) {
            return Some((application, format!("TURN realm {}", lower.escape_default())));
        }
    }
    if message.software().is_some_and(|software| software.starts_with("ice4j")) {
        return Some(("jitsi", "STUN software ice4j".to_owned()));
    }
    None
}

/// What several messages tell together.
#[derive(Default)]
struct Seen {
    integrity_only: u32,
    /// A request had Google's network attribute.
    google: bool,
}

impl Seen {
    fn take(&mut self, view: &FlowView, message: &Stun) -> Option<(&'static str, String)> {
        use attribute::*;
        let first = message.attributes().next();
        // WhatsApp's peers check each other with nothing but integrity: the standard wants a user name with it.
        if message.method() == 1
            && !message.classic()
            && matches!(first, Some((INTEGRITY, value)) if value.len() == 20)
            && message.attributes().count() == 1
        {
            self.integrity_only += 1;
            if self.integrity_only >= 2 {
                return Some((
                    "whatsapp",
                    "connectivity checks without user name, as between WhatsApp peers".to_owned(),
                ));
            }
        }
        // Zoom names both ends of its browser calls by upper-case UUIDs.
        let media = [view.server.port, view.client.port].iter().any(|port| (8801..=8810).contains(port));
        if media && message.username().is_some_and(identifiers) {
            return Some(("zoom", "ICE user names of Zoom".to_owned()));
        }
        // The ports of Google's media servers, and user names as only they give them.
        let long = message.username().is_some_and(|name| server_part(name) >= 16);
        if (19305..=19309).contains(&view.server.port) && long && message.attribute(NETWORK).is_some() {
            return Some(("googlemeet", "ICE requests to Google's media servers".to_owned()));
        }
        self.google |= message.class() == Class::Request && message.attribute(NETWORK).is_some();
        // Google's servers put the user name first into their answers; others leave it out.
        if self.google
            && message.class() == Class::Success
            && matches!(first, Some((USERNAME, name)) if server_part(name) >= 16)
        {
            return Some(("googlemeet", "ICE answers of Google's media servers".to_owned()));
        }
        // Telegram's relays listen on 1400 and hide their software under this name.
        if view.server.port == 1400 && message.software() == Some("None") && message.class() == Class::Success {
            return Some(("telegram", "answers of Telegram's call relays".to_owned()));
        }
        None
    }
}

/// Two upper-case UUIDs with a colon between them.
fn identifiers(name: &[u8]) -> bool {
    name.len() == 73
        && name.iter().enumerate().all(|(at, byte)| match at {
            36 => *byte == b':',
            _ if matches!(at % 37, 8 | 13 | 18 | 23) => *byte == b'-',
            _ => byte.is_ascii_digit() || (b'A'..=b'F').contains(byte),
        })
}

/// The length of the part before the colon: the server's, in a request to it.
fn server_part(name: &[u8]) -> usize {
    name.iter().position(|&byte| byte == b':').unwrap_or(0)
}

/// Remembers the socket of who asks, and the peers that a relay is told to let through.
fn follow(said: &Said, lore: &mut Lore) {
    if said.transport != Transport::Udp {
        return;
    }
    let Some(message) = stun::read(said.payload).filter(|message| message.class() == Class::Request) else { return };
    let Some((application, _)) = own(&message) else { return };
    let asker = if said.way == Way::ToServer { said.client } else { said.server };
    lore.expect(asker, application, BY);
    message.addresses(|kind, address| {
        if kind == attribute::PEER {
            lore.expect(Endpoint { ip: address.ip(), port: address.port() }, application, BY);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::{Talk, hex};
    use crate::names::AppProto;

    /// A message of this type with these attributes.
    fn message(kind: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (kind, value) in attributes {
            body.extend(kind.to_be_bytes());
            body.extend((value.len() as u16).to_be_bytes());
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let mut bytes = kind.to_be_bytes().to_vec();
        bytes.extend((body.len() as u16).to_be_bytes());
        bytes.extend(hex("2112a442 000102030405060708090a0b"));
        bytes.extend(body);
        bytes
    }

    fn flow() -> Talk {
        Talk::udp().inside(AppProto::Stun)
    }

    #[test]
    fn realms_software_and_attributes_name() {
        for (kind, attributes, named) in [
            (0x0113, &[(0x0014, &b"turner.facebook"[..])][..], Some("messenger")),
            (0x0113, &[(0x0014, b"telegram.org")], Some("telegram")),
            (0x0113, &[(0x0014, b"Turn.WebEx.com")], Some("webex")),
            (0x0113, &[(0x0014, b"onlinecorp.com")], None),
            (0x0113, &[(0x0014, b"slack.company")], None),
            (0x0113, &[(0x0014, b"notslack.com")], None),
            (0x0113, &[(0x0014, b"skype.example.org")], None),
            (0x0003, &[(0xff05, b"TY_null")], Some("googlemeet")),
            (0x0003, &[(0x4000, &[1; 102])], Some("whatsapp")),
            (0x0001, &[(0x0006, b"ab:cd"), (0x8070, &[0, 0, 0, 3])], Some("teams")),
            (0x0003, &[(0x000f, &[0x72, 0xc6, 0x4b, 0xc6]), (0x8008, &[0, 0, 0, 6])], Some("teams")),
            (0x0003, &[(0x000f, &[0x72, 0xc6, 0x4b, 0xc6])], None),
            (0x0001, &[(0x8055, &[0, 2, 0, 2]), (0x8095, &[1; 8])], Some("teams")),
            (0x0001, &[(0x8055, &[0, 2, 0, 2])], None),
            (0x0804, &[(0x0008, &[9; 20])], Some("whatsapp")),
            (0x0101, &[(0x8022, b"ice4j.org")], Some("jitsi")),
            (0x0113, &[(0x0014, b"example.org")], None),
            (0x0001, &[(0x0006, b"ab:cd"), (0xc057, &[0, 3, 0, 10])], None),
        ] {
            let talk = flow().client(message(kind, attributes)).last();
            assert_eq!(talk.named(&CALLS), named, "{attributes:?}");
            assert_eq!(talk.named(&CLASSIFIER), Some("stun"));
        }
    }

    #[test]
    fn several_messages_together_name() {
        let check = message(0x0001, &[(0x0008, &[7; 20])]);
        let talk = flow().client(&check);
        assert_eq!(talk.ask(&CALLS), Opinion::NeedMore);
        assert_eq!(talk.server(message(0x0101, &[(0x0008, &[8; 20])])).named(&CALLS), Some("whatsapp"));

        let name: &[u8] = b"VUAk6Ay7hvuLnLGO:tyGu";
        let ask = message(0x0001, &[(0x0006, name), (0xc057, &[0, 3, 0, 10])]);
        let answer = message(0x0101, &[(0x0006, name), (0x0020, &[0, 1, 1, 2, 3, 4, 5, 6])]);
        assert_eq!(flow().client(&ask).server(&answer).named(&CALLS), Some("googlemeet"));
        let plain = message(0x0101, &[(0x0020, &[0, 1, 1, 2, 3, 4, 5, 6])]);
        assert_eq!(flow().client(&ask).server(&plain).last().named(&CALLS), None);

        let ends: &[u8] = b"E04D943F-C271-C96A-C27D-DCBD09778680:2040F7EC-3FBF-61F7-1AC2-AAD5D4610A8E";
        let ask = message(0x0001, &[(0x0006, ends)]);
        assert_eq!(flow().port(8801).client(&ask).named(&CALLS), Some("zoom"));
        assert_eq!(flow().client(&ask).last().named(&CALLS), None, "the port has to agree");
    }

    #[test]
    fn the_socket_of_a_named_call_lends_its_name() {
        let mut talk = flow().client(message(0x0001, &[(0x0006, b"ab:cd")]));
        let ask = message(0x0008, &[(0x0014, b"telegram.org"), (0x0012, &hex("0001 e12b e112a643"))]);
        let said = Said {
            client: talk.client,
            server: talk.server,
            transport: Transport::Udp,
            way: Way::ToServer,
            payload: &ask,
        };
        assert_eq!(talk.ask(&CALLS), Opinion::NeedMore);
        follow(&said, &mut talk.lore);
        assert_eq!(talk.named(&CALLS), Some("telegram"));
        let found = flow().followed(&CALLS, &ask, "192.0.2.1:49209");
        assert_eq!(found.map(|found| found.application), Some("telegram"));
    }

    #[test]
    fn framed_over_tcp() {
        let inner = message(0x0001, &[(0x0006, b"ab:cd"), (0x8070, &[0, 0, 0, 3])]);
        let stream = [&(inner.len() as u16).to_be_bytes()[..], &inner].concat();
        assert_eq!(Talk::tcp().client(&stream).named(&FRAMED), Some("teams"));
        assert_eq!(Talk::tcp().client("GET / HTTP/1.1\r\n\r\n").named(&FRAMED), None);
    }
}
