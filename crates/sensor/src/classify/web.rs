//! Chat that speaks HTTP under paths of its own: Matrix, Mattermost, Rocket.Chat, Jitsi, MSN's and WeChat's gateways,
//! Telegram's HTTP transport. Host names are the catalogue's.

use super::{Classifier, Inside, Opinion, Over, telegram};
use crate::bytes::{contains, starts_ignoring_case};
use crate::view::{FlowView, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "web-chat",
    applications: &["matrix", "mattermost", "rocketchat", "jitsi", "msn", "wechat", "telegram", "yahoo"],
    looks_for: "HTTP paths and headers that one chat system has",
    over: Over::Tcp,
    inside: Inside::HTTP,
    classify,
    follow: None,
};

/// How the target begins, whose it is, and what to say.
const PATHS: &[(&[u8], &str, &str)] = &[
    (b"/_matrix/", "matrix", "Matrix API in HTTP"),
    (b"/_synapse/", "matrix", "Matrix server's API in HTTP"),
    (b"/.well-known/matrix/", "matrix", "Matrix discovery in HTTP"),
    (b"/api/v4/websocket", "mattermost", "Mattermost WebSocket"),
    (b"/api/v4/users/login", "mattermost", "Mattermost API in HTTP"),
    (b"/api/v1/method.callAnon/", "rocketchat", "Rocket.Chat method in HTTP"),
    (b"/api/v1/method.call/", "rocketchat", "Rocket.Chat method in HTTP"),
    (b"/colibri-ws/", "jitsi", "Jitsi bridge channel"),
    (b"/http-bind?room=", "jitsi", "Jitsi conference signalling"),
    (b"/xmpp-websocket?room=", "jitsi", "Jitsi conference signalling"),
    (b"/gateway/gateway.dll?Action=", "msn", "MSN Messenger through HTTP"),
    (b"/gateway/gateway.dll?SessionID=", "msn", "MSN Messenger through HTTP"),
];

fn classify(view: &FlowView) -> Opinion {
    let request = view.first(Way::ToServer);
    let Some(space) = memchr::memchr(b' ', request.get(..12).unwrap_or(request)) else {
        return if request.len() < 12 && !view.last { Opinion::NeedMore } else { Opinion::No };
    };
    let mut target = request.get(space + 1..).unwrap_or_default();
    // Absolute targets, as proxies are asked.
    if starts_ignoring_case(target, b"http://") {
        let host = target.get(7..).unwrap_or_default();
        let Some(slash) = memchr::memchr(b'/', host.get(..256).unwrap_or(host)) else { return Opinion::No };
        target = host.get(slash..).unwrap_or_default();
    }
    if let Some((_, application, evidence)) = PATHS.iter().find(|(path, ..)| target.starts_with(path)) {
        return Opinion::payload(application, *evidence);
    }
    if target.starts_with(b"/mmtls/") && contains(request, b"\nUpgrade: mmtls", 1024) {
        return Opinion::payload("wechat", "WeChat's mmtls in HTTP");
    }
    if target.starts_with(b"/api") && request.starts_with(b"POST ") {
        let Some(head) = memchr::memmem::find(request, b"\r\n\r\n") else {
            return if request.len() < 1024 && !view.last { Opinion::NeedMore } else { Opinion::No };
        };
        let body = request.get(head + 4..).unwrap_or_default();
        if telegram::asks_for_keys(body) {
            return Opinion::payload("telegram", "MTProto key exchange in HTTP");
        }
        return if body.len() < 24 && !view.last { Opinion::NeedMore } else { Opinion::No };
    }
    Opinion::No
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::{Talk, hex};
    use crate::names::AppProto;

    #[test]
    fn paths_name_their_systems() {
        for (request, named) in [
            ("GET /_matrix/client/versions HTTP/1.1\r\nHost: a\r\n\r\n", Some("matrix")),
            ("GET http://proxy.example/_matrix/key/v2/server HTTP/1.1\r\n\r\n", Some("matrix")),
            ("POST /gateway/gateway.dll?Action=open&Server=NS&IP=a HTTP/1.1\r\n\r\n", Some("msn")),
            ("POST /mmtls/003ab4f1 HTTP/1.1\r\nHost: a\r\nUpgrade: mmtls\r\n\r\n", Some("wechat")),
            ("GET /colibri-ws/default-id/ab HTTP/1.1\r\n\r\n", Some("jitsi")),
            ("POST /mmtls/003ab4f1 HTTP/1.1\r\nHost: a\r\n\r\n", None),
            ("GET /matrix/ HTTP/1.1\r\n\r\n", None),
            ("GET /?u=/_matrix/ HTTP/1.1\r\n\r\n", None),
            ("POST /api HTTP/1.1\r\n\r\n{\"a\": \"quite an ordinary body of JSON\"}", None),
        ] {
            let talk = Talk::tcp().inside(AppProto::Http).client(request).last();
            assert_eq!(talk.named(&CLASSIFIER), named, "{request}");
        }
    }

    #[test]
    fn telegram_over_http_starts_with_its_key_exchange() {
        let mut request = b"POST /api HTTP/1.1\r\nContent-Length: 40\r\n\r\n".to_vec();
        request.extend(hex("0000000000000000 0102030405060708 14000000 f18e7ebe 00112233445566778899aabbccddeeff"));
        let talk = Talk::tcp().inside(AppProto::Http).client(request);
        assert_eq!(talk.named(&CLASSIFIER), Some("telegram"));
    }
}
