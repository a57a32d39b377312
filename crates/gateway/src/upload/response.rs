//! Answers of the upload listener: hardened headers on all of them, plain text where there is something to say.

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, Response, StatusCode};

/// A body of any kind.
pub(super) type Body = UnsyncBoxBody<Bytes, BodyFault>;
/// An answer.
pub(super) type Answer = Response<Body>;

/// A body broke off; the connection is closed, so that the reader does not take it for the whole.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyFault {
    /// The spool.
    #[error("spool: {0}")]
    Spool(#[from] std::io::Error),
    /// The server.
    #[error("server: {0}")]
    Server(String),
}

/// A request that is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) text: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Refusal {
        Refusal { status, text: text.into() }
    }

    pub(super) fn bad(text: &str) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, text)
    }

    pub(super) fn not_found() -> Refusal {
        Refusal::new(StatusCode::NOT_FOUND, "no such file")
    }

    pub(super) fn method() -> Refusal {
        Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "this method is not served here")
    }

    /// Policy says no.
    pub(super) fn policy(notice: &str) -> Refusal {
        Refusal::new(StatusCode::FORBIDDEN, format!("blocked by policy: {notice}"))
    }

    /// For the moment there is no room or nobody to decide.
    pub(super) fn busy(text: &str) -> Refusal {
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, text)
    }

    /// Says so and closes the connection: what else stands in it is not read.
    pub(super) fn answer(self) -> Answer {
        let mut answer = text(self.status, &self.text);
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
        }
        answer
    }
}

/// A sentence for a person.
pub(super) fn text(status: StatusCode, text: &str) -> Answer {
    let mut answer = with_body(status, full(format!("{text}\n")));
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, plain);
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// An answer with a body and the headers that every answer has.
pub(super) fn with_body(status: StatusCode, body: Body) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    harden(answer.headers_mut());
    answer
}

/// No body.
pub(super) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

fn full(text: String) -> Body {
    Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync()
}

/// What a browser's question before a cross-site request is answered with. Web clients live on other origins; the URLs
/// are capabilities, and no cookies are involved.
pub(super) fn preflight() -> Answer {
    let mut answer = with_body(StatusCode::NO_CONTENT, empty());
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, PUT, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type, Range, If-None-Match, If-Modified-Since"),
        (header::ACCESS_CONTROL_MAX_AGE, "7200"),
    ] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

fn harden(headers: &mut HeaderMap) {
    const ALWAYS: [(HeaderName, &str); 6] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Content-Length, Content-Range, ETag"),
        (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
    ];
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Headers of the server's answer that describe the file and are passed on.
const OF_THE_FILE: [HeaderName; 5] =
    [header::ETAG, header::LAST_MODIFIED, header::CACHE_CONTROL, header::EXPIRES, header::ACCEPT_RANGES];

/// Takes over what the server says about the file, in a form that no browser runs: what is not plainly media or text
/// is saved, never shown.
pub(super) fn describe(answer: &mut Answer, server: &HeaderMap) {
    let headers = answer.headers_mut();
    for name in OF_THE_FILE {
        if let Some(value) = server.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    let claimed = server.get(header::CONTENT_TYPE).cloned();
    let octets = HeaderValue::from_static("application/octet-stream");
    let claimed = claimed.filter(|value| value.to_str().is_ok_and(|text| text.contains('/'))).unwrap_or(octets);
    let is_shown = claimed.to_str().is_ok_and(is_shown_in_place);
    headers.insert(header::CONTENT_TYPE, claimed);
    if !is_shown {
        headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    }
}

/// Media and plain text, but not SVG, which carries scripts.
fn is_shown_in_place(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_media = ["image/", "audio/", "video/"].iter().any(|family| essence.starts_with(family));
    (is_media && !essence.contains("svg") && !essence.contains("xml")) || essence == "text/plain"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_media_and_text_are_shown_in_place() {
        let table = [
            ("image/png", true),
            ("Image/JPEG", true),
            ("video/mp4; codecs=x", true),
            ("text/plain; charset=utf-8", true),
            ("image/svg+xml", false),
            ("text/html", false),
            ("application/pdf", false),
            ("text/xml", false),
            ("application/xhtml+xml", false),
        ];
        for (media_type, shown) in table {
            assert_eq!(is_shown_in_place(media_type), shown, "{media_type}");
        }
    }

    #[test]
    fn what_the_server_says_is_passed_on_only_where_it_describes_the_file() {
        let mut server = HeaderMap::new();
        for (name, value) in [
            ("etag", "\"1\""),
            ("set-cookie", "a=b"),
            ("content-type", "text/html"),
            ("content-security-policy", "default-src *"),
            ("access-control-allow-origin", "https://one"),
        ] {
            server.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let mut answer = with_body(StatusCode::OK, empty());
        describe(&mut answer, &server);
        let has = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(has("etag"), Some("\"1\""));
        assert_eq!(has("set-cookie"), None);
        assert_eq!(has("content-disposition"), Some("attachment"));
        assert_eq!(has("content-security-policy"), Some("default-src 'none'; sandbox"));
        assert_eq!(has("x-content-type-options"), Some("nosniff"));
        assert_eq!(has("access-control-allow-origin"), Some("*"));
    }
}
