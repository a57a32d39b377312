//! What a request to the upload listener may look like. hyper parses; this refuses what is legal but has no business
//! here, so that one request in is at most one request to the server.

use hyper::header::{CONTENT_LENGTH, HOST, HeaderName, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, StatusCode};

use super::origins::{OriginId, PublicBase};
use super::response::Refusal;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// `PUT /u/<token>`.
    Put { token: String, length: u64 },
    /// `GET` or `HEAD /d/<origin><path and query>`.
    Get { origin: OriginId, target: String },
    /// A browser asks whether it may.
    Preflight,
}

/// Longest target that is passed on, in bytes.
const TARGET_MOST: usize = 4096;

/// Reads a request's head.
pub(super) fn read(head: &Parts, base: &PublicBase) -> Result<Asked, Refusal> {
    // RFC 9112 section 3.2: origin-form only; there is nothing to proxy to.
    let is_origin_form = head.uri.scheme().is_none() && head.uri.authority().is_none();
    if !is_origin_form || !head.uri.path().starts_with('/') {
        return Err(Refusal::bad("only paths on this server can be asked for"));
    }
    let host = only(&head.headers, &HOST)?.ok_or(Refusal::bad("a Host header is needed"))?;
    if !base.is_host(host) {
        return Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, "this server does not go by that name"));
    }
    let length = body_length(&head.headers)?;
    let path = head.uri.path();
    if !is_plain_path(path) {
        return Err(Refusal::bad("the path is not in plain form"));
    }

    if let Some(token) = path.strip_prefix("/u/") {
        return match head.method {
            Method::PUT => {
                let length = length.ok_or(Refusal::new(StatusCode::LENGTH_REQUIRED, "a Content-Length is needed"))?;
                Ok(Asked::Put { token: token.to_owned(), length })
            }
            Method::OPTIONS => Ok(Asked::Preflight),
            _ => Err(Refusal::method()),
        };
    }
    let Some(rest) = path.strip_prefix("/d/") else { return Err(Refusal::not_found()) };
    if length.unwrap_or(0) != 0 {
        return Err(Refusal::bad("a body makes no sense here"));
    }
    match head.method {
        Method::GET | Method::HEAD => {
            let (id, path) = rest.split_at_checked(rest.find('/').unwrap_or(rest.len())).ok_or(Refusal::not_found())?;
            let origin = OriginId::parse(id).ok_or(Refusal::not_found())?;
            let mut target = path.to_owned();
            if let Some(query) = head.uri.query() {
                target.push('?');
                target.push_str(query);
            }
            if target.len() > TARGET_MOST {
                return Err(Refusal::new(StatusCode::URI_TOO_LONG, "the path is too long"));
            }
            Ok(Asked::Get { origin, target })
        }
        Method::OPTIONS => Ok(Asked::Preflight),
        _ => Err(Refusal::method()),
    }
}

/// The length that a body is said to have. Everything that two readers might read differently is refused: any
/// Transfer-Encoding, several lengths (even equal ones), a length that is not plain digits (RFC 9112 section 6.3).
fn body_length(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    if headers.contains_key(TRANSFER_ENCODING) {
        return Err(Refusal::new(StatusCode::LENGTH_REQUIRED, "a Content-Length is needed, and no Transfer-Encoding"));
    }
    match only(headers, &CONTENT_LENGTH)? {
        None => Ok(None),
        Some(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
            text.parse().map(Some).map_err(|_| Refusal::bad("the Content-Length is too large"))
        }
        Some(_) => Err(Refusal::bad("the Content-Length is not a number")),
    }
}

/// The only value of a header that must not be repeated.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Refusal::bad("a header is repeated that must not be"));
    }
    first.map(|value| value.to_str().map_err(|_| Refusal::bad("a header is not plain text"))).transpose()
}

/// Whether every reader takes this path the same way: absolute, no `.` and `..` segments, no empty ones, none of these
/// hidden behind percent signs, no encoded slash, backslash or control character, no percent sign that encodes nothing.
pub(super) fn is_plain_path(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return false };
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        let Some(decoded) = decode(segment) else { return false };
        if matches!(decoded.as_slice(), b"." | b"..") || (decoded.is_empty() && !is_last) {
            return false;
        }
        if decoded.iter().any(|&b| b < 0x20 || matches!(b, b'/' | b'\\' | 0x7F)) {
            return false;
        }
    }
    true
}

/// The bytes behind a percent-encoded text; `None` when a percent sign encodes nothing.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        out.push(u8::try_from(high * 16 + low).ok()?);
    }
    Some(out)
}

/// The file's name that a target ends with, decoded.
pub(super) fn file_name(target: &str) -> Option<String> {
    let path = target.split('?').next().unwrap_or(target);
    let name = decode(path.rsplit('/').next()?)?;
    if name.is_empty() { None } else { Some(String::from_utf8_lossy(&name).into_owned()) }
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn ask(method: &str, uri: &str, headers: &[(&str, &str)]) -> Result<Asked, u16> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        read(&head, &PublicBase::parse("https://gate:5443").unwrap()).map_err(|refusal| refusal.status.as_u16())
    }

    const ID: &str = "0123456789abcdef01234567";

    #[test]
    fn what_is_asked_for() {
        let host = ("host", "gate:5443");
        let get = |target: &str| Asked::Get { origin: OriginId::parse(ID).unwrap(), target: target.to_owned() };
        let file = format!("/d/{ID}/up/x/cat%20one.jpg?a=b");
        assert_eq!(ask("GET", &file, &[host]), Ok(get("/up/x/cat%20one.jpg?a=b")));
        assert_eq!(ask("HEAD", &file, &[host]), Ok(get("/up/x/cat%20one.jpg?a=b")));
        assert_eq!(ask("OPTIONS", &file, &[host]), Ok(Asked::Preflight));
        let put = Asked::Put { token: "t".to_owned(), length: 3 };
        assert_eq!(ask("PUT", "/u/t", &[host, ("content-length", "3")]), Ok(put));
    }

    #[test]
    fn what_is_refused() {
        let host = ("host", "gate:5443");
        let file = format!("/d/{ID}/a/b");
        let traversal = format!("/d/{ID}/up/../../etc/passwd");
        let hidden = format!("/d/{ID}/up/%2e%2E/x");
        let slash = format!("/d/{ID}/up/a%2fb");
        type Headers<'a> = &'a [(&'a str, &'a str)];
        let table: &[(&str, &str, Headers<'_>, u16)] = &[
            ("GET", &file, &[], 400),
            ("GET", &file, &[host, host], 400),
            ("GET", &file, &[("host", "evil")], 421),
            ("GET", "http://evil/d/x", &[host], 400),
            ("GET", "http://gate:5443/u/x", &[host], 400),
            ("OPTIONS", "*", &[host], 400),
            ("CONNECT", "evil:443", &[host], 400),
            ("GET", &traversal, &[host], 400),
            ("GET", &hidden, &[host], 400),
            ("GET", &slash, &[host], 400),
            ("GET", "/d/short/a/b", &[host], 404),
            ("GET", "/", &[host], 404),
            ("POST", &file, &[host], 405),
            ("GET", "/u/t", &[host], 405),
            ("GET", &file, &[host, ("content-length", "4")], 400),
            ("PUT", "/u/t", &[host], 411),
            ("PUT", "/u/t", &[host, ("transfer-encoding", "chunked")], 411),
            ("PUT", "/u/t", &[host, ("transfer-encoding", "chunked"), ("content-length", "3")], 411),
            ("PUT", "/u/t", &[host, ("content-length", "3"), ("content-length", "3")], 400),
            ("PUT", "/u/t", &[host, ("content-length", "+3")], 400),
            ("PUT", "/u/t", &[host, ("content-length", "3, 3")], 400),
            ("PUT", "/u/t", &[host, ("content-length", "99999999999999999999999")], 400),
        ];
        for (method, uri, headers, status) in table {
            assert_eq!(ask(method, uri, headers), Err(*status), "{method} {uri} {headers:?}");
        }
    }

    #[test]
    fn plain_paths() {
        for path in ["/", "/a", "/a/b.jpg", "/a/b%20c", "/a/%C3%A4.txt", "/a/...", "/a/", "/a/b..c"] {
            assert!(is_plain_path(path), "{path}");
        }
        for path in [
            "", "a", "//", "/a//b", "/./a", "/a/..", "/%2e/", "/a%00", "/a%5Cb", "/a\\b", "/a%", "/a%2", "/a%zz",
            "/%0d%0a",
        ] {
            assert!(!is_plain_path(path), "{path}");
        }
    }

    #[test]
    fn names_are_decoded() {
        assert_eq!(file_name("/a/cat%20one.jpg?x=/y").as_deref(), Some("cat one.jpg"));
        assert_eq!(file_name("/a/"), None);
    }
}
