//! The listener as clients meet it, before a fake server and a fake judge, spoken to in raw bytes.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use model::Effect;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::*;
use crate::doorkeeper::{self, Doorkeeper};
use crate::listen::{ListenConfig, Listener};
use crate::task::{Drained, Shutdown, spawn_named};
use crate::testing::{Authority, Kind};
use crate::tls::Certificates;
use crate::upstream::Trust;

/// What the fake judge stops.
const BAD: &[u8] = b"this is EVIL content";
const GOOD: &[u8] = b"0123456789";

/// A request as the server got it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Got {
    line: String,
    authorization: Option<String>,
    body: Bytes,
}

/// The server that keeps files: takes every PUT, serves what a path's name says.
#[derive(Default)]
struct FakeServer {
    got: Mutex<Vec<Got>>,
    stored: Mutex<Option<Bytes>>,
    is_failing: Mutex<Option<StatusCode>>,
}

impl FakeServer {
    async fn start() -> (Arc<FakeServer>, u16) {
        let server = Arc::new(FakeServer::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = Arc::clone(&server);
        spawn_named("fake server", async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = Arc::clone(&serving);
                let service = service_fn(move |request| {
                    let server = Arc::clone(&server);
                    async move { Ok::<_, Infallible>(server.answer(request).await) }
                });
                let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                spawn_named("fake server connection", async move { drop(connection.await) });
            }
        });
        (server, port)
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let header = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let path = head.uri.path_and_query().unwrap().to_string();
        let Ok(body) = body.collect().await else { return Response::new(Full::default()) };
        self.got.lock().push(Got {
            line: format!("{} {path} {}", head.method, header("host").unwrap()),
            authorization: header("authorization"),
            body: body.to_bytes(),
        });
        let failing = *self.is_failing.lock();
        if let Some(status) = failing {
            return Response::builder().status(status).body(Full::default()).unwrap();
        }
        if head.method == "PUT" {
            *self.stored.lock() = self.got.lock().last().map(|got| got.body.clone());
            return Response::builder().status(201).body(Full::default()).unwrap();
        }
        let file = match path.rsplit('/').next().unwrap() {
            "bad.txt" => Bytes::from_static(BAD),
            "large.bin" => Bytes::from(vec![b'x'; 3000]),
            _ => self.stored.lock().clone().unwrap_or(Bytes::from_static(GOOD)),
        };
        let media_type = if path.ends_with(".html") { "text/html" } else { "text/plain" };
        let answer = Response::builder().header("content-type", media_type).header("set-cookie", "spy=1");
        let answer = match path.rsplit('/').next().unwrap() {
            "redirect.txt" => answer.status(302).header("location", "http://127.0.0.1:1/"),
            "encoded.txt" => answer.header("content-encoding", "gzip"),
            "bare.txt" => answer,
            _ => answer.header("etag", "\"v1\"").header("last-modified", "Sun, 22 Nov 2026 00:00:00 GMT"),
        };
        if header("if-none-match").as_deref() == Some("\"v1\"") {
            return answer.status(304).body(Full::default()).unwrap();
        }
        match header("range").as_deref() {
            Some("bytes=2-4") => {
                let range = format!("bytes 2-4/{}", file.len());
                answer.status(206).header("content-range", range).body(Full::new(file.slice(2..5))).unwrap()
            }
            _ => answer.body(Full::new(file)).unwrap(),
        }
    }

    fn lines(&self) -> Vec<String> {
        self.got.lock().iter().map(|got| got.line.clone()).collect()
    }
}

/// Stops what holds `EVIL`, when its gate is open.
struct FakeJudge {
    asked: AtomicUsize,
    gate: Semaphore,
    is_final: bool,
    rules: Mutex<Arc<str>>,
}

impl FileJudge for FakeJudge {
    fn judge(&self, file: UploadedFile) -> Judging<'_> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let _open = self.gate.acquire().await.unwrap();
            let bytes = std::fs::read(&file.path).unwrap();
            assert_eq!(bytes.len() as u64, file.size);
            let is_bad = bytes.windows(4).any(|window| window == b"EVIL");
            let notice = is_bad.then(|| "evil is not wanted".into());
            let effect = if is_bad { Effect::Block } else { Effect::Allow };
            FileVerdict { effect, notice, is_final: self.is_final }
        })
    }

    fn rules(&self) -> Arc<str> {
        Arc::clone(&self.rules.lock())
    }
}

/// Everything together.
struct World {
    gateway: SocketAddr,
    server: Arc<FakeServer>,
    server_port: u16,
    judge: Arc<FakeJudge>,
    slots: Arc<SlotKeeper>,
    uploads: Arc<Uploads>,
    shutdown: Shutdown,
    _spool: tempfile::TempDir,
}

fn limits() -> Limits {
    Limits { file_bytes: 2000, spool_bytes: 5000, ..Limits::default() }
}

async fn world() -> World {
    World::new(limits(), true, None).await
}

impl World {
    async fn new(limits: Limits, is_final: bool, certificates: Option<Arc<Certificates>>) -> World {
        let (server, server_port) = FakeServer::start().await;
        let judge = Arc::new(FakeJudge {
            asked: AtomicUsize::new(0),
            gate: Semaphore::new(100),
            is_final,
            rules: Mutex::new("1".into()),
        });
        let domain = UploadDomain {
            domain: "example.org".to_owned(),
            server: "127.0.0.1".to_owned(),
            more_hosts: Vec::new(),
            trust: Trust::Insecure { anywhere: false },
        };
        let slots = SlotKeeper::new(
            PublicBase::parse("http://gate.example").unwrap(),
            Arc::new(Routes::new(vec![domain]).unwrap()),
            Arc::new(MemoryOrigins::new(8)),
            limits.clone(),
        );
        let spool = tempfile::tempdir().unwrap();
        let uploads = Uploads::new(Parts {
            limits,
            slots: Arc::clone(&slots),
            judge: Arc::clone(&judge) as Arc<dyn FileJudge>,
            verdicts: Arc::new(MemoryVerdicts::new(100)),
            spool_dir: spool.path().to_owned(),
        })
        .unwrap();
        let listener = Listener::bind(ListenConfig::new("127.0.0.1:0".parse().unwrap())).unwrap();
        let gateway = listener.local_addr();
        let (shutdown, drain) = Shutdown::new();
        let door = Doorkeeper::new(doorkeeper::Limits::default());
        spawn_named("uploads", serve(Arc::clone(&uploads), listener, certificates, door, drain));
        World { gateway, server, server_port, judge, slots, uploads, shutdown, _spool: spool }
    }

    fn offer(&self, name: &str, size: usize) -> Offer {
        let url = format!("http://upload.example.org:{}/up/1/{name}", self.server_port);
        let headers = [("Authorization".to_owned(), "Bearer secret".to_owned())];
        let request = SlotRequest {
            domain: "example.org",
            account: "alice@example.org",
            name,
            size: size as u64,
            claimed_type: Some("text/plain"),
            put_url: &format!("{url}?put"),
            put_headers: &headers,
            get_url: &url,
        };
        self.slots.offer(&request, Instant::now()).unwrap()
    }

    /// Sends raw bytes, half-closes if told, and reads until the gateway closes.
    async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.gateway).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        // A reset after the answer is as good as an end.
        let _end = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn put(&self, offer: &Offer, body: &[u8]) -> Reply {
        self.put_with(offer, &format!("Content-Type: text/plain\r\nContent-Length: {}\r\n", body.len()), body).await
    }

    async fn put_with(&self, offer: &Offer, headers: &str, body: &[u8]) -> Reply {
        let path = offer.put_url.strip_prefix("http://gate.example").unwrap();
        let head = format!("PUT {path} HTTP/1.1\r\nHost: gate.example\r\nConnection: close\r\n{headers}\r\n");
        Reply::read(&self.raw(&[head.as_bytes(), body].concat()).await)
    }

    async fn get(&self, offer: &Offer, headers: &str) -> Reply {
        self.ask("GET", &offer.get_url, headers).await
    }

    async fn ask(&self, method: &str, url: &str, headers: &str) -> Reply {
        let path = url.strip_prefix("http://gate.example").unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: gate.example\r\nConnection: close\r\n{headers}\r\n");
        Reply::read(&self.raw(head.as_bytes()).await)
    }

    fn asked(&self) -> usize {
        self.judge.asked.load(Ordering::SeqCst)
    }
}

/// An answer taken apart.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn read(text: &str) -> Reply {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
        Reply { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

#[tokio::test]
async fn a_good_file_goes_to_the_server_and_comes_back_checked_once() {
    let world = world().await;
    let offer = world.offer("cat.txt", GOOD.len());
    let stored = world.put(&offer, GOOD).await;
    assert_eq!((stored.status, stored.body.as_str()), (201, "stored\n"));
    let host = format!("upload.example.org:{}", world.server_port);
    assert_eq!(
        *world.server.got.lock(),
        [Got {
            line: format!("PUT /up/1/cat.txt?put {host}"),
            authorization: Some("Bearer secret".to_owned()),
            body: Bytes::from_static(GOOD),
        }]
    );
    assert_eq!(world.put(&offer, GOOD).await.status, 409, "a slot is for one file");

    for _ in 0..3 {
        let file = world.get(&offer, "").await;
        assert_eq!((file.status, file.body.as_bytes()), (200, GOOD));
        assert_eq!(file.header("etag"), Some("\"v1\""));
        assert_eq!(file.header("content-length"), Some("10"));
        assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(file.header("content-security-policy"), Some("default-src 'none'; sandbox"));
        assert_eq!(file.header("access-control-allow-origin"), Some("*"));
        assert_eq!((file.header("set-cookie"), file.header("content-disposition")), (None, None));
    }
    assert_eq!(world.asked(), 2, "once at the upload, once at the first download");
    let part = world.get(&offer, "Range: bytes=2-4\r\n").await;
    assert_eq!((part.status, part.body.as_str()), (206, "234"));
    assert_eq!(part.header("content-range"), Some("bytes 2-4/10"));
    let head = world.ask("HEAD", &offer.get_url, "").await;
    assert_eq!((head.status, head.header("content-length"), head.body.as_str()), (200, Some("10"), ""));
    let unchanged = world.get(&offer, "If-None-Match: \"v1\"\r\n").await;
    assert_eq!((unchanged.status, unchanged.body.as_str()), (304, ""));
    assert_eq!(world.asked(), 2);
    assert_eq!(world.uploads.spool.used(), 0);
}

#[tokio::test]
async fn a_bad_file_never_reaches_the_server() {
    let world = world().await;
    let offer = world.offer("bad", BAD.len());
    for _ in 0..2 {
        let reply = world.put(&offer, BAD).await;
        assert_eq!((reply.status, reply.body.as_str()), (403, "blocked by policy: evil is not wanted\n"));
    }
    assert_eq!(world.asked(), 1);
    assert!(world.server.lines().is_empty());
    assert_eq!(world.uploads.spool.used(), 0);
}

#[tokio::test]
async fn a_bad_file_at_the_server_is_not_served_in_any_way() {
    let world = world().await;
    let offer = world.offer("bad.txt", 1);
    for headers in ["", "Range: bytes=2-4\r\n", "Range: bytes=0-0\r\n", ""] {
        let reply = world.get(&offer, headers).await;
        assert_eq!((reply.status, reply.body.as_str()), (403, "blocked by policy: evil is not wanted\n"), "{headers}");
    }
    assert_eq!(world.ask("HEAD", &offer.get_url, "").await.status, 403);
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn a_range_of_a_file_that_was_never_checked_checks_all_of_it() {
    let world = world().await;
    let part = world.get(&world.offer("cat.txt", 1), "Range: bytes=2-4\r\n").await;
    assert_eq!((part.status, part.body.as_str()), (206, "234"));
    assert_eq!((part.header("content-range"), part.header("content-length")), (Some("bytes 2-4/10"), Some("3")));
    assert_eq!(world.asked(), 1);
    // Without a validator nothing is remembered, so every download is checked.
    let bare = world.offer("bare.txt", 1);
    assert_eq!(world.get(&bare, "Range: bytes=-3\r\n").await.body, "789");
    assert_eq!(world.get(&bare, "Range: bytes=50-\r\n").await.status, 416);
    assert_eq!(world.get(&bare, "Range: bytes=2-4\r\nIf-Range: \"other\"\r\n").await.body.as_bytes(), GOOD);
    assert_eq!(world.asked(), 4);
}

#[tokio::test]
async fn a_decision_that_is_not_final_is_not_kept() {
    let world = World::new(limits(), false, None).await;
    let offer = world.offer("cat.txt", 1);
    assert_eq!(world.get(&offer, "").await.status, 200);
    assert_eq!(world.get(&offer, "").await.status, 200);
    assert_eq!(world.asked(), 2);
}

#[tokio::test]
async fn what_is_not_as_announced_is_refused() {
    let world = world().await;
    let offer = world.offer("cat.txt", 10);
    let table: &[(&str, &[u8], u16)] = &[
        ("Content-Length: 11\r\n", b"0123456789a", 413),
        ("Content-Length: 9\r\n", b"012345678", 400),
        ("Content-Length: 999999999999\r\n", b"", 413),
        ("Content-Length: 10\r\nContent-Type: text/html\r\n", GOOD, 400),
        ("Transfer-Encoding: chunked\r\n", b"a\r\n0123456789\r\n0\r\n\r\n", 411),
        ("", b"", 411),
        ("Content-Length: 11\r\nExpect: 100-continue\r\n", b"", 413),
        ("Content-Length: 10\r\nExpect: 100-continue\r\n", GOOD, 100),
    ];
    for (headers, body, status) in table {
        assert_eq!(world.put_with(&offer, headers, body).await.status, *status, "{headers}");
    }
    assert_eq!(world.server.lines().len(), 1, "only the one that fits");
}

#[tokio::test]
async fn a_sender_that_breaks_off_leaves_nothing_and_may_try_again() {
    let world = world().await;
    let offer = world.offer("cat.txt", 10);
    let path = offer.put_url.strip_prefix("http://gate.example").unwrap();
    let mut stream = TcpStream::connect(world.gateway).await.unwrap();
    let head = format!("PUT {path} HTTP/1.1\r\nHost: gate.example\r\nContent-Length: 10\r\n\r\n01234");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let _end = stream.read_to_end(&mut Vec::new()).await;
    assert!(world.server.lines().is_empty());
    assert_eq!(world.asked(), 0);
    assert_eq!(world.put(&offer, GOOD).await.status, 201);
}

#[tokio::test]
async fn slow_peers_are_cut() {
    let short = Duration::from_millis(50);
    let limits = Limits { head_deadline: short, idle_deadline: short, ..limits() };
    let world = World::new(limits, true, None).await;
    assert_eq!(world.raw(b"").await, "", "silent");
    assert_eq!(world.raw(b"GET /d/x HTTP/1.1\r\nHost: ga").await, "", "half a head");
    let offer = world.offer("cat.txt", 10);
    let reply = world.put_with(&offer, "Content-Length: 10\r\n", b"012").await;
    assert_eq!(reply.status, 408);
    assert_eq!(world.uploads.spool.used(), 0);
}

#[tokio::test]
async fn slots_expire() {
    let world = World::new(Limits { slot_life: Duration::ZERO, ..limits() }, true, None).await;
    let offer = world.offer("cat.txt", 10);
    assert_eq!(world.put(&offer, GOOD).await.status, 404);
    assert!(world.server.lines().is_empty());
}

#[tokio::test]
async fn a_failing_server_is_told_and_the_slot_stays_good() {
    let world = world().await;
    let offer = world.offer("cat.txt", 10);
    for (status, told) in
        [(StatusCode::INTERNAL_SERVER_ERROR, 500), (StatusCode::FORBIDDEN, 403), (StatusCode::FOUND, 502)]
    {
        *world.server.is_failing.lock() = Some(status);
        assert_eq!(world.put(&offer, GOOD).await.status, told);
    }
    *world.server.is_failing.lock() = None;
    assert_eq!(world.put(&offer, GOOD).await.status, 201);

    let gone = world.slots.offer(
        &SlotRequest {
            domain: "example.org",
            account: "a",
            name: "x",
            size: 10,
            claimed_type: None,
            put_url: "http://example.org:1/up/1/x",
            put_headers: &[],
            get_url: "http://example.org:1/up/1/x",
        },
        Instant::now(),
    );
    assert_eq!(world.put(&gone.unwrap(), GOOD).await.status, 502);
}

#[tokio::test]
async fn nothing_but_offered_origins_is_contacted() {
    let world = world().await;
    let offer = world.offer("cat.txt", 10);
    let id = offer.get_url.split('/').nth(4).unwrap();
    let base = "http://gate.example";
    for (url, status) in [
        (format!("{base}/d/{id}/admin/users"), 404),
        (format!("{base}/d/{id}/up/../admin"), 400),
        (format!("{base}/d/{id}/up/%2e%2e/admin"), 400),
        (format!("{base}/d/{id}//evil.example/x"), 400),
        (format!("{base}/d/{id}@evil.example/x"), 404),
        (format!("{base}/d/{id}"), 404),
        (format!("{base}/d/{}/up/1/x", "0".repeat(24)), 404),
        (format!("{base}/d/http://evil.example/x"), 400),
    ] {
        assert_eq!(world.ask("GET", &url, "").await.status, status, "{url}");
    }
    assert_eq!(
        world.raw(b"GET http://evil.example/x HTTP/1.1\r\nHost: gate.example\r\n\r\n").await.get(9..12),
        Some("400")
    );
    assert!(world.server.lines().is_empty());
    // And what the server says is not followed, nor taken encoded.
    assert_eq!(world.get(&world.offer("redirect.txt", 1), "").await.status, 502);
    assert_eq!(world.get(&world.offer("encoded.txt", 1), "").await.status, 502);
}

#[tokio::test]
async fn many_readers_share_one_check() {
    let world = Arc::new(world().await);
    let offer = world.offer("cat.txt", 1);
    world.judge.gate.forget_permits(100);
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let (world, offer) = (Arc::clone(&world), offer.clone());
            spawn_named("reader", async move { world.get(&offer, "").await })
        })
        .collect();
    while world.uploads.flights.waiting() < 8 {
        tokio::task::yield_now().await;
    }
    world.judge.gate.add_permits(100);
    for reader in readers {
        let reply = reader.await.unwrap();
        assert_eq!((reply.status, reply.body.as_bytes()), (200, GOOD));
    }
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn a_judge_that_does_not_answer_holds_the_file_back() {
    let world = World::new(Limits { judge_deadline: Duration::from_millis(20), ..limits() }, true, None).await;
    world.judge.gate.forget_permits(100);
    let offer = world.offer("cat.txt", 10);
    assert_eq!(world.put(&offer, GOOD).await.status, 503);
    assert_eq!(world.get(&offer, "").await.status, 503);
    assert!(!world.server.lines().iter().any(|line| line.starts_with("PUT")));
}

#[tokio::test]
async fn files_too_large_to_check_go_as_configured() {
    for (oversize, status) in [(Oversize::Refuse, 403), (Oversize::Pass, 200)] {
        let world = World::new(Limits { oversize, ..limits() }, true, None).await;
        let reply = world.get(&world.offer("large.bin", 1), "").await;
        assert_eq!(reply.status, status);
        assert_eq!(world.asked(), 0);
    }
    let world = World::new(Limits { spool_bytes: 5, ..limits() }, true, None).await;
    let offer = world.offer("cat.txt", 10);
    let full = world.put(&offer, GOOD).await;
    assert_eq!((full.status, full.header("retry-after")), (503, Some("10")));
    assert_eq!(world.get(&offer, "").await.status, 503);
}

#[tokio::test]
async fn pages_are_saved_and_not_shown() {
    let world = world().await;
    let page = world.get(&world.offer("page.html", 1), "").await;
    assert_eq!((page.status, page.header("content-disposition")), (200, Some("attachment")));
}

#[tokio::test]
async fn web_clients_may_ask() {
    let world = world().await;
    let offer = world.offer("cat.txt", 1);
    let reply = world.ask("OPTIONS", &offer.put_url, "Origin: https://web.example\r\n").await;
    assert_eq!(reply.status, 204);
    assert!(reply.header("access-control-allow-methods").unwrap().contains("put"));
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
}

/// Request smuggling (RFC 9112 sections 2.2, 5.2, 6.3, 11.2): each is refused and closed, or is exactly one request.
#[tokio::test]
async fn what_two_parsers_could_read_differently_is_at_most_one_request() {
    let world = world().await;
    let offer = world.offer("cat.txt", 10);
    let path = offer.put_url.strip_prefix("http://gate.example").unwrap();
    let put = format!("PUT {path} HTTP/1.1\r\nHost: gate.example\r\n");
    let smuggled = "GET /d/x HTTP/1.1\r\nHost: gate.example\r\n\r\n";
    let table = [
        ("both lengths", format!("{put}Content-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}")),
        (
            "both, other order",
            format!("{put}Transfer-Encoding: chunked\r\nContent-Length: 10\r\n\r\n0\r\n\r\n{smuggled}"),
        ),
        ("obscured coding", format!("{put}Transfer-Encoding : chunked\r\nContent-Length: 10\r\n\r\n{smuggled}")),
        ("unknown coding", format!("{put}Transfer-Encoding: xchunked\r\n\r\n{smuggled}")),
        ("two lengths", format!("{put}Content-Length: 10\r\nContent-Length: 0\r\n\r\n{smuggled}")),
        ("signed length", format!("{put}Content-Length: +10\r\n\r\n0123456789")),
        ("folded", format!("{put}Content-Length:\r\n 10\r\n\r\n0123456789")),
        ("bare CR", format!("{put}X: a\rContent-Length: 10\r\n\r\n0123456789")),
        ("NUL", format!("{put}X: a\0b\r\nContent-Length: 10\r\n\r\n0123456789")),
        ("two hosts", format!("{put}Host: other\r\nContent-Length: 10\r\n\r\n0123456789")),
        ("overflow", format!("{put}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n{smuggled}")),
        ("HTTP/0.9", format!("GET {path}\r\n")),
        ("HTTP/2.0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
        ("large head", format!("{put}X: {}\r\n\r\n", "x".repeat(100_000))),
        ("many headers", format!("{put}{}\r\n", "X: y\r\n".repeat(500))),
    ];
    for (what, bytes) in table {
        let reply = world.raw(bytes.as_bytes()).await;
        assert!(reply.matches("HTTP/1.1 ").count() <= 1, "{what}: {reply}");
        assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 4"), "{what}: {reply}");
        assert!(world.server.lines().is_empty(), "{what}");
    }
}

#[tokio::test]
async fn a_drain_finishes_what_is_under_way() {
    let world = world().await;
    let offer = world.offer("cat.txt", 10);
    world.judge.gate.forget_permits(100);
    let World { shutdown, judge, gateway, .. } = world;
    let path = offer.put_url.strip_prefix("http://gate.example").unwrap().to_owned();
    let mut stream = TcpStream::connect(gateway).await.unwrap();
    let head = format!("PUT {path} HTTP/1.1\r\nHost: gate.example\r\nContent-Length: 10\r\n\r\n0123456789");
    stream.write_all(head.as_bytes()).await.unwrap();
    while judge.asked.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    shutdown.begin();
    judge.gate.add_permits(100);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer.get(9..12), Some("201"));
    assert_eq!(shutdown.finish(Duration::from_secs(30)).await, Drained::Clean);
}

#[tokio::test]
async fn the_listener_speaks_tls() {
    let authority = Authority::new();
    let source = authority.source(&["gate.example"], Kind::Good);
    let certificates = Certificates::load(vec![source], jiff::Timestamp::now()).unwrap();
    let world = World::new(limits(), true, Some(certificates)).await;
    let connector = tokio_rustls::TlsConnector::from(authority.client(&[b"http/1.1"]));
    let tcp = TcpStream::connect(world.gateway).await.unwrap();
    let mut stream = connector.connect("gate.example".try_into().unwrap(), tcp).await.unwrap();
    let request = b"GET /nothing HTTP/1.1\r\nHost: gate.example\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer.get(9..12), Some("404"));
}

#[tokio::test]
async fn a_verdict_is_good_for_the_rules_it_was_made_by() {
    let world = world().await;
    let offer = world.offer("cat.txt", GOOD.len());
    assert_eq!(world.put(&offer, GOOD).await.status, 201);
    for (rules, asked) in [("1", 2), ("1", 2), ("2", 3), ("2", 3), ("1", 3)] {
        *world.judge.rules.lock() = rules.into();
        assert_eq!(world.get(&offer, "").await.status, 200);
        assert_eq!(world.asked(), asked, "rules {rules}");
    }
}

#[tokio::test]
async fn a_check_during_which_the_rules_changed_is_made_again() {
    let world = world().await;
    let offer = world.offer("cat.txt", GOOD.len());
    assert_eq!(world.put(&offer, GOOD).await.status, 201);
    let held = world.judge.gate.acquire_many(100).await.unwrap();
    let change = async {
        while world.asked() < 2 {
            tokio::task::yield_now().await;
        }
        *world.judge.rules.lock() = "2".into();
        drop(held);
    };
    let (reply, ()) = tokio::join!(world.get(&offer, ""), change);
    assert_eq!(reply.status, 200);
    world.get(&offer, "").await;
    assert_eq!(world.asked(), 3);
    world.get(&offer, "").await;
    assert_eq!(world.asked(), 3);
}

#[tokio::test]
async fn origins_outlive_the_process_and_are_asked_for_once() {
    let data = tempfile::tempdir().unwrap();
    let open = || Arc::new(store::Store::open(data.path(), store::StoreOptions::default()).unwrap());
    let file = url::Url::parse("https://upload.example.org/up/1/cat.jpg").unwrap();
    let origin = origins::Origin::of("example.org", &file);
    let id = OriginId::of(&origin);
    let first = StoredOrigins::new(open());
    assert_eq!(first.get(&id), None);
    assert!(first.put(&id, &origin) && first.put(&id, &origin));
    assert_eq!(first.get(&id).as_ref(), Some(&origin));
    drop(first);
    let second = StoredOrigins::new(open());
    for _ in 0..2 {
        assert_eq!(second.get(&id).as_ref(), Some(&origin));
    }
}
