//! HTTP/1 requests and responses: their first lines and headers.

use super::{Reading, text};

/// A head is read up to this many bytes; one that is longer is taken as far as it goes.
const LONGEST_HEAD: usize = 8 * 1024;
/// Header fields looked at.
const MOST_FIELDS: usize = 128;

/// HTTP, WebDAV and its extensions, Exchange, UPnP, Icecast, and the preface of HTTP/2. Sorted.
const METHODS: &[&str] = &[
    "ACL",
    "BASELINE-CONTROL",
    "BCOPY",
    "BDELETE",
    "BIND",
    "BITS_POST",
    "BMOVE",
    "BPROPFIND",
    "BPROPPATCH",
    "CCM_POST",
    "CHECKIN",
    "CHECKOUT",
    "CONNECT",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LABEL",
    "LINK",
    "LOCK",
    "M-SEARCH",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKWORKSPACE",
    "MOVE",
    "NOTIFY",
    "OPTIONS",
    "ORDERPATCH",
    "PATCH",
    "POLL",
    "POST",
    "PRI",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "PUT",
    "QUERY",
    "REBIND",
    "REPORT",
    "RPC_CONNECT",
    "RPC_IN_DATA",
    "RPC_OUT_DATA",
    "SEARCH",
    "SOURCE",
    "SUBSCRIBE",
    "TRACE",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UNSUBSCRIBE",
    "UPDATE",
    "VERSION-CONTROL",
];
const LONGEST_METHOD: usize = 16;
/// Empty lines before a request that are passed over (RFC 9112 section 2.2 asks for one at least).
const MOST_EMPTY_LINES: usize = 4;

/// A request, as far as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    method: &'static str,
    target: &'a [u8],
    head: Head<'a>,
}

/// A response, as far as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response<'a> {
    status: u16,
    head: Head<'a>,
}

/// Reads the request at the beginning of a client's stream (RFC 9112). Answers once the head is whole or 8 kB long;
/// whether it is HTTP at all is decided by the request line.
pub fn request(stream: &[u8]) -> Reading<Request<'_>> {
    request_after_lines(stream, stream.len() >= LONGEST_HEAD)
}

/// The request so far, for when no more will come: it needs its request line.
pub fn request_so_far(stream: &[u8]) -> Option<Request<'_>> {
    match request_after_lines(stream, true) {
        Reading::Is(request) => Some(request),
        Reading::More | Reading::Not => None,
    }
}

/// Passes over empty lines before the request: servers do, so nothing may hide behind them.
fn request_after_lines(stream: &[u8], cut: bool) -> Reading<Request<'_>> {
    let mut left = stream;
    for _ in 0..MOST_EMPTY_LINES {
        match left {
            [b'\r', b'\n', rest @ ..] | [b'\n', rest @ ..] => left = rest,
            [b'\r'] => return Reading::More,
            _ => break,
        }
    }
    match read_request(left, cut) {
        Reading::Is(mut request) => {
            request.head.end += stream.len() - left.len();
            Reading::Is(request)
        }
        answer => answer,
    }
}

/// With `cut`, a head that isn't whole is taken as far as it goes.
fn read_request(stream: &[u8], cut: bool) -> Reading<Request<'_>> {
    let (method, rest) = match method(stream) {
        Reading::Is(found) => found,
        Reading::More => return Reading::More,
        Reading::Not => return Reading::Not,
    };
    // A path, an asterisk, a URL or (after CONNECT) a host.
    match rest.first() {
        Some(b'/' | b'*' | b'[') => {}
        Some(byte) if byte.is_ascii_alphanumeric() => {}
        Some(_) => return Reading::Not,
        None => return Reading::More,
    }
    let line = match first_line(stream, rest) {
        Reading::Is(line) => line,
        Reading::More => return Reading::More,
        Reading::Not => return Reading::Not,
    };
    let Some(line) = line else {
        // A target as long as all that is read.
        let target = rest.get(..rest.len().min(LONGEST_HEAD)).unwrap_or_default();
        return Reading::Is(Request { method, target, head: Head { fields: &[], end: stream.len() } });
    };
    let Some((target, version)) = memchr::memrchr(b' ', line).and_then(|space| line.split_at_checked(space)) else {
        return Reading::Not;
    };
    let target = target.trim_ascii_end();
    if !matches!(version, b" HTTP/1.1" | b" HTTP/1.0" | b" HTTP/2.0") || target.is_empty() {
        return Reading::Not;
    }
    match head(stream, cut) {
        Some(head) => Reading::Is(Request { method, target, head }),
        None => Reading::More,
    }
}

/// Reads the response at the beginning of a server's stream (RFC 9112 section 4).
pub fn response(stream: &[u8]) -> Reading<Response<'_>> {
    const BEGINS: &[u8] = b"HTTP/1.";
    let Some((begins, rest)) = stream.split_at_checked(BEGINS.len()) else {
        return if BEGINS.starts_with(stream) { Reading::More } else { Reading::Not };
    };
    if begins != BEGINS {
        return Reading::Not;
    }
    let Some((&[minor, space, a, b, c, after], _)) = rest.split_first_chunk::<6>() else {
        return Reading::More;
    };
    let digits = [a, b, c];
    let sound = matches!(minor, b'0' | b'1') && space == b' ' && digits.iter().all(u8::is_ascii_digit);
    if !sound || !matches!(after, b' ' | b'\r' | b'\n') {
        return Reading::Not;
    }
    let status = digits.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
    match head(stream, stream.len() >= LONGEST_HEAD) {
        Some(head) => Reading::Is(Response { status, head }),
        None => Reading::More,
    }
}

impl<'a> Request<'a> {
    /// The method.
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// The target, as sent.
    pub fn target(&self) -> &'a [u8] {
        self.target
    }

    /// The host asked for, lower case, without port: of the target if that has one (a proxy is asked), else of the
    /// Host field.
    pub fn host(&self) -> Option<Box<str>> {
        let authority = match self.method {
            "CONNECT" => self.target,
            _ => match url_authority(self.target) {
                Some(authority) => authority,
                None => self.header("host")?,
            },
        };
        text::authority(authority)
    }

    /// User-Agent, when it is UTF-8.
    pub fn user_agent(&self) -> Option<&'a str> {
        text_field(self.header("user-agent")?)
    }

    /// The first header field of this name, whatever its case; without white space around.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.head.field(name)
    }

    /// Where in the stream the body starts; the end of the stream if the head isn't whole.
    pub fn body_start(&self) -> usize {
        self.head.end
    }
}

impl<'a> Response<'a> {
    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The first header field of this name, whatever its case; without white space around.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.head.field(name)
    }

    /// Server, when it is UTF-8.
    pub fn server(&self) -> Option<&'a str> {
        text_field(self.header("server")?)
    }

    /// Where in the stream the body starts; the end of the stream if the head isn't whole.
    pub fn body_start(&self) -> usize {
        self.head.end
    }
}

/// Header fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head<'a> {
    fields: &'a [u8],
    /// Where the body starts.
    end: usize,
}

impl<'a> Head<'a> {
    fn field(&self, name: &str) -> Option<&'a [u8]> {
        let lines = self.fields.split(|byte| *byte == b'\n').take(MOST_FIELDS);
        for line in lines {
            if let Some((found, value)) = line.split_at_checked(name.len())
                && found.eq_ignore_ascii_case(name.as_bytes())
                && let Some(value) = value.strip_prefix(b":")
            {
                return Some(value.trim_ascii());
            }
        }
        None
    }
}

/// The known method at the beginning, and what stands behind it and a space.
fn method(stream: &[u8]) -> Reading<(&'static str, &[u8])> {
    match stream.first() {
        None => return Reading::More,
        Some(b'A'..=b'Z') => {}
        Some(_) => return Reading::Not,
    }
    let begins = stream.get(..LONGEST_METHOD + 1).unwrap_or(stream);
    match memchr::memchr(b' ', begins).and_then(|space| stream.split_at_checked(space)) {
        Some((word, rest)) => match METHODS.binary_search_by(|method| method.as_bytes().cmp(word)) {
            Ok(found) => Reading::Is((METHODS.get(found).copied().unwrap_or_default(), after_spaces(rest))),
            Err(_) => Reading::Not,
        },
        None if METHODS.iter().any(|method| method.as_bytes().starts_with(begins)) => Reading::More,
        None => Reading::Not,
    }
}

/// Some put more than one space.
fn after_spaces(mut bytes: &[u8]) -> &[u8] {
    while let Some(rest) = bytes.strip_prefix(b" ") {
        bytes = rest;
    }
    bytes
}

/// The rest of the first line without its end; `None` if it is longer than is read.
fn first_line<'a>(stream: &[u8], rest: &'a [u8]) -> Reading<Option<&'a [u8]>> {
    let seen = rest.get(..rest.len().min(LONGEST_HEAD)).unwrap_or_default();
    let (line, whole) = match memchr::memchr(b'\n', seen) {
        Some(end) => (seen.get(..end).unwrap_or_default(), true),
        None => (seen, false),
    };
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.iter().any(|byte| byte.is_ascii_control()) {
        Reading::Not
    } else if whole {
        Reading::Is(Some(line))
    } else if stream.len() >= LONGEST_HEAD {
        Reading::Is(None)
    } else {
        Reading::More
    }
}

/// The header fields, once they are whole; with `cut`, the whole ones.
fn head(stream: &[u8], cut: bool) -> Option<Head<'_>> {
    let seen = stream.get(..LONGEST_HEAD).unwrap_or(stream);
    let mut ends = memchr::memchr_iter(b'\n', seen);
    let start = ends.next()? + 1;
    let mut line = start;
    loop {
        // The empty line.
        match seen.get(line..) {
            Some([b'\n', ..]) => return Some(Head { fields: seen.get(start..line)?, end: line + 1 }),
            Some([b'\r', b'\n', ..]) => return Some(Head { fields: seen.get(start..line)?, end: line + 2 }),
            _ => {}
        }
        match ends.next() {
            Some(end) => line = end + 1,
            None if cut => {
                return Some(Head { fields: seen.get(start..line)?, end: stream.len() });
            }
            None => return None,
        }
    }
}

/// Host and port of an absolute URL.
fn url_authority(target: &[u8]) -> Option<&[u8]> {
    let scheme = memchr::memchr(b':', target.get(..target.len().min(8))?)?;
    let rest = target.get(scheme..)?.strip_prefix(b"://")?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let authority = rest.get(..end)?;
    // Without user and password.
    authority.get(memchr::memrchr(b'@', authority).map_or(0, |at| at + 1)..)
}

fn text_field(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_sorted_and_short() {
        assert!(METHODS.is_sorted());
        assert!(METHODS.iter().all(|method| method.len() <= LONGEST_METHOD));
    }

    #[test]
    fn a_request_is_read_at_the_end_of_its_head() {
        let head = "POST /a?b HTTP/1.1\r\nHost: Chat.Example.TEST:8080\r\nuser-agent:  Agent/1.0 (x) \r\nX:\r\n\r\n";
        for cut in 0..head.len() {
            assert_eq!(request(&head.as_bytes()[..cut]), Reading::More, "cut at {cut}");
        }
        let stream = format!("{head}body");
        let Reading::Is(request) = request(stream.as_bytes()) else { panic!("not read") };
        assert_eq!((request.method(), request.target()), ("POST", &b"/a?b"[..]));
        assert_eq!(request.host().as_deref(), Some("chat.example.test"));
        assert_eq!(request.user_agent(), Some("Agent/1.0 (x)"));
        assert_eq!(request.header("x"), Some(&b""[..]));
        assert_eq!(request.header("HOS"), None);
        assert_eq!(request.body_start(), head.len());
    }

    #[test]
    fn the_target_may_name_the_host() {
        for (head, host) in [
            ("CONNECT relay.example.test:443 HTTP/1.1\r\nHost: proxy.test\r\n\r\n", Some("relay.example.test")),
            ("CONNECT [2001:db8::1]:443 HTTP/1.0\n\n", Some("2001:db8::1")),
            ("GET http://u:p@a.example.test:80/x HTTP/1.0\r\nHost: proxy.test\r\n\r\n", Some("a.example.test")),
            ("GET /x?u=http://b.test/ HTTP/1.1\r\nHost: c.test\r\n\r\n", Some("c.test")),
            ("GET  /  HTTP/1.1\r\nHost: d.test\r\n\r\n", Some("d.test")),
            ("GET / HTTP/1.1\r\nHost: no host\r\n\r\n", None),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", None),
        ] {
            let Reading::Is(request) = request(head.as_bytes()) else { panic!("not read: {head}") };
            assert_eq!(request.host().as_deref(), host, "{head}");
        }
    }

    #[test]
    fn empty_lines_before_a_request_do_not_hide_it() {
        for lines in ["\r\n", "\n", "\r\n\r\n", "\n\r\n\n\r\n"] {
            let head = format!("{lines}GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n");
            for cut in 0..head.len() {
                assert_eq!(request(&head.as_bytes()[..cut]), Reading::More, "cut at {cut}");
            }
            let stream = format!("{head}body");
            let Reading::Is(found) = request(stream.as_bytes()) else { panic!("not read: {head:?}") };
            assert_eq!((found.host().as_deref(), found.body_start()), (Some("a.test"), head.len()));
        }
        assert_eq!(request("\r\n".repeat(9).as_bytes()), Reading::Not);
        assert_eq!(request(b"\r\n\rGET / HTTP/1.1\r\n"), Reading::Not);
    }

    #[test]
    fn what_is_no_request_is_refused_early() {
        for bytes in [
            &b"GIV 1:abc/file"[..],
            b"GNUTELLA CONNECT/0.6\r\n",
            b"get / HTTP/1.1",
            b"GETX",
            b"GET \x01",
            b"GET /a\x00b",
            b"OPTIONS rtsp://a.test/ RTSP/1.0\r\n",
            b"SUBSCRIBE sip:a@b.test SIP/2.0\r\n",
            b"GET /\r\n",
            b"NOTIFYABCDEFGHIJKLMNOP",
            b"\x16\x03\x01",
        ] {
            assert_eq!(request(bytes), Reading::Not, "{bytes:?}");
        }
    }

    #[test]
    fn long_heads_are_read_as_far_as_they_go() {
        let target = format!("GET /{}", "a".repeat(9000));
        let Reading::Is(long) = request(target.as_bytes()) else { panic!("not read") };
        assert_eq!(long.body_start(), target.len());
        let fields = format!("GET / HTTP/1.1\r\nHost: a.test\r\nCookie: {}", "a".repeat(9000));
        let Reading::Is(long) = request(fields.as_bytes()) else { panic!("not read") };
        assert_eq!(long.host().as_deref(), Some("a.test"));
    }

    #[test]
    fn a_request_that_ends_early_tells_what_it_said() {
        let stream = b"GET /x HTTP/1.1\r\nHost: a.test\r\nUser-Ag";
        assert_eq!(request(stream), Reading::More);
        let so_far = request_so_far(stream).unwrap();
        assert_eq!((so_far.host().as_deref(), so_far.user_agent()), (Some("a.test"), None));
        assert_eq!(request_so_far(b"GET /x HTT"), None);
    }

    #[test]
    fn a_response_has_status_and_fields() {
        let head = "HTTP/1.1 101 Switching Protocols\r\nServer: S/1\r\nUpgrade: websocket\r\n\r\n";
        for cut in 0..head.len() {
            assert_eq!(response(&head.as_bytes()[..cut]), Reading::More, "cut at {cut}");
        }
        let Reading::Is(found) = response(head.as_bytes()) else { panic!("not read") };
        assert_eq!((found.status(), found.server(), found.body_start()), (101, Some("S/1"), head.len()));
        assert_eq!(found.header("upgrade"), Some(&b"websocket"[..]));
        for bytes in [&b"HTTP/1.2 200 OK"[..], b"HTTP/1.1 2x0 OK", b"HTTP/1.1 2000 OK", b"ICY 200 OK", b"HTTQ"] {
            assert_eq!(response(bytes), Reading::Not, "{bytes:?}");
        }
    }
}
